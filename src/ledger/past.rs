//! How long plans and their tasks took (features E9, E15, P8): of the runs that are there, and of
//! those that were forgotten, which leave their sums behind in the table `meta`. Runs of demo agents
//! do not count: they take no time.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::failure::{Error, sql};
use super::load::{all, column, parse};
use super::statement::{change, json};
use crate::model::TaskId;

/// So many of the last runs of a plan tell how long its tasks take.
const RUNS_MAX: u32 = 100;

/// Sums over runs of one plan.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Past {
    /// Runs that were over and not cancelled.
    runs: u32,
    /// Those that completed.
    completed: u32,
    /// Those of them whose time is known.
    timed: u32,
    /// The time of those, in milliseconds.
    took_ms: f64,
    /// How often each task succeeded, and the time of that.
    tasks: BTreeMap<String, (u32, f64)>,
}

impl Past {
    /// Of all runs of a plan, without its tasks.
    pub(super) fn of_runs(db: &Connection, name: &str) -> Result<Self, Error> {
        let mut past = forgotten(db, name)?;
        past.count_runs(db, "run.name = ?1", params![name])?;
        Ok(past)
    }

    /// Of the tasks of a plan's last runs.
    pub(super) fn of_tasks(db: &Connection, name: &str) -> Result<Self, Error> {
        let mut past = forgotten(db, name)?;
        let last = "run.id IN (SELECT id FROM run WHERE name = ?1 AND NOT demo
                               ORDER BY id DESC LIMIT ?2)";
        past.count_tasks(db, last, params![name, RUNS_MAX])?;
        Ok(past)
    }

    /// How many were over, how many completed, and how long those took on average.
    pub(super) fn runs(&self) -> (u32, u32, Option<f64>) {
        let average = (self.timed > 0).then(|| self.took_ms / f64::from(self.timed));
        (self.runs, self.completed, average)
    }

    /// How long each task took on average, and how often.
    pub(super) fn tasks(self) -> Vec<(TaskId, f64, u32)> {
        let average = |(task, (runs, ms)): (String, (u32, f64))| {
            (TaskId::new(task), ms / f64::from(runs.max(1)), runs)
        };
        self.tasks.into_iter().map(average).collect()
    }

    fn count_runs(
        &mut self,
        db: &Connection,
        which: &str,
        values: &[&dyn rusqlite::ToSql],
    ) -> Result<(), Error> {
        let took = "CASE WHEN outcome = 'completed' THEN ended_ms - started_ms END";
        let text = format!(
            "SELECT count(*), coalesce(sum(outcome = 'completed'), 0), count({took}), total({took})
             FROM run WHERE {which} AND outcome IS NOT NULL AND outcome <> 'cancelled' AND NOT run.demo"
        );
        let found = all(db, &text, values, |row| {
            let (runs, completed): (u32, u32) = (column(row, 0)?, column(row, 1)?);
            let (timed, took_ms): (u32, f64) = (column(row, 2)?, column(row, 3)?);
            Ok((runs, completed, timed, took_ms))
        })?;
        for (runs, completed, timed, took_ms) in found {
            self.runs += runs;
            self.completed += completed;
            self.timed += timed;
            self.took_ms += took_ms;
        }
        Ok(())
    }

    fn count_tasks(
        &mut self,
        db: &Connection,
        which: &str,
        values: &[&dyn rusqlite::ToSql],
    ) -> Result<(), Error> {
        let text = format!(
            "SELECT task, count(took), total(took) FROM (
                 SELECT attempt.task AS task,
                        max(attempt.ended_ms) - min(attempt.intended_ms) AS took
                 FROM run JOIN attempt ON attempt.run = run.id
                 JOIN task ON task.run = run.id AND task.name = attempt.task
                 WHERE {which} AND task.state = 'success'
                 GROUP BY run.id, attempt.task)
             WHERE took IS NOT NULL GROUP BY task"
        );
        let found = all(db, &text, values, |row| {
            Ok((column::<String>(row, 0)?, column::<u32>(row, 1)?, column::<f64>(row, 2)?))
        })?;
        for (task, runs, took_ms) in found {
            let known = self.tasks.entry(task).or_default();
            *known = (known.0 + runs, known.1 + took_ms);
        }
        Ok(())
    }
}

/// Keeps the sums of a run that is about to be forgotten. Items and workers are not in a plan
/// before it runs, so nobody would ask for theirs.
pub(super) fn keep(db: &Connection, run: i64) -> Result<(), Error> {
    let names = all(db, "SELECT name FROM run WHERE id = ?1", [run], |row| column(row, 0))?;
    let Some(name): Option<String> = names.into_iter().next() else { return Ok(()) };
    let mut past = forgotten(db, &name)?;
    past.count_runs(db, "run.id = ?1", params![run])?;
    past.count_tasks(db, "run.id = ?1 AND NOT run.demo", params![run])?;
    past.tasks.retain(|task, _| !task.contains(['[', '/']));
    let text = "INSERT INTO meta (key, value) VALUES (?1, ?2)
                ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    change(db, text, params![key(&name), json(&past)?]).map(drop)
}

fn forgotten(db: &Connection, name: &str) -> Result<Past, Error> {
    let text = "SELECT value FROM meta WHERE key = ?1";
    let found: Option<String> = db
        .query_row(text, [key(name)], |row| row.get(0))
        .optional()
        .map_err(sql("read the ledger"))?;
    found.map_or_else(|| Ok(Past::default()), |text| parse("what is left of old runs", &text))
}

fn key(plan: &str) -> String {
    format!("past:{plan}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::schema;

    /// A submission may be large, and a nightly plan has a thousand runs: they are counted without
    /// reading what was submitted, and those of demo agents not at all.
    #[test]
    fn runs_are_counted_without_their_submissions() {
        let db = Connection::open_in_memory().unwrap();
        schema::MIGRATIONS.iter().for_each(|step| db.execute_batch(step).unwrap());
        for (n, demo) in [(1, false), (2, false), (3, true)] {
            let run = "INSERT INTO run (id, run_id, name, state, outcome, created_ms, started_ms,
                                        ended_ms, submission, demo)
                       VALUES (?1, 'r' || ?1, 'nightly', 'completed', 'completed', 0, 0, 500 * ?1,
                               'nobody reads this', ?2)";
            db.execute(run, params![n, demo]).unwrap();
            let task = "INSERT INTO task (run, name, state) VALUES (?1, 'look', 'success')";
            db.execute(task, [n]).unwrap();
            let attempt = "INSERT INTO attempt (attempt_id, run, task, state, intended_at,
                                                intended_ms, ended_ms, ending, agent, token, spec)
                           VALUES ('a' || ?1, ?1, 'look', 'ended', 0, 0, 100 * ?1, '{}', 'a',
                                   't' || ?1, '{}')";
            db.execute(attempt, [n]).unwrap();
        }
        assert_eq!(Past::of_runs(&db, "nightly").unwrap().runs(), (2, 2, Some(750.0)));
        let tasks = Past::of_tasks(&db, "nightly").unwrap().tasks();
        assert_eq!(tasks, [(TaskId::new("look"), 150.0, 2)]);
        assert_eq!(Past::of_runs(&db, "other").unwrap().runs(), (0, 0, None));
    }
}
