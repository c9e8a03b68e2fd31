//! The `execution_results` document of a run (features O1–O7, rulings Z17, Z19), and what people
//! are shown as its merged result.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::model::{ErrorKind, Moment, RunOutcome, SkipReason, TaskError, TaskId, TaskState, ms};
use crate::plan::{self, DependsCause, DependsOn, Origin, Plan};

use super::stale::unseen;
use super::{Run, Task, outcome};

/// Of a run or phase of which nothing is missing.
const COMPLETED: &str = "completed";

/// The document, alone on stdout of `run --json`. `now` stands in for the end of a run that goes
/// on; `started_at` is its start in RFC 3339, which only the ledger knows.
pub fn document(run: &Run, started_at: Option<&str>, now: Moment) -> Value {
    let end = run.ended.unwrap_or(now);
    let duration = run.started.map_or(0, |started| ms(end.since(started)));
    let mut results = json!({
        "schema_version": 1,
        "plan_id": run.id,
        "plan": run.plan.name,
        "status": status(run),
        "state": run.state,
        "cancelled": run.outcome == Some(RunOutcome::Cancelled),
        "root_cause": run.root_cause,
        "duration_ms": duration,
        "phases": run.plan.phases.iter().map(|p| phase(run, p, end)).collect::<Vec<_>>(),
        "summary": summary(run),
        "usage": super::usage::document(run, end),
    });
    if let Some(at) = started_at {
        results["started_at"] = json!(at);
    }
    json!({ "execution_results": results })
}

/// The tasks whose output no other task reads: together they are the result (features O5, O7).
pub fn finals(plan: &Plan) -> Vec<TaskId> {
    let reads = |need: &&DependsOn| need.cause == DependsCause::Reference;
    let is_own = |task: &&plan::Task| matches!(task.origin, None | Some(Origin::Worker { .. }));
    let read: BTreeSet<&TaskId> = plan
        .tasks
        .iter()
        .filter(is_own)
        .flat_map(|task| task.needs.iter().filter(reads))
        .map(|need| &need.task)
        .collect();
    // What workers give goes to their lead.
    let unread = plan.tasks.iter().filter(is_own).filter(|task| !read.contains(&task.id));
    let unread = unread.filter(|task| task.worker_of().is_none());
    unread.map(|task| task.id.clone()).collect()
}

/// A run that goes on, or that was cancelled, has not completed.
fn status(run: &Run) -> &'static str {
    match run.outcome {
        Some(RunOutcome::Completed) => COMPLETED,
        Some(RunOutcome::Partial) | None => "partial",
        Some(RunOutcome::Failed | RunOutcome::Cancelled) => "failed",
    }
}

fn phase(run: &Run, phase: &plan::Phase, end: Moment) -> Value {
    let tasks = tasks_of(run, phase);
    let start = tasks.iter().filter_map(|(_, task)| task.started).min();
    let over = tasks.iter().map(|(_, task)| task.ended.unwrap_or(end)).max().unwrap_or(end);
    json!({
        "phase_id": phase.id,
        "status": phase_status(run, phase),
        "duration_ms": start.map_or(0, |start| ms(over.since(start))),
        "tasks": tasks.iter().map(|(plan, task)| task_result(plan, task, end)).collect::<Vec<_>>(),
    })
}

fn tasks_of<'a>(run: &'a Run, phase: &plan::Phase) -> Vec<(&'a plan::Task, &'a Task)> {
    entries(run).filter(|(plan, _)| plan.phase == phase.id).collect()
}

/// Whether a phase is over and nothing of it is missing.
pub fn is_completed(run: &Run, phase: &plan::Phase) -> bool {
    phase_status(run, phase) == COMPLETED
}

fn phase_status(run: &Run, phase: &plan::Phase) -> &'static str {
    let tasks = tasks_of(run, phase);
    let of = |state: TaskState| tasks.iter().filter(|(_, t)| t.state == state).count();
    let successful = of(TaskState::Success);
    let left_out = tasks.iter().filter(|(_, t)| task_status(t.state) == "skipped").count();
    // What failed and was optional leaves its phase whole.
    let spared = tasks
        .iter()
        .filter(|(plan, t)| {
            let not_done = t.state.is_end() && t.state != TaskState::Success;
            matches!(t.skip, Some(SkipReason::Optional | SkipReason::WhenFalse))
                || (plan.worker_of().is_some() && not_done)
        })
        .count();
    let at_work = tasks.iter().any(|(_, t)| !t.state.is_end() && t.started.is_some());
    let whole = tasks.iter().all(|(plan, task)| unseen(run, plan, task).is_empty());
    match () {
        () if successful == tasks.len() && whole => COMPLETED,
        () if successful > 0 && successful + spared == tasks.len() && whole => COMPLETED,
        () if successful > 0 || at_work => "partial",
        () if left_out == tasks.len() => "skipped",
        () => "failed",
    }
}

