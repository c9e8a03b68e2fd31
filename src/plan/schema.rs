//! The short form of an output's shape, as JSON Schema, and the way of a reference into a shape.
//!
//! ```text
//! "string" "markdown" "number" "integer" "boolean" "any"   a type
//! "a|b"                                                    one of these words
//! "string?"                                                may be absent or null
//! ["string"]                                               a list
//! { name = "string" }                                      a table; every field is required
//! ```

use serde_json::{Map, Value, json};

/// The words of the short form, for suggestions.
pub(crate) const TYPES: &[&str] = &["string", "markdown", "number", "integer", "boolean", "any"];

/// A short form that means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadShape {
    /// What is wrong, as a sentence.
    pub(crate) message: String,
    /// The text that is wrong, to find its place; empty for the whole of the value.
    pub(crate) part: String,
}

/// A step that a shape does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoSuchField {
    /// Which step of the path.
    pub(crate) step: usize,
    /// What stands there: `no field`, or what has no fields at all.
    pub(crate) why: Why,
    /// The fields that it has.
    pub(crate) fields: Vec<String>,
}

/// Why a step does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// A table without that field.
    NoField,
    /// A name where a list stands.
    IsList,
    /// A position where no list stands, or a step into a plain value.
    IsPlain,
}

/// Whether the short form says plain text, which needs no schema.
pub(crate) fn is_plain_text(short: &Value) -> bool {
    matches!(short.as_str(), Some("markdown" | "string"))
}

/// The JSON Schema of a short form.
///
/// # Errors
/// The first thing in it that means nothing.
pub(crate) fn of_short(short: &Value) -> Result<Value, BadShape> {
    match short {
        Value::String(word) => of_word(word),
        Value::Array(items) => match items.as_slice() {
            [item] => Ok(json!({ "type": "array", "items": of_short(item)? })),
            _ => Err(whole("a list has one entry, which says what all of them are")),
        },
        Value::Object(fields) => of_table(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            Err(whole("the shape of an output is made of words, lists and tables"))
        }
    }
}

/// The JSON Schema of a short form, for whoever shows it.
///
/// # Errors
/// What in it means nothing, as a sentence.
pub fn schema_of(short: &Value) -> Result<Value, String> {
    of_short(short).map_err(|bad| bad.message)
}

fn of_table(fields: &Map<String, Value>) -> Result<Value, BadShape> {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, short) in fields {
        let optional = short.as_str().and_then(|word| word.strip_suffix('?'));
        let schema = match optional {
            Some(word) => or_null(of_word(word)?),
            None => {
                required.push(name.as_str());
                of_short(short)?
            }
        };
        properties.insert(name.clone(), schema);
    }
    Ok(json!({ "type": "object", "properties": properties, "required": required }))
}

fn of_word(word: &str) -> Result<Value, BadShape> {
    if let Some(schema) = of_type(word) {
        return Ok(schema);
    }
    let bad = |message: String| BadShape { message, part: word.to_owned() };
    if word.ends_with('?') {
        return Err(bad(format!("`{word}` is optional, which only a field of a table can be")));
    }
    let words: Vec<&str> = word.split('|').map(str::trim).collect();
    if words.len() < 2 {
        return Err(bad(format!("`{word}` is no type of an output")));
    }
    if words.iter().any(|word| word.is_empty()) {
        return Err(bad(format!("`{word}` has an empty choice")));
    }
    if words.iter().any(|word| word.starts_with(['"', '\'']) || word.ends_with(['"', '\''])) {
        return Err(bad(format!(
            "the quotes in `{word}` would be a part of its words; leave them out"
        )));
    }
    if let Some(name) = words.iter().find(|word| of_type(word).is_some()) {
        return Err(bad(format!("`{word}` is a choice of words, but `{name}` is a type")));
    }
    Ok(json!({ "type": "string", "enum": words }))
}

fn of_type(word: &str) -> Option<Value> {
    match word {
        "string" | "markdown" => Some(json!({ "type": "string" })),
        "number" | "integer" | "boolean" => Some(json!({ "type": word })),
        "any" => Some(json!({})),
        _ => None,
    }
}

fn or_null(mut schema: Value) -> Value {
    if let Some(Value::String(word)) = schema.get("type").cloned() {
        schema["type"] = json!([word, "null"]);
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.push(Value::Null);
    }
    schema
}

fn whole(message: &str) -> BadShape {
    BadShape { message: message.to_owned(), part: String::new() }
}

/// A value that fits a schema, for demonstrations: the first choice, short texts, one entry per
/// list. Keywords beyond those of the short form are not heeded.
pub fn example(schema: &Value) -> Value {
    let given = schema.get("const").or_else(|| schema["enum"].get(0));
    if let Some(given) = given.or_else(|| schema["examples"].get(0)) {
        return given.clone();
    }
    match kind(schema) {
        Some("object") => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            Value::Object(fields.map(|(name, field)| (name.clone(), example(field))).collect())
        }
        Some("array") => schema.get("items").into_iter().flat_map(examples).collect(),
        Some("number" | "integer") => json!(1),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        Some(_) | None => json!("an example"),
    }
}

