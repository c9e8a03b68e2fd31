//! The loop: gathers what has come in, decides, commits, acts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::cgroup;
use crate::clock::Clock;
use crate::control::{Reply, Responder};
use crate::failpoint;
use crate::ledger::{Ledger, Reader};
use crate::model::{AttemptId, Entry, Fact, Moment, RunId, ServerMark, ms};
use crate::supervisor::Event;
use crate::tmux::{self, Tmux};
use crate::workflow;

use super::asker::Asker;
use super::door::Door;
use super::ears::{Ears, Outage};
use super::log::LogFile;
use super::notices::Notices;
use super::standing::Standing;
use super::summaries::Summaries;
use super::waiter::Waiter;
use super::windows::Windows;
use super::{Core, Effect, Error, Inbox, Incoming, Input, Settings, Turn, scope};

/// How many events are decided and committed together.
const BATCH_MAX: usize = 256;
/// How late a wake-up may be before the daemon is known to have stood still.
const OVERSLEPT: Duration = Duration::from_secs(1);

/// Everything that one daemon holds.
pub(super) struct Engine {
    pub(super) settings: Settings,
    pub(super) core: Core,
    pub(super) clock: Clock,
    pub(super) ledger: Ledger,
    pub(super) reader: Arc<Reader>,
    /// `None` while there is none.
    pub(super) tmux: Option<Tmux>,
    pub(super) windows: Windows,
    pub(super) notices: Notices,
    /// How limits are enforced.
    pub(super) ground: cgroup::Way,
    pub(super) inbox: Inbox,
    pub(super) door: Door,
    pub(super) log: LogFile,
    pub(super) watchers: BTreeMap<RunId, Vec<Responder>>,
    /// When those who watch a long run were told last how it goes.
    pub(super) updated: BTreeMap<RunId, Moment>,
    pub(super) waiters: Vec<Waiter>,
    /// Agents that wait for something that they asked for.
    pub(super) askers: Vec<Asker>,
    pub(super) started_wall_ms: i64,
    /// The day of the last run id and its number.
    pub(super) last_run: (String, u32),
    pub(super) leaving: Leaving,
    /// What agents were denied and is written down.
    pub(super) refusals: BTreeSet<(Option<AttemptId>, &'static str)>,
    pub(super) standing: Standing,
    /// The items of runs that are over.
    pub(super) summaries: Arc<Summaries>,
    /// Decided and not yet committed.
    pub(super) pending: Pending,
    /// While the ledger cannot be written.
    pub(super) outage: Option<Outage>,
    /// Heard meanwhile, and not yet taken.
    pub(super) held: Vec<Incoming>,
}

/// Whether and how the daemon is about to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// It is not.
    No,
    /// At once; agents live on.
    Now,
    /// When every agent is gone.
    WhenEmpty,
}

/// What waits for a commit.
#[derive(Default)]
pub(super) struct Pending {
    entries: Vec<Entry>,
    /// With the tmux server whose windows were known when it was decided.
    effects: Vec<(Effect, Option<ServerMark>)>,
    replies: Vec<(Responder, Reply)>,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.effects.is_empty() && self.replies.is_empty()
    }
}

impl Engine {
    /// Serves until it is told to leave.
    pub(super) async fn serve(mut self, mut ears: Ears) -> Result<(), Error> {
        loop {
            self.settle(&mut ears).await?;
            std::mem::take(&mut self.held).into_iter().for_each(|held| self.take(held));
            if !self.pending.is_empty() {
                continue;
            }
            match self.leaving {
                Leaving::Now => return Ok(()),
                Leaving::WhenEmpty if self.core.supervisor.attempts().next().is_none() => {
                    return failpoint::future("leave.close-tmux", self.close_tmux()).await;
                }
                Leaving::No | Leaving::WhenEmpty => {}
            }
            let slept = self.clock.now();
            let due = self.next_due();
            let deadline = sleep_until(slept, due);
            tokio::select! {
                biased;
                Some(first) = ears.incoming.recv() => {
                    self.feel_gap(slept, due);
                    self.take(first);
                    for _ in 1..BATCH_MAX {
                        let Ok(next) = ears.incoming.try_recv() else { break };
                        self.take(next);
                    }
                }
                Some(call) = ears.calls.recv() => {
                    self.feel_gap(slept, due);
                    self.call(call);
                }
                () = deadline => {
                    self.feel_gap(slept, due);
                    let now = self.clock.now();
                    let turn = self.core.deadline_reached(now);
                    self.keep_turn(now, turn);
                    self.wake_waiters(now);
                    self.update_watchers(now);
                    self.look_at_config(now);
                }
            }
        }
    }

    fn next_due(&self) -> Option<Moment> {
        let waiters = self.waiters.iter().filter_map(|waiter| waiter.until).min();
        let askers = self.askers.iter().map(|asker| asker.until).min();
        let config = self.standing.look_at;
        let update = self.next_update();
        let due = [self.core.next_deadline(), waiters, askers, config, update];
        due.into_iter().flatten().min()
    }

    /// A deadline that was overslept shows that the daemon stood still: suspended, stopped, or
    /// starved. What came in meanwhile is judged after that is known (faults 69, 70).
    fn feel_gap(&mut self, slept: Moment, due: Option<Moment>) {
        let now = self.clock.now();
        let Some(due) = due.filter(|due| now.since(*due) > OVERSLEPT) else { return };
        let gap = now.since(slept.min(due));
        let gap_ms = ms(gap);
        tracing::warn!("stood still for up to {gap_ms} ms");
        self.decide(Input::Supervisor(Event::Woke { gap_ms }));
    }

