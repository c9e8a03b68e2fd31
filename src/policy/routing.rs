//! The routing table: which agents are asked for a capability, the first choice first (features
//! I2 to I10). Reads `[routing]` and writes each agent's places in it down with the agent.

use std::collections::BTreeMap;

use crate::document::{Table, did_you_mean};

use super::agent::Agent;
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
