//! Plans inside of plans (feature A22): a task of kind `plan` asks for a run of its own, waits for
//! its end without a slot, and has its result.
//!
//! Asking, the new run, and that the task waits for it are written in one commit, so that a crash
//! leaves either all of it or nothing. The output is `{ status, outputs, summary }`: `outputs` has
//! the output of every task by its id, the other two are those of the child's result document.
//!
//! As many of these runs live at once as attempts may (`max_parallel` of the run and of the phase).
//! They are counted afresh for each decision, those that were asked for and are not there yet among
//! them; a task whose turn is still to come waits without a run, and the next daemon finds it so.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::model::{
    Moment, Outcome, Output, Parent, RunFact, RunId, RunOutcome, RunState, SkipReason, Submission,
    TaskError, TaskId, TaskState,
};
use crate::plan::{self, Lookup, SubPlan, Work, resolve_input};

use super::values::Values;
use super::{Action, Run, Workflow, results, settle};

/// The run that a sub-plan is to be, before it has an id.
pub(super) fn submission(
    run: &Run,
    plan: &SubPlan,
    values: &dyn Lookup,
    parent: Parent,
) -> Result<Submission, String> {
    let mut frozen = plan.plan.clone();
    for input in &plan.inputs {
        let value = resolve_input(&input.value, values).map_err(|missing| missing.to_string())?;
        frozen["inputs"][&input.name] = value;
    }
    let read = serde_json::from_value::<crate::plan::Plan>(frozen.clone());
    read.map_err(|error| format!("its plan cannot be read: {error}"))?;
    let name = frozen["name"].as_str().unwrap_or("plan").to_owned();
    Ok(Submission {
        run: RunId::new(""),
        name,
        text: plan.text.clone(),
        path: plan.path.clone().into(),
        plan: frozen,
        cwd: run.submission.cwd.clone(),
        env: run.submission.env.clone(),
        // Whoever approved the plan has seen this part of it.
        needs_approval: false,
        demo: run.submission.demo,
        parent: Some(parent),
    })
}

/// What a run of a sub-plan is to the task that waits for it.
fn output(child: &Run, now: Moment) -> Value {
    let document = results::document(child, None, now);
    let document = &document["execution_results"];
    let outputs = child.tasks().filter_map(|(plan, task)| {
        Some((plan.id.to_string(), task.output.as_ref()?.value.clone()))
    });
    json!({
        "status": document["status"],
        "outputs": outputs.collect::<Map<_, _>>(),
        "summary": document["summary"],
    })
}

impl Run {
    /// Whose turn it is to have a run, beside those that were asked for; and who will have none,
    /// because what it needs is done again and fails this time. One whose needs are done again
    /// lets others go first.
    fn next_turns(&self, asked: &BTreeSet<usize>) -> Vec<(TaskId, bool)> {
        let seats = &self.census.seats;
        let most = self.plan.max_parallel as usize;
        let mut room = most.saturating_sub(seats.taken() + asked.len());
        let mut found = Vec::new();
        for phase in &self.plan.phases {
            let taken = seats.taken_in(&phase.id);
            let asked_in = asked.iter().filter(|at| seats.phase(**at) == Some(&phase.id)).count();
            let most = phase.max_parallel.map_or(most, |most| most as usize);
            let free = room.min(most.saturating_sub(taken + asked_in));
            let waits = seats.waits_in(&phase.id).filter(|at| !asked.contains(at));
            let waits = waits.filter_map(|at| self.at(at)).filter_map(|(plan, _)| {
                let is_lost = settle::is_lost(self, plan);
                (is_lost || settle::is_ready(self, plan)).then(|| (plan.id.clone(), is_lost))
            });
            let before = found.len();
            found.extend(waits.take(free));
            room -= found.len() - before;
        }
        found
    }

    /// Whether a task that is a plan waits only for a run that may begin now.
    pub(super) fn has_turn(&self, plan: &plan::Task) -> bool {
        plan.sub_plan().is_some()
            && self.inner_runs(&plan.phase).is_none()
            && settle::is_ready(self, plan)
    }

