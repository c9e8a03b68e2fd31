//! The plan as checked: names are resolved, defaults filled in, dependencies worked out.
//! A run keeps this form, frozen, so it must be readable by later versions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Condition, ForEach, InputUse, MinSuccess, Origin, SubPlan, Template, Work};
use crate::model::{Outcome, TaskId};
use crate::policy::{Agent, Rate};

/// A checked plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this form: 1.
    pub schema: u32,
    /// Its name, `plan = "…"`.
    pub name: String,
    /// What it is for.
    pub goal: String,
    /// The pattern it says it follows, if it says so.
    pub pattern: Option<String>,
    /// How many attempts may run at once (features A6, E17, ruling Z2).
    pub max_parallel: u32,
    /// When a person must say yes.
    pub approval: Approval,
    /// How long the questions about the whole plan and its phases wait; for ever when absent.
    #[serde(default)]
    pub approval_expiry: Option<super::Expiry>,
    /// Phases, in the order of the file.
    pub phases: Vec<Phase>,
    /// Tasks, in the order of the file. Dependencies point at them by id.
    pub tasks: Vec<Task>,
    /// The agents that its tasks use, frozen.
    pub agents: BTreeMap<String, Agent>,
    /// Values of its inputs, `${input.x}`.
    pub inputs: BTreeMap<String, Value>,
    /// After so many final failures nothing more is started and a person is asked (feature K10);
    /// 0 is never.
    #[serde(default = "three")]
    pub stop_after_failures: u32,
    /// What the whole run may cost.
    #[serde(default)]
    pub budget: Option<Budget>,
    /// Its named pools, `[limits]`, which all runs of the daemon share.
    #[serde(default)]
    pub limits: BTreeMap<String, Pool>,
    /// What events start, `[[on]]`.
    #[serde(default)]
    pub on: Vec<Trigger>,
}

/// The breaker's usual limit (feature K10).
const fn three() -> u32 {
    3
}

/// What a run or a task may cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Dollars.
    pub cost_usd: Option<f64>,
    /// Tokens, input and output together.
    pub tokens: Option<u64>,
    /// What happens when it is used up.
    pub on_exceed: OnExceed,
}

/// What happens when a budget is used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnExceed {
    /// Nothing more is started, and a person is asked.
    #[default]
    Pause,
    /// What is not done yet is left out.
    Stop,
    /// It is told, and work goes on.
    Warn,
}

/// A named pool that tasks take from while an attempt of theirs lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// How many can be taken at once; no limit when absent.
    pub slots: Option<u32>,
    /// How many may start in a span of time.
    pub rate: Option<Rate>,
}

/// What an event starts: a plan, as a run of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// The event's name.
    pub event: String,
    /// Only if this holds of its data.
    pub when: Option<Condition>,
    /// The plan; its inputs may name `${event.…}`.
    pub start: super::SubPlan,
}

/// When a person must say yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// Never.
    None,
    /// Before the first task.
    Plan,
    /// Before each phase.
    EachPhase,
}

/// How the tasks of a phase run (feature A13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// At once.
    Parallel,
    /// One after the other.
    Sequential,
}

/// What a failed task means for its phase (feature A16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnPartialFailure {
    /// It leaves a gap.
    Continue,
    /// The run is over.
    Abort,
}

/// A phase: a unit of ordering.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Its id.
    pub id: String,
    /// How its tasks run.
    pub mode: Mode,
    /// Phases that must be over before it starts.
    pub depends_on: Vec<String>,
    /// What a failed task means.
    pub on_partial_failure: OnPartialFailure,
    /// Its tasks, in order.
    pub tasks: Vec<TaskId>,
    /// Whether it is done at all.
    #[serde(default)]
    pub when: Option<Condition>,
    /// How many of its tasks must succeed; without, what each task says counts.
    #[serde(default)]
    pub min_success: Option<MinSuccess>,
    /// After that long what is not over is stopped, and what there is is taken.
    #[serde(default)]
    pub gather_timeout_ms: Option<u64>,
    /// How many of its attempts may run at once, within the run's own limit.
    #[serde(default)]
    pub max_parallel: Option<u32>,
}

