//! Waiting with an end: deadlines, changes in a directory, and the Ctrl-C of a person.

#![expect(clippy::disallowed_methods, reason = "the command line's one look at the clock")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// A moment after which it is too late; or never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// So long from here; never for `None`, or when that is beyond all clocks.
    pub(crate) fn after(span: Option<Duration>) -> Self {
        Self(span.and_then(|span| Instant::now().checked_add(span)))
    }

    /// How long it is until then; `None` for ever.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether it is too late.
    pub(crate) fn passed(&self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }
}

/// Tells that something changed in a directory.
#[derive(Debug)]
pub(crate) struct Notice(Option<Inotify>);

impl Notice {
    /// Watches a directory. Where the system has no watch left, [`Notice::wait`] only waits.
    pub(crate) fn on(directory: &Path) -> Self {
        let made = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC);
        let flags = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_DELETE_SELF;
        Self(made.ok().filter(|inotify| inotify.add_watch(directory, flags).is_ok()))
    }

    /// Waits for the next change, at most so long.
    pub(crate) fn wait(&self, most: Duration) {
        let most = PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX);
        match &self.0 {
            Some(inotify) => {
                let _ = poll(&mut [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)], most);
                let _ = inotify.read_events();
            }
            None => {
                let _ = poll(&mut [], most);
            }
        }
    }
}

/// Ctrl-C, as a descriptor that becomes readable.
#[derive(Debug)]
pub(crate) struct Interrupt(UnixStream);

impl Interrupt {
    /// Takes Ctrl-C over from here on.
    pub(crate) fn catch() -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(signal_hook::consts::SIGINT, theirs)?;
        Ok(Self(ours))
    }

    /// Waits until a descriptor is readable; false when Ctrl-C came first.
    pub(crate) fn readable_before(&self, other: BorrowedFd<'_>) -> bool {
        let mut ready =
            [PollFd::new(self.0.as_fd(), PollFlags::POLLIN), PollFd::new(other, PollFlags::POLLIN)];
        while poll(&mut ready, PollTimeout::NONE).is_err() {}
        !ready[0].any().unwrap_or(false)
    }

    /// Whether it came.
    pub(crate) fn is_caught(&self) -> bool {
        let mut ready = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        while poll(&mut ready, PollTimeout::ZERO).is_err() {}
        ready[0].any().unwrap_or(false)
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
