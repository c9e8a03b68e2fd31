//! Deletes runs that ended long ago: their attempts' directories first, then what the ledger holds
//! of them, a few at a time, so that nobody waits long (feature L5). Runs that go on are never
//! touched: the ledger refuses to forget them. Of instances the directories of earlier lives go.

use std::sync::Arc;

use crate::control::steer::CleanupReply;
use crate::control::{Reply, Responder};
use crate::ledger::{self, Reader};
use crate::model::{AttemptId, RunId};

use super::engine::Engine;
use super::refusal::internal;
use super::{Home, Incoming};

/// How many runs are forgotten in one commit.
const CHUNK: usize = 20;
/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// A cleanup that goes on.
pub(super) struct Cleanup {
    /// What is still to be deleted, the oldest last.
    left: Vec<RunId>,
    /// Their directories are gone; the ledger still knows them.
    removed: Vec<RunId>,
    done: CleanupReply,
    responder: Responder,
}

impl Engine {
    /// Deletes the runs that ended so many days ago.
    pub(super) fn cleanup(&mut self, days: u32, responder: Responder) {
        let before = self.clock.wall_ms() - i64::from(days) * DAY_MS;
        let (reader, inbox) = (Arc::clone(&self.reader), self.inbox.clone());
        let now = self.clock.now();
        let home = self.settings.home.clone();
        let found = move |reader: &Reader| -> Result<(Vec<RunId>, u32, u32), ledger::Error> {
            let runs = reader.ended_before(before)?;
            Ok((runs, reader.expired(now)?, remove(&home, &reader.lives_before(before)?)))
        };
        tokio::task::spawn_blocking(move || match found(&reader) {
            Ok((left, cached, attempts)) => {
                let done = CleanupReply { cached, attempts, ..CleanupReply::default() };
                inbox.put(Incoming::Cleanup(Box::new(Cleanup {
                    left,
                    removed: Vec::new(),
                    done,
                    responder,
                })));
            }
            Err(error) => responder.reply(internal(error)),
        });
    }

    /// Deletes the next few.
    pub(super) fn clean(&mut self, mut cleanup: Cleanup) {
        let inbox = self.inbox.clone();
        let removed = std::mem::take(&mut cleanup.removed);
        if !removed.is_empty() {
            let forgotten = self.ledger.forget(removed.clone());
            tokio::spawn(async move {
                match forgotten.await {
                    Ok(()) => cleanup.done.runs.extend(removed),
                    Err(error) => return cleanup.responder.reply(internal(error)),
                }
                inbox.put(Incoming::Cleanup(Box::new(cleanup)));
            });
            return;
        }
        let from = cleanup.left.len().saturating_sub(CHUNK);
        let mut chunk = cleanup.left.split_off(from);
        if chunk.is_empty() {
            return self.expire(cleanup);
        }
        // One that was taken up again meanwhile lives.
        chunk.retain(|run| self.core.workflow.run(run).is_none());
        let reader = Arc::clone(&self.reader);
        let home = self.settings.home.clone();
        tokio::task::spawn_blocking(move || {
            let removed = chunk.iter().map(|run| remove_attempts(&reader, &home, run));
            cleanup.done.attempts += removed.sum::<u32>();
            cleanup.removed = chunk;
            inbox.put(Incoming::Cleanup(Box::new(cleanup)));
        });
    }
}

impl Engine {
    /// Deletes kept results that are too old to be taken, which is the end of a cleanup.
    fn expire(&self, cleanup: Cleanup) {
        let expired = self.ledger.expire(self.clock.now());
        tokio::spawn(async move {
            match expired.await {
                Ok(()) => cleanup.responder.reply(Reply::ok(&cleanup.done)),
                Err(error) => cleanup.responder.reply(internal(error)),
            }
        });
    }
}

/// Deletes the directories of a run's attempts, as far as they are there; how many those were. What
/// cannot be deleted is tried again by the next cleanup of strays.
fn remove_attempts(reader: &Reader, home: &Home, run: &RunId) -> u32 {
    let attempts = reader.attempts_of_run(run).unwrap_or_default();
    let attempts: Vec<AttemptId> =
        attempts.into_iter().map(|record| record.row.order.attempt).collect();
    remove(home, &attempts)
}

/// Deletes the directories of attempts; how many were there.
fn remove(home: &Home, attempts: &[AttemptId]) -> u32 {
    let removed =
        attempts.iter().filter(|attempt| std::fs::remove_dir_all(home.attempt(attempt)).is_ok());
    u32::try_from(removed.count()).unwrap_or(u32::MAX)
}
