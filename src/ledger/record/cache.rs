//! Results that later runs may take: kept, dropped, and taken out when they are too old.

use std::collections::BTreeSet;

use rusqlite::{Connection, Params, params};

use crate::ledger::failure::{Error, sql};
use crate::ledger::statement::{change, fence, json, signed};
use crate::model::{CacheFact, Entry, Moment, RunId, TaskId};

const DOING: &str = "read the ledger";

/// Writes what a fact says of a kept result.
pub(super) fn write(
    db: &Connection,
    entry: &Entry,
    run: &RunId,
    task: &TaskId,
    fact: &CacheFact,
) -> Result<(), Error> {
    let at = signed(entry.at.0);
    match fact {
        CacheFact::LookedUp { work, good_ms, found: _ } => {
            let text = "INSERT INTO work (plan, task, run, at, good_ms, row)
                        SELECT name, ?2, run_id, ?3, ?4, ?5 FROM run WHERE run_id = ?1
                        ON CONFLICT (plan, task) DO UPDATE SET run = excluded.run, at = excluded.at,
                            good_ms = excluded.good_ms, row = excluded.row";
            let values = params![run.as_str(), task.as_str(), at, signed(*good_ms), json(work)?];
            change(db, text, values).map(drop)
        }
        CacheFact::Kept { key, good_ms, source, sha, bound } => {
            drop_entry(db, key)?;
            // Only what the task has as its result is kept.
            let text =
                "INSERT INTO cache (key, output_sha, at, good_ms, bound, run, attempt, agent)
                        SELECT ?3, output_sha, ?5, ?6, ?7, ?1, attempt, ?9 FROM task
                        WHERE name = ?2 AND output_sha = ?4 AND attempt = ?8 AND state = 'success'
                        AND run = (SELECT id FROM run WHERE run_id = ?1)";
            let values = params![
                run.as_str(),
                task.as_str(),
                key,
                sha,
                at,
                signed(*good_ms),
                bound,
                source.attempt.as_str(),
                source.agent
            ];
            let changed = change(db, text, values)?;
            fence(changed, || format!("a result to be kept that {task} of {run} does not have"))
        }
        CacheFact::Dropped { key } => drop_entry(db, key),
    }
}

/// Puts an entry where nobody asks for it. Its output may be needed to read a run, and is looked
/// after by the next cleanup.
fn drop_entry(db: &Connection, key: &str) -> Result<(), Error> {
    let text = "UPDATE OR REPLACE cache SET key = 'dropped ' || output_sha, good_ms = 0, bound = 0
                WHERE key = ?1";
    change(db, text, params![key]).map(drop)
}

/// Takes out what is too old, with outputs that nothing else needs.
pub(super) fn expire(db: &Connection, now: Moment) -> Result<(), Error> {
    let now = signed(now.0);
    let old = "SELECT output_sha FROM cache WHERE at + good_ms <= ?1";
    let outputs = texts(db, old, [now])?;
    change(db, "DELETE FROM cache WHERE at + good_ms <= ?1", params![now])?;
    let forgotten = "DELETE FROM work WHERE at + good_ms <= ?1
                     AND NOT EXISTS (SELECT 1 FROM cache WHERE cache.key = work.row ->> '$.key')";
    change(db, forgotten, params![now])?;
    if outputs.is_empty() {
        return Ok(());
    }
    // Results that were done again are named by their facts only.
    let named = "SELECT data ->> '$.task-succeeded.output.sha' FROM event
                 WHERE kind = 'task-succeeded'";
    let named = texts(db, named, [])?;
    for sha in outputs.difference(&named) {
        let text = "DELETE FROM blob WHERE sha = ?1
                    AND NOT EXISTS (SELECT 1 FROM task WHERE output_sha = ?1)
                    AND NOT EXISTS (SELECT 1 FROM cache WHERE output_sha = ?1)";
        change(db, text, params![sha])?;
    }
    Ok(())
}

fn texts(db: &Connection, text: &str, values: impl Params) -> Result<BTreeSet<String>, Error> {
    let mut found = db.prepare_cached(text).map_err(sql(DOING))?;
    let texts = found.query_map(values, |row| row.get(0)).map_err(sql(DOING))?;
    texts.collect::<Result<_, _>>().map_err(sql(DOING))
}
