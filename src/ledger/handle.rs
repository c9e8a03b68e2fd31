//! The ledger as the daemon holds it: opens the file, and hands batches to the writer.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::failure::Error;
use super::load::{self, Memory};
use super::reader::Reader;
use super::writer::{self, Job, Place, Reply};
use super::{open, record};
use crate::model::{ClockMark, Entry, Moment, RunId};

/// The ledger, open for writing. Dropping it waits for what was handed in.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    /// `None` only while it is dropped.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Ledger {
    /// Opens the file, creates it (mode 0600) when there is none, and reads what a start needs.
    ///
    /// The caller must hold the home's lock: a second writer is not expected.
    ///
    /// # Errors
    /// [`Error::Newer`] and [`Error::Damaged`] leave the file as it is; all others as they say.
    pub fn open(path: &Path) -> Result<(Self, Memory), Error> {
        let db = open::writer(path)?;
        let recovering = record::begin_recovery(&db)?;
        let memory = load::memory(&db, recovering)?;
        let (jobs, inbox) = mpsc::channel();
        let place = Place::of(path);
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || writer::work(db, &place, &inbox))
            .map_err(|source| Error::File {
                doing: "start the writer of",
                path: path.to_owned(),
                source,
            })?;
        Ok((Self { path: path.to_owned(), jobs: Some(jobs), thread: Some(thread) }, memory))
    }

    /// Records facts, all or none of them; done when they are on disk.
    ///
    /// They are handed to the writer at once, not at the first poll, so that batches are recorded
    /// in the order of these calls. Dropping the future does not take them back.
    ///
    /// # Errors
    /// [`Error::Fenced`] when a fact contradicts what is recorded, [`Error::Disk`] when the disk
    /// is full; then nothing of the batch was recorded, and later batches may succeed.
    pub fn commit(
        &self,
        entries: Vec<Entry>,
        clock: ClockMark,
    ) -> impl Future<Output = Result<(), Error>> + Send + 'static + use<> {
        let answer = self.send(|reply| Job::Commit { entries, clock, reply });
        async move { answer.await.unwrap_or(Err(Error::Closed)) }
    }

    /// [`Ledger::commit`] for callers that are not async.
    ///
    /// # Errors
    /// As [`Ledger::commit`].
    ///
    /// # Panics
    /// In an async task.
    pub fn commit_blocking(&self, entries: Vec<Entry>, clock: ClockMark) -> Result<(), Error> {
        let answer = self.send(|reply| Job::Commit { entries, clock, reply });
        answer.blocking_recv().unwrap_or(Err(Error::Closed))
    }

    /// Notes that the recovery is finished, which starts the count of failed ones anew.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn recovered(&self) -> impl Future<Output = Result<(), Error>> + Send + 'static + use<> {
        let answer = self.send(|reply| Job::Recovered { reply });
        async move { answer.await.unwrap_or(Err(Error::Closed)) }
    }

    /// Takes ended runs out, all or none of them: their facts, attempts and outputs. The attempts'
    /// directories are the caller's.
    ///
    /// # Errors
    /// [`Error::Fenced`] when one of them goes on, or does not exist.
    pub fn forget(
        &self,
        runs: Vec<RunId>,
    ) -> impl Future<Output = Result<(), Error>> + Send + 'static + use<> {
        let answer = self.send(|reply| Job::Forget { runs, reply });
        async move { answer.await.unwrap_or(Err(Error::Closed)) }
    }

    /// Takes out kept results that are too old to be taken, and outputs that only they needed.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn expire(
        &self,
        now: Moment,
    ) -> impl Future<Output = Result<(), Error>> + Send + 'static + use<> {
        let answer = self.send(|reply| Job::Expire { now, reply });
        async move { answer.await.unwrap_or(Err(Error::Closed)) }
    }

    /// A connection for queries, which never waits for the writer.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn reader(&self) -> Result<Reader, Error> {
        Reader::open(&self.path)
    }

    /// A job that cannot be sent is dropped with its reply, which the receiver sees.
    pub(super) fn send(
        &self,
        job: impl FnOnce(Reply) -> Job,
    ) -> oneshot::Receiver<Result<(), Error>> {
        let (reply, answer) = oneshot::channel();
        if let Some(jobs) = &self.jobs {
            drop(jobs.send(job(reply)));
        }
        answer
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has answered nobody; there is nobody left to tell.
            drop(thread.join());
        }
    }
}
