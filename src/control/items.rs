//! Work items: a task of a run as the ones who look after the work see it (features N1–N14).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{AttemptId, Message, RunId, TaskError, TaskId, TaskState, WorkReport};

/// A question about items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "about")]
pub enum ItemsAsk {
    /// Many of them. Answer: [`ItemsReply`].
    List {
        /// Only those of this run; those of all runs when absent.
        run: Option<RunId>,
        /// Only those with this status (ruling Z4).
        status: Option<String>,
        /// Only hooks, instead of what they follow.
        hooks: bool,
        /// Only what began at this time or later, in milliseconds since 1970.
        since_ms: Option<i64>,
    },
    /// One. Answer: [`ItemView`].
    Show {
        /// `wf-NAME-stage-N`, `RUN/TASK`, or `TASK` of the newest run that has it.
        id: String,
    },
    /// How many there are of each kind, and how agents do. Answer: [`ItemsStats`].
    Stats,
    /// A person did it, or gave it up. Answer: [`ItemView`].
    End {
        /// Which.
        id: String,
        /// The text of the result; none when it failed.
        result: Option<String>,
        /// Why it failed; none when it succeeded.
        error: Option<String>,
    },
}

/// A task of a run, as a work item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemView {
    /// `wf-NAME-stage-N`: the plan's name, and the place of the task in it, from 1.
    pub id: String,
    /// The run.
    pub run: RunId,
    /// The task.
    pub task: TaskId,
    /// The plan's name.
    pub workflow: String,
    /// What it is about, shortened.
    pub description: String,
    /// `pending`, `in_progress`, `done`, `failed` or `skipped` (ruling Z4).
    pub status: String,
    /// The exact word.
    pub state: TaskState,
    /// The agent that works on it, did, or will.
    pub agent: Option<String>,
    /// How many attempts it has had.
    pub attempts: u32,
    /// The newest attempt (feature H9).
    pub session_key: Option<AttemptId>,
    /// What it needs, as ids of items (feature N1).
    pub depends_on: Vec<String>,
    /// The item that it follows, for a hook.
    pub hook_of: Option<String>,
    /// The item of its lead, for a worker.
    pub worker_of: Option<String>,
    /// When it began, in milliseconds since 1970.
    pub started_at_ms: Option<i64>,
    /// When it was over.
    pub ended_at_ms: Option<i64>,
    /// Files and links that it made.
    pub artifacts: Vec<WorkReport>,
    /// Tests that it ran.
    pub tests: Vec<WorkReport>,
    /// What is worth knowing.
    pub findings: Vec<WorkReport>,
    /// Its result.
    pub output: Option<Value>,
    /// Why it failed.
    pub error: Option<TaskError>,
    /// What was written by it and to it.
    pub messages: Vec<Message>,
}

/// Items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemsReply {
    /// The newest runs first, in each run the order of the plan.
    pub items: Vec<ItemView>,
}

/// How many items there are, and how agents do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ItemsStats {
    /// By status.
    pub items: std::collections::BTreeMap<String, u64>,
    /// Hooks, by status.
    pub hooks: std::collections::BTreeMap<String, u64>,
    /// Runs by state.
    pub runs: std::collections::BTreeMap<String, u64>,
    /// How each agent does.
    pub agents: Vec<Skill>,
    /// Repair tickets that were opened, the newest first.
    pub tickets: Vec<Ticket>,
}

/// How an agent does, over its last attempts (feature N12).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Skill {
    /// The agent.
    pub agent: String,
    /// How many attempts are counted.
    pub attempts: u32,
    /// The share that succeeded, 0 to 1.
    pub success_ratio: f64,
    /// The share that succeeded of as many attempts before these; none when there were too few.
    pub before: Option<f64>,
    /// How long they took on average, in milliseconds.
    pub mean_ms: u64,
    /// How many of them were made because another one had failed.
    pub retries: u32,
    /// How many failures there were since the last success.
    pub failures_in_row: u32,
}

/// A wish for repair that a hook opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    /// The item at which it was opened.
    pub item: String,
    /// The run.
    pub run: RunId,
    /// The task.
    pub task: TaskId,
    /// What is wrong.
    pub text: String,
    /// What led to it.
    pub data: Value,
}

/// What a hook is to look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HookReply {
    /// The item that it follows.
    pub item: ItemView,
    /// The schema of its result.
    pub schema: Option<Value>,
    /// How its agent does; none when a program did it.
    pub skill: Option<Skill>,
    /// The file in which the lessons of this plan are kept.
    pub lessons: std::path::PathBuf,
}
