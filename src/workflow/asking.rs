//! Questions to people: approvals of plans, phases and tasks, and what becomes of an answer. The
//! first answer counts, whoever gives it; a time limit may give one too.
//!
//! Questions of other rooms of this house (a tie, a budget, an action of an agent) are kept and
//! answered the same way; whoever asked looks at the answer when the run settles next.

use std::time::Duration;

use serde_json::json;

use crate::model::ask::{ACCEPT, APPROVE, PLAN, REJECT, TIME};
use crate::model::{
    Ask, AskKind, Moment, Outcome, Output, RunFact, RunId, RunState, SkipReason, TaskError, TaskId,
    TaskState,
};
use crate::plan::{self, Approval, Expiry, Template, Work, resolve_text};

use super::values::Values;
use super::{Action, Question, Run, Workflow};

/// How a phase stands with its question.
pub(super) enum Gate {
    /// It may start.
    Open,
    /// It is still to be asked.
    Unasked,
    /// A person has not answered yet.
    Waits,
    /// A person said no.
    Refused,
}

impl Run {
    /// The questions that wait for an answer, by id. Those of tasks that are over do not.
    pub fn open_questions(&self) -> impl Iterator<Item = &Question> {
        let waits = |question: &&Question| match &question.ask.task {
            Some(task) => self.task(task).is_some_and(|task| !task.state.is_end()),
            None => true,
        };
        let live = !self.state.is_end();
        self.kept.open().filter(move |_| live).filter(waits)
    }

    /// The question of that id, answered or not.
    pub fn question(&self, id: &str) -> Option<&Question> {
        self.kept.asks.get(id)
    }

    /// Whether nothing goes on before a person has answered a question of its own or of a run that
    /// a task of it waits for; `waits` says whether such a run does.
    fn waits_for_person(&self, waits: &dyn Fn(&RunId) -> bool) -> bool {
        let asked = self.open_questions().next().is_some() || self.children().iter().any(waits);
        let moves = |plan: &plan::Task, task: &super::Task| match task.state {
            TaskState::Queued
            | TaskState::Ready
            | TaskState::Starting
            | TaskState::Running
            | TaskState::RetryWait => true,
            // It may wait for an event or a run, which come without a person.
            TaskState::Waiting => match &task.child {
                Some(child) => !waits(child),
                None => self.has_turn(plan),
            },
            TaskState::Blocked
            | TaskState::Success
            | TaskState::Failed
            | TaskState::Timeout
            | TaskState::Skipped
            | TaskState::Cancelled => false,
        };
        let live = self.tasks.values().any(super::Task::is_live);
        match self.state {
            RunState::AwaitingApproval => true,
            RunState::Paused => asked && !live,
            RunState::Running => {
                asked
                    && !self.tasks().any(|(plan, task)| {
                        moves(plan, task)
                            || self.asks_for_kept(plan, task)
                            || (task.state == TaskState::Waiting
                                && matches!(plan.work, Work::Wait { .. }))
                    })
            }
            RunState::Initializing
            | RunState::Planning
            | RunState::Completing
            | RunState::Completed
            | RunState::Failed
            | RunState::Cancelled => false,
        }
    }

    /// How the phase of a task stands with its question (`approval = "each-phase"`). The yes to
    /// the plan is a yes to the phases that follow no other; a yes beforehand is one to all.
    pub(super) fn gate(&self, plan: &plan::Task) -> Gate {
        let asks = self.plan.approval == Approval::EachPhase && self.submission.needs_approval;
        let phase = self.plan.phase(&plan.phase).filter(|phase| !phase.depends_on.is_empty());
        let Some(phase) = phase.filter(|_| asks) else { return Gate::Open };
        match self.question(&of_phase(&phase.id)) {
            None => Gate::Unasked,
            Some(Question { answer: None, .. }) => Gate::Waits,
            Some(Question { answer: Some((answer, _)), .. }) if answer == APPROVE => Gate::Open,
            Some(Question { answer: Some(_), .. }) => Gate::Refused,
        }
    }
}

fn of_phase(phase: &str) -> String {
    format!("phase:{phase}")
}

impl Workflow {
    /// Whether nothing goes on in a run before a person has answered.
    pub fn waits_for_person(&self, id: &RunId) -> bool {
        self.run(id).is_some_and(|run| run.waits_for_person(&|child| self.waits_for_person(child)))
    }

    /// Asks whether the plan may start.
    pub(super) fn ask_about_plan(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let run = &self.runs[id];
        let question = format!("Run the plan `{}`? {}", run.plan.name, run.plan.goal);
        let expiry = run.plan.approval_expiry.clone();
        let ask =
            yes_or_no(PLAN.to_owned(), AskKind::Approve, None, question, now, expiry.as_ref());
        self.record(now, id, RunFact::Asked(ask), out);
    }

    /// Asks whether a phase may start.
    pub(super) fn ask_about_phase(
        &mut self,
        now: Moment,
        id: &RunId,
        phase: &str,
        out: &mut Vec<Action>,
    ) {
        let plan = &self.runs[id].plan;
        let tasks = plan.phase(phase).map_or(0, |phase| phase.tasks.len());
        let question = format!("Start the phase `{phase}` ({tasks} tasks)?");
        let expiry = plan.approval_expiry.as_ref();
        let ask = yes_or_no(of_phase(phase), AskKind::Phase, None, question, now, expiry);
        self.record(now, id, RunFact::Asked(ask), out);
    }

