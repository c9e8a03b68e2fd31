//! How the daemon shows what is known of a living agent's health.

use serde::{Deserialize, Serialize};

use crate::model::{Activity, ActivitySource, BlockKind};

/// A living agent, beside its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthView {
    /// For how long it has been ready; absent while it is not.
    pub ready_ms: Option<u64>,
    /// What it does.
    pub activity: Activity,
    /// What kind of help it waits for.
    pub activity_kind: Option<BlockKind>,
    /// What it says about that.
    pub activity_message: Option<String>,
    /// Who says so.
    pub activity_source: Option<ActivitySource>,
    /// For how long it has been so.
    pub activity_ms: Option<u64>,
    /// When its heartbeat must be heard at the latest.
    pub heartbeat_in_ms: Option<u64>,
    /// Its probes.
    pub probes: Vec<ProbeView>,
}

/// What the probes of a living agent say, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthMark {
    /// `failing` when one of them fails, else `unknown` when one cannot be looked at, else
    /// `waiting` until all have passed, else `passing`.
    pub state: String,
    /// Those that fail.
    pub failing: Vec<String>,
    /// What the first that fails, or cannot be looked at, showed.
    pub message: Option<String>,
}

/// A probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeView {
    /// Its name.
    pub name: String,
    /// `waiting`, `passing`, `failing`, or `over` once the agent is being ended for it.
    pub state: String,
    /// How often in a row it failed.
    pub failures: u32,
    /// How often in a row it may.
    pub failure_threshold: u32,
    /// For how long it could not be looked at.
    pub unknown_ms: Option<u64>,
    /// Why not.
    pub unknown_why: Option<String>,
    /// How long ago it was last looked at.
    pub last_ms: Option<u64>,
    /// What that showed.
    pub last: Option<String>,
    /// When it is looked at next.
    pub next_in_ms: Option<u64>,
    /// Why nothing is done although it fails.
    pub suspended: Option<String>,
}
