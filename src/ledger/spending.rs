//! Queries over all attempts: what they used, how they ended.

use rusqlite::{Connection, params};

use super::failure::Error;
use super::load::{all, column, moment, parse, word};
use crate::model::{AttemptEnd, AttemptId, Moment, Outcome, RunFact, RunId, Spent, TaskId};

/// How many attempts tell how agents do and what rates have counted.
const LATELY_MAX: u32 = 1000;

/// An attempt of a task, as far as later decisions depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lately {
    /// The agent, or `command`.
    pub agent: String,
    /// When it was recorded.
    pub started: Moment,
    /// How it ended, if it did.
    pub end: Option<AttemptEnd>,
    /// The named pools that it took from.
    pub pools: Vec<String>,
}

/// An attempt of a task with its wall times, in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkRow {
    /// The run.
    pub run: RunId,
    /// The task.
    pub task: TaskId,
    /// The attempt.
    pub attempt: AttemptId,
    /// The agent, or `command`.
    pub agent: String,
    /// When it was recorded.
    pub intended_ms: i64,
    /// When it was over.
    pub ended_ms: Option<i64>,
    /// How it ended.
    pub outcome: Option<Outcome>,
}

/// What an attempt used; it may have several of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpentRow {
    /// The run.
    pub run: RunId,
    /// The task.
    pub task: TaskId,
    /// The attempt.
    pub attempt: AttemptId,
    /// What.
    pub spent: Spent,
}

/// The last attempts of tasks, oldest first.
pub(super) fn lately(db: &Connection) -> Result<Vec<Lately>, Error> {
    let text = "SELECT agent, intended_at, ending,
                    CASE WHEN instr(spec, '\"pools\":[') > 0 THEN spec ->> '$.pools' END
                FROM attempt WHERE task IS NOT NULL ORDER BY id DESC LIMIT ?1";
    let mut found = all(db, text, [LATELY_MAX], |row| {
        let (ending, pools): (Option<String>, Option<String>) = (column(row, 2)?, column(row, 3)?);
        Ok(Lately {
            agent: column(row, 0)?,
            started: moment(column(row, 1)?),
            end: ending.map(|text| parse("the end of an attempt", &text)).transpose()?,
            pools: pools.map_or(Ok(Vec::new()), |text| parse("pools of an attempt", &text))?,
        })
    })?;
    found.reverse();
    Ok(found)
}

/// A condition of its own for one run, so that its index finds it among thousands.
fn which(run: Option<&RunId>) -> &'static str {
    if run.is_some() { "run.run_id = ?1" } else { "?1 IS NULL" }
}

pub(super) fn work(db: &Connection, run: Option<&RunId>) -> Result<Vec<WorkRow>, Error> {
    let text = format!(
        "SELECT run.run_id, task, attempt_id, agent, intended_ms, attempt.ended_ms, attempt.outcome
         FROM run JOIN attempt ON attempt.run = run.id WHERE {} ORDER BY attempt.id",
        which(run)
    );
    all(db, &text, params![run.map(RunId::as_str)], |row| {
        let outcome: Option<String> = column(row, 6)?;
        Ok(WorkRow {
            run: RunId::new(column::<String>(row, 0)?),
            task: TaskId::new(column::<String>(row, 1)?),
            attempt: AttemptId::new(column::<String>(row, 2)?),
            agent: column(row, 3)?,
            intended_ms: column(row, 4)?,
            ended_ms: column(row, 5)?,
            outcome: outcome.map(|text| word(&text, Outcome::of_word)).transpose()?,
        })
    })
}

pub(super) fn spent(db: &Connection, run: Option<&RunId>) -> Result<Vec<SpentRow>, Error> {
    let text = format!(
        "SELECT run.run_id, event.data FROM run JOIN event ON event.run = run.id
         WHERE event.kind = 'task-spent' AND {} ORDER BY event.seq",
        which(run)
    );
    let rows = all(db, &text, params![run.map(RunId::as_str)], |row| {
        let run = RunId::new(column::<String>(row, 0)?);
        let fact: RunFact = parse(format!("a fact of {run}"), &column::<String>(row, 1)?)?;
        // The query names the kind.
        let RunFact::TaskSpent { task, attempt, spent } = fact else { return Ok(None) };
        Ok(Some(SpentRow { run, task, attempt, spent }))
    })?;
    Ok(rows.into_iter().flatten().collect())
}
