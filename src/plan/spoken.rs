//! The parts of a plan in words, for people who approve it: what a task does, what follows it,
//! on what it depends, the stages of a pipeline.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::estimate::Estimate;
use super::{
    Comparison, Condition, Expiry, InputValue, MinSuccess, Origin, Partition, Plan, Reducer, Task,
    Template, Work,
};
use crate::document::show_duration;

/// Whether a task is one of those that the plan names.
pub(crate) fn counts(task: &Task) -> bool {
    task.origin.as_ref().is_none_or(Origin::counts)
}

/// What a task does, in one line: its description, or what its kind says.
pub(crate) fn what(task: &Task) -> String {
    let described = task.description.written();
    if !described.trim().is_empty() {
        return one_line(&described);
    }
    one_line(&match &task.work {
        Work::Agent { .. } => String::new(),
        Work::Command { run } => run.iter().map(Template::written).collect::<Vec<_>>().join(" "),
        Work::Reduce(reduce) => {
            format!("{} {}", reducer(&reduce.by), value(&reduce.from))
        }
        Work::Approve { ask, .. } => ask.written(),
        Work::Wait { event, .. } => format!("wait for {}", event.written()),
        Work::Emit { event, .. } => format!("emit {}", event.written()),
        Work::Plan(plan) => format!("run {}", file_name(&plan.path)),
    })
}

/// The last part of a path.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

const fn reducer(reducer: &Reducer) -> &'static str {
    match reducer {
        Reducer::Concat { .. } => "join",
        Reducer::Merge => "merge",
        Reducer::Table { .. } => "make a table of",
        Reducer::Vote(_) => "vote with",
        Reducer::Template { .. } => "fill a template with",
    }
}

/// How long a task takes.
pub(crate) fn estimated(task: &Task) -> String {
    let until = |what: &str, expiry: &Option<Expiry>| match expiry {
        None => what.to_owned(),
        Some(expiry) => {
            format!("{what}, {} at most, then {}", show_duration(expiry.after_ms), expiry.then)
        }
    };
    match &task.work {
        Work::Approve { expiry, .. } => until("until somebody answers", expiry),
        Work::Wait { expiry, .. } => until("until the event comes", expiry),
        Work::Reduce(_) | Work::Emit { .. } if task.expected_ms.is_none() => "at once".to_owned(),
        Work::Agent { .. }
        | Work::Command { .. }
        | Work::Reduce(_)
        | Work::Emit { .. }
        | Work::Plan(_) => Estimate::of_task(task).to_string(),
    }
}

/// Further lines about a task, where there is more to say.
pub(crate) fn more(plan: &Plan, task: &Task) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(items) = &task.for_each {
        let parts = match items.partition {
            None => String::new(),
            Some(Partition::Parts(parts)) => format!(", in {parts} parts"),
            Some(Partition::Size(size)) => format!(", {size} at a time"),
        };
        let least = match items.min_success {
            None | Some(MinSuccess::Share(_)) => String::new(),
            Some(MinSuccess::Count(count)) => format!(", {count} must succeed"),
        };
        lines.push(("For each of", format!("{}{parts}{least}", value(&items.over))));
    }
    if let Some(when) = &task.when {
        lines.push(("Only if", condition(when)));
    }
    let hooks = hooks(plan, task);
    if !hooks.is_empty() {
        lines.push(("Then", hooks.join(", ")));
    }
    lines.into_iter().map(|(name, text)| (name, one_line(&text))).collect()
}

/// What follows a task: `sanity-check (blocks)`.
pub(crate) fn hooks(plan: &Plan, task: &Task) -> Vec<String> {
    let follows = plan.tasks.iter().filter_map(|other| match &other.origin {
        Some(Origin::Hook { of, skill, blocks }) if *of == task.id => {
            Some(format!("{skill}{}", if *blocks { " (blocks)" } else { "" }))
        }
        _ => None,
    });
    follows.collect()
}

