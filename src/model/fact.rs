//! Facts: everything that was decided, in the order it was decided. A fact is in the ledger before
//! anything is done about it.
//!
//! Runs are *logged*: their facts are kept and replayed through the same transition function that
//! made them. Attempts and instances are *reconciled*: only their latest row is kept, and compared
//! with what is found alive.

use serde::{Deserialize, Serialize};

use super::{
    Ask, AttemptEnd, AttemptId, AttemptRow, CacheFact, GroupRow, InstanceRow, Item, Message,
    Moment, Order, Output, Parking, ProcessMark, RunId, RunOutcome, RunState, Signal, SkipReason,
    Spent, StartReason, StopCause, Submission, TaskError, TaskId, WorkReport,
};

/// One thing that was decided or found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// Something about a run.
    Run {
        /// The run.
        run: RunId,
        /// What.
        fact: RunFact,
    },
    /// Something about an attempt.
    Attempt {
        /// The attempt.
        attempt: AttemptId,
        /// What.
        fact: AttemptFact,
    },
    /// An instance stands here.
    Instance(InstanceRow),
    /// An instance that is no longer configured and does not run.
    InstanceRemoved {
        /// Its name.
        name: String,
    },
    /// A group of instances stands here.
    Group(GroupRow),
    /// A group that is no longer configured.
    GroupRemoved {
        /// Its name.
        name: String,
    },
    /// An agent is not started before a usage limit has passed.
    Parked(Parking),
    /// It may be started again.
    Unparked {
        /// The agent.
        agent: String,
    },
    /// Somebody emitted an event. It is kept until a task takes it.
    Emitted(Signal),
    /// A task or trigger took an event that was kept, or none wanted it whose it could be.
    SignalTaken {
        /// Its number.
        number: u64,
    },
    /// Evidence that changes nothing, kept for `why`: a stale report, an alarm.
    Noted {
        /// What it is about: an instance, an attempt, `tmux`, `daemon`.
        about: String,
        /// One sentence.
        text: String,
    },
}

/// Something about a run or one of its tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunFact {
    /// It exists.
    Submitted(Box<Submission>),
    /// It moved to another state; the ends are `Ended`.
    Moved {
        /// Where to.
        state: RunState,
        /// Why, for a pause: `user`, `recovery`, …
        why: Option<String>,
    },
    /// All that a task needs is there; it waits for a slot.
    TaskQueued {
        /// The task.
        task: TaskId,
    },
    /// An attempt for it is recorded in the same transaction.
    TaskStarting {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: AttemptId,
        /// Number of the attempt, from 1.
        n: u32,
        /// The agent, or `command`.
        agent: String,
        /// 0 for the primary agent, 1 for the first fallback, …
        agent_index: usize,
        /// Why.
        reason: StartReason,
    },
    /// Its agent runs.
    TaskRunning {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: AttemptId,
    },
    /// Its result was accepted. The ledger takes this once per task, and only from the attempt
    /// that the task is waiting for.
    TaskSucceeded {
        /// The task.
        task: TaskId,
        /// The attempt; `None` for work that the daemon does itself.
        attempt: Option<AttemptId>,
        /// The result.
        output: Output,
    },
    /// An attempt failed and another will be made.
    TaskRetrying {
        /// The task.
        task: TaskId,
        /// The attempt that failed.
        attempt: AttemptId,
        /// Why.
        error: TaskError,
        /// When the next one may start.
        not_before: Moment,
        /// Which agent it will use.
        agent_index: usize,
        /// Why it is made.
        reason: StartReason,
    },
    /// It failed for good.
    TaskFailed {
        /// The task.
        task: TaskId,
        /// The last attempt; `None` when it failed before any.
        attempt: Option<AttemptId>,
        /// Why. `timeout` ends the task as `timeout`, everything else as `failed` (ruling Z5).
        error: TaskError,
    },
    /// It will not be done.
    TaskSkipped {
        /// The task.
        task: TaskId,
        /// Why.
        reason: SkipReason,
    },
    /// It was stopped, by a person or because the plan said abort.
    TaskCancelled {
        /// The task.
        task: TaskId,
        /// `cancelled` or `stopped`.
        reason: SkipReason,
    },
    /// It waits for a person, an event, another run, or its items; it holds no slot.
    TaskWaiting {
        /// The task.
        task: TaskId,
        /// The run that it waits for, if it is one.
        #[serde(default)]
        run: Option<RunId>,
    },
    /// Its attempt was stopped without being at fault, for a pause; it will be made again, and no
    /// retry is used.
    TaskRequeued {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: AttemptId,
    },
    /// It is to be done again, as if it had not ended; its attempts are counted on. One that is
    /// queued waits again for what it needs, since that is done again.
    TaskReset {
        /// The task.
        task: TaskId,
    },
    /// Its items are known. Items that are there with the same key and value stay as they are.
    TaskMapped {
        /// The `for_each` task.
        task: TaskId,
        /// All of its items, in order.
        items: Vec<Item>,
    },
    /// A lead agent asked for a worker: a task that the plan did not have.
    TaskSpawned {
        /// The lead's task.
        lead: TaskId,
        /// The new task, as the plan room reads it back.
        definition: serde_json::Value,
    },
    /// No task ended for twice as long as expected; told once per attempt (feature K13).
    TaskStalled {
        /// The task that is late.
        task: TaskId,
        /// Its attempt.
        attempt: AttemptId,
        /// How long it was expected to take, in milliseconds.
        expected_ms: u64,
    },
    /// An agent reported something about its work.
    TaskReported {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: AttemptId,
        /// What.
        report: WorkReport,
    },
    /// An attempt used tokens and money. Each fact counts by itself: they are differences.
    TaskSpent {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: AttemptId,
        /// What it used.
        spent: Spent,
    },
    /// Something about its kept result: whether one was found, or is kept from now on.
    TaskCache {
        /// The task.
        task: TaskId,
        /// What.
        fact: CacheFact,
    },
    /// An agent sent another one a message.
    Messaged(Message),
    /// A person is asked.
    Asked(Ask),
    /// The question was answered; the first answer counts.
    Answered {
        /// The question.
        ask: String,
        /// One of its answers.
        answer: String,
        /// Who: `person`, `time`, or the task of the agent.
        by: String,
    },
    /// The plan was edited: what it now says counts for all that is not done yet.
    Adjusted {
        /// The plan's text.
        text: String,
        /// The plan as checked.
        plan: serde_json::Value,
    },
    /// A run that was over is taken up again.
    Reopened,
    /// A person asked for the end of the run.
    CancelRequested,
    /// The run is over.
    Ended {
        /// How.
        outcome: RunOutcome,
        /// The first error in dependency order, when everything failed (feature K6).
        root_cause: Option<String>,
    },
}

