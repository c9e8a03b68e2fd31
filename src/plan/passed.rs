//! What a plan or its agents say and what does not reach a program (W07), and what does not come
//! back from one (W08).

use std::collections::BTreeSet;

use super::draft::{Draft, DraftTask};
use super::kind::Kind;
use super::staff::{Staff, Team};
use super::surroundings::Surroundings;
use super::tell::place_of;
use crate::document::{Findings, Span, Spanned};
use crate::model::UsageFormat;
use crate::policy::{Agent, MODEL_HELP, TOOLS_HELP};

/// What to do about a budget that nothing is known of.
const USAGE_HELP: &str = "give it a command that prints what it used, and name the format in \
                          `usage`, such as \"claude\"; else a time limit is a limit too";

struct Search<'a> {
    staff: &'a Staff,
    surroundings: &'a Surroundings<'a>,
    findings: &'a Findings<'a>,
    /// What was told already: where, and about whom.
    told: BTreeSet<(usize, String)>,
}

/// Tells it. In a demonstration every agent is another one.
pub(crate) fn check(
    draft: &Draft,
    staff: &Staff,
    surroundings: &Surroundings<'_>,
    findings: &Findings<'_>,
) {
    if surroundings.demo {
        return;
    }
    let mut search = Search { staff, surroundings, findings, told: BTreeSet::new() };
    for (task, team) in draft.tasks.iter().zip(&staff.teams) {
        search.model_of(task, team);
        search.said_by_agents(task, team);
        if let Some(budget) = &task.settings.budget {
            search.budget(budget.span, &team.names);
        }
    }
    if let Some(budget) = &draft.budget {
        let all: BTreeSet<&String> = staff.teams.iter().flat_map(|team| &team.names).collect();
        search.budget(budget.span, all);
    }
}

impl Search<'_> {
    fn agent(&self, name: &str) -> Option<&Agent> {
        self.staff.agents.get(name).filter(|agent| !agent.command.is_empty())
    }

    /// The model of a task is meant for its first agent, and for others on the same program.
    fn model_of(&mut self, task: &DraftTask, team: &Team) {
        let agent = team.names.first().and_then(|name| self.agent(name));
        let (Some(model), Some(agent)) = (&task.settings.model, agent) else { return };
        if agent.passes_model() || task.kind != Kind::Agent {
            return;
        }
        let name = agent.name.clone();
        let message = format!("`model` is not passed on to `{name}`, which takes none");
        self.warn("W07", model.span, name, &message, MODEL_HELP);
    }

    /// What agents of the configuration say; those of the plan are told where they are written.
    fn said_by_agents(&mut self, task: &DraftTask, team: &Team) {
        for name in &team.names {
            let configured = self.surroundings.agents.get(name);
            let Some(agent) = self.agent(name).filter(|agent| configured == Some(*agent)) else {
                continue;
            };
            let settings = &task.settings;
            let named = settings.agent.iter().chain(settings.fallback.iter().flatten());
            let named = named.filter(|named| named.value == *name).chain(&settings.capability);
            let place = named.map(|named: &Spanned<String>| place_of(named, self.findings)).next();
            let place = place.unwrap_or(task.id.span);
            let (model, tools) = (
                agent.model.is_some() && !agent.passes_model() && settings.model.is_none(),
                !agent.traits.tools.is_empty() && !agent.passes_tools(),
            );
            for (unheard, key, help) in [(model, "model", MODEL_HELP), (tools, "tools", TOOLS_HELP)]
            {
                if unheard && self.told.insert((0, format!("{key} of {name}"))) {
                    let message =
                        format!("the `{key}` of `{name}` is not passed on to its program");
                    self.findings.warning("W07", place, message).help(help);
                }
            }
        }
    }

    fn budget<'n>(&mut self, place: Span, names: impl IntoIterator<Item = &'n String>) {
        let mute = names
            .into_iter()
            .filter(|name| self.agent(name).is_some_and(|agent| agent.usage == UsageFormat::None));
        let mute: Vec<String> = mute.map(|name| format!("`{name}`")).collect();
        if mute.is_empty() {
            return;
        }
        let who = mute.join(", ");
        let message = format!("this budget does not count what {who} uses: nothing tells it");
        self.warn("W08", place, who, &message, USAGE_HELP);
    }

    fn warn(&mut self, code: &str, place: Span, about: String, message: &str, help: &str) {
        if self.told.insert((place.start, about)) {
            self.findings.warning(code, place, message).help(help);
        }
    }
}
