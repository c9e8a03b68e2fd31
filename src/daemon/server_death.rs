//! The death of the tmux server, and the next one: one alarm, a new connection, and the account of
//! the windows that were lost and given back.

use std::time::Duration;

use crate::control::view::TmuxView;
use crate::failpoint;
use crate::supervisor::Event;
use crate::tmux::{self, Tmux};

use super::engine::{Engine, forward};
use super::windows::{Outage, WindowNews, pause};
use super::{Connected, Incoming, Input};

impl Engine {
    /// The server is gone: one alarm, however many windows it had.
    pub(super) fn server_gone(&mut self) {
        if self.windows.down.is_some() {
            return;
        }
        self.windows.down = Some(0);
        self.tmux = None;
        let live = self.core.supervisor.attempts().filter(|row| row.order.windowed).count();
        self.tell_outage(live);
        self.decide(Input::Supervisor(Event::WindowsLost));
        self.connect_tmux(Duration::ZERO);
    }

    /// Says, once, that a server died.
    pub(super) fn tell_outage(&mut self, live: usize) {
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
            let connected = failpoint::future("window.connect", Tmux::connect(config)).await;
            inbox.put(Incoming::TmuxConnected(connected));
        });
    }

    pub(super) fn tmux_connected(&mut self, result: Result<Connected, tmux::Error>) {
        match result {
            Ok((tmux, notices)) => {
                self.remark("tmux", format!("connected to server {}", tmux.server().pid));
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
                match failpoint::future("window.list", tmux.list()).await {
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

    /// An outage is over when nobody waits for a window any more.
    pub(super) fn finish_outage(&mut self) {
        if !self.windows.wanted.is_empty() || self.tmux.is_none() {
            return;
        }
        let Some(outage) = self.windows.last.as_mut().filter(|outage| !outage.over) else { return };
        outage.over = true;
        let (given, lost) = (outage.given_back, outage.lost);
        self.remark("tmux", format!("{given} of {lost} windows were given back"));
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
