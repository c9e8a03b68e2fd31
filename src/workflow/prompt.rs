//! The prompt of an attempt: self-contained (features G3–G8), because an agent shares no memory
//! with anybody. Text that comes from other agents is fenced data and is never expanded again.

use std::fmt::Write;

use serde_json::Value;

use crate::model::{ResultRule, TaskError};
use crate::plan::Task;
use crate::policy::Traits;
use crate::transcript::{fence_for, last_lines};

use super::tools::Told;

/// What a prompt is made of, references already resolved.
pub(super) struct Parts<'a> {
    /// The task.
    pub(super) task: &'a Task,
    /// What is said about its agent: its intent is the role where the task gives none.
    pub(super) agent: &'a Traits,
    /// Where it is to enter: the type, and the value with its references resolved.
    pub(super) entry: Option<(&'a str, String)>,
    /// Its description.
    pub(super) description: &'a str,
    /// Its constraints.
    pub(super) constraints: &'a [String],
    /// What it is given, by name.
    pub(super) inputs: &'a [(String, Value)],
    /// Why the attempt before failed, and its number.
    pub(super) previous: Option<(u32, &'a TaskError)>,
    /// What another agent left behind that could not go on; stands in for `previous`.
    pub(super) handover: Option<&'a str>,
    /// What else it is told.
    pub(super) told: &'a Told,
    /// How the result is to be handed back.
    pub(super) result: ResultRule,
    /// Whether the agent has a terminal, where it waits for a person when its work is done.
    pub(super) terminal: bool,
    /// The letters of the result tag, for prompts that are typed and thus echoed.
    pub(super) tag: Option<&'a str>,
}

/// Renders it as Markdown: Role, Instructions, Task, Entry Point, Constraints, Input, what
/// earlier runs, workers and attempts left, Output Format, Output Interface.
pub(super) fn render(parts: &Parts<'_>) -> String {
    let mut out = String::new();
    if let Some(role) = parts.task.role.as_ref().or(parts.agent.intent.as_ref()) {
        section(&mut out, "Role", role);
    }
    if let Some(instructions) = &parts.agent.instructions {
        section(&mut out, "Instructions", instructions);
    }
    section(&mut out, "Task", parts.description);
    if let Some((kind, value)) = &parts.entry {
        section(&mut out, "Entry Point", &format!("{kind}: `{value}`"));
    }
    if !parts.constraints.is_empty() {
        let lines: Vec<String> = parts.constraints.iter().map(|c| format!("- {c}")).collect();
        section(&mut out, "Constraints", &lines.join("\n"));
    }
    if !parts.inputs.is_empty() {
        let inputs: Vec<String> = parts.inputs.iter().map(|(n, v)| input(n, v)).collect();
        section(&mut out, "Input", &inputs.join("\n\n"));
    }
    if let Some(lessons) = &parts.told.lessons {
        section(&mut out, "Lessons", lessons);
    }
    if let Some(workers) = &parts.told.workers {
        section(&mut out, "Workers so far", workers);
    }
    if let Some(handover) = parts.handover {
        section(&mut out, "Handover", handover);
    } else if let Some((n, error)) = parts.previous {
        section(&mut out, "Previous attempt", &previous(n, error));
    }
    section(&mut out, "Output Format", &output_format(parts));
    let mut ways = vec![interface(parts)];
    ways.extend_from_slice(&parts.told.verbs);
    section(&mut out, "Output Interface", &ways.join("\n\n"));
    out
}

fn section(out: &mut String, title: &str, body: &str) {
    let gap = if out.is_empty() { "" } else { "\n" };
    writeln!(out, "{gap}## {title}\n\n{}", body.trim_end()).expect("a String takes all text");
}

fn input(name: &str, value: &Value) -> String {
    let (kind, text) = match value {
        Value::String(text) => ("", text.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            ("json", serde_json::to_string_pretty(value).expect("a value is JSON"))
        }
    };
    let fence = fence_for(&text);
    format!("### {name}\n\n{fence}{kind}\n{}\n{fence}", text.trim_end_matches('\n'))
}

/// At most about 300 words (research 5.2), the end of the log being the most telling.
fn previous(n: u32, error: &TaskError) -> String {
    let mut text = format!("Attempt {n} failed ({}): {}.", error.outcome, error.message);
    if let Some(tail) = last_lines(&error.tail) {
        let fence = fence_for(tail);
        write!(text, " Its last lines were:\n\n{fence}\n{tail}\n{fence}")
            .expect("a String takes all text");
    }
    text.push_str("\n\nDo not repeat that mistake.");
    text
}

fn output_format(parts: &Parts<'_>) -> String {
    let key = parts.task.output_key.as_deref();
    let named = key.map_or_else(String::new, |key| format!(" (`{key}`)"));
    match &parts.task.output {
        Some(schema) => {
            let schema = serde_json::to_string_pretty(schema).expect("a schema is JSON");
            format!("JSON{named} that fits this schema:\n\n```json\n{schema}\n```")
        }
        None => format!("Text{named}."),
    }
}

fn interface(parts: &Parts<'_>) -> String {
    match parts.result {
        // On a terminal nobody reads what is only printed, and the agent would wait for ever.
        ResultRule::Tag if parts.terminal => {
            let id = parts.tag.map_or_else(String::new, |tag| format!(" id=\"{tag}\""));
            format!(
                "When you are done, hand the result in with `muxvisor submit FILE` \
                 (`$MUXVISOR_PROGRAM` is that program where it is not found). That ends your \
                 session. Only if you cannot, print it once, between `<result{id}>` and \
                 `</result>`, and end the session yourself."
            )
        }
        ResultRule::Tag => {
            let id = parts.tag.map_or_else(String::new, |tag| format!(" id=\"{tag}\""));
            format!(
                "When you are done, print the result once, between `<result{id}>` and \
                 `</result>`, or hand it in with `muxvisor submit FILE`."
            )
        }
        ResultRule::Submit => "When you are done, hand the result in with \
             `muxvisor submit FILE`, or write it to the file named by `$MUXVISOR_RESULT`."
            .to_owned(),
        ResultRule::Stdout => "Everything you print is the result: print nothing else.".to_owned(),
        ResultRule::None => "No result is expected.".to_owned(),
    }
}
