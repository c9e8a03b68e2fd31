//! What the readers of all parts of a plan share.

use std::path::Path;

use super::surroundings::Surroundings;
use crate::document::{Findings, Source, Spanned, Table};

/// What every reader of a part needs.
pub(crate) struct Reader<'a> {
    pub(crate) findings: &'a Findings<'a>,
    pub(crate) surroundings: &'a Surroundings<'a>,
    /// Whether the plan is started by another one, which gives it its inputs.
    pub(crate) is_inner: bool,
}

impl Reader<'_> {
    pub(crate) fn source(&self) -> &Source {
        self.findings.source()
    }

    /// The text of a file that is named relative to the plan.
    pub(crate) fn read_beside(&self, path: &str) -> Result<String, String> {
        let joined = self.surroundings.base_dir.join(Path::new(path));
        (self.surroundings.read_file)(&joined.to_string_lossy())
    }
}

/// A text that must be there and must not be empty.
pub(crate) fn required_text(table: &mut Table<'_>, key: &str) -> Option<Spanned<String>> {
    let text = table.text(key);
    if !table.has(key) {
        missing(table, key);
    } else if let Some(text) = text.as_ref().filter(|text| text.value.trim().is_empty()) {
        table.findings().error("E01", text.span, format!("`{key}` is empty"));
    }
    text
}

/// A text in which nothing is put in; a reference in it would stay as it stands.
pub(crate) fn plain_text(table: &mut Table<'_>, key: &str) -> Option<String> {
    let text = table.text(key)?;
    if text.value.contains("${") {
        let place = text.span.narrowed(table.findings().source(), "${");
        let message = format!("`{key}` takes no references");
        table
            .findings()
            .error("E03", place, message)
            .help("references belong into the description of a task");
    }
    Some(text.value)
}

/// Reports that a key is missing.
pub(crate) fn missing(table: &Table<'_>, key: &str) {
    let example = match key {
        "run" => "add `run = [\"program\", \"argument\"]`".to_owned(),
        "from" => "add `from = \"${phase.*.output}\"`".to_owned(),
        "reducer" => "add one of concat, merge, table, vote, template".to_owned(),
        key => format!("add `{key} = \"…\"`"),
    };
    let place = table.span();
    let message = match table.label() {
        "" => format!("the plan has no `{key}`"),
        label => format!("`{label}` has no `{key}`"),
    };
    table.findings().error("E01", place, message).help(example);
}