/// The entries of a list: one, or several short texts, so that what is done for each entry is done
/// more than once.
fn examples(items: &Value) -> Vec<Value> {
    let one = example(items);
    match one.as_str() {
        Some("an example") => {
            ["an example", "another one", "a third one"].map(Value::from).to_vec()
        }
        Some(_) | None => vec![one],
    }
}

/// Whether a path leads somewhere in a shape. What a full JSON Schema says beyond types,
/// properties and items is not followed: there the path is taken on trust.
///
/// # Errors
/// The first step that leads nowhere.
pub(crate) fn follow(schema: &Value, path: &[Value]) -> Result<(), NoSuchField> {
    at(schema, path).map(|_| ())
}

/// What stands at the end of a path; `None` where nobody knows.
///
/// # Errors
/// The first step that leads nowhere.
pub(crate) fn at<'s>(schema: &'s Value, path: &[Value]) -> Result<Option<&'s Value>, NoSuchField> {
    let mut here = schema;
    for (step, key) in path.iter().enumerate() {
        let wrong = |why, fields| Err(NoSuchField { step, why, fields });
        let next = match (kind(here), key) {
            (Some("object"), Value::String(name)) => {
                let Some(properties) = here["properties"].as_object() else { return Ok(None) };
                match properties.get(name) {
                    Some(next) => next,
                    None => return wrong(Why::NoField, properties.keys().cloned().collect()),
                }
            }
            (Some("array"), Value::Number(_)) => &here["items"],
            (Some("array"), _) => return wrong(Why::IsList, Vec::new()),
            (Some(_), _) => return wrong(Why::IsPlain, Vec::new()),
            (None, _) => return Ok(None),
        };
        here = next;
    }
    Ok(Some(here))
}

/// The one type of a schema, `null` aside.
pub(crate) fn kind(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(word) => Some(word),
        Value::Array(words) => match words.as_slice() {
            [Value::String(word)] => Some(word),
            [Value::String(word), Value::String(null)] if null == "null" => Some(word),
            _ => None,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_becomes_json_schema() {
        let string = json!({ "type": "string" });
        for (short, schema) in [
            (json!("markdown"), string.clone()),
            (json!("boolean"), json!({ "type": "boolean" })),
            (json!("any"), json!({})),
            (json!("go | no-go"), json!({ "type": "string", "enum": ["go", "no-go"] })),
            (json!(["string"]), json!({ "type": "array", "items": string })),
            (
                json!({ "a": "number", "b": "string?", "c": "x|y?" }),
                json!({
                    "type": "object",
                    "properties": {
                        "a": { "type": "number" },
                        "b": { "type": ["string", "null"] },
                        "c": { "type": ["string", "null"], "enum": ["x", "y", null] },
                    },
                    "required": ["a"],
                }),
            ),
        ] {
            assert_eq!(of_short(&short), Ok(schema), "{short}");
        }
    }

    #[test]
    fn a_short_form_that_means_nothing_is_refused() {
        for (short, message, part) in [
            (json!("strng"), "`strng` is no type of an output", "strng"),
            (json!("a|"), "`a|` has an empty choice", "a|"),
            (
                json!("a|string"),
                "`a|string` is a choice of words, but `string` is a type",
                "a|string",
            ),
            (
                json!(["string?"]),
                "`string?` is optional, which only a field of a table can be",
                "string?",
            ),
            (json!([]), "a list has one entry, which says what all of them are", ""),
            (json!({ "a": 1 }), "the shape of an output is made of words, lists and tables", ""),
        ] {
            let bad = of_short(&short).unwrap_err();
            assert_eq!((bad.message.as_str(), bad.part.as_str()), (message, part));
        }
    }

    #[test]
    fn an_example_fits_its_schema() {
        let short = json!({
            "rows": [{ "x": "number?", "ok": "boolean" }],
            "verdict": "go|no-go",
            "any": "any",
            "note": "a|b?",
        });
        let schema = of_short(&short).unwrap();
        let example = example(&schema);
        assert_eq!(example["verdict"], json!("go"));
        assert!(jsonschema::is_valid(&schema, &example), "{example}");
    }

    #[test]
    fn a_path_is_followed_through_tables_and_lists() {
        let schema = of_short(&json!({ "rows": [{ "x": "number?" }], "any": "any" })).unwrap();
        let go = |path: &Value| follow(&schema, path.as_array().unwrap());
        assert_eq!(go(&json!(["rows", 0, "x"])), Ok(()));
        assert_eq!(go(&json!(["any", "deep", 3])), Ok(()));
        let wrong = go(&json!(["rows", 0, "y"])).unwrap_err();
        assert_eq!((wrong.step, wrong.why, wrong.fields), (2, Why::NoField, vec!["x".to_owned()]));
        assert_eq!(go(&json!(["rows", "x"])).unwrap_err().why, Why::IsList);
        assert_eq!(go(&json!(["rows", 0, "x", "y"])).unwrap_err().why, Why::IsPlain);
        assert_eq!(go(&json!([0])).unwrap_err().why, Why::IsPlain);
    }
}
