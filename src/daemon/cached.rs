//! What people are told about kept results: whose was taken, or why the work was done again.

use crate::control::view::CachedView;
use crate::model::{CacheFact, CacheFound, CacheSource, minutes};
use crate::workflow::Task;

/// Whose result a task took instead of being done.
pub(super) fn cached_view(task: &Task) -> Option<CachedView> {
    let (source, age_ms) = task.taken()?;
    let CacheSource { run, attempt, agent } = source.clone();
    Some(CachedView { run, attempt, agent, age_ms })
}

/// The same as a sentence.
pub(super) fn taken(task: &Task) -> Option<String> {
    let (source, age_ms) = task.taken()?;
    Some(told_of_source(source, age_ms))
}

/// What a fact about a kept result says.
pub(super) fn told(fact: &CacheFact) -> String {
    match fact {
        CacheFact::LookedUp { found, .. } => told_of_found(found),
        CacheFact::Kept { good_ms, .. } => format!("result kept for {}", age(*good_ms)),
        CacheFact::Dropped { .. } => "what is kept of this work is not taken any more".to_owned(),
    }
}

fn told_of_found(found: &CacheFound) -> String {
    match found {
        CacheFound::Good { source, age_ms } => told_of_source(source, *age_ms),
        CacheFound::Old { run, age_ms, good_ms } => {
            let (old, good) = (age(*age_ms), age(*good_ms));
            format!("cache: entry of {run} is {old} old, good for {good}")
        }
        CacheFound::Changed { since, parts } if parts.is_empty() => {
            format!("cache: no entry; this version knows the work of {since} by another key")
        }
        CacheFound::Changed { since, parts } => {
            format!("cache: no entry; {} changed since {since}", named(parts))
        }
        CacheFound::Nothing => "cache: no entry".to_owned(),
        CacheFound::Again => "cache: not asked, a person wants it done again".to_owned(),
        CacheFound::Unread { why } => format!("cache: could not be read: {why}"),
    }
}

fn told_of_source(source: &CacheSource, age_ms: u64) -> String {
    let CacheSource { run, agent, .. } = source;
    format!("from the cache: the result of {agent} in {run}, {} old", age(age_ms))
}

/// `the prompt`, `the model and the prompt`, `the agent, the model and the prompt`.
fn named(parts: &[String]) -> String {
    let parts: Vec<String> = parts.iter().map(|part| format!("the {part}")).collect();
    match parts.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

/// `40 s`, `12 min`, `5 h`, `8 d`; `ever` for what has no end.
fn age(ms: u64) -> String {
    const HOUR: u64 = 3_600_000;
    const DAY: u64 = 24 * HOUR;
    match ms {
        _ if ms < HOUR => minutes(ms),
        _ if ms < 2 * DAY => format!("{} h", ms / HOUR),
        _ if ms >= 36_500 * DAY => "ever".to_owned(),
        _ => format!("{} d", ms / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RunId;

    #[test]
    fn people_are_told_in_few_words() {
        let run = || RunId::of_day("2026-11-21", 1);
        let day = 86_400_000;
        let changed = |parts: &[&str]| CacheFound::Changed {
            since: run(),
            parts: parts.iter().map(|part| (*part).to_owned()).collect(),
        };
        for (found, expected) in [
            (CacheFound::Nothing, "cache: no entry"),
            (
                CacheFound::Old { run: run(), age_ms: 8 * day, good_ms: 7 * day },
                "cache: entry of PLAN-2026-11-21-001 is 8 d old, good for 7 d",
            ),
            (changed(&["prompt"]), "cache: no entry; the prompt changed since PLAN-2026-11-21-001"),
            (
                changed(&["agent", "model", "prompt"]),
                "cache: no entry; the agent, the model and the prompt changed since \
                 PLAN-2026-11-21-001",
            ),
        ] {
            assert_eq!(told_of_found(&found), expected);
        }
        for (ms, expected) in
            [(0, "0 s"), (119_000, "2 min"), (2 * day - 1, "47 h"), (u64::MAX / 2, "ever")]
        {
            assert_eq!(age(ms), expected);
        }
    }
}
