//! Works out the shapes that follow from other shapes: what a reference leads to, what the entries
//! of a list look like, what a reduce makes of them.

use serde_json::{Value as Json, json};

use super::draft::{Draft, DraftReduce, DraftReducer};
use super::names;
use super::reference::Written;
use super::target::Target;
use super::text::{InputText, Shape};
use super::{schema, shapes};

/// How long a chain of reduces is followed.
const ROUNDS: usize = 4;

/// Gives every reduce the shape that follows from what it is made of.
pub(crate) fn settle(draft: &mut Draft) {
    for _ in 0..ROUNDS {
        let reduced: Vec<(usize, Shape)> = draft
            .tasks
            .iter()
            .enumerate()
            .filter_map(|(at, task)| Some((at, reduced(draft, task.doing.reduce()?)?)))
            .filter(|(at, shape)| draft.tasks[*at].shape != *shape)
            .collect();
        if reduced.is_empty() {
            return;
        }
        for (at, shape) in reduced {
            draft.tasks[at].shape = shape.clone();
            draft.tasks[at].own_shape = shape;
        }
    }
}

fn reduced(draft: &Draft, reduce: &DraftReduce) -> Option<Shape> {
    let entries = entries(draft, &reduce.from)?;
    match &reduce.by {
        DraftReducer::Concat { .. } => {
            let flat = entries.iter().map(|entry| match schema::kind(entry) {
                Some("array") => entry.get("items").cloned().unwrap_or(json!({})),
                Some(_) | None => entry.clone(),
            });
            let items = one_of(&flat.collect::<Vec<_>>());
            Some(Shape::Json(json!({ "type": "array", "items": items })))
        }
        DraftReducer::Vote(vote) => {
            let choices = entries.iter().map(|entry| entry["properties"].get(&vote.field.value));
            let choices: Option<Vec<Json>> = choices.map(Option::<&Json>::cloned).collect();
            Some(shapes::decision(choices.map(|choices| one_of(&choices)).as_ref()))
        }
        DraftReducer::Merge
        | DraftReducer::Table { .. }
        | DraftReducer::Template(_)
        | DraftReducer::Unknown => None,
    }
}

/// The schema that all have; anything when they differ.
fn one_of(schemas: &[Json]) -> Json {
    match schemas {
        [first, rest @ ..] if rest.iter().all(|other| other == first) => first.clone(),
        _ => json!({}),
    }
}

/// What the entries of a value look like; `None` where nobody knows.
pub(crate) fn entries(draft: &Draft, from: &InputText) -> Option<Vec<Json>> {
    if let Some(written) = from.only_reference() {
        let target = names::target(draft, written).ok()?;
        if let Target::PhaseOutputs { phase } = target {
            let tasks = draft.phases[phase].tasks.clone();
            return Some(tasks.map(|at| shapes::schema(&draft.tasks[at].shape)).collect());
        }
        let of = of_target(draft, &target)?;
        return (schema::kind(&of) == Some("array")).then(|| vec![of["items"].clone()]);
    }
    let each = |value: &InputText| of_reference(draft, value.only_reference()?);
    match from {
        InputText::List(items) => items.iter().map(each).collect(),
        InputText::Table(entries) => entries.iter().map(|(_, value)| each(value)).collect(),
        InputText::Text(_) | InputText::Plain(_) => None,
    }
}

/// The schema of what a reference leads to; `None` where nobody knows.
pub(crate) fn of_reference(draft: &Draft, written: &Written) -> Option<Json> {
    of_target(draft, &names::target(draft, written).ok()?)
}

fn of_target(draft: &Draft, target: &Target) -> Option<Json> {
    match target {
        Target::Output { task, path } => {
            let whole = shapes::schema(&draft.tasks[*task].shape);
            schema::at(&whole, path).ok()?.cloned()
        }
        Target::PhaseOutputs { .. } | Target::Results { .. } | Target::Failed { .. } => {
            Some(json!({ "type": "array", "items": {} }))
        }
        Target::Status { .. } => Some(json!({ "type": "string", "enum": STATUSES })),
        Target::Error { .. } | Target::Run { .. } => Some(json!({ "type": "string" })),
        Target::Index => Some(json!({ "type": "integer" })),
        Target::Input { .. } | Target::Item { .. } | Target::Event { .. } => None,
    }
}

/// The words that the status of a task can be when somebody reads it, which is when it is over.
const STATUSES: &[&str] = &["success", "failed", "timeout", "skipped", "cancelled"];
