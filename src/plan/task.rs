//! Reads one task.

use super::draft::{DraftTask, Kind};
use super::reader::{Reader, missing, not_yet, plain_text, required_text, unsupported};
use super::settings::{Settings, input_text};
use super::text::{InputText, Shape, Text};
use crate::document::{Spanned, Table, did_you_mean};

/// The kinds of task, those of later versions included.
const KINDS: &[&str] = &["agent", "command", "approve", "reduce", "wait"];

/// What an agent can be entered by.
const ENTRY_POINTS: &[&str] = &["command", "skill", "agent", "tool", "prompt"];

/// The keys of a task that the engine does not run yet; those of `[defaults]` come on top.
const UNSUPPORTED: &[&str] =
    &["for_each", "key", "max_items", "min_items", "on_partial_failure", "partition", "when"];

/// The keys of kinds that the engine does not run yet. Where the kind is named, it says enough.
const OF_OTHER_KINDS: &[&str] = &[
    "ask",
    "event",
    "expires",
    "field",
    "from",
    "on_expire",
    "on_tie",
    "reducer",
    "rule",
    "sort_by",
    "veto",
];

/// Keys that mean nothing without an agent.
const OF_AGENTS: &[&str] = &[
    "agent",
    "assigned_plugin",
    "constraints",
    "entry_point",
    "expert_role",
    "fallback",
    "fallback_plugin",
    "role",
];

/// Reads a task of the phase at position `phase`.
pub(crate) fn read(
    mut table: Table<'_>,
    phase: usize,
    defaults: &Settings,
    reader: &Reader<'_>,
) -> DraftTask {
    let findings = table.findings();
    let id = required_text(&mut table, "id").unwrap_or(Spanned::new(String::new(), table.span()));
    let kind = kind(&mut table);
    let uses_for_each = table.has("for_each");
    unsupported(&mut table, UNSUPPORTED);
    let other = other(&mut table, kind);
    let description = match kind {
        Kind::Agent => required_text(&mut table, "description"),
        Kind::Command | Kind::Unsupported => table.text("description"),
    };
    let run = run(&mut table, kind);
    let entry_point = entry_point(&mut table);
    let expert_role = plain_text(&mut table, "expert_role");
    let output_key = table.text("output_key");
    let depends_on = table.texts("depends_on").unwrap_or_default();
    let output_span = table.has("output").then(|| table.key_span("output"));
    let mut settings = Settings::read(&mut table, reader);
    if kind == Kind::Command {
        for key in OF_AGENTS.iter().filter(|key| table.has(key)) {
            let message = format!("`{key}` means nothing in a command task");
            findings.error("E01", table.key_span(key), message);
        }
    }
    table.finish();
    let expert = expert_role.is_some();
    settings.role = settings.role.or(expert_role);
    settings.fill(defaults, kind == Kind::Agent);
    let shape = shape(kind, uses_for_each, settings.output.clone());
    let description = description.map(|text| Text::read(text, findings)).unwrap_or_default();
    DraftTask {
        id,
        phase,
        kind,
        description,
        expert,
        entry_point,
        output_key,
        shape,
        output_span,
        run,
        depends_on,
        other,
        uses_for_each,
        settings,
    }
}

fn kind(table: &mut Table<'_>) -> Kind {
    let Some(word) = table.text("kind") else {
        if table.has("run") && !table.has("kind") {
            let place = table.key_span("run");
            table
                .findings()
                .error("E01", place, "`run` is for tasks that are commands")
                .help("add `kind = \"command\"`");
            return Kind::Command;
        }
        return Kind::Agent;
    };
    match word.value.as_str() {
        "agent" => Kind::Agent,
        "command" => Kind::Command,
        other if KINDS.contains(&other) => {
            not_yet(table.findings(), word.span, &format!("kind = \"{other}\""));
            Kind::Unsupported
        }
        other => {
            let message = format!("`{other}` is no kind of task");
            table
                .findings()
                .error("E01", word.span, message)
                .maybe_help(did_you_mean(other, KINDS.iter().copied()))
                .note(format!("kinds: {}", KINDS.join(", ")));
            Kind::Unsupported
        }
    }
}

/// The keys of other kinds: errors in a task of a supported kind; otherwise only their references
/// are of interest.
fn other(table: &mut Table<'_>, kind: Kind) -> Vec<InputText> {
    match kind {
        Kind::Agent | Kind::Command => unsupported(table, OF_OTHER_KINDS),
        Kind::Unsupported => {}
    }
    let mut found = Vec::new();
    for key in OF_OTHER_KINDS.iter().chain(&["for_each"]) {
        if let Some(value) = table.value(key) {
            found.push(input_text(&value, table.findings()));
        }
    }
    found
}

fn run(table: &mut Table<'_>, kind: Kind) -> Vec<Text> {
    let findings = table.findings();
    let Some(words) = table.texts("run") else {
        if kind == Kind::Command && !table.has("run") {
            missing(table, "run");
        }
        return Vec::new();
    };
    if words.is_empty() {
        findings.error("E01", table.key_span("run"), "`run` names no program");
    }
    if kind == Kind::Agent {
        findings
            .error("E01", table.key_span("run"), "`run` is for tasks that are commands")
            .help("add `kind = \"command\"`");
    }
    words.into_iter().map(|word| Text::read(word, findings)).collect()
}

fn entry_point(table: &mut Table<'_>) -> Option<(String, Text)> {
    let findings = table.findings();
    let mut inner = table.table("entry_point")?;
    let kind = required_text(&mut inner, "type");
    let value = required_text(&mut inner, "value");
    inner.finish();
    if let Some(kind) = kind.as_ref().filter(|kind| !ENTRY_POINTS.contains(&kind.value.as_str())) {
        findings
            .error("E11", kind.span, format!("`{}` is no type of entry point", kind.value))
            .maybe_help(did_you_mean(&kind.value, ENTRY_POINTS.iter().copied()))
            .note(format!("types: {}", ENTRY_POINTS.join(", ")));
    }
    Some((kind?.value, Text::read(value?, findings)))
}

/// The output of a task for each item is a list of what it says.
fn shape(kind: Kind, for_each: bool, written: Option<Shape>) -> Shape {
    match (kind, written) {
        (Kind::Unsupported, _) => Shape::Unknown,
        (Kind::Agent | Kind::Command, _) if for_each => Shape::Unknown,
        (Kind::Agent, None) => Shape::Text,
        (Kind::Command, None) => Shape::Report,
        (Kind::Agent | Kind::Command, Some(shape)) => shape,
    }
}
