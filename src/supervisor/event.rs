//! What the supervisor is told (past tense), what it asks for (imperative), and its answers.

use std::path::PathBuf;

use serde_json::Value;

use crate::health::{Ask, Sample, Ticket};
use crate::model::{
    AttemptEnd, AttemptId, Ending, Fact, Moment, Order, Owner, ProcessMark, Report, StopCause, Then,
};
use crate::policy::{Agent, Group};

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The workflow wants an attempt.
    Ordered(Box<Order>),
    /// The workflow wants one stopped. Wanting it again changes nothing: only a person kills.
    StopAsked {
        /// Which.
        attempt: AttemptId,
        /// Why.
        cause: StopCause,
    },
    /// A shim exists, just launched or found again.
    Launched {
        /// Whose.
        attempt: AttemptId,
        /// The shim.
        shim: ProcessMark,
        /// Its pane.
        pane: Option<String>,
        /// Its window.
        window: Option<String>,
    },
    /// An earlier daemon recorded this attempt and died before it launched it.
    NeverLaunched {
        /// Which.
        attempt: AttemptId,
    },
    /// A launch failed before there was a shim. It is tried again: the launch is idempotent.
    LaunchFailed {
        /// Whose.
        attempt: AttemptId,
        /// Why, for people.
        message: String,
    },
    /// An agent runs.
    Started {
        /// Whose.
        attempt: AttemptId,
        /// The agent's process.
        process: ProcessMark,
    },
    /// An agent said something about itself.
    Reported {
        /// Which.
        attempt: AttemptId,
        /// All that it says now.
        report: Box<Report>,
    },
    /// The answer to [`Action::Sample`].
    Sampled {
        /// Whose.
        attempt: AttemptId,
        /// What was asked.
        probe: Ticket,
        /// What was seen.
        sample: Sample,
    },
    /// The daemon stood still: the machine was suspended, or the daemon stopped or starved.
    Woke {
        /// For how long, in milliseconds.
        gap_ms: u64,
    },
    /// A shim and its whole set are gone.
    Gone {
        /// Whose.
        attempt: AttemptId,
        /// All that is known.
        ending: Box<Ending>,
    },
    /// A set could not be proven dead. No second copy may be started.
    Stuck {
        /// Whose.
        attempt: AttemptId,
        /// Who is left, and why.
        message: String,
    },
    /// The answer to [`Action::AskQuiet`].
    Heard {
        /// Whose.
        attempt: AttemptId,
        /// How long it has printed nothing.
        quiet_ms: u64,
    },
    /// A window of an ended attempt is still there.
    WindowLeft {
        /// The window.
        window: String,
        /// Whether its attempt succeeded.
        success: bool,
    },
    /// The tmux server died, and every window with it; agents live on. The next server gives the
    /// same ids to other windows.
    WindowsLost,
    /// The configured agents: first of all after [`super::Supervisor::recover`], because what
    /// follows an end depends on them, and after a reload.
    Configured {
        /// All of them, by name.
        agents: Vec<Agent>,
        /// All groups of them.
        groups: Vec<Group>,
    },
    /// An agent is taken out of the configuration; what [`Event::Configured`] says follows. Its
    /// instance is stopped; said again, nothing changes.
    Removed {
        /// Which.
        name: String,
    },
    /// A person wants something of an instance.
    Asked {
        /// Which.
        name: String,
        /// What.
        request: InstanceRequest,
    },
    /// A person wants the same of several instances or groups: members of one group are started
    /// in order and stopped in reverse.
    AskedMany {
        /// Which.
        names: Vec<String>,
        /// What.
        request: InstanceRequest,
    },
    /// The daemon is about to end and wants every agent stopped first. Nothing is started any
    /// more; what is wanted up is started again by the next daemon. Said again, it kills.
    Closing,
    /// A deadline passed.
    DeadlineReached,
}

/// What a person can want of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceRequest {
    /// Run, and be kept running.
    Start,
    /// Stop, and stay stopped.
    Stop,
    /// Stop and start again; not counted against any limit.
    Restart,
    /// Forget failures and the start limit.
    ResetFailed,
}

/// What became of a request (three answers, so that asking twice is harmless).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It will be so.
    Accepted,
    /// It is so already.
    AlreadySo,
    /// It cannot be, because.
    Denied(String),
}

/// Something to do, in order; facts are committed before anything else is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write down.
    Record(Fact),
    /// Launch an attempt.
    Launch(Box<Order>),
    /// Stop an attempt by its spec.
    Stop {
        /// Which.
        attempt: AttemptId,
    },
    /// End an attempt at once; a person asked a second time.
    Kill {
        /// Which.
        attempt: AttemptId,
    },
    /// Type the prompt into the agent's terminal, unless that was done before.
    TypePrompt {
        /// Whose.
        attempt: AttemptId,
        /// The prompt.
        text: String,
    },
    /// Look at an attempt.
    Sample {
        /// Which.
        attempt: AttemptId,
        /// To be given back.
        probe: Ticket,
        /// What to look at.
        ask: Ask,
    },
    /// Press keys in the agent's terminal.
    Press {
        /// Whose.
        attempt: AttemptId,
        /// Their names.
        keys: Vec<String>,
    },
    /// Find out how long an attempt has printed nothing.
    AskQuiet {
        /// Which.
        attempt: AttemptId,
    },
    /// Close a window, unless somebody is looking at it; then say [`Event::WindowLeft`] again.
    CloseWindow {
        /// Which.
        window: String,
        /// Whether its attempt succeeded, for that event.
        success: bool,
    },
    /// Tell the workflow.
    Tell(News),
    /// Answer the person who asked.
    Reply(Answer),
    /// Answer the person who asked about several, for one of them.
    Answer {
        /// The instance.
        name: String,
        /// What becomes of it.
        answer: Answer,
    },
}

/// What the workflow hears about its attempts.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// The agent runs.
    Running {
        /// Whose.
        attempt: AttemptId,
        /// Whom it works for.
        owner: Owner,
    },
    /// It is over.
    Ended {
        /// Whose.
        attempt: AttemptId,
        /// Whom it worked for.
        owner: Owner,
        /// How.
        end: AttemptEnd,
        /// What a rule of its agent asks for.
        then: Option<Then>,
        /// Its accepted result.
        value: Option<Value>,
        /// Its last lines.
        tail: String,
        /// Its log.
        log: PathBuf,
    },
    /// An agent is not to be started before a usage limit has passed.
    Parked {
        /// Which.
        agent: String,
        /// Until when.
        until: Moment,
    },
    /// It may be started again.
    Unparked {
        /// Which.
        agent: String,
    },
}

/// Why an instance or attempt stands where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// State word.
    pub state: String,
    /// One sentence.
    pub why: String,
    /// What is counted, as a word of a document, how much of it there is, and how much there may be.
    pub counters: Vec<(&'static str, u64, Option<u64>)>,
    /// When the next thing happens by itself, and what.
    pub next: Option<(Moment, String)>,
}
