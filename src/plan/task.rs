//! Reads one task.

use super::condition::When;
use super::draft::{Doing, DraftForEach, DraftLead, DraftReducer, DraftTask};
use super::hook::DraftHook;
use super::kind::{Kind, special_keys};
use super::reader::{Reader, plain_text, required_text};
use super::settings::{Settings, input_text, positive};
use super::text::{Shape, Text};
use super::{MinSuccess, OnPartialFailure, amounts, doing, shapes, templates};
use crate::document::{Spanned, Table, did_you_mean};

/// What an agent can be entered by.
const ENTRY_POINTS: &[&str] = &["command", "skill", "agent", "tool", "prompt"];

/// How many items there may be, unless the plan says (research 5.4).
const ITEMS_MAX: u32 = 1_000;

/// How many workers a lead may ask for, unless the plan says: the sweet spot of feature C3.
const WORKERS_MAX: u32 = 6;

/// A share that any one of the items makes up, and no item of none.
const ANY_ONE: MinSuccess = MinSuccess::Share(1e-6);

/// What a task takes over from its phase and from the plan.
pub(crate) struct Inherited<'a> {
    pub(crate) defaults: &'a Settings,
    pub(crate) hooks: &'a [DraftHook],
}

/// Reads a task of the phase at position `phase`.
pub(crate) fn read(
    mut table: Table<'_>,
    phase: usize,
    inherited: &Inherited<'_>,
    reader: &Reader<'_>,
) -> DraftTask {
    let findings = table.findings();
    let id = required_text(&mut table, "id").unwrap_or(Spanned::new(String::new(), table.span()));
    let kind = kind(&mut table);
    let doing = doing::read(&mut table, kind);
    let when = table.text("when").map(|text| When::read(text, findings));
    let for_each = for_each(&mut table);
    let lead = lead(&mut table);
    let messages = table.texts("messages").unwrap_or_default();
    let weight = weight(&mut table);
    let entry_point = entry_point(&mut table);
    let expert_role = plain_text(&mut table, "expert_role");
    let output_key = table.text("output_key");
    let depends_on = table.texts("depends_on").unwrap_or_default();
    let output_span = table.has("output").then(|| table.key_span("output"));
    let template = templates::read(&mut table, reader);
    let description = if kind == Kind::Agent && template.is_none() {
        required_text(&mut table, "description")
    } else {
        table.text("description")
    };
    let mut settings = Settings::read(&mut table, reader);
    means_something(&mut table, kind);
    table.finish();
    let expert = expert_role.is_some();
    settings.role = settings.role.or(expert_role);
    let mut description = description.map(|text| Text::read(text, findings)).unwrap_or_default();
    if let Some(template) = template {
        template.fill(&mut settings, &mut description);
    }
    if kind.makes_attempts() {
        settings.hooks.extend(inherited.hooks.iter().cloned());
    }
    settings.fill(inherited.defaults, kind);
    if let Some(text) = settings.idempotency.as_ref().filter(|_| kind == Kind::Agent) {
        let said = format!("This may be done more than once: {text}");
        let text = Text::made(said, id.span);
        settings.constraints.get_or_insert_default().push(text);
    }
    let own_shape = own_shape(kind, &doing, settings.output.clone());
    let shape = if for_each.is_some() { shapes::list_of(&own_shape) } else { own_shape.clone() };
    DraftTask {
        id,
        phase,
        kind,
        doing,
        when,
        for_each,
        lead,
        messages,
        weight,
        description,
        expert,
        entry_point,
        output_key,
        shape,
        own_shape,
        output_span,
        depends_on,
        settings,
    }
}

fn kind(table: &mut Table<'_>) -> Kind {
    let Some(word) = table.text("kind") else { return unsaid_kind(table) };
    let found = Kind::ALL.iter().copied().find(|kind| kind.word() == word.value);
    found.unwrap_or_else(|| {
        let words = || Kind::ALL.iter().map(|kind| kind.word());
        let message = format!("`{}` is no kind of task", word.value);
        table
            .findings()
            .error("E01", word.span, message)
            .maybe_help(did_you_mean(&word.value, words()))
            .note(format!("kinds: {}", words().collect::<Vec<_>>().join(", ")));
        Kind::Unknown
    })
}

/// A task without kind is an agent's; keys that only another kind has tell which was meant.
fn unsaid_kind(table: &Table<'_>) -> Kind {
    if table.has("kind") {
        return Kind::Unknown; // It is no text, which was reported.
    }
    for (key, meant) in [
        ("run", Kind::Command),
        ("reducer", Kind::Reduce),
        ("ask", Kind::Approve),
        ("file", Kind::Plan),
    ] {
        if table.has(key) {
            let message = match key {
                "run" => "`run` is for tasks that are commands".to_owned(),
                key => format!("`{key}` is for tasks of the kind `{}`", meant.word()),
            };
            table
                .findings()
                .error("E01", table.key_span(key), message)
                .help(format!("add `kind = \"{}\"`", meant.word()));
            return meant;
        }
    }
    Kind::Agent
}

