//! Reads `[agent.NAME.failover]`, and checks who takes over from whom once all agents are known.

use std::collections::BTreeMap;

use crate::document::{Spanned, Table, Value, did_you_mean, parse_duration};

use super::agent::{Agent, Failback, Failover};
use super::amount::{at_least_one, span_of_time};

/// The code of what is wrong with it.
const CODE: &str = "C13";
/// How many switches are allowed when nothing is said: each of them may cost an agent's work.
const SWITCHES: u32 = 3;
/// In this time, in milliseconds.
const INTERVAL_MS: u64 = 3_600_000;

/// The targets of one agent as they were written, to be checked when all agents are known.
#[derive(Debug)]
pub(super) struct Targets<'a> {
    agent: String,
    names: Vec<Spanned<String>>,
    findings: &'a crate::document::Findings<'a>,
}

/// Reads the table, if it is there. `targets` is inherited from the agent that was known before.
pub(super) fn read_failover<'a>(
    table: &mut Table<'a>,
    agent: &mut Agent,
    written: &mut Vec<Targets<'a>>,
) {
    let Some(mut failover) = table.table("failover") else { return };
    let before = agent.policy.failover.take();
    let names = failover.texts("targets");
    let said = names.as_ref().map(|names| names.iter().map(|n| n.value.clone()).collect());
    let targets: Vec<String> =
        said.or_else(|| before.as_ref().map(|b| b.targets.clone())).unwrap_or_default();
    if targets.is_empty() && (names.is_some() || !failover.has("targets")) {
        let span = failover.value_span("targets");
        let message = format!("agent `{}` has nobody to fail over to", agent.name);
        failover.findings().error(CODE, span, message).help("add `targets = [\"...\"]`");
    }
    let switches = failover.value("max_switches").and_then(|value| at_least_one(&value));
    let interval = span_of_time(&mut failover, "interval");
    let failback = failover.value("failback").and_then(|value| read_failback(&value));
    let unsaid = before.unwrap_or(Failover {
        targets: Vec::new(),
        max_switches: SWITCHES,
        interval_ms: INTERVAL_MS,
        failback: Failback::Manual,
    });
    agent.policy.failover = Some(Failover {
        targets,
        max_switches: switches.unwrap_or(unsaid.max_switches),
        interval_ms: interval.unwrap_or(unsaid.interval_ms),
        failback: failback.unwrap_or(unsaid.failback),
    });
    if let Some(names) = names {
        let findings = failover.findings();
        written.push(Targets { agent: agent.name.clone(), names, findings });
    }
    failover.finish();
}

fn read_failback(value: &Value<'_>) -> Option<Failback> {
    let text = value.text()?.value;
    let complaint = match (text.as_str(), text.strip_prefix("after:").map(parse_duration)) {
        ("manual", _) => return Some(Failback::Manual),
        ("on-idle", _) => return Some(Failback::OnIdle),
        (_, Some(Ok(Some(ms)))) => return Some(Failback::After(ms)),
        (_, Some(Ok(None))) => "has no end".to_owned(),
        (_, Some(Err(error))) => format!("has a span of time that {error}"),
        (_, None) => {
            let label = value.label();
            let message =
                format!("`{label}`: `{text}` is none of `manual`, `on-idle`, `after:...`");
            let words = ["manual", "on-idle", "after:30m"];
            value.error(message).maybe_help(did_you_mean(&text, words));
            return None;
        }
    };
    let message = format!("`{}`: `{text}` {complaint}", value.label());
    value.findings().error("C08", value.span(), message).help("write it like \"after:30m\"");
    None
}

/// Checks that every target exists, and that no agent takes over from itself, however far around.
/// A circle is told once, at the first agent of it.
pub(super) fn check_targets(written: &[Targets<'_>], agents: &BTreeMap<String, Agent>) {
    for (index, Targets { agent, names, findings }) in written.iter().enumerate() {
        let told =
            |path: &[&str]| written[..index].iter().any(|t| path.contains(&t.agent.as_str()));
        for (at, name) in names.iter().enumerate() {
            let target = &name.value;
            let report = |message: String| findings.error(CODE, name.span, message);
            if target == agent {
                report(format!("agent `{agent}` fails over to itself"));
            } else if !agents.contains_key(target) {
                let help = did_you_mean(target, agents.keys().map(String::as_str));
                let message =
                    format!("agent `{agent}` fails over to `{target}`, which does not exist");
                report(message).maybe_help(help);
            } else if names[..at].iter().any(|other| other.value == *target) {
                report(format!("agent `{agent}` fails over to `{target}` twice"));
            } else if let Some(path) = way(agents, target, agent).filter(|path| !told(path)) {
                let circle = [vec![agent.as_str()], path].concat().join(" -> ");
                report(format!("failover goes in a circle: {circle}"));
            }
        }
    }
}

/// How one comes from an agent to another by targets, if one does: a search in breadth.
fn way<'n>(agents: &'n BTreeMap<String, Agent>, from: &'n str, to: &str) -> Option<Vec<&'n str>> {
    let mut came: Vec<(&str, Option<usize>)> = vec![(from, None)];
    let mut at = 0;
    while at < came.len() {
        if came[at].0 == to {
            let back = std::iter::successors(Some(at), |at| came[*at].1);
            let mut path: Vec<_> = back.map(|at| came[at].0).collect();
            path.reverse();
            return Some(path);
        }
        let failover = agents.get(came[at].0).and_then(|agent| agent.policy.failover.as_ref());
        for target in failover.iter().flat_map(|failover| &failover.targets) {
            if came.iter().all(|(name, _)| name != target) {
                came.push((target, Some(at)));
            }
        }
        at += 1;
    }
    None
}
