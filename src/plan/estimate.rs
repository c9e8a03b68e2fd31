//! How long a plan should take: its tasks laid out on `max_parallel` lanes, in the order in which
//! they become free to start. Time that a task is expected to take counts; where nobody said, its
//! time limit does, and the estimate is an upper bound.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::model::minutes;

use super::{Partition, Plan, Task, Work};

/// An estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Estimate {
    /// About that many milliseconds.
    About(u64),
    /// No more than that, because time limits had to be used.
    AtMost(u64),
    /// Nobody said, and there is no limit.
    Unknown,
}

impl Estimate {
    /// For one task; of one with items, for all of them if it is said how many there are. What
    /// waits for a person or an event counts for nothing, and so does what the daemon does.
    pub(crate) fn of_task(task: &Task) -> Self {
        let parts = match task.for_each.as_ref().and_then(|items| items.partition) {
            Some(Partition::Parts(parts)) => u64::from(parts),
            Some(Partition::Size(_)) | None => 1,
        };
        match (task.expected_ms, task.timeout_ms) {
            (Some(ms), _) => Estimate::About(ms.saturating_mul(parts)),
            (None, Some(ms)) => Estimate::AtMost(ms.saturating_mul(parts)),
            (None, None) if task.work.makes_attempts() => Estimate::Unknown,
            (None, None) => match &task.work {
                Work::Plan(inner) => Self::of_inner(&inner.plan),
                Work::Agent { .. }
                | Work::Command { .. }
                | Work::Reduce(_)
                | Work::Approve { .. }
                | Work::Wait { .. }
                | Work::Emit { .. } => Estimate::About(0),
            },
        }
    }

    /// For a plan that is kept in another one.
    fn of_inner(plan: &serde_json::Value) -> Self {
        let Ok(plan) = serde_json::from_value::<Plan>(plan.clone()) else {
            return Estimate::Unknown;
        };
        let tasks: Vec<&Task> = plan.tasks.iter().filter(|task| task.origin.is_none()).collect();
        let at = |id| tasks.iter().position(|task| task.id == id);
        let needs: Vec<Vec<usize>> = tasks
            .iter()
            .map(|task| task.needs.iter().filter_map(|need| at(need.task.clone())).collect())
            .collect();
        of_tasks(&tasks, &needs, plan.max_parallel)
    }

    /// The milliseconds, if there are any.
    pub(crate) const fn ms(self) -> Option<u64> {
        match self {
            Estimate::About(ms) | Estimate::AtMost(ms) => Some(ms),
            Estimate::Unknown => None,
        }
    }
}

impl std::fmt::Display for Estimate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Estimate::About(ms) => f.write_str(&minutes(*ms)),
            Estimate::AtMost(ms) => write!(f, "~{} at most", minutes(*ms)),
            Estimate::Unknown => f.write_str("unknown"),
        }
    }
}

/// For several tasks. `needs` are the positions of the tasks that each task waits for.
pub(crate) fn of_tasks(tasks: &[&Task], needs: &[Vec<usize>], lanes: u32) -> Estimate {
    let estimates: Vec<Estimate> = tasks.iter().map(|task| Estimate::of_task(task)).collect();
    let spans: Option<Vec<u64>> = estimates.iter().map(|estimate| estimate.ms()).collect();
    let Some(spans) = spans else { return Estimate::Unknown };
    let total = makespan(&spans, needs, lanes.max(1) as usize);
    if estimates.iter().any(|estimate| matches!(estimate, Estimate::AtMost(_))) {
        Estimate::AtMost(total)
    } else {
        Estimate::About(total)
    }
}

/// When the last task ends, if free tasks start in the order of the file.
fn makespan(spans: &[u64], needs: &[Vec<usize>], lanes: usize) -> u64 {
    let mut open: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut readers = vec![Vec::new(); spans.len()];
    for (node, needed) in needs.iter().enumerate() {
        for on in needed {
            readers[*on].push(node);
        }
    }
    let mut free: BinaryHeap<Reverse<usize>> =
        (0..spans.len()).filter(|node| open[*node] == 0).map(Reverse).collect();
    let mut running: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut now = 0u64;
    loop {
        while running.len() < lanes {
            let Some(Reverse(node)) = free.pop() else { break };
            running.push(Reverse((now.saturating_add(spans[node]), node)));
        }
        let Some(Reverse((end, node))) = running.pop() else { return now };
        now = end;
        for reader in &readers[node] {
            open[*reader] -= 1;
            if open[*reader] == 0 {
                free.push(Reverse(*reader));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_and_dependencies_make_the_length() {
        let needs = vec![vec![], vec![], vec![], vec![0, 1]];
        let spans = [5, 3, 4, 10];
        assert_eq!(makespan(&spans, &needs, 3), 15);
        assert_eq!(makespan(&spans, &needs, 2), 15);
        assert_eq!(makespan(&spans, &needs, 1), 22);
        assert_eq!(makespan(&[], &[], 1), 0);
    }

    #[test]
    fn spans_are_told_in_minutes() {
        assert_eq!(minutes(300_000), "5 min");
        assert_eq!(minutes(90_000), "2 min");
        assert_eq!(minutes(2_500), "3 s");
        assert_eq!(Estimate::AtMost(900_000).to_string(), "~15 min at most");
    }
}
