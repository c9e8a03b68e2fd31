//! Windows and their server: gives every living agent a window that has lost its own, and starts a
//! new tmux server when the old one died (design §7). The agents notice nothing: their shims hold
//! them, and a window is only where they are shown.
//!
//! Whether an agent needs a window, its shim is asked and nobody else: a shim whose window was
//! closed by a person is about to stop, and gets no other.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::control::view::TmuxView;
use crate::model::{AttemptId, AttemptRow, Order, Outcome, ProcessMark, ServerMark, files};
use crate::shim;
use crate::supervisor::Event;
use crate::tmux::{self, OpenWindow, Opened, PaneSeen, Tmux};

use super::engine::{Engine, forward};
use super::{Connected, Inbox, Incoming, Input, adopt};

/// The pauses between two tries double from the first to the last.
const AGAIN_FIRST: Duration = Duration::from_millis(50);
const AGAIN_LAST: Duration = Duration::from_secs(15);

/// Pane and window.
pub(super) type Place = (Option<String>, Option<String>);

/// What the loop hears about windows.
pub(super) enum WindowNews {
    /// A shim was launched, in a window of this server if it has a place.
    Launched {
        /// Whose.
        attempt: AttemptId,
        /// It.
        shim: ProcessMark,
        /// Where.
        place: Place,
        /// In which server.
        server: Option<ServerMark>,
    },
    /// All panes of a server.
    Listed {
        /// Which server.
        server: ServerMark,
        /// They.
        panes: Vec<PaneSeen>,
    },
    /// What came of giving an attempt a window.
    Given {
        /// Which attempt.
        attempt: AttemptId,
        /// Of which server.
        server: ServerMark,
        /// How often that was tried before.
        tries: u32,
        /// What came of it.
        outcome: Given,
    },
    /// It is time to try again.
    Again {
        /// For which attempt.
        attempt: AttemptId,
        /// In which server.
        server: ServerMark,
        /// How often it was tried.
        tries: u32,
    },
    /// The windows that people look at.
    Looked(Vec<String>),
}

/// What came of giving an attempt a window.
pub(super) enum Given {
    /// It is in this one, just opened or found.
    Window(Opened),
    /// It needs none: it is about to end, or stands in one that is not ours to see.
    Unneeded,
    /// Not now.
    NotYet(String),
}

/// What is remembered about windows.
#[derive(Default)]
pub(super) struct Windows {
    /// How often a new server was tried in vain; `None` while there is one.
    pub(super) down: Option<u32>,
    /// The last time that a server died.
    last: Option<Outage>,
    /// Attempts that are being given a window.
    wanted: BTreeSet<AttemptId>,
    /// Attempts that somebody looks at.
    looked_at: BTreeSet<AttemptId>,
    /// Why there is no server, as it was told last.
    told: String,
}

#[derive(Clone, Copy)]
struct Outage {
    wall_ms: i64,
    lost: u32,
    given_back: u32,
    over: bool,
}

impl Engine {
    /// The server is gone: one alarm, however many windows it had.
    pub(super) fn server_gone(&mut self) {
        if self.windows.down.is_some() {
            return;
        }
        self.windows.down = Some(0);
        self.tmux = None;
        let live = self.core.supervisor.attempts().filter(|row| row.order.windowed).count();
        self.alarm(live);
        self.decide(Input::Supervisor(Event::WindowsLost));
        self.connect_tmux(Duration::ZERO);
    }

    /// Says, once, that a server died.
    pub(super) fn alarm(&mut self, live: usize) {
        let lost = u32::try_from(live).unwrap_or(u32::MAX);
        let wall_ms = self.clock.wall_ms();
        self.windows.last = Some(Outage { wall_ms, lost, given_back: 0, over: live == 0 });
        let text = format!("the tmux server is gone; {live} live attempts go on without windows");
        self.note("tmux", text);
    }

