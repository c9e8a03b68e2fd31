//! One run and its tasks, and the only function that moves them: live decisions and the replay of
//! the ledger go through [`Run::apply`] alike.
//!
//! ```text
//! task:  blocked ─> queued ─> starting ─> running ─> success
//!           │         ^          │  │        │  └──> failed | timeout
//!           │         └ retry-wait <┴────────┘
//!           └──> skipped <── failed | timeout, when optional; any live state ──> cancelled
//! run:   initializing ─> planning ─> [awaiting-approval] ─> running ⇄ paused
//!            ─> completing ─> completed | failed | cancelled
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::gauge::Gauge;
use super::kept::Kept;
use crate::model::{
    AttemptId, Moment, Output, RunFact, RunId, RunOutcome, RunState, SkipReason, StartReason,
    Submission, TaskError, TaskId, TaskState,
};
use crate::plan::Plan;

/// One execution of a plan.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// What was handed in, without the plan's parsed form.
    pub submission: Submission,
    /// The plan, frozen.
    pub plan: Plan,
    /// Where it stands.
    pub state: RunState,
    /// Why, for a pause.
    pub why: Option<String>,
    /// How it ended.
    pub outcome: Option<RunOutcome>,
    /// The first error, when everything failed.
    pub root_cause: Option<String>,
    /// Whether its end was asked for.
    pub cancelling: bool,
    /// When it was submitted.
    pub submitted: Moment,
    /// When it first ran.
    pub started: Option<Moment>,
    /// When it was over.
    pub ended: Option<Moment>,
    pub(super) tasks: BTreeMap<TaskId, Task>,
    /// When tasks went over to another agent, by the first agent of theirs, which has the budget.
    pub(super) switches: BTreeMap<String, Vec<Moment>>,
    /// How much of its time it used.
    pub(super) gauge: Gauge,
    /// What was told about it and asked, beside the moves of its tasks.
    pub kept: Kept,
}

/// A task of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Where it stands.
    pub state: TaskState,
    /// The attempt it waits for, or the last one.
    pub attempt: Option<AttemptId>,
    /// How many attempts it has had.
    pub n: u32,
    /// Who works on it: 0 is the primary agent, 1 the first fallback, …
    pub agent_index: usize,
    /// Name of the agent of the last attempt, or `command`.
    pub agent: Option<String>,
    /// Why the next attempt is made.
    pub reason: StartReason,
    /// When the next attempt may start.
    pub not_before: Option<Moment>,
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

/// A fact that does not fit the state it meets, or a ledger that does not fit its plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("run {run}: {what} is {state} and cannot take the fact `{fact}`")]
pub struct IllegalFact {
    /// The run.
    pub run: RunId,
    /// The run itself, or a task.
    pub what: String,
    /// Where it stands.
    pub state: String,
    /// What was to be applied.
    pub fact: String,
}

impl Task {
    pub(super) fn blocked() -> Self {
        Self {
            state: TaskState::Blocked,
            attempt: None,
            n: 0,
            agent_index: 0,
            agent: None,
            reason: StartReason::First,
            not_before: None,
            queued: None,
            started: None,
            ended: None,
            output: None,
            error: None,
            skip: None,
            child: None,
            tried: BTreeSet::new(),
            used: 0,
            timeouts: 0,
            lost_in_row: 0,
            ignored_in_row: 0,
        }
    }

    /// Whether it holds a slot.
    pub fn is_live(&self) -> bool {
        matches!(self.state, TaskState::Starting | TaskState::Running)
    }
}

impl Run {
    /// A run that was just submitted.
    ///
    /// # Errors
    /// When the frozen plan cannot be read: it was written by another version.
    pub fn submitted(at: Moment, mut submission: Submission) -> Result<Self, serde_json::Error> {
        let plan: Plan = serde_json::from_value(submission.plan.take())?;
        let tasks = plan.tasks.iter().map(|task| (task.id.clone(), Task::blocked())).collect();
        Ok(Self {
            id: submission.run.clone(),
            submission,
            plan,
            state: RunState::Initializing,
            why: None,
            outcome: None,
            root_cause: None,
            cancelling: false,
            submitted: at,
            started: None,
            ended: None,
            tasks,
            switches: BTreeMap::new(),
            gauge: Gauge::default(),
            kept: Kept::default(),
        })
    }

    /// The task of that id.
    pub fn task(&self, id: &TaskId) -> Option<&Task> {
        self.tasks.get(id)
    }

    /// All tasks with their definitions, in the order of the plan.
    pub fn tasks(&self) -> impl Iterator<Item = (&crate::plan::Task, &Task)> {
        self.plan.tasks.iter().filter_map(|plan| Some((plan, self.tasks.get(&plan.id)?)))
    }

