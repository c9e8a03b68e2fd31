//! Reads how an agent is watched: what tells that it is ready, its heartbeat, and with its
//! siblings the probes and rules.

use crate::document::Table;
use crate::model::{ReadySign, Startup};

use super::agent::Policy;
use super::amount::{read_rows, set, span_of_time, time_limit};
use super::around::Around;
use super::invocation::read_program;
use super::pattern::pattern;
use super::probes::read_probes;
use super::rules::read_rules;

/// How often it is asked whether an agent is ready.
const STARTUP_PERIOD_MS: u64 = 1_000;

/// Reads the keys over a policy; keys that are absent change nothing, lists replace lists; only
/// rules are put before those that were there, and an empty list of them takes those away.
pub(super) fn read_care(table: &mut Table<'_>, around: Around<'_>, policy: &mut Policy) {
    set(&mut policy.care.watchdog_ms, time_limit(table, "watchdog"));
    if let Some(mut startup) = table.table("startup") {
        let read = read_startup(&mut startup, around, policy.start_timeout_ms);
        startup.finish();
        set(&mut policy.care.startup, read.map(Some));
    }
    read_probes(table, around, policy);
    if table.value("on").is_some() {
        // Its own come first, so that they win over those of the agent that it builds on.
        let mut rules = read_rules(table, around);
        if !rules.is_empty() {
            rules.append(&mut policy.care.rules);
        }
        policy.care.rules = rules;
    }
    check_watchdog(table, policy);
}

fn read_startup(
    table: &mut Table<'_>,
    around: Around<'_>,
    limit_ms: Option<u64>,
) -> Option<Startup> {
    let sign = read_sign(table, around);
    let period_ms = span_of_time(table, "period").unwrap_or(STARTUP_PERIOD_MS);
    let timeout_ms = span_of_time(table, "timeout");
    let startup = Startup { sign: sign?, period_ms, timeout_ms };
    if timeout_ms.or(limit_ms).is_some_and(|limit_ms| period_ms > limit_ms) {
        let key = if table.has("period") { "period" } else { "timeout" };
        let message = "the `timeout` of `startup` is shorter than its `period`";
        table.findings().error("C12", table.value_span(key), message);
    }
    Some(startup)
}

/// The one sign that is named.
fn read_sign(table: &mut Table<'_>, around: Around<'_>) -> Option<ReadySign> {
    let notify = table.flag("notify").is_some_and(|flag| flag.value);
    let (has_screen, has_exec) = (table.has("screen"), table.has("exec"));
    let screen = pattern(table, "screen");
    let command = table.value("exec").and_then(|value| read_program(&value, around.base_dir));
    let rows = read_rows(table);
    let complaint = match usize::from(notify) + usize::from(has_screen) + usize::from(has_exec) {
        0 => Some("`startup` says nothing that tells when the agent is ready"),
        1 if table.has("rows") && !has_screen => {
            Some("`rows` is about a `screen`, and none is named")
        }
        1 => None,
        _ => Some("`startup` names more than one sign"),
    };
    if let Some(complaint) = complaint {
        let problem = table.findings().error("C12", table.span(), complaint);
        problem.help("name one of `notify = true`, `screen = \"...\"` and `exec = [\"...\"]`");
        return None;
    }
    match (screen, command) {
        (Some(pattern), _) => Some(ReadySign::Screen { pattern, rows }),
        (None, Some(command)) => Some(ReadySign::Exec { command }),
        (None, None) => notify.then_some(ReadySign::Notify),
    }
}

/// A heartbeat that may stay away longer than the agent may live would never be missed.
fn check_watchdog(table: &Table<'_>, policy: &Policy) {
    let Some(key) = ["watchdog", "probe", "timeout"].into_iter().find(|key| table.has(key)) else {
        return;
    };
    let (Some(watchdog), Some(timeout)) = (policy.care.watchdog_ms, policy.timeout_ms) else {
        return;
    };
    if watchdog >= timeout {
        let told = crate::document::show_duration;
        let message = format!(
            "the heartbeat may stay away for {}, and the agent lives no longer than {}",
            told(watchdog),
            told(timeout)
        );
        let problem = table.findings().error("C06", table.value_span(key), message);
        problem.help("make `watchdog` shorter than `timeout`");
    }
}