    pub(super) fn connect_tmux(&self, wait: Duration) {
        let (inbox, config) = (self.inbox.clone(), self.tmux_config());
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            inbox.put(Incoming::TmuxConnected(Tmux::connect(config).await));
        });
    }

    pub(super) fn tmux_connected(&mut self, result: Result<Connected, tmux::Error>) {
        match result {
            Ok((tmux, notices)) => {
                self.note("tmux", format!("connected to server {}", tmux.server().pid));
                self.windows.down = None;
                self.windows.told.clear();
                self.windows.wanted.clear();
                self.tmux = Some(tmux);
                forward(notices, self.inbox.clone());
                self.relist();
                self.look_around();
            }
            Err(error) => {
                let tries = self.windows.down.unwrap_or(0);
                self.windows.down = Some(tries + 1);
                let text = error.to_string();
                if text != self.windows.told {
                    tracing::error!(
                        "there is no tmux server, agents start without windows: {text}"
                    );
                    self.windows.told = text;
                }
                self.connect_tmux(pause(tries));
            }
        }
    }

    /// Lists all panes, to compare them with what is known.
    pub(super) fn relist(&self) {
        let Some(tmux) = self.tmux.clone() else { return };
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            let server = tmux.server().clone();
            for tries in 0.. {
                match tmux.list().await {
                    Ok(panes) => {
                        let news = WindowNews::Listed { server, panes };
                        return inbox.put(Incoming::Windows(news));
                    }
                    // Its end is told by a notice.
                    Err(tmux::Error::ServerGone { .. }) => return,
                    Err(error) => tracing::warn!("panes cannot be listed: {error}"),
                }
                tokio::time::sleep(pause(tries)).await;
            }
        });
    }

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
            // What was done in a server that died meanwhile is gone with it.
            WindowNews::Listed { .. } | WindowNews::Given { .. } | WindowNews::Again { .. } => {}
            WindowNews::Looked(windows) => self.looked(&windows),
        }
    }

    fn is_current(&self, server: &ServerMark) -> bool {
        self.tmux.as_ref().is_some_and(|tmux| tmux.server() == server)
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
        }
        self.finish_outage();
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
            inbox.put(Incoming::Windows(WindowNews::Given { attempt, server, tries, outcome }));
        });
    }

    fn given(&mut self, attempt: AttemptId, tries: u32, outcome: Given) {
        match outcome {
            Given::Window(opened) => self.keep_given(&attempt, opened),
            Given::Unneeded => {}
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

    /// An outage is over when nobody waits for a window any more.
    fn finish_outage(&mut self) {
        if !self.windows.wanted.is_empty() || self.tmux.is_none() {
            return;
        }
        let Some(outage) = self.windows.last.as_mut().filter(|outage| !outage.over) else { return };
        outage.over = true;
        let (given, lost) = (outage.given_back, outage.lost);
        self.note("tmux", format!("{given} of {lost} windows were given back"));
    }

    /// Finds out who is looked at: their output is shown sooner.
    pub(super) fn look_around(&self) {
        let Some(tmux) = self.tmux.clone() else { return };
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            // Not to know is no reason to do anything.
            if let Ok(windows) = tmux.windows_being_watched().await {
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

    /// What people are shown of the server.
    pub(super) fn tmux_view(&self) -> TmuxView {
        let last = self.windows.last;
        TmuxView {
            server: self.tmux.as_ref().map(|tmux| tmux.server().pid),
            died_at_ms: last.map(|outage| outage.wall_ms),
            windows_lost: last.map_or(0, |outage| outage.lost),
            windows_given_back: last.map_or(0, |outage| outage.given_back),
        }
    }
}

/// Everything that it takes to give an attempt a window.
struct Wish {
    order: Order,
    dir: PathBuf,
    socket: PathBuf,
    program: PathBuf,
}

impl Wish {
    async fn grant(&self, tmux: &Tmux) -> Given {
        let socket = self.socket.clone();
        let asked = move || shim::ask(&socket, &shim::Request::Status);
        let status = match tokio::task::spawn_blocking(asked).await {
            Ok(Ok(shim::Reply::Status(status))) => status,
            Ok(Ok(shim::Reply::Done | shim::Reply::Refused { .. })) => return Given::Unneeded,
            Ok(Err(shim::AskError::Gone(_))) if self.dir.join(files::EXIT).exists() => {
                return Given::Unneeded;
            }
            Ok(Err(error)) => return Given::NotYet(error.to_string()),
            Err(panic) => return Given::NotYet(panic.to_string()),
        };
        if status.stopping || !status.running {
            return Given::Unneeded;
        }
        if status.deciding {
            return Given::NotYet("its window has only just gone".to_owned());
        }
        if status.windowed || status.views > 0 {
            return self.find(tmux).await;
        }
        match tmux.open_window(&self.window(tmux.server())).await {
            Ok(opened) => Given::Window(opened),
            // A later try finds out whether it was opened.
            Err(error) => Given::NotYet(error.to_string()),
        }
    }

    fn window(&self, server: &ServerMark) -> OpenWindow {
        let mark = format!("{}:{}", server.pid, server.start_ticks);
        let dir = self.dir.display().to_string();
        let program = self.program.display().to_string();
        OpenWindow {
            session: self.order.session.clone(),
            name: self.order.label.clone(),
            token: self.order.token.clone(),
            argv: vec![program, "view".to_owned(), adopt::VIEWER.to_owned(), mark, dir],
            cwd: PathBuf::from("/"),
        }
    }

    /// It is in a window already; which one, is found by its mark.
    async fn find(&self, tmux: &Tmux) -> Given {
        let panes = match tmux.list().await {
            Ok(panes) => panes,
            Err(error) => return Given::NotYet(error.to_string()),
        };
        match adopt::pane_of(&panes, &self.order, &self.dir).filter(|pane| !pane.dead) {
            Some(PaneSeen { pane, window, pid, .. }) => {
                Given::Window(Opened { pane: pane.clone(), window: window.clone(), pid: *pid })
            }
            None => Given::Unneeded,
        }
    }
}

fn pause(tries: u32) -> Duration {
    (AGAIN_FIRST * 2u32.saturating_pow(tries.min(16))).min(AGAIN_LAST)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_somewhere() {
        let pauses: Vec<u128> = (0..6).map(|tries| pause(tries).as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1600]);
        assert_eq!(pause(u32::MAX), AGAIN_LAST);
    }
}
