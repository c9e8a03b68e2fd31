//! Pausing and going on (features E10, E11): nothing new is started; what runs goes on, or is
//! stopped and made again later without using a retry. A pause is data: it outlives daemons.
//!
//! A run also pauses by itself when every task that could go on waits for a usage limit and nothing
//! lives (feature K7, ruling Z20); it goes on by itself when the limit is over.

use crate::model::pause::{LIMIT, PARENT, PARENT_STOP, USER, USER_STOP, stops};
use crate::model::{Fact, Moment, Outcome, RunFact, RunId, RunState, StopCause, TaskId, TaskState};
use crate::plan;

use super::{Action, Run, Task, Workflow, failover};

impl Run {
    /// Whether a person may pause it. A run that is paused already can still be stopped, unless it
    /// asks what to do; one that waits for a usage limit can be kept from going on by itself.
    pub fn can_pause(&self, stop: bool) -> bool {
        match self.state {
            RunState::Running => true,
            RunState::Paused => {
                self.why.as_deref() == Some(LIMIT) || (stop && !self.asks_about_failures())
            }
            RunState::Initializing
            | RunState::Planning
            | RunState::AwaitingApproval
            | RunState::Completing
            | RunState::Completed
            | RunState::Failed
            | RunState::Cancelled => false,
        }
    }
}

impl Workflow {
    /// Starts nothing more, and stops what runs if that is wanted.
    pub(super) fn pause(
        &mut self,
        now: Moment,
        id: &RunId,
        stop: bool,
        by_parent: bool,
        out: &mut Vec<Action>,
    ) {
        let Some(run) = self.runs.get(id) else { return };
        let is_so = run.winding_down() || stops(run.why.as_deref());
        if is_so || !run.can_pause(stop) {
            return;
        }
        let why = match (by_parent, stop) {
            (false, false) => USER,
            (false, true) => USER_STOP,
            (true, false) => PARENT,
            (true, true) => PARENT_STOP,
        };
        let fact = RunFact::Moved { state: RunState::Paused, why: Some(why.to_owned()) };
        self.record(now, id, fact, out);
        let run = &self.runs[id];
        if stop {
            let live = run.tasks.values().filter(|task| task.is_live());
            out.extend(
                live.filter_map(|task| task.attempt.clone())
                    .map(|attempt| Action::Stop { attempt, cause: StopCause::Cancelled }),
            );
        }
        self.pause_children(now, id, stop, out);
    }

    /// Starts nothing more of the runs that tasks of a run wait for.
    pub(super) fn pause_children(
        &mut self,
        now: Moment,
        id: &RunId,
        stop: bool,
        out: &mut Vec<Action>,
    ) {
        for child in self.runs[id].children() {
            self.pause(now, &child, stop, true, out);
        }
    }

    /// Goes on where it stopped. Whoever says so of a run whose budget is used up allows it as much
    /// again.
    pub(super) fn resume(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get(id) else { return };
        if run.state != RunState::Paused || run.asks_about_failures() {
            return;
        }
        self.record(now, id, RunFact::Moved { state: RunState::Running, why: None }, out);
        self.lift_budgets(now, id, out);
    }

    /// Goes on with a run that was paused with its parent when that goes on, whatever made it.
    pub(super) fn leave_with_parent(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get(id).filter(|run| run.state == RunState::Paused) else {
            return;
        };
        let by_parent = matches!(run.why.as_deref(), Some(PARENT | PARENT_STOP));
        let parent = run.submission.parent.as_ref().and_then(|parent| self.runs.get(&parent.run));
        if by_parent && parent.is_some_and(|parent| parent.state == RunState::Running) {
            self.resume(now, id, out);
        }
    }

    /// Pauses a run in which nothing can go on before a usage limit is over.
    pub(super) fn hold_at_limit(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get(id) else { return };
        if run.state != RunState::Running || run.winding_down() || self.parked.is_empty() {
            return;
        }
        let Some(agents) = self.held_by(now, run) else { return };
        let until = agents.iter().filter_map(|agent| self.parked.get(agent)).min();
        let seconds = until.map_or(0, |until| until.since(now).as_secs());
        let text = format!(
            "{id} is paused: all that could go on waits for a usage limit of {} to pass, for {seconds} s more; `muxvisor resume {id}` tries at once",
            agents.join(", ")
        );
        out.push(Action::Record(Fact::Noted { about: id.to_string(), text }));
        let fact = RunFact::Moved { state: RunState::Paused, why: Some(LIMIT.to_owned()) };
        self.record(now, id, fact, out);
    }

    /// Goes on with a run when the limit that it waited for is over.
    pub(super) fn leave_limit(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get(id) else { return };
        let held = run.state == RunState::Paused && run.why.as_deref() == Some(LIMIT);
        if held && self.held_by(now, run).is_none() {
            self.resume(now, id, out);
        }
    }

    /// The agents that a paused run waits for, if it is a usage limit that it waits for.
    pub fn limits_of(&self, now: Moment, id: &RunId) -> Vec<String> {
        let run = self.runs.get(id).filter(|run| run.why.as_deref() == Some(LIMIT));
        run.and_then(|run| self.held_by(now, run)).unwrap_or_default()
    }

    /// The parked agents that all tasks of a run wait for; none when anything can go on without
    /// them, or nothing waits for any.
    fn held_by(&self, now: Moment, run: &Run) -> Option<Vec<String>> {
        let mut agents = Vec::new();
        for (plan, task) in run.tasks() {
            if run.asks_for_kept(plan, task) {
                return None;
            }
            match task.state {
                TaskState::Queued | TaskState::RetryWait => {
                    agents.push(self.held_back(now, run, plan, task)?);
                }
                TaskState::Ready
                | TaskState::Starting
                | TaskState::Running
                | TaskState::Waiting => return None,
                TaskState::Blocked
                | TaskState::Success
                | TaskState::Failed
                | TaskState::Timeout
                | TaskState::Skipped
                | TaskState::Cancelled => {}
            }
        }
        agents.sort();
        agents.dedup();
        (!agents.is_empty()).then_some(agents)
    }

    /// The parked agent that a task waits for.
    fn held_back(&self, now: Moment, run: &Run, plan: &plan::Task, task: &Task) -> Option<String> {
        let name = run.plan.agent_at(plan, task.agent_index)?;
        let held = if task.state == TaskState::Queued {
            let away = |name: &str| self.parked.contains_key(name);
            let able = plan.work.agents().iter().take(plan.work.alternatives());
            able.clone().all(|agent| away(&agent.name))
                && failover::free(now, run, plan, task, &away).is_none()
        } else {
            task.error.as_ref().is_some_and(|error| error.outcome == Outcome::RateLimited)
        };
        (held && self.parked.contains_key(name)).then(|| name.to_owned())
    }
}

impl Run {
    /// The runs that tasks of this one wait for.
    pub fn children(&self) -> Vec<RunId> {
        let waiting = self.census.seats.lives().filter_map(|at| self.at(at));
        waiting.filter_map(|(_, task)| task.child.clone()).collect()
    }

    /// The task that waits for this attempt and was stopped by a pause, so that it is made again.
    pub(super) fn was_halted(&self, task: &TaskId) -> bool {
        let attempt = self.task(task).and_then(|task| task.attempt.as_ref());
        attempt.is_some_and(|attempt| self.halted.contains(attempt))
    }
}
