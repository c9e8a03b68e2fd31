//! The small steps that every written fact is made of: statements prepared once, events, fences.

use rusqlite::{Connection, ToSql, params};
use serde::Serialize;

use super::failure::{Error, sql};
use crate::model::{Entry, RunId};

const DOING: &str = "write to the ledger";

/// What an event is about.
pub(super) enum Subject<'a> {
    Run(&'a RunId),
    /// An attempt, an instance, `tmux`, `daemon`.
    Thing(&'a str),
}

pub(super) fn event(
    db: &Connection,
    entry: &Entry,
    subject: Subject<'_>,
    kind: &str,
    data: Option<&str>,
) -> Result<(), Error> {
    let at = signed(entry.at.0);
    match subject {
        Subject::Run(run) => {
            let text = "INSERT INTO event (at, wall_ms, run, kind, data)
                        SELECT ?1, ?2, id, ?4, ?5 FROM run WHERE run_id = ?3";
            let changed = change(db, text, params![at, entry.wall_ms, run.as_str(), kind, data])?;
            fence(changed, || format!("`{kind}` of {run}: there is no such run"))
        }
        Subject::Thing(name) => {
            let text = "INSERT INTO event (at, wall_ms, subject, kind, data)
                        VALUES (?1, ?2, ?3, ?4, ?5)";
            change(db, text, params![at, entry.wall_ms, name, kind, data]).map(drop)
        }
    }
}

/// Runs a statement that is prepared once per connection; says how many rows it changed.
pub(super) fn change(db: &Connection, text: &str, values: &[&dyn ToSql]) -> Result<usize, Error> {
    let mut prepared = db.prepare_cached(text).map_err(sql(DOING))?;
    prepared.execute(values).map_err(sql(DOING))
}

pub(super) fn fence(changed: usize, what: impl FnOnce() -> String) -> Result<(), Error> {
    if changed == 1 { Ok(()) } else { Err(Error::Fenced { what: what() }) }
}

pub(super) fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|source| Error::Content {
        what: "a fact (it cannot be written)".to_owned(),
        source,
    })
}

/// SQLite has no unsigned integers; a moment beyond their range is the end of time.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
