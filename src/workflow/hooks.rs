//! Hooks: tasks that follow the success of another before anybody reads its output (features
//! N10–N12). Each is done once per result of its task. When one that blocks fails, its task has
//! failed too, with the outcome `hook`.

use super::{Action, Run, Workflow};
use crate::model::{Moment, Outcome, RunFact, RunId, TaskError, TaskState};
use crate::plan::{self, Origin};

impl Workflow {
    /// Lets tasks fail by their hooks, and has hooks done again whose task is.
    pub(super) fn follow_hooks(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get(id) else { return };
        let (mut facts, mut passed, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for (of, hooks) in run.census.hooks() {
            let Some(state) = run.task(of).map(|task| task.state) else { continue };
            let hooks = hooks.iter().filter_map(|at| run.at(*at));
            if state == TaskState::Success {
                let error = hooks.filter_map(|(plan, hook)| turned_down(plan, hook)).next();
                let task = of.clone();
                match error {
                    Some(error) => {
                        failed.push(task.clone());
                        facts.push(RunFact::TaskFailed { task, attempt: None, error });
                    }
                    None => passed.push(task),
                }
            } else if !state.is_end() {
                let again = hooks.filter(|(plan, hook)| is_stale(plan, hook));
                facts.extend(again.map(|(plan, _)| RunFact::TaskReset { task: plan.id.clone() }));
            }
        }
        for fact in facts {
            self.record(now, id, fact, out);
        }
        for task in failed {
            self.drop_turned_down(now, id, &task, out);
        }
        for task in passed {
            self.keep_result(now, id, &task, out);
        }
    }
}

/// Why a hook that blocks turned down what its task gave.
fn turned_down(plan: &plan::Task, hook: &super::Task) -> Option<TaskError> {
    let Some(Origin::Hook { skill, blocks: true, .. }) = &plan.origin else { return None };
    if !matches!(hook.state, TaskState::Failed | TaskState::Timeout) {
        return None;
    }
    let said = hook.error.clone();
    let message = said.as_ref().map_or("it failed", |error| error.message.as_str());
    let message = format!("the hook `{skill}` turned it down: {message}");
    Some(TaskError {
        outcome: Outcome::Hook,
        message,
        exit_code: None,
        signal: None,
        tail: said.as_ref().map(|error| error.tail.clone()).unwrap_or_default(),
        log: said.and_then(|error| error.log),
    })
}

/// Whether it is over and its task is done again. One that blocks looks at every result; what
/// another one has done once is not done twice.
fn is_stale(plan: &plan::Task, hook: &super::Task) -> bool {
    let Some(Origin::Hook { blocks, .. }) = &plan.origin else { return false };
    hook.state.is_end() && (*blocks || hook.state != TaskState::Success)
}

impl Run {
    /// The label of a hook's window, `hook_<skill>` (feature H7).
    pub(super) fn hook_label(plan: &plan::Task) -> Option<[&str; 2]> {
        match &plan.origin {
            Some(Origin::Hook { skill, .. }) => Some(["hook", skill]),
            Some(Origin::Item { .. } | Origin::Worker { .. } | Origin::Finish) | None => None,
        }
    }
}