    fn take(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Supervisor(event) => self.decide(Input::Supervisor(event)),
            Incoming::Over { order, ending, spent } => {
                self.spent(&order, spent);
                self.over(*order, ending);
            }
            Incoming::Signal(signal) => self.signalled(&signal),
            Incoming::Tmux(notice) => self.tmux_said(&notice),
            Incoming::TmuxConnected(result) => self.tmux_connected(result),
            Incoming::Windows(news) => self.windows_said(news),
            Incoming::ConfigTouched => self.config_touched(),
            Incoming::Cleanup(cleanup) => self.clean(*cleanup),
            Incoming::Removal => self.file_removed(),
            Incoming::LookedUp(answers) => {
                self.decide(Input::Workflow(workflow::Event::LookedUp(answers)));
            }
            Incoming::Fault(text) => tracing::error!("{text}"),
        }
    }

    /// Decides about one input; what follows waits for the next commit.
    pub(super) fn decide(&mut self, input: Input) {
        let now = self.clock.now();
        let turn = self.core.turn(now, input);
        self.keep_turn(now, turn);
    }

    pub(super) fn keep_turn(&mut self, now: Moment, turn: Turn) {
        let wall_ms = self.clock.wall_ms();
        for fact in turn.facts {
            if let Fact::Noted { about, text } = &fact {
                if turn.troubles.contains(text) {
                    tracing::warn!("{about}: {text}");
                } else {
                    tracing::info!("{about}: {text}");
                }
            }
            self.pending.entries.push(Entry { at: now, wall_ms, fact });
        }
        for effect in &turn.effects {
            let Effect::Launch(order) = effect else { continue };
            let Some(text) = cgroup::waived(&self.ground, &order.resources) else { continue };
            let fact = Fact::Noted { about: order.attempt.to_string(), text };
            self.pending.entries.push(Entry { at: now, wall_ms, fact });
        }
        let server =
            |effect: &Effect| self.server().filter(|_| effect.is_about_a_window()).cloned();
        let effects = turn.effects.into_iter().map(|effect| (server(&effect), effect));
        let effects: Vec<_> = effects.map(|(server, effect)| (effect, server)).collect();
        self.pending.effects.extend(effects);
        self.hand_in(turn.submits);
    }

    /// Writes down some trouble that changes nothing.
    pub(super) fn note(&mut self, about: &str, text: String) {
        let troubles = vec![text.clone()];
        let fact = Fact::Noted { about: about.to_owned(), text };
        self.keep_turn(self.clock.now(), Turn { facts: vec![fact], troubles, ..Turn::default() });
    }

    /// Writes down something normal that changes nothing.
    pub(super) fn remark(&mut self, about: &str, text: String) {
        let fact = Fact::Noted { about: about.to_owned(), text };
        self.keep_turn(self.clock.now(), Turn { facts: vec![fact], ..Turn::default() });
    }

    /// Answers after the commit of what was decided so far.
    pub(super) fn reply(&mut self, responder: Responder, reply: impl Into<Reply>) {
        self.pending.replies.push((responder, reply.into()));
    }

    /// Commits what was decided, then acts, then tells.
    async fn settle(&mut self, ears: &mut Ears) -> Result<(), Error> {
        let Pending { entries, effects, replies } = std::mem::take(&mut self.pending);
        if !entries.is_empty() {
            let done = failpoint::future("turn.commit", self.commit(&entries, ears)).await?;
            if !done {
                return Ok(());
            }
        }
        for entry in &entries {
            tracing::debug!(at = entry.at.0, fact = ?entry.fact, "recorded");
        }
        failpoint::step("turn.publish", || self.publish(&entries));
        for (effect, server) in effects {
            failpoint::step("turn.perform", || self.perform(effect, server.as_ref()));
        }
        for (responder, reply) in replies {
            failpoint::step("turn.reply", || responder.reply(reply));
        }
        self.core.workflow.take_ended();
        if !entries.is_empty() {
            self.wake_waiters(self.clock.now());
        }
        Ok(())
    }

    async fn close_tmux(&self) -> Result<(), Error> {
        let Some(tmux) = &self.tmux else { return Ok(()) };
        match tmux.kill_server().await {
            Ok(()) | Err(tmux::Error::ServerGone { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn tmux_said(&mut self, notice: &tmux::Notice) {
        match notice {
            tmux::Notice::Reconnected => {
                tracing::info!("tmux: connected again");
                self.relist();
            }
            tmux::Notice::ServerGone => self.server_gone(),
            tmux::Notice::WindowClosed { window } => self.window_closed(window),
            tmux::Notice::WatchersChanged => self.look_around(),
        }
    }

    pub(super) fn tmux_config(&self) -> tmux::Config {
        tmux_config(&self.settings)
    }

    pub(super) fn attempt_dir(&self, attempt: &AttemptId) -> PathBuf {
        self.settings.home.attempt(attempt)
    }
}

/// Sleeps until something is due.
async fn sleep_until(now: Moment, due: Option<Moment>) {
    match due {
        Some(at) => tokio::time::sleep(at.since(now)).await,
        None => std::future::pending().await,
    }
}

/// How the private tmux server is set up.
pub(super) fn tmux_config(settings: &Settings) -> tmux::Config {
    let mut config = tmux::Config::new(settings.home.runtime(), settings.env.iter().cloned());
    config.scope = scope::for_tmux(&settings.env);
    config
}

/// Passes on what tmux says.
pub(super) fn forward(mut notices: mpsc::UnboundedReceiver<tmux::Notice>, inbox: Inbox) {
    tokio::spawn(async move {
        while let Some(notice) = notices.recv().await {
            inbox.put(Incoming::Tmux(notice));
        }
    });
}
