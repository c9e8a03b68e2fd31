//! What a census needs to know of a plan that no fact moves: which tasks are hooks of which, who
//! waits in one line, how far it is from a task to the end of the run.

use std::collections::BTreeMap;

use crate::model::TaskId;
use crate::plan::{self, Origin, Plan};

/// The positions of the tasks that are wanted.
pub(super) fn places(plan: &Plan, wanted: impl Fn(&plan::Task) -> bool) -> Vec<usize> {
    (0..plan.tasks.len()).filter(|at| wanted(&plan.tasks[*at])).collect()
}

/// The tasks that have hooks, each with their positions.
pub(super) fn hooks(plan: &Plan) -> BTreeMap<TaskId, Vec<usize>> {
    let mut hooks: BTreeMap<TaskId, Vec<usize>> = BTreeMap::new();
    for (at, task) in plan.tasks.iter().enumerate() {
        if let Some(Origin::Hook { of, .. }) = &task.origin {
            hooks.entry(of.clone()).or_default().push(at);
        }
    }
    hooks
}

/// The line in which a task waits for a slot: items wait in that of their task.
pub(super) fn line(at: &BTreeMap<TaskId, usize>, own: usize, task: &plan::Task) -> usize {
    match &task.origin {
        Some(Origin::Item { of, .. }) => at.get(of).copied().unwrap_or(own),
        None | Some(Origin::Hook { .. } | Origin::Worker { .. } | Origin::Finish) => own,
    }
}

/// The longest expected way from each task to the end of its run. An item is on the way of its
/// `for_each` task.
pub(super) fn remaining(plan: &Plan, at: &BTreeMap<TaskId, usize>) -> Vec<u64> {
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); plan.tasks.len()];
    for (reader, task) in plan.tasks.iter().enumerate() {
        if matches!(task.origin, Some(Origin::Item { .. })) {
            continue;
        }
        for need in task.needs.iter().filter_map(|need| at.get(&need.task)) {
            readers[*need].push(reader);
        }
    }
    let mut known = vec![None; plan.tasks.len()];
    (0..plan.tasks.len())
        .map(|own| walk(line(at, own, &plan.tasks[own]), plan, &readers, &mut known))
        .collect()
}

fn walk(at: usize, plan: &Plan, readers: &[Vec<usize>], known: &mut [Option<u64>]) -> u64 {
    if let Some(ms) = known[at] {
        return ms;
    }
    // Against a circle, which only a broken ledger can hold.
    known[at] = Some(0);
    let beyond = readers[at].iter().map(|reader| walk(*reader, plan, readers, known));
    let beyond = beyond.max().unwrap_or(0);
    let ms = plan.tasks[at].expected_ms.unwrap_or(1).saturating_add(beyond);
    known[at] = Some(ms);
    ms
}
