//! Whether a plan has the shape that its `pattern` promises (E07).

use std::collections::{BTreeMap, BTreeSet};

use super::Mode;
use super::draft::{Draft, Pattern};
use crate::document::{Findings, Span};

/// Checks the shape; `after` are the positions of the phases that each phase follows. Whether it
/// has it.
pub(crate) fn check(draft: &Draft, after: &[Vec<usize>], findings: &Findings<'_>) -> bool {
    let before = findings.len();
    look(draft, after, findings);
    findings.len() == before
}

fn look(draft: &Draft, after: &[Vec<usize>], findings: &Findings<'_>) {
    let Some(pattern) = &draft.pattern else { return };
    if draft.staged && pattern.value != Pattern::Pipeline {
        let message = format!("`stages` are a pipeline, not a `{}`", pattern.value.word());
        findings.error("E07", pattern.span, message).help("leave `pattern` out");
        return;
    }
    match pattern.value {
        Pattern::Pipeline => pipeline(draft, after, findings),
        Pattern::MapReduce => map_reduce(draft, pattern.span, findings),
        Pattern::ExpertPanel => panel(draft, pattern.span, findings),
        Pattern::FanOut
        | Pattern::Supervisor
        | Pattern::ScatterGather
        | Pattern::ForkJoin
        | Pattern::EventDriven
        | Pattern::Cascade => {}
    }
}

/// A stage may be parallel inside (feature C6), but stages follow each other in one line.
fn pipeline(draft: &Draft, after: &[Vec<usize>], findings: &Findings<'_>) {
    if let [only] = draft.phases.as_slice() {
        if let Some(mode) = only.mode.as_ref().filter(|mode| mode.value == Mode::Parallel)
            && only.tasks.len() > 1
        {
            let count = only.tasks.len();
            let message = format!("a pipeline has one step at a time, not {count} in parallel");
            findings
                .error("E07", mode.span, message)
                .help("make it `sequential`, or give each step a phase");
        }
        return;
    }
    let mut side_by_side: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (phase, depth) in depths(after).into_iter().enumerate() {
        side_by_side.entry(depth).or_default().push(phase);
    }
    for phases in side_by_side.values().filter(|phases| phases.len() > 1) {
        let names: Vec<String> =
            phases.iter().map(|at| format!("`{}`", draft.phases[*at].id.value)).collect();
        let place = draft.phases[phases[1]].id.span;
        findings
            .error(
                "E07",
                place,
                format!("a pipeline does not fork, but {} do", names.join(" and ")),
            )
            .help("let each phase depend on the one before it");
    }
}

/// Phases that are part of a circle count as first; the circle is reported elsewhere.
fn depths(after: &[Vec<usize>]) -> Vec<usize> {
    let mut depths = vec![0; after.len()];
    for _ in 0..after.len() {
        for (phase, earlier) in after.iter().enumerate() {
            let deepest = earlier.iter().map(|on| depths[*on] + 1).max();
            depths[phase] = deepest.unwrap_or(0).min(after.len());
        }
    }
    depths
}

fn map_reduce(draft: &Draft, place: Span, findings: &Findings<'_>) {
    if !draft.tasks.iter().any(|task| task.for_each.is_some()) {
        findings
            .error(
                "E07",
                place,
                "a map-reduce plan has a task with `for_each`, and this one has none",
            )
            .help("for a fixed set of tasks, say `fan-out`");
    }
}

/// Opinions that come from one role are one opinion (feature C11).
fn panel(draft: &Draft, place: Span, findings: &Findings<'_>) {
    let experts = draft.tasks.iter().filter(|task| task.expert);
    let roles: BTreeSet<&str> =
        experts.filter_map(|task| task.settings.role.as_deref()).map(str::trim).collect();
    if roles.len() < 2 {
        let message = match roles.len() {
            0 => "a panel needs two experts with an `expert_role`, and this one has none",
            _ => "a panel needs two different `expert_role`s, and this one has one",
        };
        let roles = draft.tasks.iter().filter(|task| !task.expert && task.settings.role.is_some());
        let help = (roles.count() > 0)
            .then_some("`role` alone makes no expert of a task; write `expert_role` instead");
        findings.error("E07", place, message).maybe_help(help.map(str::to_owned));
    }
}
