//! What is said about an agent beside how it is run (features Q3, Q4), and who has a capability
//! (features I1, I2).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::document::Table;
use crate::model::words;

use super::agent::{Agent, AgentType};
use super::amount::set;

words! {
    /// How much of something.
    Level {
        /// Little.
        Low = "low",
        /// As usual.
        Medium = "medium",
        /// Much.
        High = "high",
    }
}

/// Feature Q4: who says nothing is `medium`.
impl Default for Level {
    fn default() -> Self {
        Self::Medium
    }
}

/// What is said about an agent beside how it is run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traits {
    /// How much harm it can do.
    pub risk: Level,
    /// What its work costs, as against that of others with the same capability.
    pub cost: Level,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The colour in which it is shown.
    pub color: Option<String>,
    /// Who it is, in one sentence: the role in its prompts unless the task has one.
    pub intent: Option<String>,
    /// What it is told with every task.
    pub instructions: Option<String>,
    /// The tools that it may use; whatever its program allows when empty.
    pub tools: Vec<String>,
    /// Its place in the routing table, by capability, from 0.
    pub ranks: BTreeMap<String, u32>,
    /// Whether a contract made it: it runs on another agent's program.
    pub profile: bool,
}

/// Reads the keys of an agent that say what it is.
pub(super) fn read_traits(table: &mut Table<'_>, traits: &mut Traits) {
    let level = |word: crate::document::Spanned<Level>| word.value;
    set(&mut traits.risk, table.word("risk", Level::ALL, Level::word).map(level));
    set(&mut traits.cost, table.word("cost", Level::ALL, Level::word).map(level));
    set(&mut traits.tags, texts(table, "tags"));
    set(&mut traits.tools, texts(table, "tools"));
    set(&mut traits.color, table.text("color").map(|text| Some(text.value)));
    set(&mut traits.intent, table.text("intent").map(|text| Some(text.value)));
    set(&mut traits.instructions, table.text("instructions").map(|text| Some(text.value)));
}

fn texts(table: &mut Table<'_>, key: &str) -> Option<Vec<String>> {
    Some(table.texts(key)?.into_iter().map(|text| text.value).collect())
}

/// A capability as it is compared: `Code Generation` and `code_generation` are `code-generation`.
pub fn capability(text: &str) -> String {
    text.trim().to_lowercase().replace([' ', '_'], "-")
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
    let all: std::collections::BTreeSet<String> = own.chain(routed).collect();
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
