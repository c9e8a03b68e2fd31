//! Takes work up again, as [`super::what_again`] and [`super::edit`] found it: resets tasks, puts an
//! edited plan in place, and opens a run that was over.

use crate::model::ask::{ADJUST, RETRY};
use crate::model::pause::{FAILURES, LIMIT};
use crate::model::{AskKind, Moment, RunFact, RunId, RunState, TaskId};

use super::again::Edit;
use super::{Action, Workflow};

impl Workflow {
    /// Does tasks again; takes the run up again if it was over.
    pub(super) fn do_again(
        &mut self,
        now: Moment,
        id: &RunId,
        tasks: &[TaskId],
        out: &mut Vec<Action>,
    ) {
        if !self.runs.contains_key(id) {
            return;
        }
        self.take_up(now, id, RETRY, out);
        self.stopping.remove(id);
        self.ask_again(now, id, tasks, out);
        for task in tasks {
            let over = self.runs[id].task(task).is_some_and(|task| task.state.is_end());
            if over {
                self.record(now, id, RunFact::TaskReset { task: task.clone() }, out);
            }
        }
    }

    /// Goes on with an edited plan.
    pub(super) fn adjust(
        &mut self,
        now: Moment,
        id: &RunId,
        text: String,
        edit: &Edit,
        out: &mut Vec<Action>,
    ) {
        let Ok(plan) = serde_json::to_value(&edit.plan) else { return };
        if !self.runs.contains_key(id) {
            return;
        }
        self.take_up(now, id, ADJUST, out);
        self.record(now, id, RunFact::Adjusted { text, plan }, out);
        self.do_again(now, id, &edit.again, out);
    }

    /// Opens a run that is over, answers what was asked about its failures, and ends a pause that
    /// was for a failure or a limit; a person's own pause stays.
    fn take_up(&mut self, now: Moment, id: &RunId, answer: &str, out: &mut Vec<Action>) {
        let run = &self.runs[id];
        if run.state.is_end() {
            return self.record(now, id, RunFact::Reopened, out);
        }
        let asked = run.open_questions().find(|it| it.ask.kind == AskKind::Failures);
        let asked = asked.map(|question| question.ask.id.clone());
        let by_limit = run.why.as_deref() == Some(LIMIT);
        let by_failures = run.why.as_deref() == Some(FAILURES);
        if let Some(ask) = asked {
            let (answer, by) = (answer.to_owned(), "person".to_owned());
            self.record(now, id, RunFact::Answered { ask, answer, by }, out);
        }
        if self.runs[id].state == RunState::Paused && (by_limit || by_failures) {
            let fact = RunFact::Moved { state: RunState::Running, why: None };
            self.record(now, id, fact, out);
        }
    }
}
