//! The tables of the ledger: numbered migrations, and the pragmas of the writing connection.
//!
//! A migration that was released is never edited; a new one is added at the end, and a file whose
//! number is higher than ours is refused.

/// Marks a file as ours: `mxvs`. Any other SQLite file is refused.
pub(super) const APPLICATION_ID: i32 = 0x6d78_7673;

/// The version of a file that this program writes.
pub(super) const VERSION: u32 = 5;

/// What turns version `n` into `n + 1`, for each `n`.
pub(super) const MIGRATIONS: [&str; VERSION as usize] = [V1, V2, V3, V4, V5];

/// Readers never block the writer (WAL), and a commit that returned survives a power failure
/// (FULL). The writer folds the log into the file after it has answered; the limit here, 16 MiB, is
/// for a log that grows faster than that. What a savepoint may have to undo stays in memory.
pub(super) const WRITER_PRAGMAS: &str = "
PRAGMA busy_timeout = 5000;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA wal_autocheckpoint = 4000;
PRAGMA journal_size_limit = 67108864;
PRAGMA temp_store = MEMORY;
PRAGMA trusted_schema = OFF;
";

/// A reader waits out the short moments in which the log is reset, and writes nothing.
pub(super) const READER_PRAGMAS: &str = "
PRAGMA busy_timeout = 5000;
PRAGMA query_only = ON;
PRAGMA trusted_schema = OFF;
";

/// `*_at` is a moment on the ledger's clock, `*_ms` wall time since 1970. Large texts stand last
/// in their row, so that a query for the columns before them does not read them.
const V1: &str = "
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
  id         INTEGER PRIMARY KEY,
  run_id     TEXT NOT NULL UNIQUE,
  name       TEXT NOT NULL,
  state      TEXT NOT NULL CHECK (state IN ('initializing','planning','awaiting-approval','running',
                                            'paused','completing','completed','failed','cancelled')),
  why        TEXT,
  outcome    TEXT CHECK (outcome IN ('completed','partial','failed','cancelled')),
  root_cause TEXT,
  cancelling INTEGER NOT NULL DEFAULT 0,
  created_ms INTEGER NOT NULL,
  started_ms INTEGER,
  ended_ms   INTEGER,
  submission TEXT NOT NULL
) STRICT;
CREATE INDEX run_live ON run(id) WHERE state NOT IN ('completed','failed','cancelled');

