//! `template`: text by a template of the plan's author. What agents gave is data in it; a brace
//! in a value means nothing.

use serde_json::{Map, Value, json};

use super::entries::Entry;
use crate::template::{self, FillError};

/// Fills in the template. It sees `from`, `entries` (each with `name` and `value`) and the inputs
/// of the task; no file, no clock.
pub(super) fn fill(
    text: &str,
    from: Value,
    entries: &[Entry],
    inputs: Map<String, Value>,
) -> Result<String, String> {
    let mut values = inputs;
    let named = |entry: &Entry| json!({ "name": entry.name, "value": entry.value });
    values.insert("entries".to_owned(), entries.iter().map(named).collect());
    values.insert("from".to_owned(), from);
    template::fill(text, &Value::Object(values)).map_err(|error| told(&error))
}

fn told(error: &FillError) -> String {
    match error {
        FillError::Text { message, line } => {
            let place = line.map_or(String::new(), |line| format!(" in line {line}"));
            format!("the template cannot be filled in{place}: {message}")
        }
        FillError::TooLong | FillError::TooSlow => format!("the template: {error}"),
    }
}
