//! What must hold after every commit, whatever happened.

use std::collections::{BTreeMap, BTreeSet};

use muxvisor::model::{
    AttemptFact, AttemptId, AttemptRow, Desired, Entry, Extract, Fact, InstanceRow, InstanceState,
    Moment, Order, Outcome, Owner, Removal, ResultRule, RunFact, StartReason, StopCause,
};
use muxvisor::plan::OutputAs;
use muxvisor::policy::{Agent, Group};
use muxvisor::supervisor::InstanceRequest;
use serde_json::Value;

use super::ledger::Ledger;
use super::moods::Look;
use super::plans::{Deed, kept_output};
use super::ranks::Ranks;
use super::shims::{Shim, Shims};

/// How much longer than its window a daemon that was away may make starts that are counted.
const SLACK_MS: u64 = 120_000;

/// What the laws remember.
#[derive(Default)]
pub(super) struct Laws {
    /// Instances that a person stopped and did not start again.
    stopped: BTreeMap<String, Moment>,
    /// Restarts by policy since a person last had a hand in it.
    restarts: BTreeMap<String, Vec<Moment>>,
    /// Restarts that were under way when a person forgave all failures: they are not counted.
    forgiven: BTreeSet<String>,
    /// Whose failures a person forgave in what is just committed.
    reset: BTreeSet<String>,
    /// What is true of instances, fact by fact.
    ranks: Ranks,
}

impl Laws {
    /// A person's wish was committed.
    pub(super) fn asked(
        &mut self,
        now: Moment,
        name: &str,
        request: InstanceRequest,
        row: Option<&InstanceRow>,
    ) {
        match request {
            InstanceRequest::Start | InstanceRequest::Restart => {
                self.stopped.remove(name);
                // A start that a person asks for forgets failures, also when the daemon is about
                // to end and leaves it to the next one, the old life still ends, or others of its
                // group come first.
                let left = |row: &InstanceRow| match row.state {
                    InstanceState::Backoff | InstanceState::Stopping | InstanceState::Starting => {
                        true
                    }
                    InstanceState::Stopped
                    | InstanceState::Running
                    | InstanceState::Failed
                    | InstanceState::Blocked => false,
                };
                if row.is_some_and(|row| left(row) && row.starts.is_empty()) {
                    self.restarts.remove(name);
                }
            }
            // One that is not known cannot be stopped.
            InstanceRequest::Stop if row.is_none() => {}
            InstanceRequest::Stop => {
                self.stopped.insert(name.to_owned(), now);
            }
            InstanceRequest::ResetFailed => {
                self.restarts.remove(name);
                self.reset.insert(name.to_owned());
            }
        }
    }

    /// A wish about several was committed; the rows say whom it reached.
    pub(super) fn asked_many(&mut self, now: Moment, request: InstanceRequest, ledger: &Ledger) {
        for row in ledger.instances.values() {
            match row.desired {
                Desired::Up => drop(self.stopped.remove(&row.name)),
                Desired::Down => drop(self.stopped.insert(row.name.clone(), now)),
            }
            if request != InstanceRequest::Stop && row.starts.is_empty() {
                self.restarts.remove(&row.name);
                self.reset.insert(row.name.clone());
            }
        }
    }

    /// The limits are others from now on.
    pub(super) fn reconfigured(&mut self, now: Moment) {
        self.restarts.clear();
        self.ranks.reconfigured = now;
    }

