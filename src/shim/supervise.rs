//! The loop: one `poll` over signals, the agent's output, the window, the socket and the clock.
//!
//! ```text
//! running --main ended--> draining --output ended, or drain_ms--> leftovers --nobody left--> settled
//!    \-------- stop --------------------------------------------> escalation ----^
//! ```

use std::fs::File;
use std::os::fd::AsFd;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signalfd::SignalFd;

use super::dialogue::Dialogue;
use super::ending::{self, Ended};
use super::leaf::Leaf;
use super::log::Log;
use super::notify::Notify;
use super::record::Reserved;
use super::report::Reporter;
use super::socket::Socket;
use super::stop::Escalation;
use super::streams::{Inner, Source};
use super::view::Viewers;
use super::window::{Server, Verdict, Window};
use super::{family, now, os};
use crate::failpoint;
use crate::model::{Exit, KillMode, Spec, Started, StopSpec, StopStep};

/// Read at a time; only as much of it is touched as the agent says at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// How long the output may stay open after the last descendant is gone (a descriptor that was
/// passed to a stranger).
const TAIL_MS: u64 = 500;

/// Everything that was set up before the loop.
pub(super) struct Parts {
    pub(super) spec: Spec,
    /// Held for life.
    pub(super) lock: File,
    pub(super) signals: SignalFd,
    pub(super) window: Option<Window>,
    pub(super) server: Option<Server>,
    pub(super) sources: Vec<Source>,
    pub(super) inner: Option<Inner>,
    pub(super) log: Log,
    pub(super) exit: Reserved,
    pub(super) started: Started,
    pub(super) socket: Option<Socket>,
    pub(super) notify: Option<Notify>,
    pub(super) reporter: Reporter,
    pub(super) agent: i32,
    /// Its control group, if it has one.
    pub(super) leaf: Option<Leaf>,
    pub(super) began_ms: u64,
}

/// A running agent and all that is known of it.
pub(super) struct Shim {
    pub(super) parts: Parts,
    pub(super) ended: Option<Ended>,
    pub(super) escalation: Option<Escalation>,
    /// Whether somebody asked for the end, as opposed to cleaning up after it.
    pub(super) stopping: bool,
    pub(super) suspended: bool,
    pub(super) how: StopSpec,
    pub(super) steps: Vec<StopStep>,
    pub(super) dialogue: Dialogue,
    pub(super) window_closed: bool,
    /// Who looks on through the socket.
    pub(super) viewers: Viewers,
    /// Whether somebody looks at the window just now.
    pub(super) looked_at: bool,
    /// When a repaint is to end, and the size to end it with.
    pub(super) jiggle: Option<(u64, (u16, u16))>,
    /// When nobody was left to wait for.
    pub(super) empty_ms: Option<u64>,
    pub(super) unkillable: Option<Vec<i32>>,
    /// Whether the prompt was typed.
    pub(super) prompted: bool,
    pub(super) suspend_key_ms: Option<u64>,
    pub(super) resume_due_ms: Option<u64>,
    pub(super) chunk: Vec<u8>,
}

/// What `poll` found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ready {
    Signals,
    Source(usize),
    Inner,
    Keyboard,
    Screen,
    Server,
    Listener,
    Client(usize),
    Notify,
    Viewer(usize),
}

