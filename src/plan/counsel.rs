//! Counsel about a plan as a whole: whether it is worth one, whether it has the best shape, and
//! how much its agents are given to read (features B1-B4, C3-C9, G9).

use super::depend::Dependencies;
use super::draft::{Doing, Draft, Pattern};
use super::graph::is_written;
use super::kind::Kind;
use super::words::{self, Values};
use crate::document::{Findings, Span};

/// A single task that takes less is done sooner by hand (feature B1).
const WORTH_MS: u64 = 5 * 60_000;
/// More words than this, all prompts together, are a budget to think about (feature G9).
const WORDS_MAX: usize = 20_000;
/// How many prompts a message about words names.
const PROMPTS_NAMED: usize = 3;

/// Gives it, as far as it is about any plan.
pub(crate) fn give(draft: &Draft, values: &Values, findings: &Findings<'_>) {
    alone(draft, findings);
    opinions(draft, findings);
    budget(draft, values, findings);
}

/// Gives it about a plan that has the shape of its pattern.
pub(crate) fn about_pattern(draft: &Draft, dependencies: &Dependencies, findings: &Findings<'_>) {
    let Some(pattern) = &draft.pattern else { return };
    let place = pattern.span;
    match pattern.value {
        Pattern::Pipeline => unread_pipeline(draft, place, findings),
        Pattern::FanOut => chain(draft, dependencies, place, findings),
        Pattern::Supervisor => supervisor(draft, place, findings),
        Pattern::EventDriven => event_driven(draft, place, findings),
        Pattern::ScatterGather => scatter_gather(draft, place, findings),
        Pattern::ExpertPanel | Pattern::MapReduce | Pattern::ForkJoin | Pattern::Cascade => {}
    }
    if !matches!(pattern.value, Pattern::MapReduce | Pattern::ScatterGather) {
        map_reduce(draft, place, findings);
    }
}

/// A01: one short task.
fn alone(draft: &Draft, findings: &Findings<'_>) {
    let [task] = draft.tasks.as_slice() else { return };
    let Some(expected) = &task.settings.expected else { return };
    let short = expected.value.is_some_and(|ms| ms < WORTH_MS);
    if task.kind == Kind::Agent && task.for_each.is_none() && short {
        findings
            .warning("A01", expected.span, "one task of less than 5 min needs no plan")
            .help("ask the agent itself");
    }
}

/// A02: a pipeline of steps that do not need each other.
fn unread_pipeline(draft: &Draft, place: Span, findings: &Findings<'_>) {
    let reads = |task: &super::draft::DraftTask| {
        !task.depends_on.is_empty() || task.references().iter().any(|(_, it, _)| is_of_task(it))
    };
    if draft.tasks.len() > 1 && !draft.tasks.iter().any(reads) {
        findings
            .warning("A02", place, "no step of this pipeline reads what another one gave")
            .help("independent tasks are a `fan-out`, which is faster");
    }
}

fn is_of_task(written: &super::reference::Written) -> bool {
    !["${input", "${run", "${item", "${index"].iter().any(|word| written.text.starts_with(word))
}

/// A03: one question to several.
fn opinions(draft: &Draft, findings: &Findings<'_>) {
    if draft.pattern.as_ref().is_some_and(|it| it.value == Pattern::ExpertPanel) {
        return;
    }
    for (at, task) in draft.tasks.iter().enumerate() {
        let question = task.description.value.trim();
        let same = |other: &&super::draft::DraftTask| {
            other.kind == Kind::Agent && other.description.value.trim() == question
        };
        if question.is_empty() || task.kind != Kind::Agent || draft.staged {
            continue;
        }
        if draft.tasks[..at].iter().filter(same).count() == 1 {
            let first = draft.tasks[..at].iter().find(same).map_or("", |it| it.id.value.as_str());
            let message = format!("{} is asked the same as `{first}`", task.called());
            findings
                .warning("A03", task.description.span, message)
                .help("several opinions on one question are an `expert-panel`");
        }
    }
}

/// A04: words times workers.
fn budget(draft: &Draft, values: &Values, findings: &Findings<'_>) {
    let agents = draft.tasks.iter().filter(|task| task.kind == Kind::Agent);
    let mut prompts: Vec<_> = agents
        .map(|task| (words::of_task(draft, task, values), words::copies(task), task))
        .collect();
    let times = |(words, copies, _): &(usize, usize, _)| words.saturating_mul(*copies);
    let all = prompts.iter().map(times).fold(0, usize::saturating_add);
    if all <= WORDS_MAX {
        return;
    }
    prompts.sort_by_key(|prompt| std::cmp::Reverse(times(prompt)));
    let workers: usize = prompts.iter().map(|(_, copies, _)| copies).sum();
    let message = format!("{workers} prompts have about {all} words together");
    let mut problem = findings
        .warning("A04", prompts[0].2.id.span, message)
        .help(format!("more than {WORDS_MAX} are dear; pass on single fields, or less of a file"));
    for (words, copies, task) in prompts.iter().take(PROMPTS_NAMED) {
        problem = problem.note(format!("{}: about {words} words × {copies}", task.called()));
    }
}

/// A05: items that are reduced, under another name.
fn map_reduce(draft: &Draft, place: Span, findings: &Findings<'_>) {
    let maps = draft.tasks.iter().any(|task| task.for_each.is_some());
    let reduces = draft.tasks.iter().any(|task| matches!(task.doing, Doing::Reduce(_)));
    if maps && reduces {
        findings
            .warning("A05", place, "work for each item that is put together again is a map-reduce")
            .help("say `pattern = \"map-reduce\"`");
    }
}

/// A06: a fan-out in one line.
fn chain(draft: &Draft, dependencies: &Dependencies, place: Span, findings: &Findings<'_>) {
    let follows = |at: usize| {
        let mut waits = dependencies.waits.iter();
        waits.any(|wait| wait.node == at && wait.on + 1 == at && is_written(wait.cause))
    };
    if draft.tasks.len() > 2 && (1..draft.tasks.len()).all(follows) {
        findings
            .warning("A06", place, "each task needs the one before it, so nothing fans out")
            .help("say `pattern = \"pipeline\"`");
    }
}

/// A07: nobody leads.
fn supervisor(draft: &Draft, place: Span, findings: &Findings<'_>) {
    if draft.tasks.iter().all(|task| task.lead.is_none()) {
        findings
            .warning("A07", place, "nobody leads this supervisor plan")
            .help("add `lead = true` to the task whose agent asks for workers");
    }
}

/// A08: nothing is waited for.
fn event_driven(draft: &Draft, place: Span, findings: &Findings<'_>) {
    let waits = draft.tasks.iter().any(|task| matches!(task.doing, Doing::Wait { .. }));
    if !waits && draft.triggers.is_empty() {
        findings
            .warning("A08", place, "no event is waited for in this event-driven plan")
            .help("add a task of kind `wait`, or `[[on]]`");
    }
}

/// A09: nothing is gathered before all is there.
fn scatter_gather(draft: &Draft, place: Span, findings: &Findings<'_>) {
    let phases = draft.phases.iter();
    let mut gathers = phases.map(|it| it.min_success.is_some() || it.gather_timeout_ms.is_some());
    let items = draft.tasks.iter().filter_map(|task| task.for_each.as_ref());
    let mut partly = items.map(|it| it.min_success.is_some() || it.gather_timeout_ms.is_some());
    if !gathers.any(|it| it) && !partly.any(|it| it) {
        findings
            .warning("A09", place, "this scatter-gather plan waits for every answer")
            .help("add `min_success` or `gather_timeout`");
    }
}
