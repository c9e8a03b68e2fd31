//! A standing agent, kept alive by the supervisor. Wanted and actual state are two facts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::outcome::words;
use super::{AttemptId, Moment, Outcome};

words! {
    /// What a person wants.
    Desired {
        /// Kept running.
        Up = "up",
        /// Kept stopped.
        Down = "down",
    }
}

words! {
    /// What is.
    InstanceState {
        /// Not running, and not about to.
        Stopped = "stopped",
        /// Launched, not running yet.
        Starting = "starting",
        /// Running.
        Running = "running",
        /// Waiting for the restart delay.
        Backoff = "backoff",
        /// Being stopped.
        Stopping = "stopping",
        /// Given up: the start limit was hit, or the policy says no restart after a failure.
        Failed = "failed",
        /// Nothing may be started: what ran before is not proven dead.
        Blocked = "blocked",
    }
}

words! {
    /// What became of an agent that left the configuration while its instance lived.
    Removal {
        /// It is not configured.
        Gone = "gone",
        /// One of its name is configured again, a new one, which waits for the end of the old one.
        Back = "back",
    }
}

words! {
    /// What a living agent is doing, as far as anybody knows. Never kills by itself.
    Activity {
        /// Busy.
        Working = "working",
        /// Waiting for work.
        Idle = "idle",
        /// Waiting for a person.
        Blocked = "blocked",
        /// Waiting for a usage limit to pass.
        RateLimited = "rate-limited",
        /// No source says.
        Unknown = "unknown",
    }
}

/// An instance as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceRow {
    /// Its name, that of the agent in the config.
    pub name: String,
    /// What a person wants.
    pub desired: Desired,
    /// What is.
    pub state: InstanceState,
    /// The attempt that lives, or the last one.
    pub attempt: Option<AttemptId>,
    /// How many attempts it has had; numbers the next one.
    pub attempts: u32,
    /// Restarts by policy since a person last started it.
    pub restarts: u32,
    /// Restarts in a row without a long enough life between: the step of the backoff.
    pub streak: u32,
    /// When the policy started it, within the start-limit window.
    pub starts: Vec<Moment>,
    /// End of the restart delay.
    pub not_before: Option<Moment>,
    /// The delay served last, in milliseconds.
    pub last_delay_ms: u64,
    /// Which failover target serves in its place.
    #[serde(default)]
    pub serving: Option<String>,
    /// When the policy switched to another agent, within the failover interval.
    #[serde(default)]
    pub switches: Vec<Moment>,
    /// What its last life left for another agent that takes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<Box<Handed>>,
    /// Whether its agent left the configuration while it lived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<Removal>,
    /// How its last life ended.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// One sentence: why it stands where it stands.
    pub why: String,
}

/// What a life leaves for an agent that takes over.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// Whose life it was.
    pub from: String,
    /// What the next agent is told.
    pub text: String,
}

/// The text holds what an agent printed, which is nobody's business in a log.
impl fmt::Debug for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handed({}, {} bytes)", self.from, self.text.len())
    }
}