    /// How many runs of tasks of this one live, and how many may at once, where no more may begin
    /// in that phase.
    pub fn inner_runs(&self, phase: &str) -> Option<(usize, u32)> {
        let seats = &self.census.seats;
        let full = |live: usize, most: u32| (live >= most as usize).then_some((live, most));
        let of_phase = self.plan.phase(phase).and_then(|phase| phase.max_parallel);
        full(seats.taken(), self.plan.max_parallel)
            .or_else(|| full(seats.taken_in(phase), of_phase?))
    }
}

impl Workflow {
    /// Has a task of kind `plan` wait; the run for it is asked for when the run settles.
    pub(super) fn wait_for_plan(
        &mut self,
        now: Moment,
        id: &RunId,
        task: &TaskId,
        out: &mut Vec<Action>,
    ) {
        self.record(now, id, RunFact::TaskWaiting { task: task.clone(), run: None }, out);
    }

    /// Takes the results of the runs that are over and that tasks wait for.
    pub(super) fn look_at_children(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get(id) else { return };
        let waiting = run.census.seats.lives().filter_map(|at| run.at(at));
        let waits: Vec<(TaskId, RunId)> = waiting
            .filter_map(|(plan, task)| Some((plan.id.clone(), task.child.clone()?)))
            .collect();
        for (task, child) in waits {
            self.child_ended(now, id, task, &child, out);
        }
    }

    /// Asks for the runs that tasks wait for, as far as there is room.
    pub(super) fn ask_for_children(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get(id).filter(|run| run.census.seats.any_waits()) else {
            return;
        };
        let asked = self.asked_for.iter().filter(|(of, _)| of == id);
        let asked = asked.filter_map(|(_, task)| run.census.position(task)).collect();
        for (task, is_lost) in run.next_turns(&asked) {
            if is_lost {
                let reason = SkipReason::Upstream;
                self.record(now, id, RunFact::TaskSkipped { task, reason }, out);
            } else {
                self.ask_for_child(now, id, &task, out);
            }
        }
    }

    fn ask_for_child(&mut self, now: Moment, id: &RunId, task: &TaskId, out: &mut Vec<Action>) {
        if !self.asked_for.insert((id.clone(), task.clone())) {
            return;
        }
        let run = &self.runs[id];
        let Some(definition) = run.plan.task(task) else { return };
        let Work::Plan(plan) = &definition.work else { return };
        let parent = Parent { run: id.clone(), task: Some(task.clone()), depth: run.depth() };
        match submission(run, plan, &Values::of(run, definition), parent) {
            Ok(submission) => out.push(Action::Submit(Box::new(submission))),
            Err(why) => {
                self.asked_for.remove(&(id.clone(), task.clone()));
                self.fail_before_start(now, id, task.clone(), TaskError::unusable(why), out);
            }
        }
    }

    /// Ties a new run to the task that asked for it. One that nobody waits for any more ends.
    pub(super) fn tie_to_parent(
        &mut self,
        now: Moment,
        child: &RunId,
        parent: &Parent,
        out: &mut Vec<Action>,
    ) {
        let Some(task) = parent.task.clone() else { return };
        self.asked_for.remove(&(parent.run.clone(), task.clone()));
        let waits = self.runs.get(&parent.run).and_then(|run| run.task(&task));
        let waits = waits.is_some_and(|it| it.state == TaskState::Waiting && it.child.is_none());
        if !waits {
            return self.cancel(now, child, out);
        }
        let fact = RunFact::TaskWaiting { task, run: Some(child.clone()) };
        self.record(now, &parent.run, fact, out);
    }

    /// The run that a task asked for could not be made.
    pub(super) fn child_refused(
        &mut self,
        now: Moment,
        parent: &Parent,
        why: String,
        out: &mut Vec<Action>,
    ) {
        let Some(task) = parent.task.clone() else { return };
        self.asked_for.remove(&(parent.run.clone(), task.clone()));
        let waits = self.runs.get(&parent.run).and_then(|run| run.task(&task));
        if waits.is_some_and(|task| task.state == TaskState::Waiting) {
            self.fail_before_start(now, &parent.run, task, TaskError::unusable(why), out);
        }
    }

