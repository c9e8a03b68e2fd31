//! A viewer's own terminal: made transparent while it looks, and given back as it was.

use std::io::{self, IsTerminal, Stdin, Stdout, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

use super::{os, pty, streams};

/// What a terminal without a size is taken for.
const SIZE: (u16, u16) = (80, 24);

/// The terminal on standard input and output.
pub(super) struct Screen {
    stdin: Stdin,
    stdout: Stdout,
    modes: Termios,
    flags: [OFlag; 2],
    restored: bool,
}

impl Screen {
    /// Takes over the terminal.
    pub(super) fn open() -> io::Result<Self> {
        let (stdin, stdout) = (stdin(), stdout());
        if !stdin.is_terminal() || !stdout.is_terminal() {
            return Err(io::Error::other("standard input and output must be one"));
        }
        let modes = tcgetattr(&stdin)?;
        let flags = [flags_of(stdin.as_fd())?, flags_of(stdout.as_fd())?];
        let screen = Self { stdin, stdout, modes, flags, restored: false };
        screen.make_raw();
        pty::set_nonblocking(&screen.stdin)?;
        pty::set_nonblocking(&screen.stdout)?;
        Ok(screen)
    }

    /// Lets every byte through; again after somebody else had the terminal.
    pub(super) fn make_raw(&self) {
        let _ = pty::make_raw(&self.stdin);
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (u16, u16) {
        os::window_size(&self.stdin).unwrap_or(SIZE)
    }

    /// Where typed bytes come from.
    pub(super) fn keyboard(&self) -> BorrowedFd<'_> {
        self.stdin.as_fd()
    }

    /// Where output goes.
    pub(super) fn output(&self) -> BorrowedFd<'_> {
        self.stdout.as_fd()
    }

    /// What was typed; `None` when the terminal is gone.
    pub(super) fn typed(&self) -> Option<Vec<u8>> {
        streams::typed(&self.stdin)
    }

    /// Writes as much as the terminal takes. One that is gone takes everything: its end is seen by
    /// the keyboard.
    pub(super) fn write(&self, bytes: &[u8]) -> usize {
        streams::show(self.stdout.as_fd(), bytes)
    }

    /// Gives the terminal back as it was.
    pub(super) fn restore(&mut self) {
        if !std::mem::replace(&mut self.restored, true) {
            let _ = tcsetattr(&self.stdin, SetArg::TCSANOW, &self.modes);
            for (fd, flags) in [self.stdin.as_fd(), self.stdout.as_fd()].iter().zip(self.flags) {
                let _ = fcntl(fd, FcntlArg::F_SETFL(flags));
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.restore();
    }
}

fn flags_of(fd: BorrowedFd<'_>) -> nix::Result<OFlag> {
    Ok(OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?))
}
