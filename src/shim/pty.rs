//! The terminals: the agent's own (inner), and the window's (outer), which is made transparent.

use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::libc;
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{InputFlags, LocalFlags, SetArg, cfmakeraw, tcgetattr, tcsetattr};

use crate::model::TerminalSpec;

/// An inner terminal: our side, and the agent's.
pub(super) struct Pair {
    pub(super) master: OwnedFd,
    pub(super) slave: OwnedFd,
}

/// Opens an inner terminal; both sides are closed on exec and ours never blocks.
pub(super) fn open(spec: &TerminalSpec, size: Option<(u16, u16)>) -> nix::Result<Pair> {
    let (columns, rows) = size.unwrap_or((spec.columns.max(1), spec.rows.max(1)));
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let pair = openpty(&size, None)?;
    for fd in [&pair.master, &pair.slave] {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    set_nonblocking(&pair.master)?;
    let mut modes = tcgetattr(&pair.slave)?;
    modes.local_flags.set(LocalFlags::ECHO, spec.echo);
    modes.input_flags.insert(InputFlags::from_bits_retain(libc::IUTF8));
    tcsetattr(&pair.slave, SetArg::TCSANOW, &modes)?;
    Ok(Pair { master: pair.master, slave: pair.slave })
}

/// Lets every byte through: signals and line editing are the inner terminal's business.
pub(super) fn make_raw(tty: impl AsFd) -> nix::Result<()> {
    let mut modes = tcgetattr(&tty)?;
    cfmakeraw(&mut modes);
    tcsetattr(&tty, SetArg::TCSANOW, &modes)
}

/// Reads and writes return at once.
pub(super) fn set_nonblocking(fd: impl AsFd) -> nix::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
}
