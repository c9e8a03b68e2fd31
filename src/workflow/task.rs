//! One task of a run: where it stands, and what came of it. What moves it is in `moves.rs`.

use std::collections::BTreeSet;

use super::census::Seen;
use crate::model::{
    AttemptId, CacheFound, CacheSource, Moment, Outcome, Output, RunId, SkipReason, StartReason,
    TaskError, TaskState,
};

/// A task of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Where it stands.
    pub state: TaskState,
    /// The attempt it waits for, or the last one.
    pub attempt: Option<AttemptId>,
    /// How many attempts it has had.
    pub n: u32,
    /// How many of them count against nothing: they hit a usage limit, were lost or stopped for a
    /// pause, another agent took over, or it was to be done again since.
    pub(super) uncounted: u32,
    /// Who works on it: 0 is the primary agent, 1 the first fallback, …
    pub agent_index: usize,
    /// Name of the agent of the last attempt, or `command`.
    pub agent: Option<String>,
    /// Why the next attempt is made.
    pub reason: StartReason,
    /// When the next attempt may start.
    pub not_before: Option<Moment>,
    /// When it came to stand where it stands.
    pub since: Option<Moment>,
    /// When it was queued last.
    pub queued: Option<Moment>,
    /// When its first attempt started.
    pub started: Option<Moment>,
    /// When it was over.
    pub ended: Option<Moment>,
    /// Its result.
    pub output: Option<Output>,
    /// Why its last attempt failed, or why it failed for good.
    pub error: Option<TaskError>,
    /// Why it was not done.
    pub skip: Option<SkipReason>,
    /// The run that it waits for, if it is one.
    pub child: Option<RunId>,
    /// What was found when its kept result was looked for; none before, and without `cache`.
    pub looked: Option<CacheFound>,
    /// The key of the work that was looked for then.
    pub(super) key: Option<String>,
    /// Whether an attempt gave its result, and not the daemon, a person or an earlier run.
    pub(super) made: bool,
    /// Whether its result is kept for later runs.
    pub(super) kept: bool,
    /// Whether it is done again after it was done or tried, so that no kept result will do.
    pub(super) anew: bool,
    /// The places of the agents that had an attempt at it.
    pub(super) tried: BTreeSet<usize>,
    /// Failures that count against the retries of the present agent.
    pub(super) used: u32,
    /// Timeouts among them.
    pub(super) timeouts: u32,
    /// Lost attempts in a row, which use no retry but are bounded.
    pub(super) lost_in_row: u32,
    /// Attempts in a row that a rule does not count.
    pub(super) ignored_in_row: u32,
}

impl Task {
    pub(super) fn blocked() -> Self {
        Self {
            state: TaskState::Blocked,
            attempt: None,
            n: 0,
            uncounted: 0,
            agent_index: 0,
            agent: None,
            reason: StartReason::First,
            not_before: None,
            since: None,
            queued: None,
            started: None,
            ended: None,
            output: None,
            error: None,
            skip: None,
            child: None,
            looked: None,
            key: None,
            made: false,
            kept: false,
            anew: false,
            tried: BTreeSet::new(),
            used: 0,
            timeouts: 0,
            lost_in_row: 0,
            ignored_in_row: 0,
        }
    }

    /// What is counted of it.
    pub(super) fn seen(&self) -> Seen {
        let waits = self.state == TaskState::RetryWait;
        let limit = |error: &TaskError| error.outcome == Outcome::RateLimited;
        Seen {
            state: self.state,
            attempt: self.attempt.clone().filter(|_| self.is_live()),
            not_before: if waits { Some(self.not_before.unwrap_or_default()) } else { None },
            limited: waits && self.error.as_ref().is_some_and(limit),
            queued: self.queued,
            agent: self.agent_index,
            child: self.child.is_some(),
        }
    }

    /// The attempt of an earlier run whose result it took instead of being done, and how old that
    /// was then, in milliseconds.
    pub fn taken(&self) -> Option<(&CacheSource, u64)> {
        self.looked.as_ref().filter(|_| self.state == TaskState::Success)?.good()
    }

    /// How many attempts it has used of those that it may have.
    pub fn counted(&self) -> u32 {
        self.n.saturating_sub(self.uncounted)
    }

    /// Whether it holds a slot.
    pub fn is_live(&self) -> bool {
        matches!(self.state, TaskState::Starting | TaskState::Running)
    }
}
