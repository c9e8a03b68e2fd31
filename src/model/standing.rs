//! What stands besides instances and outlives a daemon: groups of instances, and agents that wait
//! for a usage limit to pass.

use serde::{Deserialize, Serialize};

use super::{Moment, StartReason};

/// A group of instances as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRow {
    /// Its name.
    pub name: String,
    /// When the policy restarted members of it, within its start-limit window.
    pub starts: Vec<Moment>,
    /// Whether its limit was hit and a person has to act.
    pub failed: bool,
    /// Members that are to be started, in this order, each when the one before is ready.
    pub to_start: Vec<String>,
    /// Why those are started, but for one whose own policy restarts it.
    pub reason: StartReason,
    /// One sentence: why it stands where it stands.
    pub why: String,
}

/// An agent that is not started before a usage limit has passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parking {
    /// The agent.
    pub agent: String,
    /// Until when, on the ledger's clock.
    pub until: Moment,
    /// The same in wall time, milliseconds since 1970; for people only.
    pub until_ms: i64,
    /// How often in a row a limit did not say when it is over: each time is longer.
    #[serde(default)]
    pub unsaid: u32,
    /// One sentence, with the text that said so.
    pub why: String,
}
