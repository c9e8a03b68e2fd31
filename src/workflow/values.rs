//! What the references of a task see: the outputs and states of the other tasks of its run.

use serde_json::Value;

use crate::model::TaskId;
use crate::plan::Lookup;

use super::{Run, gather, outcome};

/// What references see.
pub(super) struct Values<'a>(pub(super) &'a Run);

impl Lookup for Values<'_> {
    fn output(&self, task: &TaskId) -> Option<Value> {
        self.0.task(task)?.output.as_ref().map(|output| output.value.clone())
    }

    fn status(&self, task: &TaskId) -> Option<String> {
        self.0.task(task).map(|task| task.state.to_string())
    }

    fn error(&self, task: &TaskId) -> Option<String> {
        self.0.task(task)?.error.as_ref().map(|error| error.message.clone())
    }

    fn input(&self, name: &str) -> Option<Value> {
        self.0.plan.inputs.get(name).cloned()
    }

    fn phase_outputs(&self, phase: &str) -> Option<Vec<Value>> {
        self.0.plan.phase(phase)?;
        // Items are in the output of their task; hooks have none that counts.
        let tasks = self.0.tasks().filter(|(plan, _)| plan.phase == phase && plan.stands_alone());
        let outputs = tasks.filter_map(|(_, task)| task.output.as_ref());
        Some(outputs.map(|output| output.value.clone()).collect())
    }

    fn results(&self, task: &TaskId) -> Option<Vec<Value>> {
        gather::results(self.0, task)
    }

    fn failed(&self, task: &TaskId) -> Option<Vec<Value>> {
        gather::failed(self.0, task)
    }

    fn item(&self) -> Option<(Value, usize)> {
        None
    }

    fn run(&self, field: &str) -> Option<String> {
        match field {
            "id" => Some(self.0.id.to_string()),
            "name" => Some(self.0.plan.name.clone()),
            "goal" => Some(self.0.plan.goal.clone()),
            // While the last command runs, that is how the run is about to end.
            "status" => Some(outcome::told_status(self.0)),
            "summary" => Some(self.0.partial_results()),
            _ => None,
        }
    }

    fn event(&self) -> Option<Value> {
        None
    }
}
