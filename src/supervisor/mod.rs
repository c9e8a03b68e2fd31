//! Decides what becomes of attempts and instances. Takes events and a moment, returns actions.
//!
//! Deterministic: no clock, no IO, no async, no logging; randomness comes from a seeded mint.
//! The daemon performs what is asked for here, in order, and reports back what came of it. The
//! `workflow` room is told about its attempts by [`News`] and never looked at.

mod activity;
mod attempt;
mod closing;
mod deadline;
mod ending;
mod event;
mod explain;
mod failover;
mod group;
mod instance;
mod live;
mod parking;
mod ready;
mod recover;
mod removal;
mod reset_time;
mod restarting;
mod rules;
mod strategy;
#[cfg(test)]
mod tests;
mod verdict;
mod watching;
mod wishes;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

pub use attempt::IllegalFact;
pub use event::{Action, Answer, Event, Explanation, InstanceRequest, News};
pub use recover::Remembered;
pub use rules::Ruling;
pub use verdict::{Verdict, judge};
pub use watching::Health;

use crate::health::Monitor;
use crate::model::{
    AttemptEnd, AttemptFact, AttemptId, AttemptRow, AttemptState, Fact, GroupRow, InstanceRow,
    Mint, Moment, Order, Outcome, Parking, Report, StopCause,
};
use crate::policy::{Agent, Group};

/// How long windows of ended attempts stay (design §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// After success; `None` is for ever.
    pub keep_success: Option<Duration>,
    /// After anything else; `None` is for ever.
    pub keep_failure: Option<Duration>,
}

/// The lives of all attempts and instances.
#[derive(Clone, Debug)]
pub struct Supervisor {
    settings: Settings,
    agents: BTreeMap<String, Agent>,
    groups: BTreeMap<String, Group>,
    group_rows: BTreeMap<String, GroupRow>,
    /// Groups whose rows are to be written down after this event.
    changed_groups: BTreeSet<String>,
    /// Whether all that an earlier daemon left was compared with what is there.
    settled: bool,
    parked: BTreeMap<String, Parking>,
    /// How often in a row each agent hit a limit without saying until when.
    unsaid_limits: BTreeMap<String, u32>,
    rules: rules::Rules,
    attempts: BTreeMap<AttemptId, Attempt>,
    instances: BTreeMap<String, InstanceRow>,
    /// Windows to be closed: when, and whether their attempt succeeded.
    windows: BTreeMap<String, (Moment, bool)>,
    /// Set for good by [`Event::Closing`].
    closing: bool,
    mint: Mint,
}

/// A live attempt: its row, and what need not survive the daemon.
#[derive(Clone, Debug)]
struct Attempt {
    row: AttemptRow,
    launch_failures: u32,
    /// When the launch is tried again; set only between two tries.
    launch_again: Option<Moment>,
    /// When to ask how long it has been quiet; unset while the answer is awaited.
    ask_quiet: Option<Moment>,
    /// What is left of a set that could not be killed.
    stuck: Option<String>,
    /// What it said last about itself.
    report: Option<Report>,
    /// Since when it says that it does what it does.
    doing_since: Option<Moment>,
    /// When it last printed something, as far as that was asked.
    printed: Option<Moment>,
    /// Set while it runs.
    monitor: Option<Monitor>,
    /// How long the daemon stood still in its life.
    slip: Duration,
    /// It need not be ready before; it asked for more time.
    start_until: Option<Moment>,
    /// Why it is being ended, for its verdict.
    condemned: Option<(StopCause, String)>,
}

impl Attempt {
    fn new(row: AttemptRow) -> Self {
        Self {
            row,
            launch_failures: 0,
            launch_again: None,
            ask_quiet: None,
            stuck: None,
            report: None,
            doing_since: None,
            printed: None,
            monitor: None,
            slip: Duration::ZERO,
            start_until: None,
            condemned: None,
        }
    }

    /// Whether its shim or its agent was seen, so that a launch has succeeded.
    fn has_shim(&self) -> bool {
        self.row.shim.is_some() || self.row.process.is_some()
    }
}

