//! Binds the life of a program that the daemon runs to its own: what a killed daemon was asking is
//! of no use to anybody any more.
#![expect(unsafe_code, reason = "what happens between fork and exec is unsafe by nature")]

use std::io;

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid};
use tokio::process::Command;

/// Has the kernel kill the program when the thread that starts it ends, which for the daemon's loop
/// is the daemon.
pub(super) fn bind(command: &mut Command) {
    let daemon = getpid();
    // SAFETY: `follow` only makes system calls, which is what a child may do after `fork` in a
    // program with threads: it allocates nothing and takes no lock.
    unsafe { command.pre_exec(move || follow(daemon)) };
}

fn follow(daemon: Pid) -> io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    // It may have died before that was asked for.
    if getppid() == daemon { Ok(()) } else { Err(Errno::ESRCH.into()) }
}
