//! The routing table: which agents are asked for a capability, the first choice first (features
//! I2 to I10). Reads `[routing]` and writes each agent's places in it down with the agent.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::{Table, did_you_mean};

use super::agent::{Agent, AgentType};
use super::contract::Contract;
use super::traits::capability;

/// The code of what is wrong with the table.
const CODE: &str = "C15";

/// Agents by capability.
pub(super) type Routing = BTreeMap<String, Vec<String>>;

/// Reads `[routing]` over the table that was known; a line replaces the line of its capability.
pub(super) fn read_routing(
    root: &mut Table<'_>,
    agents: &BTreeMap<String, Agent>,
    known: &Routing,
) -> Routing {
    let mut routing = known.clone();
    let Some(mut table) = root.table("routing") else { return routing };
    for (name, _) in table.entries() {
        let Some(names) = table.texts(&name.value) else { continue };
        if names.is_empty() {
            let message = format!("nobody is named for `{}`", name.value);
            let problem = table.findings().error(CODE, name.span, message);
            problem.help("leave the line out to have all that say that they can do it");
        }
        for agent in names.iter().filter(|agent| !agents.contains_key(&agent.value)) {
            let message = format!("`{}`: there is no agent `{}`", name.value, agent.value);
            let help = did_you_mean(&agent.value, agents.keys().map(String::as_str));
            table.findings().error(CODE, agent.span, message).maybe_help(help);
        }
        let names = names.into_iter().map(|agent| agent.value).collect();
        routing.insert(capability(&name.value), names);
    }
    table.finish();
    routing
}

/// Writes down with each agent where it stands in the table.
pub(super) fn rank(agents: &mut BTreeMap<String, Agent>, routing: &Routing) {
    agents.values_mut().for_each(|agent| agent.traits.ranks.clear());
    for (capability, names) in routing {
        for (place, name) in (0..).zip(names) {
            if let Some(agent) = agents.get_mut(name) {
                agent.traits.ranks.entry(capability.clone()).or_insert(place);
            }
        }
    }
}

/// Makes the agents of contracts that no table makes: each runs on the program of the one that it
/// extends, or of the default one. `nearer` holds the agents as this very file has them; those that
/// are `written` in it stay as they are.
pub(super) fn add_profiles(
    agents: &mut BTreeMap<String, Agent>,
    contracts: &BTreeMap<String, Contract>,
    default: &str,
    nearer: Option<&BTreeMap<String, Agent>>,
    written: &[String],
) {
    for contract in contracts.values().filter(|contract| !written.contains(&contract.name)) {
        let made = agents.get(&contract.name).is_none_or(|agent| agent.traits.profile);
        if !made {
            if let Some(agent) = agents.get_mut(&contract.name) {
                contract.describe(agent);
            }
            continue;
        }
        let base = contract.extends.as_deref().unwrap_or(default);
        let real = |agent: &&Agent| !agent.traits.profile;
        let found = nearer.and_then(|agents| agents.get(base)).filter(real);
        let found = found.or_else(|| agents.get(base).filter(real));
        if let Some(agent) = found.map(|base| contract.on(base)) {
            agents.insert(contract.name.clone(), agent);
        }
    }
}

impl Agent {
    /// Whether it says that it can do that.
    pub fn can(&self, wanted: &str) -> bool {
        let wanted = capability(wanted);
        self.capabilities.iter().any(|own| capability(own) == wanted)
    }
}

/// The agents that are to be asked for a capability, the first choice first (features I2–I10).
///
/// Where the routing table has the capability, its agents count, in its order. Elsewhere all that
/// say that they can do it, the cheaper ones first, then by name.
pub fn able(agents: &BTreeMap<String, Agent>, wanted: &str) -> Vec<String> {
    let wanted = capability(wanted);
    let takes_tasks = |agent: &&Agent| agent.kind == AgentType::Oneshot;
    let tasks = || agents.values().filter(takes_tasks);
    let mut routed: Vec<(u32, &str)> = tasks()
        .filter_map(|agent| Some((*agent.traits.ranks.get(&wanted)?, agent.name.as_str())))
        .collect();
    if !routed.is_empty() {
        routed.sort_unstable();
        return routed.into_iter().map(|(_, name)| name.to_owned()).collect();
    }
    let mut found: Vec<&Agent> = tasks().filter(|agent| agent.can(&wanted)).collect();
    found.sort_by_key(|agent| (agent.traits.cost, agent.name.clone()));
    found.into_iter().map(|agent| agent.name.clone()).collect()
}

/// Every capability that some agent has, for suggestions.
pub fn capabilities(agents: &BTreeMap<String, Agent>) -> Vec<String> {
    let own =
        agents.values().flat_map(|agent| agent.capabilities.iter().map(|own| capability(own)));
    let routed = agents.values().flat_map(|agent| agent.traits.ranks.keys().cloned());
    let all: BTreeSet<String> = own.chain(routed).collect();
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Level;

    fn agent(name: &str, capabilities: &[&str], cost: Level) -> (String, Agent) {
        let mut agent = Agent::new(name);
        agent.capabilities = capabilities.iter().map(|text| (*text).to_owned()).collect();
        agent.traits.cost = cost;
        (name.to_owned(), agent)
    }

    /// Features I1, I2: who has a capability, the cheaper first; the routing table beats both.
    #[test]
    fn agents_are_found_by_what_they_can_do() {
        let mut agents = BTreeMap::from([
            agent("dear", &["review"], Level::High),
            agent("usual", &["Review", "write"], Level::Medium),
            agent("cheap", &["review"], Level::Low),
        ]);
        assert_eq!(able(&agents, "review"), ["cheap", "usual", "dear"]);
        assert_eq!(able(&agents, "write"), ["usual"]);
        assert!(able(&agents, "fly").is_empty());
        agents.get_mut("dear").unwrap().traits.ranks.insert("review".to_owned(), 0);
        assert_eq!(able(&agents, "REVIEW"), ["dear"]);
        assert_eq!(capabilities(&agents), ["review", "write"]);
    }

    #[test]
    fn capabilities_are_compared_as_people_write_them() {
        for text in ["Code Generation", "code_generation", " code-generation "] {
            assert_eq!(capability(text), "code-generation");
        }
    }
}
