//! Times that a run waits for: the ends of questions and waits, and of the limits of tasks beside
//! those of one attempt; and when a task is late (feature K13). All of them are data, so they hold
//! over restarts; which of them stand still in a pause is said in `still.rs`.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::ask::TIME;
use crate::model::{
    Moment, Outcome, RunFact, RunId, RunState, StopCause, TaskError, TaskId, TaskState,
};
use crate::plan::{self, Expiry, Work};

use super::still::Heeds;
use super::{Action, Run, Task, Workflow};

/// A task is late when it has taken this many times as long as expected.
const LATE: u64 = 2;

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nobody answered this question.
    Question(String),
    /// No event came for this task.
    Event(TaskId),
    /// This task is late.
    Late(TaskId),
    /// It found no slot.
    Queue(TaskId),
    /// All its attempts together took too long.
    Total(TaskId),
}

impl Run {
    /// Everything with a time of its own that is still to come, or is due.
    fn dues(&self, told: &dyn Fn(&Task) -> bool) -> Vec<(Moment, Due)> {
        let mut found = Vec::new();
        if self.state.is_end() {
            return found;
        }
        found.extend(self.open_questions().filter_map(|question| {
            question.ask.on_expire.as_ref()?;
            Some((question.ask.expires?, Due::Question(question.ask.id.clone())))
        }));
        let states = [TaskState::Waiting, TaskState::Starting, TaskState::Running];
        let timed: BTreeSet<usize> = (states.into_iter())
            .flat_map(|state| self.census.in_state(state))
            .chain(self.census.limited_in_time())
            .collect();
        for (plan, task) in timed.into_iter().filter_map(|at| self.at(at)) {
            self.dues_of(plan, task, told, &mut found);
        }
        found
    }

    fn dues_of(
        &self,
        plan: &plan::Task,
        task: &Task,
        told: &dyn Fn(&Task) -> bool,
        found: &mut Vec<(Moment, Due)>,
    ) {
        let works = self.state == RunState::Running && !self.winding_down();
        let since =
            |ms: Option<u64>, from: Option<Moment>| Some(from? + Duration::from_millis(ms?));
        if task.state == TaskState::Waiting
            && let Work::Wait { expiry: Some(Expiry { after_ms, .. }), .. } = &plan.work
            && let Some(at) = since(Some(*after_ms), task.since)
        {
            found.push((at, Due::Event(plan.id.clone())));
        }
        let attempt = task.attempt.as_ref().filter(|_| task.is_live());
        let is_late = attempt.is_some_and(|attempt| self.kept.stalled.contains_key(attempt));
        let expected = plan.expected_ms.map(|ms| ms.saturating_mul(LATE));
        let counted = |ms: Option<u64>, from: Option<Moment>| {
            self.still.due(Heeds::All, from?, Duration::from_millis(ms?))
        };
        if let Some(at) = counted(expected, task.since)
            && task.state == TaskState::Running
            && !is_late
        {
            found.push((at, Due::Late(plan.id.clone())));
        }
        if let Some(at) = counted(plan.queue_timeout_ms, task.since)
            && task.state == TaskState::Queued
            && works
        {
            found.push((at, Due::Queue(plan.id.clone())));
        }
        let is_told = told(task);
        let waits_for_turn = matches!(plan.work, Work::Plan(_)) && task.child.is_none();
        let begun = task.started.is_some() && !task.state.is_end() && !is_told && !waits_for_turn;
        if let Some(at) = counted(plan.total_timeout_ms, task.started)
            && begun
            && works
        {
            found.push((at, Due::Total(plan.id.clone())));
        }
    }

    /// Whether all the time that a task has for all of its attempts is used up.
    pub(super) fn is_out_of_time(&self, now: Moment, plan: &plan::Task) -> bool {
        let started = self.task(&plan.id).and_then(|task| task.started);
        let total = plan.total_timeout_ms.map(Duration::from_millis);
        let due = started.zip(total).and_then(|(at, total)| self.still.due(Heeds::All, at, total));
        due.is_some_and(|due| due <= now)
    }
}

impl Workflow {
    /// The next moment at which something of a run is due.
    pub(super) fn next_due(&self, run: &Run) -> Option<Moment> {
        run.dues(&|task| self.is_told(task)).into_iter().map(|(at, _)| at).min()
    }

    /// Whether the attempt of a task, or the run that it waits for, was told to end.
    fn is_told(&self, task: &Task) -> bool {
        let attempt = task.attempt.as_ref().filter(|_| task.is_live());
        let child = task.child.as_ref().and_then(|child| self.runs.get(child));
        attempt.is_some_and(|attempt| self.told.contains(attempt))
            || child.is_some_and(|child| child.cancelling)
    }

