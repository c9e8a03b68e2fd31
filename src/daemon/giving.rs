//! Gives every living agent a window that has lost its own (design §7), keeps what is known of
//! windows in step with what people do to them, and shows sooner what somebody looks at.
//!
//! The agents notice nothing: their shims hold them, and a window is only where they are shown.

use std::collections::BTreeSet;
use std::path::Path;

use crate::failpoint;
use crate::model::{AttemptId, AttemptRow, Order, Outcome, ProcessMark, ServerMark};
use crate::shim;
use crate::supervisor::Event;
use crate::tmux::{Opened, PaneSeen, Tmux};

use super::adopt::{self, Place};
use super::engine::Engine;
use super::windows::{Given, UNSEEN_TRIES, WindowNews, Wish, pause};
use super::{Inbox, Incoming, Input};

impl Engine {
    pub(super) fn windows_said(&mut self, news: WindowNews) {
        match news {
            WindowNews::Launched { attempt, shim, place, server } => {
                self.launched(attempt, shim, place, server.as_ref());
            }
            WindowNews::Listed { server, panes } if self.is_current(&server) => {
                self.compare(&panes);
            }
            WindowNews::Given { attempt, server, tries, outcome } if self.is_current(&server) => {
                self.given(attempt, tries, outcome);
            }
            WindowNews::Again { attempt, server, tries } if self.is_current(&server) => {
                self.windows.wanted.remove(&attempt);
                self.give_window(&attempt, tries);
            }
            WindowNews::Left { server, window, success } if self.is_current(&server) => {
                self.decide(Input::Supervisor(Event::WindowLeft { window, success }));
            }
            // What was done in a server that died meanwhile is gone with it.
            WindowNews::Listed { .. }
            | WindowNews::Given { .. }
            | WindowNews::Again { .. }
            | WindowNews::Left { .. } => {}
            WindowNews::Looked(windows) => self.looked(&windows),
        }
    }

    fn is_current(&self, server: &ServerMark) -> bool {
        self.server() == Some(server)
    }

    /// The tmux server, while there is one.
    pub(super) fn server(&self) -> Option<&ServerMark> {
        self.tmux.as_ref().map(Tmux::server)
    }

    fn launched(
        &mut self,
        attempt: AttemptId,
        shim: ProcessMark,
        place: Place,
        server: Option<&ServerMark>,
    ) {
        // The ids of a server that died meanwhile may be those of other windows in the next.
        let stands = server.is_some_and(|server| self.is_current(server));
        let (pane, window) = if stands { place } else { (None, None) };
        let event = Event::Launched { attempt: attempt.clone(), shim, pane, window };
        self.decide(Input::Supervisor(event));
        let row = self.core.supervisor.attempt(&attempt);
        if row.is_some_and(|row| row.order.windowed && row.window.is_none()) {
            self.give_window(&attempt, 0);
        }
    }

    /// Compares all attempts with the panes that are there.
    fn compare(&mut self, panes: &[PaneSeen]) {
        let rows: Vec<AttemptRow> = self.core.supervisor.attempts().cloned().collect();
        for row in rows.iter().filter(|row| row.order.windowed) {
            let Some(shim) = row.shim.clone() else { continue };
            let dir = self.attempt_dir(&row.order.attempt);
            let attempt = row.order.attempt.clone();
            match adopt::pane_of(panes, &row.order, &dir).filter(|pane| !pane.dead) {
                Some(pane) => {
                    let (pane, window) = (Some(pane.pane.clone()), Some(pane.window.clone()));
                    if (&row.pane, &row.window) != (&pane, &window) {
                        let event = Event::Launched { attempt, shim, pane, window };
                        self.decide(Input::Supervisor(event));
                    }
                }
                None => self.give_window(&attempt, 0),
            }
            self.drop_dead_views(panes, &row.order, &dir);
        }
        self.sweep_windows(panes);
        self.finish_outage();
    }

    /// Closes what viewers that were killed left of their windows.
    pub(super) fn drop_dead_views(&mut self, panes: &[PaneSeen], order: &Order, dir: &Path) {
        let left = panes.iter().filter(|pane| pane.dead && adopt::is_view(pane, order, dir));
        for pane in left {
            let window = pane.window.clone();
            self.decide(Input::Supervisor(Event::WindowLeft { window, success: true }));
        }
    }

    /// Gives windows to all attempts that should have one and have none.
    pub(super) fn give_windows(&mut self) {
        let lack = |row: &&AttemptRow| row.order.windowed && row.window.is_none();
        let all: Vec<AttemptId> = self
            .core
            .supervisor
            .attempts()
            .filter(lack)
            .map(|row| row.order.attempt.clone())
            .collect();
        all.iter().for_each(|attempt| self.give_window(attempt, 0));
        self.finish_outage();
    }

