//! How the facts of a task move it: the table of states, live and on replay.

use crate::model::{
    AttemptId, CacheFact, Moment, Outcome, RunFact, SkipReason, StartReason, TaskState,
};

use super::task::Task;

impl Task {
    /// Moves the task; false when its state does not allow it.
    pub(super) fn apply(&mut self, at: Moment, fact: &RunFact) -> bool {
        let before = self.state;
        let moved = self.step(at, fact);
        if moved && self.state != before {
            self.since = Some(at);
        }
        moved
    }

    fn step(&mut self, at: Moment, fact: &RunFact) -> bool {
        use TaskState as S;
        match (self.state, fact) {
            (S::Blocked | S::RetryWait, RunFact::TaskQueued { .. }) => {
                self.state = S::Queued;
                self.queued = Some(at);
                self.not_before = None;
            }
            (S::Queued, RunFact::TaskStarting { attempt, n, agent, agent_index, .. }) => {
                self.state = S::Starting;
                self.attempt = Some(attempt.clone());
                self.n = *n;
                self.agent = Some(agent.clone());
                self.go_to(*agent_index);
                self.tried.insert(*agent_index);
                self.started.get_or_insert(at);
            }
            (S::Starting, RunFact::TaskRunning { attempt, .. }) if self.waits_for(attempt) => {
                self.state = S::Running;
            }
            (
                S::Starting | S::Running,
                RunFact::TaskRetrying { attempt, error, not_before, agent_index, reason, .. },
            ) if self.waits_for(attempt) => {
                self.state = S::RetryWait;
                self.count_failure(error.outcome, *reason);
                self.go_to(*agent_index);
                self.error = Some(error.clone());
                self.not_before = Some(*not_before);
                self.reason = *reason;
            }
            (S::Blocked | S::Queued, RunFact::TaskWaiting { run, .. })
            | (S::Waiting, RunFact::TaskWaiting { run: run @ Some(_), .. }) => {
                self.state = S::Waiting;
                // Its time is that of its run, and not of the wait for its turn.
                let begun = self.started.filter(|_| run.is_none());
                self.started = begun.or(Some(at));
                self.child.clone_from(run);
            }
            (S::Starting | S::Running, RunFact::TaskRequeued { attempt, .. })
                if self.waits_for(attempt) =>
            {
                self.state = S::Blocked;
                self.uncounted += 1;
            }
            (
                S::Success | S::Failed | S::Timeout | S::Skipped | S::Cancelled | S::Queued,
                RunFact::TaskReset { .. },
            ) => self.start_over(),
            (_, RunFact::TaskCache { fact, .. }) => return self.cache(fact),
            _ => return self.end(at, fact),
        }
        true
    }

    /// What is known of a kept result; where the task stands is as it was.
    fn cache(&mut self, fact: &CacheFact) -> bool {
        match fact {
            CacheFact::LookedUp { work, found, .. } if self.state == TaskState::Blocked => {
                (self.looked, self.key) = (Some(found.clone()), Some(work.key.clone()));
            }
            CacheFact::Kept { .. } if self.state == TaskState::Success => self.kept = true,
            CacheFact::Dropped { .. } => self.kept = false,
            CacheFact::LookedUp { .. } | CacheFact::Kept { .. } => return false,
        }
        true
    }

    /// Ends the task; false when its state does not allow it.
    fn end(&mut self, at: Moment, fact: &RunFact) -> bool {
        use TaskState as S;
        match (self.state, fact) {
            (
                S::Starting | S::Running | S::Blocked | S::Queued | S::Waiting | S::RetryWait,
                RunFact::TaskSucceeded { attempt, output, .. },
            ) if self.may_end_by(attempt.as_ref()) => {
                self.state = S::Success;
                self.output = Some(output.clone());
                self.made = attempt.is_some();
                self.error = None;
                self.not_before = None;
                self.ended = Some(at);
            }
            (
                S::Blocked | S::Queued | S::Starting | S::Running | S::Waiting | S::RetryWait,
                RunFact::TaskFailed { attempt, error, .. },
            ) if self.may_end_by(attempt.as_ref()) => {
                let timed_out = error.outcome == Outcome::Timeout;
                self.state = if timed_out { S::Timeout } else { S::Failed };
                self.error = Some(error.clone());
                self.ended = Some(at);
            }
            // The only thing that fails a task that has its result: a hook that looked at it.
            (S::Success, RunFact::TaskFailed { attempt: None, error, .. })
                if error.outcome == Outcome::Hook =>
            {
                self.state = S::Failed;
                self.output = None;
                self.error = Some(error.clone());
                self.ended = Some(at);
            }
            (
                S::Blocked | S::Queued | S::RetryWait | S::Waiting,
                RunFact::TaskSkipped { reason, .. },
            )
            | (
                S::Failed | S::Timeout,
                RunFact::TaskSkipped { reason: reason @ SkipReason::Optional, .. },
            ) => {
                self.leave(at, S::Skipped, *reason);
            }
            (
                S::Blocked | S::Queued | S::Starting | S::Running | S::RetryWait | S::Waiting,
                RunFact::TaskCancelled { reason, .. },
            ) => self.leave(at, S::Cancelled, *reason),
            _ => return false,
        }
        true
    }

    /// It will not be done. What it waited for does not come, so that nobody is woken for it.
    fn leave(&mut self, at: Moment, state: TaskState, reason: SkipReason) {
        self.state = state;
        self.skip = Some(reason);
        self.not_before = None;
        self.ended = Some(at);
    }

    /// It is to be done again. Its attempts are counted on; their errors and times are forgotten.
    pub(super) fn start_over(&mut self) {
        let (attempt, n) = (self.attempt.take(), self.n);
        let anew = self.anew || n > 0 || self.looked.is_some();
        *self =
            Self { attempt, n, uncounted: n, anew, reason: StartReason::Manual, ..Self::blocked() };
    }

    /// An attempt must be the one that is waited for; work without attempts ends while it is not
    /// live.
    fn may_end_by(&self, attempt: Option<&AttemptId>) -> bool {
        match attempt {
            Some(attempt) => self.is_live() && self.waits_for(attempt),
            None => !self.is_live(),
        }
    }

    fn waits_for(&self, attempt: &AttemptId) -> bool {
        self.attempt.as_ref() == Some(attempt)
    }

    /// A lost attempt uses no retry, nor does a usage limit, nor what a rule does not count;
    /// everything else does.
    fn count_failure(&mut self, outcome: Outcome, next: StartReason) {
        let ignored = next == StartReason::Restart;
        let lost = outcome == Outcome::Lost;
        self.lost_in_row = if lost { self.lost_in_row + 1 } else { 0 };
        self.ignored_in_row = if ignored { self.ignored_in_row + 1 } else { 0 };
        let free = lost || ignored || outcome == Outcome::RateLimited;
        if free || next == StartReason::Failover {
            self.uncounted += 1;
        }
        if free {
            return;
        }
        self.used += 1;
        if outcome == Outcome::Timeout {
            self.timeouts += 1;
        }
    }

    /// The next agent starts afresh.
    fn go_to(&mut self, agent: usize) {
        if agent != self.agent_index {
            (self.used, self.timeouts, self.lost_in_row, self.ignored_in_row) = (0, 0, 0, 0);
        }
        self.agent_index = agent;
    }
}