impl Supervisor {
    /// Takes one event and says what to do about it.
    pub fn handle(&mut self, now: Moment, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        match event {
            Event::Ordered(order) => self.launch(now, *order, &mut out),
            Event::StopAsked { attempt, cause } => self.stop(now, &attempt, cause, &mut out),
            Event::Launched { attempt, shim, pane, window } => {
                self.launched(
                    now,
                    &attempt,
                    AttemptFact::Launched { shim, pane, window },
                    &mut out,
                );
            }
            Event::NeverLaunched { attempt } => self.launch_now(now, &attempt, &mut out),
            Event::LaunchFailed { attempt, message } => {
                self.launch_failed(now, &attempt, &message, &mut out);
            }
            Event::Started { attempt, process } => {
                self.started(now, &attempt, AttemptFact::Started { process }, &mut out);
            }
            Event::Reported { attempt, report } => self.reported(now, &attempt, *report, &mut out),
            Event::Sampled { attempt, probe, sample } => {
                self.sampled(now, &attempt, probe, sample, &mut out);
            }
            Event::Woke { gap_ms } => self.woke(now, gap_ms, &mut out),
            Event::Gone { attempt, ending } => self.gone(now, &attempt, &ending, &mut out),
            Event::Stuck { attempt, message } => self.stuck(&attempt, message, &mut out),
            Event::Heard { attempt, quiet_ms } => self.heard(now, &attempt, quiet_ms, &mut out),
            Event::WindowLeft { window, success } => {
                self.window_left(now, window, success);
            }
            Event::WindowsLost => self.windows_lost(now, &mut out),
            Event::Configured { agents, groups } => {
                self.configured(now, agents, groups, &mut out);
            }
            Event::Removed { name } => self.removed(now, &name, &mut out),
            Event::Asked { name, request } => {
                let answer = self.asked(now, &name, request, &mut out);
                out.push(Action::Reply(answer));
            }
            Event::AskedMany { names, request } => {
                self.asked_many(now, &names, request, &mut out);
            }
            Event::Closing => self.close(now, &mut out),
            Event::DeadlineReached => self.deadline_reached(now, &mut out),
        }
        self.advance_groups(now, &mut out);
        out
    }

    /// All attempts that have not ended, by id.
    pub fn attempts(&self) -> impl Iterator<Item = &AttemptRow> {
        self.attempts.values().map(|attempt| &attempt.row)
    }

    /// The attempt, if it has not ended.
    pub fn attempt(&self, id: &AttemptId) -> Option<&AttemptRow> {
        self.attempts.get(id).map(|attempt| &attempt.row)
    }

    /// All instances, by name.
    pub fn instances(&self) -> impl Iterator<Item = &InstanceRow> {
        self.instances.values()
    }

    /// All groups that were ever restarted, by name.
    pub fn groups(&self) -> impl Iterator<Item = &GroupRow> {
        self.group_rows.values()
    }

    /// The agents that wait for a usage limit to pass, by name.
    pub fn parked(&self) -> impl Iterator<Item = &Parking> {
        self.parked.values()
    }

    fn launch(&mut self, now: Moment, order: Order, out: &mut Vec<Action>) {
        let attempt = order.attempt.clone();
        let fact = AttemptFact::Intended(Box::new(order.clone()));
        out.push(Action::Record(Fact::Attempt { attempt: attempt.clone(), fact }));
        self.attempts.insert(attempt, Attempt::new(AttemptRow::intended(order.clone(), now)));
        if self.closing {
            return self.never_launched(now, &order, StopCause::Cancelled, out);
        }
        out.push(Action::Launch(Box::new(order)));
    }

    /// Stops an attempt. What is being stopped already is left to its escalation, so that a plan
    /// and a daemon that ends may both ask; only a person's stop takes over from a time limit.
    fn stop(&mut self, now: Moment, id: &AttemptId, cause: StopCause, out: &mut Vec<Action>) {
        let Some(attempt) = self.attempts.get(id) else { return };
        let outranks = cause == StopCause::Cancelled && attempt.row.stopping != Some(cause);
        if attempt.row.state == AttemptState::Stopping && !outranks {
            return;
        }
        let order = attempt.row.order.clone();
        let between_launches = attempt.launch_again.is_some();
        self.record(now, id, AttemptFact::Stopping { cause }, out);
        // Between two tries of a launch there is no shim, so there is nobody to wait for.
        if between_launches {
            return self.never_launched(now, &order, cause, out);
        }
        out.push(Action::Stop { attempt: id.clone() });
    }

    /// Stops an attempt for a person, who ends it at once by asking a second time.
    fn stop_or_kill(&mut self, now: Moment, id: &AttemptId, out: &mut Vec<Action>) {
        let stopping = self.attempts.get(id).and_then(|attempt| attempt.row.stopping);
        if stopping == Some(StopCause::Cancelled) {
            return out.push(Action::Kill { attempt: id.clone() });
        }
        self.stop(now, id, StopCause::Cancelled, out);
    }

