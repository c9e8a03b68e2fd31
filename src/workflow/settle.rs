//! Brings every run to rest after an event: which tasks can start, which never will, and which
//! runs are over. Repeats until nothing changes, since every step may open the next.

use std::collections::BTreeSet;

use crate::model::{Moment, RunFact, RunId, RunState, SkipReason, TaskError, TaskId, TaskState};
use crate::plan::{self, DependsOn, Origin};

use super::{Action, Run, Workflow, gather, outcome};

/// What the dependencies of a blocked task say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readiness {
    /// Something it waits for is not over.
    Waits,
    /// It can start.
    Ready,
    /// Something it needs was not done.
    Never,
}

impl Workflow {
    pub(super) fn settle(&mut self, now: Moment, out: &mut Vec<Action>) {
        let ids: Vec<RunId> = self.runs.keys().cloned().collect();
        loop {
            let before = out.len();
            for id in &ids {
                self.settle_run(now, id, out);
            }
            self.deliver(now, out);
            self.dispatch(now, out);
            for id in &ids {
                self.hold_at_limit(now, id, out);
            }
            if out.len() == before {
                return;
            }
        }
    }

    fn settle_run(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get(id) else { return };
        if run.state == RunState::Running && run.aborted() && !run.cancelling {
            self.abort(now, id, out);
        }
        self.gather(now, id, out);
        self.stop_late(now, id, out);
        self.leave_limit(now, id, out);
        self.leave_with_parent(now, id, out);
        self.look_at_children(now, id, out);
        self.look_at_clocks(now, id, out);
        self.follow_hooks(now, id, out);
        while self.close_tasks(now, id, out) {}
        self.look_at_failures(now, id, out);
        if self.runs.get(id).is_some_and(Run::takes_work) {
            self.join_again(now, id, out);
            self.break_ties(now, id, out);
            self.open_tasks(now, id, out);
            self.ask_for_children(now, id, out);
        }
        self.release_workers(now, id, out);
        self.look_at_last(now, id, out);
        self.finish(now, id, out);
    }

    /// Stops what is left of a run whose plan says abort, once.
    fn abort(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        if self.stopping.insert(id.clone()) {
            self.stop_all(now, id, SkipReason::Stopped, out);
        }
    }

    /// Writes off what cannot be done any more, and says whether there was anything; what needs
    /// that is written off the next time. Nothing is started by it, so it is done in a pause too.
    fn close_tasks(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) -> bool {
        let Some(run) = self.runs.get(id) else { return false };
        if run.state.is_end() || run.state == RunState::AwaitingApproval {
            return false;
        }
        let mut facts = Vec::new();
        let blocked = run.census.in_state(TaskState::Blocked).filter_map(|at| run.at(at));
        for (plan, _) in blocked.filter(|(plan, _)| !plan.is_last()) {
            if readiness(run, plan) == Readiness::Never {
                let (task, reason) = (plan.id.clone(), SkipReason::Upstream);
                facts.push(RunFact::TaskSkipped { task, reason });
            }
        }
        // Told as a failure first, so that the reason is on record.
        for (plan, _) in run.census.spared().filter_map(|at| run.at(at)) {
            let (task, reason) = (plan.id.clone(), SkipReason::Optional);
            facts.push(RunFact::TaskSkipped { task, reason });
        }
        let found = !facts.is_empty();
        for fact in facts {
            self.record(now, id, fact, out);
        }
        found
    }

    fn open_tasks(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let run = self.runs.get(id).expect("the caller found it");
        let census = &run.census;
        let named = |at: usize| run.at(at).map(|(plan, _)| plan.id.clone());
        let blocked = census.in_state(TaskState::Blocked).filter_map(|at| run.at(at));
        let begin: Vec<TaskId> = blocked
            .filter(|(plan, _)| !plan.is_last() && readiness(run, plan) == Readiness::Ready)
            .map(|(plan, _)| plan.id.clone())
            .collect();
        let again: BTreeSet<usize> = (census.due(now))
            .chain(census.limited().filter(|at| self.limit_is_over(run, *at)))
            .collect();
        let again: Vec<TaskId> = again.into_iter().filter_map(named).collect();
        for task in again {
            self.record(now, id, RunFact::TaskQueued { task }, out);
        }
        for task in begin {
            if self.runs[id].takes_work() {
                self.begin(now, id, &task, out);
            }
        }
    }

    /// Whether a task waits for a usage limit of an agent that is no longer parked.
    fn limit_is_over(&self, run: &Run, at: usize) -> bool {
        let Some((plan, task)) = run.at(at) else { return false };
        let name = run.plan.agent_at(plan, task.agent_index);
        name.is_none_or(|name| !self.parked.contains_key(name))
    }

    /// Ends a run whose tasks are all over.
    fn finish(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get(id) else { return };
        let over = run.census.all_over();
        if run.state.is_end() || !over || run.must_decide() {
            return;
        }
        let (outcome, root_cause) = outcome::of(run);
        if matches!(run.state, RunState::Running | RunState::Paused) {
            let fact = RunFact::Moved { state: RunState::Completing, why: None };
            self.record(now, id, fact, out);
        }
        self.record(now, id, RunFact::Ended { outcome, root_cause }, out);
        self.stopping.remove(id);
        self.late.retain(|(run, ..)| run != id);
    }

    /// Fails a task before any attempt, because what it needs cannot be given to it.
    pub(super) fn fail_before_start(
        &mut self,
        now: Moment,
        id: &RunId,
        task: TaskId,
        error: TaskError,
        out: &mut Vec<Action>,
    ) {
        self.record(now, id, RunFact::TaskFailed { task, attempt: None, error }, out);
    }
}

/// Whether everything that a task needs is there.
pub(super) fn is_ready(run: &Run, plan: &plan::Task) -> bool {
    readiness(run, plan) == Readiness::Ready
}

/// Whether something that a task needs was not done.
pub(super) fn is_lost(run: &Run, plan: &plan::Task) -> bool {
    readiness(run, plan) == Readiness::Never
}

/// A hard dependency must have succeeded; a soft one must only be over. Nothing is given up
/// before all of them are over, so that order also holds among tasks that are skipped.
fn readiness(run: &Run, plan: &plan::Task) -> Readiness {
    let state = |id: &TaskId| run.task(id).map(|task| task.state);
    match &plan.origin {
        // Until the list is read nobody knows whether the item is still in it.
        Some(Origin::Item { of, .. }) => match state(of) {
            Some(TaskState::Waiting) => {}
            _ => return Readiness::Waits,
        },
        Some(Origin::Hook { of, .. }) => match state(of) {
            Some(TaskState::Success) => {}
            Some(over) if over.is_end() => return Readiness::Never,
            _ => return Readiness::Waits,
        },
        Some(Origin::Worker { .. } | Origin::Finish) | None => {}
    }
    let is_open = |need: &DependsOn| state(&need.task).is_some_and(|state| !state.is_end());
    if plan.needs.iter().any(is_open) {
        return Readiness::Waits;
    }
    let missing = |need: &DependsOn| {
        need.hard && state(&need.task) != Some(TaskState::Success) || is_short(run, plan, need)
    };
    if plan.needs.iter().any(missing) { Readiness::Never } else { Readiness::Ready }
}

/// Whether a task is of another phase that was done by too few.
fn is_short(run: &Run, plan: &plan::Task, need: &DependsOn) -> bool {
    let phase = run.definition(&need.task).map(|earlier| &earlier.phase);
    phase.is_some_and(|phase| *phase != plan.phase && gather::falls_short(run, phase))
}
