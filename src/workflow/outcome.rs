//! How a run ends: what its tasks amount to, and whose error it was.

use std::collections::BTreeSet;

use super::run::Run;
use super::stale::unseen;
use super::task::Task;
use crate::model::{RunOutcome, SkipReason, TaskId, TaskState};
use crate::plan::{self, Origin};

/// How a run ended (features K6, K19): all that had to succeed did; or nothing did, or the plan
/// said abort; or something between.
pub(super) fn of(run: &Run) -> (RunOutcome, Option<String>) {
    if run.cancelling {
        return (RunOutcome::Cancelled, None);
    }
    let counted = || run.tasks().filter(|(plan, _)| plan.counts());
    let required = || counted().filter(|(plan, _)| !is_optional(run, plan));
    let whole = required().all(|(plan, task)| is_whole(run, plan, task));
    let some = counted().any(|(_, task)| task.state == TaskState::Success);
    // Where everything was optional and everything failed, nothing was completed.
    if whole && (some || !counted().any(|(_, task)| has_failed(task))) {
        return (RunOutcome::Completed, None);
    }
    if some && !run.aborted() {
        return (RunOutcome::Partial, run.ended_by_budget());
    }
    (RunOutcome::Failed, root_cause(run).or_else(|| run.ended_by_budget()))
}

/// Whether nothing of a task is missing: what it is made of is all there, or the plan wanted none
/// of it.
fn is_whole(run: &Run, plan: &plan::Task, task: &Task) -> bool {
    match task.state {
        TaskState::Success => unseen(run, plan, task).is_empty(),
        TaskState::Failed
        | TaskState::Timeout
        | TaskState::Skipped
        | TaskState::Cancelled
        | TaskState::Blocked
        | TaskState::Ready
        | TaskState::Queued
        | TaskState::Starting
        | TaskState::Running
        | TaskState::RetryWait
        | TaskState::Waiting => is_left_out(run, plan, task),
    }
}

/// Whether its failure leaves its phase whole; an item is as optional as its task.
fn is_optional(run: &Run, plan: &plan::Task) -> bool {
    match &plan.origin {
        Some(Origin::Item { of, .. }) => run.definition(of).is_some_and(|task| task.optional),
        Some(Origin::Hook { .. } | Origin::Worker { .. } | Origin::Finish) | None => {
            plan.is_spared()
        }
    }
}

/// How a run stands; once everything but its last command is over, how it is about to end.
pub(super) fn told_status(run: &Run) -> String {
    let mut others = run.tasks().filter(|(plan, _)| !plan.is_last());
    let over = others.all(|(_, task)| task.state.is_end());
    if over { of(run).0.to_string() } else { run.state.to_string() }
}

/// Whether it was not done because a condition was false, its own or that of something it needs:
/// that is what the plan wanted, and no gap.
pub(super) fn is_left_out(run: &Run, plan: &plan::Task, task: &Task) -> bool {
    match (task.state, task.skip) {
        (TaskState::Skipped, Some(SkipReason::WhenFalse)) => true,
        (TaskState::Skipped, Some(SkipReason::Upstream)) => {
            let missing = plan.needs.iter().filter(|need| need.hard);
            let missing = missing.filter_map(|need| {
                let found = run.definition(&need.task).zip(run.task(&need.task));
                found.filter(|(_, task)| task.state != TaskState::Success)
            });
            let mut missing = missing.peekable();
            missing.peek().is_some() && missing.all(|(plan, task)| is_left_out(run, plan, task))
        }
        (_, _) => false,
    }
}

/// The first error in the order of dependencies, and among those that do not depend on each other
/// in the order of the plan. What was optional is the cause only where nothing else failed.
fn root_cause(run: &Run) -> Option<String> {
    let counted = |(plan, task): &(&plan::Task, &Task)| plan.counts() && has_failed(task);
    let failed: Vec<(&plan::Task, &Task)> = run.tasks().filter(counted).collect();
    let required = failed.iter().filter(|(plan, _)| !is_optional(run, plan));
    let required: BTreeSet<&TaskId> = required.map(|(plan, _)| &plan.id).collect();
    let candidates = if required.is_empty() {
        failed.iter().map(|(plan, _)| &plan.id).collect()
    } else {
        required
    };
    let (plan, task) = failed
        .into_iter()
        .find(|(plan, _)| candidates.contains(&plan.id) && !is_behind(run, plan, &candidates))?;
    let error = task.error.as_ref()?;
    Some(format!("{}: {}", plan.id, error.message))
}

/// Whether it failed for good; what was optional is skipped then.
fn has_failed(task: &Task) -> bool {
    matches!(task.state, TaskState::Failed | TaskState::Timeout)
        || task.skip == Some(SkipReason::Optional)
}

/// Whether one of these is on the way to this task.
fn is_behind(run: &Run, plan: &plan::Task, failed: &BTreeSet<&TaskId>) -> bool {
    let mut seen = BTreeSet::new();
    let mut way: Vec<&TaskId> = plan.needs.iter().map(|need| &need.task).collect();
    while let Some(id) = way.pop() {
        if failed.contains(id) {
            return true;
        }
        if let Some(earlier) = run.definition(id).filter(|_| seen.insert(id)) {
            way.extend(earlier.needs.iter().map(|need| &need.task));
        }
    }
    false
}
