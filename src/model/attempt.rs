//! An attempt: one process of one agent, for one task or as one life of an instance.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::outcome::words;
use super::{
    AttemptId, Care, EnvFilter, Exit, Moment, Outcome, ProcessMark, Resources, RunId, StopSpec,
    TaskId, Token, UsageFormat,
};

words! {
    /// Where an attempt stands (design §6).
    AttemptState {
        /// Recorded, not yet launched.
        Intended = "intended",
        /// Launched; the agent's process is not known yet.
        Starting = "starting",
        /// The agent runs.
        Running = "running",
        /// A stop was asked for.
        Stopping = "stopping",
        /// Over.
        Ended = "ended",
    }
}

words! {
    /// Why an attempt was made.
    StartReason {
        /// The first of its task or instance.
        First = "first",
        /// After a failure, with the same agent.
        Retry = "retry",
        /// With the next agent of the fallback list.
        Fallback = "fallback",
        /// After one whose end nobody knows.
        Lost = "lost",
        /// The instance's restart policy.
        Restart = "restart",
        /// A person asked.
        Manual = "manual",
        /// Another agent takes over from one that failed, or the first one takes over again.
        Failover = "failover",
        /// Another member of its group was restarted.
        Group = "group",
    }
}

words! {
    /// Why an attempt is being stopped.
    StopCause {
        /// A person or the plan.
        Cancelled = "cancelled",
        /// It ran longer than it may.
        Timeout = "timeout",
        /// It was silent longer than it may.
        IdleTimeout = "idle-timeout",
        /// It was not ready in time.
        StartTimeout = "start-timeout",
        /// A person asked for a restart.
        Restarting = "restarting",
        /// It handed in its result and stays, as agents with a terminal do.
        Submitted = "submitted",
        /// A health probe failed it.
        Probe = "probe",
        /// Its heartbeat stayed away.
        Watchdog = "watchdog",
        /// Another agent takes over.
        Failover = "failover",
        /// Another member of its group failed.
        Group = "group",
    }
}

words! {
    /// How the prompt reaches the agent.
    PromptBy {
        /// `prompt.md` is its standard input.
        Stdin = "stdin",
        /// `{prompt}` in the command is the text.
        Argv = "argv",
        /// `{prompt_file}` in the command is the path.
        File = "file",
        /// Typed into its terminal.
        Type = "type",
        /// Not at all.
        None = "none",
    }
}

words! {
    /// Where the result of an agent is looked for, after a submitted one.
    ResultRule {
        /// `<result>` tags in its output.
        Tag = "tag",
        /// Only what it submits.
        Submit = "submit",
        /// Its whole standard output.
        Stdout = "stdout",
        /// It gives none, and none is required.
        None = "none",
    }
}

words! {
    /// Which channel a result came from (design §5), best first.
    ResultSource {
        /// `muxvisor submit` or the file at `$MUXVISOR_RESULT`.
        Submitted = "submitted",
        /// The agent's own machine output.
        Structured = "structured",
        /// `<result>` in the log.
        Tagged = "tagged",
        /// The whole standard output.
        Stdout = "stdout",
        /// The screen; lossy.
        Screen = "screen",
    }
}

/// Whom an attempt works for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "of")]
pub enum Owner {
    /// A task of a run.
    Task {
        /// The run.
        run: RunId,
        /// The task.
        task: TaskId,
    },
    /// A standing agent.
    Instance {
        /// Its name.
        name: String,
    },
}

/// Time limits of one attempt, in milliseconds; `None` is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Launch to `started.json`.
    pub start_ms: Option<u64>,
    /// Start to exit.
    pub run_ms: Option<u64>,
    /// Without output.
    pub idle_ms: Option<u64>,
}

