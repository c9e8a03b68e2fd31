//! Whether there is enough of what is asked for: pools, and tasks to succeed (E10).

use super::amounts::Uses;
use super::draft::Draft;
use super::tell::place_of;
use super::{MinSuccess, Partition};
use crate::document::{Findings, Spanned, did_you_mean};

/// Checks every pool that is used, and every `min_success`.
pub(crate) fn check(draft: &Draft, findings: &Findings<'_>) {
    for phase in &draft.phases {
        pools(draft, &phase.uses, findings);
        if let Some(least) = &phase.min_success {
            let what = format!("phase `{}` has", phase.id.value);
            enough(least, phase.tasks.len(), &what, "task", findings);
        }
    }
    for task in &draft.tasks {
        pools(draft, task.settings.uses.as_deref().unwrap_or_default(), findings);
        let Some(items) = &task.for_each else { continue };
        if let (Some(least), Some(Partition::Parts(parts))) = (&items.min_success, items.partition)
        {
            let what = format!("{} has", task.called());
            enough(least, parts as usize, &what, "part", findings);
        }
    }
}

fn pools(draft: &Draft, uses: &[(Spanned<String>, u32)], findings: &Findings<'_>) {
    for (name, count) in uses {
        let place = place_of(name, findings);
        let Some(pool) = draft.limits.get(&name.value) else {
            let near = did_you_mean(&name.value, draft.limits.keys().map(String::as_str));
            let help = near.unwrap_or_else(|| format!("add `{} = {{ slots = 1 }}`", name.value));
            let message = format!("there is no pool `{}` in [limits]", name.value);
            findings.error("E10", place, message).help(help);
            continue;
        };
        if let Some(slots) = pool.slots.filter(|slots| slots < count) {
            let slots = counted(slots as usize, "slot");
            let message = format!("the pool `{}` has {slots}, not {count}", name.value);
            findings.error("E10", place, message).help("this would wait for ever");
        }
    }
}

fn enough(
    least: &Spanned<MinSuccess>,
    there: usize,
    what: &str,
    noun: &str,
    findings: &Findings<'_>,
) {
    match least.value {
        MinSuccess::Count(count) if count as usize > there => {
            let there = counted(there, noun);
            let message = format!("{what} {there}, so {count} can never succeed");
            findings.error("E10", least.span, message);
        }
        MinSuccess::Count(_) | MinSuccess::Share(_) => {}
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// What a task takes: its own say, and that of its phase about other pools.
pub(crate) fn together(own: Option<&Uses>, of_phase: &Uses) -> Vec<(String, u32)> {
    let own: Vec<(String, u32)> =
        own.into_iter().flatten().map(|(name, count)| (name.value.clone(), *count)).collect();
    let more = of_phase.iter().map(|(name, count)| (name.value.clone(), *count));
    let more: Vec<_> =
        more.filter(|(name, _)| own.iter().all(|(other, _)| other != name)).collect();
    own.into_iter().chain(more).collect()
}
