//! Writes one fact: its event, and the rows that change with it. Runs inside a batch's savepoint.

mod attempts;
mod cache;
mod forget;
mod runs;

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::failure::{Error, sql};
use super::statement::{Subject, change, event, json};
use crate::model::{ClockMark, Entry, Fact, InstanceRow, Moment, RunId};

/// Writes one entry.
pub(super) fn entry(db: &Connection, entry: &Entry) -> Result<(), Error> {
    match &entry.fact {
        Fact::Run { run, fact } => runs::write(db, entry, run, fact),
        Fact::Attempt { attempt, fact } => attempts::write(db, entry, attempt, fact),
        Fact::Instance(row) => instance(db, entry, row),
        Fact::InstanceRemoved { name } => {
            change(db, "DELETE FROM instance WHERE name = ?1", params![name]).map(drop)
        }
        Fact::Group(row) => stand(db, "group", &row.name, row),
        Fact::GroupRemoved { name } => fall(db, "group", name),
        Fact::Parked(parking) => stand(db, "parked", &parking.agent, parking),
        Fact::Unparked { agent } => fall(db, "parked", agent),
        Fact::Emitted(signal) => stand(db, "signal", &signal.number.to_string(), signal),
        Fact::SignalTaken { number } => signal_taken(db, *number),
        Fact::Noted { about, text } => event(db, entry, Subject::Thing(about), "noted", Some(text)),
    }
}

/// Takes an ended run out.
pub(super) fn forget(db: &Connection, run: &RunId) -> Result<(), Error> {
    forget::run(db, run)
}

/// Takes out kept results that are too old to be taken.
pub(super) fn expire(db: &Connection, now: Moment) -> Result<(), Error> {
    cache::expire(db, now)
}

/// Keeps where the clock stands.
pub(super) fn clock(db: &Connection, mark: &ClockMark) -> Result<(), Error> {
    meta(db, "clock", &json(mark)?)
}

/// Counts this recovery as one that did not finish; says how many before it did not.
pub(super) fn begin_recovery(db: &Connection) -> Result<u32, Error> {
    let text = "SELECT value FROM meta WHERE key = 'recovering'";
    let before = db.query_row(text, [], |row| row.get::<_, String>(0)).optional();
    let before = before.map_err(sql("read the ledger"))?;
    let before: u32 = before.and_then(|text| text.parse().ok()).unwrap_or(0);
    match meta(db, "recovering", &before.saturating_add(1).to_string()) {
        // Agents must be found again even when there is no room to count this.
        Ok(()) | Err(Error::Disk { .. }) => Ok(before),
        Err(other) => Err(other),
    }
}

/// Starts the count of unfinished recoveries anew.
pub(super) fn end_recovery(db: &Connection) -> Result<(), Error> {
    meta(db, "recovering", "0")
}

fn meta(db: &Connection, key: &str, value: &str) -> Result<(), Error> {
    let text = "INSERT INTO meta (key, value) VALUES (?1, ?2)
                ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    change(db, text, params![key, value]).map(drop)
}

fn stand(db: &Connection, kind: &str, name: &str, row: &impl Serialize) -> Result<(), Error> {
    let text = "INSERT INTO standing (kind, name, row) VALUES (?1, ?2, ?3)
                ON CONFLICT (kind, name) DO UPDATE SET row = excluded.row";
    change(db, text, params![kind, name, json(row)?]).map(drop)
}

/// One with a key of its own is kept, so that it is known when it comes again.
fn signal_taken(db: &Connection, number: u64) -> Result<(), Error> {
    let text = "UPDATE standing SET row = json_set(row, '$.taken', json('true'))
                WHERE kind = 'signal' AND name = ?1 AND row ->> '$.dedup' IS NOT NULL";
    let number = number.to_string();
    if change(db, text, params![number])? > 0 {
        return Ok(());
    }
    fall(db, "signal", &number)
}

fn fall(db: &Connection, kind: &str, name: &str) -> Result<(), Error> {
    let text = "DELETE FROM standing WHERE kind = ?1 AND name = ?2";
    change(db, text, params![kind, name]).map(drop)
}

/// The latest row, and for people an event whenever it stands elsewhere or for another reason.
fn instance(db: &Connection, entry: &Entry, row: &InstanceRow) -> Result<(), Error> {
    let before = "SELECT state || ': ' || (row ->> '$.why') FROM instance WHERE name = ?1";
    let before = db.prepare_cached(before).and_then(|mut before| {
        before.query_row([&row.name], |row| row.get::<_, String>(0)).optional()
    });
    let stands = format!("{}: {}", row.state, row.why);
    if before.map_err(sql("read the ledger"))?.as_ref() != Some(&stands) {
        event(db, entry, Subject::Thing(&row.name), "instance", Some(&stands))?;
    }
    let text = "INSERT INTO instance (name, desired, state, row) VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT (name) DO UPDATE SET desired = excluded.desired,
                    state = excluded.state, row = excluded.row";
    let values = params![row.name, row.desired.word(), row.state.word(), json(row)?];
    change(db, text, values).map(drop)
}