/// Everything needed to launch an attempt, and to judge it afterwards.
///
/// It is kept in the ledger, so that an attempt that was recorded but never launched can be
/// launched by a later daemon. The environment holds only what is added to the owner's own
/// (frozen with the run), because that may be large and hold secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The attempt.
    pub attempt: AttemptId,
    /// Its fence.
    pub token: Token,
    /// Whom it works for.
    pub owner: Owner,
    /// How many attempts the owner has had, this one included.
    pub n: u32,
    /// Why it is made.
    pub reason: StartReason,
    /// The agent's name, or `command` for a task without agent.
    pub agent: String,
    /// The window's name.
    pub label: String,
    /// The tmux session of the window: the run's id, or `agents`.
    pub session: String,
    /// Whether it gets a window.
    pub windowed: bool,
    /// Program and arguments, placeholders not yet filled in.
    pub argv: Vec<String>,
    /// Added to the owner's environment.
    pub env: BTreeMap<String, String>,
    /// Which variables of the owner's environment it inherits.
    #[serde(default)]
    pub env_filter: EnvFilter,
    /// Working directory.
    pub cwd: PathBuf,
    /// The prompt's text, if there is one.
    pub prompt: Option<String>,
    /// How it is handed over.
    pub prompt_by: PromptBy,
    /// Inner terminal or pipes.
    pub terminal: bool,
    /// Where the result is looked for.
    pub result: ResultRule,
    /// Whether success without a result is the failure `no-result`.
    pub result_required: bool,
    /// JSON Schema of the result, if it has one.
    pub schema: Option<serde_json::Value>,
    /// Exit codes that count as success.
    pub success_codes: Vec<i32>,
    /// Signals (by number) that count as success.
    pub success_signals: Vec<i32>,
    /// How to stop it.
    pub stop: StopSpec,
    /// Its time limits.
    pub limits: Limits,
    /// Added to its `oom_score_adj`.
    pub oom_score_adjust: i32,
    /// Limits that the kernel enforces.
    #[serde(default)]
    pub resources: Resources,
    /// How it is watched.
    #[serde(default)]
    pub care: Care,
    /// What the agent left behind that this one takes over from, as Markdown.
    #[serde(default)]
    pub handover: Option<String>,
    /// Values that are too large for a variable, by its name; `NAME_FILE` is the path of a file
    /// that holds the value.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// The model that it was asked for, if one was.
    #[serde(default)]
    pub model: Option<String>,
    /// What it writes about the tokens that it uses.
    #[serde(default)]
    pub usage: UsageFormat,
    /// The named pools that it takes from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<String>,
}

/// What was found of a result when an attempt was over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "found")]
pub enum Extract {
    /// A complete result.
    Complete {
        /// Where.
        source: ResultSource,
        /// Its text; bytes that are no UTF-8 are replaced here and kept in the log.
        text: String,
    },
    /// Something that was meant as a result and cannot be used.
    Malformed {
        /// Why, for the next attempt's prompt.
        reason: String,
    },
    /// None.
    Missing,
}

/// All that is known about an attempt whose shim is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ending {
    /// The shim's record; `None` when it left none.
    pub exit: Option<Exit>,
    /// The result.
    pub extract: Extract,
    /// The last lines of the log as plain text, for people and for the next prompt.
    pub tail: String,
    /// Path of the log.
    pub log: PathBuf,
    /// What could be seen at its end: the rows of its screen, or the last lines without one.
    #[serde(default)]
    pub screen: String,
    /// When that was read, as people tell the time; no wall clock is asked later.
    #[serde(default)]
    pub read_at: WallTime,
}

impl Ending {
    /// Of an attempt that left nothing at all.
    pub fn unknown() -> Self {
        Self {
            exit: None,
            extract: Extract::Missing,
            tail: String::new(),
            log: PathBuf::new(),
            screen: String::new(),
            read_at: WallTime::default(),
        }
    }
}

/// A moment as people tell it, for what agents say about times. Nothing is scheduled by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WallTime {
    /// Milliseconds since 1970.
    pub ms: i64,
    /// Seconds that the local zone is ahead of UTC.
    pub offset_s: i32,
}

/// How an attempt ended, as recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptEnd {
    /// The word.
    pub outcome: Outcome,
    /// One sentence for a person.
    pub message: String,
    /// Exit code, if it exited.
    pub code: Option<i32>,
    /// Signal number, if one ended it.
    pub signal: Option<i32>,
    /// Channel of the accepted result.
    pub source: Option<ResultSource>,
    /// When.
    pub at: Moment,
}

/// An attempt as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRow {
    /// What was ordered.
    pub order: Order,
    /// Where it stands.
    pub state: AttemptState,
    /// When it was recorded.
    pub intended: Moment,
    /// When it was launched.
    pub launched: Option<Moment>,
    /// When the agent ran.
    pub started: Option<Moment>,
    /// When it was ready.
    pub ready: Option<Moment>,
    /// The shim.
    pub shim: Option<ProcessMark>,
    /// The agent.
    pub process: Option<ProcessMark>,
    /// tmux pane id, `%12`.
    pub pane: Option<String>,
    /// tmux window id, `@7`.
    pub window: Option<String>,
    /// Why it is being stopped.
    pub stopping: Option<StopCause>,
    /// How it ended.
    pub end: Option<AttemptEnd>,
}
