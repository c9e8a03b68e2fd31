//! A window for an agent that has lost its own, or never had one: what it takes, and what is
//! remembered about it.
//!
//! Whether an agent needs a window, its shim is asked and nobody else: a shim whose window was
//! closed by a person is about to stop, and gets no other.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::failpoint;
use crate::model::{AttemptId, Order, ProcessMark, ServerMark, files};
use crate::shim;
use crate::tmux::{OpenWindow, Opened, PaneSeen, Tmux};

use super::adopt::{self, Place};

/// The pauses between two tries double from the first to the last.
const AGAIN_FIRST: Duration = Duration::from_millis(50);
const AGAIN_LAST: Duration = Duration::from_secs(5);

/// How often a window that is not to be seen is looked for: for some seconds.
pub(super) const UNSEEN_TRIES: u32 = 8;

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
    /// A window could not be closed now.
    Left {
        /// Of which server.
        server: ServerMark,
        /// Which.
        window: String,
        /// Whether its attempt succeeded.
        success: bool,
    },
    /// The windows that people look at.
    Looked(Vec<String>),
}

/// What came of giving an attempt a window.
pub(super) enum Given {
    /// It is in this one, just opened or found.
    Window(Opened),
    /// It needs none: it is about to end.
    Unneeded,
    /// Its shim says that it stands in one, which is not to be seen: that was just closed, and its
    /// shim has not heard of it, or it stands in a server that is not ours.
    Unseen,
    /// Not now.
    NotYet(String),
}

/// What is remembered about windows.
#[derive(Default)]
pub(super) struct Windows {
    /// How often a new server was tried in vain; `None` while there is one.
    pub(super) down: Option<u32>,
    /// The last time that a server died.
    pub(super) last: Option<Outage>,
    /// Attempts that are being given a window.
    pub(super) wanted: BTreeSet<AttemptId>,
    /// Attempts that somebody looks at.
    pub(super) looked_at: BTreeSet<AttemptId>,
    /// Why there is no server, as it was told last.
    pub(super) told: String,
}

/// A server that died.
#[derive(Clone, Copy)]
pub(super) struct Outage {
    /// When.
    pub(super) wall_ms: i64,
    /// How many living agents had a window in it.
    pub(super) lost: u32,
    /// How many have one again.
    pub(super) given_back: u32,
    /// Whether that is all.
    pub(super) over: bool,
}

/// Everything that it takes to give an attempt a window.
pub(super) struct Wish {
    /// What was ordered.
    pub(super) order: Order,
    /// Its directory.
    pub(super) dir: PathBuf,
    /// Its shim's socket.
    pub(super) socket: PathBuf,
    /// This program, to be the viewer.
    pub(super) program: PathBuf,
}

impl Wish {
    /// Asks the shim whether it needs a window, and opens one.
    pub(super) async fn grant(&self, tmux: &Tmux) -> Given {
        let socket = self.socket.clone();
        let asked = move || {
            failpoint::step("window.ask-shim", || shim::ask(&socket, &shim::Request::Status))
        };
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
        let window = self.window(tmux.server());
        match failpoint::future("window.open", tmux.open_window(&window)).await {
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
            argv: [program, "view".to_owned(), adopt::VIEWER.to_owned(), mark, dir]
                .into_iter()
                .chain(failpoint::words())
                .collect(),
            cwd: PathBuf::from("/"),
        }
    }

    /// It is in a window already; which one, is found by its mark.
    async fn find(&self, tmux: &Tmux) -> Given {
        let panes = match failpoint::future("window.find", tmux.list()).await {
            Ok(panes) => panes,
            Err(error) => return Given::NotYet(error.to_string()),
        };
        match adopt::pane_of(&panes, &self.order, &self.dir).filter(|pane| !pane.dead) {
            Some(PaneSeen { pane, window, pid, .. }) => {
                Given::Window(Opened { pane: pane.clone(), window: window.clone(), pid: *pid })
            }
            None => Given::Unseen,
        }
    }
}

/// How long to wait before the next try.
pub(super) fn pause(tries: u32) -> Duration {
    (AGAIN_FIRST * 2u32.saturating_pow(tries.min(16))).min(AGAIN_LAST)
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
