//! How a run takes in the items of a `for_each` task: as tasks of their own, right behind it.
//! What has its result and is in the list again stays as it is, so that adding an entry has
//! nothing else done again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::items::{self, Mapped};
use super::run::Run;
use super::task::Task;
use crate::model::{Item, Moment, TaskId, TaskState};
use crate::plan::{self, Origin};

impl Run {
    /// Takes in the items; false when the task does not wait for any.
    pub(super) fn map(&mut self, at: Moment, of: &TaskId, items: &[Item]) -> bool {
        let Some(parent) = self.definition(of).cloned() else { return false };
        let waits = self.task(of).is_some_and(|task| task.state == TaskState::Waiting);
        if !waits || parent.for_each.is_none() {
            return false;
        }
        let tasks: Vec<plan::Task> = items
            .iter()
            .enumerate()
            .map(|(index, item)| items::definition(&parent, item, index))
            .collect();
        let ids: Vec<TaskId> = tasks.iter().map(|task| task.id.clone()).collect();
        let before = self.take_out_items(of, &ids);
        for (task, item) in tasks.iter().zip(items) {
            let same = before.get(&task.id) == Some(&item.value);
            let state = self.tasks.entry(task.id.clone()).or_insert_with(Task::blocked);
            if !same || state.state != TaskState::Success {
                state.begin_again();
            }
        }
        self.put_behind(of, tasks);
        self.maps.insert(of.clone(), Mapped { since: at, items: ids });
        true
    }

    /// Takes the items of before out of the plan, and forgets those that are not to stay. Gives
    /// what each was.
    fn take_out_items(&mut self, of: &TaskId, stay: &[TaskId]) -> BTreeMap<TaskId, Value> {
        let stay: BTreeSet<&TaskId> = stay.iter().collect();
        let mut before = BTreeMap::new();
        self.plan.tasks.retain_mut(|task| match &mut task.origin {
            Some(Origin::Item { of: parent, value, .. }) if parent == of => {
                before.insert(task.id.clone(), value.take());
                false
            }
            Some(
                Origin::Item { .. } | Origin::Hook { .. } | Origin::Worker { .. } | Origin::Finish,
            )
            | None => true,
        });
        for phase in &mut self.plan.phases {
            phase.tasks.retain(|task| !before.contains_key(task));
        }
        for gone in before.keys().filter(|id| !stay.contains(id)) {
            self.tasks.remove(gone);
        }
        before
    }

    fn put_behind(&mut self, of: &TaskId, tasks: Vec<plan::Task>) {
        let ids: Vec<TaskId> = tasks.iter().map(|task| task.id.clone()).collect();
        for phase in &mut self.plan.phases {
            if let Some(place) = phase.tasks.iter().position(|task| task == of) {
                phase.tasks.splice(place + 1..place + 1, ids.iter().cloned());
            }
        }
        if let Some(place) = self.plan.tasks.iter().position(|task| task.id == *of) {
            self.plan.tasks.splice(place + 1..place + 1, tasks);
        }
    }
}

impl Task {
    /// Does an item again that is over; one that has not begun, or is at work, goes on.
    fn begin_again(&mut self) {
        if self.state.is_end() {
            self.start_over();
        }
    }
}
