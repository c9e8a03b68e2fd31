//! An agent: a program that can do work, and the policies of its life (design §8, §10).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::{
    Care, EnvFilter, KillMode, PromptBy, Resources, ResultRule, StopSpec, UsageFormat, words,
};

use super::rate::Rate;
use super::traits::Traits;

words! {
    /// Whether an agent is expected to end.
    AgentType {
        /// It ends when its work is done.
        Oneshot = "oneshot",
        /// It stands, and is kept alive.
        Service = "service",
    }
}

words! {
    /// How an agent is talked to.
    AgentMode {
        /// It is given its work at the start and prints its answer.
        Headless = "headless",
        /// A person could sit at it.
        Tui = "tui",
    }
}

words! {
    /// When an instance is restarted; systemd's words.
    Restart {
        /// Never.
        No = "no",
        /// After success.
        OnSuccess = "on-success",
        /// After anything but success.
        OnFailure = "on-failure",
        /// After a signal, core, time limit, watchdog or probe, but not after an exit code.
        OnAbnormal = "on-abnormal",
        /// After the watchdog.
        OnWatchdog = "on-watchdog",
        /// After a signal or core.
        OnAbort = "on-abort",
        /// Always.
        Always = "always",
    }
}

words! {
    /// How the restart delay grows.
    Delay {
        /// It does not.
        Constant = "constant",
        /// It doubles.
        Exponential = "exponential",
        /// It is the sum of the two before.
        Fibonacci = "fibonacci",
    }
}

/// When a life counts as long enough to forget earlier restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResetAfter {
    /// The larger of 60 s and twice the delay served last.
    Auto,
    /// A fixed span, in milliseconds.
    Ms(u64),
}

words! {
    /// What happens when the start limit is hit.
    OnStartLimit {
        /// The instance is `failed` until a person acts.
        Fail = "fail",
        /// It waits until the window has room again.
        Delay = "delay",
        /// The next failover target takes over; without one, as `fail`.
        Failover = "failover",
    }
}

/// When an instance that failed over goes back to its first agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failback {
    /// When a person starts or restarts it.
    Manual,
    /// When the one that serves is idle.
    OnIdle,
    /// After this many milliseconds, when the one that serves ends or is idle.
    After(u64),
}

/// Who takes over when an agent cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failover {
    /// Agents, tried in this order.
    pub targets: Vec<String>,
    /// How many switches fit in the interval, over the whole chain.
    pub max_switches: u32,
    /// The interval, in milliseconds; it slides.
    pub interval_ms: u64,
    /// When the first agent serves again.
    pub failback: Failback,
}

words! {
    /// Who is restarted when a member of a group fails (OTP's words, with underscores as there).
    Strategy {
        /// Only that member.
        OneForOne = "one_for_one",
        /// That member and those after it.
        RestForOne = "rest_for_one",
        /// All members.
        OneForAll = "one_for_all",
    }
}

/// Instances that stand and fall together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Who is restarted when a member fails.
    pub strategy: Strategy,
    /// Services, in the order they are started; they are stopped in reverse.
    pub members: Vec<String>,
    /// How many restarts of its members by policy fit in the window; 0 is no limit.
    pub start_limit_burst: u32,
    /// The window, in milliseconds; it slides.
    pub start_limit_interval_ms: u64,
}

/// The policies of an agent's life. Spans are in milliseconds; `None` is no limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// When to restart.
    pub restart: Restart,
    /// The first restart delay.
    pub restart_delay_ms: u64,
    /// The largest restart delay.
    pub restart_max_delay_ms: u64,
    /// How it grows.
    pub delay_function: Delay,
    /// Added at random on top, as a share of the delay: 0.25 adds up to a quarter.
    pub restart_jitter: f64,
    /// When earlier restarts are forgotten, counted from the moment it was ready.
    pub restart_reset_after: ResetAfter,
    /// How many starts by policy fit in the window.
    pub start_limit_burst: u32,
    /// The window; it slides.
    pub start_limit_interval_ms: u64,
    /// What happens then.
    pub on_start_limit: OnStartLimit,
    /// Exit codes that count as success.
    pub success_codes: Vec<i32>,
    /// Signals (by number) that count as success.
    pub success_signals: Vec<i32>,
    /// Codes after which there is no restart, whatever else is said.
    pub restart_prevent_codes: Vec<i32>,
    /// Signals (by number) after which there is no restart.
    pub restart_prevent_signals: Vec<i32>,
    /// Codes after which there is a restart, whatever `restart` says.
    #[serde(default)]
    pub restart_force_codes: Vec<i32>,
    /// Signals (by number) after which there is a restart.
    #[serde(default)]
    pub restart_force_signals: Vec<i32>,
    /// Launch to ready.
    pub start_timeout_ms: Option<u64>,
    /// Start to exit.
    pub timeout_ms: Option<u64>,
    /// Without output.
    pub idle_timeout_ms: Option<u64>,
    /// How to stop it.
    pub stop: StopSpec,
    /// Added to its `oom_score_adj`.
    pub oom_score_adjust: i32,
    /// Limits that the kernel enforces.
    #[serde(default)]
    pub resources: Resources,
    /// How it is watched, and what its end means.
    #[serde(default)]
    pub care: Care,
    /// Who takes over.
    #[serde(default)]
    pub failover: Option<Failover>,
}

