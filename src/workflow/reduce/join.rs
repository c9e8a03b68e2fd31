//! `concat` and `merge`: one list of all entries, one table of all tables.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::entries::{Entry, field};

/// Lists are joined, other values are entries; sorted by a field when one is named. Equal ones
/// stay in their order, and what lacks the field comes last.
pub(super) fn concat(entries: Vec<Entry>, sort_by: Option<&str>) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    for entry in entries {
        match entry.value {
            Value::Array(list) => all.extend(list),
            value @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_)) => all.push(value),
        }
    }
    if let Some(path) = sort_by {
        all.sort_by(|a, b| by_value(field(a, path), field(b, path)));
    }
    all
}

/// Numbers by size, texts by their characters; of different types numbers come first.
fn by_value(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    let rank = |value: Option<&Value>| match value {
        Some(Value::Number(_)) => 0,
        Some(Value::String(_)) => 1,
        Some(Value::Bool(_)) => 2,
        Some(Value::Array(_) | Value::Object(_)) => 3,
        Some(Value::Null) | None => 4,
    };
    let number = |value: Option<&Value>| value.and_then(Value::as_f64);
    match (a, b) {
        (Some(Value::Number(one)), Some(Value::Number(two))) => {
            match (one.as_i64(), two.as_i64()) {
                (Some(one), Some(two)) => one.cmp(&two),
                _ => number(a).unwrap_or(0.0).total_cmp(&number(b).unwrap_or(0.0)),
            }
        }
        (Some(Value::String(one)), Some(Value::String(two))) => one.cmp(two),
        (Some(Value::Bool(one)), Some(Value::Bool(two))) => one.cmp(two),
        _ => rank(a).cmp(&rank(b)),
    }
}

/// One table of all tables, lists of tables among them: a field that is in several is joined if
/// it holds lists or tables, otherwise the last one counts.
pub(super) fn merge(entries: Vec<Entry>) -> Result<Value, String> {
    let mut whole = Map::new();
    for Entry { name, value } in entries {
        let parts = match value {
            Value::Array(list) => list,
            value @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_)) => vec![value],
        };
        for part in parts {
            let Value::Object(table) = part else {
                return Err(format!("`merge` needs tables, and `{name}` gave something else"));
            };
            merge_into(&mut whole, table);
        }
    }
    Ok(Value::Object(whole))
}

fn merge_into(whole: &mut Map<String, Value>, more: Map<String, Value>) {
    for (key, value) in more {
        match (whole.get_mut(&key), value) {
            (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
            (Some(Value::Object(table)), Value::Object(more)) => merge_into(table, more),
            (_, value) => {
                whole.insert(key, value);
            }
        }
    }
}
