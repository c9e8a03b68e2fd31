//! The plan as checked: names are resolved, defaults filled in, dependencies worked out.
//! A run keeps this form, frozen, so it must be readable by later versions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{Outcome, TaskId};
use crate::policy::Agent;

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
    /// Phases, in the order of the file.
    pub phases: Vec<Phase>,
    /// Tasks, in the order of the file. Dependencies point at them by id.
    pub tasks: Vec<Task>,
    /// The agents that its tasks use, frozen.
    pub agents: BTreeMap<String, Agent>,
    /// Values of its inputs, `${input.x}`.
    pub inputs: BTreeMap<String, Value>,
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

/// What does a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Work {
    /// An agent, with fallbacks in order (feature A15).
    Agent {
        /// The first is the primary, never empty.
        agents: Vec<TaskAgent>,
    },
    /// A program, without model or tokens.
    Command {
        /// Program and arguments; references fill whole or part of an argument, never a shell.
        run: Vec<Template>,
    },
}

/// One agent of a task's list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskAgent {
    /// Its name in [`Plan::agents`].
    pub name: String,
    /// Extra attempts with it: the task's for the primary, 0 for a fallback (research 5.2).
    pub retries: u32,
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

/// A named value that a task is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputUse {
    /// Its name: a heading in the prompt, a variable for a command.
    pub name: String,
    /// The value: a template, or any TOML value with templates in it.
    pub value: InputValue,
}

/// A value with references in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputValue {
    /// Text with references. One that is a single reference keeps the type of its value.
    Text(Template),
    /// Anything without references.
    Plain(Value),
    /// A list.
    List(Vec<InputValue>),
    /// A table.
    Table(BTreeMap<String, InputValue>),
}

/// Text with references, already parsed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template {
    /// In order.
    pub parts: Vec<TemplatePart>,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TemplatePart {
    /// As it stands.
    Text(String),
    /// `${…}`.
    Reference {
        /// As it was written, for messages.
        written: String,
        /// What it means.
        to: Edge,
        /// `?? 'default'`.
        default: Option<String>,
    },
}

/// What a reference points at. Paths are keys and indices, `["quarters", 0, "name"]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edge {
    /// A task's output, or a field of it.
    Output {
        /// The task.
        task: TaskId,
        /// Into its value.
        path: Vec<Value>,
    },
    /// The outputs of all successful tasks of a phase, as a list (`${phase.*.output}`).
    PhaseOutputs {
        /// The phase.
        phase: String,
    },
    /// A task's status word.
    Status {
        /// The task.
        task: TaskId,
    },
    /// A task's error message; empty when it has none.
    Error {
        /// The task.
        task: TaskId,
    },
    /// A value of `[inputs]`.
    Input {
        /// Its name.
        name: String,
        /// Into its value.
        path: Vec<Value>,
    },
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

impl Template {
    /// A template without references.
    pub fn text(text: impl Into<String>) -> Self {
        Self { parts: vec![TemplatePart::Text(text.into())] }
    }
}

impl Template {
    /// The text as a person wrote it, for plans that are shown.
    pub fn written(&self) -> String {
        let part = |part: &TemplatePart| match part {
            TemplatePart::Text(text) => text.clone(),
            TemplatePart::Reference { written, .. } => written.clone(),
        };
        self.parts.iter().map(part).collect()
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
