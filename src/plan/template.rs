//! Text and values with references, parsed and looked up: what a run resolves when it starts a
//! task.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::TaskId;

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
    /// What a `for_each` task gave for every item, with its status: a list of
    /// `{ key, status, output, error }` (`${task.results}`).
    Results {
        /// The task.
        task: TaskId,
    },
    /// The items of a `for_each` task that failed: a list of `{ key, error }` (`${task.failed}`).
    Failed {
        /// The task.
        task: TaskId,
    },
    /// The item that a `for_each` task works on (`${item}`, `${item.id}`).
    Item {
        /// Into its value.
        path: Vec<Value>,
    },
    /// The position of that item in the list, from 0 (`${index}`).
    Index,
    /// Something about the run itself: `id`, `name`, `goal`, `status`, `summary` (`${run.id}`).
    Run {
        /// Which.
        field: String,
    },
    /// The data of the event that started something (`${event}`, in `[[on]]` only).
    Event {
        /// Into its value.
        path: Vec<Value>,
    },
    /// A value of `[inputs]`.
    Input {
        /// Its name.
        name: String,
        /// Into its value.
        path: Vec<Value>,
    },
}

/// A condition, `when = '${review.output.verdict} == "approve"'`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// At least one holds.
    Any(Vec<Condition>),
    /// All hold.
    All(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// Two values, compared.
    Compare {
        /// The left one: a reference or a literal.
        left: InputValue,
        /// How.
        by: Comparison,
        /// The right one.
        right: InputValue,
    },
    /// The value is neither `false`, `null`, `0`, `""`, nor an empty list or table.
    Truthy(InputValue),
}

/// How two values are compared. Numbers by size, texts by their characters; values of different
/// types are only ever unequal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `in`: the left one is an entry of the list on the right, or a part of its text.
    In,
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
