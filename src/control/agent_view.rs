//! What the daemon shows of agents: what they are, and how they stand (features I1, I13, I16).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Answer to `agents`: the document of `agents list --json` and `agents find --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentsReply {
    /// By name; those that were asked for by a capability in the order of choice.
    pub agents: Vec<AgentView>,
    /// The routing table: agents by capability, the first choice first.
    #[serde(default)]
    pub routing: BTreeMap<String, Vec<String>>,
}

/// An agent that the daemon knows: the document of `agents show --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentView {
    /// Its name.
    pub name: String,
    /// One sentence about it.
    pub description: String,
    /// `oneshot` or `service`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The model's name, if it has one.
    pub model: Option<String>,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// What it needs.
    pub inputs: Vec<String>,
    /// What it gives.
    pub outputs: Vec<String>,
    /// Where its work flows next.
    pub downstream: Vec<String>,
    /// How much harm it can do: `low`, `medium`, `high`.
    pub risk: String,
    /// What its work costs: `low`, `medium`, `high`.
    pub cost: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The colour in which it is shown.
    pub color: Option<String>,
    /// Who it is, in one sentence.
    pub intent: Option<String>,
    /// The tools that it may use; whatever its program allows when empty.
    pub tools: Vec<String>,
    /// How many of its attempts may run at once.
    pub max_parallel: Option<u32>,
    /// How many do.
    pub running: u32,
    /// How many tasks wait for it.
    pub queued: u32,
    /// `available`, `busy` (no slot is free), `parked` (a usage limit), `unavailable` (it could not
    /// be started).
    pub state: String,
    /// Why it stands so; empty when it is available.
    pub why: String,
    /// When it can be started again, if that is known; wall time in milliseconds since 1970.
    pub until_ms: Option<i64>,
    /// The share of its last attempts, 20 at most, that succeeded; null before the first.
    pub success_ratio: Option<f64>,
    /// How many attempts that share is of.
    pub attempts: u32,
}
