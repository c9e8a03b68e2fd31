//! Reads what stands around the phases: stages instead of them, what events start, and what comes
//! after everything.

use super::condition::When;
use super::draft::{Doing, DraftPhase, DraftSubPlan, DraftTask, DraftTrigger};
use super::kind::Kind;
use super::reader::{Reader, missing, required_text};
use super::settings::{Settings, named_values};
use super::text::{InputText, Shape, Text};
use crate::document::{Spanned, Table};

/// The name under which a stage is given the output of the one before it.
const PREVIOUS: &str = "previous";

/// `stages = [{ capability, goal }, …]`: a pipeline with a task per stage, each of which is given
/// the output of the one before it (features I17, I18, N1). `None` when there are none.
pub(crate) fn stages(
    root: &mut Table<'_>,
    defaults: &Settings,
    reader: &Reader<'_>,
) -> Option<(Vec<DraftPhase>, Vec<DraftTask>)> {
    let place = root.key_span("stages");
    let written = root.tables("stages");
    if !root.has("stages") {
        return None;
    }
    let findings = root.findings();
    if root.has("task") || root.has("phase") {
        // Both count as known.
        let (_, _) = (root.value("task"), root.value("phase"));
        findings
            .error("E01", place, "`stages` stand in the place of tasks and phases")
            .help("write the rest as stages too, or all of it as tasks");
    }
    if written.is_empty() {
        findings.error("E01", place, "the plan has no stages").help("add one to the list");
    }
    let read = written.into_iter().enumerate();
    let tasks: Vec<_> = read.map(|(at, table)| stage(table, at, defaults, reader)).collect();
    Some((vec![DraftPhase::main(place, tasks.len())], tasks))
}

fn stage(mut table: Table<'_>, at: usize, defaults: &Settings, reader: &Reader<'_>) -> DraftTask {
    let place = table.span();
    let goal = required_text(&mut table, "goal");
    let mut settings = Settings::read(&mut table, reader);
    table.finish();
    if at > 0 {
        let before = Text::made(format!("${{stage-{}.output}}", at - 1), place);
        let name = Spanned::new(PREVIOUS.to_owned(), place);
        settings.input_context.get_or_insert_default().push((name, InputText::Text(before)));
    }
    settings.fill(defaults, Kind::Agent);
    let shape = settings.output.clone().unwrap_or(Shape::Text);
    DraftTask {
        id: Spanned::new(format!("stage-{at}"), place),
        phase: 0,
        kind: Kind::Agent,
        doing: Doing::Agent,
        when: None,
        for_each: None,
        lead: None,
        messages: Vec::new(),
        weight: None,
        description: goal.map(|goal| Text::read(goal, reader.findings)).unwrap_or_default(),
        expert: false,
        entry_point: None,
        output_key: None,
        shape: shape.clone(),
        own_shape: shape,
        output_span: None,
        depends_on: Vec::new(),
        settings,
    }
}

/// `[[on]] event = "…", start = "plan.toml"` (feature C17).
pub(crate) fn triggers(root: &mut Table<'_>) -> Vec<DraftTrigger> {
    root.tables("on").into_iter().filter_map(trigger).collect()
}

fn trigger(mut table: Table<'_>) -> Option<DraftTrigger> {
    let event = required_text(&mut table, "event");
    let when = table.text("when").map(|text| When::read(text, table.findings()));
    let file = required_text(&mut table, "start");
    let inputs = named_values(&mut table, "inputs").unwrap_or_default();
    table.finish();
    let start = DraftSubPlan { file: file?, inputs };
    Some(DraftTrigger { event: event?.value, when, start })
}

/// `[on_finish] run = ["program", "argument"]`.
pub(crate) fn finish(root: &mut Table<'_>) -> Option<Vec<Text>> {
    let mut table = root.table("on_finish")?;
    let findings = table.findings();
    let words = table.texts("run");
    if !table.has("run") {
        missing(&table, "run");
    }
    if words.as_ref().is_some_and(Vec::is_empty) {
        findings.error("E01", table.key_span("run"), "`run` names no program");
    }
    table.finish();
    Some(words?.into_iter().map(|word| Text::read(word, findings)).collect())
}
