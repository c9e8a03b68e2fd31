//! What an agent asks of the daemon that runs it: `spawn`, `note`, `msg`. Who asks is known by the
//! process that asks, so no request names its task.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{
    AttemptId, Message, Spent, TaskError, TaskId, TaskState, WorkReport, WorkerWish,
};

/// What an agent asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verb")]
pub enum Inside {
    /// A worker. Answer: [`WorkerView`].
    Spawn {
        /// What it is to do.
        wish: WorkerWish,
    },
    /// All workers so far. Answer: [`WorkersReply`].
    Workers,
    /// One worker. Answer: [`WorkerView`], at once or when it is over.
    Worker {
        /// Its name.
        name: String,
        /// How long to wait for its end, in milliseconds.
        wait_ms: u64,
    },
    /// Something worth keeping. Answer: [`NotedReply`].
    Report {
        /// What.
        report: WorkReport,
    },
    /// What was used since the last such report. Answer: [`NotedReply`].
    Spent {
        /// How much.
        spent: Spent,
    },
    /// A message to another agent. Answer: [`NotedReply`].
    Send {
        /// The task that is to read it.
        to: String,
        /// What it says.
        text: String,
        /// Sending twice with the same key is sending once.
        key: String,
    },
    /// What was written to the agent. Answer: [`InboxReply`], at once or when there is something.
    Inbox {
        /// Only messages with a higher number.
        since: u64,
        /// How long to wait for one, in milliseconds.
        wait_ms: u64,
    },
    /// May it take an action? Answer: [`ActionReply`], at once or when it is decided.
    Action {
        /// What it wants to do.
        text: String,
        /// The action's tier.
        tier: u8,
        /// How long to wait for an answer, in milliseconds.
        wait_ms: u64,
    },
    /// The answer of a lead to its worker. Answer: [`NotedReply`].
    Answer {
        /// The question.
        ask: String,
        /// The answer.
        yes: bool,
    },
    /// What a hook found about the task that it follows; once for each hook. Answer:
    /// [`NotedReply`].
    Found {
        /// What.
        report: WorkReport,
    },
    /// What a hook is to look at. Answer: [`super::items::HookReply`].
    Hook,
}

/// A worker, as its lead sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerView {
    /// Its name.
    pub name: String,
    /// Its task.
    pub task: TaskId,
    /// The agent that works on it, did, or will.
    pub agent: Option<String>,
    /// Where it stands.
    pub state: TaskState,
    /// Whether it was there before it was asked for, and is not done again.
    #[serde(default)]
    pub known: bool,
    /// How many attempts it has had.
    pub attempts: u32,
    /// The newest of them.
    pub session_key: Option<AttemptId>,
    /// Its result, when it succeeded.
    pub output: Option<Value>,
    /// Why it failed, when it did.
    pub error: Option<TaskError>,
}

/// All workers of a lead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkersReply {
    /// In the order in which they were asked for.
    pub workers: Vec<WorkerView>,
    /// How many it may have in all.
    pub max_workers: u32,
}

/// Something was written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotedReply {
    /// False when it was known already.
    pub recorded: bool,
}

/// What was written to an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InboxReply {
    /// The oldest first.
    pub messages: Vec<Message>,
}

/// What was decided about an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionReply {
    /// The name of the question.
    pub ask: String,
    /// `yes` or `no`; none while nobody has decided.
    pub answer: Option<String>,
    /// Who decided: `tier`, `person`, or a task.
    pub by: Option<String>,
    /// Who is to decide: `person`, or a task.
    pub waits_for: Option<String>,
}
