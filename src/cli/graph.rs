//! `graph`: who waits for whom in a run, and how each stands.

use std::collections::{BTreeMap, BTreeSet};

use super::desk::{Desk, run_id};
use super::failure::COMPLETED;
use crate::control::view::{RunView, TaskView};
use crate::control::{Failure, Request};
use crate::model::{RunId, TaskId, TaskState};

/// Which run, and how to draw it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run
    #[arg(value_parser = run_id)]
    run: RunId,
    /// How to draw it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// The ways to draw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Steps, top to bottom
    Text,
    /// Graphviz
    Dot,
    /// Mermaid
    Mermaid,
}

/// Draws it.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    let seen: RunView = desk.ask(&Request::Show { run: args.run.clone() })?;
    let drawn = match args.format {
        Format::Text => text(&seen),
        Format::Dot => dot(&seen),
        Format::Mermaid => mermaid(&seen),
    };
    desk.voice.say(&drawn);
    Ok(COMPLETED)
}

/// How many steps of others come before each task.
fn depths(run: &RunView) -> BTreeMap<&TaskId, usize> {
    let mut depths: BTreeMap<&TaskId, usize> = BTreeMap::new();
    // As often as there are tasks is enough for the longest way.
    for _ in 0..run.tasks.len() {
        let before = depths.clone();
        for task in &run.tasks {
            let below = task.needs.iter().filter_map(|need| depths.get(need)).max();
            depths.insert(&task.task, below.map_or(0, |below| below + 1));
        }
        if depths == before {
            break;
        }
    }
    depths
}

const fn sign(state: TaskState) -> char {
    match state {
        TaskState::Success => '✔',
        TaskState::Failed | TaskState::Timeout => '✘',
        TaskState::Skipped | TaskState::Cancelled => '–',
        TaskState::Starting | TaskState::Running => '▸',
        TaskState::RetryWait => '↻',
        TaskState::Waiting => '?',
        TaskState::Blocked | TaskState::Ready | TaskState::Queued => '·',
    }
}

fn text(run: &RunView) -> String {
    let depths = depths(run);
    let mut lines = vec![format!("{} {}", run.run, run.name)];
    for step in 0..=depths.values().copied().max().unwrap_or(0) {
        lines.push(format!("step {}", step + 1));
        for task in run.tasks.iter().filter(|task| depths[&task.task] == step) {
            let needs: Vec<&str> = direct(run, task).iter().map(|need| need.as_str()).collect();
            let after =
                if needs.is_empty() { String::new() } else { format!("  <- {}", needs.join(", ")) };
            lines.push(format!("  {} {} ({}){after}", sign(task.state), task.task, task.state));
        }
    }
    lines.join("\n")
}

/// What a task waits for, without what that waits for itself.
fn direct<'r>(run: &'r RunView, task: &'r TaskView) -> Vec<&'r TaskId> {
    let of: BTreeMap<&TaskId, &TaskView> =
        run.tasks.iter().map(|task| (&task.task, task)).collect();
    let mut behind: BTreeSet<&TaskId> = BTreeSet::new();
    let mut way: Vec<&TaskId> =
        task.needs.iter().filter_map(|need| of.get(need)).flat_map(|it| &it.needs).collect();
    while let Some(id) = way.pop() {
        if behind.insert(id) {
            way.extend(of.get(id).into_iter().flat_map(|it| &it.needs));
        }
    }
    task.needs.iter().filter(|need| !behind.contains(need)).collect()
}

fn dot(run: &RunView) -> String {
    let mut lines =
        vec![format!("digraph {} {{", quoted(run.run.as_str())), "  rankdir=LR;".to_owned()];
    for task in &run.tasks {
        let label = format!("{}\n{}", task.task, task.state);
        lines.push(format!("  {} [label={}];", quoted(task.task.as_str()), quoted(&label)));
    }
    for (from, to) in edges(run) {
        lines.push(format!("  {} -> {};", quoted(from.as_str()), quoted(to.as_str())));
    }
    lines.push("}".to_owned());
    lines.join("\n")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn mermaid(run: &RunView) -> String {
    let places: BTreeMap<&TaskId, usize> =
        run.tasks.iter().enumerate().map(|(at, task)| (&task.task, at)).collect();
    let mut lines = vec!["graph LR".to_owned()];
    for (at, task) in run.tasks.iter().enumerate() {
        let label = format!("{}<br/>{}", task.task, task.state).replace('"', "#quot;");
        lines.push(format!("  t{at}[\"{label}\"]"));
    }
    for (from, to) in edges(run) {
        if let (Some(from), Some(to)) = (places.get(from), places.get(to)) {
            lines.push(format!("  t{from} --> t{to}"));
        }
    }
    lines.join("\n")
}

fn edges(run: &RunView) -> impl Iterator<Item = (&TaskId, &TaskId)> {
    run.tasks
        .iter()
        .flat_map(|task| direct(run, task).into_iter().map(move |need| (need, &task.task)))
}