impl Fact {
    /// The run that it is about; none when it is about something else.
    pub const fn run(&self) -> Option<&RunId> {
        match self {
            Fact::Run { run, .. } => Some(run),
            Fact::Attempt { .. }
            | Fact::Instance(_)
            | Fact::InstanceRemoved { .. }
            | Fact::Group(_)
            | Fact::GroupRemoved { .. }
            | Fact::Parked(_)
            | Fact::Unparked { .. }
            | Fact::Emitted(_)
            | Fact::SignalTaken { .. }
            | Fact::Noted { .. } => None,
        }
    }
}

impl RunFact {
    /// The task that it is about; none when it is about the run.
    pub const fn task(&self) -> Option<&TaskId> {
        match self {
            RunFact::TaskQueued { task }
            | RunFact::TaskStarting { task, .. }
            | RunFact::TaskRunning { task, .. }
            | RunFact::TaskSucceeded { task, .. }
            | RunFact::TaskRetrying { task, .. }
            | RunFact::TaskFailed { task, .. }
            | RunFact::TaskSkipped { task, .. }
            | RunFact::TaskCancelled { task, .. }
            | RunFact::TaskWaiting { task, .. }
            | RunFact::TaskRequeued { task, .. }
            | RunFact::TaskReset { task }
            | RunFact::TaskMapped { task, .. }
            | RunFact::TaskSpawned { lead: task, .. }
            | RunFact::TaskStalled { task, .. }
            | RunFact::TaskReported { task, .. }
            | RunFact::TaskSpent { task, .. }
            | RunFact::TaskCache { task, .. } => Some(task),
            RunFact::Asked(ask) => ask.task.as_ref(),
            RunFact::Submitted(_)
            | RunFact::Moved { .. }
            | RunFact::Messaged(_)
            | RunFact::Answered { .. }
            | RunFact::Adjusted { .. }
            | RunFact::Reopened
            | RunFact::CancelRequested
            | RunFact::Ended { .. } => None,
        }
    }
}

/// Something about an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptFact {
    /// It will be launched.
    Intended(Box<Order>),
    /// Its shim exists.
    Launched {
        /// The shim.
        shim: ProcessMark,
        /// Pane, if it has a window.
        pane: Option<String>,
        /// Window, if it has one.
        window: Option<String>,
    },
    /// Its agent runs.
    Started {
        /// The agent.
        process: ProcessMark,
    },
    /// It is ready for work, as its startup probe says; at once when it has none.
    Ready,
    /// A stop was asked for.
    Stopping {
        /// Why.
        cause: StopCause,
    },
    /// It is over.
    Ended(AttemptEnd),
}

/// A fact with its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// On the ledger's clock.
    pub at: Moment,
    /// Wall clock, milliseconds since 1970; for people only.
    pub wall_ms: i64,
    /// What.
    pub fact: Fact,
}

/// Where the ledger's clock stood, to carry it on in the next daemon or after a reboot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockMark {
    /// `/proc/sys/kernel/random/boot_id` at that time.
    pub boot_id: String,
    /// Milliseconds since boot (suspend included).
    pub boot_ms: u64,
    /// Wall clock, milliseconds since 1970.
    pub wall_ms: i64,
    /// The ledger's clock.
    pub moment: Moment,
}

impl AttemptRow {
    /// The row of an attempt that was just recorded.
    pub fn intended(order: Order, at: Moment) -> Self {
        Self {
            order,
            state: super::AttemptState::Intended,
            intended: at,
            launched: None,
            started: None,
            ready: None,
            shim: None,
            process: None,
            pane: None,
            window: None,
            stopping: None,
            end: None,
        }
    }
}
