//! What becomes of a task when everything that it needs is there: it is skipped, queued, or waits
//! for somebody.

use crate::model::{Moment, RunFact, RunId, SkipReason, TaskError, TaskId};
use crate::plan::Work;

use super::asking::Gate;
use super::{Action, Workflow, conditions, fold, map};

impl Workflow {
    /// Begins a task whose dependencies are over.
    pub(super) fn begin(&mut self, now: Moment, id: &RunId, task: &TaskId, out: &mut Vec<Action>) {
        let run = &self.runs[id];
        let Some(plan) = run.definition(task) else { return };
        // A task that is not done needs nobody's yes.
        match conditions::is_done(run, plan) {
            Ok(true) => {}
            Ok(false) => {
                let (task, reason) = (task.clone(), SkipReason::WhenFalse);
                return self.record(now, id, RunFact::TaskSkipped { task, reason }, out);
            }
            Err(missing) => {
                let error = TaskError::unusable(format!("its condition cannot be read: {missing}"));
                return self.fail_before_start(now, id, task.clone(), error, out);
            }
        }
        match run.gate(plan) {
            Gate::Open => {}
            Gate::Waits => return,
            Gate::Unasked => {
                let phase = plan.phase.clone();
                return self.ask_about_phase(now, id, &phase, out);
            }
            Gate::Refused => {
                let (task, reason) = (task.clone(), SkipReason::Stopped);
                return self.record(now, id, RunFact::TaskSkipped { task, reason }, out);
            }
        }
        self.begin_work(now, id, task, out);
    }

    fn begin_work(&mut self, now: Moment, id: &RunId, task: &TaskId, out: &mut Vec<Action>) {
        let run = &self.runs[id];
        let Some(plan) = run.definition(task) else { return };
        if let Some(for_each) = &plan.for_each {
            let facts = map::open(run, plan, for_each);
            return facts.into_iter().for_each(|fact| self.record(now, id, fact, out));
        }
        match &plan.work {
            Work::Reduce(work) => {
                let facts = fold::begin(run, plan, work);
                facts.into_iter().for_each(|fact| self.record(now, id, fact, out));
            }
            Work::Agent { .. } | Work::Command { .. } => {
                if self.need_not_do(now, id, task, out) {
                    return;
                }
                self.record(now, id, RunFact::TaskQueued { task: task.clone() }, out);
            }
            Work::Approve { ask, expiry } => {
                let (ask, expiry) = (ask.clone(), expiry.clone());
                self.ask_for_task(now, id, task, &ask, expiry.as_ref(), out);
            }
            Work::Wait { .. } => self.wait_for_event(now, id, task, out),
            Work::Emit { .. } => self.emit_for_task(now, id, task, out),
            Work::Plan(_) => self.wait_for_plan(now, id, task, out),
        }
    }
}
