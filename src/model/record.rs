//! The records in an attempt's directory: what the daemon tells the shim (`spec.json`) and what
//! the shim leaves behind (`started.json`, `exit.json`). The files are the truth about a process;
//! every notice is only a hint to look at them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{KillMode, Resources};

/// File names in `<home>/attempts/<attempt-id>/` (design §3, fixed).
pub mod files {
    /// What to run; written by the daemon, mode 0600. The shim holds a lock on it while it lives.
    pub const SPEC: &str = "spec.json";
    /// The rendered prompt.
    pub const PROMPT: &str = "prompt.md";
    /// What the one before left, for an agent that takes over: the value of `MUXVISOR_HANDOVER`.
    pub const HANDOVER: &str = "handover.md";
    /// Everything the agent wrote, byte for byte.
    pub const LOG: &str = "output.log";
    /// When it wrote what: lines of `<ms since start> <offset in output.log> <stream>`, where
    /// stream is `t` (terminal), `o` (stdout), `e` (stderr) or `g` (a gap: output was lost, e.g.
    /// on a full disk). A torn last line is to be ignored.
    pub const INDEX: &str = "output.idx";
    /// The agent's process, once it runs.
    pub const STARTED: &str = "started.json";
    /// What it says about itself; absent until it says something.
    pub const STATUS: &str = "status.json";
    /// How it ended.
    pub const EXIT: &str = "exit.json";
    /// The result as the daemon accepted or refused it.
    pub const RESULT: &str = "result.json";
    /// Where an agent submits its result: the value of `MUXVISOR_RESULT`.
    pub const SUBMITTED: &str = "result.out";
}

/// A process that can be recognised after its pid was reused: pid, start time, boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessMark {
    /// Process id.
    pub pid: i32,
    /// Field 22 of `/proc/PID/stat`: clock ticks from boot to the start of the process.
    pub start_ticks: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
}

/// The tmux server that holds the attempt's window.
pub type ServerMark = ProcessMark;

/// Where the agent's standard input comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StdinFrom {
    /// The inner terminal; `/dev/null` for an agent on pipes.
    Terminal,
    /// `/dev/null`.
    Null,
    /// A file, opened by the shim; relative paths are relative to the attempt's directory.
    File(PathBuf),
}

/// The inner terminal of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSpec {
    /// Width in cells, until the window says otherwise.
    pub columns: u16,
    /// Height in cells.
    pub rows: u16,
    /// Whether the terminal echoes typed input, as terminals do.
    pub echo: bool,
}

/// How to stop an agent (design §8); the shim does it alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopSpec {
    /// Keys typed before any signal, as tmux names: `Escape`, `C-c`, or literal text.
    pub keys: Vec<String>,
    /// The signal that asks, e.g. `SIGTERM`; sent with SIGCONT.
    pub signal: String,
    /// How long to wait after it, in milliseconds.
    pub timeout_ms: u64,
    /// Whether SIGHUP (and two seconds) comes before SIGKILL.
    pub send_sighup: bool,
    /// Whom the signals reach.
    #[serde(default = "everybody")]
    pub mode: KillMode,
}

fn everybody() -> KillMode {
    KillMode::ControlGroup
}

/// Where an agent lives for the kernel. The daemon decides it; the shim does it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "in")]
pub enum Confinement {
    /// Nowhere in particular: no limit holds, and only the family tree says who belongs to it.
    #[default]
    Nowhere,
    /// A control group of its own.
    Cgroup {
        /// Its directory; made by the shim, removed when it is empty.
        leaf: PathBuf,
        /// Files in it and what is written there, in order: the limits.
        settings: Vec<(String, String)>,
    },
    /// It must not be started, because a limit of it cannot be enforced.
    Refused {
        /// What, where and what to do, for a person.
        message: String,
    },
}