    /// Moves the run or one of its tasks.
    ///
    /// # Errors
    /// When the state does not allow it; nothing is changed then.
    pub fn apply(&mut self, at: Moment, fact: &RunFact) -> Result<(), IllegalFact> {
        self.measure(at);
        match fact {
            RunFact::Submitted(_) => Err(self.illegal("run", self.state.word(), fact)),
            RunFact::Moved { state, why } => self.moved(at, *state, why.clone(), fact),
            RunFact::CancelRequested if !self.state.is_end() => {
                self.cancelling = true;
                Ok(())
            }
            RunFact::TaskStalled { .. }
            | RunFact::TaskReported { .. }
            | RunFact::TaskSpent { .. }
            | RunFact::Messaged(_)
            | RunFact::Asked(_)
            | RunFact::Answered { .. } => {
                self.kept.take(at, fact);
                Ok(())
            }
            RunFact::TaskMapped { .. }
            | RunFact::TaskSpawned { .. }
            | RunFact::Adjusted { .. }
            | RunFact::Reopened => Err(self.illegal("run", self.state.word(), fact)),
            RunFact::CancelRequested => Err(self.illegal("run", self.state.word(), fact)),
            RunFact::Ended { outcome, root_cause } => self.end(at, *outcome, root_cause, fact),
            RunFact::TaskQueued { .. } | RunFact::TaskStarting { .. }
                if self.state != RunState::Running =>
            {
                Err(self.illegal("run", self.state.word(), fact))
            }
            RunFact::TaskQueued { task }
            | RunFact::TaskStarting { task, .. }
            | RunFact::TaskRunning { task, .. }
            | RunFact::TaskSucceeded { task, .. }
            | RunFact::TaskRetrying { task, .. }
            | RunFact::TaskFailed { task, .. }
            | RunFact::TaskSkipped { task, .. }
            | RunFact::TaskCancelled { task, .. }
            | RunFact::TaskWaiting { task, .. }
            | RunFact::TaskRequeued { task, .. }
            | RunFact::TaskReset { task } => {
                let Some(found) = self.tasks.get_mut(task) else {
                    return Err(self.illegal(task.as_str(), "not in the plan", fact));
                };
                let before = found.agent_index;
                if found.apply(at, fact) {
                    if Self::is_switch(before, fact) {
                        self.count_switch(at, &task.clone());
                    }
                    return Ok(());
                }
                let state = found.state.word();
                Err(self.illegal(task.as_str(), state, fact))
            }
        }
    }

    fn moved(
        &mut self,
        at: Moment,
        to: RunState,
        why: Option<String>,
        fact: &RunFact,
    ) -> Result<(), IllegalFact> {
        use RunState as S;
        let legal = match self.state {
            S::Initializing => matches!(to, S::Planning),
            S::Planning => matches!(to, S::AwaitingApproval | S::Running),
            S::AwaitingApproval => matches!(to, S::Running),
            S::Running => matches!(to, S::Paused | S::Completing),
            S::Paused => matches!(to, S::Running | S::Completing),
            S::Completing | S::Completed | S::Failed | S::Cancelled => false,
        };
        if !legal {
            return Err(self.illegal("run", self.state.word(), fact));
        }
        if to == S::Running {
            self.started.get_or_insert(at);
        }
        self.state = to;
        self.why = why;
        Ok(())
    }

    fn end(
        &mut self,
        at: Moment,
        outcome: RunOutcome,
        cause: &Option<String>,
        fact: &RunFact,
    ) -> Result<(), IllegalFact> {
        let all_over = self.tasks.values().all(|task| task.state.is_end());
        let ending = self.state == RunState::Completing || self.cancelling;
        if self.state.is_end() || !all_over || !ending {
            return Err(self.illegal("run", self.state.word(), fact));
        }
        self.state = match outcome {
            RunOutcome::Completed | RunOutcome::Partial => RunState::Completed,
            RunOutcome::Failed => RunState::Failed,
            RunOutcome::Cancelled => RunState::Cancelled,
        };
        self.outcome = Some(outcome);
        self.root_cause.clone_from(cause);
        self.ended = Some(at);
        Ok(())
    }

    pub(super) fn illegal(&self, what: &str, state: &str, fact: &RunFact) -> IllegalFact {
        let text = format!("{fact:?}");
        let name: String = text.chars().take_while(|c| c.is_alphanumeric()).collect();
        IllegalFact {
            run: self.id.clone(),
            what: what.to_owned(),
            state: state.to_owned(),
            fact: name,
        }
    }
}
