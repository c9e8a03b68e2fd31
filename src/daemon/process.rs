//! Processes as the daemon meets them: recognised by pid and start time, watched by pidfd.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
pub(super) use rustix::process::Signal;
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, getrlimit, pidfd_open, pidfd_send_signal, setrlimit,
};

use crate::model::{ProcessMark, ProcessStat};

/// Allows this process as many file descriptors as it may have at all: each attempt takes one, and
/// the usual 1024 are fewer than the attempts that one daemon can hold. What was refused is found
/// out when it is needed.
pub(super) fn raise_descriptor_limit() {
    let most = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
}

/// What the kernel says of a process; `None` when there is none.
pub(super) fn stat(pid: i32) -> io::Result<Option<ProcessStat>> {
    match fs::read(format!("/proc/{pid}/stat")) {
        Ok(bytes) => Ok(ProcessStat::parse(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The mark of a process that runs now. One that is gone already has start time 0, which no
/// process has.
pub(super) fn mark(pid: i32, boot_id: &str) -> ProcessMark {
    let start_ticks = stat(pid).ok().flatten().map_or(0, |stat| stat.start_ticks);
    ProcessMark { pid, start_ticks, boot_id: boot_id.to_owned() }
}

/// A handle on exactly the marked process; `None` when it is gone or its pid was reused.
///
/// # Errors
/// When that cannot be known just now, such as without a free file descriptor. Not knowing is
/// never read as death.
pub(super) fn open(mark: &ProcessMark, boot_id: &str) -> io::Result<Option<OwnedFd>> {
    let Some(handle) = open_ended(mark, boot_id)? else { return Ok(None) };
    Ok(stat(mark.pid)?.is_some_and(|stat| stat.can_run()).then_some(handle))
}

/// Like [`open`], and also for a process that is over and was not waited for yet.
///
/// # Errors
/// As [`open`].
pub(super) fn open_ended(mark: &ProcessMark, boot_id: &str) -> io::Result<Option<OwnedFd>> {
    if mark.boot_id != boot_id || mark.start_ticks == 0 {
        return Ok(None);
    }
    let Some(pid) = Pid::from_raw(mark.pid) else { return Ok(None) };
    let handle = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => handle,
        // Nobody, or by now a thread of somebody else.
        Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    // The pid may have been reused before the handle was opened, but not after.
    let ticks = stat(mark.pid)?.map(|stat| stat.start_ticks);
    Ok((ticks == Some(mark.start_ticks)).then_some(handle))
}

/// Sends a signal to exactly the marked process; false when it is gone or out of reach.
pub(super) fn signal(mark: &ProcessMark, boot_id: &str, signal: Signal) -> bool {
    let handle = open(mark, boot_id).ok().flatten();
    handle.is_some_and(|handle| pidfd_send_signal(&handle, signal).is_ok())
}

/// Whether there is such a process and it can still do anything.
pub(super) fn lives(pid: i32) -> bool {
    stat(pid).ok().flatten().is_some_and(|stat| stat.can_run())
}

/// The letter of the state of exactly the marked process; `None` when it is gone.
///
/// # Errors
/// When that cannot be known just now.
pub(super) fn state(mark: &ProcessMark) -> io::Result<Option<char>> {
    let found = stat(mark.pid)?.filter(|stat| stat.start_ticks == mark.start_ticks);
    Ok(found.map(|stat| stat.state))
}

/// Takes the exit status of a child of ours, so that it does not stay a zombie. A process that is
/// not our child is somebody else's to reap.
pub(super) fn reap(pid: i32) {
    // 0 and below mean whole groups, and would take the status of a child somebody waits for.
    if pid > 0 {
        let pid = nix::unistd::Pid::from_raw(pid);
        let _ = nix::sys::wait::waitpid(pid, Some(nix::sys::wait::WaitPidFlag::WNOHANG));
    }
}

/// Lets so many milliseconds pass, for what the kernel gives no notice of. Blocking.
pub(super) fn pause(ms: u32) {
    // A signal may cut it short.
    let _ = rustix::event::poll(&mut [], Some(&span(ms)));
}

fn span(ms: u32) -> Timespec {
    Timespec { tv_sec: i64::from(ms / 1000), tv_nsec: i64::from(ms % 1000) * 1_000_000 }
}

/// Waits for the end of a process, at most so many milliseconds; whether it is known to be gone.
pub(super) fn gone_within(mark: &ProcessMark, boot_id: &str, ms: u32) -> bool {
    let handle = match open(mark, boot_id) {
        Ok(Some(handle)) => handle,
        Ok(None) => return true,
        Err(_) => return false,
    };
    let mut fds = [PollFd::new(&handle, PollFlags::IN)];
    rustix::event::poll(&mut fds, Some(&span(ms))).is_ok_and(|ready| ready > 0)
}
