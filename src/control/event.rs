//! What a watcher of a run is told: a snapshot, then what happens, then the end.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::steer::AskView;
use super::view::{CachedView, RunView};
use crate::model::{
    AttemptId, RunId, RunOutcome, RunState, SkipReason, StartReason, TaskError, TaskId, TaskState,
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
        /// Whose result it took instead of being done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cached: Option<CachedView>,
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
    /// A person is asked something.
    Asked {
        /// What.
        ask: Box<AskView>,
    },
    /// A question was answered.
    Answered {
        /// The question's name.
        ask: String,
        /// The answer.
        answer: String,
        /// Whose: `person`, `time`, or an agent's.
        by: String,
    },
    /// Nothing goes on before a person has answered.
    PersonWanted,
    /// A task waits for a person, an event or a run, without a slot.
    TaskWaits {
        /// The task.
        task: TaskId,
        /// The run.
        child: Option<RunId>,
        /// The event.
        awaited: Option<String>,
    },
    /// A task takes more than twice as long as expected; its agent lives (features K13, K14).
    TaskLate {
        /// The task.
        task: TaskId,
        /// How long was expected.
        expected_ms: u64,
        /// How long the task has taken since its first attempt.
        elapsed_ms: u64,
    },
    /// A task is to be done again: after a reset, or because a pause stopped it.
    TaskAgain {
        /// The task.
        task: TaskId,
    },
    /// The items of a `for_each` task are known.
    TaskMapped {
        /// The task.
        task: TaskId,
        /// How many.
        items: usize,
    },
    /// A lead agent asked for a worker.
    TaskSpawned {
        /// The lead's task.
        lead: TaskId,
        /// The new task.
        task: String,
    },
    /// The plan was edited.
    Adjusted,
    /// How a run goes that takes long (feature L11).
    Update {
        /// How long it has run.
        elapsed_ms: u64,
        /// How many of its tasks are over.
        over: usize,
        /// How many it has.
        all: usize,
        /// The tasks that are at work.
        at_work: Vec<TaskId>,
    },
    /// The run is over; always the last.
    Ended {
        /// How.
        outcome: RunOutcome,
        /// The `execution_results` document.
        results: Value,
    },
}
