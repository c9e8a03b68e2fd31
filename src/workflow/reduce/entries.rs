//! What a reducer is given: values, each with the name of who gave it.

use serde_json::Value;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::workflow) struct Entry {
    /// Who gave it: a task, an item's key, a name in the plan, or its number.
    pub(in crate::workflow) name: String,
    /// The value.
    pub(in crate::workflow) value: Value,
}

impl Entry {
    /// The entries of a value: of a list by number from 1, of a table by name, otherwise itself.
    pub(in crate::workflow) fn all_of(value: Value) -> Vec<Self> {
        match value {
            Value::Array(list) => (1..)
                .zip(list)
                .map(|(number, value)| Self { name: number.to_string(), value })
                .collect(),
            Value::Object(table) => {
                table.into_iter().map(|(name, value)| Self { name, value }).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                vec![Self { name: "1".to_owned(), value }]
            }
        }
    }
}

/// A field of a value, `a.b`; a key that holds the dots itself wins.
pub(super) fn field<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    if let Some(found) = value.get(path) {
        return Some(found);
    }
    path.split('.').try_fold(value, |here, step| match here {
        Value::Array(list) => list.get(step.parse::<usize>().ok()?),
        Value::Object(table) => table.get(step),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}
