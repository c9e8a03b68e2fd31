//! The agent's streams as the shim holds them: its output, and the keyboard of its terminal; and
//! the ones of the terminal that shows it.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::{read, write};

use super::pty::Pair;
use crate::failpoint;

/// One stream of the agent's output.
pub(super) struct Source {
    pub(super) fd: Option<OwnedFd>,
    pub(super) stream: char,
}

impl Source {
    /// Reads `fd`, which must not block, as the index's `stream`.
    pub(super) fn new(fd: OwnedFd, stream: char) -> Self {
        Self { fd: Some(fd), stream }
    }
}

/// The inner terminal, seen from its keyboard.
pub(super) struct Inner {
    pub(super) master: OwnedFd,
    /// Held while the main process lives, so that the terminal has no end before it does.
    pub(super) slave: Option<OwnedFd>,
    pub(super) typed: VecDeque<u8>,
    pub(super) enter_due_ms: Option<u64>,
}

impl Inner {
    /// Takes the pair.
    pub(super) fn new(pair: Pair) -> Self {
        let (master, slave) = (pair.master, Some(pair.slave));
        Self { master, slave, typed: VecDeque::new(), enter_due_ms: None }
    }

    /// Hands over what the terminal takes.
    pub(super) fn push(&mut self) {
        while !self.typed.is_empty() {
            let wrote =
                failpoint::step("shim.type", || write(&self.master, self.typed.as_slices().0));
            match wrote {
                Ok(n) => drop(self.typed.drain(..n)),
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
        self.typed.shrink_to(4096);
    }
}

/// Reads what is there, up to a chunk; and whether the stream is over.
pub(super) fn read_some(fd: &OwnedFd, chunk: &mut [u8]) -> (usize, bool) {
    let mut filled = 0;
    while filled < chunk.len() {
        match read(fd, &mut chunk[filled..]) {
            Ok(0) => return (filled, true),
            Ok(n) => {
                filled += n;
                // A short piece was most likely the last: asking again would cost a call.
                if n < 1024 {
                    break;
                }
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => break,
            // EIO is how a terminal says that nobody holds its other side.
            Err(_) => return (filled, true),
        }
    }
    (filled, false)
}

/// What was typed into a terminal that does not block; `None` when it is gone.
pub(super) fn typed(keyboard: impl AsFd) -> Option<Vec<u8>> {
    let mut buffer = [0; 4096];
    match read(keyboard, &mut buffer) {
        Ok(0) => None,
        Ok(n) => Some(buffer[..n].to_vec()),
        Err(Errno::EAGAIN | Errno::EINTR) => Some(Vec::new()),
        Err(_) => None,
    }
}

/// Writes as much as a terminal takes, and says how much. One that is gone takes everything: its
/// end is seen by the keyboard.
pub(super) fn show(screen: BorrowedFd<'_>, bytes: &[u8]) -> usize {
    let mut done = 0;
    while done < bytes.len() {
        match write(screen, &bytes[done..]) {
            Ok(n) => done += n,
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => break,
            Err(_) => return bytes.len(),
        }
    }
    done
}
