//! What the outputs of tasks look like to their readers, where no task says it: lists of items,
//! and what the daemon makes.

use serde_json::{Value as Json, json};

use super::text::Shape;

/// What a command without `output` gives.
pub(crate) fn report() -> Json {
    json!({ "type": "object", "properties": {
        "exit_code": { "type": "integer" },
        "tail": { "type": "string" },
        "log": { "type": "string" },
    } })
}

/// The schema of a shape; anything where nobody knows.
pub(crate) fn schema(shape: &Shape) -> Json {
    match shape {
        Shape::Text => json!({ "type": "string" }),
        Shape::Report => report(),
        Shape::Json(schema) => schema.clone(),
        Shape::Unknown => json!({}),
    }
}

/// A list of such outputs.
pub(crate) fn list_of(shape: &Shape) -> Shape {
    Shape::Json(json!({ "type": "array", "items": schema(shape) }))
}

/// A list of whatever.
pub(crate) fn any_list() -> Shape {
    Shape::Json(json!({ "type": "array", "items": {} }))
}

/// A table of whatever.
pub(crate) fn any_table() -> Shape {
    Shape::Json(json!({ "type": "object" }))
}

/// What a vote gives; `choice` is the schema of one vote, if it is known.
pub(crate) fn decision(choice: Option<&Json>) -> Shape {
    let choice = choice.cloned().unwrap_or(json!({}));
    Shape::Json(json!({ "type": "object", "properties": {
        "decision": choice,
        "agreement": { "type": "number" },
        "votes": { "type": "object" },
        "dissent": { "type": "array", "items": {} },
        "vetoed_by": { "type": "array", "items": { "type": "string" } },
    } }))
}
