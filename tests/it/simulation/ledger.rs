//! The fake ledger: a batch of facts is kept whole or not at all, and what contradicts the fence is
//! refused. It rebuilds attempts and instances by a reading of the facts of its own, so that it can
//! be held against what the deciding rooms remember.

use std::collections::{BTreeMap, BTreeSet};

use muxvisor::daemon::Core;
use muxvisor::model::{
    AttemptFact, AttemptId, AttemptRow, AttemptState, CacheFact, Desired, Entry, Fact, GroupRow,
    InstanceRow, InstanceState, Moment, Outcome, Output, Owner, Parking, RunFact, RunId, RunState,
    Signal, StartReason, TaskId,
};
use muxvisor::workflow::{Run, Workflow};

use super::bonds::{Bonds, Ends};
use super::starts::Starts;

#[derive(Default)]
pub(super) struct Ledger {
    pub(super) runs: BTreeMap<RunId, Vec<(Moment, RunFact)>>,
    pub(super) attempts: BTreeMap<AttemptId, AttemptRow>,
    pub(super) instances: BTreeMap<String, InstanceRow>,
    pub(super) parked: BTreeMap<String, Parking>,
    pub(super) groups: BTreeMap<String, GroupRow>,
    /// How each task ended, once.
    pub(super) ends: Ends,
    pub(super) bonds: Bonds,
    pub(super) starts: Starts,
    /// How many attempts of a task were made again in a row because the one before was lost.
    lost: BTreeMap<(RunId, TaskId), u32>,
    /// The attempt that each task waits for.
    waits: BTreeMap<(RunId, TaskId), AttemptId>,
    /// The tasks that wait for their start.
    queued: BTreeSet<(RunId, TaskId)>,
    /// The runs that are paused.
    paused: BTreeSet<RunId>,
    /// Questions, and whether they wait for an answer.
    asks: BTreeMap<(RunId, String), bool>,
    /// How often it was compared.
    looks: usize,
    /// How many attempts an instance had when it was forgotten.
    forgotten: BTreeMap<String, usize>,
}

impl Ledger {
    /// Keeps a batch.
    pub(super) fn commit(&mut self, entries: &[Entry]) {
        for Entry { at, fact, .. } in entries {
            self.bonds.fact(fact);
            match fact {
                Fact::Run { run, fact } => self.run(*at, run, fact),
                Fact::Attempt { attempt, fact } => self.attempt(*at, attempt, fact),
                Fact::Instance(row) => {
                    self.instances.insert(row.name.clone(), row.clone());
                }
                Fact::InstanceRemoved { name } => {
                    self.instances.remove(name);
                    let owner = Owner::Instance { name: name.clone() };
                    let made = self.attempts.values().filter(|row| row.order.owner == owner);
                    self.forgotten.insert(name.clone(), made.count());
                }
                Fact::Parked(parking) => {
                    self.parked.insert(parking.agent.clone(), parking.clone());
                }
                Fact::Unparked { agent } => {
                    let parked = self.parked.remove(agent);
                    assert!(parked.is_some(), "{agent} was not parked");
                }
                Fact::Group(row) => {
                    self.groups.insert(row.name.clone(), row.clone());
                }
                Fact::GroupRemoved { name } => {
                    self.groups.remove(name);
                }
                Fact::Emitted(_) | Fact::SignalTaken { .. } | Fact::Noted { .. } => {}
            }
        }
        self.bonds.committed(&self.ends);
        self.nobody_works_for_who_is_over();
    }

    /// A worker whose lead is over is over too, or told to stop: nobody would take its result.
    fn nobody_works_for_who_is_over(&self) {
        for (run, lead, worker) in self.bonds.workers() {
            let end = |task: &TaskId| self.ends.get(&(run.clone(), task.clone()));
            let (Some(how), None) = (end(lead), end(worker)) else { continue };
            let attempt = self.waits.get(&(run.clone(), worker.clone()));
            let attempt = attempt.and_then(|attempt| self.attempts.get(attempt));
            let told = attempt.is_some_and(|row| row.stopping.is_some() || row.end.is_some());
            assert!(told, "{worker} goes on, and its lead {lead} is over: {how}");
        }
    }

