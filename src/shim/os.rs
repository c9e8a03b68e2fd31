//! The system calls without a safe wrapper: fork, signal numbers, descriptor ranges, window sizes.
//! The only file of this room that holds unsafe code.
#![expect(unsafe_code, reason = "thin wrappers around calls that nix and rustix leave unsafe")]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;

/// Which side of a fork this is.
pub(super) enum Forked {
    /// The new process.
    Child,
    /// The old one, with the pid of the new.
    Parent(i32),
}

/// Closes everything but 0, 1 and 2: what tmux or the daemon leaked to us must not live on here.
pub(super) fn close_inherited() {
    // SAFETY: the caller has opened nothing yet, so no owner of a descriptor is surprised.
    let _ = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
}

/// Marks everything but 0, 1 and 2 as closed on exec.
pub(super) fn close_rest_on_exec() {
    // The flag closes nothing; it only changes what a later exec does.
    let flags = libc::CLOSE_RANGE_CLOEXEC as libc::c_int;
    // SAFETY: takes no pointers and closes nothing in this process.
    let _ = unsafe { libc::close_range(3, libc::c_uint::MAX, flags) };
}

/// Forks the process.
pub(super) fn fork() -> nix::Result<Forked> {
    // SAFETY: the shim has exactly one thread, so the child may allocate and take locks.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Child => Ok(Forked::Child),
        nix::unistd::ForkResult::Parent { child } => Ok(Forked::Parent(child.as_raw())),
    }
}

/// Forks the process; the new one is born into the control group behind `group`. Kernels before
/// 5.7, and sandboxes that do not know the call, refuse.
pub(super) fn fork_into(group: BorrowedFd<'_>) -> nix::Result<Forked> {
    const INTO_CGROUP: u64 = 0x2_0000_0000;
    // SAFETY: all zero is a valid value of a struct of numbers.
    let mut how: libc::clone_args = unsafe { std::mem::zeroed() };
    how.flags = INTO_CGROUP;
    how.exit_signal = libc::SIGCHLD as u64;
    how.cgroup = u64::from(group.as_raw_fd().unsigned_abs());
    // SAFETY: without CLONE_VM this is a fork with a copied stack, and the shim has exactly one
    // thread, so the child may allocate and take locks. The pointer is to a live struct of the
    // length that is said.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone3, &raw const how, std::mem::size_of::<libc::clone_args>())
    };
    match Errno::result(pid)? {
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(i32::try_from(pid).map_err(|_| Errno::EOVERFLOW)?)),
    }
}

/// Ends a forked child at once, without running what the parent registered.
pub(super) fn leave(code: i32) -> ! {
    // SAFETY: `_exit` takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// Gives every signal its default action (Rust ignores SIGPIPE, and ignoring survives exec).
pub(super) fn default_signals() {
    // Why not libc's `signal`: it keeps 32 and 33 for itself, and those too may come to us ignored.
    // All zero is the kernel's `struct sigaction` of SIG_DFL without flags and mask.
    static DEFAULT: [u64; 4] = [0; 4];
    const MASK_BYTES: usize = 8;
    for number in 1..=64 {
        let (new, old) = (&raw const DEFAULT, std::ptr::null_mut::<u64>());
        // SAFETY: reads a struct that lives, writes nothing, and installs no handler; numbers that
        // cannot be changed are refused by the kernel.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, number, new, old, MASK_BYTES) };
    }
}

/// Signals a process, or with a negative number a process group, that this process is sure of.
pub(super) fn send(pid: i32, signal: i32) -> nix::Result<()> {
    // Why: 0 and -1 mean "my group" and "everybody", which is never wanted here.
    if pid == 0 || pid == -1 {
        return Err(Errno::EINVAL);
    }
    // SAFETY: takes numbers only.
    Errno::result(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Signals the very process behind a pidfd.
pub(super) fn send_to(pidfd: BorrowedFd<'_>, signal: i32) -> nix::Result<()> {
    // SAFETY: the null siginfo is what the call documents for plain signals.
    let done = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    Errno::result(done).map(drop)
}

/// Columns and rows of a terminal; `None` for anything else and for a size of zero.
pub(super) fn window_size(tty: impl AsFd) -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the pointer is to a live struct of the type this request fills.
    let done = unsafe { libc::ioctl(tty.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (done == 0 && size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// Sets a terminal's size; the kernel tells its foreground group by SIGWINCH.
pub(super) fn set_window_size(tty: impl AsFd, columns: u16, rows: u16) -> nix::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the pointer is to a live struct of the type this request reads.
    let done = unsafe { libc::ioctl(tty.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    Errno::result(done).map(drop)
}
