//! What is said about a task while it is done: what agents report, what they tell each other, and
//! the items of a task that is done for each entry of a list.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::TaskId;
use super::outcome::words;

words! {
    /// What an agent reports about its work (feature N8).
    ReportKind {
        /// A file or link that it made.
        Artifact = "artifact",
        /// A test that it ran.
        Test = "test",
        /// Something worth knowing.
        Finding = "finding",
    }
}

/// Something an agent reported with `note`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkReport {
    /// What it is.
    pub kind: ReportKind,
    /// A path, the test's name, the finding's text.
    pub text: String,
    /// For a test: whether it passed. For others: absent.
    #[serde(default)]
    pub passed: Option<bool>,
    /// Anything more.
    #[serde(default)]
    pub data: Value,
}

/// A message from one agent to another (feature I12, ruling Z11).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its number within the run, from 1.
    pub number: u64,
    /// The task that sent it.
    pub from: TaskId,
    /// The task that it is for.
    pub to: TaskId,
    /// What it says.
    pub text: String,
    /// Sending twice with the same key is sending once.
    #[serde(default)]
    pub key: String,
}

/// A worker that a lead agent wishes for (feature C8).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerWish {
    /// Its name, under the lead's task; the next number when absent.
    pub name: Option<String>,
    /// Who shall do it.
    pub who: Who,
    /// What to do. It is data: nothing in it is expanded.
    pub text: String,
    /// What it is given, by name.
    #[serde(default)]
    pub inputs: Vec<(String, Value)>,
    /// One attempt, start to exit, in milliseconds; the lead's own limit when absent.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// JSON Schema of its result, if it is to be JSON.
    #[serde(default)]
    pub schema: Option<Value>,
    /// Wishing twice with the same key is wishing once.
    pub key: String,
}

/// Who shall do the work of a worker (feature H16).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// This agent.
    Agent(String),
    /// Any agent that can do this.
    Capability(String),
}

/// One item of a `for_each` task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// What identifies it.
    pub key: String,
    /// The item.
    pub value: Value,
}

/// An event that somebody emitted (feature C17).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Its number in this ledger, from 1.
    pub number: u64,
    /// Its name.
    pub name: String,
    /// Its data; null when it has none.
    pub data: Value,
    /// Emitting twice with the same key is emitting once.
    #[serde(default)]
    pub dedup: Option<String>,
    /// How many triggers led to it, one after the other: each started the run that emitted the
    /// next event. 0 for an event from outside.
    #[serde(default)]
    pub depth: u32,
    /// Whether somebody took it. One with such a key is remembered all the same.
    #[serde(default)]
    pub taken: bool,
}
