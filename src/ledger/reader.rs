//! Queries, on connections of their own. They see what was committed when they begin, and block,
//! so async callers use them from `spawn_blocking`.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, params};

use super::failure::{Error, sql};
use super::kept;
use super::load::{self, AttemptRecord, RunLog};
use super::open;
use super::past::Past;
use super::spending::{self, Lately, SpentRow, WorkRow};
use crate::model::{
    AttemptId, CacheAnswer, CacheQuestion, Entry, Moment, RunId, RunOutcome, RunState, TaskId,
    TaskState,
};

/// A connection that only reads. Several threads may share it; they take turns.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    db: Mutex<Connection>,
}

/// A run in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummary {
    /// Its id.
    pub run: RunId,
    /// The plan's name.
    pub name: String,
    /// What it is for.
    pub goal: String,
    /// Where it stands.
    pub state: RunState,
    /// How it ended.
    pub outcome: Option<RunOutcome>,
    /// Why it stands there: `user`, `recovery`, …
    pub why: Option<String>,
    /// The first error, when everything failed.
    pub root_cause: Option<String>,
    /// When it was submitted; wall time in milliseconds since 1970, like the next two.
    pub created_ms: i64,
    /// When it first ran.
    pub started_ms: Option<i64>,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// The run that it is a part of.
    pub parent: Option<RunId>,
    /// How many tasks stand where; states without a task are left out.
    pub tasks: Vec<(TaskState, u32)>,
}

/// How far the facts of a run go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunMark {
    /// Its id.
    pub run: RunId,
    /// The number of its last fact; a run to which anything happened has another one.
    pub last: i64,
}

