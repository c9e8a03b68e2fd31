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
    /// Whether somebody took it. One with such a key is remembered all the same.
    #[serde(default)]
    pub taken: bool,
}
