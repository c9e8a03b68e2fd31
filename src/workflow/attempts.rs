//! What follows from how attempts go: they run, they end, and a task has a result or not.

use crate::model::{
    AttemptEnd, AttemptId, Fact, Moment, Outcome, Output, RunFact, RunId, SkipReason, TaskError,
    TaskId, TaskState, Then, signal_name,
};
use crate::plan::OutputAs;

use super::{Action, Run, Workflow, failover, retry};

impl Workflow {
    pub(super) fn attempt_running(
        &mut self,
        now: Moment,
        id: &RunId,
        attempt: &AttemptId,
        out: &mut Vec<Action>,
    ) {
        let starting = |task: &TaskId| {
            let task = self.runs.get(id).and_then(|run| run.task(task));
            task.is_some_and(|task| task.state == TaskState::Starting)
        };
        if let Some(task) = self.waiting_task(id, attempt).filter(starting) {
            let found = self.runs.get(id).and_then(|run| run.task(&task)?.agent.clone());
            if let Some(agent) = found {
                self.standings.runs(now, &agent);
            }
            let attempt = attempt.clone();
            self.record(now, id, RunFact::TaskRunning { task, attempt }, out);
        }
    }

    pub(super) fn attempt_ended(
        &mut self,
        now: Moment,
        id: &RunId,
        report: Report,
        out: &mut Vec<Action>,
    ) {
        let Some(task) = self.waiting_task(id, &report.attempt) else {
            let about = report.attempt.to_string();
            let text = "the end of an attempt that no task waits for was dropped".to_owned();
            return out.push(Action::Record(Fact::Noted { about, text }));
        };
        self.told.remove(&report.attempt);
        let random = self.mint.number();
        let run = self.runs.get(id).expect("its task was found");
        let outcome = report.end.outcome;
        if let Some(agent) = run.task(&task).and_then(|task| task.agent.as_deref()) {
            self.standings.ended(now, agent, outcome);
        }
        self.note_unknown_usage(id, &task, &report, out);
        let run = self.runs.get(id).expect("its task was found");
        let fact = if outcome == Outcome::Success {
            let output = Output::of(output_value(run, &task, &report));
            RunFact::TaskSucceeded { task, attempt: Some(report.attempt), output }
        } else if outcome == Outcome::Cancelled && run.was_halted(&task) && !run.winding_down() {
            RunFact::TaskRequeued { task, attempt: report.attempt }
        } else if outcome == Outcome::Cancelled {
            let reason = if run.cancelling { SkipReason::Cancelled } else { SkipReason::Stopped };
            RunFact::TaskCancelled { task, reason }
        } else {
            let late = run.definition(&task).is_some_and(|plan| self.is_overdue(id, plan));
            after_failure(now, run, task, report, random, &self.parked, late)
        };
        let task = fact.task().cloned();
        self.record(now, id, fact, out);
        if let Some(task) = task.filter(|_| outcome == Outcome::Success) {
            self.keep_result(now, id, &task, out);
        }
    }

    /// The live task that waits for this attempt; none for a stale report.
    pub(super) fn waiting_task(&self, id: &RunId, attempt: &AttemptId) -> Option<TaskId> {
        let run = self.runs.get(id)?;
        run.census.of_attempt(attempt).and_then(|at| run.at(at)).map(|(plan, _)| plan.id.clone())
    }
}

/// What a failed attempt means for its task.
fn after_failure(
    now: Moment,
    run: &Run,
    task: TaskId,
    report: Report,
    random: u64,
    parked: &failover::Parked,
    late: bool,
) -> RunFact {
    let plan = run.definition(&task).expect("facts fit the plan");
    let error = report.error();
    let next = if late || run.winding_down() || run.is_out_of_time(now, plan) {
        retry::Next::GiveUp
    } else {
        let (outcome, code, then) = (error.outcome, report.end.code, report.then);
        let failure = failover::Failure { outcome, code, then, random };
        failover::after(now, run, plan, parked, &failure)
    };
    let attempt = report.attempt;
    match next {
        retry::Next::Again { agent_index, wait, reason } => {
            let not_before = now + wait;
            RunFact::TaskRetrying { task, attempt, error, not_before, agent_index, reason }
        }
        retry::Next::GiveUp => RunFact::TaskFailed { task, attempt: Some(attempt), error },
    }
}

/// What is reported about an attempt that is over.
pub(super) struct Report {
    pub(super) attempt: AttemptId,
    pub(super) end: AttemptEnd,
    pub(super) then: Option<Then>,
    pub(super) value: Option<serde_json::Value>,
    pub(super) tail: String,
    pub(super) log: std::path::PathBuf,
}

impl Report {
    fn error(&self) -> TaskError {
        TaskError {
            outcome: self.end.outcome,
            message: self.end.message.clone(),
            exit_code: self.end.code,
            signal: self.end.signal.map(signal_name),
            tail: self.tail.clone(),
            log: Some(self.log.clone()),
        }
    }
}

/// The output of a task: its result, or how a command ended.
fn output_value(run: &Run, task: &TaskId, report: &Report) -> serde_json::Value {
    let plan = run.definition(task).expect("facts fit the plan");
    match plan.output_as {
        OutputAs::Report => serde_json::json!({
            "exit_code": report.end.code,
            "tail": report.tail,
            "log": report.log,
        }),
        OutputAs::Text | OutputAs::Json => report.value.clone().unwrap_or_default(),
    }
}
