//! Events (feature C17): somebody emits them, tasks of kind `wait` take them, triggers start plans
//! by them. An event is kept until somebody takes it, so it may come before whoever waits for it;
//! all who wait when it comes take it together. One that triggers have seen and whose conditions
//! it does not fulfil is settled too, unless somebody who is there may want it later.

use serde_json::Value;

use crate::model::{
    Fact, Moment, Outcome, Output, Parent, RunFact, RunId, RunState, Signal, SkipReason,
    Submission, TaskError, TaskId, TaskState,
};
use crate::plan::{self, Trigger, Work, resolve_text};

use super::values::Values;
use super::{Action, Run, Workflow, conditions, sub_plan};

/// What came of an event that was offered to all runs.
#[derive(Debug, Default)]
struct Heard {
    /// Whether a task or a trigger took it.
    taken: bool,
    /// The runs with a trigger that looked at it and did not want it.
    unwanted: Vec<RunId>,
}

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

    /// Whether its triggers start plans just now.
    fn heeds_triggers(&self) -> bool {
        self.state == RunState::Running && !self.winding_down()
    }

    /// Whether a task that is not over is to wait for an event of that name, or of one that is not
    /// known yet.
    fn will_wait_for(&self, name: &str) -> bool {
        let waits = |plan: &plan::Task| match &plan.work {
            Work::Wait { event, .. } => {
                resolve_text(event, &Values::of(self, plan)).map_or(true, |event| event == name)
            }
            Work::Agent { .. }
            | Work::Command { .. }
            | Work::Reduce(_)
            | Work::Approve { .. }
            | Work::Emit { .. }
            | Work::Plan(_) => false,
        };
        !self.winding_down() && self.tasks().any(|(plan, task)| !task.state.is_end() && waits(plan))
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

    /// The number that the next event will have.
    pub const fn next_event(&self) -> u64 {
        self.last_signal + 1
    }

    /// Whether nobody has taken the event of that number yet.
    pub fn keeps_event(&self, number: u64) -> bool {
        self.signals.get(&number).is_some_and(|signal| !signal.taken)
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
            let heard = self.hand_over(now, &signal, out);
            if !heard.taken {
                if heard.unwanted.is_empty() || self.may_be_wanted(&signal.name) {
                    continue;
                }
                for run in &heard.unwanted {
                    let text = format!(
                        "the event `{}` was seen and started nothing: `when` of its trigger does not hold",
                        signal.name
                    );
                    out.push(Action::Record(Fact::Noted { about: run.to_string(), text }));
                }
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

    /// Whether somebody who is there may still want such an event: a task that does not wait for
    /// it yet, or a trigger of a run that starts nothing just now.
    fn may_be_wanted(&self, name: &str) -> bool {
        self.runs.values().filter(|run| !run.state.is_end() && !run.cancelling).any(|run| {
            let triggers = run.plan.on.iter().any(|trigger| trigger.event == name);
            run.will_wait_for(name) || triggers && !run.heeds_triggers() && !run.winding_down()
        })
    }

    fn hand_over(&mut self, now: Moment, signal: &Signal, out: &mut Vec<Action>) -> Heard {
        let ids: Vec<RunId> = self.runs.keys().cloned().collect();
        let mut heard = Heard::default();
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
                heard.taken = true;
            }
            self.trigger(&id, signal, &mut heard, out);
        }
        heard
    }

    /// Starts the plans that a live run starts by this event.
    fn trigger(&self, id: &RunId, signal: &Signal, heard: &mut Heard, out: &mut Vec<Action>) {
        let run = &self.runs[id];
        if !run.heeds_triggers() {
            return;
        }
        for trigger in run.plan.on.iter().filter(|trigger| trigger.event == signal.name) {
            match started_by(run, trigger, signal) {
                Ok(None) => heard.unwanted.push(id.clone()),
                Ok(Some(submission)) => {
                    out.push(Action::Submit(Box::new(submission)));
                    heard.taken = true;
                }
                Err(why) => {
                    let text = format!("the event `{}` started nothing: {why}", signal.name);
                    out.push(Action::Record(Fact::Noted { about: id.to_string(), text }));
                    heard.taken = true;
                }
            }
        }
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
