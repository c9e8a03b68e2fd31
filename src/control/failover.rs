//! What the daemon shows of agents that are parked, and of those that take over.

use serde::{Deserialize, Serialize};

/// An agent that is not started before a usage limit has passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedView {
    /// The agent.
    pub agent: String,
    /// Until when.
    pub until_ms: i64,
    /// One sentence, with the text that said so.
    pub why: String,
}

/// How an instance or task stands with the agents that may take over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailoverView {
    /// The agent that serves in the place of the first one; null while that serves itself.
    pub serving: Option<String>,
    /// How many switches lie within the failover interval.
    pub switches: Option<u32>,
    /// How many may; null without a failover table.
    pub switches_max: Option<u32>,
    /// The agent that it waits for while that is parked; or its first one, while another serves.
    pub parked: Option<ParkedView>,
}
