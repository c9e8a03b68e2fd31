//! The agents of a plan: who does each task, whether they exist, and whether their programs do
//! (E06).

use std::collections::{BTreeMap, BTreeSet};

use super::Capability;
use super::draft::{Draft, DraftTask};
use super::hook;
use super::hook::HookRun;
use super::kind::Kind;
use super::surroundings::Surroundings;
use super::tell::place_of;
use crate::document::{Findings, Spanned, did_you_mean};
use crate::model::Severity;
use crate::policy::{Agent, AgentType, able, capabilities, chain};

/// The agent that stands in for every other in a demonstration.
const DEMO: &str = "demo";

/// Who does the tasks of a plan.
#[derive(Debug, Default)]
pub(crate) struct Staff {
    /// The definitions of all that are used.
    pub(crate) agents: BTreeMap<String, Agent>,
    /// Those of each task, in the order of the tasks.
    pub(crate) teams: Vec<Team>,
}

/// Who may do a task.
#[derive(Debug, Default)]
pub(crate) struct Team {
    /// Names, in the order in which they are asked.
    pub(crate) names: Vec<String>,
    /// The capability that was asked for.
    pub(crate) capability: Option<Capability>,
}

struct Search<'a> {
    draft: &'a Draft,
    surroundings: &'a Surroundings<'a>,
    findings: &'a Findings<'a>,
    staff: Staff,
    /// Those whose programs have been looked for.
    asked: BTreeSet<String>,
    /// Capabilities and hooks that nobody has, which is told once for each place.
    told: BTreeSet<(usize, String)>,
}

/// Checks them, and gives the definitions of those that are used.
pub(crate) fn check(
    draft: &Draft,
    surroundings: &Surroundings<'_>,
    findings: &Findings<'_>,
) -> Staff {
    let (staff, asked, told) = (Staff::default(), BTreeSet::new(), BTreeSet::new());
    let mut search = Search { draft, surroundings, findings, staff, asked, told };
    for task in &draft.tasks {
        let team = search.team(task);
        search.staff.teams.push(team);
        search.hooks(task);
        for name in task.lead.iter().flat_map(|lead| &lead.agents) {
            search.take(name);
        }
        if task.lead.as_ref().is_some_and(|lead| lead.agents.is_empty()) {
            search.own_agents(task);
        }
    }
    let mut staff = search.staff;
    // Whoever may take over is frozen with the others. A program that is missing there is found out
    // when it is its turn, and then the next one is.
    let heads: Vec<String> = staff.agents.keys().cloned().collect();
    for name in heads.iter().filter(|_| !surroundings.demo).flat_map(|n| chain(&draft.agents, n)) {
        if let Some(agent) = draft.agents.get(&name) {
            staff.agents.entry(name).or_insert_with(|| agent.clone());
        }
    }
    staff
}

