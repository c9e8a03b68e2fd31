//! What the daemon shows of itself: the values inside `ok` and `event`. Times are wall clock in
//! milliseconds since 1970 (`…_ms` of a moment) or spans in milliseconds, as each field says.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use super::doing::ActivityView;
pub use super::explained::{Counter, Decision, NextAction};
pub use super::health::{HealthMark, HealthView, ProbeView};

use crate::model::{
    AttemptId, AttemptState, Desired, InstanceState, Outcome, RunId, RunOutcome, RunState,
    SkipReason, TaskError, TaskId, TaskState, Token,
};

pub use super::daemon_view::{ConfigurationView, DaemonView, LimitsView, ReloadReply, TmuxView};
use super::failover::{FailoverView, ParkedView};
use super::steer::{AskView, SteeringView, WaitingView};

/// Answer to `ps`: the document of `ps --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PsReply {
    /// The daemon; `None` (`null`) when none runs.
    pub daemon: Option<DaemonView>,
    /// Standing agents, by name.
    pub instances: Vec<InstanceView>,
    /// Attempts of tasks that are not over.
    pub attempts: Vec<AttemptView>,
    /// Agents that wait for a usage limit to pass, by name.
    #[serde(default)]
    pub parked: Vec<ParkedView>,
    /// What live runs ask persons, each under `RUN/NAME`.
    #[serde(default)]
    pub asks: Vec<AskView>,
    /// How the configuration file stands to what holds.
    #[serde(default)]
    pub configuration: Option<ConfigurationView>,
}

/// A standing agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceView {
    /// Its name.
    pub name: String,
    /// The group that it is a member of.
    #[serde(default)]
    pub group: Option<String>,
    /// What is.
    pub state: InstanceState,
    /// What a person wants.
    pub desired: Desired,
    /// What it does.
    pub activity: ActivityView,
    /// How it is, in its own words. Not to be trusted.
    pub status: Option<String>,
    /// Whether it is ready.
    pub ready: bool,
    /// The agent's process.
    pub pid: Option<i32>,
    /// How long that has run.
    pub uptime_ms: Option<u64>,
    /// Restarts by policy since a person last started it.
    pub restarts: u32,
    /// Always null; an instance works for no run.
    #[serde(default)]
    pub run: Option<RunId>,
    /// Always null.
    #[serde(default)]
    pub task: Option<TaskId>,
    /// Its living attempt, or the last one.
    pub attempt: Option<AttemptId>,
    /// tmux window id.
    pub window: Option<String>,
    /// The fence of the living attempt.
    pub token: Option<String>,
    /// What its probes say; null when it has none, or does not run.
    #[serde(default)]
    pub health: Option<HealthMark>,
    /// How the last life ended.
    pub outcome: Option<Outcome>,
    /// One sentence: why it stands where it stands.
    pub why: String,
    /// Whether it runs as something that it would not be started as now: its command, environment
    /// or the like has changed in the configuration.
    #[serde(default)]
    pub stale: bool,
    /// Who serves, and who may take over.
    #[serde(flatten)]
    pub failover: FailoverView,
}

/// A live attempt of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptView {
    /// Its label, the name of its window.
    pub name: String,
    /// Its id.
    pub attempt: AttemptId,
    /// Where it stands.
    pub state: AttemptState,
    /// The agent, or `command`.
    pub agent: String,
    /// What it does.
    pub activity: ActivityView,
    /// How it is, in its own words. Not to be trusted.
    pub status: Option<String>,
    /// Whether it is ready.
    pub ready: bool,
    /// The agent's process.
    pub pid: Option<i32>,
    /// How long that has run.
    pub uptime_ms: Option<u64>,
    /// Attempts of the task before this one.
    pub restarts: u32,
    /// The run.
    pub run: Option<RunId>,
    /// The task.
    pub task: Option<TaskId>,
    /// tmux window id; null for one without a window.
    pub window: Option<String>,
    /// What its probes say; null when it has none.
    #[serde(default)]
    pub health: Option<HealthMark>,
    /// Its fence.
    pub token: String,
    /// How it ended; null while it lives.
    pub outcome: Option<Outcome>,
}

/// Answer to `submit`, `approve` and `cancel`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReply {
    /// The run.
    pub run: RunId,
    /// Where it stands.
    pub state: RunState,
}

/// Answer to `runs`: the document of `runs --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunsReply {
    /// The newest first.
    pub runs: Vec<RunSummary>,
}

/// A run in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The run.
    pub run: RunId,
    /// The plan's name.
    pub name: String,
    /// What it is for.
    pub goal: String,
    /// Where it stands.
    pub state: RunState,
    /// How it ended.
    pub outcome: Option<RunOutcome>,
    /// When it was submitted.
    pub started_at_ms: i64,
    /// How long it took, or has taken so far.
    pub elapsed_ms: u64,
    /// How many tasks it has.
    pub tasks: u32,
    /// How many of them succeeded.
    pub successful: u32,
    /// How many failed for good.
    pub failed: u32,
    /// How many were skipped or cancelled.
    pub skipped: u32,
    /// Why it stands there: `user`, `failures`, `limit`, …
    #[serde(default)]
    pub why: Option<String>,
    /// How many of its questions wait for an answer.
    #[serde(default)]
    pub asks: usize,
    /// The run that it is a part of.
    #[serde(default)]
    pub parent: Option<RunId>,
}

