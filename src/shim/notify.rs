//! The agent's `$NOTIFY_SOCKET`: a private datagram socket that speaks systemd's protocol, so that
//! programs that know it need to know nothing of us.

use std::fs;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg, setsockopt, sockopt::PassCred,
};
use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;

use super::plain::plain;
use crate::model::{Activity, BlockKind};

/// The end of its name; for the rest it is called like the shim's own socket.
pub(super) const EXTENSION: &str = "notify";
/// The variable that names the socket.
pub(super) const VARIABLE: &str = "NOTIFY_SOCKET";
/// Bytes that fit into a socket address; clients know no way around it.
const PATH_BYTES_MAX: usize = 107;
/// A longer message is ignored whole, as systemd does.
const MESSAGE_BYTES_MAX: usize = 4096;
/// Messages read in a row, so that nobody who never stops talking keeps the shim.
const MESSAGES_MAX: usize = 64;

/// One assignment of a message, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// `READY=1`.
    Ready,
    /// `STOPPING=1`.
    Stopping,
    /// `WATCHDOG=1`.
    Beat,
    /// `EXTEND_TIMEOUT_USEC=`, in milliseconds.
    Extend(u64),
    /// `STATUS=`; empty takes it back.
    Status(Option<String>),
    /// `X_MUXVISOR_ACTIVITY=`; `unknown` takes it back.
    Doing(Option<(Activity, Option<BlockKind>)>),
}

/// The socket.
pub(super) struct Notify {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Notify {
    /// Listens on `path`, which only this user may use; a stale socket is replaced.
    pub(super) fn listen(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() > PATH_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is too long"));
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let before = umask(Mode::from_bits_truncate(0o177));
        let bound = UnixDatagram::bind(path);
        umask(before);
        let notify = Self { socket: bound?, path: path.to_owned() };
        notify.socket.set_nonblocking(true)?;
        setsockopt(&notify.socket, PassCred, &true)?;
        Ok(notify)
    }

    /// Readable when somebody has said something.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Where clients find it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What was said since the last call, as far as it was said by this user.
    pub(super) fn hear(&self) -> Vec<Word> {
        let mut heard = Vec::new();
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        for _ in 0..MESSAGES_MAX {
            match self.receive(&mut buffer) {
                Ok(length) => heard.extend(words(&buffer[..length])),
                Err(Errno::EINTR) => {}
                Err(_) => break,
            }
        }
        heard
    }

    /// One message; of length 0 when it is a stranger's or too long.
    fn receive(&self, buffer: &mut [u8]) -> nix::Result<usize> {
        // Why so small: the kernel closes descriptors that come along and have no room here. That
        // is also all that `systemd-notify` waits for when it sends its barrier.
        let mut control = cmsg_space!(UnixCredentials);
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let message =
            recvmsg::<()>(self.socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
        let own = geteuid().as_raw();
        let is_ours = message.cmsgs().is_ok_and(|mut all| {
            all.any(|one| matches!(one, ControlMessageOwned::ScmCredentials(by) if by.uid() == own))
        });
        let whole = !message.flags.contains(MsgFlags::MSG_TRUNC);
        Ok(if is_ours && whole { message.bytes } else { 0 })
    }
}

impl Drop for Notify {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The assignments of a message that mean something here.
pub(super) fn words(message: &[u8]) -> Vec<Word> {
    let Ok(message) = std::str::from_utf8(message) else { return Vec::new() };
    let pairs = message.split('\n').filter_map(|line| line.split_once('='));
    pairs.filter_map(|(name, value)| word(name, value)).collect()
}

fn word(name: &str, value: &str) -> Option<Word> {
    match (name, value) {
        ("READY", "1") => Some(Word::Ready),
        ("STOPPING", "1") => Some(Word::Stopping),
        ("WATCHDOG", "1") => Some(Word::Beat),
        ("EXTEND_TIMEOUT_USEC", _) => {
            let micros: u64 = value.parse().ok()?;
            Some(Word::Extend(micros.div_ceil(1000)))
        }
        ("STATUS", _) => Some(Word::Status(plain(value))),
        ("X_MUXVISOR_ACTIVITY", _) => activity(value).map(Word::Doing),
        _ => None,
    }
}

/// `working`, `idle`, `blocked`, `blocked:KIND`, or `unknown`.
fn activity(value: &str) -> Option<Option<(Activity, Option<BlockKind>)>> {
    let (activity, kind) = match value.split_once(':') {
        Some((activity, kind)) => (activity, Some(BlockKind::of_word(kind)?)),
        None => (value, None),
    };
    match (Activity::of_word(activity)?, kind) {
        (Activity::Blocked, kind) => Some(Some((Activity::Blocked, kind))),
        (activity @ (Activity::Working | Activity::Idle), None) => Some(Some((activity, None))),
        (Activity::Unknown, None) => Some(None),
        (Activity::Working | Activity::Idle | Activity::RateLimited | Activity::Unknown, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_lines_of_assignments() {
        let message = b"READY=1\nSTATUS=up \x1b[31m\nWATCHDOG=1\nMAINPID=1\nnoise\nSTOPPING=1\n";
        let status = Word::Status(Some("up  [31m".to_owned()));
        assert_eq!(words(message), [Word::Ready, status, Word::Beat, Word::Stopping]);
        assert_eq!(words(b"STATUS="), [Word::Status(None)]);
        assert_eq!(words(b"EXTEND_TIMEOUT_USEC=1500001"), [Word::Extend(1501)]);
        for nothing in [
            &b""[..],
            b"READY=0",
            b"READY",
            b"STATUS=\xff",
            b"EXTEND_TIMEOUT_USEC=-1",
            b"WATCHDOG=trigger",
        ] {
            assert_eq!(words(nothing), [], "{nothing:?}");
        }
    }

    #[test]
    fn activities_have_kinds_only_when_blocked() {
        let said = |value: &str| words(format!("X_MUXVISOR_ACTIVITY={value}").as_bytes());
        let doing = |activity, kind| vec![Word::Doing(Some((activity, kind)))];
        assert_eq!(said("working"), doing(Activity::Working, None));
        assert_eq!(said("idle"), doing(Activity::Idle, None));
        assert_eq!(said("blocked"), doing(Activity::Blocked, None));
        assert_eq!(said("blocked:setup"), doing(Activity::Blocked, Some(BlockKind::Setup)));
        assert_eq!(said("unknown"), [Word::Doing(None)]);
        for nothing in ["", "asleep", "blocked:", "blocked:x", "idle:auth", "rate-limited"] {
            assert_eq!(said(nothing), [], "{nothing}");
        }
    }
}
