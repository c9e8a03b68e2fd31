//! Who looks at the agent through the shim's socket: each viewer has a queue of its own, filled,
//! batched and shortened like that of the shim's window, so that a stuck one holds nobody.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use super::frames::{Decoder, Frame};
use super::pane::Pane;
use crate::failpoint;
use crate::model::ServerMark;

/// Viewers at a time; the oldest that stands in no window makes room for a new one.
const VIEWERS_MAX: usize = 8;

/// One who looks on.
pub(super) struct Viewer {
    stream: UnixStream,
    frames: Decoder,
    pub(super) pane: Pane,
    /// Columns and rows of its terminal.
    size: (u16, u16),
    /// The tmux server that its window is in; `None` for a person's own terminal.
    server: Option<ServerMark>,
    gone: bool,
}

impl Viewer {
    /// A viewer that has sent `received` after its request.
    pub(super) fn new(
        stream: UnixStream,
        received: Vec<u8>,
        size: (u16, u16),
        server: Option<ServerMark>,
        add_returns: bool,
    ) -> Self {
        let (frames, pane) = (Decoder::with(received), Pane::new(add_returns));
        Self { stream, frames, pane, size, server, gone: false }
    }

    /// Writes the line that says it may look; false when it does not even take that.
    pub(super) fn greet(&mut self, line: &[u8]) -> bool {
        self.stream.write_all(line).is_ok()
    }

    /// Offers what waits to its terminal.
    pub(super) fn flush(&mut self) {
        let stream = &mut self.stream;
        self.pane.flush(|bytes| {
            let mut done = 0;
            while done < bytes.len() {
                match failpoint::io("shim.show-viewer", || stream.write(&bytes[done..])) {
                    Ok(n) => done += n,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // One that is gone takes everything. What it said last is still to be heard.
                    Err(_) => return bytes.len(),
                }
            }
            done
        });
    }

    fn hear(&mut self) -> Vec<Frame> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.gone = true,
            Ok(n) => self.frames.push(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.gone = true,
        }
        let mut heard = Vec::new();
        loop {
            match self.frames.next() {
                Ok(Some(frame)) => heard.push(frame),
                Ok(None) => return heard,
                Err(_) => {
                    self.gone = true;
                    return heard;
                }
            }
        }
    }
}

/// Something that a viewer did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It typed.
    Typed(Vec<u8>),
    /// Its terminal has another size.
    Resized,
    /// Its window in this server went away.
    HungUp(ServerMark),
}

/// All who look on, the oldest first.
#[derive(Default)]
pub(super) struct Viewers {
    all: Vec<Viewer>,
}

impl Viewers {
    /// Lets a new one in.
    pub(super) fn admit(&mut self, viewer: Viewer) {
        if self.all.len() >= VIEWERS_MAX {
            let bare = self.all.iter().position(|other| other.server.is_none());
            self.all.remove(bare.unwrap_or(0));
        }
        self.all.push(viewer);
    }

    /// Whether nobody looks.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many windows show the agent.
    pub(super) fn windows(&self) -> u32 {
        let count = self.all.iter().filter(|viewer| viewer.server.is_some()).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The size of the newest one's terminal.
    pub(super) fn size(&self) -> Option<(u16, u16)> {
        self.all.last().map(|viewer| viewer.size)
    }

    /// Their streams, and whether each waits for room to be written to.
    pub(super) fn streams(&self) -> impl Iterator<Item = (BorrowedFd<'_>, bool)> {
        self.all.iter().map(|viewer| (viewer.stream.as_fd(), viewer.pane.waits_for_window()))
    }

    /// All of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Viewer> {
        self.all.iter_mut()
    }

    /// When the next batch of any is due.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.all.iter().filter_map(|viewer| viewer.pane.due_ms()).min()
    }

    /// Shows every batch that is due.
    pub(super) fn flush_due(&mut self, now_ms: u64) {
        let due = |viewer: &&mut Viewer| viewer.pane.due_ms().is_some_and(|due| due <= now_ms);
        self.all.iter_mut().filter(due).for_each(Viewer::flush);
    }

    /// Whether anything waits to be shown.
    pub(super) fn wait(&self) -> bool {
        self.all.iter().any(|viewer| !viewer.gone && !viewer.pane.is_empty())
    }

    /// Hears what the one of this index did, and lets it have what it takes.
    pub(super) fn hear(&mut self, index: usize, now_ms: u64) -> Vec<Heard> {
        let Some(viewer) = self.all.get_mut(index) else { return Vec::new() };
        if viewer.pane.waits_for_window() {
            viewer.flush();
        }
        let mut heard = Vec::new();
        for frame in viewer.hear() {
            match frame {
                Frame::Input(bytes) => {
                    viewer.pane.typed(now_ms);
                    heard.push(Heard::Typed(bytes));
                }
                Frame::Size { columns, rows } if columns > 0 && rows > 0 => {
                    viewer.size = (columns, rows);
                    heard.push(Heard::Resized);
                }
                Frame::Size { .. } => viewer.gone = true,
                Frame::Hangup => {
                    viewer.gone = true;
                    heard.extend(viewer.server.clone().map(Heard::HungUp));
                }
            }
        }
        heard
    }

    /// Forgets those that have gone; whether there were any.
    pub(super) fn sweep(&mut self) -> bool {
        let before = self.all.len();
        self.all.retain(|viewer| !viewer.gone);
        self.all.len() < before
    }
}
