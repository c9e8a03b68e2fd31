//! Turns a result's text into a value, and says what is wrong with it in words that help the next
//! attempt.

use serde_json::Value;

/// How many things that are wrong are named.
const MISSES_SHOWN: usize = 8;

/// How long one of them may be, in characters.
const MISS_MAX: usize = 160;

/// How many places are tried when JSON is looked for in prose.
const PLACES_MAX: usize = 64;

/// The value of a result.
///
/// With a schema: JSON, bare, or in a fence, or the first object or list in prose that fits; where
/// the schema allows a string, text that is no JSON is that string. Without a schema: the text as
/// a string, without one newline at either end.
///
/// # Errors
/// One short paragraph that names everything that is wrong, or that the schema itself is.
pub fn value_of(text: &str, schema: Option<&Value>) -> Result<Value, String> {
    fitting(text, schema, candidates)
}

/// The value of what a program printed that was given no prompt: nobody talks around its JSON, so
/// with a schema the text is JSON as a whole, and what stands in an error message is no result.
///
/// # Errors
/// Like [`value_of`].
pub fn whole_value_of(text: &str, schema: Option<&Value>) -> Result<Value, String> {
    fitting(text, schema, |text| serde_json::from_str(text.trim()).into_iter().collect())
}

fn fitting(
    text: &str,
    schema: Option<&Value>,
    candidates: fn(&str) -> Vec<Value>,
) -> Result<Value, String> {
    let Some(schema) = schema else {
        return Ok(Value::String(without_outer_newlines(text).to_owned()));
    };
    let validator = jsonschema::validator_for(schema)
        .map_err(|error| format!("the output schema itself is invalid: {}", brief(&error)))?;
    let candidates = candidates(text);
    if let Some(fits) = candidates.iter().find(|value| validator.is_valid(value)) {
        return Ok(fits.clone());
    }
    let whole = Value::String(without_outer_newlines(text).to_owned());
    if candidates.is_empty() && validator.is_valid(&whole) {
        return Ok(whole);
    }
    let Some(first) = candidates.first() else {
        return Err(not_json(text));
    };
    let misses: Vec<String> = validator
        .iter_errors(first)
        .map(|error| {
            let at = error.instance_path().to_string();
            let place = if at.is_empty() { "at the top" } else { &at };
            format!("{place}: {}", brief(&error))
        })
        .collect();
    Err(paragraph(&misses))
}

/// What could be meant, best first.
fn candidates(text: &str) -> Vec<Value> {
    if let Ok(value) = serde_json::from_str(text.trim()) {
        return vec![value];
    }
    let mut found: Vec<Value> =
        fences(text).filter_map(|inside| serde_json::from_str(inside.trim()).ok()).collect();
    if found.is_empty() {
        found = in_prose(text);
    }
    found
}

/// What stands in ``` fences, without the language.
fn fences(text: &str) -> impl Iterator<Item = &str> {
    let blocks = text.split("```").skip(1).step_by(2);
    blocks.map(|block| block.split_once('\n').map_or(block, |(_language, inside)| inside))
}

/// The objects and lists of a text, none inside another.
fn in_prose(text: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut from = 0;
    for _ in 0..PLACES_MAX {
        let Some(at) = text[from..].find(['{', '[']).map(|at| from + at) else { break };
        let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        from = match values.next() {
            Some(Ok(value)) => {
                found.push(value);
                at + values.byte_offset()
            }
            Some(Err(_)) | None => at + 1,
        };
    }
    found
}

fn not_json(text: &str) -> String {
    if text.trim().is_empty() {
        return "the result is empty; it must be JSON that fits the schema".to_owned();
    }
    match serde_json::from_str::<Value>(text.trim()) {
        Ok(_) => "the result does not fit the schema".to_owned(),
        Err(error) => format!("the result is not JSON: {error}"),
    }
}

fn paragraph(misses: &[String]) -> String {
    let shown = misses[..misses.len().min(MISSES_SHOWN)].join("; ");
    match misses.len().saturating_sub(MISSES_SHOWN) {
        0 => format!("the result does not fit the schema: {shown}"),
        more => format!("the result does not fit the schema: {shown}; and {more} more"),
    }
}

/// A message may quote the whole value.
fn brief(error: &jsonschema::ValidationError<'_>) -> String {
    let text = error.to_string();
    if text.chars().count() <= MISS_MAX {
        return text;
    }
    // The end of a message says what is wrong; its start quotes.
    let (head, rest) = (MISS_MAX / 4, MISS_MAX * 3 / 4);
    let start: String = text.chars().take(head).collect();
    let skip = text.chars().count() - rest;
    let end: String = text.chars().skip(skip).collect();
    format!("{start} … {end}")
}

fn without_outer_newlines(text: &str) -> &str {
    let text = text.strip_prefix("\r\n").or_else(|| text.strip_prefix('\n')).unwrap_or(text);
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text)
}
