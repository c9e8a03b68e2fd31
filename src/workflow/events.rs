//! Events (feature C17): somebody emits them, tasks of kind `wait` take them, triggers start plans
//! by them. An event is kept until somebody takes it, so it may come before whoever waits for it;
//! all who wait when it comes take it together.

use serde_json::Value;

use crate::model::{
    Fact, Moment, Outcome, Output, Parent, RunFact, RunId, RunState, Signal, SkipReason,
    Submission, TaskError, TaskId, TaskState,
};
use crate::plan::{Trigger, Work, resolve_text};

use super::values::Values;
use super::{Action, Run, Workflow, conditions, sub_plan};

/// So many triggers may lead to a run, one after the other; more is a circle of plans that start
/// each other.
const DEPTH_MAX: u32 = 8;

impl Run {
    /// How many triggers led to it, one after the other.
    pub(super) fn depth(&self) -> u32 {
        self.submission.parent.as_ref().map_or(0, |parent| parent.depth)
    }

    /// The event that a task waits for, if it waits for one.
    pub fn awaited_event(&self, id: &TaskId) -> Option<String> {
        let waits = |task: &&super::Task| task.state == TaskState::Waiting;
        self.task(id).filter(waits)?;
        match &self.plan.task(id)?.work {
            Work::Wait { event, .. } => resolve_text(event, &Values::of_run(self)).ok(),
            Work::Agent { .. }
            | Work::Command { .. }
            | Work::Reduce(_)
            | Work::Approve { .. }
            | Work::Emit { .. }
            | Work::Plan(_) => None,
        }
    }
}

impl Workflow {
    /// Takes up an event that an earlier daemon kept.
    pub fn keep_event(&mut self, signal: Signal) {
        self.last_signal = self.last_signal.max(signal.number);
        self.signals.insert(signal.number, signal);
    }

    /// The events that nobody has taken yet, in the order in which they came.
    pub fn kept_events(&self) -> impl Iterator<Item = &Signal> {
        self.signals.values().filter(|signal| !signal.taken)
    }

    /// Whether an event with that key was emitted before.
    pub fn was_emitted(&self, name: &str, key: &str) -> bool {
        let same = |signal: &Signal| signal.name == name && signal.dedup.as_deref() == Some(key);
        self.signals.values().any(same)
    }

    /// An event comes. With a key that was used before it is the same event, and changes nothing.
    pub(super) fn emit(
        &mut self,
        name: String,
        data: Value,
        dedup: Option<String>,
        depth: u32,
        out: &mut Vec<Action>,
    ) {
        if dedup.as_deref().is_some_and(|key| self.was_emitted(&name, key)) {
            return;
        }
        self.last_signal += 1;
        let signal = Signal { number: self.last_signal, name, data, dedup, depth, taken: false };
        out.push(Action::Record(Fact::Emitted(signal.clone())));
        self.signals.insert(signal.number, signal);
    }

    /// Hands every kept event to whoever waits for it now.
    pub(super) fn deliver(&mut self, now: Moment, out: &mut Vec<Action>) {
        let kept: Vec<Signal> = self.kept_events().cloned().collect();
        for signal in kept {
            let taken = self.hand_over(now, &signal, out);
            if !taken {
                continue;
            }
            let number = signal.number;
            out.push(Action::Record(Fact::SignalTaken { number }));
            match &signal.dedup {
                // Its key is remembered, so that it does not come again.
                Some(_) => {
                    self.signals.insert(number, Signal { taken: true, ..signal });
                }
                None => {
                    self.signals.remove(&number);
                }
            }
        }
    }

    fn hand_over(&mut self, now: Moment, signal: &Signal, out: &mut Vec<Action>) -> bool {
        let ids: Vec<RunId> = self.runs.keys().cloned().collect();
        let mut taken = false;
        for id in ids {
            let run = &self.runs[&id];
            if run.state.is_end() || run.state == RunState::AwaitingApproval || run.cancelling {
                continue;
            }
            let name = Some(signal.name.clone());
            let waits = run.plan.tasks.iter().map(|plan| &plan.id);
            let waits: Vec<TaskId> =
                waits.filter(|task| run.awaited_event(task) == name).cloned().collect();
            for task in waits {
                let output = Output::of(signal.data.clone());
                let fact = RunFact::TaskSucceeded { task, attempt: None, output };
                self.record(now, &id, fact, out);
                taken = true;
            }
            taken |= self.trigger(&id, signal, out);
        }
        taken
    }