/// A task: a unit of work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its id, unique in the plan.
    pub id: TaskId,
    /// Its phase.
    pub phase: String,
    /// What to do; may hold references.
    pub description: Template,
    /// One sentence: who does it (`role`, or `expert_role`).
    pub role: Option<String>,
    /// What not to touch, and the like.
    pub constraints: Vec<Template>,
    /// The name under which readers know its output, if it has another than `output`.
    pub output_key: Option<String>,
    /// What its output is read as.
    pub output_as: OutputAs,
    /// JSON Schema of its output, if it is read as JSON.
    pub output: Option<Value>,
    /// What an agent is to be entered by (feature A14).
    pub entry_point: Option<EntryPoint>,
    /// What does it.
    pub work: Work,
    /// What it is given, by name (feature G2).
    pub inputs: Vec<InputUse>,
    /// What must be over before it starts, one entry per task (feature A2).
    pub needs: Vec<DependsOn>,
    /// Extra attempts after the first, with the same agent.
    pub retries: u32,
    /// How many of them timeouts may use (ruling Z1).
    pub retries_on_timeout: u32,
    /// The outcomes after which there is another attempt.
    pub retry_on: Vec<Outcome>,
    /// Exit codes that end retries at once.
    pub no_retry_exit: Vec<i32>,
    /// Wait between attempts.
    pub retry_wait: RetryWait,
    /// One attempt, start to exit, in milliseconds (ruling Z14).
    pub timeout_ms: Option<u64>,
    /// Without output, in milliseconds.
    pub idle_timeout_ms: Option<u64>,
    /// How long it is expected to take, in milliseconds (feature A3).
    pub expected_ms: Option<u64>,
    /// Larger starts first (feature J1).
    pub priority: i64,
    /// Whether its failure leaves its phase whole.
    pub optional: bool,
    /// Working directory, relative to the submitter's.
    pub cwd: Option<String>,
    /// Whether it is done at all, `when`.
    #[serde(default)]
    pub when: Option<Condition>,
    /// What it is done for each of, if it is.
    #[serde(default)]
    pub for_each: Option<Box<ForEach>>,
    /// Whom it belongs to, if the file does not name it as a task of its own.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// Whether its agent may ask for workers, and how many (feature C8).
    #[serde(default)]
    pub lead: Option<Lead>,
    /// The tasks that its agent may send messages to (ruling Z11); none unless granted.
    #[serde(default)]
    pub messages: Vec<TaskId>,
    /// What it takes of the named pools while an attempt lives.
    #[serde(default)]
    pub uses: BTreeMap<String, u32>,
    /// The model, instead of the agent's own.
    #[serde(default)]
    pub model: Option<String>,
    /// How long it may wait for a slot, in milliseconds.
    #[serde(default)]
    pub queue_timeout_ms: Option<u64>,
    /// From its first start to its end, all attempts together, in milliseconds.
    #[serde(default)]
    pub total_timeout_ms: Option<u64>,
    /// How long a result of the same work is taken instead of doing it again, in milliseconds.
    #[serde(default)]
    pub cache_ms: Option<u64>,
    /// What it may cost.
    #[serde(default)]
    pub budget: Option<Budget>,
    /// The highest tier of action its agent may take by itself (feature H14); 2 unless the plan
    /// says otherwise.
    #[serde(default = "tier_two")]
    pub tier: u8,
}

/// What agents of tasks may do by themselves (feature H14).
const fn tier_two() -> u8 {
    2
}

/// That the agent of a task may ask for workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lead {
    /// How many, over the whole task.
    pub max_workers: u32,
    /// The agents that it may ask for; any of the plan's when empty.
    pub agents: Vec<String>,
}

/// What the output of a task is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputAs {
    /// Text, as it stands: an agent without `output`, or `output = "markdown"`.
    Text,
    /// JSON that fits [`Task::output`].
    Json,
    /// `{ exit_code, tail, log }`, made by the engine: a command without `output`.
    Report,
}

/// Where an agent is to enter: a slash command, a skill, … (feature A14).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntryPoint {
    /// Its type: `command`, `skill`, `agent`, `tool` or `prompt`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its value, `/finance:extract`.
    pub value: Template,
}

/// Wait between attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetryWait {
    /// Before the first retry, in milliseconds.
    pub first_ms: u64,
    /// What each further one is multiplied with.
    pub factor: f64,
    /// The largest, in milliseconds.
    pub max_ms: u64,
    /// Whether up to a quarter is added at random.
    pub jitter: bool,
}

/// That a task waits for another, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DependsOn {
    /// The task that must be over first.
    pub task: TaskId,
    /// Why: a reference, `depends_on`, phase order, or sequential order.
    pub cause: DependsCause,
    /// Whether it must have succeeded. A soft dependency only orders: phase order, sequential
    /// order in a phase that continues, and references with a default or to a status or error.
    pub hard: bool,
}

/// Why a task waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DependsCause {
    /// A reference to its output.
    Reference,
    /// `depends_on`.
    Explicit,
    /// `depends_on_phases`.
    Phase,
    /// The order of a sequential phase.
    Sequential,
}

impl Task {
    /// The task of the lead that asked for it, if it is a worker (feature C8).
    pub fn worker_of(&self) -> Option<&TaskId> {
        self.origin.as_ref().and_then(Origin::lead)
    }

    /// Whether its failure leaves its phase and run whole: it was optional, or what becomes of it
    /// is its lead's decision.
    pub fn is_spared(&self) -> bool {
        self.optional || self.worker_of().is_some()
    }

    /// Whether it is done for each entry of a list and says how many may fail: `min_success`, or
    /// `on_partial_failure = "continue"`.
    pub fn bears_failures(&self) -> bool {
        self.for_each.as_ref().is_some_and(|for_each| for_each.min_success.is_some())
    }

    /// The plan that it is, where it is one and done once.
    pub fn sub_plan(&self) -> Option<&SubPlan> {
        let Work::Plan(inner) = &self.work else { return None };
        Some(&**inner).filter(|_| self.for_each.is_none())
    }

    /// The name of that plan.
    pub fn inner_plan(&self) -> Option<&str> {
        self.sub_plan()?.plan["name"].as_str()
    }

    /// Whether it is the command of `[on_finish]`.
    pub fn is_last(&self) -> bool {
        matches!(self.origin, Some(Origin::Finish))
    }

    /// Whether it is a task of the result document: hooks and the like are not.
    pub fn counts(&self) -> bool {
        self.origin.as_ref().is_none_or(Origin::counts)
    }

    /// Whether the file names it as a task of its own, or an agent asked for it: it is no item, no
    /// hook and the like.
    pub fn stands_alone(&self) -> bool {
        matches!(self.origin, None | Some(Origin::Worker { .. }))
    }
}

impl OnPartialFailure {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            OnPartialFailure::Continue => "continue",
            OnPartialFailure::Abort => "abort",
        }
    }
}

impl Plan {
    /// The task of that id.
    pub fn task(&self, id: &TaskId) -> Option<&Task> {
        self.tasks.iter().find(|task| task.id == *id)
    }

    /// The phase of that id.
    pub fn phase(&self, id: &str) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.id == id)
    }
}
