//! The breaker: after several final failures nothing more is started, and a person decides what
//! becomes of the run (features K10–K12, ruling Z6).
//!
//! A failure counts once per task, not per attempt. A worker counts, and so does an item, and then
//! its `for_each` task does not once more; where that task bears failures it counts instead of
//! them. What does not count: a task that is optional, a person's own no, hooks and the last
//! command. Failures from before the last decision do not count either: whoever decided knew of
//! them.

use crate::model::ask::{ACCEPT, ADJUST, RETRY};
use crate::model::pause::FAILURES;
use crate::model::{
    Ask, AskKind, Moment, Outcome, RunFact, RunId, RunState, SkipReason, TaskId, TaskState,
};
use crate::plan;

use super::census::Circle;
use super::{Action, Question, Run, Task, Workflow};

impl Run {
    /// The tasks whose final failure counts and nobody has decided about yet.
    pub(super) fn failures(&self) -> Vec<TaskId> {
        let decided = self
            .kept
            .asks
            .values()
            .filter(|question| question.ask.kind == AskKind::Failures)
            .filter_map(|question| question.answered)
            .max();
        let counts = |plan: &plan::Task, task: &Task| {
            let fresh = decided.is_none_or(|decided| task.ended.is_some_and(|at| at > decided));
            fresh && !self.failed_by_items(plan) && !refused(task)
        };
        let failed = self.census.failures().filter_map(|at| self.at(at));
        let failed = failed.filter(|(plan, task)| counts(plan, task));
        failed.map(|(plan, _)| plan.id.clone()).collect()
    }

    /// Whether it failed because items of it did that count themselves.
    fn failed_by_items(&self, plan: &plan::Task) -> bool {
        let items = || self.census.of_circle(&Circle::Items(plan.id.clone()));
        plan.for_each.is_some() && !plan.bears_failures() && items().failed > 0
    }

    /// What is told of a run that goes no further (feature K11), word for word.
    pub fn partial_results(&self) -> String {
        let counted = || self.tasks().filter(|(plan, _)| plan.counts());
        let done = counted().filter(|(_, task)| task.state == TaskState::Success).count();
        let failed = counted().filter(|(_, task)| has_failed(task));
        let failed: Vec<&str> = failed.map(|(plan, _)| plan.id.as_str()).collect();
        format!(
            "{done} of {} tasks completed. Failed tasks: [{}]. Partial results available.",
            counted().count(),
            failed.join(", ")
        )
    }

    /// What a question says now: what ran on when it was asked may have ended since.
    pub fn asked_now(&self, question: &Question) -> String {
        let open = question.ask.kind == AskKind::Failures && question.answer.is_none();
        if open { self.partial_results() } else { question.ask.question.clone() }
    }

    /// Whether a person has to decide about failures first.
    pub fn asks_about_failures(&self) -> bool {
        self.open_questions().any(|question| question.ask.kind == AskKind::Failures)
    }

    /// Whether it cannot end before a person has decided about its failures. With nothing to show
    /// for it there is nothing to decide (feature K6).
    pub(super) fn must_decide(&self) -> bool {
        self.asks_about_failures() && !self.cancelling && !self.all_failed()
    }

    /// Whether there is work beside what failed: some that could still be started, items and
    /// workers as well, a lead that may ask for more, a run within, or some that cannot be done
    /// because of the failures. Without, there is nothing to stop and nothing to gain, and the run ends with what
    /// there is; `retry` does the failed ones again.
    fn is_cut_short(&self) -> bool {
        let mut live = self.census.live().filter_map(|at| self.at(at));
        let inner = self.census.seats.taken() > 0 || self.census.seats.any_waits();
        if inner || live.any(|(plan, _)| plan.lead.is_some()) {
            return true;
        }
        let open = [TaskState::Blocked, TaskState::Queued, TaskState::RetryWait];
        let open = open.into_iter().flat_map(|state| self.census.in_state(state));
        let skipped = self.census.in_state(TaskState::Skipped);
        let lacks = |at: &usize| {
            self.at(*at).is_some_and(|(_, task)| task.skip == Some(SkipReason::Upstream))
        };
        let found = open.chain(skipped.filter(lacks)).filter_map(|at| self.at(at));
        // Hooks and the last command follow what there is, however little that is.
        found.into_iter().any(|(plan, _)| plan.counts())
    }

    /// Whether everything is over and nothing of it succeeded (feature K6).
    pub(super) fn all_failed(&self) -> bool {
        let others = self.tasks().filter(|(plan, _)| !plan.is_last());
        others.into_iter().all(|(_, t)| t.state.is_end() && t.state != TaskState::Success)
    }
}

fn has_failed(task: &Task) -> bool {
    matches!(task.state, TaskState::Failed | TaskState::Timeout)
}

/// A no that a person gave is no trouble of an agent's.
fn refused(task: &Task) -> bool {
    task.attempt.is_none()
        && task.error.as_ref().is_some_and(|error| error.outcome == Outcome::Refused)
}

impl Workflow {
    /// Pauses a run with too many failures, and asks.
    pub(super) fn look_at_failures(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get(id) else { return };
        let most = run.plan.stop_after_failures as usize;
        if most == 0 || run.state != RunState::Running || run.winding_down() {
            return;
        }
        if run.failures().len() < most || run.all_failed() || !run.is_cut_short() {
            return;
        }
        let asked = run.kept.asks.values().filter(|it| it.ask.kind == AskKind::Failures).count();
        let ask = Ask {
            id: format!("failures-{}", asked + 1),
            kind: AskKind::Failures,
            task: None,
            question: run.partial_results(),
            answers: [RETRY, ADJUST, ACCEPT].map(str::to_owned).into(),
            expires: None,
            on_expire: None,
        };
        self.record(now, id, RunFact::Asked(ask), out);
        let why = Some(FAILURES.to_owned());
        self.record(now, id, RunFact::Moved { state: RunState::Paused, why }, out);
        self.pause_children(now, id, false, out);
    }

    /// Does what a person decided. An edited plan comes with an event of its own.
    pub(super) fn failures_answered(
        &mut self,
        now: Moment,
        id: &RunId,
        answer: &str,
        out: &mut Vec<Action>,
    ) {
        match answer {
            RETRY => {
                let tasks = super::again::what_failed(&self.runs[id], true);
                self.do_again(now, id, &tasks, out);
            }
            ACCEPT => self.accept(now, id, out),
            _ => {}
        }
    }
}