impl Reader {
    /// Opens the file for reading only.
    ///
    /// # Errors
    /// When there is none, or it cannot be read as a ledger.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { path: path.to_owned(), db: Mutex::new(open::reader(path)?) })
    }

    /// All facts of a run, ended or not, with its submission and outputs; `None` if there is no
    /// such run.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn run_log(&self, run: &RunId) -> Result<Option<RunLog>, Error> {
        let log = load::run_log(&self.db(), run)?;
        Ok(Some(log).filter(|log| !log.entries.is_empty()))
    }

    /// The runs, newest first; with `active` only those that have not ended.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn run_rows(&self, active: bool) -> Result<Vec<RunSummary>, Error> {
        self.runs_where(active, None)
    }

    /// The newest runs, newest first, and how far their facts go.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn newest_runs(&self, count: usize) -> Result<Vec<RunMark>, Error> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let text = format!("{RUN_MARK} ORDER BY id DESC LIMIT ?1");
        load::all(&self.db(), &text, [count], run_mark)
    }

    /// How far the facts of one run go.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn run_mark(&self, run: &RunId) -> Result<Option<RunMark>, Error> {
        let text = format!("{RUN_MARK} WHERE run_id = ?1");
        Ok(load::all(&self.db(), &text, [run.as_str()], run_mark)?.into_iter().next())
    }

    /// One run.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn run_row(&self, run: &RunId) -> Result<Option<RunSummary>, Error> {
        Ok(self.runs_where(false, Some(run.as_str()))?.into_iter().next())
    }

    fn runs_where(&self, active: bool, run: Option<&str>) -> Result<Vec<RunSummary>, Error> {
        let db = self.db();
        // A condition of its own for one run, so that its index finds it among thousands.
        let which = if run.is_some() { "run_id = ?2" } else { "?2 IS NULL" };
        let text = format!(
            "SELECT run_id, name, state, outcome, why, root_cause, created_ms, started_ms,
                ended_ms, id, coalesce(submission ->> '$.plan.goal', ''),
                submission ->> '$.parent.run' FROM run
             WHERE (NOT ?1 OR state NOT IN ('completed', 'failed', 'cancelled')) AND {which}
             ORDER BY id DESC"
        );
        load::all(&db, &text, params![active, run], |row| {
            let outcome: Option<String> = load::column(row, 3)?;
            Ok(RunSummary {
                run: RunId::new(load::column::<String>(row, 0)?),
                name: load::column(row, 1)?,
                state: load::word(&load::column::<String>(row, 2)?, RunState::of_word)?,
                outcome: outcome.map(|w| load::word(&w, RunOutcome::of_word)).transpose()?,
                why: load::column(row, 4)?,
                root_cause: load::column(row, 5)?,
                created_ms: load::column(row, 6)?,
                started_ms: load::column(row, 7)?,
                ended_ms: load::column(row, 8)?,
                tasks: task_counts(&db, load::column(row, 9)?)?,
                goal: load::column(row, 10)?,
                parent: load::column::<Option<String>>(row, 11)?.map(RunId::new),
            })
        })
    }

    /// The attempts of tasks that were made last, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn lately(&self) -> Result<Vec<Lately>, Error> {
        spending::lately(&self.db())
    }

    /// The attempts of tasks of a run, or of all runs, with their wall times, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn work(&self, run: Option<&RunId>) -> Result<Vec<WorkRow>, Error> {
        spending::work(&self.db(), run)
    }

    /// What attempts of a run, or of all runs, used, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn spent(&self, run: Option<&RunId>) -> Result<Vec<SpentRow>, Error> {
        spending::spent(&self.db(), run)
    }

    /// How often the plan of that name has run to an end, how often it completed, and how long it
    /// took then on average, in milliseconds.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn plan_history(&self, name: &str) -> Result<(u32, u32, Option<f64>), Error> {
        Ok(Past::of_runs(&self.db(), name)?.runs())
    }

    /// How long each task of the plan of that name took on average where it succeeded, in
    /// milliseconds, and of how many runs that is.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn task_history(&self, name: &str) -> Result<Vec<(TaskId, f64, u32)>, Error> {
        Ok(Past::of_tasks(&self.db(), name)?.tasks())
    }

    /// The runs that ended before a wall time (milliseconds since 1970), the newest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn ended_before(&self, wall_ms: i64) -> Result<Vec<RunId>, Error> {
        let text = "SELECT run_id FROM run
                    WHERE ended_ms < ?1 AND state IN ('completed', 'failed', 'cancelled')
                    ORDER BY ended_ms DESC";
        load::all(&self.db(), text, [wall_ms], |row| load::column::<String>(row, 0).map(RunId::new))
    }

    /// The attempts of instances that ended before a moment, without the newest of each instance,
    /// which `logs` and `why` still tell of.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn lives_before(&self, wall_ms: i64) -> Result<Vec<AttemptId>, Error> {
        let text = "SELECT attempt_id FROM attempt AS old
                    WHERE instance IS NOT NULL AND state = 'ended' AND ended_ms < ?1
                    AND EXISTS (SELECT 1 FROM attempt AS new
                                WHERE new.instance = old.instance AND new.id > old.id)
                    ORDER BY id";
        load::all(&self.db(), text, [wall_ms], |row| {
            load::column::<String>(row, 0).map(AttemptId::new)
        })
    }

    /// Whether the result of some work is kept, and what its task was to do the last time.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn look_up(&self, question: CacheQuestion) -> Result<CacheAnswer, Error> {
        kept::look_up(&self.db(), question)
    }

    /// How many kept results are too old to be taken.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn expired(&self, now: Moment) -> Result<u32, Error> {
        kept::expired(&self.db(), now)
    }

    /// The attempts of a run, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn attempts_of_run(&self, run: &RunId) -> Result<Vec<AttemptRecord>, Error> {
        let text = format!(
            "{} WHERE run = (SELECT id FROM run WHERE run_id = ?1) ORDER BY id",
            load::ATTEMPT
        );
        load::all(&self.db(), &text, [run.as_str()], load::attempt)
    }

    /// The latest attempts of an agent for tasks that are over, newest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn attempts_of_agent(&self, agent: &str, limit: u32) -> Result<Vec<AttemptRecord>, Error> {
        let text = format!(
            "{} WHERE agent = ?1 AND task IS NOT NULL AND outcome IS NOT NULL
             ORDER BY id DESC LIMIT ?2",
            load::ATTEMPT
        );
        load::all(&self.db(), &text, params![agent, limit], load::attempt)
    }

    /// The agents that have worked on tasks, by name.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn agents_of_tasks(&self) -> Result<Vec<String>, Error> {
        let text = "SELECT DISTINCT agent FROM attempt
                    WHERE task IS NOT NULL AND agent <> 'command' ORDER BY agent";
        load::all(&self.db(), text, [], |row| load::column(row, 0))
    }

    /// One attempt.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn attempt(&self, attempt: &AttemptId) -> Result<Option<AttemptRecord>, Error> {
        let text = format!("{} WHERE attempt_id = ?1", load::ATTEMPT);
        let found = load::all(&self.db(), &text, [attempt.as_str()], load::attempt)?;
        Ok(found.into_iter().next())
    }

    /// The latest attempts of an instance, newest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn attempts_of_instance(
        &self,
        name: &str,
        limit: u32,
    ) -> Result<Vec<AttemptRecord>, Error> {
        let text = format!("{} WHERE instance = ?1 ORDER BY id DESC LIMIT ?2", load::ATTEMPT);
        load::all(&self.db(), &text, params![name, limit], load::attempt)
    }

    /// The latest evidence about an attempt, an instance (its attempts included), `tmux` or
    /// `daemon`, newest first: notes, and facts of attempts.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn notes_about(&self, subject: &str, limit: u32) -> Result<Vec<Entry>, Error> {
        let text = "SELECT at, wall_ms, subject, kind, data,
                        (SELECT spec FROM attempt
                         WHERE kind = 'attempt-intended' AND attempt_id = subject)
                    FROM event
                    WHERE subject = ?1 OR subject IN (SELECT attempt_id FROM attempt
                        WHERE instance = ?1 ORDER BY id DESC LIMIT ?2)
                    ORDER BY seq DESC LIMIT ?2";
        load::all(&self.db(), text, params![subject, limit], load::evidence)
    }

    /// The number after the highest of that day's runs (`YYYY-MM-DD`), from 1. Submissions that
    /// are not committed yet are not counted.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn next_run_number(&self, date: &str) -> Result<u32, Error> {
        // `.` is the character after `-`, so the range holds exactly the ids of that day.
        let (from, to) = (format!("PLAN-{date}-"), format!("PLAN-{date}."));
        let text =
            "SELECT coalesce(max(CAST(substr(run_id, length(?1) + 1) AS INTEGER)), 0) FROM run
                    WHERE run_id >= ?1 AND run_id < ?2";
        let db = self.db();
        let mut prepared = db.prepare_cached(text).map_err(sql("read the ledger"))?;
        let highest: u32 = prepared
            .query_row(params![from, to], |row| row.get(0))
            .map_err(sql("read the ledger"))?;
        Ok(highest.saturating_add(1))
    }

    /// Checks every page, which takes as long as reading the file; for `doctor`.
    ///
    /// # Errors
    /// [`Error::Damaged`] with the first thing that is wrong.
    pub fn check(&self) -> Result<(), Error> {
        open::check(&self.db(), &self.path, true)
    }

    /// A query that panicked has changed nothing, so its lock can be taken over.
    fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Columns of [`run_mark`].
const RUN_MARK: &str =
    "SELECT run_id, (SELECT coalesce(max(seq), 0) FROM event WHERE event.run = run.id) FROM run";

fn run_mark(row: &rusqlite::Row<'_>) -> Result<RunMark, Error> {
    Ok(RunMark { run: RunId::new(load::column::<String>(row, 0)?), last: load::column(row, 1)? })
}

fn task_counts(db: &Connection, run: i64) -> Result<Vec<(TaskState, u32)>, Error> {
    let text = "SELECT state, count(*) FROM task WHERE run = ?1 GROUP BY state";
    let mut counts = load::all(db, text, [run], |row| {
        let state = load::word(&load::column::<String>(row, 0)?, TaskState::of_word)?;
        Ok((state, load::column(row, 1)?))
    })?;
    counts.sort_unstable();
    Ok(counts)
}
