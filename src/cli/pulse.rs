//! Whether a tmux server answers at all: one that was stopped, or hangs, takes every connection and
//! says nothing.

#![expect(clippy::disallowed_methods, reason = "it asks tmux")]

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Whether the server of this socket says anything within the time.
///
/// # Errors
/// When it cannot be asked.
pub(super) fn beats(socket: &Path, within: Duration) -> io::Result<bool> {
    let mut asked = Command::new("tmux")
        .arg("-S")
        .arg(socket)
        .args(["display-message", "-p", "alive"])
        .env_remove("TMUX")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let ended = ends(asked.id(), within);
    if !matches!(ended, Ok(true)) {
        asked.kill()?;
    }
    asked.wait()?;
    ended
}

/// Whether a child ends within the time.
fn ends(pid: u32, within: Duration) -> io::Result<bool> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    let handle = pidfd_open(pid, PidfdFlags::empty())?;
    let limit = Timespec::try_from(within).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut fds = [PollFd::new(&handle, PollFlags::IN)];
    Ok(poll(&mut fds, Some(&limit))? > 0)
}
