//! Reads rows back into the words of the model.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Params, Row};
use serde::de::DeserializeOwned;

use super::failure::{Error, sql};
use crate::model::{
    AttemptFact, AttemptId, AttemptRow, AttemptState, ClockMark, Entry, Fact, GroupRow,
    InstanceRow, Moment, Output, Parking, RunFact, RunId, Signal, StopCause,
};

const DOING: &str = "read the ledger";

/// What the ledger remembers for a daemon that starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    /// Where the clock stood at the last commit.
    pub clock: Option<ClockMark>,
    /// The runs that have not ended, oldest first.
    pub runs: Vec<RunLog>,
    /// The attempts that have not ended, oldest first.
    pub attempts: Vec<AttemptRow>,
    /// All instances, by name.
    pub instances: Vec<InstanceRow>,
    /// All groups, by name.
    pub groups: Vec<GroupRow>,
    /// The agents that wait for a usage limit to pass, by name.
    pub parked: Vec<Parking>,
    /// Events that no task has taken yet, in the order of their numbers.
    pub signals: Vec<Signal>,
    /// How many recoveries before this one did not finish, in a row. This one counts as
    /// unfinished until `Ledger::recovered` is called.
    pub recovering: u32,
}

/// The facts of one run, in the order they were decided.
#[derive(Clone, Debug, PartialEq)]
pub struct RunLog {
    /// The run.
    pub run: RunId,
    /// Its facts, each with its time on the ledger's clock.
    pub entries: Vec<(Moment, RunFact)>,
}

/// An attempt with the wall times that people want to see.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptRecord {
    /// The attempt.
    pub row: AttemptRow,
    /// When it was recorded; wall time in milliseconds since 1970, like the next two.
    pub intended_ms: i64,
    /// When the agent ran.
    pub started_ms: Option<i64>,
    /// When it was over.
    pub ended_ms: Option<i64>,
}

/// Columns of [`attempt`], in its order.
pub(super) const ATTEMPT: &str = "SELECT attempt_id, spec, state, intended_at, launched_at,
    started_at, shim, process, pane, window, stopping, ending, intended_ms, started_ms, ended_ms,
    ready_at FROM attempt";

/// What a start needs.
pub(super) fn memory(db: &Connection, recovering: u32) -> Result<Memory, Error> {
    let clock: Option<String> = db
        .query_row("SELECT value FROM meta WHERE key = 'clock'", [], |row| row.get(0))
        .optional()
        .map_err(sql(DOING))?;
    let clock: Option<ClockMark> = clock.map(|text| parse("the clock", &text)).transpose()?;
    let live = "SELECT run_id FROM run WHERE state NOT IN ('completed', 'failed', 'cancelled')
                ORDER BY id";
    let runs: Vec<String> = all(db, live, [], |row| row.get(0).map_err(sql(DOING)))?;
    let runs = runs.into_iter().map(|run| run_log(db, &RunId::new(run)));
    let open = format!("{ATTEMPT} WHERE state <> 'ended' ORDER BY id");
    let attempts = all(db, &open, [], |row| attempt(row).map(|record| record.row))?;
    let instances = all(db, "SELECT name, row FROM instance ORDER BY name", [], instance)?;
    let runs = runs.collect::<Result<_, _>>()?;
    let (groups, parked) = (standing(db, "group")?, standing(db, "parked")?);
    let mut signals: Vec<Signal> = standing(db, "signal")?;
    signals.sort_by_key(|signal| signal.number);
    Ok(Memory { clock, runs, attempts, instances, groups, parked, signals, recovering })
}

/// The facts of a run with everything that was taken out of them put back.
pub(super) fn run_log(db: &Connection, run: &RunId) -> Result<RunLog, Error> {
    let text = "SELECT event.at, event.data,
                       CASE WHEN event.kind = 'submitted' THEN run.submission END
                FROM run JOIN event ON event.run = run.id WHERE run.run_id = ?1 ORDER BY event.seq";
    let mut entries = all(db, text, [run.as_str()], |row| {
        let at = moment(column(row, 0)?);
        let (data, submission): (Option<String>, Option<String>) =
            (column(row, 1)?, column(row, 2)?);
        let what = || format!("a fact of {run}");
        let fact = match (data, submission) {
            (_, Some(text)) => RunFact::Submitted(Box::new(parse(what(), &text)?)),
            (data, None) => parse(what(), data.as_deref().unwrap_or("null"))?,
        };
        Ok((at, fact))
    })?;
    // From the end, because a result that did not last may be gone, and is not needed.
    let mut again = BTreeSet::new();
    #[expect(clippy::wildcard_enum_match_arm, reason = "only these are about results")]
    for (_, fact) in entries.iter_mut().rev() {
        match fact {
            // The latter after a success: a hook turned the result down.
            RunFact::TaskReset { task } | RunFact::TaskFailed { task, .. } => {
                again.insert(task.clone());
            }
            RunFact::TaskSucceeded { task, output, .. } => {
                fill(db, output, again.contains(task))?;
            }
            _ => {}
        }
    }
    Ok(RunLog { run: run.clone(), entries })
}

