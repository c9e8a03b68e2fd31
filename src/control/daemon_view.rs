//! What the daemon shows of itself: its server, its limits, its configuration.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::{Change, Finding};

/// The daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonView {
    /// Its process.
    pub pid: i32,
    /// Its version.
    pub version: String,
    /// [`super::message::PROTOCOL`] of it.
    pub protocol: u32,
    /// When it started.
    pub started_at_ms: i64,
    /// Its home.
    pub home: PathBuf,
    /// Its tmux server.
    #[serde(default)]
    pub tmux: TmuxView,
    /// What keeps it from changing anything; absent when all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<String>,
    /// How it enforces limits of agents.
    #[serde(default)]
    pub limits: Option<LimitsView>,
    /// Whether it is about to end: it stops every agent first, and starts nobody.
    #[serde(default)]
    pub ending: bool,
}

/// The tmux server, and the last time that one died under the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TmuxView {
    /// Its process; `None` while there is none.
    pub server: Option<i32>,
    /// When the one before it died; `None` when none did.
    pub died_at_ms: Option<i64>,
    /// How many living agents had a window in that one.
    pub windows_lost: u32,
    /// How many of them have one again.
    pub windows_given_back: u32,
}

/// How limits of agents are enforced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsView {
    /// The way that is in use, and what it lacks, for a person.
    pub way: String,
    /// Whether all of them are.
    pub whole: bool,
}

/// How the configuration file stands to what holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationView {
    /// The file.
    pub path: PathBuf,
    /// Since when the last good one is kept because of a problem; null when there is none.
    pub kept_since_ms: Option<i64>,
    /// When what holds was taken up from the file; null when there never was one.
    #[serde(default)]
    pub last_good_ms: Option<i64>,
    /// What is wrong, in one sentence.
    pub problem: Option<String>,
    /// All that is wrong with it.
    pub findings: Vec<Finding>,
    /// Agents that the file has no longer, and that hold until `reload` or SIGHUP.
    pub pending_removals: Vec<String>,
}

/// Answer to `reload`: the document of `reload --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReply {
    /// The file.
    pub path: PathBuf,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// What it changes, or would.
    pub changes: Vec<Change>,
    /// Instances that run as something that they would not be started as now.
    pub stale: Vec<String>,
    /// Those of them that are restarted.
    pub restarted: Vec<String>,
}
