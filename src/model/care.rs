//! How a living attempt is watched, and what its end means: readiness, probes, rules. Frozen into
//! the order of a task's attempt; an instance follows its agent's current configuration.
//!
//! Texts that are regular expressions were compiled once when they were read, so that they are
//! known to be right.

use serde::{Deserialize, Serialize};

use super::Outcome;
use super::outcome::words;

/// Everything about the watch over one attempt. Spans are in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Care {
    /// What tells that it is ready; it is ready as soon as it runs when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup: Option<Startup>,
    /// Liveness probes, in the order of the configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
    /// The longest time between two heartbeats (`WATCHDOG=1`), once it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watchdog_ms: Option<u64>,
    /// What its end means, first match wins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

/// Rows from the bottom in which a rule looks for its text while the agent lives: what it says
/// last, and its prompt below that.
const IDLE_ROWS: u16 = 16;
/// How often a rule looks at most.
const IDLE_PERIOD_MS: u64 = 10_000;

impl Care {
    /// The same with a probe for every rule that counts while the agent lives, and what is done
    /// then; `None` where nobody can sit at a prompt.
    pub fn watched(&self, then: Option<&Remedy>) -> Self {
        let rules = then
            .into_iter()
            .flat_map(|then| self.rules.iter().filter_map(move |rule| rule.probe(then.clone())));
        Self { probes: self.probes.iter().cloned().chain(rules).collect(), ..self.clone() }
    }
}

impl Rule {
    /// What looks for an agent that lives although this rule says that it is over.
    fn probe(&self, then: Remedy) -> Option<Probe> {
        let (idle_ms, pattern) = (self.idle_ms?, self.screen.clone()?);
        let period_ms = (idle_ms / 3).clamp(1, IDLE_PERIOD_MS);
        Some(Probe {
            name: format!("on: {}", self.name),
            kind: ProbeKind::Screen { pattern, rows: IDLE_ROWS, unchanged_ms: idle_ms },
            period_ms,
            timeout_ms: period_ms,
            initial_delay_ms: 0,
            failure_threshold: 1,
            success_threshold: 1,
            on_failure: vec![then],
            remedy_gap_ms: IDLE_PERIOD_MS,
        })
    }
}

/// The probe that gates all others: until it passes, the attempt is not ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Startup {
    /// What is asked.
    pub sign: ReadySign,
    /// How often.
    pub period_ms: u64,
    /// The whole time until it must have passed, from when it runs; then the outcome is
    /// `start-timeout`. Without one, the time that the attempt has to start holds.
    pub timeout_ms: Option<u64>,
}

/// What tells that an agent is ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadySign {
    /// It says `READY=1`.
    Notify,
    /// The last `rows` rows of its screen match.
    Screen {
        /// Regular expression.
        pattern: String,
        /// How many rows, from the bottom; blank ones below the last text do not count.
        rows: u16,
    },
    /// A command succeeds.
    Exec {
        /// Program and arguments.
        command: Vec<String>,
    },
}

/// A liveness probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Its name for people: as configured, or its kind.
    pub name: String,
    /// What is looked at.
    pub kind: ProbeKind,
    /// How often.
    pub period_ms: u64,
    /// How long one look may take; longer is a failure.
    pub timeout_ms: u64,
    /// How long after readiness the first look is.
    pub initial_delay_ms: u64,
    /// How many failures in a row make it fail.
    pub failure_threshold: u32,
    /// How many passes in a row make it well again.
    pub success_threshold: u32,
    /// What is done when it fails, one step after the other while it goes on failing.
    pub on_failure: Vec<Remedy>,
    /// The time between two steps.
    pub remedy_gap_ms: u64,
}

/// What a probe looks at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeKind {
    /// The state of the agent's process: a zombie or a stopped process fails.
    Process,
    /// Three signals that agree: the screen says busy, has not changed, and the whole set of
    /// processes uses no processor.
    Stall {
        /// How long the screen must stand still.
        unchanged_ms: u64,
        /// Regular expression that the screen must show for it to count as busy.
        busy: Option<String>,
        /// Regular expression of what is left out of the comparison: clocks, spinners.
        ignore: Option<String>,
        /// Processor use in percent of one core, below which the set counts as quiet.
        cpu_below: f64,
    },
    /// The visible screen, bottom `rows` rows: fails when it matches.
    Screen {
        /// Regular expression.
        pattern: String,
        /// How many rows, from the bottom.
        rows: u16,
        /// How long the whole screen must have stood still beside that; 0 asks for nothing.
        #[serde(default)]
        unchanged_ms: u64,
    },
    /// A command, in a process group of its own: fails when it exits with anything but 0.
    Exec {
        /// Program and arguments.
        command: Vec<String>,
    },
    /// The resources of the whole set of processes: fails above any of these.
    Resource {
        /// Processor use in percent of one core.
        cpu_above: Option<f64>,
        /// Resident memory in bytes.
        memory_above: Option<u64>,
    },
}

/// A step of a remediation ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// Press keys.
    Keys(Vec<String>),
    /// End it; its restart policy decides what follows.
    Restart,
    /// End it and go on with the next failover target.
    Failover,
    /// Only tell.
    Alarm,
}

/// `[[agent.X.on]]`: what an end with these signs means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name for people: as configured, or `rule N`, from 1.
    pub name: String,
    /// Regular expression that the last visible rows must match.
    pub screen: Option<String>,
    /// It counts while the agent lives, too: its screen matches and has stood still for so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u64>,
    /// The exit that must have happened.
    pub exit: ExitMatch,
    /// The outcome that it is given instead of the one that the exit alone says.
    pub outcome: Option<Outcome>,
    /// Regular expression with one group around a reset time, for `rate-limited`.
    pub reset: Option<String>,
    /// What is done.
    pub then: Option<Then>,
}

/// Which exits a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitMatch {
    /// All of them.
    Any,
    /// Only those that count as success.
    Success,
    /// Only those that do not.
    Failure,
    /// These codes and signals (by number).
    These {
        /// Exit codes.
        codes: Vec<i32>,
        /// Signal numbers.
        signals: Vec<i32>,
    },
}

/// What a rule asks for, in the place of the restart policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// Restart, whatever `restart` says; delays and limits hold.
    Restart,
    /// Stay down until a person acts.
    Fail,
    /// Go on with the next failover target.
    Failover,
    /// Restart after this many milliseconds.
    Delay(u64),
    /// Restart, and do not count it.
    Ignore,
}

words! {
    /// Whom a stop signal reaches (systemd's words).
    KillMode {
        /// Every descendant.
        ControlGroup = "control-group",
        /// The main process gets the signal, SIGKILL goes to every descendant.
        Mixed = "mixed",
        /// Only the main process; its descendants are left alone.
        Process = "process",
    }
}

/// Limits that the kernel enforces; `None` is no limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Bytes of memory of the whole set of processes.
    pub memory_max: Option<u64>,
    /// How many tasks (processes and threads) the set may have.
    pub tasks_max: Option<u64>,
    /// Processor time in percent of one core.
    pub cpu_quota: Option<f64>,
    /// Whether the agent is started although a limit cannot be enforced.
    pub best_effort: bool,
}