impl Search<'_> {
    fn team(&mut self, task: &DraftTask) -> Team {
        if task.kind != Kind::Agent {
            return Team::default();
        }
        let named: Vec<&Spanned<String>> =
            task.settings.agent.iter().chain(task.settings.fallback.iter().flatten()).collect();
        twice(&named, self.findings);
        for name in &named {
            self.take(name);
        }
        let mut names: Vec<String> = named.iter().map(|name| name.value.clone()).collect();
        if let Some(wanted) = &task.settings.capability {
            let able = self.able(wanted);
            names.retain(|name| !able.contains(name));
            let capability = Capability { name: wanted.value.clone(), able: able.len() };
            let names = able.into_iter().chain(names).collect();
            return Team { names, capability: Some(capability) };
        }
        if task.settings.agent.is_some() {
            return Team { names, capability: None };
        }
        if self.surroundings.demo {
            self.take(&Spanned::new(DEMO.to_owned(), task.id.span));
            names.insert(0, DEMO.to_owned());
        } else if names.is_empty() {
            let message = format!("{} has no agent", task.called());
            self.findings
                .error("E06", task.id.span, message)
                .help("add `agent = \"…\"` to it or to [defaults]");
        }
        Team { names, capability: None }
    }

    /// Those who can do something, the first choice first; those whose program is missing only if all
    /// are.
    fn able(&mut self, wanted: &Spanned<String>) -> Vec<String> {
        let agents = &self.draft.agents;
        let names = able(agents, &wanted.value);
        let all: Vec<&Agent> = names.iter().filter_map(|name| agents.get(name)).collect();
        if all.is_empty() {
            if self.surroundings.demo {
                self.take(&Spanned::new(DEMO.to_owned(), wanted.span));
                return vec![DEMO.to_owned()];
            }
            self.nobody_can(wanted);
            return Vec::new();
        }
        let there =
            |agent: &&&Agent| self.surroundings.demo || (self.surroundings.has_program)(agent);
        let there: Vec<&Agent> = all.iter().filter(there).copied().collect();
        let chosen = if there.is_empty() { all } else { there };
        let names: Vec<String> = chosen.iter().map(|agent| agent.name.clone()).collect();
        for name in &names {
            self.take(&Spanned::new(name.clone(), wanted.span));
        }
        names
    }

    fn nobody_can(&mut self, wanted: &Spanned<String>) {
        if !self.told.insert((wanted.span.start, wanted.value.clone())) {
            return;
        }
        let known = capabilities(&self.draft.agents);
        let near = did_you_mean(&wanted.value, known.iter().map(String::as_str));
        let list = known.into_iter().take(12).collect::<Vec<_>>().join(", ");
        let help = near.unwrap_or_else(|| match list.as_str() {
            "" => "no agent says what it can do; add `capabilities` to one".to_owned(),
            list => format!("there is: {list}"),
        });
        let message = format!("no agent can do `{}`", wanted.value);
        self.findings.error("E06", place_of(wanted, self.findings), message).help(help);
    }

    fn hooks(&mut self, task: &DraftTask) {
        for hook in &task.settings.hooks {
            let HookRun::Word(word) = &hook.run else { continue };
            if hook::BUILT_IN.contains(&word.value.as_str()) {
                continue;
            }
            if self.surroundings.demo || self.draft.agents.contains_key(&word.value) {
                self.take(word);
            } else if self.told.insert((word.span.start, word.value.clone())) {
                let agents = self.draft.agents.keys().map(String::as_str);
                let known = hook::BUILT_IN.iter().copied().chain(agents);
                let message = format!("`{}` is neither a hook nor an agent", word.value);
                self.findings
                    .error("E06", place_of(word, self.findings), message)
                    .maybe_help(did_you_mean(&word.value, known))
                    .note(format!("hooks: {}", hook::BUILT_IN.join(", ")));
            }
        }
    }

    /// A lead that may have any agent may have those that come with the plan, named or not.
    fn own_agents(&mut self, task: &DraftTask) {
        let configured = |name: &String| self.surroundings.agents.get(name);
        let agents = self.draft.agents.iter();
        let own = agents.filter(|(name, agent)| configured(name) != Some(*agent));
        let tasks = own.filter(|(_, agent)| agent.kind == AgentType::Oneshot);
        let names: Vec<String> = tasks.map(|(name, _)| name.clone()).collect();
        for name in names {
            let found = self.find(&Spanned::new(name.clone(), task.id.span));
            if let Some(agent) = found {
                self.staff.agents.entry(name).or_insert(agent);
            }
        }
    }

    /// Adds an agent to those that are used; one that is not there is reported.
    fn take(&mut self, name: &Spanned<String>) {
        let Some(agent) = self.find(name) else { return };
        if !self.surroundings.demo && self.asked.insert(name.value.clone()) {
            self.program(name, &agent);
        }
        self.staff.agents.insert(name.value.clone(), agent);
    }

    fn find(&self, name: &Spanned<String>) -> Option<Agent> {
        if self.surroundings.demo {
            let Some(demo) = self.draft.agents.get(DEMO) else {
                let message = "there is no agent `demo` to stand in for the others";
                self.findings.error("E06", name.span, message);
                return None;
            };
            return Some(Agent { name: name.value.clone(), ..demo.clone() });
        }
        let known = self.draft.agents.get(&name.value);
        if known.is_none() {
            let all = self.draft.agents.keys().map(String::as_str);
            let message = format!("unknown agent `{}`", name.value);
            self.findings
                .error("E06", place_of(name, self.findings), message)
                .maybe_help(did_you_mean(&name.value, all));
        }
        known.cloned()
    }

    fn program(&self, name: &Spanned<String>, agent: &Agent) {
        // An agent without command was reported where it is written.
        let Some(program) = agent.command.first() else { return };
        if (self.surroundings.has_program)(agent) {
            return;
        }
        let message = format!("the program `{program}` of agent `{}` was not found", name.value);
        let place = place_of(name, self.findings);
        let problem = match self.surroundings.missing_program {
            Severity::Error => self.findings.error("E06", place, message),
            Severity::Warning => self.findings.warning("E06", place, message),
        };
        problem.help("install it, name another agent, or try the plan with `--demo`");
    }
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