/// The keys of an agent that may differ between its modes, as far as they were written down.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    /// Program and arguments.
    pub command: Option<Vec<String>>,
    /// How the prompt reaches it.
    pub prompt: Option<PromptBy>,
    /// Inner terminal or pipes.
    pub terminal: Option<bool>,
    /// Where its result is looked for.
    pub result: Option<ResultRule>,
    /// What is added to the command for a model.
    #[serde(default)]
    pub model_args: Option<Vec<String>>,
    /// What is added to the command for a list of tools.
    #[serde(default)]
    pub tools_args: Option<Vec<String>>,
    /// What it writes about the tokens that it used.
    #[serde(default)]
    pub usage: Option<UsageFormat>,
}

/// What was written down for each mode. Kept beside what follows from it, so that an agent that
/// extends this one can choose the other mode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Modes {
    /// For [`AgentMode::Headless`].
    pub headless: Invocation,
    /// For [`AgentMode::Tui`].
    pub tui: Invocation,
}

/// A program that can do work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// Its name; may be `plugin@marketplace` (feature A19).
    pub name: String,
    /// One sentence about it.
    pub description: String,
    /// Program and arguments, with placeholders `{prompt}`, `{prompt_file}`, `{model}`,
    /// `{result_file}`. A relative program with `/` is resolved against the file that names it.
    /// This and the others that hold for a mode follow from `modes` by [`Agent::settle`].
    pub command: Vec<String>,
    /// Added to the command when there is a model, which stands for `{model}` (feature Q4).
    #[serde(default)]
    pub model_args: Vec<String>,
    /// Added to the command when there is a list of tools, which stands for `{tools}`, with commas
    /// between them (feature Q3).
    #[serde(default)]
    pub tools_args: Vec<String>,
    /// Whether it is expected to end.
    pub kind: AgentType,
    /// How the prompt reaches it.
    pub prompt: PromptBy,
    /// Inner terminal or pipes.
    pub terminal: bool,
    /// Where its result is looked for.
    pub result: ResultRule,
    /// Whether success without a result is a failure; always so for a task with an output schema.
    pub require_result: bool,
    /// What it can do (feature I1).
    pub capabilities: Vec<String>,
    /// What it needs, in its own words (feature I15).
    pub inputs: Vec<String>,
    /// What it gives, in its own words.
    pub outputs: Vec<String>,
    /// Where its work flows next, by name.
    pub downstream: Vec<String>,
    /// How many of its attempts may run at once.
    pub max_parallel: Option<u32>,
    /// The model's name, for `{model}` in the command or in `model_args`.
    pub model: Option<String>,
    /// Added to its environment.
    pub env: BTreeMap<String, String>,
    /// Which variables of its owner's environment it inherits.
    #[serde(default)]
    pub env_filter: EnvFilter,
    /// Working directory; the submitter's (or the daemon's) when absent.
    pub cwd: Option<PathBuf>,
    /// How it is talked to; decides which of `modes` holds.
    pub mode: AgentMode,
    /// What was written down for each mode.
    pub modes: Modes,
    /// Whether the daemon starts it as an instance.
    pub autostart: bool,
    /// The policies of its life.
    pub policy: Policy,
    /// What is said about it beside how it is run.
    #[serde(default)]
    pub traits: Traits,
    /// How many attempts of it may start in a span of time.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// What it writes about the tokens that it used (feature P1).
    #[serde(default)]
    pub usage: UsageFormat,
}

impl Default for Policy {
    /// The policy of an agent that says nothing about it; the reasons are told in
    /// `docs/configuration.md`.
    fn default() -> Self {
        Self {
            restart: Restart::OnFailure,
            restart_delay_ms: 1_000,
            restart_max_delay_ms: 60_000,
            delay_function: Delay::Exponential,
            restart_jitter: 0.25,
            restart_reset_after: ResetAfter::Auto,
            start_limit_burst: 5,
            start_limit_interval_ms: 600_000,
            on_start_limit: OnStartLimit::Fail,
            success_codes: vec![0],
            success_signals: Vec::new(),
            restart_prevent_codes: Vec::new(),
            restart_prevent_signals: Vec::new(),
            restart_force_codes: Vec::new(),
            restart_force_signals: Vec::new(),
            start_timeout_ms: Some(90_000),
            timeout_ms: None,
            idle_timeout_ms: None,
            stop: StopSpec {
                keys: Vec::new(),
                signal: "SIGTERM".to_owned(),
                timeout_ms: 10_000,
                send_sighup: true,
                mode: KillMode::ControlGroup,
            },
            oom_score_adjust: 500,
            resources: Resources::default(),
            care: Care::default(),
            failover: None,
        }
    }
}

impl Agent {
    /// An agent that says nothing about itself, not even a command.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: String::new(),
            command: Vec::new(),
            model_args: Vec::new(),
            tools_args: Vec::new(),
            kind: AgentType::Oneshot,
            prompt: PromptBy::Stdin,
            terminal: false,
            result: ResultRule::Tag,
            require_result: false,
            capabilities: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            downstream: Vec::new(),
            max_parallel: None,
            model: None,
            env: BTreeMap::new(),
            env_filter: EnvFilter::default(),
            cwd: None,
            mode: AgentMode::Headless,
            modes: Modes::default(),
            autostart: false,
            policy: Policy::default(),
            traits: Traits::default(),
            rate: None,
            usage: UsageFormat::Auto,
        }
    }
}