/// What a shim runs: `spec.json`. No shell takes part, so nothing is quoted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Version of this record: 1.
    pub schema: u32,
    /// The attempt.
    pub attempt: String,
    /// Its fence.
    pub token: String,
    /// The window's name, for messages.
    pub label: String,
    /// Program and arguments. A program without `/` is looked up in `PATH` of `env`.
    pub argv: Vec<String>,
    /// The whole environment of the agent.
    pub env: Vec<(String, String)>,
    /// Working directory.
    pub cwd: PathBuf,
    /// Standard input.
    pub stdin: StdinFrom,
    /// An inner pty, or pipes when absent.
    pub terminal: Option<TerminalSpec>,
    /// Whether the shim stands in a tmux window (its own standard streams are that terminal).
    pub windowed: bool,
    /// The tmux server at launch, to tell "my window was closed" from "the server died".
    pub server: Option<ServerMark>,
    /// Stop escalation.
    pub stop: StopSpec,
    /// The shim's own socket.
    pub socket: PathBuf,
    /// Added to the agent's `oom_score_adj`.
    pub oom_score_adjust: i32,
    /// Limits that the kernel enforces.
    #[serde(default)]
    pub resources: Resources,
    /// Where the agent is put before it runs, so that the limits hold and nobody escapes.
    #[serde(default)]
    pub confinement: Confinement,
    /// How long the log is drained after the main process ended, in milliseconds.
    pub drain_ms: u64,
}

/// `started.json`: the agent runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The attempt.
    pub attempt: String,
    /// Its fence.
    pub token: String,
    /// The agent's process.
    pub agent: ProcessMark,
    /// The shim's process.
    pub shim: ProcessMark,
    /// Wall clock, milliseconds since 1970.
    pub at_ms: i64,
}

/// The program could not be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecFailure {
    /// What failed: `exec`, `cwd`, `stdin`, `fork`, `terminal`, `limits` or `spec`.
    pub step: String,
    /// The system's error number.
    pub errno: i32,
    /// One sentence for a person, with the path.
    pub message: String,
}

/// One step of the stop escalation, as it was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopStep {
    /// `keys`, a signal name, or `requested`.
    pub step: String,
    /// Milliseconds since the stop began.
    pub at_ms: u64,
    /// How many processes were alive then.
    pub alive: u32,
}

/// What the agent and its descendants used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Processor time in user mode, milliseconds.
    pub user_ms: u64,
    /// Processor time in the kernel, milliseconds.
    pub system_ms: u64,
    /// Largest resident set, kibibytes.
    pub max_rss_kib: u64,
}

/// `exit.json`: how an attempt's process ended. Written when its whole descendant set is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The attempt.
    pub attempt: String,
    /// Its fence.
    pub token: String,
    /// The exit code, if it exited.
    pub code: Option<i32>,
    /// The signal's number, if one ended it.
    pub signal: Option<i32>,
    /// Whether it left a core.
    pub core: bool,
    /// Whether the kernel killed a process of it because memory ended.
    #[serde(default)]
    pub oom: bool,
    /// Why it never ran.
    pub exec_failure: Option<ExecFailure>,
    /// The stop escalation, empty when nobody asked for a stop.
    pub stop: Vec<StopStep>,
    /// Processes that could not be killed; the slot stays blocked.
    pub unkillable: Vec<i32>,
    /// Processes that were left alone, because only the main process was to be stopped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<i32>,
    /// Whether the window was closed under a living tmux server.
    pub window_closed: bool,
    /// Resource usage.
    pub usage: Usage,
    /// Wall clock at the start of the agent, milliseconds since 1970.
    pub started_ms: i64,
    /// Wall clock at its end.
    pub ended_ms: i64,
    /// Milliseconds it ran, on the monotonic clock.
    pub ran_ms: u64,
    /// Bytes in `output.log`.
    pub log_bytes: u64,
    /// Whether output was lost on the way to the log (full disk).
    pub log_gap: bool,
}
