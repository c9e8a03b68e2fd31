//! What a watcher of a run is told: a snapshot, then what happens, then the end.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::view::RunView;
use crate::model::{
    AttemptId, RunOutcome, RunState, SkipReason, StartReason, TaskError, TaskId, TaskState,
};

/// What happens in a run that is watched. `event` names it: `{"event":"task-queued",…}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum WatchEvent {
    /// How it stands; always the first.
    Snapshot {
        /// The run.
        run: Box<RunView>,
    },
    /// The run moved to another state.
    RunMoved {
        /// Where to.
        state: RunState,
        /// Why.
        why: Option<String>,
    },
    /// A task waits for a free slot.
    TaskQueued {
        /// The task.
        task: TaskId,
    },
    /// Its agent runs.
    TaskStarted {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: AttemptId,
        /// Its number, from 1.
        n: u32,
        /// The agent, or `command`.
        agent: String,
        /// Its label, the name of its window.
        label: String,
        /// tmux window id.
        window: Option<String>,
        /// Why it was made.
        reason: StartReason,
    },
    /// An attempt failed and another will be made.
    TaskRetrying {
        /// The task.
        task: TaskId,
        /// Why the attempt failed.
        error: TaskError,
        /// `retry`, `fallback` or `lost`.
        reason: StartReason,
        /// The agent that comes next.
        agent: String,
        /// How long until then.
        in_ms: u64,
    },
    /// It is done.
    TaskSucceeded {
        /// The task.
        task: TaskId,
        /// The agent, or `command`.
        agent: String,
        /// How many attempts it took.
        attempts: u32,
        /// How long it took, from its first attempt on.
        elapsed_ms: u64,
    },
    /// It failed for good.
    TaskFailed {
        /// The task.
        task: TaskId,
        /// `failed` or `timeout`.
        state: TaskState,
        /// The last agent, or `command`.
        agent: Option<String>,
        /// How many attempts it had.
        attempts: u32,
        /// Why.
        error: TaskError,
        /// How long it took, from its first attempt on.
        elapsed_ms: u64,
    },
    /// It will not be done, or was stopped.
    TaskSkipped {
        /// The task.
        task: TaskId,
        /// `skipped` or `cancelled`.
        state: TaskState,
        /// Why.
        reason: SkipReason,
    },
    /// The run is over; always the last.
    Ended {
        /// How.
        outcome: RunOutcome,
        /// The `execution_results` document.
        results: Value,
    },
}
