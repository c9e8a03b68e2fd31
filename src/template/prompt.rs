//! A template's parts as the prompt that an agent would get.

use std::fmt::Write;

use serde_json::Value as Json;

use super::Parts;
use crate::transcript::fence_for;

/// How every task's answer is handed in.
const INTERFACE: &str = "When you are done, print the result once, between `<result>` and \
                         `</result>`, or hand it in with `muxvisor submit FILE`.";

/// The prompt, with the text of files as its input: an agent may not be able to open a path
/// (feature G8). `schema` is the JSON Schema of the output, if it has one.
pub fn prompt(parts: &Parts, files: &[(String, String)], schema: Option<&Json>) -> String {
    let mut out = String::new();
    if let Some(role) = &parts.role {
        section(&mut out, "Role", role);
    }
    section(&mut out, "Task", &parts.task);
    if !parts.constraints.is_empty() {
        let lines: Vec<String> = parts.constraints.iter().map(|c| format!("- {c}")).collect();
        section(&mut out, "Constraints", &lines.join("\n"));
    }
    if !files.is_empty() {
        let files: Vec<String> = files.iter().map(|(path, text)| file(path, text)).collect();
        section(&mut out, "Input", &files.join("\n\n"));
    }
    section(&mut out, "Output Format", &format(parts, schema));
    let more = parts.output_interface.as_deref().map(|text| format!("\n\n{text}"));
    section(&mut out, "Output Interface", &format!("{INTERFACE}{}", more.unwrap_or_default()));
    out
}

fn section(out: &mut String, title: &str, body: &str) {
    let gap = if out.is_empty() { "" } else { "\n" };
    writeln!(out, "{gap}## {title}\n\n{}", body.trim_end()).expect("a String takes all text");
}

fn file(path: &str, text: &str) -> String {
    let fence = fence_for(text);
    format!("### {path}\n\n{fence}\n{}\n{fence}", text.trim_end_matches('\n'))
}

fn format(parts: &Parts, schema: Option<&Json>) -> String {
    let shape = schema.map(|schema| {
        let schema = serde_json::to_string_pretty(schema).expect("a schema is JSON");
        format!("JSON that fits this schema:\n\n```json\n{schema}\n```")
    });
    match (&parts.output_format, shape) {
        (Some(words), Some(shape)) => format!("{words}\n\n{shape}"),
        (Some(words), None) => words.clone(),
        (None, Some(shape)) => shape,
        (None, None) => "Text.".to_owned(),
    }
}
