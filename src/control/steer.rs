//! What is shown of how a run is steered: its questions, what its tasks wait for, and the answers
//! to the requests that steer it.

use serde::{Deserialize, Serialize};

use super::failover::ParkedView;
use crate::model::{AskKind, Parent, RunId, RunState, TaskId};

/// A question that a person is to answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskView {
    /// Its name within the run: a task's id, `plan`, `phase:ID`, `failures-1`, …; with its run
    /// before it, `RUN/NAME`, where another run asks than the one that is looked at.
    pub id: String,
    /// What it is about.
    pub kind: AskKind,
    /// The task that waits for it.
    pub task: Option<TaskId>,
    /// The question.
    pub question: String,
    /// The answers that are understood.
    pub answers: Vec<String>,
    /// How long it waits; for ever when null.
    pub expires_in_ms: Option<u64>,
    /// The answer that counts when nobody gives one until then.
    pub on_expire: Option<String>,
    /// The command that answers it.
    pub how: String,
}

/// How a run is steered, beside its state. Its fields stand in the run's own table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SteeringView {
    /// The questions that wait for an answer.
    #[serde(default)]
    pub asks: Vec<AskView>,
    /// Whether nothing goes on before a person has answered.
    #[serde(default)]
    pub waits_for_person: bool,
    /// The run, and the task of it, that it is a part of.
    #[serde(default)]
    pub parent: Option<Parent>,
    /// The usage limits that a run waits for that is paused for them.
    #[serde(default)]
    pub limits: Vec<ParkedView>,
}

/// What a task waits for, or how it does. Its fields stand in the task's own table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingView {
    /// The run that it waits for.
    #[serde(default)]
    pub child: Option<RunId>,
    /// The event that it waits for.
    #[serde(default)]
    pub event: Option<String>,
    /// Whether it takes more than twice as long as expected (feature K13).
    #[serde(default)]
    pub late: bool,
}

/// Answer to `answer`: the document of `approve --json` and `decide --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerReply {
    /// The run.
    pub run: RunId,
    /// Where it stands.
    pub state: RunState,
    /// The question.
    pub ask: String,
    /// The answer.
    pub answer: String,
}

/// Answer to `retry`: the document of `retry --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryReply {
    /// The run.
    pub run: RunId,
    /// Where it stands.
    pub state: RunState,
    /// What is done again.
    pub again: Vec<TaskId>,
    /// What is not, and read one of those while it had no result.
    #[serde(default)]
    pub stale: Vec<StaleView>,
}

/// A task whose result was made without something that is there now, or will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaleView {
    /// The task.
    pub task: TaskId,
    /// What it was made without.
    pub read: TaskId,
}

/// Answer to `emit`: the document of `emit --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmitReply {
    /// The event.
    pub event: String,
    /// Whether one with the same key came before; then nothing happened.
    pub repeated: bool,
    /// Whether nobody waited for it, so that it is kept for the first who does.
    pub kept: bool,
}

/// Answer to `cleanup`: the document of `cleanup --json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanupReply {
    /// The runs that were deleted.
    pub runs: Vec<RunId>,
    /// How many of their attempts' directories were deleted with them.
    pub attempts: u32,
    /// How many kept results were deleted because they were too old to be taken.
    #[serde(default)]
    pub cached: u32,
}
