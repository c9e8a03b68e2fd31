//! Facts of runs: each is an event, and moves the rows of the run and of its tasks.

use std::collections::BTreeSet;

use rusqlite::{Connection, ToSql, params};
use sha2::{Digest, Sha256};

use super::cache;
use crate::ledger::failure::{Error, sql};
use crate::ledger::statement::{Subject, change, event, fence, json, signed};
use crate::model::{
    AttemptId, Entry, Item, Outcome, Output, RunFact, RunId, RunOutcome, RunState, Submission,
    TaskId, TaskState,
};

/// Writes one fact of a run.
pub(super) fn write(
    db: &Connection,
    entry: &Entry,
    run: &RunId,
    fact: &RunFact,
) -> Result<(), Error> {
    match fact {
        RunFact::Submitted(submission) => submitted(db, entry, run, submission)?,
        RunFact::Moved { state, why } => moved(db, entry, run, *state, why.as_deref())?,
        RunFact::TaskQueued { task } => to_state(db, run, task, TaskState::Queued, None)?,
        RunFact::TaskStarting { task, attempt, n, agent, agent_index, reason: _ } => {
            let agent_index = i64::try_from(*agent_index).unwrap_or(i64::MAX);
            let values =
                params![run.as_str(), task.as_str(), attempt.as_str(), n, agent, agent_index];
            task_starting(db, task, values)?;
        }
        RunFact::TaskRunning { task, attempt } => running(db, run, task, attempt)?,
        RunFact::TaskSucceeded { task, attempt, output } => {
            succeeded(db, run, task, attempt.as_ref(), output)?;
        }
        RunFact::TaskRetrying { task, error, not_before, .. } => {
            to_state(db, run, task, TaskState::RetryWait, Some(&error.message))?;
            let text = "UPDATE task SET not_before = ?3 WHERE name = ?2
                        AND run = (SELECT id FROM run WHERE run_id = ?1)";
            change(db, text, params![run.as_str(), task.as_str(), signed(not_before.0)])?;
        }
        RunFact::TaskFailed { task, error, attempt: None } if error.outcome == Outcome::Hook => {
            turned_down(db, run, task, &error.message)?;
        }
        RunFact::TaskFailed { task, error, attempt: _ } => {
            let timeout = error.outcome == Outcome::Timeout;
            let state = if timeout { TaskState::Timeout } else { TaskState::Failed };
            to_state(db, run, task, state, Some(&error.message))?;
        }
        RunFact::TaskSkipped { task, reason } => {
            to_state(db, run, task, TaskState::Skipped, Some(reason.word()))?;
        }
        RunFact::TaskCancelled { task, reason } => {
            to_state(db, run, task, TaskState::Cancelled, Some(reason.word()))?;
        }
        RunFact::TaskWaiting { task, .. } => to_state(db, run, task, TaskState::Waiting, None)?,
        RunFact::TaskRequeued { task, .. } => to_state(db, run, task, TaskState::Blocked, None)?,
        RunFact::TaskReset { task } => reset(db, run, task)?,
        RunFact::TaskMapped { task, items } => mapped(db, run, task, items)?,
        RunFact::TaskSpawned { definition, .. } => {
            let id = definition.get("id").and_then(|id| id.as_str());
            id.map_or(Ok(()), |id| task_row(db, run, &TaskId::new(id)))?;
        }
        RunFact::TaskCache { task, fact } => cache::write(db, entry, run, task, fact)?,
        RunFact::TaskStalled { .. }
        | RunFact::TaskReported { .. }
        | RunFact::TaskSpent { .. }
        | RunFact::Messaged(_)
        | RunFact::Asked(_)
        | RunFact::Answered { .. } => {}
        RunFact::Adjusted { plan, .. } => adjusted(db, run, plan)?,
        RunFact::Reopened => {
            moved(db, entry, run, RunState::Running, None)?;
            let text = "UPDATE run SET cancelling = 0, root_cause = NULL WHERE run_id = ?1";
            change(db, text, params![run.as_str()])?;
        }
        RunFact::CancelRequested => {
            let text = "UPDATE run SET cancelling = 1 WHERE run_id = ?1";
            change(db, text, params![run.as_str()])?;
        }
        RunFact::Ended { outcome, root_cause } => {
            ended(db, entry, run, *outcome, root_cause.as_deref())?;
        }
    }
    // A submission is kept in its run's row only: it holds an environment.
    let kept_elsewhere = matches!(fact, RunFact::Submitted(_));
    let data = if kept_elsewhere { None } else { Some(json(fact)?) };
    event(db, entry, Subject::Run(run), word(fact), data.as_deref())
}