    /// Does what is due.
    pub(super) fn look_at_clocks(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get(id) else { return };
        let dues = run.dues(&|task| self.is_told(task));
        for (_, due) in dues.into_iter().filter(|(at, _)| *at <= now) {
            match due {
                Due::Question(ask) => self.question_expired(now, id, &ask, out),
                Due::Event(task) => self.event_expired(now, id, &task, out),
                Due::Late(task) => self.is_late(now, id, task, out),
                Due::Queue(task) => {
                    let ms = self.limit_of(id, &task, |plan| plan.queue_timeout_ms);
                    let message = format!("no slot was free for it in {} s", ms / 1000);
                    self.out_of_time(now, id, task, message, out);
                }
                Due::Total(task) => {
                    let message = self.took_too_long(id, &task);
                    self.out_of_time(now, id, task, message, out);
                }
            }
        }
    }

    /// Why a task fails that used up all of its time.
    pub(super) fn took_too_long(&self, id: &RunId, task: &TaskId) -> String {
        let ms = self.limit_of(id, task, |plan| plan.total_timeout_ms);
        format!("all its attempts took more than {} s", ms / 1000)
    }

    fn limit_of(&self, id: &RunId, task: &TaskId, limit: fn(&plan::Task) -> Option<u64>) -> u64 {
        self.runs[id].plan.task(task).and_then(limit).unwrap_or(0)
    }

    fn question_expired(&mut self, now: Moment, id: &RunId, ask: &str, out: &mut Vec<Action>) {
        let question = self.runs[id].open_questions().find(|question| question.ask.id == ask);
        let answer = question.and_then(|question| question.ask.on_expire.clone());
        if let Some(answer) = answer {
            self.answer(now, id, ask, &answer, TIME, out);
        }
    }

    /// Told once per attempt: it lives, so it is slow, and is waited for (features K13, K14).
    fn is_late(&mut self, now: Moment, id: &RunId, task: TaskId, out: &mut Vec<Action>) {
        let run = &self.runs[id];
        let expected_ms = run.plan.task(&task).and_then(|plan| plan.expected_ms);
        let attempt = run.task(&task).and_then(|task| task.attempt.clone());
        if let (Some(expected_ms), Some(attempt)) = (expected_ms, attempt) {
            self.record(now, id, RunFact::TaskStalled { task, attempt, expected_ms }, out);
        }
    }

    /// A task that lives is stopped, and fails when it is gone, and so does one whose run goes on;
    /// any other fails at once.
    fn out_of_time(
        &mut self,
        now: Moment,
        id: &RunId,
        task: TaskId,
        message: String,
        out: &mut Vec<Action>,
    ) {
        let Some(found) = self.runs[id].task(&task) else { return };
        if found.state.is_end() {
            return;
        }
        if let Some(attempt) = found.attempt.clone().filter(|_| found.is_live()) {
            if self.told.insert(attempt.clone()) {
                out.push(Action::Stop { attempt, cause: StopCause::Timeout });
            }
            return;
        }
        if found.child.as_ref().is_some_and(|child| self.runs.contains_key(child)) {
            return self.end_child(now, id, &task, out);
        }
        let error = TaskError::new(Outcome::Timeout, message);
        self.record(now, id, RunFact::TaskFailed { task, attempt: None, error }, out);
    }

    /// Starts the last command of a run when everything else is over, whatever came of it; also
    /// after a cancel. A run that never began has nothing to clean up.
    pub(super) fn look_at_last(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get(id) else { return };
        let Some((last, task)) = run.census.finish().and_then(|at| run.at(at)) else { return };
        let over = run.census.open() == 1;
        if task.state != TaskState::Blocked || !over || run.state.is_end() {
            return;
        }
        let task = last.id.clone();
        if run.started.is_none() {
            let reason = crate::model::SkipReason::Cancelled;
            return self.record(now, id, RunFact::TaskCancelled { task, reason }, out);
        }
        if run.state == RunState::Paused {
            // With nothing to show for it nobody needs to decide (feature K6).
            let lost = run.asks_about_failures() && run.all_failed();
            if !run.cancelling && !lost {
                return;
            }
            let fact = RunFact::Moved { state: RunState::Running, why: None };
            self.record(now, id, fact, out);
        }
        if self.runs[id].state == RunState::Running {
            self.record(now, id, RunFact::TaskQueued { task }, out);
        }
    }
}
