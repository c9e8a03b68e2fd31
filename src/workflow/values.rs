//! What references see: everything of a run, and the item or event of whoever asks.

use serde_json::Value;

use crate::model::TaskId;
use crate::plan::{self, Lookup, Origin};

use super::{Run, gather, outcome};

/// What references see.
pub(super) struct Values<'a> {
    run: &'a Run,
    item: Option<(&'a Value, usize)>,
    event: Option<&'a Value>,
}

impl<'a> Values<'a> {
    /// Of the run alone.
    pub(super) fn of_run(run: &'a Run) -> Self {
        Self { run, item: None, event: None }
    }

    /// As a task sees it.
    pub(super) fn of(run: &'a Run, plan: &'a plan::Task) -> Self {
        let item = match &plan.origin {
            Some(Origin::Item { value, index, .. }) => Some((value, *index)),
            Some(Origin::Hook { .. } | Origin::Worker { .. } | Origin::Finish) | None => None,
        };
        Self { item, ..Self::of_run(run) }
    }

    /// As it will be seen by a task for that item.
    pub(super) fn on(run: &'a Run, item: &'a Value, index: usize) -> Self {
        Self { item: Some((item, index)), ..Self::of_run(run) }
    }

    /// As a trigger of the run sees it.
    pub(super) fn by_event(run: &'a Run, data: &'a Value) -> Self {
        Self { event: Some(data), ..Self::of_run(run) }
    }
}

impl Lookup for Values<'_> {
    fn output(&self, task: &TaskId) -> Option<Value> {
        self.run.task(task)?.output.as_ref().map(|output| output.value.clone())
    }

    fn status(&self, task: &TaskId) -> Option<String> {
        self.run.task(task).map(|task| task.state.to_string())
    }

    fn error(&self, task: &TaskId) -> Option<String> {
        self.run.task(task)?.error.as_ref().map(|error| error.message.clone())
    }

    fn input(&self, name: &str) -> Option<Value> {
        self.run.plan.inputs.get(name).cloned()
    }

    fn phase_outputs(&self, phase: &str) -> Option<Vec<Value>> {
        self.run.plan.phase(phase)?;
        // Items are in the output of their task; hooks have none that counts.
        let tasks = self.run.tasks().filter(|(plan, _)| plan.phase == phase && plan.stands_alone());
        let outputs = tasks.filter_map(|(_, task)| task.output.as_ref());
        Some(outputs.map(|output| output.value.clone()).collect())
    }

    fn results(&self, task: &TaskId) -> Option<Vec<Value>> {
        gather::results(self.run, task)
    }

    fn failed(&self, task: &TaskId) -> Option<Vec<Value>> {
        gather::failed(self.run, task)
    }

    fn item(&self) -> Option<(Value, usize)> {
        self.item.map(|(value, index)| (value.clone(), index))
    }

    fn run(&self, field: &str) -> Option<String> {
        match field {
            "id" => Some(self.run.id.to_string()),
            "name" => Some(self.run.plan.name.clone()),
            "goal" => Some(self.run.plan.goal.clone()),
            // While the last command runs, that is how the run is about to end.
            "status" => Some(outcome::told_status(self.run)),
            "summary" => Some(self.run.partial_results()),
            _ => None,
        }
    }

    fn event(&self) -> Option<Value> {
        self.event.cloned()
    }
}