    fn run(&mut self, at: Moment, run: &RunId, fact: &RunFact) {
        self.starts.run(run, fact, &self.bonds, &self.ends);
        self.bonds.run(run, fact, &mut self.ends);
        let turned_down = |task: &TaskId| self.bonds.was_turned_down(run, task, &self.ends);
        let hook = matches!(fact, RunFact::TaskFailed { task, error, .. }
            if error.outcome == Outcome::Hook && turned_down(task));
        let mut ended = |task: &TaskId, how| {
            let before = self.ends.insert((run.clone(), task.clone()), how);
            // What fails and was optional is told as a failure first, then skipped.
            let spared = (before, how) == (Some("failed"), "optional");
            // So is a result that a hook turned down.
            let spared = spared || hook && (before, how) == (Some("success"), "failed");
            assert!(before.is_none() || spared, "{task} ended twice: {before:?}, then {how}");
        };
        match fact {
            RunFact::TaskQueued { task } => {
                self.queued.insert((run.clone(), task.clone()));
            }
            RunFact::TaskStarting { task, attempt, n, .. } => {
                if *n == 1 {
                    // Of a worker that is hired again after an edit, nothing is counted on.
                    self.lost.remove(&(run.clone(), task.clone()));
                }
                self.queued.remove(&(run.clone(), task.clone()));
                assert!(!self.paused.contains(run), "{task} is started in a pause");
                let over = self.ends.get(&(run.clone(), task.clone()));
                assert_eq!(over, None, "{task} is over and is done once more");
                self.waits.insert((run.clone(), task.clone()), attempt.clone());
            }
            RunFact::TaskSucceeded { task, attempt, .. } => {
                let waited = self.waits.get(&(run.clone(), task.clone()));
                assert_eq!(waited, attempt.as_ref(), "a result from somebody else for {task}");
                ended(task, "success");
            }
            RunFact::TaskFailed { task, .. } => ended(task, "failed"),
            RunFact::TaskRetrying { task, error, reason, .. } => {
                let lost = self.lost.entry((run.clone(), task.clone())).or_default();
                let counts = error.outcome == Outcome::Lost && *reason != StartReason::Fallback;
                *lost = if counts { *lost + 1 } else { 0 };
                assert!(*lost <= 3, "{task} was lost {lost} times and goes on");
            }
            RunFact::TaskSkipped { task, reason } => ended(task, reason.word()),
            RunFact::TaskCancelled { task, .. } => ended(task, "cancelled"),
            RunFact::TaskReset { task } => {
                let over = self.ends.remove(&(run.clone(), task.clone()));
                let queued = self.queued.remove(&(run.clone(), task.clone()));
                assert!(over.is_some() || queued, "{task} is not over and is to be done again");
                self.lost.remove(&(run.clone(), task.clone()));
            }
            RunFact::TaskCache { task, fact: CacheFact::Kept { source, .. } } => {
                self.kept(run, task, &source.attempt);
            }
            RunFact::Moved { state, .. } => self.moved(run, *state),
            RunFact::Asked(ask) => {
                self.asks.insert((run.clone(), ask.id.clone()), true);
            }
            RunFact::Answered { ask, .. } => {
                let open = self.asks.insert((run.clone(), ask.clone()), false);
                assert_eq!(open, Some(true), "{ask} is answered twice, or was not asked");
            }
            RunFact::Submitted(_)
            | RunFact::TaskRunning { .. }
            | RunFact::TaskWaiting { .. }
            | RunFact::TaskRequeued { .. }
            | RunFact::TaskMapped { .. }
            | RunFact::TaskSpawned { .. }
            | RunFact::TaskStalled { .. }
            | RunFact::TaskReported { .. }
            | RunFact::TaskSpent { .. }
            | RunFact::TaskCache { .. }
            | RunFact::Messaged(_)
            | RunFact::Adjusted { .. }
            | RunFact::Reopened
            | RunFact::CancelRequested
            | RunFact::Ended { .. } => {}
        }
        self.runs.entry(run.clone()).or_default().push((at, stored(fact)));
    }

    fn moved(&mut self, run: &RunId, state: RunState) {
        if state == RunState::Paused {
            self.paused.insert(run.clone());
        } else {
            self.paused.remove(run);
        }
    }

    /// Kept is what succeeded, and by whom.
    fn kept(&self, run: &RunId, task: &TaskId, attempt: &AttemptId) {
        let at = (run.clone(), task.clone());
        assert_eq!(self.ends.get(&at), Some(&"success"), "{task} has nothing to keep");
        assert_eq!(self.waits.get(&at), Some(attempt), "{task} keeps somebody else's result");
    }

    fn attempt(&mut self, at: Moment, id: &AttemptId, fact: &AttemptFact) {
        if let AttemptFact::Intended(order) = fact {
            self.starts.intended(order, &self.bonds, &self.ends);
            let before = self.attempts.values().filter(|row| row.order.owner == order.owner);
            let forgotten = match &order.owner {
                Owner::Instance { name } => self.forgotten.get(name).copied().unwrap_or(0),
                Owner::Task { .. } => 0,
            };
            let number = before.count() + 1 - forgotten;
            // A worker of an edited lead is forgotten, and may be asked for again.
            let forgotten = self.bonds.is_rehired(&order.owner);
            let counts_on = order.n as usize == number || forgotten;
            assert!(counts_on, "attempt {} of {:?}, and it had {number}", order.n, order.owner);
            let row = AttemptRow::intended((**order).clone(), at);
            assert!(self.attempts.insert(id.clone(), row).is_none(), "{id} was intended twice");
            return;
        }
        let row = self.attempts.get_mut(id).unwrap_or_else(|| panic!("{id} was not intended"));
        assert_ne!(row.state, AttemptState::Ended, "{id} is over and cannot have {fact:?}");
        match fact {
            AttemptFact::Intended(_) => {}
            AttemptFact::Launched { shim, pane, window } => {
                row.launched = row.launched.or(Some(at));
                (row.shim, row.pane, row.window) =
                    (Some(shim.clone()), pane.clone(), window.clone());
                if row.state == AttemptState::Intended {
                    row.state = AttemptState::Starting;
                }
            }
            AttemptFact::Started { process } => {
                row.started = row.started.or(Some(at));
                row.process = Some(process.clone());
                if row.state != AttemptState::Stopping {
                    row.state = AttemptState::Running;
                }
            }
            AttemptFact::Ready => row.ready = row.ready.or(Some(at)),
            AttemptFact::Stopping { cause } => {
                (row.state, row.stopping) = (AttemptState::Stopping, Some(*cause));
            }
            AttemptFact::Ended(end) => {
                (row.state, row.end) = (AttemptState::Ended, Some(end.clone()));
            }
        }
    }