/// The tasks stand in the plan; a plan in another form gets its rows as they come up.
fn submitted(
    db: &Connection,
    entry: &Entry,
    run: &RunId,
    submission: &Submission,
) -> Result<(), Error> {
    let text = "INSERT INTO run (run_id, name, state, created_ms, submission, demo)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let state = RunState::Initializing.word();
    let (name, kept, demo) = (&submission.name, json(submission)?, submission.demo);
    change(db, text, params![run.as_str(), name, state, entry.wall_ms, kept, demo])?;
    let tasks = submission.plan.get("tasks").and_then(|tasks| tasks.as_array());
    for id in tasks.into_iter().flatten().filter_map(|task| task.get("id")?.as_str()) {
        task_row(db, run, &TaskId::new(id))?;
    }
    Ok(())
}

/// A row for every task that the plan has now, and for no other.
fn adjusted(db: &Connection, run: &RunId, plan: &serde_json::Value) -> Result<(), Error> {
    let tasks = plan.get("tasks").and_then(|tasks| tasks.as_array());
    for id in tasks.into_iter().flatten().filter_map(|task| task.get("id")?.as_str()) {
        task_row(db, run, &TaskId::new(id))?;
    }
    let text = "DELETE FROM task WHERE run = (SELECT id FROM run WHERE run_id = ?1)
                AND name NOT IN (SELECT value ->> '$.id' FROM json_each(?2, '$.tasks'))";
    change(db, text, params![run.as_str(), json(plan)?]).map(drop)
}

fn moved(
    db: &Connection,
    entry: &Entry,
    run: &RunId,
    state: RunState,
    why: Option<&str>,
) -> Result<(), Error> {
    let text = "UPDATE run SET state = ?2, why = ?3, outcome = NULL, ended_ms = NULL,
                started_ms = CASE WHEN ?2 = 'running' THEN coalesce(started_ms, ?4)
                                  ELSE started_ms END
                WHERE run_id = ?1";
    change(db, text, params![run.as_str(), state.word(), why, entry.wall_ms]).map(drop)
}

fn ended(
    db: &Connection,
    entry: &Entry,
    run: &RunId,
    outcome: RunOutcome,
    root_cause: Option<&str>,
) -> Result<(), Error> {
    let state = match outcome {
        RunOutcome::Completed | RunOutcome::Partial => RunState::Completed,
        RunOutcome::Failed => RunState::Failed,
        RunOutcome::Cancelled => RunState::Cancelled,
    };
    let text = "UPDATE run SET state = ?2, outcome = ?3, root_cause = ?4, ended_ms = ?5
                WHERE run_id = ?1";
    let values = params![run.as_str(), state.word(), outcome.word(), root_cause, entry.wall_ms];
    change(db, text, values).map(drop)
}

fn task_row(db: &Connection, run: &RunId, task: &TaskId) -> Result<(), Error> {
    let text = "INSERT INTO task (run, name, state) SELECT id, ?2, 'blocked' FROM run
                WHERE run_id = ?1 ON CONFLICT (run, name) DO NOTHING";
    change(db, text, params![run.as_str(), task.as_str()]).map(drop)
}