/// Answer to `show`: the document of `show --json`, and the snapshot of `watch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    /// The run.
    pub run: RunId,
    /// The plan's name.
    pub name: String,
    /// What it is for.
    pub goal: String,
    /// Where it stands.
    pub state: RunState,
    /// Why, for a pause.
    pub why: Option<String>,
    /// How it ended.
    pub outcome: Option<RunOutcome>,
    /// The first error in dependency order, when everything failed.
    pub root_cause: Option<String>,
    /// When it was submitted.
    pub started_at_ms: i64,
    /// How long it took, or has taken so far.
    pub elapsed_ms: u64,
    /// How many attempts may run at once.
    pub max_parallel: u32,
    /// The file it was read from.
    pub path: PathBuf,
    /// Ids of its phases, in the order of the file.
    pub phases: Vec<String>,
    /// Its tasks, in the order of the file.
    pub tasks: Vec<TaskView>,
    /// The tasks whose output no other task reads: together they are the result (feature O5).
    pub finals: Vec<TaskId>,
    /// How it is steered.
    #[serde(flatten)]
    pub steering: SteeringView,
}

/// A task of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskView {
    /// Its id.
    pub task: TaskId,
    /// Its phase.
    pub phase: String,
    /// What it is about, shortened.
    pub description: String,
    /// Where it stands.
    pub state: TaskState,
    /// The agent that works on it, did, or will.
    pub agent: Option<String>,
    /// The newest attempt.
    pub attempt: Option<AttemptId>,
    /// How many attempts it has had.
    pub attempts: u32,
    /// How many of them count against what it may have; a usage limit uses none. Unknown to an
    /// older daemon.
    #[serde(default)]
    pub attempts_counted: Option<u32>,
    /// How many that count it may have.
    pub attempts_max: u32,
    /// The label of the newest attempt.
    pub label: Option<String>,
    /// tmux window id of the newest attempt.
    pub window: Option<String>,
    /// The process of the newest attempt.
    pub pid: Option<i32>,
    /// Why the newest attempt failed.
    pub error: Option<TaskError>,
    /// Why it was skipped.
    pub skip_reason: Option<SkipReason>,
    /// When the newest attempt started.
    pub started_at_ms: Option<i64>,
    /// How long the task took, or has taken since its first attempt.
    pub elapsed_ms: Option<u64>,
    /// How long it was expected to take.
    pub expected_ms: Option<u64>,
    /// How long until the next attempt.
    pub retry_in_ms: Option<u64>,
    /// What it waits for.
    pub needs: Vec<TaskId>,
    /// What it waits for beside tasks, and how it does.
    #[serde(flatten)]
    pub waiting: WaitingView,
    /// Whose result it took instead of being done; absent for all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<CachedView>,
}

/// The attempt of an earlier run whose result a task took instead of being done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedView {
    /// Its run.
    pub run: RunId,
    /// Itself.
    pub attempt: AttemptId,
    /// Its agent, or `command`.
    pub agent: String,
    /// How old the result was when it was taken.
    pub age_ms: u64,
}

/// Answer to `wait`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitReply {
    /// What was waited for.
    pub target: String,
    /// The word of the state it is in.
    pub state: String,
    /// How the run ended.
    pub outcome: Option<RunOutcome>,
    /// Whether the state is the one that was waited for; false after the time limit, and when it
    /// can no longer be reached.
    pub reached: bool,
}

/// Answer to `up`, `down`, `start`, `stop`, `restart` and `reset-failed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitsReply {
    /// One per instance.
    pub units: Vec<UnitReply>,
}

/// What came of a wish for one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitReply {
    /// Its name.
    pub name: String,
    /// The answer.
    pub answer: Answer,
    /// Where it stands.
    pub state: InstanceState,
    /// One sentence.
    pub why: String,
}

/// The three answers to a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It will be so.
    Accepted,
    /// It was so.
    Already,
    /// It will not be so.
    Denied,
}

/// Answer to `why`: the document of `why --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhyReply {
    /// What was asked about, in full.
    pub target: String,
    /// The word of its state.
    pub state: String,
    /// One sentence.
    pub why: String,
    /// What was decided or found, the newest first.
    pub decisions: Vec<Decision>,
    /// Restarts, attempts, starts in the window and the like, by name.
    pub counters: BTreeMap<String, Counter>,
    /// What comes next.
    pub next: Option<NextAction>,
    /// Who serves, and who may take over.
    #[serde(flatten)]
    pub failover: FailoverView,
    /// How its living agent is, if there is one.
    #[serde(default)]
    pub health: Option<HealthView>,
}

/// Answer to `attach`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachReply {
    /// The socket of the tmux server.
    pub socket: PathBuf,
    /// The session's name.
    pub session: String,
    /// Window id, `@7`; the session's current one when absent.
    pub window: Option<String>,
    /// What a pane of the window is marked with, by which it is told from a window of another
    /// server, or of another attempt, that has the same id.
    #[serde(default)]
    pub token: Option<Token>,
}

/// Answer to `logs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogsReply {
    /// The oldest first.
    pub attempts: Vec<AttemptPlace>,
}

/// Where the files of an attempt are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptPlace {
    /// Its id.
    pub attempt: AttemptId,
    /// Its number, from 1.
    pub n: u32,
    /// Its label.
    pub label: String,
    /// The agent, or `command`.
    pub agent: String,
    /// Where it stands.
    pub state: AttemptState,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Its directory.
    pub dir: PathBuf,
}
