//! Reads the key `output`: the short form of a shape, or a file with a JSON Schema.

use serde_json::Value as Json;

use super::reader::Reader;
use super::schema;
use super::text::Shape;
use crate::document::{Kind, Spanned, Value, did_you_mean};

/// The shape of an output; what cannot be read is reported and taken as unknown.
pub(crate) fn read(value: &Value<'_>, reader: &Reader<'_>) -> Shape {
    if let Some(path) = schema_file(value) {
        return read_file(&path, reader).map_or(Shape::Unknown, Shape::Json);
    }
    let short = value.json();
    if schema::is_plain_text(&short) {
        return Shape::Text;
    }
    match schema::of_short(&short) {
        Ok(schema) => Shape::Json(schema),
        Err(bad) => {
            let place = match bad.part.as_str() {
                "" => value.span(),
                part => value.span().narrowed(reader.source(), &format!("\"{part}\"")),
            };
            reader.findings.error("E11", place, bad.message).maybe_help(did_you_mean(
                bad.part.trim_end_matches('?'),
                schema::TYPES.iter().copied(),
            ));
            Shape::Unknown
        }
    }
}

/// `{ schema = "file.json" }`; a table whose only field is called `schema` and has a type is the
/// short form of a shape.
fn schema_file(value: &Value<'_>) -> Option<Spanned<String>> {
    if value.kind() != Kind::Table {
        return None;
    }
    let json = value.json();
    let word = json.get("schema")?.as_str()?;
    let only = json.as_object()?.len() == 1;
    if !only || schema::of_short(&Json::String(word.trim_end_matches('?').to_owned())).is_ok() {
        return None;
    }
    value.table()?.text("schema")
}

fn read_file(path: &Spanned<String>, reader: &Reader<'_>) -> Option<Json> {
    let problem = |message: String| {
        reader.findings.error("E11", path.span, message);
        None
    };
    let text = match reader.read_beside(&path.value) {
        Ok(text) => text,
        Err(why) => {
            return problem(format!("`{}` cannot be read: {why}", path.value));
        }
    };
    let schema: Json = match serde_json::from_str(&text) {
        Ok(schema) => schema,
        Err(why) => return problem(format!("`{}` is not JSON: {why}", path.value)),
    };
    match jsonschema::validator_for(&schema) {
        Ok(_) => Some(schema),
        Err(why) => problem(format!("`{}` is no JSON Schema: {why}", path.value)),
    }
}
