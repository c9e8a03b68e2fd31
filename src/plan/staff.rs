//! The agents of a plan: who does each task, whether they exist, and whether their programs do
//! (E06).

use std::collections::{BTreeMap, BTreeSet};

use super::depend::place_of;
use super::draft::{Draft, DraftTask, Kind};
use super::surroundings::Surroundings;
use crate::document::{Findings, Spanned, did_you_mean};
use crate::model::Severity;
use crate::policy::{Agent, chain};

/// The agent that stands in for every other in a demonstration.
const DEMO: &str = "demo";

/// Checks them, and gives the definitions of those that are used.
pub(crate) fn check(
    draft: &Draft,
    surroundings: &Surroundings<'_>,
    findings: &Findings<'_>,
) -> BTreeMap<String, Agent> {
    let mut used = BTreeMap::new();
    let mut asked = BTreeSet::new();
    for task in draft.tasks.iter().filter(|task| task.kind == Kind::Agent) {
        let names = agents_of(task);
        if names.is_empty() && !surroundings.demo {
            let message = format!("{} has no agent", task.called());
            findings
                .error("E06", task.id.span, message)
                .help("add `agent = \"…\"` to it or to [defaults]");
        }
        twice(&names, findings);
        for name in names {
            let Some(agent) = find(name, draft, surroundings, findings) else { continue };
            if !surroundings.demo && asked.insert(name.value.clone()) {
                program(name, &agent, surroundings, findings);
            }
            used.insert(name.value.clone(), agent);
        }
        if surroundings.demo && task.settings.agent.is_none() {
            let name = Spanned::new(DEMO.to_owned(), task.id.span);
            used.extend(
                find(&name, draft, surroundings, findings).map(|agent| (name.value, agent)),
            );
        }
    }
    // Whoever may take over is frozen with the others. A program that is missing there is found out
    // when it is its turn, and then the next one is.
    let heads: Vec<String> = used.keys().cloned().collect();
    for name in heads.iter().filter(|_| !surroundings.demo).flat_map(|n| chain(&draft.agents, n)) {
        if let Some(agent) = draft.agents.get(&name) {
            used.entry(name).or_insert_with(|| agent.clone());
        }
    }
    used
}

/// The names of a task's agents, the primary first.
pub(crate) fn agents_of(task: &DraftTask) -> Vec<&Spanned<String>> {
    task.settings.agent.iter().chain(task.settings.fallback.iter().flatten()).collect()
}

/// The names as the run will have them; a demonstration needs no agent to be named.
pub(crate) fn names_of(task: &DraftTask, demo: bool) -> Vec<String> {
    let mut names: Vec<String> =
        agents_of(task).into_iter().map(|name| name.value.clone()).collect();
    if demo && task.settings.agent.is_none() {
        names.insert(0, DEMO.to_owned());
    }
    names
}

fn find(
    name: &Spanned<String>,
    draft: &Draft,
    surroundings: &Surroundings<'_>,
    findings: &Findings<'_>,
) -> Option<Agent> {
    if surroundings.demo {
        let Some(demo) = draft.agents.get(DEMO) else {
            findings.error("E06", name.span, "there is no agent `demo` to stand in for the others");
            return None;
        };
        return Some(Agent { name: name.value.clone(), ..demo.clone() });
    }
    let known = draft.agents.get(&name.value);
    if known.is_none() {
        let all = draft.agents.keys().map(String::as_str);
        findings
            .error("E06", place_of(name, findings), format!("unknown agent `{}`", name.value))
            .maybe_help(did_you_mean(&name.value, all));
    }
    known.cloned()
}

fn twice(names: &[&Spanned<String>], findings: &Findings<'_>) {
    for (at, name) in names.iter().enumerate().skip(1) {
        let message = match names[..at].iter().position(|other| other.value == name.value) {
            None => continue,
            Some(0) => format!("the fallback `{}` is the agent itself", name.value),
            Some(_) => format!("the fallback `{}` is listed twice", name.value),
        };
        findings.error("E06", place_of(name, findings), message);
    }
}

fn program(
    name: &Spanned<String>,
    agent: &Agent,
    surroundings: &Surroundings<'_>,
    findings: &Findings<'_>,
) {
    // An agent without command was reported where it is written.
    let Some(program) = agent.command.first() else { return };
    if (surroundings.has_program)(agent) {
        return;
    }
    let message = format!("the program `{program}` of agent `{}` was not found", name.value);
    let place = place_of(name, findings);
    let problem = match surroundings.missing_program {
        Severity::Error => findings.error("E06", place, message),
        Severity::Warning => findings.warning("E06", place, message),
    };
    problem.help("install it, name another agent, or try the plan with `--demo`");
}
