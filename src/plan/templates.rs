//! Reads `template = "name"` and `set = { … }`: a task whose prompt is made by a template.

use std::collections::BTreeMap;

use super::reader::Reader;
use super::settings::Settings;
use super::template_parts::{TemplateOutput, TemplateParts};
use super::text::{Shape, Text};
use super::{as_text, schema};
use crate::document::{Span, Spanned, Table};

/// A template that was used, read.
pub(crate) struct Used {
    role: Option<String>,
    description: Text,
    constraints: Vec<Text>,
    output: Option<Shape>,
}

/// Reads the keys, and asks for the template; `None` when there is none.
pub(crate) fn read(table: &mut Table<'_>, reader: &Reader<'_>) -> Option<Used> {
    let name = table.text("template");
    let set = values(table);
    let there = table.has("template");
    if !there {
        if table.has("set") {
            table.findings().error(
                "E01",
                table.key_span("set"),
                "`set` without `template` sets nothing",
            );
        }
        return None;
    }
    if table.has("description") {
        let place = table.key_span("description");
        reader
            .findings
            .error("E01", place, "`description` stands beside `template`, which gives one")
            .help("leave one of the two out");
    }
    let parts = name.as_ref().map(|name| (reader.surroundings.template)(&name.value, &set));
    let place = name.as_ref().map_or(table.key_span("template"), |name| name.span);
    let parts = match parts {
        Some(Ok(parts)) => parts,
        Some(Err(why)) => {
            let name = name.map(|name| name.value).unwrap_or_default();
            let named = why.contains(&format!("`{name}`"));
            let message = if named { why } else { format!("template `{name}`: {why}") };
            reader.findings.error("E03", place, message);
            TemplateParts::default()
        }
        None => TemplateParts::default(),
    };
    Some(used(parts, place, reader))
}

fn used(parts: TemplateParts, place: Span, reader: &Reader<'_>) -> Used {
    let text = |text: String| Text::read(Spanned::new(text, place), reader.findings);
    let output = parts.output.and_then(|output| match output {
        TemplateOutput::Short(short) if schema::is_plain_text(&short) => Some(Shape::Text),
        TemplateOutput::Short(short) => match schema::of_short(&short) {
            Ok(schema) => Some(Shape::Json(schema)),
            Err(bad) => {
                reader.findings.error(
                    "E11",
                    place,
                    format!("the template's output: {}", bad.message),
                );
                None
            }
        },
        TemplateOutput::Schema(schema) => Some(Shape::Json(schema)),
    });
    Used {
        role: parts.role,
        description: text(parts.description),
        constraints: parts.constraints.into_iter().map(text).collect(),
        output,
    }
}

/// `set`: texts stand as they are, other values as JSON.
fn values(table: &mut Table<'_>) -> BTreeMap<String, String> {
    let entries = table.table("set").map(|mut table| table.entries()).unwrap_or_default();
    entries.into_iter().map(|(name, value)| (name.value, as_text(&value.json()))).collect()
}

impl Used {
    /// Gives the task what it does not say itself; constraints are added to its own.
    pub(crate) fn fill(self, settings: &mut Settings, description: &mut Text) {
        *description = self.description;
        settings.role = settings.role.take().or(self.role);
        settings.output = settings.output.take().or(self.output);
        let own = settings.constraints.take().unwrap_or_default();
        settings.constraints = Some(self.constraints.into_iter().chain(own).collect());
    }
}
