//! Advice about single tasks: what works, but works badly (W01, W02, W04-W06; W03 is given where
//! `max_parallel` is read).

use super::DependsCause;
use super::depend::Dependencies;
use super::draft::{Draft, DraftTask};
use super::kind::Kind;
use super::names;
use super::target::Target;
use super::text::{InputText, Text};
use super::words::{of_output, of_prompt};
use super::{schema, shapes};
use crate::document::Findings;

/// Longer prompts lose the agent's attention (feature G10).
const WORDS_MAX: usize = 500;
/// Longer tasks should be two (features B2, G11).
const EXPECTED_MAX_MS: u64 = 15 * 60_000;

/// More words than this in one output are too many to be passed on unread.
const OUTPUT_MAX: usize = 2_000;

/// Gives it.
pub(crate) fn give(draft: &Draft, dependencies: &Dependencies, findings: &Findings<'_>) {
    let mut followed = vec![false; draft.tasks.len()];
    for wait in &dependencies.waits {
        // The next phase may follow for the sake of the order alone.
        followed[wait.on] |= wait.cause != DependsCause::Phase;
    }
    for (at, task) in draft.tasks.iter().enumerate() {
        long_prompt(task, findings);
        long_work(task, findings);
        whole_outputs(draft, task, findings);
        twice_done(task, findings);
        if followed[at] && !dependencies.read[at] {
            unread(task, findings);
        }
    }
}

fn long_prompt(task: &DraftTask, findings: &Findings<'_>) {
    let words = of_prompt(task);
    if task.kind == Kind::Agent && words > WORDS_MAX {
        let message =
            format!("the prompt of {} has {words} words before its inputs", task.called());
        findings
            .warning("W01", task.description.span, message)
            .help(format!("keep it under {WORDS_MAX}: move material into input_context, or split"));
    }
}

fn long_work(task: &DraftTask, findings: &Findings<'_>) {
    const ADVICE: &str = "split what takes more than 15 min";
    let (id, settings) = (task.called(), &task.settings);
    let expected = settings.expected.as_ref().and_then(|span| Some((span.value?, span.span)));
    let timeout = settings.timeout.as_ref().and_then(|span| Some((span.value?, span.span)));
    match (expected, timeout) {
        (Some((ms, place)), _) if ms > EXPECTED_MAX_MS => {
            let message = format!("{id} is expected to take more than 15 min");
            findings.warning("W02", place, message).help(ADVICE);
        }
        // Ruling Z14: an attempt that may take longer does not come back sooner for the hope.
        (_, Some((ms, place))) if ms > EXPECTED_MAX_MS && task.kind == Kind::Agent => {
            let message = format!("{id} may take more than 15 min");
            findings.warning("W02", place, message).help(ADVICE);
        }
        (_, _) => {}
    }
    if let (Some((expected, _)), Some((timeout, place))) = (expected, timeout)
        && timeout < expected
    {
        let message = format!("the timeout of {id} is shorter than its expected time");
        findings.warning("W02", place, message);
    }
}

/// Said of tasks only that name their output themselves and that others wait for: the output of
/// the last tasks is what the plan is for.
fn unread(task: &DraftTask, findings: &Findings<'_>) {
    let named = task.output_key.as_ref().map(|key| key.span).or(task.output_span);
    if let Some(place) = named {
        let message = format!("nobody reads the output of {}", task.called());
        findings.warning("W04", place, message);
    }
}

/// W05: a large table goes into a prompt as a whole (feature C7). A list has no one part that
/// would do.
fn whole_outputs(draft: &Draft, task: &DraftTask, findings: &Findings<'_>) {
    if task.kind != Kind::Agent {
        return;
    }
    let mut look = |text: &Text| {
        for written in text.references() {
            let Ok(Target::Output { task: of, path }) = names::target(draft, written) else {
                continue;
            };
            let (of, whole) = (&draft.tasks[of], shapes::schema(&draft.tasks[of].shape));
            let fields = whole["properties"].as_object().map_or(0, serde_json::Map::len);
            let words = of_output(of);
            if !path.is_empty() || schema::kind(&whole) != Some("object") || fields < 2 {
                continue;
            }
            if words > OUTPUT_MAX {
                let place = text.place(findings.source(), &written.range);
                let message = format!(
                    "all of the output of {} is passed on, about {words} words",
                    of.called()
                );
                findings
                    .warning("W05", place, message)
                    .help("name the field that is needed, `.output.field`");
            }
        }
    };
    look(&task.description);
    task.settings.inputs().for_each(|(_, value): &(_, InputText)| value.for_each_text(&mut look));
}

/// W06: an attempt that changes something is made again.
fn twice_done(task: &DraftTask, findings: &Findings<'_>) {
    let settings = &task.settings;
    let Some(effects) = settings.effects.as_ref().filter(|effects| effects.value) else { return };
    if settings.retries != Some(0) && settings.idempotency.is_none() {
        let message = format!("{} has effects, and is tried again after a failure", task.called());
        findings
            .warning("W06", effects.span, message)
            .help("set `retries = 0`, or say in `idempotency` why that does no harm");
    }
}