/// What comes after everything, and what events start.
pub(crate) fn afterwards(plan: &Plan) -> String {
    let mut text = String::new();
    for task in plan.tasks.iter().filter(|task| task.origin == Some(Origin::Finish)) {
        // A `String` takes everything that is written to it.
        let _ = write!(text, "\nAfter Everything:\n  {}\n", what(task));
    }
    for (at, trigger) in plan.on.iter().enumerate() {
        text.push_str(if at == 0 { "\nOn Events:\n" } else { "" });
        let (event, path) = (one_line(&trigger.event), one_line(file_name(&trigger.start.path)));
        let only = trigger.when.as_ref().map(|it| format!(" (only if {})", condition(it)));
        let _ = writeln!(text, "  {event}: run {path}{}", only.unwrap_or_default());
    }
    text
}

/// The stages of a plan that was written as stages: number, capability, goal, and who.
fn of_stages(plan: &Plan) -> Vec<(usize, &Task, Option<&str>, String)> {
    let tasks = || plan.tasks.iter().filter(|task| counts(task));
    let is_stage = |(at, task): (usize, &Task)| task.id.as_str() == format!("stage-{at}");
    if tasks().next().is_none() || !tasks().enumerate().all(is_stage) {
        return Vec::new();
    }
    tasks()
        .enumerate()
        .map(|(at, task)| {
            let names = task.work.agents().iter().take(task.work.alternatives());
            let names: Vec<&str> = names.map(|agent| agent.name.as_str()).collect();
            let who = names.join(" or ");
            let capability = task.work.capability().map(|it| it.name.as_str());
            (at, task, capability, who)
        })
        .collect()
}

/// Feature I18: `⏳ 0. [implement] goal → python-backend`.
pub(crate) fn stages(plan: &Plan) -> String {
    let mut text = String::new();
    for (at, task, capability, who) in of_stages(plan) {
        text.push_str(if at == 0 { "Stages:\n" } else { "" });
        let asked = capability.unwrap_or("agent");
        let line = format!("⏳ {at}. [{asked}] {} → {who}", what(task));
        let _ = writeln!(text, "  {}", one_line(&line));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// The same as JSON; `null` for a plan without stages.
pub(crate) fn stages_json(plan: &Plan) -> Value {
    let stages: Vec<Value> = of_stages(plan)
        .into_iter()
        .map(|(at, task, capability, who)| {
            json!({ "n": at, "capability": capability, "goal": what(task), "agent": who })
        })
        .collect();
    if stages.is_empty() { Value::Null } else { Value::Array(stages) }
}

/// A condition as it could be written.
pub(crate) fn condition(it: &Condition) -> String {
    let join = |parts: &[Condition], with: &str| {
        let parts: Vec<String> = parts
            .iter()
            .map(|part| match part {
                Condition::Any(_) | Condition::All(_) => format!("({})", condition(part)),
                Condition::Not(_) | Condition::Compare { .. } | Condition::Truthy(_) => {
                    condition(part)
                }
            })
            .collect();
        parts.join(with)
    };
    match it {
        Condition::Any(parts) => join(parts, " || "),
        Condition::All(parts) => join(parts, " && "),
        Condition::Not(inner) => match &**inner {
            Condition::Truthy(it) => format!("!{}", value(it)),
            Condition::Any(_)
            | Condition::All(_)
            | Condition::Not(_)
            | Condition::Compare { .. } => format!("!({})", condition(inner)),
        },
        Condition::Compare { left, by, right } => {
            format!("{} {} {}", value(left), sign(*by), value(right))
        }
        Condition::Truthy(it) => value(it),
    }
}

const fn sign(by: Comparison) -> &'static str {
    match by {
        Comparison::Equal => "==",
        Comparison::Unequal => "!=",
        Comparison::Less => "<",
        Comparison::AtMost => "<=",
        Comparison::Greater => ">",
        Comparison::AtLeast => ">=",
        Comparison::In => "in",
    }
}

/// A value as it could be written.
pub(crate) fn value(it: &InputValue) -> String {
    match it {
        InputValue::Text(template) => template.written(),
        InputValue::Plain(value) => value.to_string(),
        InputValue::List(items) => {
            format!("[{}]", items.iter().map(value).collect::<Vec<_>>().join(", "))
        }
        InputValue::Table(entries) => {
            let each = entries.iter().map(|(name, it)| format!("{name} = {}", value(it)));
            format!("{{ {} }}", each.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Text of a plan cannot speak to the terminal, nor break the lines of what is shown.
pub(crate) fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.replace(|c: char| c.is_control(), "\u{fffd}")
}