CREATE TABLE blob (
  sha  TEXT PRIMARY KEY,
  size INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT;

CREATE TABLE task (
  run        INTEGER NOT NULL REFERENCES run(id),
  name       TEXT NOT NULL,
  state      TEXT NOT NULL CHECK (state IN ('blocked','ready','queued','starting','running','retry-wait',
                                            'waiting','success','failed','timeout','skipped','cancelled')),
  why        TEXT,
  attempt    TEXT,
  attempts   INTEGER NOT NULL DEFAULT 0,
  agent      TEXT,
  agent_ix   INTEGER NOT NULL DEFAULT 0,
  not_before INTEGER,
  output_sha TEXT REFERENCES blob(sha),
  error      TEXT,
  PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX task_output ON task(output_sha) WHERE output_sha IS NOT NULL;

CREATE TABLE attempt (
  id          INTEGER PRIMARY KEY,
  attempt_id  TEXT NOT NULL UNIQUE,
  run         INTEGER REFERENCES run(id),
  task        TEXT,
  instance    TEXT,
  state       TEXT NOT NULL CHECK (state IN ('intended','starting','running','stopping','ended')),
  intended_at INTEGER NOT NULL,
  launched_at INTEGER,
  started_at  INTEGER,
  intended_ms INTEGER NOT NULL,
  started_ms  INTEGER,
  ended_ms    INTEGER,
  pane        TEXT,
  window      TEXT,
  stopping    TEXT,
  outcome     TEXT,
  shim        TEXT,
  process     TEXT,
  ending      TEXT,
  agent       TEXT NOT NULL,
  token       TEXT NOT NULL UNIQUE,
  spec        TEXT NOT NULL,
  CHECK ((run IS NULL) = (task IS NULL)),
  CHECK ((task IS NULL) <> (instance IS NULL)),
  CHECK ((state = 'ended') = (ending IS NOT NULL))
) STRICT;
CREATE INDEX attempt_live ON attempt(id) WHERE state <> 'ended';
CREATE INDEX attempt_of_run ON attempt(run, id) WHERE run IS NOT NULL;
CREATE INDEX attempt_of_instance ON attempt(instance, id) WHERE instance IS NOT NULL;

CREATE TABLE instance (
  name    TEXT PRIMARY KEY,
  desired TEXT NOT NULL CHECK (desired IN ('up','down')),
  state   TEXT NOT NULL CHECK (state IN ('stopped','starting','running','backoff','stopping','failed','blocked')),
  row     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
  seq     INTEGER PRIMARY KEY AUTOINCREMENT,
  at      INTEGER NOT NULL,
  wall_ms INTEGER NOT NULL,
  run     INTEGER REFERENCES run(id),
  subject TEXT,
  kind    TEXT NOT NULL,
  data    TEXT,
  CHECK ((run IS NULL) <> (subject IS NULL))
) STRICT;
CREATE INDEX event_run ON event(run, seq) WHERE run IS NOT NULL;
CREATE INDEX event_subject ON event(subject, seq) WHERE subject IS NOT NULL;
";

/// Readiness of attempts; groups and parked agents, whose rows are JSON like those of instances.
const V2: &str = "
ALTER TABLE attempt ADD COLUMN ready_at INTEGER;

CREATE TABLE standing (
  kind TEXT NOT NULL CHECK (kind IN ('group','parked')),
  name TEXT NOT NULL,
  row  TEXT NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
";

/// Events that wait for a task.
const V3: &str = "
CREATE TABLE standing_3 (
  kind TEXT NOT NULL CHECK (kind IN ('group','parked','signal')),
  name TEXT NOT NULL,
  row  TEXT NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
INSERT INTO standing_3 SELECT kind, name, row FROM standing;
DROP TABLE standing;
ALTER TABLE standing_3 RENAME TO standing;
";

/// Results that later runs may take, by the key of the work; and by task of a plan what it was to
/// do the last time. An entry has a hold on its output, so that it may outlive its run. One that is
/// no longer taken has a key that nobody asks for, until a cleanup finds it.
const V4: &str = "
CREATE TABLE cache (
  key        TEXT PRIMARY KEY,
  output_sha TEXT NOT NULL REFERENCES blob(sha),
  at         INTEGER NOT NULL,
  good_ms    INTEGER NOT NULL,
  bound      INTEGER NOT NULL CHECK (bound IN (0, 1)),
  run        TEXT NOT NULL,
  attempt    TEXT NOT NULL,
  agent      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX cache_output ON cache(output_sha);
CREATE INDEX cache_run ON cache(run) WHERE bound;

CREATE TABLE work (
  plan    TEXT NOT NULL,
  task    TEXT NOT NULL,
  run     TEXT NOT NULL,
  at      INTEGER NOT NULL,
  good_ms INTEGER NOT NULL,
  row     TEXT NOT NULL,
  PRIMARY KEY (plan, task)
) STRICT, WITHOUT ROWID;
";

/// Which runs were those of demo agents: they do not tell how long a plan takes, and whoever asks
/// for the others need not read the submissions.
const V5: &str = "
ALTER TABLE run ADD COLUMN demo INTEGER NOT NULL DEFAULT 0 CHECK (demo IN (0, 1));
UPDATE run SET demo = 1 WHERE submission ->> '$.demo';
CREATE INDEX run_of_plan ON run(name) WHERE NOT demo;
";

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::model::{AttemptState, Desired, InstanceState, RunOutcome, RunState, TaskState};

    /// The CHECK lists repeat the words of the model; a new word needs a migration.
    #[test]
    fn every_word_of_the_model_is_allowed_by_the_tables() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(V1).unwrap();
        let text: String = db
            .query_row("SELECT group_concat(sql) FROM sqlite_schema", [], |row| row.get(0))
            .unwrap();
        let words = (RunState::ALL.iter().map(|w| w.word()))
            .chain(RunOutcome::ALL.iter().map(|w| w.word()))
            .chain(TaskState::ALL.iter().map(|w| w.word()))
            .chain(AttemptState::ALL.iter().map(|w| w.word()))
            .chain(InstanceState::ALL.iter().map(|w| w.word()))
            .chain(Desired::ALL.iter().map(|w| w.word()));
        for word in words {
            assert!(text.contains(&format!("'{word}'")), "{word} is missing");
        }
    }
}