    fn child_ended(
        &mut self,
        now: Moment,
        id: &RunId,
        task: TaskId,
        child: &RunId,
        out: &mut Vec<Action>,
    ) {
        let failed = |outcome, message: String| {
            let error = TaskError::new(outcome, message);
            RunFact::TaskFailed { task: task.clone(), attempt: None, error }
        };
        let fact = match self.runs.get(child) {
            // Runs end in the commit in which their parent hears of it, so this one was lost.
            None => failed(Outcome::Lost, format!("its run {child} cannot be found")),
            Some(child) if !child.state.is_end() => return,
            Some(child) => match child.outcome {
                Some(RunOutcome::Completed | RunOutcome::Partial) => {
                    let output = Output::of(output(child, now));
                    RunFact::TaskSucceeded { task: task.clone(), attempt: None, output }
                }
                Some(RunOutcome::Cancelled) if self.runs[id].winding_down() => {
                    let cancelled = self.runs[id].cancelling;
                    let reason =
                        if cancelled { SkipReason::Cancelled } else { SkipReason::Stopped };
                    RunFact::TaskCancelled { task: task.clone(), reason }
                }
                Some(RunOutcome::Cancelled) if self.has_no_time(id, &task) => {
                    RunFact::TaskCancelled { task, reason: SkipReason::Stopped }
                }
                Some(RunOutcome::Cancelled) if self.has_used_its_time(now, id, &task) => {
                    failed(Outcome::Timeout, self.took_too_long(id, &task))
                }
                Some(RunOutcome::Cancelled) => {
                    failed(Outcome::Cancelled, format!("its run {} was cancelled", child.id))
                }
                Some(RunOutcome::Failed) | None => {
                    let cause = child.root_cause.clone().unwrap_or_else(|| "it failed".to_owned());
                    failed(Outcome::ExitCode, format!("its run {} failed: {cause}", child.id))
                }
            },
        };
        self.record(now, id, fact, out);
    }

    /// Ends the run that a task waits for, once.
    pub(super) fn end_child(
        &mut self,
        now: Moment,
        id: &RunId,
        task: &TaskId,
        out: &mut Vec<Action>,
    ) {
        let child = self.runs.get(id).and_then(|run| run.task(task)?.child.clone());
        let live = |child: &RunId| self.runs.get(child).is_some_and(|run| !run.cancelling);
        if let Some(child) = child.filter(live) {
            self.cancel(now, &child, out);
        }
    }

    /// Whether the time of a task's circle is up, so that its run was ended for that.
    fn has_no_time(&self, id: &RunId, task: &TaskId) -> bool {
        let plan = self.runs.get(id).and_then(|run| run.definition(task));
        plan.is_some_and(|plan| self.is_overdue(id, plan))
    }

    fn has_used_its_time(&self, now: Moment, id: &RunId, task: &TaskId) -> bool {
        let run = self.runs.get(id);
        run.is_some_and(|run| run.definition(task).is_some_and(|it| run.is_out_of_time(now, it)))
    }

    /// The runs that tasks of a run wait for and that have not ended.
    pub(super) fn live_children(&self, id: &RunId) -> Vec<RunId> {
        let Some(run) = self.runs.get(id) else { return Vec::new() };
        let lives = |child: &RunId| self.runs.get(child).is_some_and(|child| !child.state.is_end());
        run.children().into_iter().filter(lives).collect()
    }

    /// A run whose parent was paused before it began is paused too.
    pub(super) fn follow_parent(
        &mut self,
        now: Moment,
        child: &RunId,
        parent: &Parent,
        out: &mut Vec<Action>,
    ) {
        let paused = self.runs.get(&parent.run).is_some_and(|run| run.state == RunState::Paused);
        if paused && parent.task.is_some() {
            self.pause(now, child, false, true, out);
        }
    }
}
