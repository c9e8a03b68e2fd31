//! Who is at the other end of a connection, as the kernel says.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt::PeerPidfd};
use nix::unistd::geteuid;
use tokio::net::UnixStream;

use crate::model::ProcessStat;

/// Who asks, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The process that connected, when the kernel knows one in our pid namespace.
    pub pid: Option<i32>,
    /// When that process started, in ticks since boot; `None` when it was gone already. Then its
    /// pid may be another's.
    pub start_ticks: Option<u64>,
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
    let start_ticks = pid.and_then(|pid| start_ticks(pid, getsockopt(stream, PeerPidfd).ok()));
    Some(Peer { pid, start_ticks, uid: credentials.uid() })
}

/// When the process started. What is read under its number is its own as long as the handle on it
/// says that it lives; kernels before 6.5 give no handle, and the moment since it connected is
/// trusted.
fn start_ticks(pid: i32, handle: Option<OwnedFd>) -> Option<u64> {
    let stat = ProcessStat::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)?;
    let lives = handle.is_none_or(|handle| {
        let mut fds = [PollFd::new(handle.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready == 0)
    });
    lives.then_some(stat.start_ticks)
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
    fn a_process_without_a_start_is_none() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(start_ticks(own, None).is_some());
        assert_eq!(start_ticks(i32::MAX, None), None);
    }
}
