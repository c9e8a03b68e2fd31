//! What the references of one task see: everything of its run, and the item that it works on.

use serde_json::Value;

use super::Run;
use super::values::Values;
use crate::model::TaskId;
use crate::plan::{self, Lookup, Origin};

/// What references see.
pub(super) struct Sight<'a> {
    run: Values<'a>,
    item: Option<(&'a Value, usize)>,
}

impl<'a> Sight<'a> {
    /// As a task sees it.
    pub(super) fn of(run: &'a Run, plan: &'a plan::Task) -> Self {
        let item = match &plan.origin {
            Some(Origin::Item { value, index, .. }) => Some((value, *index)),
            Some(Origin::Hook { .. } | Origin::Worker { .. } | Origin::Finish) | None => None,
        };
        Self { run: Values(run), item }
    }

    /// As it will be seen by a task for that item.
    pub(super) fn on(run: &'a Run, item: &'a Value, index: usize) -> Self {
        Self { run: Values(run), item: Some((item, index)) }
    }
}

impl Lookup for Sight<'_> {
    fn output(&self, task: &TaskId) -> Option<Value> {
        self.run.output(task)
    }

    fn status(&self, task: &TaskId) -> Option<String> {
        self.run.status(task)
    }

    fn error(&self, task: &TaskId) -> Option<String> {
        self.run.error(task)
    }

    fn input(&self, name: &str) -> Option<Value> {
        self.run.input(name)
    }

    fn phase_outputs(&self, phase: &str) -> Option<Vec<Value>> {
        self.run.phase_outputs(phase)
    }

    fn results(&self, task: &TaskId) -> Option<Vec<Value>> {
        self.run.results(task)
    }

    fn failed(&self, task: &TaskId) -> Option<Vec<Value>> {
        self.run.failed(task)
    }

    fn item(&self) -> Option<(Value, usize)> {
        self.item.map(|(value, index)| (value.clone(), index))
    }

    fn run(&self, field: &str) -> Option<String> {
        self.run.run(field)
    }

    fn event(&self) -> Option<Value> {
        self.run.event()
    }
}
