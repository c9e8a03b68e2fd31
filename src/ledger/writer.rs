//! The thread that writes: takes whatever waits, writes it in one transaction, answers when that
//! is on disk.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::failure::{Error, sql};
use super::record;
use crate::failpoint;
use crate::model::{ClockMark, Entry, Moment, RunId};

/// How many batches share a transaction at most, so that the first does not wait too long.
const GROUP_MAX: usize = 256;

/// After how many groups the log is folded into the file. A typical group makes a dozen pages of
/// log, so this keeps it at some 4 MiB.
const FOLD_AFTER: u32 = 64;

/// How long nothing must come in before the log is folded into the file and cut to nothing.
const QUIET: Duration = Duration::from_secs(5);

/// Where the answer goes; nobody may be listening any more.
pub(super) type Reply = oneshot::Sender<Result<(), Error>>;

/// Which file was opened, and where.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    mark: Option<(u64, u64)>,
}

impl Place {
    /// The file that is there now.
    pub(super) fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), mark: mark(path) }
    }

    fn stands(&self) -> bool {
        self.mark == mark(&self.path)
    }
}

fn mark(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    /// Record a batch.
    Commit {
        /// The facts.
        entries: Vec<Entry>,
        /// Where the clock stands.
        clock: ClockMark,
        /// Whom to answer.
        reply: Reply,
    },
    /// The recovery is finished.
    Recovered {
        /// Whom to answer.
        reply: Reply,
    },
    /// Take ended runs out.
    Forget {
        /// Which.
        runs: Vec<RunId>,
        /// Whom to answer.
        reply: Reply,
    },
    /// Take out kept results that are too old.
    Expire {
        /// The present.
        now: Moment,
        /// Whom to answer.
        reply: Reply,
    },
    /// Run a statement, to bring about a full disk.
    #[cfg(test)]
    Pragma {
        /// The statement.
        text: String,
        /// Whom to answer.
        reply: Reply,
    },
}

/// Works until every sender is gone.
pub(super) fn work(db: Connection, place: &Place, inbox: &Receiver<Job>) {
    let mut groups: u32 = 0;
    loop {
        let first = if groups > 0 {
            inbox.recv_timeout(QUIET)
        } else {
            inbox.recv().map_err(RecvTimeoutError::from)
        };
        match first {
            Ok(first) => {
                let mut group = vec![first];
                group.extend(inbox.try_iter().take(GROUP_MAX - 1));
                write_group(&db, place, group);
                groups += 1;
                // Behind the answers, so that nobody waits for it who does not write at once.
                if groups > FOLD_AFTER {
                    checkpoint(&db, "PRAGMA wal_checkpoint(PASSIVE)");
                    groups = 1;
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                checkpoint(&db, "PRAGMA wal_checkpoint(TRUNCATE)");
                groups = 0;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    checkpoint(&db, "PRAGMA wal_checkpoint(TRUNCATE)");
}

/// A checkpoint that fails (a reader is in the way, the disk is full) loses nothing and is made
/// up for by a later one.
fn checkpoint(db: &Connection, pragma: &str) {
    failpoint::step("ledger.fold", || drop(db.query_row(pragma, [], |_| Ok(()))));
}

/// A group that fails as a whole is tried again batch by batch, so that one that is too large for
/// the disk does not fail its neighbours.
fn write_group(db: &Connection, place: &Place, mut group: Vec<Job>) {
    if !place.stands() {
        // What is written to a file without a name is gone with its last reader.
        let away = || Error::Away { path: place.path.clone() };
        return group.into_iter().for_each(|job| job.answer(Err(away())));
    }
    match try_group(db, &group) {
        Ok(results) => {
            for (job, result) in group.into_iter().zip(results) {
                job.answer(result);
            }
        }
        Err(error) if group.len() == 1 => group.remove(0).answer(Err(error)),
        Err(_) => group.into_iter().for_each(|job| write_group(db, place, vec![job])),
    }
}

/// One transaction; an error means that nothing of it happened.
fn try_group(db: &Connection, group: &[Job]) -> Result<Vec<Result<(), Error>>, Error> {
    run(db, "BEGIN IMMEDIATE")?;
    let outcome = fill(db, group);
    // SQLite may have rolled back by itself, e.g. on a full disk.
    if outcome.is_err() && !db.is_autocommit() {
        drop(run(db, "ROLLBACK"));
    }
    outcome
}

fn fill(db: &Connection, group: &[Job]) -> Result<Vec<Result<(), Error>>, Error> {
    let results = group.iter().map(|job| write_job(db, job)).collect::<Result<Vec<_>, _>>()?;
    if let Some(clock) = group.iter().filter_map(Job::clock).max_by_key(|clock| clock.moment) {
        record::clock(db, clock)?;
    }
    failpoint::step("ledger.commit", || run(db, "COMMIT"))?;
    Ok(results)
}

/// A batch that is refused leaves the others alone; the outer error is for the whole group.
fn write_job(db: &Connection, job: &Job) -> Result<Result<(), Error>, Error> {
    run(db, "SAVEPOINT batch")?;
    let result = job.write(db);
    match result {
        Ok(()) => {}
        Err(error @ Error::Disk { .. }) => return Err(error),
        Err(error) if db.is_autocommit() => return Err(error),
        Err(_) => run(db, "ROLLBACK TO batch")?,
    }
    run(db, "RELEASE batch")?;
    Ok(result)
}

fn run(db: &Connection, statement: &str) -> Result<(), Error> {
    let doing = "write to the ledger";
    let mut prepared = db.prepare_cached(statement).map_err(sql(doing))?;
    prepared.execute([]).map_err(sql(doing))?;
    Ok(())
}

impl Job {
    fn write(&self, db: &Connection) -> Result<(), Error> {
        match self {
            Job::Commit { entries, .. } => entries.iter().try_for_each(|e| record::entry(db, e)),
            Job::Recovered { .. } => record::end_recovery(db),
            Job::Forget { runs, .. } => runs.iter().try_for_each(|run| record::forget(db, run)),
            Job::Expire { now, .. } => record::expire(db, *now),
            #[cfg(test)]
            Job::Pragma { text, .. } => {
                db.query_row(text, [], |_| Ok(())).map_err(sql("run a pragma"))
            }
        }
    }

    fn clock(&self) -> Option<&ClockMark> {
        match self {
            Job::Commit { clock, .. } => Some(clock),
            Job::Recovered { .. } | Job::Forget { .. } | Job::Expire { .. } => None,
            #[cfg(test)]
            Job::Pragma { .. } => None,
        }
    }

    /// Whoever no longer listens has no use for the answer.
    fn answer(self, result: Result<(), Error>) {
        let reply = match self {
            Job::Commit { reply, .. }
            | Job::Forget { reply, .. }
            | Job::Expire { reply, .. }
            | Job::Recovered { reply } => reply,
            #[cfg(test)]
            Job::Pragma { reply, .. } => reply,
        };
        drop(reply.send(result));
    }
}
