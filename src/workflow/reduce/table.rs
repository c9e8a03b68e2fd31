//! `table`: rows as Markdown. A cell is text on one line, whatever an agent wrote into it.

use serde_json::Value;

use super::entries::field;
use crate::plan::as_text;

/// The column of rows that are no tables.
const VALUE: &str = "value";

/// A header and a row for each entry. Without named columns those of the first table are taken.
pub(super) fn markdown(rows: &[Value], columns: &[String]) -> String {
    let first = rows.iter().find_map(Value::as_object);
    let columns: Vec<String> = match (columns, first) {
        ([], Some(first)) => first.keys().cloned().collect(),
        ([], None) => vec![VALUE.to_owned()],
        (named, _) => named.to_vec(),
    };
    let mut lines = vec![line(columns.iter().map(|name| cell(name)))];
    lines.push(line(columns.iter().map(|_| "---".to_owned())));
    lines.extend(rows.iter().map(|row| line(columns.iter().map(|name| of(row, name)))));
    lines.join("\n")
}

fn of(row: &Value, column: &str) -> String {
    let value =
        if row.is_object() { field(row, column) } else { Some(row).filter(|_| column == VALUE) };
    match value {
        None | Some(Value::Null) => String::new(),
        Some(value) => cell(&as_text(value)),
    }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
}

/// Nothing in it ends the cell, begins markup, or reaches a terminal as a code.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim().replace("\r\n", "\n").chars() {
        match c {
            '|' => out.push_str("\\|"),
            '\\' => out.push_str("\\\\"),
            '<' => out.push_str("&lt;"),
            '\n' | '\r' => out.push_str("<br>"),
            '\t' => out.push(' '),
            c if c.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}