fn fill(db: &Connection, output: &mut Output, may_be_gone: bool) -> Result<(), Error> {
    let mut found =
        db.prepare_cached("SELECT body FROM blob WHERE sha = ?1").map_err(sql(DOING))?;
    let body = found.query_row([&output.sha], |row| row.get::<_, String>(0)).optional();
    let body = match body.map_err(sql(DOING))? {
        Some(body) => body,
        None if may_be_gone => return Ok(()),
        None => return Err(sql(DOING)(rusqlite::Error::QueryReturnedNoRows)),
    };
    output.value = parse(format!("the output {}", output.sha), &body)?;
    Ok(())
}

/// One row of [`ATTEMPT`].
pub(super) fn attempt(row: &Row<'_>) -> Result<AttemptRecord, Error> {
    let id: String = column(row, 0)?;
    let what = |part: &str| format!("the {part} of attempt {id}");
    let (spec, state): (String, String) = (column(row, 1)?, column(row, 2)?);
    let optional = |at: usize| column::<Option<String>>(row, at);
    let (shim, process, ending) = (optional(6)?, optional(7)?, optional(11)?);
    let moment_at = |at: usize| Ok(column::<Option<i64>>(row, at)?.map(moment));
    Ok(AttemptRecord {
        row: AttemptRow {
            order: parse(what("order"), &spec)?,
            state: word(&state, AttemptState::of_word)?,
            intended: moment(column(row, 3)?),
            launched: moment_at(4)?,
            started: moment_at(5)?,
            ready: moment_at(15)?,
            shim: shim.map(|text| parse(what("shim"), &text)).transpose()?,
            process: process.map(|text| parse(what("process"), &text)).transpose()?,
            pane: optional(8)?,
            window: optional(9)?,
            stopping: optional(10)?.map(|text| word(&text, StopCause::of_word)).transpose()?,
            end: ending.map(|text| parse(what("end"), &text)).transpose()?,
        },
        intended_ms: column(row, 12)?,
        started_ms: column(row, 13)?,
        ended_ms: column(row, 14)?,
    })
}

fn standing<T: DeserializeOwned>(db: &Connection, kind: &str) -> Result<Vec<T>, Error> {
    let text = "SELECT name, row FROM standing WHERE kind = ?1 ORDER BY name";
    all(db, text, [kind], |row| {
        let (name, text): (String, String) = (column(row, 0)?, column(row, 1)?);
        parse(format!("{kind} {name}"), &text)
    })
}

fn instance(row: &Row<'_>) -> Result<InstanceRow, Error> {
    let (name, text): (String, String) = (column(row, 0)?, column(row, 1)?);
    parse(format!("instance {name}"), &text)
}

/// One row of `at, wall_ms, subject, kind, data, spec`: a note, or a fact of an attempt.
pub(super) fn evidence(row: &Row<'_>) -> Result<Entry, Error> {
    let (at, wall_ms) = (moment(column(row, 0)?), column(row, 1)?);
    let (subject, kind): (String, String) = (column(row, 2)?, column(row, 3)?);
    let (data, spec): (Option<String>, Option<String>) = (column(row, 4)?, column(row, 5)?);
    let data = data.unwrap_or_default();
    let what = || format!("`{kind}` of {subject}");
    let attempt = AttemptId::new(subject.as_str());
    let fact = match kind.as_str() {
        "noted" | "instance" => Fact::Noted { about: subject, text: data },
        "attempt-intended" => {
            let order = parse(what(), spec.as_deref().unwrap_or("null"))?;
            Fact::Attempt { attempt, fact: AttemptFact::Intended(Box::new(order)) }
        }
        _ => Fact::Attempt { attempt, fact: parse(what(), &data)? },
    };
    Ok(Entry { at, wall_ms, fact })
}

/// Every row of a query that is prepared once per connection.
pub(super) fn all<T>(
    db: &Connection,
    text: &str,
    values: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut prepared = db.prepare_cached(text).map_err(sql(DOING))?;
    let mut rows = prepared.query(values).map_err(sql(DOING))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(sql(DOING))? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// One column.
pub(super) fn column<T: rusqlite::types::FromSql>(row: &Row<'_>, at: usize) -> Result<T, Error> {
    row.get(at).map_err(sql(DOING))
}

/// A word of the model; the tables hold no others.
pub(super) fn word<T>(text: &str, of_word: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
    of_word(text).ok_or_else(|| Error::Content {
        what: format!("the word `{text}`"),
        source: serde::de::Error::custom("this version does not know it"),
    })
}

/// JSON text of a column.
pub(super) fn parse<T: DeserializeOwned>(what: impl Into<String>, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|source| Error::Content { what: what.into(), source })
}

/// A moment, from SQLite's signed integers.
pub(super) fn moment(number: i64) -> Moment {
    Moment(number.unsigned_abs())
}
