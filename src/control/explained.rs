//! The parts of an answer to `why`.

use serde::{Deserialize, Serialize};

/// Something that was decided or found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// When.
    pub at_ms: i64,
    /// How long ago.
    pub age_ms: u64,
    /// One sentence.
    pub text: String,
}

/// A number that a policy counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// How many.
    pub value: u64,
    /// How many there may be.
    pub limit: Option<u64>,
}

/// What will be done without anybody asking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextAction {
    /// What.
    pub text: String,
    /// In how long; null when it waits for something else.
    pub due_in_ms: Option<u64>,
}
