//! Takes an ended run out of the ledger, with everything that only it needed.

use rusqlite::{Connection, params};

use crate::ledger::failure::{Error, sql};
use crate::ledger::past;
use crate::ledger::statement::{change, fence};
use crate::model::RunId;

/// Removes the run, its tasks, its attempts with their evidence, and outputs that no other run has and nobody
/// may take.
pub(super) fn run(db: &Connection, run: &RunId) -> Result<(), Error> {
    let id = ended(db, run)?;
    let outputs = outputs(db, id)?;
    // A report of a command names the log of its attempt, which goes now.
    change(db, "DELETE FROM cache WHERE run = ?1 AND bound", params![run.as_str()])?;
    past::keep(db, id)?;
    let steps = [
        "DELETE FROM event WHERE subject IN (SELECT attempt_id FROM attempt WHERE run = ?1)",
        "DELETE FROM event WHERE run = ?1",
        "DELETE FROM attempt WHERE run = ?1",
        "DELETE FROM task WHERE run = ?1",
        "DELETE FROM run WHERE id = ?1",
    ];
    for step in steps {
        change(db, step, params![id])?;
    }
    for sha in outputs {
        let text = "DELETE FROM blob WHERE sha = ?1
                    AND NOT EXISTS (SELECT 1 FROM task WHERE output_sha = ?1)
                    AND NOT EXISTS (SELECT 1 FROM cache WHERE output_sha = ?1)";
        change(db, text, params![sha])?;
    }
    Ok(())
}

fn ended(db: &Connection, run: &RunId) -> Result<i64, Error> {
    let text = "SELECT id FROM run WHERE run_id = ?1 AND ended_ms IS NOT NULL";
    let mut found = db.prepare_cached(text).map_err(sql("read the ledger"))?;
    let ids = found.query_map([run.as_str()], |row| row.get(0)).map_err(sql("read the ledger"))?;
    let ids: Vec<i64> = ids.collect::<Result<_, _>>().map_err(sql("read the ledger"))?;
    fence(ids.len(), || format!("{run} cannot be forgotten: there is no such run, or it goes on"))?;
    Ok(ids[0])
}

fn outputs(db: &Connection, run: i64) -> Result<Vec<String>, Error> {
    // Results that were done again are named by their facts only.
    let text = "SELECT output_sha FROM task WHERE run = ?1 AND output_sha IS NOT NULL
                UNION SELECT data ->> '$.task-succeeded.output.sha' FROM event
                WHERE run = ?1 AND kind = 'task-succeeded'";
    let mut found = db.prepare_cached(text).map_err(sql("read the ledger"))?;
    let outputs = found.query_map([run], |row| row.get(0)).map_err(sql("read the ledger"))?;
    outputs.collect::<Result<_, _>>().map_err(sql("read the ledger"))
}