/// The only thing that moves a task that succeeded: a person wants it done again.
fn reset(db: &Connection, run: &RunId, task: &TaskId) -> Result<(), Error> {
    let text = "UPDATE task SET state = 'blocked', why = NULL, output_sha = NULL, error = NULL,
                not_before = NULL
                WHERE name = ?2 AND run = (SELECT id FROM run WHERE run_id = ?1)";
    change(db, text, params![run.as_str(), task.as_str()]).map(drop)
}

/// A hook looked at the result of a task and did not let it pass.
fn turned_down(db: &Connection, run: &RunId, task: &TaskId, why: &str) -> Result<(), Error> {
    let text = "UPDATE task SET state = 'failed', why = ?3, output_sha = NULL
                WHERE name = ?2 AND run = (SELECT id FROM run WHERE run_id = ?1)";
    let changed = change(db, text, params![run.as_str(), task.as_str(), why])?;
    fence(changed, || format!("{task} of {run} cannot be turned down: there is no such task"))
}

/// Every item has a row; those that are gone from the list have none.
fn mapped(db: &Connection, run: &RunId, of: &TaskId, items: &[Item]) -> Result<(), Error> {
    let rows: BTreeSet<String> = items.iter().map(|item| format!("{of}[{}]", item.key)).collect();
    for name in item_rows(db, run, of)?.difference(&rows) {
        let text = "DELETE FROM task WHERE name = ?2
                    AND run = (SELECT id FROM run WHERE run_id = ?1)";
        change(db, text, params![run.as_str(), name])?;
    }
    rows.iter().try_for_each(|name| task_row(db, run, &TaskId::new(name.as_str())))
}

fn item_rows(db: &Connection, run: &RunId, of: &TaskId) -> Result<BTreeSet<String>, Error> {
    let text = "SELECT name FROM task WHERE run = (SELECT id FROM run WHERE run_id = ?1)
                AND substr(name, 1, length(?2)) = ?2";
    let doing = "read the ledger";
    let mut found = db.prepare_cached(text).map_err(sql(doing))?;
    let prefix = format!("{of}[");
    let names = found.query_map([run.as_str(), &prefix], |row| row.get(0)).map_err(sql(doing))?;
    names.collect::<Result<_, _>>().map_err(sql(doing))
}

/// An accepted result is final: only a reset moves a task that succeeded.
fn to_state(
    db: &Connection,
    run: &RunId,
    task: &TaskId,
    state: TaskState,
    why: Option<&str>,
) -> Result<(), Error> {
    let text = "INSERT INTO task (run, name, state, why) SELECT id, ?2, ?3, ?4 FROM run
                WHERE run_id = ?1
                ON CONFLICT (run, name) DO UPDATE SET state = excluded.state, why = excluded.why
                WHERE task.state <> 'success'";
    let changed = change(db, text, params![run.as_str(), task.as_str(), state.word(), why])?;
    fence(changed, || {
        format!("{task} of {run} cannot become {state}: there is no such run, or it has its result")
    })
}

fn task_starting(db: &Connection, task: &TaskId, values: &[&dyn ToSql]) -> Result<(), Error> {
    let text = "INSERT INTO task (run, name, state, attempt, attempts, agent, agent_ix)
                SELECT id, ?2, 'starting', ?3, ?4, ?5, ?6 FROM run WHERE run_id = ?1
                ON CONFLICT (run, name) DO UPDATE SET state = 'starting', why = NULL,
                    not_before = NULL, attempt = excluded.attempt, attempts = excluded.attempts,
                    agent = excluded.agent, agent_ix = excluded.agent_ix
                WHERE task.state <> 'success'";
    let changed = change(db, text, values)?;
    fence(changed, || {
        format!("{task} cannot be started: there is no such run, or it has its result")
    })
}