    /// Starts the plans that a live run starts by this event.
    fn trigger(&mut self, id: &RunId, signal: &Signal, out: &mut Vec<Action>) -> bool {
        let run = &self.runs[id];
        if run.state != RunState::Running || run.winding_down() {
            return false;
        }
        let mut taken = false;
        for trigger in run.plan.on.iter().filter(|trigger| trigger.event == signal.name) {
            match started_by(run, trigger, signal) {
                Ok(None) => {}
                Ok(Some(submission)) => {
                    out.push(Action::Submit(Box::new(submission)));
                    taken = true;
                }
                Err(why) => {
                    let text = format!("the event `{}` started nothing: {why}", signal.name);
                    out.push(Action::Record(Fact::Noted { about: id.to_string(), text }));
                    taken = true;
                }
            }
        }
        taken
    }

    /// Emits the event of a task of kind `emit`; its data are the task's output.
    pub(super) fn emit_for_task(
        &mut self,
        now: Moment,
        id: &RunId,
        task: &TaskId,
        out: &mut Vec<Action>,
    ) {
        let run = &self.runs[id];
        let Some(Work::Emit { event, data }) = run.plan.task(task).map(|plan| &plan.work) else {
            return;
        };
        let values = Values::of_run(run);
        let read = resolve_text(event, &values)
            .and_then(|name| Ok((name, crate::plan::resolve_input(data, &values)?)));
        match read {
            Ok((name, data)) => {
                let output = Output::of(data.clone());
                let fact = RunFact::TaskSucceeded { task: task.clone(), attempt: None, output };
                self.record(now, id, fact, out);
                let depth = self.runs[id].depth();
                self.emit(name, data, None, depth, out);
            }
            Err(missing) => {
                let error = TaskError::unusable(missing.to_string());
                self.fail_before_start(now, id, task.clone(), error, out);
            }
        }
    }

    /// Has a task wait for an event; the next delivery may bring it at once.
    pub(super) fn wait_for_event(
        &mut self,
        now: Moment,
        id: &RunId,
        task: &TaskId,
        out: &mut Vec<Action>,
    ) {
        let run = &self.runs[id];
        let Some(Work::Wait { event, .. }) = run.plan.task(task).map(|plan| &plan.work) else {
            return;
        };
        match resolve_text(event, &Values::of_run(run)) {
            Ok(_) => {
                let fact = RunFact::TaskWaiting { task: task.clone(), run: None };
                self.record(now, id, fact, out);
            }
            Err(missing) => {
                let error = TaskError::unusable(missing.to_string());
                self.fail_before_start(now, id, task.clone(), error, out);
            }
        }
    }

    /// No event came in time.
    pub(super) fn event_expired(
        &mut self,
        now: Moment,
        id: &RunId,
        task: &TaskId,
        out: &mut Vec<Action>,
    ) {
        let Some(event) = self.runs[id].awaited_event(task) else { return };
        let plan = self.runs[id].plan.task(task);
        let Some(Work::Wait { expiry: Some(expiry), .. }) = plan.map(|plan| &plan.work) else {
            return;
        };
        let fact = if expiry.then == "skip" {
            RunFact::TaskSkipped { task: task.clone(), reason: SkipReason::Expired }
        } else {
            let seconds = expiry.after_ms / 1000;
            let message = format!("the event `{event}` did not come in {seconds} s");
            let error = TaskError::new(Outcome::Timeout, message);
            RunFact::TaskFailed { task: task.clone(), attempt: None, error }
        };
        self.record(now, id, fact, out);
    }
}

/// The run that a trigger starts; none when its condition does not hold.
fn started_by(run: &Run, trigger: &Trigger, by: &Signal) -> Result<Option<Submission>, String> {
    let values = Values::by_event(run, &by.data);
    if let Some(when) = &trigger.when
        && !conditions::holds(when, &values).map_err(|missing| missing.to_string())?
    {
        return Ok(None);
    }
    let depth = run.depth().max(by.depth).saturating_add(1);
    if depth > DEPTH_MAX {
        return Err(format!(
            "{DEPTH_MAX} triggers led to it already, so plans start each other; `when` of a \
             trigger can end the circle"
        ));
    }
    let parent = Parent { run: run.id.clone(), task: None, depth };
    sub_plan::submission(run, &trigger.start, &values, parent).map(Some)
}
