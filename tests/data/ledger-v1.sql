-- The tables of a ledger of version 1, as the release that had it made them. Never edited.
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
