//! Who is at the other end of a connection, as the kernel says.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt::PeerPidfd};
use nix::unistd::geteuid;
use tokio::net::UnixStream;

/// Who asks, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The process that connected, when the kernel knows one in our pid namespace.
    pub pid: Option<i32>,
    /// Whether that process was gone already when we looked. Then its pid may be another's.
    pub is_gone: bool,
    /// Its user.
    pub uid: u32,
}

impl Peer {
    /// Whether it may talk to us at all: we ourselves and root may.
    pub(super) fn may_ask(self) -> bool {
        may_ask(self.uid, geteuid().as_raw())
    }
}

/// Who connected; `None` when nobody can tell any more.
pub(super) fn of(stream: &UnixStream) -> Option<Peer> {
    let credentials = stream.peer_cred().ok()?;
    let pid = credentials.pid().filter(|pid| *pid > 0);
    let is_gone = pid.is_some_and(|pid| is_gone(pid, getsockopt(stream, PeerPidfd).ok()));
    Some(Peer { pid, is_gone, uid: credentials.uid() })
}

/// Whether the process has ended. Kernels before 6.5 give no handle on it; then there may be nobody
/// of that number. Not knowing, such as without a free file descriptor, is not an end.
fn is_gone(pid: i32, handle: Option<OwnedFd>) -> bool {
    match handle {
        Some(handle) => {
            let mut fds = [PollFd::new(handle.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
        }
        None => fs::exists(format!("/proc/{pid}")).is_ok_and(|exists| !exists),
    }
}

/// Whether a user may talk to the daemon of `us`.
const fn may_ask(uid: u32, us: u32) -> bool {
    uid == us || uid == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault 58, design §3: root and we ourselves may ask, nobody else.
    #[test]
    fn only_root_and_the_owner_may_ask() {
        assert!(may_ask(1000, 1000));
        assert!(may_ask(0, 1000));
        assert!(!may_ask(1001, 1000));
        assert!(!may_ask(1000, 0));
    }

    #[test]
    fn only_a_process_that_ended_is_gone() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(!is_gone(own, None));
        assert!(is_gone(i32::MAX, None));
    }
}
