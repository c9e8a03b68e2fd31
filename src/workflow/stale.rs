//! What is missing within tasks that succeeded: the gaps of a plan inside of a plan (feature A22),
//! and results that were made without something. A reader that may do without what it refers to
//! may have run before that was there. Doing that again leaves the reader as it was, unless a
//! person wants what follows done again too; until then its result is stale (feature O5).

use serde_json::Value;

use crate::model::{Moment, RunOutcome, TaskId, TaskState};
use crate::plan::{self, DependsCause, DependsOn, Work};

use super::{Run, Task};

/// A task with a result, and what it was made without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// The reader.
    pub task: TaskId,
    /// What it read while there was no result of it, or only a part of one.
    pub read: TaskId,
}

/// The readers that stay as they are while these tasks are done again, each with the first of
/// them that it read.
pub fn left_behind(run: &Run, again: &[TaskId]) -> Vec<Stale> {
    let stays = |(plan, task): &(&plan::Task, &Task)| {
        plan.counts() && task.state == TaskState::Success && !again.contains(&plan.id)
    };
    let missed = |(plan, _): (&plan::Task, &Task)| {
        let mut holes = plan.needs.iter().filter(|need| leaves_a_hole(run, need));
        let read = holes.find(|need| again.contains(&need.task) && lacked(run, &need.task))?;
        Some(Stale { task: plan.id.clone(), read: read.task.clone() })
    };
    run.tasks().filter(stays).filter_map(missed).collect()
}

/// What is missing within a task that succeeded: gaps of the run that it stood for, and what it was
/// made without.
pub(super) fn unseen(run: &Run, plan: &plan::Task, task: &Task) -> Vec<(String, String)> {
    let mut found = inner_gaps(plan, task);
    found.extend(made_without(run, plan, task).map(|read| {
        let reason = format!("made without `{read}`, which was done later");
        (plan.id.to_string(), reason)
    }));
    found
}

/// What was not done within a task of kind `plan` that succeeded: the names of its gaps, and why.
/// Its output is usable, but the run that it is a part of is not whole.
fn inner_gaps(plan: &plan::Task, task: &Task) -> Vec<(String, String)> {
    let is_plan = matches!(plan.work, Work::Plan(_)) && task.state == TaskState::Success;
    let Some(output) = task.output.as_ref().filter(|_| is_plan) else { return Vec::new() };
    let partial = output.value["status"] == RunOutcome::Partial.word();
    let gaps = output.value["summary"]["gaps"].as_array().filter(|_| partial);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let gap = |gap: &Value| (format!("{}/{}", plan.id, text(&gap["task"])), text(&gap["reason"]));
    gaps.into_iter().flatten().map(gap).collect()
}

/// What a task with a result was made without, if that is there now.
fn made_without<'a>(run: &Run, plan: &'a plan::Task, task: &Task) -> Option<&'a TaskId> {
    let read_at = read_at(task).filter(|_| plan.counts() && task.state == TaskState::Success)?;
    let later = |need: &&DependsOn| {
        let found = run.task(&need.task);
        let done = found.filter(|found| found.state == TaskState::Success);
        leaves_a_hole(run, need) && done.and_then(|done| done.ended).is_some_and(|at| at > read_at)
    };
    plan.needs.iter().find(later).map(|need| &need.task)
}

/// Whether whoever has this dependency may run with a hole in what it reads: it does without the
/// other, or reads what the items of the other gave, as far as they did.
fn leaves_a_hole(run: &Run, need: &DependsOn) -> bool {
    let is_map = || run.definition(&need.task).is_some_and(|task| task.for_each.is_some());
    need.cause == DependsCause::Reference && (!need.hard || is_map())
}

/// Whether a task has no result, or a map a result without all of its items.
fn lacked(run: &Run, id: &TaskId) -> bool {
    let done = |id: &TaskId| run.task(id).is_some_and(|task| task.state == TaskState::Success);
    !done(id) || super::gather::failed(run, id).is_some_and(|failed| !failed.is_empty())
}

/// When a task that is over read what it refers to: its last attempt when that was to start, what
/// the daemon does itself at its end.
fn read_at(task: &Task) -> Option<Moment> {
    if task.n > 0 { task.queued.max(task.started) } else { task.ended }
}