    /// The attempts that have not ended, as a later daemon reads them.
    pub(super) fn unended(&self) -> Vec<AttemptRow> {
        let rows = self.attempts.values().filter(|row| row.state != AttemptState::Ended);
        rows.map(through_json).collect()
    }

    /// The instances, as a later daemon reads them.
    pub(super) fn instances(&self) -> Vec<InstanceRow> {
        self.instances.values().map(through_json).collect()
    }

    /// The parked agents, as a later daemon reads them.
    pub(super) fn parked(&self) -> Vec<Parking> {
        self.parked.values().map(through_json).collect()
    }

    /// The groups, as a later daemon reads them.
    pub(super) fn groups(&self) -> Vec<GroupRow> {
        self.groups.values().map(through_json).collect()
    }

    /// The events that are kept, and keys, as a later daemon reads them.
    pub(super) fn signals(&self) -> Vec<Signal> {
        self.bonds.signals.values().map(through_json).collect()
    }

    /// The runs that have not ended.
    pub(super) fn live_runs(&self) -> impl Iterator<Item = (&RunId, &Vec<(Moment, RunFact)>)> {
        let over =
            |facts: &[(Moment, RunFact)]| matches!(facts.last(), Some((_, RunFact::Ended { .. })));
        self.runs.iter().filter(move |(_, facts)| !over(facts))
    }

    /// What is remembered is what is written.
    pub(super) fn agrees_with(&mut self, core: &Core) {
        self.looks += 1;
        // Of many runs a few are looked at each time, in turn, and each when it is over.
        let every = core.workflow.runs().count() / 4 + 1;
        let looks = self.looks;
        let chosen = |(n, run): &(usize, &Run)| run.state.is_end() || (n + looks) % every == 0;
        for (_, run) in core.workflow.runs().enumerate().filter(chosen) {
            let replayed = Workflow::replay(&run.id, &self.runs[&run.id]);
            let replayed = replayed.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(
                format!("{replayed:?}"),
                format!("{run:?}"),
                "the run is not what its facts say"
            );
        }
        let kept: Vec<&Signal> = core.workflow.kept_events().collect();
        let written = self.bonds.signals.values().filter(|signal| !signal.taken);
        assert_eq!(kept, written.collect::<Vec<_>>(), "which events are kept");
        let live: Vec<&AttemptRow> = core.supervisor.attempts().collect();
        let written: Vec<&AttemptRow> =
            self.attempts.values().filter(|row| row.state != AttemptState::Ended).collect();
        assert_eq!(live.len(), written.len(), "the attempts are not what is written");
        for (live, written) in live.into_iter().zip(written) {
            // By which policy an instance is judged is read anew, and not written.
            let order = match &live.order.owner {
                Owner::Instance { .. } => live.order.clone(),
                Owner::Task { .. } => written.order.clone(),
            };
            let written = AttemptRow { order, ..written.clone() };
            assert_eq!(*live, written, "the attempt is not what is written");
        }
        let parked: Vec<&Parking> = core.supervisor.parked().collect();
        assert_eq!(parked, self.parked.values().collect::<Vec<_>>(), "who is parked");
        let groups: Vec<&GroupRow> = core.supervisor.groups().collect();
        let written: Vec<&GroupRow> = self.groups.values().collect();
        assert_eq!(groups, written, "the groups are not what is written");
        for row in core.supervisor.instances() {
            match self.instances.get(&row.name) {
                Some(written) => assert_eq!(row, written, "the instance is not what is written"),
                // One that nobody ever started needs no row.
                None => {
                    assert_eq!((row.state, row.desired), (InstanceState::Stopped, Desired::Down))
                }
            }
        }
    }
}

fn through_json<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    let text = serde_json::to_string(value).expect("rows are JSON");
    serde_json::from_str(&text).expect("what was written can be read")
}

/// A fact as it comes back from disk; the values of outputs come from blobs.
fn stored(fact: &RunFact) -> RunFact {
    let mut read = through_json(fact);
    if let (RunFact::TaskSucceeded { output, .. }, RunFact::TaskSucceeded { output: real, .. }) =
        (&mut read, fact)
    {
        *output = Output::of(real.value.clone());
    }
    read
}
