//! Ids: their form, the words that are taken, and that none is given twice (E02).

use std::collections::BTreeMap;

use super::draft::Draft;
use super::kind::Kind;
use crate::document::{Findings, Spanned};

/// Words that mean something in references.
const RESERVED: &[&str] = &["output", "input", "item", "index", "run", "event", "on_finish"];

/// Checks every id of a plan.
pub(crate) fn check(draft: &Draft, findings: &Findings<'_>) {
    // The phase of loose tasks has a name that nobody wrote.
    let phases: Vec<_> = draft.phases.iter().map(|phase| &phase.id).collect();
    one_kind("phase", &phases, findings);
    let tasks: Vec<_> = draft.tasks.iter().map(|task| &task.id).collect();
    one_kind("task", &tasks, findings);
    let keys: Vec<_> = draft.tasks.iter().filter_map(|task| task.output_key.as_ref()).collect();
    one_kind("output_key", &keys, findings);
    let inputs: Vec<_> = draft.inputs.values().map(|input| &input.name).collect();
    one_kind("input", &inputs, findings);
    for task in draft.tasks.iter().filter(|task| task.kind == Kind::Command) {
        for (name, _) in task.settings.inputs() {
            variable(name, findings);
        }
    }
}

fn one_kind(what: &str, ids: &[&Spanned<String>], findings: &Findings<'_>) {
    let mut first: BTreeMap<&str, u32> = BTreeMap::new();
    for id in ids {
        let word = id.value.as_str();
        if word.trim().is_empty() {
            continue; // A missing id has been reported as such.
        }
        if !well_formed(word) {
            findings
                .error("E02", id.span, format!("`{word}` is no {what} id"))
                .help("letters, digits, `-` and `_`, starting with a letter");
        } else if RESERVED.contains(&word) && !(what == "output_key" && word == "output") {
            findings.error("E02", id.span, format!("`{word}` is reserved and no {what} id"));
        }
        match first.get(word) {
            None => {
                first.insert(word, findings.line(id.span));
            }
            Some(line) => {
                findings
                    .error("E02", id.span, format!("{what} id `{word}` is given twice"))
                    .help(format!("first given in line {line}"));
            }
        }
    }
}

fn well_formed(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// What a command is given becomes its environment.
fn variable(name: &Spanned<String>, findings: &Findings<'_>) {
    let word = &name.value;
    let fits = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !fits {
        findings
            .error("E02", name.span, format!("`{word}` is no name of an environment variable"))
            .help("a command gets its input_context as environment variables");
    }
}
