//! The plan as a person approves it (features A6-A9): its head, numbered subtasks with what they
//! wait for and how long they take, and the order that follows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::estimate::{self, Estimate};
use super::graph;
use super::spoken::{self, one_line};
use super::{Plan, Task, Work};
use crate::document::Span;

/// A plan laid out for showing; positions count from 0.
struct Layout<'p> {
    plan: &'p Plan,
    /// Its tasks, without what follows them.
    tasks: Vec<&'p Task>,
    /// What each task waits for, all of it.
    needs: Vec<Vec<usize>>,
    /// The same, without what follows from the rest.
    shown: Vec<Vec<usize>>,
    /// Tasks that may start together.
    steps: Vec<Vec<usize>>,
}

/// The session plan as text, with a newline at the end.
pub fn show(plan: &Plan) -> String {
    let layout = Layout::new(plan);
    let mut text = format!(
        "Session: {}\nTask: {}\nEstimated Duration: {}\nMax Parallel Agents: {}\n\n",
        one_line(&plan.name),
        one_line(&plan.goal),
        layout.estimate(),
        plan.max_parallel,
    );
    text.push_str(&spoken::stages(plan));
    text.push_str("Subtasks:\n");
    for (at, task) in layout.tasks.iter().enumerate() {
        // A `String` takes everything that is written to it.
        let _ = write!(
            text,
            "  {}. [{}] - {}\n     Dependencies: {}\n     Estimated: {}\n",
            at + 1,
            one_line(who(plan, task)),
            spoken::what(task),
            layout.dependencies(at),
            spoken::estimated(task),
        );
        for (name, more) in spoken::more(plan, task) {
            let _ = writeln!(text, "     {name}: {more}");
        }
        text.push('\n');
    }
    text.push_str("Execution Order:\n");
    for (at, step) in layout.steps.iter().enumerate() {
        let _ = writeln!(text, "  Phase {}{}: {}", at + 1, layout.condition(step), numbers(step));
    }
    text.push_str(&spoken::afterwards(plan));
    text
}

/// The session plan as JSON.
pub fn show_json(plan: &Plan) -> Value {
    let layout = Layout::new(plan);
    let (estimate, at_most) = in_json(layout.estimate());
    let subtasks: Vec<Value> = (0..layout.tasks.len()).map(|at| layout.subtask_json(at)).collect();
    let order: Vec<Value> = layout
        .steps
        .iter()
        .enumerate()
        .map(|(at, step)| {
            json!({
                "phase": at + 1,
                "parallel": step.len() > 1,
                "after": from_one(&layout.waits_of(step)),
                "tasks": from_one(step),
            })
        })
        .collect();
    json!({
        "session": plan.name,
        "task": plan.goal,
        "pattern": plan.pattern,
        "approval": plan.approval,
        "estimated_ms": estimate,
        "estimated_at_most": at_most,
        "max_parallel": plan.max_parallel,
        "stages": spoken::stages_json(plan),
        "subtasks": subtasks,
        "execution_order": order,
    })
}

impl<'p> Layout<'p> {
    fn new(plan: &'p Plan) -> Self {
        let tasks: Vec<&Task> = plan.tasks.iter().filter(|task| spoken::counts(task)).collect();
        let at: BTreeMap<&str, usize> =
            tasks.iter().enumerate().map(|(at, task)| (task.id.as_str(), at)).collect();
        let mut needs = Vec::new();
        let mut waits = Vec::new();
        for (node, task) in tasks.iter().enumerate() {
            let known = task.needs.iter().filter_map(|need| {
                let on = *at.get(need.task.as_str())?;
                Some(graph::Wait {
                    node,
                    on,
                    cause: need.cause,
                    hard: need.hard,
                    place: Span::default(),
                })
            });
            let known: Vec<_> = known.collect();
            needs.push(known.iter().map(|wait| wait.on).collect::<Vec<_>>());
            waits.extend(known);
        }
        let shown = shown_needs(&needs, &waits);
        let steps = steps(&graph::depths(tasks.len(), &waits));
        Self { plan, tasks, needs, shown, steps }
    }

    fn estimate(&self) -> Estimate {
        estimate::of_tasks(&self.tasks, &self.needs, self.plan.max_parallel)
    }

    fn dependencies(&self, at: usize) -> String {
        if !self.shown[at].is_empty() {
            return format!("{} (sequential)", numbers(&self.shown[at]));
        }
        match self.earlier_beside(at).as_slice() {
            [] => "none".to_owned(),
            beside => format!("none (parallel with {})", numbers(beside)),
        }
    }

