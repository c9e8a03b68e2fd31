//! Facts of attempts: the row is the latest state, the event is evidence for people.

use rusqlite::{Connection, params};

use crate::ledger::failure::Error;
use crate::ledger::statement::{Subject, change, event, fence, json, signed};
use crate::model::{
    AttemptEnd, AttemptFact, AttemptId, AttemptState, Entry, Order, Owner, ProcessMark,
};

/// Writes one fact of an attempt.
pub(super) fn write(
    db: &Connection,
    entry: &Entry,
    attempt: &AttemptId,
    fact: &AttemptFact,
) -> Result<(), Error> {
    let (changed, data) = match fact {
        // The order is kept in the attempt's row only.
        AttemptFact::Intended(order) => (intended(db, entry, attempt, order)?, None),
        AttemptFact::Launched { shim, pane, window } => {
            (launched(db, entry, attempt, shim, (pane.as_deref(), window.as_deref()))?, Some(fact))
        }
        AttemptFact::Started { process } => (started(db, entry, attempt, process)?, Some(fact)),
        AttemptFact::Ready => {
            let text = "UPDATE attempt SET ready_at = COALESCE(ready_at, ?2)
                        WHERE attempt_id = ?1 AND state <> 'ended'";
            (change(db, text, params![attempt.as_str(), signed(entry.at.0)])?, Some(fact))
        }
        AttemptFact::Stopping { cause } => {
            let text = "UPDATE attempt SET state = 'stopping', stopping = ?2
                        WHERE attempt_id = ?1 AND state <> 'ended'";
            (change(db, text, params![attempt.as_str(), cause.word()])?, Some(fact))
        }
        AttemptFact::Ended(end) => (attempt_ended(db, entry, attempt, end)?, Some(fact)),
    };
    let word = word(fact);
    fence(changed, || {
        format!("attempt {attempt} cannot have `{word}`: it is over, or belongs to an unknown run")
    })?;
    let data = data.map(json).transpose()?;
    event(db, entry, Subject::Thing(attempt.as_str()), word, data.as_deref())
}

fn intended(
    db: &Connection,
    entry: &Entry,
    attempt: &AttemptId,
    order: &Order,
) -> Result<usize, Error> {
    let (run, task, instance) = match &order.owner {
        Owner::Task { run, task } => (Some(run.as_str()), Some(task.as_str()), None),
        Owner::Instance { name } => (None, None, Some(name.as_str())),
    };
    let text = "INSERT INTO attempt (attempt_id, run, task, instance, state, intended_at,
                    intended_ms, agent, token, spec)
                SELECT ?1, (SELECT id FROM run WHERE run_id = ?2), ?3, ?4, 'intended', ?5, ?6, ?7,
                    ?8, ?9
                WHERE ?2 IS NULL OR EXISTS (SELECT 1 FROM run WHERE run_id = ?2)";
    let (at, token, spec) = (signed(entry.at.0), order.token.as_str(), json(order)?);
    let values =
        params![attempt.as_str(), run, task, instance, at, entry.wall_ms, order.agent, token, spec];
    change(db, text, values)
}

fn launched(
    db: &Connection,
    entry: &Entry,
    attempt: &AttemptId,
    shim: &ProcessMark,
    (pane, window): (Option<&str>, Option<&str>),
) -> Result<usize, Error> {
    let text = "UPDATE attempt SET launched_at = COALESCE(launched_at, ?2), shim = ?3, pane = ?4, window = ?5,
                state = CASE state WHEN 'intended' THEN 'starting' ELSE state END
                WHERE attempt_id = ?1 AND state <> 'ended'";
    change(db, text, params![attempt.as_str(), signed(entry.at.0), json(shim)?, pane, window])
}

fn started(
    db: &Connection,
    entry: &Entry,
    attempt: &AttemptId,
    process: &ProcessMark,
) -> Result<usize, Error> {
    let text = "UPDATE attempt SET started_at = COALESCE(started_at, ?2),
                started_ms = COALESCE(started_ms, ?3), process = ?4,
                state = CASE state WHEN 'stopping' THEN state ELSE 'running' END
                WHERE attempt_id = ?1 AND state <> 'ended'";
    let values = params![attempt.as_str(), signed(entry.at.0), entry.wall_ms, json(process)?];
    change(db, text, values)
}

fn attempt_ended(
    db: &Connection,
    entry: &Entry,
    attempt: &AttemptId,
    end: &AttemptEnd,
) -> Result<usize, Error> {
    let text = "UPDATE attempt SET state = ?2, outcome = ?3, ended_ms = ?4, ending = ?5
                WHERE attempt_id = ?1 AND state <> 'ended'";
    let state = AttemptState::Ended.word();
    let values = params![attempt.as_str(), state, end.outcome.word(), entry.wall_ms, json(end)?];
    change(db, text, values)
}

const fn word(fact: &AttemptFact) -> &'static str {
    match fact {
        AttemptFact::Intended(_) => "attempt-intended",
        AttemptFact::Launched { .. } => "attempt-launched",
        AttemptFact::Started { .. } => "attempt-started",
        AttemptFact::Ready => "attempt-ready",
        AttemptFact::Stopping { .. } => "attempt-stopping",
        AttemptFact::Ended(_) => "attempt-ended",
    }
}
