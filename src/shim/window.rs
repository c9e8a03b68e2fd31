//! The window the shim stands in: what is shown and typed there, and what its end means.

use std::io::{self, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::pane::Pane;
use super::{mark, os, pty, streams};
use crate::failpoint;
use crate::model::{ServerMark, Spec};

/// How long the server may take to die after its windows did: its terminals close before it is a
/// zombie, and with a thousand of them that takes a while.
const VERDICT_MS: u64 = 500;

/// An open window.
pub(super) struct Window {
    pub(super) pane: Pane,
    stdin: io::Stdin,
    stdout: io::Stdout,
}

impl Window {
    /// Takes over the terminal on 0 and 1, if the attempt has a window.
    pub(super) fn open(spec: &Spec) -> Option<Self> {
        if !spec.windowed {
            return None;
        }
        let window =
            Self { pane: Pane::new(spec.terminal.is_none()), stdin: stdin(), stdout: stdout() };
        // What cannot be made raw is no terminal, and needs nothing.
        let _ = pty::make_raw(&window.stdin);
        let _ = pty::set_nonblocking(&window.stdin);
        let _ = pty::set_nonblocking(&window.stdout);
        Some(window)
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> Option<(u16, u16)> {
        os::window_size(&self.stdin).or_else(|| os::window_size(&self.stdout))
    }

    /// Where typed bytes come from.
    pub(super) fn keyboard(&self) -> BorrowedFd<'_> {
        self.stdin.as_fd()
    }

    /// Where output goes.
    pub(super) fn screen(&self) -> BorrowedFd<'_> {
        self.stdout.as_fd()
    }

    /// What was typed; `None` when the window is gone.
    pub(super) fn typed(&self) -> Option<Vec<u8>> {
        streams::typed(&self.stdin)
    }

    /// Shows what waits, as far as the window takes it.
    pub(super) fn flush(&mut self) {
        let screen = self.stdout.as_fd();
        self.pane.flush(|bytes| failpoint::step("shim.show", || streams::show(screen, bytes)));
    }
}

/// The tmux server, watched to tell a closed window from a dead server.
pub(super) struct Server {
    mark: ServerMark,
    pidfd: Option<OwnedFd>,
    /// When the window went away, the moment to decide by.
    verdict_ms: Option<u64>,
}

/// Why a window went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server lives: somebody closed the window.
    Closed,
    /// The server died with all its windows.
    Orphaned,
}

impl Server {
    /// Begins to watch the server of `spec.json`.
    pub(super) fn watch(mark: ServerMark) -> Self {
        let pidfd = Pid::from_raw(mark.pid)
            .filter(|_| mark::is_alive(&mark))
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        // The process may have been replaced between the two looks; then it is not this one.
        let pidfd = pidfd.filter(|_| mark::is_alive(&mark));
        Self { mark, pidfd, verdict_ms: None }
    }

    /// The window is gone: a verdict is to come.
    pub(super) fn suspect(&mut self, now_ms: u64) {
        self.verdict_ms.get_or_insert(now_ms + VERDICT_MS);
    }

    /// When to ask for the verdict at the latest.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.verdict_ms
    }

    /// Readable when the server dies; only interesting while a verdict is to come.
    pub(super) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.verdict_ms.and(self.pidfd.as_ref()).map(AsFd::as_fd)
    }

    /// Decides, once.
    pub(super) fn verdict(&mut self, now_ms: u64) -> Option<Verdict> {
        let due = self.verdict_ms?;
        if !mark::is_alive(&self.mark) {
            self.verdict_ms = None;
            return Some(Verdict::Orphaned);
        }
        (now_ms >= due).then(|| {
            self.verdict_ms = None;
            Verdict::Closed
        })
    }
}