    /// Asks again about the phases that a person said no to and that are to be done after all.
    pub(super) fn ask_again(
        &mut self,
        now: Moment,
        id: &RunId,
        tasks: &[TaskId],
        out: &mut Vec<Action>,
    ) {
        let run = &self.runs[id];
        let mut phases: Vec<String> = tasks
            .iter()
            .filter_map(|task| run.plan.task(task))
            .filter(|plan| matches!(run.gate(plan), Gate::Refused))
            .map(|plan| plan.phase.clone())
            .collect();
        phases.dedup();
        for phase in phases {
            self.ask_about_phase(now, id, &phase, out);
        }
    }

    /// Has a task of kind `approve` wait for a person; no slot is taken.
    pub(super) fn ask_for_task(
        &mut self,
        now: Moment,
        id: &RunId,
        task: &TaskId,
        ask: &Template,
        expiry: Option<&Expiry>,
        out: &mut Vec<Action>,
    ) {
        match resolve_text(ask, &Values::of_run(&self.runs[id])) {
            Ok(question) => {
                let ask = yes_or_no(
                    task.to_string(),
                    AskKind::Approve,
                    Some(task.clone()),
                    question,
                    now,
                    expiry,
                );
                self.record(now, id, RunFact::TaskWaiting { task: task.clone(), run: None }, out);
                self.record(now, id, RunFact::Asked(ask), out);
            }
            Err(missing) => {
                let error = TaskError::unusable(missing.to_string());
                self.fail_before_start(now, id, task.clone(), error, out);
            }
        }
    }

    /// Takes an answer; only the first to an open question counts, and only a word that it knows.
    pub(super) fn answer(
        &mut self,
        now: Moment,
        id: &RunId,
        ask: &str,
        answer: &str,
        by: &str,
        out: &mut Vec<Action>,
    ) {
        let Some(run) = self.runs.get(id) else { return };
        let open = run.open_questions().find(|question| question.ask.id == ask);
        let Some(kind) = open
            .filter(|question| question.ask.answers.iter().any(|known| known == answer))
            .map(|question| (question.ask.kind, question.ask.task.clone()))
        else {
            return;
        };
        let (ask, by) = (ask.to_owned(), by.to_owned());
        self.record(now, id, RunFact::Answered { ask, answer: answer.to_owned(), by }, out);
        match kind {
            (AskKind::Approve, None) => self.plan_answered(now, id, answer == APPROVE, out),
            (AskKind::Approve, Some(task)) => self.task_answered(now, id, &task, out),
            (AskKind::Failures, _) => self.failures_answered(now, id, answer, out),
            (AskKind::Budget, _) if answer == ACCEPT => self.accept(now, id, out),
            // Whoever asked looks at the answer when the run settles.
            (AskKind::Phase | AskKind::Budget | AskKind::Tie | AskKind::Action, _) => {}
        }
    }

    fn plan_answered(&mut self, now: Moment, id: &RunId, yes: bool, out: &mut Vec<Action>) {
        if self.runs[id].state != RunState::AwaitingApproval {
            return;
        }
        if yes {
            let fact = RunFact::Moved { state: RunState::Running, why: None };
            self.record(now, id, fact, out);
        } else {
            self.cancel(now, id, out);
        }
    }

    /// A no is the failure of the task, `refused`: its readers are skipped.
    fn task_answered(&mut self, now: Moment, id: &RunId, task: &TaskId, out: &mut Vec<Action>) {
        let run = &self.runs[id];
        let waits = run.task(task).is_some_and(|task| task.state == TaskState::Waiting);
        let question = run.question(task.as_str()).and_then(|question| question.answer.as_ref());
        let Some((answer, by)) = question.filter(|_| waits) else { return };
        let fact = if answer == APPROVE {
            let output = Output::of(json!({ "answer": answer, "by": by }));
            RunFact::TaskSucceeded { task: task.clone(), attempt: None, output }
        } else {
            let message = match by.as_str() {
                TIME => "nobody approved it in time".to_owned(),
                by => format!("refused by {by}"),
            };
            let error = TaskError::new(Outcome::Refused, message);
            RunFact::TaskFailed { task: task.clone(), attempt: None, error }
        };
        self.record(now, id, fact, out);
    }

    /// What is not done yet is left out, and the run ends with what there is (feature K12).
    pub(super) fn accept(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        if self.runs[id].state == RunState::Paused {
            let fact = RunFact::Moved { state: RunState::Running, why: None };
            self.record(now, id, fact, out);
        }
        self.stop_all(now, id, SkipReason::Stopped, out);
    }
}

/// A question with two answers; nobody's answer in time is a no unless the plan says otherwise.
fn yes_or_no(
    id: String,
    kind: AskKind,
    task: Option<TaskId>,
    question: String,
    now: Moment,
    expiry: Option<&Expiry>,
) -> Ask {
    let answers = vec![APPROVE.to_owned(), REJECT.to_owned()];
    let expires = expiry.map(|expiry| now + Duration::from_millis(expiry.after_ms));
    let on_expire = expiry.map(|expiry| {
        let word = if expiry.then == APPROVE { APPROVE } else { REJECT };
        word.to_owned()
    });
    Ask { id, kind, task, question, answers, expires, on_expire }
}
