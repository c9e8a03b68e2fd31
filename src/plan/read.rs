//! Reads the outermost keys of a plan, its phases and its inputs.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::condition::When;
use super::draft::{Draft, DraftPhase, DraftTask, InputDraft, InputKind, Pattern};
use super::reader::{Reader, plain_text, required_text};
use super::settings::{Settings, positive};
use super::task::{self, Inherited};
use super::{Approval, Mode, OnPartialFailure, amounts, around, hook};
use crate::document::{Span, Spanned, Table};
use crate::policy::read_agents;

/// More attempts than this at once are refused.
pub(crate) const MAX_PARALLEL: u32 = 1024;

/// After so many final failures a person is asked, unless the plan says (feature K10).
const STOP_AFTER: u32 = 3;

/// Reads the whole plan; what is wrong is reported, and replaced by something harmless.
pub(crate) fn plan(mut root: Table<'_>, reader: &Reader<'_>) -> Draft {
    let name = required_text(&mut root, "plan");
    let goal = plain_text(&mut root, "goal").unwrap_or_default();
    let pattern = root.word("pattern", Pattern::ALL, Pattern::word);
    let max_parallel = max_parallel(&mut root);
    let approvals = [Approval::None, Approval::Plan, Approval::EachPhase];
    let approval = root.word("approval", &approvals, approval_word);
    let approval = approval.map_or(Approval::Plan, |approval| approval.value);
    let approval_expires_ms = approval_expires(&mut root, approval);
    let defaults = defaults(&mut root, reader);
    let inputs_span = root.key_span("inputs");
    let inputs = inputs(&mut root);
    let known = reader.surroundings.agents;
    let agents = read_agents(&mut root, reader.surroundings.base_dir, known);
    let staged = root.has("stages");
    let (phases, tasks) = match around::stages(&mut root, &defaults, reader) {
        Some(stages) => stages,
        None => phases(&mut root, &defaults, reader),
    };
    let stop_after_failures = root.count("stop_after_failures");
    let budget = amounts::budget(&mut root);
    let limits = amounts::limits(&mut root);
    let triggers = around::triggers(&mut root);
    let finish = around::finish(&mut root);
    root.finish();
    Draft {
        name: name.map(|name| name.value).unwrap_or_default(),
        goal,
        pattern,
        max_parallel,
        approval,
        approval_expires_ms,
        phases,
        tasks,
        inputs,
        inputs_span,
        agents,
        stop_after_failures: stop_after_failures.map_or(STOP_AFTER, |count| count.value),
        budget,
        limits,
        triggers,
        finish,
        staged,
    }
}

fn max_parallel(root: &mut Table<'_>) -> Option<u32> {
    let count = root.count("max_parallel")?;
    if !(1..=MAX_PARALLEL).contains(&count.value) {
        let message =
            format!("`max_parallel` must be between 1 and {MAX_PARALLEL}, not {}", count.value);
        root.findings().error("E01", count.span, message);
        return None;
    }
    if count.value > 6 {
        let message = format!("{} agents at once get into each other's way", count.value);
        root.findings().warning("W03", count.span, message).help("3 to 6 is the sweet spot");
    }
    Some(count.value)
}

/// How long the plan's own questions wait.
fn approval_expires(root: &mut Table<'_>, approval: Approval) -> Option<u64> {
    let span = positive(root, "approval_expires")?;
    if approval == Approval::None {
        let message = "`approval_expires` beside `approval = \"none\"` never happens";
        root.findings().error("E01", span.span, message).help("leave out one of them");
    }
    span.value
}

const fn approval_word(approval: Approval) -> &'static str {
    match approval {
        Approval::None => "none",
        Approval::Plan => "plan",
        Approval::EachPhase => "each-phase",
    }
}

fn defaults(root: &mut Table<'_>, reader: &Reader<'_>) -> Settings {
    let Some(mut table) = root.table("defaults") else { return Settings::default() };
    let settings = Settings::read(&mut table, reader);
    table.finish();
    settings
}

