//! Serves viewers: lets them in with what they need to see, hears what they type, and follows the
//! size of the newest one.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::message::Reply;
use super::supervise::Shim;
use super::view::{Heard, Viewer};
use super::window::{Server, Window};
use super::{now, replay};
use crate::failpoint;
use crate::model::ServerMark;

/// How much of the log's end is looked at for the last screenful.
const TAIL_BYTES: usize = 32 * 1024;
/// How long a program sees a size that is one row short, so that it notices and paints anew.
const JIGGLE_MS: u64 = 60;
/// How long windows may take to show the end.
const CURTAIN_MS: u64 = 300;

impl Shim {
    /// Makes a viewer of the client of this index.
    pub(super) fn admit(
        &mut self,
        client: usize,
        (columns, rows): (u16, u16),
        server: Option<ServerMark>,
    ) {
        let taken = self.parts.socket.as_mut().and_then(|socket| socket.take(client));
        let Some((stream, received)) = taken else { return };
        let piped = self.parts.inner.is_none();
        let mut viewer = Viewer::new(stream, received, (columns, rows), server, piped);
        let mut line = serde_json::to_vec(&Reply::Done).unwrap_or_default();
        line.push(b'\n');
        if !viewer.greet(&line) {
            return;
        }
        let (now_ms, modes) = (now::monotonic_ms(), self.dialogue.modes());
        if !modes.is_alternate() {
            let tail = self.parts.log.tail(TAIL_BYTES);
            viewer.pane.push(now_ms, now::wall_ms(), &replay::screenful(&tail, rows));
        }
        viewer.pane.push(now_ms, now::wall_ms(), &modes.replay());
        viewer.pane.look(self.looked_at);
        viewer.flush();
        self.viewers.admit(viewer);
        self.repaint(now_ms, columns, rows);
    }

    /// Gives the inner terminal a size so that the program behind it paints anew, even if it had
    /// that size already.
    fn repaint(&mut self, now_ms: u64, columns: u16, rows: u16) {
        if self.size() != Some((columns, rows)) {
            self.jiggle = None;
            return self.resize(columns, rows);
        }
        self.resize(columns, if rows > 1 { rows - 1 } else { rows + 1 });
        self.jiggle = Some((now_ms + JIGGLE_MS, (columns, rows)));
    }

    /// Hears the viewer of this index.
    pub(super) fn hear_viewer(&mut self, index: usize) {
        let now_ms = now::monotonic_ms();
        let heard = failpoint::step("shim.hear-viewer", || self.viewers.hear(index, now_ms));
        for heard in heard {
            match heard {
                Heard::Typed(bytes) => self.take_keys(&bytes),
                Heard::Resized => self.follow_size(),
                Heard::HungUp(mark) => {
                    let mut server = Server::watch(mark);
                    server.suspect(now_ms);
                    self.parts.server = Some(server);
                }
            }
        }
    }

    /// Shows viewers what is due, forgets those that left, and ends a repaint.
    pub(super) fn attend_viewers(&mut self, now_ms: u64) {
        self.viewers.flush_due(now_ms);
        let left = self.viewers.sweep();
        let jiggled = self.jiggle.is_some_and(|(due, _)| due <= now_ms);
        if left || jiggled {
            self.follow_size();
        }
    }

    /// Takes the size of the newest who looks: a viewer, or else the window.
    pub(super) fn follow_size(&mut self) {
        let meant = self.jiggle.take().map(|(_, size)| size);
        let window = || self.parts.window.as_ref().and_then(Window::size);
        if let Some((columns, rows)) = self.viewers.size().or_else(window).or(meant)
            && self.size() != Some((columns, rows))
        {
            self.resize(columns, rows);
        }
    }

    /// Whether a terminal somewhere shows the agent, and answers for it.
    pub(super) fn is_shown(&self) -> bool {
        self.parts.window.is_some() || !self.viewers.is_empty()
    }

    /// Somebody looks at the window, or no longer.
    pub(super) fn look(&mut self, fast: bool) {
        self.looked_at = fast;
        self.parts.window.iter_mut().for_each(|window| window.pane.look(fast));
        self.viewers.iter_mut().for_each(|viewer| viewer.pane.look(fast));
    }

    /// Shows what was not shown yet, for as long as windows may take.
    pub(super) fn draw_curtain(&mut self) {
        let end = now::monotonic_ms() + CURTAIN_MS;
        loop {
            self.parts.window.iter_mut().for_each(Window::flush);
            self.viewers.iter_mut().for_each(Viewer::flush);
            let window = self.parts.window.as_ref().filter(|window| !window.pane.is_empty());
            if (window.is_none() && !self.viewers.wait()) || now::monotonic_ms() >= end {
                return;
            }
            let viewers = self.viewers.streams().filter(|(_, waits)| *waits).map(|(fd, _)| fd);
            let all = window.map(Window::screen).into_iter().chain(viewers);
            let mut fds: Vec<_> = all.map(|fd| PollFd::new(fd, PollFlags::POLLOUT)).collect();
            let _ = poll(&mut fds, PollTimeout::from(50u8));
        }
    }
}