    /// The earlier tasks that may start together with a task that waits for nothing.
    fn earlier_beside(&self, at: usize) -> Vec<usize> {
        let first = self.steps.first().map_or(&[][..], Vec::as_slice);
        first.iter().copied().filter(|other| *other < at && first.contains(&at)).collect()
    }

    /// The last tasks that must be over before a step.
    fn waits_of(&self, step: &[usize]) -> Vec<usize> {
        let waits: BTreeSet<usize> = step.iter().flat_map(|at| self.shown[*at].clone()).collect();
        let waits: Vec<usize> = waits.into_iter().collect();
        let earlier = graph::below(&self.needs, &waits);
        waits.into_iter().filter(|at| !earlier.contains(at)).collect()
    }

    /// `(parallel)`, `(after #1)` or both, with a space in front.
    fn condition(&self, step: &[usize]) -> String {
        let parallel = (step.len() > 1).then(|| "parallel".to_owned());
        let waits = self.waits_of(step);
        let after = (!waits.is_empty()).then(|| format!("after {}", numbers(&waits)));
        let words: Vec<String> = parallel.into_iter().chain(after).collect();
        if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
    }

    fn subtask_json(&self, at: usize) -> Value {
        let task = self.tasks[at];
        let (estimate, at_most) = in_json(Estimate::of_task(task));
        json!({
            "n": at + 1,
            "id": task.id,
            "phase": task.phase,
            "kind": task.work.word(),
            "agent": who(self.plan, task),
            "description": spoken::what(task),
            "dependencies": from_one(&self.shown[at]),
            "parallel_with": from_one(&self.earlier_beside(at)),
            "estimated_ms": estimate,
            "estimated_at_most": at_most,
            "when": task.when.as_ref().map(spoken::condition),
            "for_each": task.for_each.as_ref().map(|items| spoken::value(&items.over)),
            "hooks": spoken::hooks(self.plan, task),
        })
    }
}

/// Order of phases and of sequential tasks is left out where other dependencies say it already;
/// what the author wrote down is always shown.
fn shown_needs(needs: &[Vec<usize>], waits: &[graph::Wait]) -> Vec<Vec<usize>> {
    let implied: Vec<_> = needs.iter().map(|direct| graph::below(needs, direct)).collect();
    let mut shown = vec![Vec::new(); needs.len()];
    for wait in waits {
        if graph::is_written(wait.cause) || !implied[wait.node].contains(&wait.on) {
            shown[wait.node].push(wait.on);
        }
    }
    for list in &mut shown {
        list.sort_unstable();
    }
    shown
}

fn steps(depths: &[Option<usize>]) -> Vec<Vec<usize>> {
    let mut steps: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, depth) in depths.iter().enumerate() {
        // A checked plan has no circle; one that was tampered with shows such tasks last.
        steps.entry(depth.unwrap_or(usize::MAX)).or_default().push(at);
    }
    steps.into_values().collect()
}

/// Who does it; of several that equally may, the one that is taken while none of them works.
fn who<'p>(plan: &'p Plan, task: &'p Task) -> &'p str {
    let cost =
        |name: &str| plan.agents.get(name).map(|agent| agent.traits.cost).unwrap_or_default();
    match &task.work {
        Work::Agent { agents, .. } => {
            let able = agents.iter().take(task.work.alternatives());
            able.min_by_key(|agent| cost(&agent.name)).map_or("?", |agent| agent.name.as_str())
        }
        Work::Command { .. }
        | Work::Reduce(_)
        | Work::Approve { .. }
        | Work::Wait { .. }
        | Work::Emit { .. }
        | Work::Plan(_) => task.work.word(),
    }
}

/// `#1, #2, #7`; five and more in a row are told by the first and the last.
fn numbers(tasks: &[usize]) -> String {
    let rows = tasks.chunk_by(|one, next| one + 1 == *next);
    let told = rows.map(|row| match row {
        [first, _, _, _, .., last] => format!("#{} to #{}", first + 1, last + 1),
        few => few.iter().map(|at| format!("#{}", at + 1)).collect::<Vec<_>>().join(", "),
    });
    told.collect::<Vec<_>>().join(", ")
}

fn from_one(tasks: &[usize]) -> Vec<usize> {
    tasks.iter().map(|at| at + 1).collect()
}

fn in_json(estimate: Estimate) -> (Option<u64>, bool) {
    (estimate.ms(), matches!(estimate, Estimate::AtMost(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_numbers_in_a_row_are_told_by_their_ends() {
        assert_eq!(numbers(&[0, 1, 2, 3]), "#1, #2, #3, #4");
        assert_eq!(numbers(&[0, 1, 2, 3, 4, 6, 8, 9]), "#1 to #5, #7, #9, #10");
        assert_eq!(numbers(&[]), "");
    }
}