fn task_result(plan: &plan::Task, task: &Task, end: Moment) -> Value {
    let (task_id, item_key) = match &plan.origin {
        Some(Origin::Item { of, key, .. }) => (of, Some(key)),
        Some(Origin::Hook { .. } | Origin::Worker { .. } | Origin::Finish) | None => {
            (&plan.id, None)
        }
    };
    let taken = task.taken();
    let agent = taken.map(|(source, _)| &source.agent).or(task.agent.as_ref());
    let mut result = json!({
        "task_id": task_id,
        "status": task_status(task.state),
        "plugin_used": agent,
        "attempt_number": task.n,
        "duration_ms": task.started.map_or(0, |started| ms(task.ended.unwrap_or(end).since(started))),
        "output": task.output.as_ref().map(|output| &output.value),
        "error": error(task),
    });
    if let Some((source, age_ms)) = taken {
        let (run, attempt) = (&source.run, &source.attempt);
        result["cached"] = json!({ "run": run, "attempt": attempt, "age_ms": age_ms });
    }
    if let Some(key) = item_key {
        result["item_key"] = json!(key);
    }
    if let Some(reason) = skip_reason(task) {
        result["skip_reason"] = json!(reason);
    }
    result
}

/// The seed's four words (ruling Z4). What was not done, for whatever reason, is `skipped`.
fn task_status(state: TaskState) -> &'static str {
    match state {
        TaskState::Success => "success",
        TaskState::Failed => "failed",
        TaskState::Timeout => "timeout",
        TaskState::Skipped
        | TaskState::Cancelled
        | TaskState::Blocked
        | TaskState::Ready
        | TaskState::Queued
        | TaskState::Starting
        | TaskState::Running
        | TaskState::RetryWait
        | TaskState::Waiting => "skipped",
    }
}

fn skip_reason(task: &Task) -> Option<SkipReason> {
    match task.state {
        TaskState::Skipped | TaskState::Cancelled => task.skip,
        TaskState::Success
        | TaskState::Failed
        | TaskState::Timeout
        | TaskState::Blocked
        | TaskState::Ready
        | TaskState::Queued
        | TaskState::Starting
        | TaskState::Running
        | TaskState::RetryWait
        | TaskState::Waiting => None,
    }
}

fn error(task: &Task) -> Value {
    match (task.state, &task.error) {
        (TaskState::Success, _) | (_, None) => Value::Null,
        (_, Some(error)) => error_value(error),
    }
}

fn error_value(error: &TaskError) -> Value {
    json!({
        "kind": error.outcome.kind().unwrap_or(ErrorKind::Exit),
        "outcome": error.outcome,
        "message": error.message,
        "exit_code": error.exit_code,
        "signal": error.signal,
        "log": error.log.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
    })
}

/// The tasks of the document: all but hooks and the like. An item stands behind its task.
fn entries(run: &Run) -> impl Iterator<Item = (&plan::Task, &Task)> {
    run.tasks().filter(|(plan, _)| plan.origin.as_ref().is_none_or(Origin::counts))
}

fn summary(run: &Run) -> Value {
    let of = |word: &str| entries(run).filter(|(_, t)| task_status(t.state) == word).count();
    let timeout = of("timeout");
    let retried = entries(run).filter(|(_, task)| task.n > 1).count();
    let fell_back = entries(run).filter(|(plan, task)| worked_by_fallback(plan, task)).count();
    json!({
        "total_tasks": entries(run).count(),
        "successful": of("success"),
        "failed": of("failed") + timeout,
        "skipped": of("skipped"),
        "timeout": timeout,
        "retried": retried,
        "fell_back": fell_back,
        "gaps": gaps(run),
    })
}

/// Whether its last attempt was made by another agent than the first; the one that it would have
/// gone on with may never have started.
fn worked_by_fallback(plan: &plan::Task, task: &Task) -> bool {
    let primary = plan.work.agents().first().map(|agent| &agent.name);
    primary.is_some() && task.agent.is_some() && task.agent.as_ref() != primary
}

/// What is missing, and why, for whoever reads the result (features K9, K11). What the plan left
/// out is no gap.
fn gaps(run: &Run) -> Vec<Value> {
    let mut gaps = Vec::new();
    for (plan, task) in entries(run).filter(|(_, task)| task.state.is_end()) {
        if task.state == TaskState::Success {
            gaps.extend(unseen(run, plan, task));
        } else if !outcome::is_left_out(run, plan, task) {
            let reason = match (&task.error, task.skip) {
                (Some(error), Some(SkipReason::Optional) | None) => {
                    format!("{}: {}", error.outcome, error.message)
                }
                (_, Some(skip)) => format!("skipped: {skip}"),
                (None, None) => task.state.to_string(),
            };
            gaps.push((plan.id.to_string(), reason));
        }
    }
    gaps.into_iter().map(|(task, reason)| json!({ "task": task, "reason": reason })).collect()
}
