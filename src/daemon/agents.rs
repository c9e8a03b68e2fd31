//! What is shown of agents: what they are, and how they stand.

use crate::control::agent_view::{AgentView, AgentsReply};
use crate::control::{Failure, FailureKind, Reply};
use crate::document::did_you_mean;
use crate::model::{Moment, ms};
use crate::policy::{Agent, able, capabilities};

use super::engine::Engine;

/// How an agent stands, in a word, why, and until when.
type Stands = (&'static str, String, Option<Moment>);

impl Engine {
    /// All agents, or those that have a capability, the first choice first.
    pub(super) fn agents(&self, capability: Option<&str>) -> Reply {
        let config = &self.settings.config;
        let names = match capability {
            None => config.agents.keys().cloned().collect(),
            Some(wanted) => able(&config.agents, wanted),
        };
        if let Some(wanted) = capability.filter(|_| names.is_empty()) {
            return nobody(wanted, &capabilities(&config.agents)).into();
        }
        let agents = names.iter().filter_map(|name| config.agents.get(name));
        let agents = agents.map(|agent| self.agent_view(agent)).collect();
        Reply::ok(&AgentsReply { agents, routing: config.routing.clone() })
    }

    fn agent_view(&self, agent: &Agent) -> AgentView {
        let name = agent.name.as_str();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let live = self.core.supervisor.attempts().filter(|row| row.order.agent == name).count();
        let (good, all) = self.core.workflow.standing(name).successes();
        let (state, why, until) = self.how_it_stands(agent, live);
        let now = self.clock.now();
        let wall = |at: Moment| {
            self.clock.wall_ms().saturating_add(i64::try_from(ms(at.since(now))).unwrap_or(0))
        };
        AgentView {
            name: agent.name.clone(),
            description: agent.description.clone(),
            kind: agent.kind.to_string(),
            command: agent.command.clone(),
            model: agent.model.clone(),
            capabilities: agent.capabilities.clone(),
            inputs: agent.inputs.clone(),
            outputs: agent.outputs.clone(),
            downstream: agent.downstream.clone(),
            risk: agent.traits.risk.to_string(),
            cost: agent.traits.cost.to_string(),
            tags: agent.traits.tags.clone(),
            color: agent.traits.color.clone(),
            intent: agent.traits.intent.clone(),
            tools: agent.traits.tools.clone(),
            max_parallel: agent.max_parallel,
            running: count(live),
            queued: count(self.core.workflow.waiting_for(name)),
            state: state.to_owned(),
            why,
            until_ms: until.map(wall),
            #[expect(clippy::cast_precision_loss, reason = "at most twenty")]
            success_ratio: (all > 0).then(|| good as f64 / all as f64),
            attempts: count(all),
        }
    }

    fn how_it_stands(&self, agent: &Agent, live: usize) -> Stands {
        let now = self.clock.now();
        let parked = self.core.supervisor.parked().find(|parking| parking.agent == agent.name);
        let standing = self.core.workflow.standing(&agent.name);
        if let Some(parking) = parked {
            return ("parked", parking.why.clone(), Some(parking.until));
        }
        if let Some(until) = standing.rests(now) {
            let why =
                format!("it could not be started {} times in a row", standing.failed_starts());
            return ("unavailable", why, Some(until));
        }
        match agent.max_parallel {
            Some(most) if live >= most as usize => {
                ("busy", format!("{live} of {most} attempts run"), None)
            }
            Some(_) | None => ("available", String::new(), None),
        }
    }
}

fn nobody(wanted: &str, known: &[String]) -> Failure {
    let message = format!("no agent has the capability `{wanted}`");
    let hint = did_you_mean(wanted, known.iter().map(String::as_str));
    let hint = hint.unwrap_or_else(|| format!("there is {}", known.join(", ")));
    Failure::new(FailureKind::Usage, message).hint(hint)
}
