//! Answers from the ledger: runs that are over, lists, logs. Blocking, on a thread of its own.

use std::collections::BTreeMap;
use std::path::Path;

use crate::control::view::{AttachReply, AttemptPlace, LogsReply, RunSummary, RunsReply};
use crate::control::{Failure, FailureKind, Reply, Responder, WatchEvent};
use crate::ledger::{self, AttemptRecord, Reader};
use crate::model::{AttemptId, AttemptRow, Owner, RunId, RunOutcome, RunState, TaskId, TaskState};
use crate::workflow::{Run, Workflow, document};

use super::now::Now;
use super::refusal::internal;
use super::{Home, refusal, views};

/// How many attempts of an instance are looked at.
const ATTEMPTS_MAX: u32 = 100;

/// A day as run ids carry it, in UTC.
pub(super) fn date(wall_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(wall_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime("%Y-%m-%d").to_string()
}

/// Wall time in RFC 3339.
pub(super) fn rfc3339(wall_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(wall_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.to_string()
}

/// All runs; `asks` says how many questions of those that live wait for an answer.
pub(super) fn runs(
    reader: &Reader,
    active: bool,
    asks: &BTreeMap<RunId, usize>,
    now: Now,
) -> Reply {
    match reader.run_rows(active) {
        Ok(rows) => {
            let mut runs: Vec<RunSummary> =
                rows.into_iter().map(|row| summary(row, asks, now.wall_ms)).collect();
            runs.sort_by_key(|run| std::cmp::Reverse(run.started_at_ms));
            Reply::ok(&RunsReply { runs })
        }
        Err(error) => internal(error).into(),
    }
}

fn summary(row: ledger::RunSummary, asks: &BTreeMap<RunId, usize>, wall_ms: i64) -> RunSummary {
    let count = |wanted: &[TaskState]| -> u32 {
        row.tasks.iter().filter(|(state, _)| wanted.contains(state)).map(|(_, n)| n).sum()
    };
    let end = row.ended_ms.unwrap_or(wall_ms);
    let start = row.started_ms.unwrap_or(row.created_ms);
    RunSummary {
        tasks: row.tasks.iter().map(|(_, n)| n).sum(),
        successful: count(&[TaskState::Success]),
        failed: count(&[TaskState::Failed, TaskState::Timeout]),
        skipped: count(&[TaskState::Skipped, TaskState::Cancelled]),
        asks: asks.get(&row.run).copied().unwrap_or(0),
        why: row.why,
        parent: row.parent,
        run: row.run,
        name: row.name,
        goal: row.goal,
        state: row.state,
        outcome: row.outcome,
        started_at_ms: row.created_ms,
        elapsed_ms: u64::try_from(end - start).unwrap_or(0),
    }
}

/// A run that is over, replayed.
pub(super) fn replay(reader: &Reader, run: &RunId) -> Result<Run, Failure> {
    let log = reader.run_log(run).map_err(internal)?;
    let log = log.ok_or_else(|| refusal::unknown_target(run.as_str()))?;
    Workflow::replay(run, &log.entries).map_err(internal)
}

fn answer<T: serde::Serialize>(result: Result<T, Failure>) -> Reply {
    match result {
        Ok(value) => Reply::ok(&value),
        Err(failure) => failure.into(),
    }
}

pub(super) fn show(reader: &Reader, run: &RunId, now: Now) -> Reply {
    answer(replay(reader, run).map(|run| {
        let view = views::run_view(&run, now.moment, now.wall_ms);
        views::with_context(&run, &view)
    }))
}

pub(super) fn results(reader: &Reader, run: &RunId, now: Now) -> Reply {
    answer(
        replay(reader, run)
            .map(|found| document(&found, started_at(reader, run).as_deref(), now.moment)),
    )
}

/// The start of a run in RFC 3339.
pub(super) fn started_at(reader: &Reader, run: &RunId) -> Option<String> {
    let row = reader.run_row(run).ok()??;
    row.started_ms.map(rfc3339)
}

/// How a run that is over ended.
pub(super) fn ended_run(reader: &Reader, run: &RunId) -> Option<(RunState, Option<RunOutcome>)> {
    let row = reader.run_row(run).ok()??;
    Some((row.state, row.outcome))
}

/// Why a run that is not live cannot be changed.
pub(super) fn not_live(reader: &Reader, run: &RunId) -> Reply {
    match ended_run(reader, run) {
        Some((state, _)) => {
            Failure::new(FailureKind::Usage, format!("{run} is {state} already")).into()
        }
        None => refusal::unknown_target(run.as_str()).into(),
    }
}

pub(super) fn watch(reader: &Reader, run: &RunId, now: Now, mut responder: Responder) {
    let found = match replay(reader, run) {
        Ok(found) => found,
        Err(failure) => return responder.reply(failure),
    };
    if !found.state.is_end() {
        let message =
            format!("{run} was not taken up, because the last starts of the daemon crashed");
        let failure = Failure::new(FailureKind::Internal, message);
        return responder
            .reply(failure.hint("daemon.log says why; the next start of the daemon tries again"));
    }
    let view = views::run_view(&found, now.moment, now.wall_ms);
    let snapshot = WatchEvent::Snapshot { run: Box::new(view) };
    let outcome = found.outcome.unwrap_or(RunOutcome::Failed);
    let results = document(&found, started_at(reader, run).as_deref(), now.moment);
    if responder.event(snapshot).is_ok()
        && responder.event(WatchEvent::Ended { outcome, results }).is_ok()
    {
        responder.reply(Reply::done());
    }
}

/// The attempts of an instance, an attempt id, `RUN`, `RUN/TASK`, or a task of the newest run that
/// has it, the oldest first; live runs are looked at first.
pub(super) fn attempts(
    reader: &Reader,
    live: &[RunId],
    target: &str,
) -> Result<Vec<AttemptRecord>, ledger::Error> {
    let mut of_instance = reader.attempts_of_instance(target, ATTEMPTS_MAX)?;
    if !of_instance.is_empty() {
        of_instance.reverse();
        return Ok(of_instance);
    }
    if let Some(record) = reader.attempt(&AttemptId::new(target))? {
        return Ok(vec![record]);
    }
    let (run, task) = target.split_once('/').unwrap_or((target, ""));
    if RunId::parse(run).is_ok() {
        return of_task(reader, &RunId::new(run), task);
    }
    let ended = reader.run_rows(false)?.into_iter().map(|row| row.run);
    for run in live.iter().rev().cloned().chain(ended) {
        let found = of_task(reader, &run, target)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// The newest run that has a task of that name; live runs are looked at first.
pub(super) fn newest_run_with(
    reader: &Reader,
    live: &[RunId],
    task: &str,
) -> Result<Option<RunId>, ledger::Error> {
    let ended = reader.run_rows(false)?.into_iter().map(|row| row.run);
    for run in live.iter().rev().cloned().chain(ended) {
        if let Some(log) = reader.run_log(&run)?
            && let Ok(found) = Workflow::replay(&run, &log.entries)
            && found.task(&TaskId::new(task)).is_some()
        {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

/// The attempts of one task of a run, or of all when `task` is empty.
fn of_task(reader: &Reader, run: &RunId, task: &str) -> Result<Vec<AttemptRecord>, ledger::Error> {
    let mut records = reader.attempts_of_run(run)?;
    records.retain(|record| match &record.row.order.owner {
        Owner::Task { task: of, .. } => task.is_empty() || of.as_str() == task,
        Owner::Instance { .. } => false,
    });
    Ok(records)
}

pub(super) fn logs(
    reader: &Reader,
    home: &Home,
    live: &[RunId],
    target: &str,
    number: Option<u32>,
) -> Reply {
    let records = match attempts(reader, live, target) {
        Ok(records) => records,
        Err(error) => return internal(error).into(),
    };
    if records.is_empty() {
        return unstarted(reader, live, target).into();
    }
    let newest = records.last().map_or(0, |record| record.row.order.n);
    let places: Vec<AttemptPlace> = records
        .into_iter()
        .map(|record| record.row)
        .filter(|row| number.is_none_or(|n| row.order.n == n))
        .map(|row| AttemptPlace {
            dir: home.attempt(&row.order.attempt),
            n: row.order.n,
            label: row.order.label,
            agent: row.order.agent,
            state: row.state,
            outcome: row.end.map(|end| end.outcome),
            attempt: row.order.attempt,
        })
        .collect();
    if places.is_empty() {
        let message = format!("{target} has no attempt {}", number.unwrap_or(0));
        let hint = format!("its newest is attempt {newest}");
        return Failure::new(FailureKind::Usage, message).hint(hint).into();
    }
    Reply::ok(&LogsReply { attempts: places })
}

/// What is said of something without attempts: a task that has not begun, or a name that means
/// nothing.
fn unstarted(reader: &Reader, live: &[RunId], target: &str) -> Failure {
    // The key of an item may hold a slash itself: `score[src/main.rs]`.
    let (run, task) = match target.split_once('/') {
        Some((run, task)) if RunId::parse(run).is_ok() => (RunId::parse(run).ok(), task),
        Some(_) | None => (newest_run_with(reader, live, target).ok().flatten(), target),
    };
    let exists = |run: &RunId| {
        replay(reader, run).is_ok_and(|found| found.task(&TaskId::new(task)).is_some())
    };
    match run.filter(exists) {
        Some(run) => Failure::new(FailureKind::Usage, format!("{run}/{task} has had no attempt"))
            .hint(format!("`muxvisor why {run}/{task}` says why")),
        None => refusal::unknown_target(target),
    }
}

/// The window of an attempt, with the mark by which it is known.
pub(super) fn place(socket: &Path, row: &AttemptRow) -> Reply {
    Reply::ok(&AttachReply {
        socket: socket.to_owned(),
        session: row.order.session.clone(),
        window: row.window.clone(),
        token: Some(row.order.token.clone()),
    })
}

/// A session, wherever one is in it.
pub(super) fn session(socket: &Path, session: &str) -> Reply {
    let (socket, session) = (socket.to_owned(), session.to_owned());
    Reply::ok(&AttachReply { socket, session, window: None, token: None })
}

/// Where to look at something that does not run: its last window, if it is still there, is in the
/// session of its run.
pub(super) fn attach(reader: &Reader, socket: &Path, target: &str, is_run: bool) -> Reply {
    if is_run {
        return match ended_run(reader, &RunId::new(target)) {
            Some(_) => session(socket, target),
            None => refusal::unknown_target(target).into(),
        };
    }
    match attempts(reader, &[], target) {
        Err(error) => internal(error).into(),
        Ok(records) => match records.last() {
            Some(record) => place(socket, &record.row),
            None => unstarted(reader, &[], target).into(),
        },
    }
}