fn running(db: &Connection, run: &RunId, task: &TaskId, attempt: &AttemptId) -> Result<(), Error> {
    let text = "UPDATE task SET state = 'running' WHERE name = ?2 AND attempt = ?3
                AND state IN ('starting', 'running')
                AND run = (SELECT id FROM run WHERE run_id = ?1)";
    let changed = change(db, text, params![run.as_str(), task.as_str(), attempt.as_str()])?;
    fence(changed, || format!("{task} of {run} does not wait for attempt {attempt}"))
}

/// The fence: one row, or the result is not accepted.
fn succeeded(
    db: &Connection,
    run: &RunId,
    task: &TaskId,
    attempt: Option<&AttemptId>,
    output: &Output,
) -> Result<(), Error> {
    blob(db, output)?;
    let changed = if let Some(attempt) = attempt {
        let text = "UPDATE task SET state = 'success', why = NULL, output_sha = ?4
                    WHERE name = ?2 AND attempt = ?3 AND state IN ('starting', 'running')
                    AND run = (SELECT id FROM run WHERE run_id = ?1)";
        let values = params![run.as_str(), task.as_str(), attempt.as_str(), output.sha];
        change(db, text, values)?
    } else {
        task_row(db, run, task)?;
        let text = "UPDATE task SET state = 'success', why = NULL, output_sha = ?3 WHERE name = ?2
                    AND state NOT IN ('success', 'failed', 'timeout', 'skipped', 'cancelled')
                    AND run = (SELECT id FROM run WHERE run_id = ?1)";
        change(db, text, params![run.as_str(), task.as_str(), output.sha])?
    };
    fence(changed, || {
        let from = attempt.map_or("the daemon", AttemptId::as_str);
        format!("the result of {from} for {task} of {run}: the task does not wait for it")
    })
}

/// A value under another value's name would be handed to the readers of that one.
fn blob(db: &Connection, output: &Output) -> Result<(), Error> {
    let body = json(&output.value)?;
    let sha: String =
        Sha256::digest(body.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    fence(usize::from(sha == output.sha), || {
        format!("an output that calls itself {} and is {sha}", output.sha)
    })?;
    let text = "INSERT INTO blob (sha, size, body) VALUES (?1, ?2, ?3)
                ON CONFLICT (sha) DO NOTHING";
    let size = i64::try_from(body.len()).unwrap_or(i64::MAX);
    change(db, text, params![output.sha, size, body]).map(drop)
}

const fn word(fact: &RunFact) -> &'static str {
    match fact {
        RunFact::Submitted(_) => "submitted",
        RunFact::Moved { .. } => "moved",
        RunFact::TaskQueued { .. } => "task-queued",
        RunFact::TaskStarting { .. } => "task-starting",
        RunFact::TaskRunning { .. } => "task-running",
        RunFact::TaskSucceeded { .. } => "task-succeeded",
        RunFact::TaskRetrying { .. } => "task-retrying",
        RunFact::TaskFailed { .. } => "task-failed",
        RunFact::TaskSkipped { .. } => "task-skipped",
        RunFact::TaskCancelled { .. } => "task-cancelled",
        RunFact::TaskWaiting { .. } => "task-waiting",
        RunFact::TaskRequeued { .. } => "task-requeued",
        RunFact::TaskReset { .. } => "task-reset",
        RunFact::TaskMapped { .. } => "task-mapped",
        RunFact::TaskSpawned { .. } => "task-spawned",
        RunFact::TaskStalled { .. } => "task-stalled",
        RunFact::TaskReported { .. } => "task-reported",
        RunFact::TaskSpent { .. } => "task-spent",
        RunFact::TaskCache { .. } => "task-cache",
        RunFact::Messaged(_) => "messaged",
        RunFact::Asked(_) => "asked",
        RunFact::Answered { .. } => "answered",
        RunFact::Adjusted { .. } => "adjusted",
        RunFact::Reopened => "reopened",
        RunFact::CancelRequested => "cancel-requested",
        RunFact::Ended { .. } => "ended",
    }
}
