//! Advice: what works, but works badly (W01, W02, W04; W03 is given where `max_parallel` is read).

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::DependsCause;
use super::depend::Dependencies;
use super::draft::{Draft, DraftTask};
use super::kind::Kind;
use super::text::Text;
use crate::document::Findings;

/// Longer prompts lose the agent's attention (feature G10).
const WORDS_MAX: usize = 500;
/// Longer tasks should be two (features B2, G11).
const EXPECTED_MAX_MS: u64 = 15 * 60_000;

/// Gives it.
pub(crate) fn give(
    draft: &Draft,
    dependencies: &Dependencies,
    inputs: &BTreeMap<String, Json>,
    findings: &Findings<'_>,
) {
    let _ = inputs;
    let mut followed = vec![false; draft.tasks.len()];
    for wait in &dependencies.waits {
        // The next phase may follow for the sake of the order alone.
        followed[wait.on] |= wait.cause != DependsCause::Phase;
    }
    for (at, task) in draft.tasks.iter().enumerate() {
        long_prompt(task, findings);
        long_work(task, findings);
        if followed[at] && !dependencies.read[at] {
            unread(task, findings);
        }
    }
}

fn long_prompt(task: &DraftTask, findings: &Findings<'_>) {
    let constraints = task.settings.constraints.iter().flatten();
    let entry = task.entry_point.iter().map(|(_, value)| value);
    let texts = constraints.chain(entry).chain([&task.description]);
    let role = task.settings.role.as_deref().map_or(0, count);
    let words = role + texts.map(|text: &Text| count(&text.value)).sum::<usize>();
    if task.kind == Kind::Agent && words > WORDS_MAX {
        let message =
            format!("the prompt of {} has {words} words before its inputs", task.called());
        findings
            .warning("W01", task.description.span, message)
            .help(format!("keep it under {WORDS_MAX}: move material into input_context, or split"));
    }
}

fn count(text: &str) -> usize {
    text.split_whitespace().count()
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
        (None, Some((ms, place))) if ms > EXPECTED_MAX_MS && task.kind == Kind::Agent => {
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
