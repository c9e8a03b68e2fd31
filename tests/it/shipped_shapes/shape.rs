//! A compiled plan in lines: phases, tasks, who does them, what they are given, give and wait for.

use std::fmt::Write as _;

use muxvisor::plan::{InputValue, Plan, Task, Work};
use serde_json::Value;

/// The whole shape.
pub(super) fn of(plan: &Plan) -> String {
    let mut out = format!("plan {}", plan.name);
    let _ = match &plan.pattern {
        Some(pattern) => writeln!(out, ": {pattern}, {} at once", plan.max_parallel),
        None => writeln!(out, ": {} at once", plan.max_parallel),
    };
    for phase in &plan.phases {
        let _ =
            write!(out, "phase {} {:?}, {}", phase.id, phase.mode, phase.on_partial_failure.word());
        if !phase.depends_on.is_empty() {
            let _ = write!(out, ", after {}", phase.depends_on.join(", "));
        }
        if let Some(least) = &phase.min_success {
            let _ = write!(out, ", at least {least:?}");
        }
        let tasks: Vec<&str> = phase.tasks.iter().map(|id| id.as_str()).collect();
        let _ = writeln!(out, ": {}", tasks.join(" "));
    }
    let shown = muxvisor::plan::show_json(plan)["subtasks"].take();
    for task in &plan.tasks {
        let of = |it: &&Value| it["id"] == task.id.as_str();
        let when = shown.as_array().and_then(|all| all.iter().find(of)?["when"].as_str());
        describe(&mut out, task, when);
    }
    for trigger in &plan.on {
        let _ = writeln!(out, "on {} starts {}", trigger.event, file(&trigger.start.path));
    }
    out
}

fn describe(out: &mut String, task: &Task, when: Option<&str>) {
    let _ = writeln!(out, "\ntask {}: {}", task.id, who(task));
    let mut line = |what: &str, text: &str| {
        let _ = writeln!(out, "  {what} {text}");
    };
    if let Some(role) = &task.role {
        line("as", role);
    }
    if let Some(condition) = when {
        line("when", condition);
    }
    if let Some(items) = &task.for_each {
        let over = value(&items.over);
        line(
            "for each of",
            &format!("{over}, {:?}, at least {:?}", items.partition, items.min_success),
        );
    }
    if let Some(lead) = &task.lead {
        line("leads", &lead.max_workers.to_string());
    }
    if let Some(origin) = &task.origin {
        line("because of", &json(origin));
    }
    for input in inputs(task) {
        line("is given", &input);
    }
    match &task.output {
        Some(schema) => line("gives", &short(schema)),
        None => line("gives", &format!("{:?}", task.output_as)),
    }
    for need in &task.needs {
        let how = if need.hard { "needs" } else { "follows" };
        line(how, &format!("{} ({:?})", need.task, need.cause));
    }
}

/// What a task is given, `name = value`, as written.
pub(super) fn inputs(task: &Task) -> Vec<String> {
    task.inputs.iter().map(|input| format!("{} = {}", input.name, value(&input.value))).collect()
}

fn who(task: &Task) -> String {
    match &task.work {
        Work::Agent { agents, capability } => {
            let names: Vec<&str> = agents.iter().map(|agent| agent.name.as_str()).collect();
            let can = capability.as_ref().map(|it| format!("whoever can {}: ", it.name));
            format!("{}{}", can.unwrap_or_default(), names.join(", then "))
        }
        Work::Command { run } => format!("command {}", run[0].written()),
        Work::Reduce(reduce) => format!("reduce {} of {}", json(&reduce.by), value(&reduce.from)),
        Work::Approve { ask, .. } => format!("asks `{}`", ask.written()),
        Work::Wait { event, .. } => format!("waits for {}", event.written()),
        Work::Emit { event, data } => format!("emits {} {}", event.written(), value(data)),
        Work::Plan(inner) => {
            let given = inner.inputs.iter().map(|it| format!("{} = {}", it.name, value(&it.value)));
            format!("plan {} with {}", file(&inner.path), given.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A schema as short as it was written.
fn short(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("|");
    }
    if let Some(fields) = schema["properties"].as_object() {
        let must = |name: &str| {
            schema["required"].as_array().is_some_and(|all| all.iter().any(|it| it == name))
        };
        let told = fields.iter().map(|(name, of)| {
            format!("{name}{} = {}", if must(name) { "" } else { "?" }, short(of))
        });
        return format!("{{ {} }}", told.collect::<Vec<_>>().join(", "));
    }
    match schema.get("items") {
        None => schema["type"].as_str().map_or_else(|| schema.to_string(), str::to_owned),
        Some(items) => format!("[{}]", short(items)),
    }
}

fn file(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("it is JSON")
}

fn value(it: &InputValue) -> String {
    match it {
        InputValue::Text(template) => template.written(),
        InputValue::Plain(plain) => plain.to_string(),
        InputValue::List(items) => {
            format!("[{}]", items.iter().map(value).collect::<Vec<_>>().join(", "))
        }
        InputValue::Table(entries) => {
            let each = entries.iter().map(|(name, it)| format!("{name} = {}", value(it)));
            format!("{{ {} }}", each.collect::<Vec<_>>().join(", "))
        }
    }
}