    /// Looks at what was just committed.
    pub(super) fn look(
        &mut self,
        entries: &[Entry],
        ledger: &Ledger,
        shims: &Shims,
        agents: &BTreeMap<String, Agent>,
        groups: &[Group],
    ) {
        for entry in entries {
            self.ranks.look(entry, groups);
            match &entry.fact {
                Fact::Attempt { fact: AttemptFact::Intended(order), .. } => {
                    self.intended(entry.at, order, agents);
                }
                Fact::Attempt { attempt, fact: AttemptFact::Ended(_) } => {
                    let row = &ledger.attempts[attempt];
                    the_end_is_true(row, shims);
                    self.ended(row);
                }
                Fact::Instance(row) => {
                    // A reload, or a daemon that ended and stopped everything, has it started by
                    // itself, which is nobody's failure.
                    let waits = row.state == InstanceState::Backoff && row.starts.is_empty();
                    let by_itself = ["starts: its group is gone", "down with the daemon"];
                    if by_itself.iter().any(|why| row.why.starts_with(why))
                        || waits && self.reset.contains(&row.name)
                    {
                        self.forgiven.insert(row.name.clone());
                    }
                    // One that is configured anew is not the one that a person stopped.
                    if row.removal == Some(Removal::Back) && row.desired == Desired::Up {
                        self.stopped.remove(&row.name);
                    }
                    the_budget_holds(entry.at, row, agents);
                }
                Fact::Run { run, fact: RunFact::TaskSucceeded { task, attempt, output } } => {
                    let known = ledger.bonds.task(run, task);
                    let Some(attempt) = attempt.as_ref() else {
                        // A person's yes, an event, or the result of an earlier run.
                        let kept = output.value == kept_output().value;
                        let is_tried = known.is_some_and(|task| task.work.makes_attempts());
                        assert!(kept || !is_tried, "{task} has a result from nowhere");
                        continue;
                    };
                    let report = known.map(|task| task.output_as) == Some(OutputAs::Report);
                    the_result_is_true(attempt, &output.value, report, shims);
                }
                Fact::Attempt { attempt, fact: AttemptFact::Stopping { cause } } => {
                    the_stop_has_a_reason(attempt, *cause, shims);
                }
                Fact::InstanceRemoved { name } => {
                    self.stopped.remove(name);
                    self.restarts.remove(name);
                }
                Fact::Run { .. }
                | Fact::Attempt { .. }
                | Fact::Group(_)
                | Fact::GroupRemoved { .. }
                | Fact::Parked(_)
                | Fact::Unparked { .. }
                | Fact::Emitted(_)
                | Fact::SignalTaken { .. }
                | Fact::Noted { .. } => {}
            }
        }
        self.reset.clear();
    }

    /// A usage limit is no failure: the start after it is not counted.
    fn ended(&mut self, row: &AttemptRow) {
        let limited = row.end.as_ref().is_some_and(|end| end.outcome == Outcome::RateLimited);
        if let (Owner::Instance { name }, true) = (&row.order.owner, limited) {
            self.forgiven.insert(name.clone());
        }
    }

    /// What a person stopped stays stopped, and the start limit holds.
    fn intended(&mut self, at: Moment, order: &Order, agents: &BTreeMap<String, Agent>) {
        let Owner::Instance { name } = &order.owner else { return };
        let stopped = self.stopped.get(name);
        assert_eq!(stopped, None, "{name} was stopped by a person and starts at {at:?}");
        let forgiven = self.forgiven.remove(name);
        let restarts = self.restarts.entry(name.clone()).or_default();
        match order.reason {
            StartReason::Restart => {}
            // It is started with another, which leaves what is counted of it as it is.
            StartReason::Group => return,
            StartReason::First
            | StartReason::Retry
            | StartReason::Fallback
            | StartReason::Lost
            | StartReason::Manual
            | StartReason::Failover => return restarts.clear(),
        }
        if forgiven {
            return;
        }
        restarts.push(at);
        // Whoever serves is judged by its own limits.
        let Some(agent) = agents.get(&order.agent) else { return };
        let policy = &agent.policy;
        let window = policy.start_limit_interval_ms.saturating_sub(SLACK_MS);
        let recent = restarts.iter().filter(|start| start.0 + window > at.0).count();
        let most = policy.start_limit_burst as usize;
        assert!(recent <= most, "{name} was restarted {recent} times in the window");
    }
}

/// Never more switches within the interval than the first agent of the chain allows (fault 72).
fn the_budget_holds(at: Moment, row: &InstanceRow, agents: &BTreeMap<String, Agent>) {
    let Some(agent) = agents.get(&row.name) else { return };
    let Some(failover) = agent.policy.failover.as_ref() else {
        assert_eq!((&row.serving, row.switches.len()), (&None, 0), "{} fails over", row.name);
        return;
    };
    let used = failover.recent(&row.switches, at);
    assert!(used <= failover.max_switches, "{} was switched {used} times", row.name);
}