/// `[[phase]]`, or `[[task]]` as the one phase `main`.
fn phases(
    root: &mut Table<'_>,
    defaults: &Settings,
    reader: &Reader<'_>,
) -> (Vec<DraftPhase>, Vec<DraftTask>) {
    let (mut phases, mut tasks) = (Vec::new(), Vec::new());
    let place = root.key_span("task");
    let loose = root.tables("task");
    let written = root.tables("phase");
    if !loose.is_empty() {
        if !written.is_empty() {
            root.findings()
                .error("E01", place, "`[[task]]` stands beside `[[phase]]`")
                .help("put it into a phase: `[[phase.task]]`");
        }
        let inherited = Inherited { defaults, hooks: &[] };
        tasks.extend(loose.into_iter().map(|table| task::read(table, 0, &inherited, reader)));
        phases.push(DraftPhase::main(place, tasks.len()));
    }
    for table in written {
        let at = phases.len();
        phases.push(phase(table, at, defaults, reader, &mut tasks));
    }
    if tasks.is_empty() {
        root.findings()
            .error("E01", Span::default(), "the plan has no tasks")
            .help("add a `[[task]]`");
    }
    (phases, tasks)
}

impl DraftPhase {
    /// The phase of tasks that stand in none.
    pub(crate) fn main(place: Span, tasks: usize) -> Self {
        Self {
            id: Spanned::new("main".to_owned(), place),
            mode: None,
            after: None,
            on_partial_failure: OnPartialFailure::Continue,
            when: None,
            min_success: None,
            gather_timeout_ms: None,
            max_parallel: None,
            uses: Vec::new(),
            tasks: 0..tasks,
        }
    }
}

fn phase(
    mut table: Table<'_>,
    at: usize,
    defaults: &Settings,
    reader: &Reader<'_>,
    tasks: &mut Vec<DraftTask>,
) -> DraftPhase {
    let id = required_text(&mut table, "id").unwrap_or(Spanned::new(String::new(), table.span()));
    let mode = table.word("execution_mode", &[Mode::Parallel, Mode::Sequential], mode_word);
    let after = table.texts("depends_on_phases");
    let policies = [OnPartialFailure::Continue, OnPartialFailure::Abort];
    let policy = table.word("on_partial_failure", &policies, OnPartialFailure::word);
    let when = table.text("when").map(|text| When::read(text, reader.findings));
    let min_success = amounts::min_success(&mut table);
    let gather = positive(&mut table, "gather_timeout").and_then(|span| span.value);
    let max_parallel = max_parallel(&mut table);
    let uses = amounts::uses(&mut table).unwrap_or_default();
    let hooks = hook::read(&mut table);
    let inherited = Inherited { defaults, hooks: &hooks };
    let first = tasks.len();
    for inner in table.tables("task") {
        tasks.push(task::read(inner, at, &inherited, reader));
    }
    if tasks.len() == first && !table.has("task") {
        let message = match id.value.as_str() {
            "" => "a phase without id has no tasks".to_owned(),
            id => format!("phase `{id}` has no tasks"),
        };
        table.findings().error("E01", id.span, message).help("add a `[[phase.task]]`");
    }
    table.finish();
    let on_partial_failure = policy.map_or(OnPartialFailure::Continue, |policy| policy.value);
    DraftPhase {
        id,
        mode,
        after,
        on_partial_failure,
        when,
        min_success,
        gather_timeout_ms: gather,
        max_parallel,
        uses,
        tasks: first..tasks.len(),
    }
}

const fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Parallel => "parallel",
        Mode::Sequential => "sequential",
    }
}

fn inputs(root: &mut Table<'_>) -> BTreeMap<String, InputDraft> {
    let entries = root.table("inputs").map(|mut table| table.entries()).unwrap_or_default();
    let read = entries.into_iter().filter_map(|(name, value)| {
        let mut table = value.table()?;
        let kinds = [
            InputKind::String,
            InputKind::Number,
            InputKind::Boolean,
            InputKind::File,
            InputKind::List,
        ];
        let kind = table.word("type", &kinds, InputKind::word);
        let required = table.flag("required");
        table.text("description");
        let default = table.value("default").map(|value| Spanned::new(value.json(), value.span()));
        table.finish();
        let kind = kind.map_or(InputKind::String, |kind| kind.value);
        let required = required.is_some_and(|required| required.value);
        Some((name.value.clone(), InputDraft { name, kind, required, default }))
    });
    read.collect()
}

impl InputKind {
    /// As it is written.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            InputKind::String => "string",
            InputKind::Number => "number",
            InputKind::Boolean => "boolean",
            InputKind::File => "file",
            InputKind::List => "list",
        }
    }

    /// Whether a default may be of that value.
    pub(crate) fn fits(self, value: &Json) -> bool {
        match self {
            InputKind::String | InputKind::File => value.is_string(),
            InputKind::Number => value.is_number(),
            InputKind::Boolean => value.is_boolean(),
            InputKind::List => value.is_array(),
        }
    }
}
