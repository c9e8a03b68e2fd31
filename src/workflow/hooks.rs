//! Hooks: tasks that follow the success of another before anybody reads its output (features
//! N10–N12). Each is done once per result of its task. When one that blocks fails, its task has
//! failed too, with the outcome `hook`.

use super::{Action, Run, Workflow};
use crate::model::{Moment, Outcome, RunFact, RunId, TaskError, TaskState};
use crate::plan::{self, Origin};

/// How much of what a hook said is told, in characters.
const REASON_MAX: usize = 400;

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
    let message = said.as_ref().map_or_else(|| "it failed".to_owned(), reason);
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

/// What a hook found: the list that it printed, `- …` in each line, else its last line.
fn reason(error: &TaskError) -> String {
    let lines = || error.tail.lines().map(str::trim).filter(|line| !line.is_empty());
    let found: Vec<&str> = lines().filter_map(|line| line.strip_prefix("- ")).collect();
    let short = |text: &str| text.chars().take(REASON_MAX).collect::<String>();
    match (found.as_slice(), lines().next_back()) {
        ([], Some(last)) => format!("{}: {}", error.message, short(last)),
        ([], None) => error.message.clone(),
        (found, _) => short(&found.join("; ")),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Features N10, K6: what the gate found stands in the error of the task, not only in a log.
    #[test]
    fn the_reason_of_a_hook_is_told() {
        let said = |tail: &str| TaskError {
            tail: tail.to_owned(),
            ..TaskError::new(Outcome::ExitCode, "exited with code 1".to_owned())
        };
        let listed = said("- test t failed\n- artifact x is empty\nerror: wf: sanity-check: …\n");
        assert_eq!(reason(&listed), "test t failed; artifact x is empty");
        assert_eq!(reason(&said("one\nno licence\n\n")), "exited with code 1: no licence");
        assert_eq!(reason(&said("")), "exited with code 1");
    }
}
