//! Requests and replies, as they stand in a frame: one JSON value each.
//!
//! A connection carries one request. Its answer is one `ok` or `error`; `watch` sends any number
//! of `event` before it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::WatchEvent;
use super::inside::Inside;
use super::items::ItemsAsk;
use crate::model::{Finding, RunId};

/// Version of the messages; the daemon tells its own in [`super::view::DaemonView`].
pub const PROTOCOL: u32 = 1;

/// What a client asks. `do` names it: `{"do":"ps"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Request {
    /// Who is there? Answer: [`super::view::DaemonView`].
    Hello,
    /// Instances and live attempts. Answer: [`super::view::PsReply`].
    Ps,
    /// Run a plan. Answer: [`super::view::RunReply`].
    Submit(Box<Submit>),
    /// A person's yes or no to a waiting run. Answer: [`super::view::RunReply`].
    Approve {
        /// The run.
        run: RunId,
        /// No instead of yes.
        #[serde(default)]
        reject: bool,
    },
    /// End a run. Answered with [`super::view::RunReply`] once the wish is recorded.
    Cancel {
        /// The run.
        run: RunId,
    },
    /// Start nothing more of a run. Answer: [`super::view::RunReply`].
    Pause {
        /// The run.
        run: RunId,
        /// Also stop what runs; it is made again later, and uses no retry.
        #[serde(default)]
        stop: bool,
    },
    /// Go on with a paused run. Answer: [`super::view::RunReply`].
    Resume {
        /// The run.
        run: RunId,
    },
    /// Answer a question. Answer: [`super::steer::AnswerReply`].
    Answer {
        /// Whose: a run that asks one thing, `RUN/NAME`, or `NAME` alone.
        target: String,
        /// One of its answers.
        answer: String,
    },
    /// Do work again, in place. Answer: [`super::steer::RetryReply`].
    Retry {
        /// The run, live or over.
        run: RunId,
        /// A task, or an item `task[key]`; everything that did not succeed when absent.
        #[serde(default)]
        task: Option<String>,
        /// Also everything that depends on it.
        #[serde(default)]
        with_downstream: bool,
        /// An edited plan to go on with.
        #[serde(default)]
        plan: Option<Box<Submit>>,
    },
    /// Emit an event. Answer: [`super::steer::EmitReply`].
    Emit {
        /// Its name.
        event: String,
        /// Its data.
        #[serde(default)]
        data: Value,
        /// With the same key it is the same event.
        #[serde(default)]
        key: Option<String>,
    },
    /// Delete runs that ended so many days ago. Answer: [`super::steer::CleanupReply`].
    Cleanup {
        /// How many days.
        days: u32,
    },
    /// Follow a run: a snapshot, then what happens, until it ends. Events, then `ok`.
    Watch {
        /// The run.
        run: RunId,
    },
    /// All runs, the newest first. Answer: [`super::view::RunsReply`].
    Runs {
        /// Only those that are not over.
        #[serde(default)]
        active: bool,
    },
    /// One run with its tasks. Answer: [`super::view::RunView`].
    Show {
        /// The run.
        run: RunId,
    },
    /// The `execution_results` document of a run that is over. A run that is not answers with an
    /// error of kind `waiting`.
    Results {
        /// The run.
        run: RunId,
    },
    /// Answer when a run or instance reaches a state. Answer: [`super::view::WaitReply`].
    Wait {
        /// A run id or an instance's name.
        target: String,
        /// The state's word; for a run its end, for an instance `running` when absent.
        #[serde(default)]
        for_state: Option<String>,
        /// How long to wait at most; for ever when absent.
        #[serde(default)]
        timeout_ms: Option<u64>,
    },
    /// Instances shall run; all configured ones when no name is given. Answer:
    /// [`super::view::UnitsReply`], as for the next four.
    Up {
        /// Their names.
        #[serde(default)]
        names: Vec<String>,
    },
    /// Instances shall not run; all when no name is given. Stays so across reload and restart.
    Down {
        /// Their names.
        #[serde(default)]
        names: Vec<String>,
    },
    /// As `up`, for named ones only.
    Start {
        /// Their names, at least one.
        names: Vec<String>,
    },
    /// As `down`, for named ones only.
    Stop {
        /// Their names, at least one.
        names: Vec<String>,
    },
    /// Stop and start again.
    Restart {
        /// Their names, at least one.
        names: Vec<String>,
    },
    /// Forget an instance's restarts, so that it may be started again.
    ResetFailed {
        /// Its name.
        name: String,
    },
    /// Why something stands where it stands. Answer: [`super::view::WhyReply`].
    Why {
        /// An instance, `RUN`, `RUN/TASK` or `TASK` (of the newest run that has it).
        target: String,
    },
    /// Where to attach to. Answer: [`super::view::AttachReply`].
    Attach {
        /// An instance, run or task; the newest live thing when absent.
        #[serde(default)]
        target: Option<String>,
    },
    /// Where the logs are. Answer: [`super::view::LogsReply`].
    Logs {
        /// An instance, an attempt, `RUN/TASK` or `TASK`.
        target: String,
        /// Only this attempt, counted from 1; all when absent.
        #[serde(default)]
        attempt: Option<u32>,
    },
    /// Read the configuration again, and apply it. Answer: [`super::view::ReloadReply`]; a file
    /// with problems answers with an error of kind `invalid`, and the last good one is kept.
    Reload {
        /// Only tell what would change.
        #[serde(default)]
        dry_run: bool,
        /// Restart the instances that run as something that they would not be started as now.
        #[serde(default)]
        restart_stale: bool,
    },
    /// The agents that the daemon knows. Answer: [`super::agent_view::AgentsReply`].
    Agents {
        /// Only those that are to be asked for this, the first choice first.
        #[serde(default)]
        capability: Option<String>,
    },
    /// What runs used. Answer: [`super::cost_view::CostReply`].
    Cost {
        /// Only this one, with its tasks.
        #[serde(default)]
        run: Option<RunId>,
    },
    /// What earlier runs of a plan tell. Answer: [`super::cost_view::HistoryReply`].
    History {
        /// The plan's name.
        plan: String,
    },
    /// An agent asks something of the daemon that runs it; see there for the answers.
    Inside(Box<Inside>),
    /// Work items; see there for the answers.
    Items(Box<ItemsAsk>),
    /// End the daemon. Answered with `ok` before it goes.
    Shutdown {
        /// Stop all agents first; otherwise they live on.
        #[serde(default)]
        stop_agents: bool,
    },
}

