//! The time in which the ledger cannot be written: a full disk, a failing one, a ledger that
//! somebody took away.
//!
//! Agents run on; their shims keep logs and records. Nothing new is decided, because nothing may be
//! done before it is written; what happens meanwhile is held, at most a few events for each live
//! attempt. Signals are heard, questions are answered, and whoever wants a change is told why not.

use std::time::Duration;

use crate::control::{Call, Failure, FailureKind, Request};
use crate::ledger::Error as LedgerError;
use crate::model::{Entry, ms};
use crate::signals::{Signal, Wish};
use crate::supervisor::Event;

use super::ears::{Ears, Outage};
use super::engine::{Engine, Leaving};
use super::{Error, Incoming, Input};

/// How long to wait before the ledger is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// After how long a disk that gives no answer counts as one that fails.
const PATIENCE: Duration = Duration::from_secs(2);

impl Engine {
    /// Commits, however long that takes; false when the daemon is to leave without it. Then nothing
    /// of it was done, and the next daemon decides anew from what is written.
    pub(super) async fn commit(
        &mut self,
        entries: &[Entry],
        ears: &mut Ears,
    ) -> Result<bool, Error> {
        let mut writing = Some(Box::pin(self.ledger.commit(entries.to_vec(), self.clock.mark())));
        let mut pause = Box::pin(tokio::time::sleep(PATIENCE));
        loop {
            let deaf = self.outage.is_none();
            tokio::select! {
                biased;
                result = answer(&mut writing) => {
                    writing = None;
                    match result {
                        Ok(()) => {
                            self.outage_over();
                            return Ok(true);
                        }
                        Err(error) => self.outage_goes_on(error)?,
                    }
                    pause = Box::pin(tokio::time::sleep(AGAIN));
                }
                Some(heard) = ears.incoming.recv(), if !deaf => self.hear(heard),
                Some(call) = ears.calls.recv(), if !deaf => self.call_in_outage(call),
                () = &mut pause => {
                    if writing.is_some() {
                        self.outage_began("the disk does not answer");
                    } else {
                        let again = self.ledger.commit(entries.to_vec(), self.clock.mark());
                        writing = Some(Box::pin(again));
                    }
                    pause = Box::pin(tokio::time::sleep(PATIENCE));
                }
            }
            if self.leaving == Leaving::Now {
                return Ok(false);
            }
        }
    }

    /// Why nothing can be changed just now, if that is so.
    pub(super) fn alarm(&self) -> Option<String> {
        let outage = self.outage.as_ref()?;
        Some(format!("nothing can be recorded, so nothing is changed: {}", outage.why))
    }

    fn outage_goes_on(&mut self, error: LedgerError) -> Result<(), Error> {
        match error {
            LedgerError::Disk { .. } | LedgerError::Away { .. } => {
                self.outage_began(&error.to_string());
                Ok(())
            }
            LedgerError::Fenced { what } => Err(Error::Contradiction(what)),
            LedgerError::Newer { .. }
            | LedgerError::Damaged { .. }
            | LedgerError::File { .. }
            | LedgerError::Content { .. }
            | LedgerError::Sql { .. }
            | LedgerError::Closed => Err(error.into()),
        }
    }

    fn outage_began(&mut self, why: &str) {
        if self.outage.is_none() {
            tracing::error!("{why}; agents run on, and nothing is changed until this ends");
            self.outage = Some(Outage { since: self.clock.now(), why: why.to_owned() });
        }
    }

    /// Leaves a mark in the ledger: what happened in between is recorded later than it happened.
    fn outage_over(&mut self) {
        let Some(outage) = self.outage.take() else { return };
        let lasted = self.clock.now().since(outage.since);
        // Before anything that was held: what nobody could hear in time is held against nobody.
        let gap_ms = ms(lasted);
        self.decide(Input::Supervisor(Event::Woke { gap_ms }));
        let (seconds, why) = (lasted.as_secs(), outage.why);
        self.note("ledger", format!("nothing could be recorded for {seconds} s: {why}"));
    }

    fn hear(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Signal(signal) => self.signalled_in_outage(signal),
            Incoming::Fault(text) => tracing::error!("{text}"),
            Incoming::Removal => self.file_removed(),
            // Said again every second by whoever cannot be killed; once is enough.
            Incoming::Supervisor(ref event @ Event::Stuck { .. }) if self.holds(event) => {}
            Incoming::Supervisor(_)
            | Incoming::Over { .. }
            | Incoming::Tmux(_)
            | Incoming::TmuxConnected(_)
            | Incoming::Windows(_)
            | Incoming::Cleanup(_)
            | Incoming::LookedUp(_)
            | Incoming::ConfigTouched => self.held.push(incoming),
        }
    }

    fn holds(&self, event: &Event) -> bool {
        self.held.iter().any(|held| matches!(held, Incoming::Supervisor(held) if held == event))
    }

    /// A stop that could not be recorded would be undone by the next daemon, so every signal to
    /// end means: end, and let the agents live.
    fn signalled_in_outage(&mut self, signal: Signal) {
        match signal.wish {
            Wish::Leave | Wish::Abandon | Wish::StopAll => {
                let name = signal.name;
                tracing::warn!("{name} while nothing can be recorded: leaving, agents live on");
                self.leaving = Leaving::Now;
            }
            Wish::GoOn | Wish::Reconcile | Wish::Dump => self.signalled(&signal),
            Wish::Reload => self.held.push(Incoming::Signal(signal)),
        }
    }

    fn call_in_outage(&mut self, call: Call) {
        match &call.request {
            Request::Hello
            | Request::Ps
            | Request::Agents { .. }
            | Request::Cost { .. }
            | Request::History { .. }
            | Request::Watch { .. }
            | Request::Runs { .. }
            | Request::Show { .. }
            | Request::Results { .. }
            | Request::Wait { .. }
            | Request::Why { .. }
            | Request::Attach { .. }
            | Request::Logs { .. } => self.call(call),
            Request::Shutdown { stop_agents: false } => {
                self.leaving = Leaving::Now;
                call.responder.reply(crate::control::Reply::done());
            }
            Request::Submit(_)
            | Request::Approve { .. }
            | Request::Cancel { .. }
            | Request::Pause { .. }
            | Request::Resume { .. }
            | Request::Answer { .. }
            | Request::Retry { .. }
            | Request::Emit { .. }
            | Request::Cleanup { .. }
            | Request::Up { .. }
            | Request::Down { .. }
            | Request::Start { .. }
            | Request::Stop { .. }
            | Request::Restart { .. }
            | Request::ResetFailed { .. }
            | Request::Reload { .. }
            | Request::Inside(_)
            | Request::Items(_)
            | Request::Shutdown { stop_agents: true } => {
                let message = self.alarm().unwrap_or_default();
                let hint = "agents run on; the ledger is tried again every second";
                let failure = Failure::new(FailureKind::Failed, message).hint(hint);
                call.responder.reply(failure);
            }
        }
    }
}

/// The end of what is being written; never, when nothing is.
async fn answer<F: Future + Unpin>(writing: &mut Option<F>) -> F::Output {
    match writing {
        Some(writing) => writing.await,
        None => std::future::pending().await,
    }
}
