//! How many words agents are given: counted where they are known, estimated by the shape of an
//! output where they are not.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::draft::{Draft, DraftTask};
use super::names;
use super::reference::Piece;
use super::target::Target;
use super::text::{InputText, Text};
use super::{Partition, as_text, schema, shapes};

/// What a text of an agent has, if nobody says how long it is.
const TEXT: usize = 400;
/// What a field of an output has that is a text.
const FIELD: usize = 40;
/// How many entries a list has.
const ENTRIES: usize = 20;

/// The values of the plan's inputs.
pub(crate) type Values = BTreeMap<String, Json>;

/// The words of a prompt before its inputs: role, description, constraints, entry point.
pub(crate) fn of_prompt(task: &DraftTask) -> usize {
    let constraints = task.settings.constraints.iter().flatten();
    let entry = task.entry_point.iter().map(|(_, value)| value);
    let texts = constraints.chain(entry).chain([&task.description]);
    let role = task.settings.role.as_deref().map_or(0, count);
    role + texts.map(|text: &Text| count(&text.value)).sum::<usize>()
}

/// The words of a prompt with all that references put into it.
pub(crate) fn of_task(draft: &Draft, task: &DraftTask, values: &Values) -> usize {
    let inputs = task.settings.inputs().map(|(_, value)| of_value(draft, value, values));
    let mut within = 0;
    for text in task.settings.constraints.iter().flatten().chain([&task.description]) {
        within += of_references(draft, text, values);
    }
    (of_prompt(task) + within).saturating_add(inputs.fold(0, usize::saturating_add))
}

/// How many of its prompts there will be, as far as the plan says.
pub(crate) fn copies(task: &DraftTask) -> usize {
    match task.for_each.as_ref().and_then(|items| items.partition) {
        Some(Partition::Parts(parts)) => parts as usize,
        Some(Partition::Size(_)) | None => 1,
    }
}

fn of_value(draft: &Draft, value: &InputText, values: &Values) -> usize {
    match value {
        InputText::Plain(value) => count(&as_text(value)),
        InputText::Text(text) => {
            let plain = text.pieces.iter().map(|piece| match piece {
                Piece::Text(text) => count(text),
                Piece::Reference(_) => 0,
            });
            plain.sum::<usize>().saturating_add(of_references(draft, text, values))
        }
        InputText::List(items) => {
            items.iter().map(|item| of_value(draft, item, values)).fold(0, usize::saturating_add)
        }
        InputText::Table(entries) => entries
            .iter()
            .map(|(_, item)| of_value(draft, item, values))
            .fold(0, usize::saturating_add),
    }
}

fn of_references(draft: &Draft, text: &Text, values: &Values) -> usize {
    let each = text.references().filter_map(|written| names::target(draft, written).ok());
    each.map(|target| of_target(draft, &target, values)).fold(0, usize::saturating_add)
}

fn of_target(draft: &Draft, target: &Target, values: &Values) -> usize {
    match target {
        Target::Input { name, .. } => values
            .get(name)
            .map_or(0, |value| if value.is_null() { 0 } else { count(&as_text(value)) }),
        Target::Output { task, path } => {
            let whole = shapes::schema(&draft.tasks[*task].shape);
            let part = schema::at(&whole, path).ok().flatten().cloned();
            if path.is_empty() && whole["type"] == "string" {
                TEXT
            } else {
                part.map_or(FIELD, |part| of_schema(&part, 0))
            }
        }
        Target::PhaseOutputs { phase } => {
            let tasks = draft.phases[*phase].tasks.clone();
            tasks.map(|at| of_output(&draft.tasks[at])).fold(0, usize::saturating_add)
        }
        Target::Results { task } => of_output(&draft.tasks[*task]),
        Target::Item { .. } => FIELD,
        Target::Failed { .. } | Target::Event { .. } => FIELD,
        Target::Status { .. } | Target::Error { .. } | Target::Index | Target::Run { .. } => 1,
    }
}

/// The whole of what a task gives.
pub(crate) fn of_output(task: &DraftTask) -> usize {
    let schema = shapes::schema(&task.shape);
    if schema["type"] == "string" && schema.get("enum").is_none() {
        return TEXT;
    }
    of_schema(&schema, 0)
}

fn of_schema(here: &Json, depth: usize) -> usize {
    if here.get("enum").is_some() || depth > 8 {
        return 1;
    }
    match schema::kind(here) {
        Some("number" | "integer" | "boolean" | "null") => 1,
        Some("array") => of_schema(&here["items"], depth + 1).saturating_mul(ENTRIES),
        Some("object") => {
            let fields = here["properties"].as_object().into_iter().flatten();
            let each = fields.map(|(_, field)| of_schema(field, depth + 1).saturating_add(1));
            each.fold(0, usize::saturating_add)
        }
        Some(_) | None => FIELD,
    }
}

/// The words of a text.
pub(crate) fn count(text: &str) -> usize {
    text.split_whitespace().count()
}