/// A plan to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Submit {
    /// The plan's text; the daemon checks it again.
    pub text: String,
    /// The file that it was read from, absolute.
    pub path: PathBuf,
    /// The submitter's working directory.
    pub cwd: PathBuf,
    /// The submitter's environment.
    pub env: Environment,
    /// Values for the plan's `[inputs]`.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// The person has said yes already.
    #[serde(default)]
    pub yes: bool,
    /// Every agent is a demo agent.
    #[serde(default)]
    pub demo: bool,
    /// Instead of the plan's `max_parallel`.
    #[serde(default)]
    pub max_parallel: Option<u32>,
}

/// Environment variables. They may hold secrets, so debug output shows only how many there are.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Environment(pub Vec<(String, String)>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Done; what it holds depends on the request.
    Ok(Value),
    /// Not done.
    Error(Failure),
    /// Something happened in the run that is watched.
    Event(Box<WatchEvent>),
}

/// What went wrong, for a person and for a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Its class; decides the exit code.
    pub kind: FailureKind,
    /// What and where, lower-case, without a full stop.
    pub message: String,
    /// What to do about it.
    #[serde(default)]
    pub hint: Option<String>,
    /// The problems in a file, if that is what it is about.
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// The classes of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The thing asked for failed.
    Failed,
    /// The request makes no sense: unknown name, wrong state, bad argument.
    Usage,
    /// A plan or a configuration has problems.
    Invalid,
    /// Over, but not all of it succeeded.
    Partial,
    /// A person stopped it.
    Cancelled,
    /// A person has to act first, or it is not over yet.
    Waiting,
    /// The daemon or tmux cannot be reached.
    Unreachable,
    /// A fault of ours.
    Internal,
}

impl FailureKind {
    /// The exit code of a command that failed so (design §11, fixed).
    pub const fn exit_code(self) -> u8 {
        match self {
            FailureKind::Failed => 1,
            FailureKind::Usage | FailureKind::Invalid => 2,
            FailureKind::Partial => 3,
            FailureKind::Cancelled => 4,
            FailureKind::Waiting => 5,
            FailureKind::Unreachable => 10,
            FailureKind::Internal => 70,
        }
    }
}

impl Failure {
    /// A failure without hint and findings.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, findings: Vec::new() }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with the problems of a file.
    #[must_use]
    pub fn findings(mut self, findings: Vec<Finding>) -> Self {
        self.findings = findings;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        Reply::Error(failure)
    }
}

impl Reply {
    /// `ok` with a view. A view that cannot be written as JSON becomes an internal failure.
    pub fn ok(view: &impl Serialize) -> Self {
        match serde_json::to_value(view) {
            Ok(value) => Reply::Ok(value),
            Err(error) => Reply::Error(Failure::new(
                FailureKind::Internal,
                format!("the reply cannot be written: {error}"),
            )),
        }
    }

    /// `ok` without anything to tell.
    pub const fn done() -> Self {
        Reply::Ok(Value::Null)
    }

    /// `error` of a kind.
    pub fn error(kind: FailureKind, message: impl Into<String>) -> Self {
        Reply::Error(Failure::new(kind, message))
    }
}