impl Shim {
    /// A shim whose agent was just released.
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            how: parts.spec.stop.clone(),
            parts,
            ended: None,
            escalation: None,
            stopping: false,
            suspended: false,
            steps: Vec::new(),
            dialogue: Dialogue::default(),
            window_closed: false,
            viewers: Viewers::default(),
            looked_at: false,
            jiggle: None,
            empty_ms: None,
            unkillable: None,
            prompted: false,
            suspend_key_ms: None,
            resume_due_ms: None,
            chunk: vec![0; CHUNK_BYTES],
        }
    }

    /// Watches until the whole set is gone and its output is in the log.
    pub(super) fn watch(&mut self) {
        self.reap();
        while !self.is_settled() {
            for ready in self.wait() {
                self.handle(ready);
            }
            self.advance(now::monotonic_ms());
        }
        self.drain_rest();
    }

    fn is_settled(&self) -> bool {
        let drained = self.parts.sources.iter().all(|source| source.fd.is_none());
        let waited = self.empty_ms.is_some_and(|at| now::monotonic_ms() >= at + TAIL_MS);
        self.unkillable.is_some()
            || (self.empty_ms.is_some() && (drained || waited))
            || self.lets_go(now::monotonic_ms(), drained)
    }

    fn wait(&self) -> Vec<Ready> {
        let (ready, mut fds) = self.interests();
        let timeout = self.next_due_ms().map_or(PollTimeout::NONE, |due| {
            let ms = due.saturating_sub(now::monotonic_ms()).min(60_000);
            PollTimeout::try_from(ms).unwrap_or(PollTimeout::ZERO)
        });
        if poll(&mut fds, timeout).is_err() {
            return Vec::new();
        }
        let hit = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
        ready.into_iter().zip(&fds).filter(|(_, fd)| hit(fd)).map(|(what, _)| what).collect()
    }

    fn interests(&self) -> (Vec<Ready>, Vec<PollFd<'_>>) {
        let parts = &self.parts;
        let mut all = vec![(Ready::Signals, PollFd::new(parts.signals.as_fd(), PollFlags::POLLIN))];
        for (i, source) in parts.sources.iter().enumerate() {
            if let Some(fd) = &source.fd {
                all.push((Ready::Source(i), PollFd::new(fd.as_fd(), PollFlags::POLLIN)));
            }
        }
        if let Some(inner) = parts.inner.as_ref().filter(|inner| !inner.typed.is_empty()) {
            all.push((Ready::Inner, PollFd::new(inner.master.as_fd(), PollFlags::POLLOUT)));
        }
        if let Some(window) = &parts.window {
            if self.typed_bytes() < 64 * 1024 {
                all.push((Ready::Keyboard, PollFd::new(window.keyboard(), PollFlags::POLLIN)));
            }
            if window.pane.waits_for_window() {
                all.push((Ready::Screen, PollFd::new(window.screen(), PollFlags::POLLOUT)));
            }
        }
        if let Some(pidfd) = parts.server.as_ref().and_then(Server::pidfd) {
            all.push((Ready::Server, PollFd::new(pidfd, PollFlags::POLLIN)));
        }
        if let Some(socket) = &parts.socket {
            all.push((Ready::Listener, PollFd::new(socket.listener(), PollFlags::POLLIN)));
            for (i, (fd, unsent)) in socket.clients().enumerate() {
                let room = if unsent { PollFlags::POLLOUT } else { PollFlags::empty() };
                all.push((Ready::Client(i), PollFd::new(fd, PollFlags::POLLIN | room)));
            }
        }
        if let Some(notify) = &parts.notify {
            all.push((Ready::Notify, PollFd::new(notify.fd(), PollFlags::POLLIN)));
        }
        for (i, (fd, waits)) in self.viewers.streams().enumerate() {
            let room = if waits { PollFlags::POLLOUT } else { PollFlags::empty() };
            let keys = if self.typed_bytes() < 64 * 1024 { PollFlags::POLLIN } else { room };
            all.push((Ready::Viewer(i), PollFd::new(fd, keys | room)));
        }
        all.into_iter().unzip()
    }

    fn next_due_ms(&self) -> Option<u64> {
        let draining = self.ended.filter(|_| self.escalation.is_none() && self.empty_ms.is_none());
        [
            self.parts.window.as_ref().and_then(|window| window.pane.due_ms()),
            self.parts.server.as_ref().and_then(Server::due_ms),
            self.viewers.due_ms(),
            self.jiggle.map(|(due, _)| due),
            self.parts.inner.as_ref().and_then(|inner| inner.enter_due_ms),
            self.escalation.as_ref().and_then(Escalation::next_due_ms),
            draining.map(|ended| ended.monotonic_ms + self.parts.spec.drain_ms),
            self.empty_ms.map(|at| at + TAIL_MS),
            self.resume_due_ms,
            self.parts.reporter.due_ms(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn handle(&mut self, ready: Ready) {
        match ready {
            Ready::Signals => self.take_signals(),
            Ready::Source(index) => drop(self.drain(index)),
            Ready::Inner => self.parts.inner.iter_mut().for_each(Inner::push),
            Ready::Keyboard => self.take_typed(),
            Ready::Screen => self.parts.window.iter_mut().for_each(Window::flush),
            // The verdict is asked for after every round.
            Ready::Server => {}
            Ready::Listener => self.parts.socket.iter_mut().for_each(Socket::accept),
            Ready::Client(index) => self.serve(index),
            Ready::Notify => self.hear(),
            Ready::Viewer(index) => self.hear_viewer(index),
        }
    }

    /// Does what the clock and the last events call for.
    fn advance(&mut self, now_ms: u64) {
        if let Some(socket) = &mut self.parts.socket {
            socket.sweep();
        }
        if let Some(window) = &mut self.parts.window
            && window.pane.due_ms().is_some_and(|due| due <= now_ms)
        {
            window.flush();
        }
        self.attend_viewers(now_ms);
        match self.parts.server.as_mut().and_then(|server| server.verdict(now_ms)) {
            Some(Verdict::Closed) if self.ended.is_none() && !self.stopping => {
                self.window_closed = true;
                self.stop(now_ms, None);
            }
            Some(Verdict::Closed | Verdict::Orphaned) | None => {}
        }
        if self.resume_due_ms.is_some_and(|due| due <= now_ms) {
            self.resume_due_ms = None;
            // The leader is our unreaped child, so its group is still its own.
            let _ = os::send(-self.parts.agent, libc::SIGCONT);
        }
        self.parts.reporter.settle(now_ms);
        self.press_enter(now_ms);
        self.end_leftovers(now_ms);
        self.escalate(now_ms);
    }

    fn take_signals(&mut self) {
        while let Ok(Some(info)) = self.parts.signals.read_signal() {
            let now_ms = now::monotonic_ms();
            match info.ssi_signo.cast_signed() {
                libc::SIGCHLD => self.reap(),
                libc::SIGTERM if self.stopping => self.kill(now_ms),
                libc::SIGTERM => self.stop(now_ms, None),
                libc::SIGHUP => self.lose_window(now_ms),
                libc::SIGWINCH => self.follow_size(),
                // SIGINT, SIGQUIT, SIGTSTP and the rest are the agent's business, through its
                // own terminal.
                _ => {}
            }
        }
    }

    /// Writes `exit.json`, shows the rest, and returns the code for the shim's own exit.
    pub(super) fn finish(mut self) -> i32 {
        self.parts.log.close(now::monotonic_ms());
        self.hear_out();
        let exit = self.exit();
        let leaf = self.parts.leaf.iter();
        leaf.for_each(|leaf| failpoint::step("shim.remove-group", || leaf.remove()));
        let code = self.ended.map_or(128 + libc::SIGKILL, Ended::shim_code);
        let written = self.parts.exit.publish(&exit);
        // Whoever hears that it is over finds the record, and nobody new is let in.
        failpoint::step("shim.close-socket", || drop(self.parts.socket.take()));
        failpoint::step("shim.close-notify", || drop(self.parts.notify.take()));
        failpoint::step("shim.draw-curtain", || self.draw_curtain());
        // Last, because a busy disk takes seconds for it, in which the window would show too little.
        let synced = || failpoint::io("shim.sync-exit", || self.parts.exit.sync());
        let written = written.and_then(|()| synced());
        failpoint::step("shim.leave", || drop(self.parts.lock));
        if written.is_ok() { code } else { 74 }
    }

    fn exit(&mut self) -> Exit {
        let spec = &self.parts.spec;
        let mut exit = Exit {
            stop: std::mem::take(&mut self.steps),
            unkillable: self.unkillable.take().unwrap_or_default(),
            window_closed: self.window_closed,
            oom: self.parts.leaf.as_ref().is_some_and(Leaf::starved),
            usage: ending::usage(),
            started_ms: self.parts.started.at_ms,
            log_bytes: self.parts.log.bytes(),
            log_gap: self.parts.log.has_gap(),
            ..ending::blank(spec)
        };
        if self.how.mode == KillMode::Process && self.empty_ms.is_none() {
            exit.left = family::living();
        }
        if let Some(ended) = self.ended {
            (exit.code, exit.signal, exit.core) = (ended.code, ended.signal, ended.core);
            exit.ended_ms = ended.wall_ms;
            exit.ran_ms = ended.monotonic_ms.saturating_sub(self.parts.began_ms);
        }
        exit
    }
}
