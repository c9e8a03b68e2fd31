//! What the daemon shows of tokens, money and time (features P1 to P5).

use serde::{Deserialize, Serialize};

use crate::model::{AttemptId, Outcome, RunId, RunOutcome, RunState, TaskId};

/// Answer to `cost`: the document of `cost --json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CostReply {
    /// All of it together.
    pub total: Used,
    /// By run, the newest first.
    pub runs: Vec<RunCost>,
    /// By task, when one run was asked for; those that used most first.
    pub tasks: Vec<TaskCost>,
    /// By attempt, when one run was asked for; the oldest first.
    pub attempts: Vec<AttemptCost>,
    /// By agent, those that used most first.
    pub agents: Vec<NamedCost>,
    /// By model, those that used most first.
    pub models: Vec<NamedCost>,
    /// What could be done about it, in sentences (feature P6).
    pub advice: Vec<String>,
}

/// Tokens and money. Kinds of tokens do not overlap. Null is what nobody told; a number is known to
/// the last token when `attempts_unknown` is 0, and the least that it was otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Used {
    /// All input tokens, those of caches included.
    pub tokens_in: Option<u64>,
    /// Of them, read from a cache.
    pub cache_read: Option<u64>,
    /// Of them, written to a cache.
    pub cache_write: Option<u64>,
    /// Output tokens.
    pub tokens_out: Option<u64>,
    /// Attempts of agents of whose tokens nobody has told. Commands use none.
    #[serde(default)]
    pub attempts_unknown: u32,
    /// Dollars; null when nobody knows.
    pub cost_usd: Option<f64>,
    /// Whether a part of that comes from the price table, and not from the programs themselves.
    pub estimated: bool,
    /// Tokens whose cost nobody knows: no program told it, and the price table lacks their model.
    pub tokens_unpriced: u64,
}

/// What a run used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunCost {
    /// The run.
    pub run: RunId,
    /// The plan's name.
    pub name: String,
    /// Where it stands.
    pub state: RunState,
    /// How it ended.
    pub outcome: Option<RunOutcome>,
    /// Wall time from its start to its end, or until now.
    pub duration_ms: u64,
    /// How many agents were activated.
    pub agents: u32,
    /// How many attempts were made.
    pub attempts: u32,
    /// What it used.
    #[serde(flatten)]
    pub used: Used,
}

/// What a task used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskCost {
    /// The task.
    pub task: TaskId,
    /// The agent of its last attempt.
    pub agent: String,
    /// How many attempts were made.
    pub attempts: u32,
    /// Wall time of its attempts together.
    pub duration_ms: u64,
    /// What it used.
    #[serde(flatten)]
    pub used: Used,
}

/// What an attempt used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptCost {
    /// The attempt.
    pub attempt: AttemptId,
    /// Its task.
    pub task: TaskId,
    /// The agent.
    pub agent: String,
    /// Wall time until its end, or until now.
    pub duration_ms: u64,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What it used.
    #[serde(flatten)]
    pub used: Used,
}

/// What an agent or a model used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedCost {
    /// Its name; empty for a model that nobody told.
    pub name: String,
    /// How many attempts were made.
    pub attempts: u32,
    /// What it used.
    #[serde(flatten)]
    pub used: Used,
}

/// Answer to `history`: what earlier runs of a plan tell (features E15, P8).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HistoryReply {
    /// How many runs of it have ended; those that a person cancelled are left out.
    pub runs: u32,
    /// The share of them that completed, 0 to 1; null before the first.
    pub completion_rate: Option<f64>,
    /// How long those took on average that completed.
    pub avg_ms: Option<u64>,
    /// Its tasks, where they succeeded.
    pub tasks: Vec<TaskHistory>,
}

/// What earlier runs tell of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskHistory {
    /// The task.
    pub task: TaskId,
    /// How long it took on average, all attempts together.
    pub avg_ms: u64,
    /// Of how many runs that is.
    pub runs: u32,
}