    /// Launches what is recorded and was never launched; what was to be stopped, is over.
    fn launch_now(&mut self, now: Moment, id: &AttemptId, out: &mut Vec<Action>) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        attempt.launch_again = None;
        if attempt.row.process.is_some() {
            return;
        }
        let order = attempt.row.order.clone();
        // A daemon that ends launches nobody, whoever is to be stopped first.
        let closing = self.closing.then_some(StopCause::Cancelled);
        match attempt.row.stopping.or(closing) {
            Some(cause) => self.never_launched(now, &order, cause, out),
            None => out.push(Action::Launch(Box::new(order))),
        }
    }

    fn launched(&mut self, now: Moment, id: &AttemptId, fact: AttemptFact, out: &mut Vec<Action>) {
        if !self.record(now, id, fact, out) {
            return;
        }
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        attempt.launch_again = None;
        if attempt.row.state == AttemptState::Stopping {
            out.push(Action::Stop { attempt: id.clone() });
        }
    }

    /// A launch that failed left no agent behind, so it is tried again, ever more slowly: what
    /// fails is tmux or the disk, not the agent, and no attempt is used up.
    fn launch_failed(&mut self, now: Moment, id: &AttemptId, text: &str, out: &mut Vec<Action>) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        if attempt.has_shim() {
            let text = format!("a launch failed beside the one that succeeded: {text}");
            return out.push(Action::Record(Fact::Noted { about: id.to_string(), text }));
        }
        let order = attempt.row.order.clone();
        if let Some(cause) = attempt.row.stopping {
            return self.never_launched(now, &order, cause, out);
        }
        attempt.launch_failures += 1;
        let wait = Duration::from_millis(250 << attempt.launch_failures.min(6));
        attempt.launch_again = Some(now + wait);
        let text = format!("launch failed, next try in {} ms: {text}", wait.as_millis());
        out.push(Action::Record(Fact::Noted { about: id.to_string(), text }));
    }

    fn never_launched(
        &mut self,
        now: Moment,
        order: &Order,
        cause: StopCause,
        out: &mut Vec<Action>,
    ) {
        let end = AttemptEnd {
            outcome: Outcome::Cancelled,
            message: format!("stopped before it was launched ({cause})"),
            code: None,
            signal: None,
            source: None,
            at: now,
        };
        let verdict = Verdict { end, value: None, ruling: None };
        self.ended(now, order, verdict, String::new(), PathBuf::new(), out);
    }

    fn started(&mut self, now: Moment, id: &AttemptId, fact: AttemptFact, out: &mut Vec<Action>) {
        let known = self.attempts.get(id).is_some_and(|a| a.row.process.is_some());
        if !self.record(now, id, fact, out) {
            return;
        }
        self.watch(now, id, known, out);
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        attempt.launch_again = None;
        if known || attempt.row.state != AttemptState::Running {
            return;
        }
        attempt.ask_quiet =
            attempt.row.order.limits.idle_ms.map(|ms| now + Duration::from_millis(ms));
        let owner = attempt.row.order.owner.clone();
        self.instance_running(&owner, id, out);
        out.push(Action::Tell(News::Running { attempt: id.clone(), owner }));
    }

    fn stuck(&mut self, id: &AttemptId, message: String, out: &mut Vec<Action>) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        if attempt.stuck.as_ref() == Some(&message) {
            return;
        }
        attempt.stuck = Some(message.clone());
        let owner = attempt.row.order.owner.clone();
        out.push(Action::Record(Fact::Noted { about: id.to_string(), text: message.clone() }));
        self.instance_blocked(&owner, &message, out);
    }

    /// Moves an attempt and writes that down, unless it is known already; false when the fact does
    /// not fit, which is then kept as evidence and changes nothing.
    fn record(
        &mut self,
        now: Moment,
        id: &AttemptId,
        fact: AttemptFact,
        out: &mut Vec<Action>,
    ) -> bool {
        let Some(attempt) = self.attempts.get_mut(id) else { return false };
        if attempt::known(&attempt.row, &fact) {
            return true;
        }
        match attempt::apply(&mut attempt.row, now, &fact) {
            Ok(()) => {
                out.push(Action::Record(Fact::Attempt { attempt: id.clone(), fact }));
                true
            }
            Err(illegal) => {
                let text = illegal.to_string();
                out.push(Action::Record(Fact::Noted { about: id.to_string(), text }));
                false
            }
        }
    }
}
