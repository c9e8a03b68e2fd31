//! The values of a plan's inputs: what was given, else the default.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::draft::{Draft, InputDraft, InputKind};
use super::reader::Reader;
use crate::document::did_you_mean;
use crate::model::Severity;

/// All values by name; what is wrong is reported.
pub(crate) fn of_inputs(draft: &Draft, reader: &Reader<'_>) -> BTreeMap<String, Json> {
    for name in reader.surroundings.inputs.keys().filter(|name| !draft.inputs.contains_key(*name)) {
        reader
            .findings
            .error("E03", draft.inputs_span, format!("the plan has no input `{name}`"))
            .maybe_help(did_you_mean(name, draft.inputs.keys().map(String::as_str)));
    }
    let values = draft.inputs.iter().map(|(name, input)| (name.clone(), value(input, reader)));
    values.collect()
}

fn value(input: &InputDraft, reader: &Reader<'_>) -> Json {
    let by_default = by_default(input, reader);
    let name = &input.name.value;
    match (reader.surroundings.inputs.get(name), by_default) {
        (Some(given), _) => given_value(input, given, reader).unwrap_or_else(|why| {
            let message = format!("input `{name}`: {why}");
            reader.findings.error("E01", input.name.span, message);
            Json::Null
        }),
        (None, Some(default)) => default,
        (None, None) => {
            if input.required && !reader.is_inner {
                missing(input, reader);
            }
            input.kind.empty()
        }
    }
}

fn missing(input: &InputDraft, reader: &Reader<'_>) {
    let name = &input.name.value;
    let message = format!("input `{name}` is required and was not given");
    let problem = match reader.surroundings.missing_input {
        Severity::Error => reader.findings.error("E03", input.name.span, message),
        Severity::Warning => reader.findings.warning("E03", input.name.span, message),
    };
    problem.help(format!("give it with `--input {name}=…`"));
}

fn by_default(input: &InputDraft, reader: &Reader<'_>) -> Option<Json> {
    let default = input.default.as_ref()?;
    if !input.kind.fits(&default.value) {
        let message = format!("the default of a {} input is no {0}", input.kind.word());
        reader.findings.error("E01", default.span, message);
        return None;
    }
    let is_given = reader.surroundings.inputs.contains_key(&input.name.value);
    match (input.kind, default.value.as_str()) {
        // A default that is not used is not opened.
        (InputKind::File, Some(path)) if !is_given => match reader.read_beside(path) {
            Ok(text) => Some(Json::String(text)),
            Err(why) => {
                let message = format!("`{path}` cannot be read: {why}");
                reader.findings.error("E01", default.span, message);
                None
            }
        },
        (
            InputKind::String
            | InputKind::Number
            | InputKind::Boolean
            | InputKind::List
            | InputKind::File,
            _,
        ) => Some(default.value.clone()),
    }
}

/// A value as it was given on the command line.
fn given_value(input: &InputDraft, given: &str, reader: &Reader<'_>) -> Result<Json, String> {
    match input.kind {
        InputKind::String => Ok(Json::String(given.to_owned())),
        InputKind::Number => match serde_json::from_str(given.trim()) {
            Ok(number @ Json::Number(_)) => Ok(number),
            _ => Err(format!("`{given}` is no number")),
        },
        InputKind::Boolean => match given.trim() {
            "true" => Ok(Json::Bool(true)),
            "false" => Ok(Json::Bool(false)),
            _ => Err(format!("`{given}` is neither true nor false")),
        },
        // A path that was typed is relative to where it was typed, not to the plan.
        InputKind::File => (reader.surroundings.read_file)(given)
            .map(Json::String)
            .map_err(|why| format!("`{given}` cannot be read: {why}")),
        InputKind::List => list(given),
    }
}

/// `["a", "b"]`, or `a,b`.
fn list(given: &str) -> Result<Json, String> {
    if given.trim_start().starts_with('[') {
        return match serde_json::from_str(given) {
            Ok(items @ Json::Array(_)) => Ok(items),
            Ok(_) | Err(_) => Err(format!("`{given}` is no JSON list")),
        };
    }
    let items = given.split(',').map(str::trim).filter(|item| !item.is_empty());
    Ok(items.map(Json::from).collect())
}

impl InputKind {
    /// The value of an input that is not required and was not given.
    fn empty(self) -> Json {
        match self {
            InputKind::List => Json::Array(Vec::new()),
            InputKind::String | InputKind::Number | InputKind::Boolean | InputKind::File => {
                Json::Null
            }
        }
    }
}
