//! Fan-in: what the items of a `for_each` task amount to, and whether enough of a phase was done
//! (features C1, C15, C16, K8, K9, K21).

use serde_json::{Value, json};

use super::census::{Circle, Tally};
use super::run::Run;
use super::task::Task;
use crate::model::{Outcome, Output, RunFact, TaskError, TaskId, TaskState};
use crate::plan::{self, ForEach, MinSuccess, OnPartialFailure, Origin, Phase};

/// How many failed items the error of their task names.
const NAMED_MAX: usize = 5;

/// The end of a `for_each` task all of whose items are over.
pub(super) fn end(run: &Run, plan: &plan::Task, for_each: &ForEach) -> RunFact {
    let task = plan.id.clone();
    let tally = run.census.of_circle(&Circle::Items(task.clone()));
    let continues = run
        .plan
        .phase(&plan.phase)
        .is_some_and(|phase| phase.on_partial_failure == OnPartialFailure::Continue);
    if is_enough(tally, for_each.min_success, continues) {
        let outputs = items(run, &task).filter_map(|(_, item)| item.output.as_ref());
        let output = Output::of(outputs.map(|output| output.value.clone()).collect());
        return RunFact::TaskSucceeded { task, attempt: None, output };
    }
    let error = shortage(run, &task, tally, for_each.min_success);
    RunFact::TaskFailed { task, attempt: None, error }
}

/// Whether so many successes do. Without a number all must succeed, gaps being allowed where the
/// phase goes on; what was stopped is a gap and no failure, but nothing at all is not enough.
fn is_enough(tally: Tally, least: Option<MinSuccess>, continues: bool) -> bool {
    match least {
        _ if tally.all == 0 => true,
        Some(least) => tally.success >= least.of(tally.all),
        None => tally.success > 0 && (continues || tally.failed == 0),
    }
}

fn shortage(run: &Run, task: &TaskId, tally: Tally, least: Option<MinSuccess>) -> TaskError {
    let Tally { all, success, failed, .. } = tally;
    let stopped = all - success - failed;
    let mut message = format!("{failed} of {all} items failed");
    if stopped > 0 {
        message += &format!(", {stopped} were not done");
    }
    if let Some(least) = least {
        message += &format!(", and at least {} must succeed (`min_success`)", least.of(all));
    }
    let errors: Vec<(&str, &TaskError)> = items(run, task)
        .filter(|(_, item)| item.state != TaskState::Success)
        .filter_map(|(key, item)| Some((key, item.error.as_ref()?)))
        .collect();
    for (at, (key, error)) in errors.iter().take(NAMED_MAX).enumerate() {
        let before = if at == 0 { ": " } else { "; " };
        message += &format!("{before}{task}[{key}]: {}", error.message);
    }
    if errors.len() > NAMED_MAX {
        message += &format!("; and {} more", errors.len() - NAMED_MAX);
    }
    let first = errors.first().map(|(_, error)| error.outcome);
    TaskError::new(first.unwrap_or(Outcome::Cancelled), message)
}

/// The items of a `for_each` task by key, in the order of its list.
pub(super) fn items<'a>(run: &'a Run, of: &TaskId) -> impl Iterator<Item = (&'a str, &'a Task)> {
    let ids = run.maps.get(of).into_iter().flat_map(|mapped| &mapped.items);
    ids.filter_map(|id| {
        let Some(Origin::Item { key, .. }) = &run.definition(id)?.origin else { return None };
        Some((key.as_str(), run.task(id)?))
    })
}

/// Every item with how it went; none for a task that has no items.
pub(super) fn results(run: &Run, of: &TaskId) -> Option<Vec<Value>> {
    run.maps.get(of)?;
    let result = |(key, task): (&str, &Task)| {
        json!({
            "key": key,
            "status": task.state,
            "output": task.output.as_ref().map(|output| &output.value),
            "error": said(task),
        })
    };
    Some(items(run, of).map(result).collect())
}

/// The items that failed, each with its error; none for a task that has no items.
pub(super) fn failed(run: &Run, of: &TaskId) -> Option<Vec<Value>> {
    run.maps.get(of)?;
    let failed = items(run, of).filter(|(_, task)| task.state.is_end() && lacks(task));
    Some(failed.map(|(key, task)| json!({ "key": key, "error": said(task) })).collect())
}

fn lacks(task: &Task) -> bool {
    task.state != TaskState::Success
}

/// Why an item has no result.
fn said(task: &Task) -> Option<String> {
    if !lacks(task) {
        return None;
    }
    let error = task.error.as_ref().map(|error| error.message.clone());
    error.or_else(|| task.skip.map(|skip| format!("skipped: {skip}")))
}

/// Whether enough tasks of a phase can still succeed, where it says how many must.
pub(super) fn may_suffice(run: &Run, phase: &Phase) -> bool {
    let Some(least) = phase.min_success else { return false };
    let tally = run.census.of_circle(&Circle::Phase(phase.id.clone()));
    tally.success + tally.open >= least.of(tally.all)
}

/// Whether a phase is over with fewer successes than it says it needs.
pub(super) fn falls_short(run: &Run, phase: &str) -> bool {
    let Some(least) = run.plan.phase(phase).and_then(|phase| phase.min_success) else {
        return false;
    };
    let tally = run.census.of_circle(&Circle::Phase(phase.to_owned()));
    tally.open == 0 && tally.success < least.of(tally.all)
}