/// Nothing is done about an agent that does well, or of which nothing is known (faults 49, 69).
fn the_stop_has_a_reason(id: &AttemptId, cause: StopCause, shims: &Shims) {
    // Without its shim nobody can hear or see it.
    let seen = |shim: &&Shim| shim.started.is_some() && shim.over.is_none();
    let Some(shim) = shims.get(id).filter(seen) else { return };
    let mood = shim.deed.mood;
    let innocent = match cause {
        StopCause::Probe => matches!(mood.look, Look::Well | Look::Unknown),
        StopCause::Watchdog => mood.beats_ms.is_none(),
        StopCause::StartTimeout => mood.is_ready_soon(),
        StopCause::Timeout
        | StopCause::IdleTimeout
        | StopCause::Cancelled
        | StopCause::Restarting
        | StopCause::Submitted
        | StopCause::Failover
        | StopCause::Group => false,
    };
    assert!(!innocent, "{id} is stopped ({cause}) and does well: {mood:?}");
}

/// An attempt is over when its agent is, and is called what it was.
fn the_end_is_true(row: &AttemptRow, shims: &Shims) {
    let id = &row.order.attempt;
    let end = row.end.as_ref().expect("it has just ended");
    let Some(shim) = shims.get(id) else {
        assert_eq!(end.outcome, Outcome::Cancelled, "{id} was never launched");
        return;
    };
    assert!(!shim.agent_lives, "{id} is said to be over and its agent lives");
    let Some(exit) = shim.over.as_ref().map(|over| &over.exit) else {
        panic!("{id} is said to be over and its shim lives: {end:?}");
    };
    let wanted = matches!(row.stopping, Some(StopCause::Cancelled | StopCause::Restarting));
    let fits = match exit {
        // Between a launch and its window a stop needs no shim.
        None => matches!(end.outcome, Outcome::Lost | Outcome::Cancelled),
        Some(exit) if exit.exec_failure.is_some() => end.outcome == Outcome::ExecFailed,
        Some(_) if wanted => end.outcome == Outcome::Cancelled,
        Some(exit) if exit.stop.is_empty() => end.outcome == by_itself(&shim.deed, &row.order),
        Some(_) => match row.stopping {
            Some(StopCause::Group | StopCause::Failover) => end.outcome == Outcome::Cancelled,
            Some(_) if end.outcome == Outcome::RateLimited => {
                shim.deed.ending.screen.starts_with("limit") && knows_limits(&row.order)
            }
            cause => cause.is_some_and(|cause| end.outcome.word() == cause.word()),
        },
    };
    assert!(fits, "{id} is called {end:?} and was {:?}", shim.over);
}

/// What an agent that nobody stopped has to be called.
fn by_itself(deed: &Deed, order: &Order) -> Outcome {
    let exit = deed.ending.exit.as_ref().expect("no agent plans to be lost");
    match (exit.code, &deed.ending.extract) {
        (None, _) => Outcome::Signal,
        (Some(0), Extract::Complete { .. }) => Outcome::Success,
        (Some(0), Extract::Malformed { .. }) if order.result != ResultRule::None => {
            Outcome::Malformed
        }
        (Some(0), _) if order.result_required => Outcome::NoResult,
        (Some(0), _) => Outcome::Success,
        (Some(1), _) if deed.ending.screen.starts_with("limit") && knows_limits(order) => {
            Outcome::RateLimited
        }
        (Some(_), _) => Outcome::ExitCode,
    }
}

fn knows_limits(order: &Order) -> bool {
    !order.care.rules.is_empty()
}

fn the_result_is_true(id: &AttemptId, value: &Value, report: bool, shims: &Shims) {
    let shim = shims.get(id).expect("it has a result");
    assert!(shim.succeeded(), "{id} did not succeed: {:?}", shim.over);
    if report {
        assert_eq!(value["exit_code"], 0);
        return;
    }
    let of = match &shim.order.owner {
        Owner::Task { task, .. } => task.as_str(),
        Owner::Instance { name } => name,
    };
    let nothing = value.is_null() && !shim.order.result_required;
    let expected = format!("{of} by attempt {}", shim.order.n);
    assert!(nothing || value.as_str() == Some(&expected), "{id} gave {expected}, not {value}");
}