    /// A window is gone. If it was closed, its shim is about to stop; if not, there is another.
    pub(super) fn window_closed(&mut self, window: &str) {
        let of = |row: &&AttemptRow| row.window.as_deref() == Some(window);
        let attempt = self.core.supervisor.attempts().find(of).map(|row| row.order.attempt.clone());
        if let Some(attempt) = attempt {
            self.give_window(&attempt, 0);
        }
    }

    fn give_window(&mut self, attempt: &AttemptId, tries: u32) {
        let Some(tmux) = self.tmux.clone() else { return };
        let Some(row) = self.core.supervisor.attempt(attempt) else { return };
        // Without a shim a launch is under way, which makes its own window.
        if row.shim.is_none() || !self.windows.wanted.insert(attempt.clone()) {
            return;
        }
        let wish = Wish {
            order: row.order.clone(),
            dir: self.attempt_dir(attempt),
            socket: self.settings.home.shim_socket(attempt),
            program: self.settings.program.clone(),
        };
        let (inbox, attempt) = (self.inbox.clone(), attempt.clone());
        tokio::spawn(async move {
            let outcome = wish.grant(&tmux).await;
            let server = tmux.server().clone();
            let news = WindowNews::Given { attempt, server, tries, outcome };
            failpoint::step("window.report", || inbox.put(Incoming::Windows(news)));
        });
    }

    fn given(&mut self, attempt: AttemptId, tries: u32, outcome: Given) {
        match outcome {
            Given::Window(opened) => self.keep_given(&attempt, opened),
            Given::Unseen if tries < UNSEEN_TRIES => return self.give_again(attempt, tries),
            Given::Unneeded | Given::Unseen => {}
            Given::NotYet(why) => {
                if tries == 0 {
                    tracing::warn!("attempt {attempt} has no window yet: {why}");
                }
                return self.give_again(attempt, tries);
            }
        }
        self.windows.wanted.remove(&attempt);
        self.finish_outage();
    }

    fn keep_given(&mut self, attempt: &AttemptId, opened: Opened) {
        let Opened { pane, window, pid: _ } = opened;
        let row = self.core.supervisor.attempt(attempt);
        let Some(shim) = row.and_then(|row| row.shim.clone()) else {
            // It ended meanwhile, and so did what was to show it.
            let found = self.reader.attempt(attempt).ok().flatten();
            let end = found.and_then(|record| record.row.end);
            let success = end.is_some_and(|end| end.outcome == Outcome::Success);
            return self.decide(Input::Supervisor(Event::WindowLeft { window, success }));
        };
        tracing::info!("attempt {attempt} is shown in window {window}");
        let attempt = attempt.clone();
        let (pane, window) = (Some(pane), Some(window));
        self.decide(Input::Supervisor(Event::Launched { attempt, shim, pane, window }));
        if let Some(outage) = self.windows.last.as_mut().filter(|outage| !outage.over) {
            outage.given_back += 1;
        }
    }

    fn give_again(&self, attempt: AttemptId, tries: u32) {
        let Some(server) = self.tmux.as_ref().map(|tmux| tmux.server().clone()) else { return };
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause(tries)).await;
            let tries = tries + 1;
            inbox.put(Incoming::Windows(WindowNews::Again { attempt, server, tries }));
        });
    }

    /// Finds out who is looked at: their output is shown sooner.
    pub(super) fn look_around(&self) {
        let Some(tmux) = self.tmux.clone() else { return };
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            // Not to know is no reason to do anything.
            let looked = failpoint::future("window.look", tmux.windows_being_watched()).await;
            if let Ok(windows) = looked {
                inbox.put(Incoming::Windows(WindowNews::Looked(windows)));
            }
        });
    }

    fn looked(&mut self, windows: &[String]) {
        let shown = |row: &&AttemptRow| row.window.as_ref().is_some_and(|id| windows.contains(id));
        let attempts = self.core.supervisor.attempts();
        let now: BTreeSet<AttemptId> =
            attempts.filter(shown).map(|row| row.order.attempt.clone()).collect();
        let before = std::mem::replace(&mut self.windows.looked_at, now.clone());
        for attempt in before.symmetric_difference(&now) {
            self.ask_shim(attempt, shim::Request::Look { fast: now.contains(attempt) });
        }
    }
}

impl Inbox {
    /// Tells the loop of a launch.
    pub(super) fn launched(
        &self,
        attempt: AttemptId,
        shim: ProcessMark,
        place: Place,
        server: Option<ServerMark>,
    ) {
        let news = WindowNews::Launched { attempt, shim, place, server };
        self.put(Incoming::Windows(news));
    }
}