/// Keys of other kinds.
fn means_something(table: &mut Table<'_>, kind: Kind) {
    for (key, kinds) in special_keys() {
        // All of them count as known.
        let there = table.value(key).is_some();
        if !there || kind.takes(key) {
            continue;
        }
        let of: Vec<_> = kinds.iter().map(|kind| kind.word()).collect();
        let message = match key {
            "run" => "`run` is for tasks that are commands".to_owned(),
            key => format!("`{key}` means nothing in {} task", kind.with_article()),
        };
        table
            .findings()
            .error("E01", table.key_span(key), message)
            .help(format!("it is for tasks of the kind {}", of.join(", ")));
    }
}

fn for_each(table: &mut Table<'_>) -> Option<DraftForEach> {
    let findings = table.findings();
    let over = table.value("for_each").map(|value| input_text(&value, findings));
    let key = table.text("key").map(|text| Text::read(text, findings));
    let partition = amounts::partition(table);
    let (min_items, max_items) = (table.count("min_items"), table.count("max_items"));
    let min_success = amounts::min_success(table);
    let gather = positive(table, "gather_timeout").and_then(|span| span.value);
    let policies = [OnPartialFailure::Continue, OnPartialFailure::Abort];
    let policy = table.word("on_partial_failure", &policies, OnPartialFailure::word);
    if over.is_none() {
        without_items(table);
    }
    let policy = policy.map(|policy| policy.value);
    if policy == Some(OnPartialFailure::Abort) && table.has("min_success") {
        let place = table.key_span("min_success");
        findings
            .error("E01", place, "with `on_partial_failure = \"abort\"` every item must succeed")
            .help("leave one of the two out");
    }
    let min_items = min_items.map_or(0, |count| count.value);
    let max_items = max_items.map_or(ITEMS_MAX, |count| count.value);
    if min_items > max_items || max_items == 0 {
        let place = table.key_span(if table.has("max_items") { "max_items" } else { "min_items" });
        let message = format!("no list has at least {min_items} and at most {max_items} items");
        findings.error("E10", place, message);
    }
    let by_policy = match policy {
        Some(OnPartialFailure::Continue) => Some(Spanned::new(ANY_ONE, table.span())),
        Some(OnPartialFailure::Abort) | None => None,
    };
    Some(DraftForEach {
        over: over?,
        key,
        partition,
        min_items,
        max_items,
        min_success: min_success.or(by_policy),
        gather_timeout_ms: gather,
    })
}

/// Keys about items, where there are none.
fn without_items(table: &Table<'_>) {
    let keys = [
        "key",
        "partition",
        "min_items",
        "max_items",
        "min_success",
        "gather_timeout",
        "on_partial_failure",
    ];
    if table.has("for_each") {
        return;
    }
    for key in keys.into_iter().filter(|key| table.has(key)) {
        let help = match key {
            "min_success" | "gather_timeout" | "on_partial_failure" => {
                "add `for_each`, or give it to the phase"
            }
            _ => "add `for_each = \"${…}\"`",
        };
        let message = format!("`{key}` is about items, and there is no `for_each`");
        table.findings().error("E01", table.key_span(key), message).help(help);
    }
}

/// `lead = true`, or `lead = { max_workers = 4, agents = ["codex"] }`.
fn lead(table: &mut Table<'_>) -> Option<DraftLead> {
    let value = table.value("lead")?;
    if value.kind() == crate::document::Kind::Boolean {
        let lead = DraftLead { max_workers: WORKERS_MAX, agents: Vec::new() };
        return value.flag()?.value.then_some(lead);
    }
    let mut inner = value.table()?;
    let workers = inner.count("max_workers");
    if let Some(count) = workers.as_ref().filter(|count| count.value == 0) {
        inner.findings().error("E01", count.span, "a lead without workers is no lead");
    }
    let agents = inner.texts("agents").unwrap_or_default();
    inner.finish();
    Some(DraftLead { max_workers: workers.map_or(WORKERS_MAX, |count| count.value), agents })
}

fn weight(table: &mut Table<'_>) -> Option<f64> {
    let weight = table.number("weight")?;
    if weight.value <= 0.0 {
        table.findings().error("E01", weight.span, "`weight` must be more than nothing");
    }
    Some(weight.value)
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

/// What one attempt, or what stands for it, gives.
fn own_shape(kind: Kind, doing: &Doing, written: Option<Shape>) -> Shape {
    let by = doing.reduce().map(|reduce| &reduce.by);
    match (kind, written, by) {
        (Kind::Reduce, _, Some(DraftReducer::Concat { .. })) => shapes::any_list(),
        (Kind::Reduce, _, Some(DraftReducer::Merge)) => shapes::any_table(),
        (Kind::Reduce, _, Some(DraftReducer::Vote(_))) => shapes::decision(None),
        (Kind::Reduce, _, Some(DraftReducer::Table { .. } | DraftReducer::Template(_))) => {
            Shape::Text
        }
        (Kind::Agent | Kind::Command | Kind::Wait, Some(shape), _) => shape,
        (Kind::Agent, None, _) => Shape::Text,
        (Kind::Command, None, _) => Shape::Report,
        (_, _, _) => Shape::Unknown,
    }
}
