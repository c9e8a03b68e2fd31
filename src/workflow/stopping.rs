//! Ends runs before their time, as far as there is something to end, and says which of them start
//! nothing more.

use crate::model::{AttemptId, Moment, RunFact, RunId, RunState, SkipReason, StopCause, TaskId};

use super::{Action, Run, Task, Workflow, gather};

impl Workflow {
    pub(super) fn cancel(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get(id) else { return };
        if run.state.is_end() {
            return;
        }
        if run.cancelling {
            return self.stop_last(id, out);
        }
        self.record(now, id, RunFact::CancelRequested, out);
        self.stop_all(now, id, SkipReason::Cancelled, out);
    }

    /// Ends all runs. One that ends with the run it is part of has been asked once by that.
    pub(super) fn cancel_all(&mut self, now: Moment, out: &mut Vec<Action>) {
        let before: Vec<(RunId, bool)> =
            self.runs.iter().map(|(id, run)| (id.clone(), run.cancelling)).collect();
        for (id, asked) in before {
            if asked || self.runs.get(&id).is_some_and(|run| !run.cancelling) {
                self.cancel(now, &id, out);
            }
        }
    }

    /// Ends what has not ended: what waits at once, what runs by a stop. A task that runs is
    /// written off when its attempt is proven gone.
    pub(super) fn stop_all(
        &mut self,
        now: Moment,
        id: &RunId,
        reason: SkipReason,
        out: &mut Vec<Action>,
    ) {
        let children = self.live_children(id);
        let Some(run) = self.runs.get(id) else { return };
        // A task whose run goes on is over when that is; one that waits for its items is not
        // stopped by the plan: it gathers what there is of them.
        let ends = |task: &Task| task.child.as_ref().is_some_and(|child| children.contains(child));
        let stays = |id: &TaskId| reason == SkipReason::Stopped && run.gathers(id);
        let open: Vec<(TaskId, Option<AttemptId>)> = run
            .tasks()
            .filter(|(plan, task)| !task.state.is_end() && !plan.is_last() && !ends(task))
            .filter(|(plan, _)| !stays(&plan.id))
            .map(|(plan, task)| (plan.id.clone(), task.attempt.clone().filter(|_| task.is_live())))
            .collect();
        for child in &children {
            self.cancel(now, child, out);
        }
        for (task, live) in open {
            match live {
                Some(attempt) => out.push(Action::Stop { attempt, cause: StopCause::Cancelled }),
                None if reason == SkipReason::Stopped => {
                    self.record(now, id, RunFact::TaskSkipped { task, reason }, out);
                }
                None => self.record(now, id, RunFact::TaskCancelled { task, reason }, out),
            }
        }
    }

    /// A second wish for the end also ends the last command.
    fn stop_last(&mut self, id: &RunId, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get(id) else { return };
        let last = run.tasks().filter(|(plan, task)| plan.is_last() && task.is_live());
        out.extend(
            last.filter_map(|(_, task)| task.attempt.clone())
                .map(|attempt| Action::Stop { attempt, cause: StopCause::Cancelled }),
        );
    }
}

impl Run {
    /// Whether tasks may be queued and started.
    pub(super) fn takes_work(&self) -> bool {
        self.state == RunState::Running && !self.winding_down()
    }

    /// Whether nothing new is to be started, because the end was asked for or the plan said abort.
    pub(super) fn winding_down(&self) -> bool {
        self.cancelling || self.closing || self.aborted()
    }

    /// Whether a task may be queued and started; the last command may when everything else is over.
    pub(super) fn may_start(&self, plan: &crate::plan::Task) -> bool {
        self.takes_work() || (self.state == RunState::Running && plan.is_last())
    }

    /// Whether a task failed in a phase that says abort, and that cannot do without it.
    pub(super) fn aborted(&self) -> bool {
        self.census.ending().any(|at| {
            let phase = self.plan.tasks.get(at).and_then(|task| self.plan.phase(&task.phase));
            phase.is_none_or(|phase| !gather::may_suffice(self, phase))
        })
    }
}
