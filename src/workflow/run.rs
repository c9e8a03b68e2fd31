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

use super::census::Census;
use super::gauge::Gauge;
use super::items::Mapped;
use super::kept::Kept;
use super::looks::look;
use super::still::Still;
use super::task::Task;
use crate::model::{
    AskKind, AttemptId, Moment, RunFact, RunId, RunOutcome, RunState, Submission, TaskId, ask,
    pause,
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
    /// Whether a person took what there is: what is not done is left out.
    pub closing: bool,
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
    /// Which of its tasks stand where.
    pub(super) census: Census,
    /// The `for_each` tasks whose lists were read.
    pub(super) maps: BTreeMap<TaskId, Mapped>,
    /// When the first task of a phase could start.
    pub(super) began: BTreeMap<String, Moment>,
    /// The attempts that a pause stopped, which are made again.
    pub(super) halted: BTreeSet<AttemptId>,
    /// When it was paused, for the clocks that stand still then.
    pub(super) still: Still,
    /// What earlier runs of its plan learned (feature N11); not a fact of the run.
    pub(super) lessons: Option<String>,
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

impl Run {
    /// A run that was just submitted.
    ///
    /// # Errors
    /// When the frozen plan cannot be read: it was written by another version.
    pub fn submitted(at: Moment, mut submission: Submission) -> Result<Self, serde_json::Error> {
        let plan: Plan = serde_json::from_value(submission.plan.take())?;
        let tasks = plan.tasks.iter().map(|task| (task.id.clone(), Task::blocked())).collect();
        let census = Census::of(&plan);
        Ok(Self {
            id: submission.run.clone(),
            submission,
            plan,
            state: RunState::Initializing,
            why: None,
            outcome: None,
            root_cause: None,
            cancelling: false,
            closing: false,
            submitted: at,
            started: None,
            ended: None,
            tasks,
            switches: BTreeMap::new(),
            gauge: Gauge::default(),
            kept: Kept::default(),
            census,
            maps: BTreeMap::new(),
            began: BTreeMap::new(),
            halted: BTreeSet::new(),
            still: Still::default(),
            lessons: None,
        })
    }

    /// The task of that id.
    pub fn task(&self, id: &TaskId) -> Option<&Task> {
        self.tasks.get(id)
    }

    /// All tasks with their definitions, in the order of the plan.
    pub fn tasks(&self) -> impl Iterator<Item = (&crate::plan::Task, &Task)> {
        let tasks = self.plan.tasks.iter().inspect(|_| look());
        tasks.filter_map(|plan| Some((plan, self.tasks.get(&plan.id)?)))
    }

    /// The definition of a task, found at once however many there are.
    pub fn definition(&self, id: &TaskId) -> Option<&crate::plan::Task> {
        self.census.position(id).and_then(|at| self.plan.tasks.get(at))
    }

    /// The task at that place of the plan.
    pub(super) fn at(&self, at: usize) -> Option<(&crate::plan::Task, &Task)> {
        let plan = self.plan.tasks.get(at)?;
        Some((plan, self.tasks.get(&plan.id)?))
    }

    /// Moves the run or one of its tasks.
    ///
    /// # Errors
    /// When the state does not allow it; nothing is changed then.
    pub fn apply(&mut self, at: Moment, fact: &RunFact) -> Result<(), IllegalFact> {
        let measured = self.gauge_at(at);
        self.take(at, fact)?;
        self.gauge = measured;
        self.keep_count(at, fact);
        Ok(())
    }

    /// Has the census follow what a fact moved.
    fn keep_count(&mut self, at: Moment, fact: &RunFact) {
        let adds = matches!(
            fact,
            RunFact::TaskMapped { .. } | RunFact::TaskSpawned { .. } | RunFact::Adjusted { .. }
        );
        if adds {
            self.census = Census::of(&self.plan);
            for (id, task) in &self.tasks {
                self.census.follow(id, task.seen());
            }
        } else if let Some((id, task)) = fact.task().and_then(|id| self.tasks.get_key_value(id)) {
            self.census.follow(id, task.seen());
            self.time_phase(at, fact);
        }
    }

    /// The clock of a phase starts with the first of its tasks that can start, and anew when one
    /// is to be done again.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the facts that start or end a wait")]
    fn time_phase(&mut self, at: Moment, fact: &RunFact) {
        let phase =
            || fact.task().and_then(|id| self.definition(id)).map(|plan| plan.phase.clone());
        match fact {
            RunFact::TaskQueued { .. } | RunFact::TaskWaiting { .. } => {
                if let Some(phase) = phase() {
                    self.began.entry(phase).or_insert(at);
                }
            }
            RunFact::TaskReset { .. } => {
                if let Some(phase) = phase() {
                    self.began.remove(&phase);
                }
            }
            _ => {}
        }
    }

    fn take(&mut self, at: Moment, fact: &RunFact) -> Result<(), IllegalFact> {
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
            | RunFact::Asked(_) => {
                self.kept.take(at, fact);
                Ok(())
            }
            RunFact::Answered { ask, answer, .. } => {
                self.kept.take(at, fact);
                self.closing |= self.closes(ask, answer);
                Ok(())
            }
            RunFact::Adjusted { text, plan } => self.adjusted(text, plan, fact),
            RunFact::Reopened => self.reopened(fact),
            RunFact::TaskSpawned { lead, definition } => self.take_worker(lead, definition, fact),
            RunFact::TaskMapped { task, items } if self.map(at, task, items) => Ok(()),
            RunFact::TaskMapped { .. } => Err(self.illegal("run", self.state.word(), fact)),
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
            | RunFact::TaskCache { task, .. }
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
            S::Paused => matches!(to, S::Running | S::Completing | S::Paused),
            S::Completing | S::Completed | S::Failed | S::Cancelled => false,
        };
        if !legal {
            return Err(self.illegal("run", self.state.word(), fact));
        }
        if to == S::Running {
            self.started.get_or_insert(at);
        }
        self.pauses(at, to, why.as_deref());
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

    /// Notes the time of pauses, and whom a pause stops.
    fn pauses(&mut self, at: Moment, to: RunState, why: Option<&str>) {
        if to == RunState::Paused {
            self.still.pause(at, why);
            if pause::stops(why) {
                let live = self.tasks.values().filter(|task| task.is_live());
                self.halted.extend(live.filter_map(|task| task.attempt.clone()));
            }
            return;
        }
        self.still.go_on(at);
    }

    /// Whether an answer says that what is not done is left out.
    fn closes(&self, ask: &str, answer: &str) -> bool {
        let kind = self.question(ask).map(|question| question.ask.kind);
        matches!(kind, Some(AskKind::Failures | AskKind::Budget)) && answer == ask::ACCEPT
    }

    /// A run that was over goes on, as one that nobody ended.
    fn reopened(&mut self, fact: &RunFact) -> Result<(), IllegalFact> {
        if !self.state.is_end() {
            return Err(self.illegal("run", self.state.word(), fact));
        }
        self.state = RunState::Running;
        (self.outcome, self.root_cause, self.ended, self.why) = (None, None, None, None);
        (self.cancelling, self.closing) = (false, false);
        Ok(())
    }

    /// Another plan counts. What it no longer has is forgotten, what is new has not begun.
    fn adjusted(
        &mut self,
        text: &str,
        plan: &serde_json::Value,
        fact: &RunFact,
    ) -> Result<(), IllegalFact> {
        let read = serde_json::from_value::<Plan>(plan.clone()).ok();
        let Some(plan) = read.filter(|_| !self.state.is_end()) else {
            return Err(self.illegal("run", self.state.word(), fact));
        };
        let stays: BTreeSet<&TaskId> = plan.tasks.iter().map(|task| &task.id).collect();
        self.tasks.retain(|id, _| stays.contains(id));
        for task in &plan.tasks {
            self.tasks.entry(task.id.clone()).or_insert_with(Task::blocked);
        }
        text.clone_into(&mut self.submission.text);
        self.plan = plan;
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
