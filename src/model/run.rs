//! A run: one execution of a plan, and the words for where it and its tasks stand.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::outcome::words;
use super::{Outcome, RunId, TaskId};

words! {
    /// Where a run stands (features E1, E2, ruling Z3; written with `-`).
    RunState {
        /// Accepted.
        Initializing = "initializing",
        /// Its order is being worked out.
        Planning = "planning",
        /// A person must say yes.
        AwaitingApproval = "awaiting-approval",
        /// At work.
        Running = "running",
        /// Nothing new is started.
        Paused = "paused",
        /// All tasks are over; results are being merged.
        Completing = "completing",
        /// Over, with something to show.
        Completed = "completed",
        /// Over, without.
        Failed = "failed",
        /// A person stopped it.
        Cancelled = "cancelled",
    }
}

words! {
    /// How a run ended.
    RunOutcome {
        /// Everything that had to succeed did.
        Completed = "completed",
        /// Something did, something did not.
        Partial = "partial",
        /// Nothing did, or the plan said abort.
        Failed = "failed",
        /// A person stopped it.
        Cancelled = "cancelled",
    }
}

words! {
    /// Where a task stands (design §6).
    TaskState {
        /// Waits for other tasks.
        Blocked = "blocked",
        /// Could start.
        Ready = "ready",
        /// Could start, and waits for a free slot.
        Queued = "queued",
        /// An attempt is being launched.
        Starting = "starting",
        /// An attempt runs.
        Running = "running",
        /// Waits before the next attempt.
        RetryWait = "retry-wait",
        /// Waits for a person or an event.
        Waiting = "waiting",
        /// Done.
        Success = "success",
        /// Failed for good.
        Failed = "failed",
        /// Failed for good, its last attempt by a time limit.
        Timeout = "timeout",
        /// Not done, on purpose.
        Skipped = "skipped",
        /// Stopped by a person.
        Cancelled = "cancelled",
    }
}

words! {
    /// Why a task was not done.
    SkipReason {
        /// Its condition was false.
        WhenFalse = "when_false",
        /// Something it needs was not done.
        Upstream = "upstream",
        /// What it waits for did not come in time.
        Expired = "expired",
        /// It failed and was optional.
        Optional = "optional",
        /// The run was cancelled.
        Cancelled = "cancelled",
        /// The plan said abort, a person said no to its phase, or took what there was.
        Stopped = "stopped",
    }
}

impl TaskState {
    /// Whether the task is over for good.
    pub const fn is_end(self) -> bool {
        match self {
            TaskState::Success
            | TaskState::Failed
            | TaskState::Timeout
            | TaskState::Skipped
            | TaskState::Cancelled => true,
            TaskState::Blocked
            | TaskState::Ready
            | TaskState::Queued
            | TaskState::Starting
            | TaskState::Running
            | TaskState::RetryWait
            | TaskState::Waiting => false,
        }
    }
}

impl RunState {
    /// Whether the run is over for good.
    pub const fn is_end(self) -> bool {
        matches!(self, RunState::Completed | RunState::Failed | RunState::Cancelled)
    }
}

/// What a submitter hands in: a plan that the checker has accepted, frozen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    /// The id given to it.
    pub run: RunId,
    /// The plan's name.
    pub name: String,
    /// The plan's text, as it was read.
    pub text: String,
    /// The file it was read from.
    pub path: PathBuf,
    /// The plan as checked, in the form that the plan room reads back.
    pub plan: serde_json::Value,
    /// The submitter's working directory.
    pub cwd: PathBuf,
    /// The submitter's environment; redacted in every output.
    pub env: Vec<(String, String)>,
    /// Whether a person must approve before anything starts.
    pub needs_approval: bool,
    /// The run and task that it is a part of, if it is one.
    #[serde(default)]
    pub parent: Option<Parent>,
}

/// What a run is a part of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The run.
    pub run: RunId,
    /// Its task; none when an event started this run.
    pub task: Option<TaskId>,
    /// How many triggers led to this run, one after the other.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub depth: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(depth: &u32) -> bool {
    *depth == 0
}

/// The accepted output of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// SHA-256 of the value's JSON text, in hex; the key of its blob.
    pub sha: String,
    /// The value. In stored facts it is taken out, and put back from the blob when they are read.
    #[serde(default, skip_serializing)]
    pub value: serde_json::Value,
}

impl Output {
    /// The output of that value.
    pub fn of(value: serde_json::Value) -> Self {
        let digest = Sha256::digest(value.to_string());
        let sha = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { sha, value }
    }
}

/// Why a task's attempt failed, as told to people and to the next attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    /// The word.
    pub outcome: Outcome,
    /// One sentence.
    pub message: String,
    /// Exit code, if it exited.
    pub exit_code: Option<i32>,
    /// Signal name, if one ended it.
    pub signal: Option<String>,
    /// The last lines it printed.
    pub tail: String,
    /// Path of the log.
    pub log: Option<PathBuf>,
}

impl TaskError {
    /// An error without an attempt: nothing exited, nothing was printed.
    pub fn new(outcome: Outcome, message: String) -> Self {
        Self { outcome, message, exit_code: None, signal: None, tail: String::new(), log: None }
    }

    /// What a task lacks fails it before anything is started.
    pub fn unusable(message: String) -> Self {
        Self::new(Outcome::Malformed, message)
    }
}
