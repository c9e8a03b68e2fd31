//! What is said about an agent beside how it is run (features Q3, Q4).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::document::Table;
use crate::model::words;

use super::amount::set;

words! {
    /// How much of something.
    Level {
        /// Little.
        Low = "low",
        /// As usual.
        Medium = "medium",
        /// Much.
        High = "high",
    }
}

/// Feature Q4: who says nothing is `medium`.
impl Default for Level {
    fn default() -> Self {
        Self::Medium
    }
}

/// What is said about an agent beside how it is run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traits {
    /// How much harm it can do.
    pub risk: Level,
    /// What its work costs, as against that of others with the same capability.
    pub cost: Level,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The colour in which it is shown.
    pub color: Option<String>,
    /// Who it is, in one sentence: the role in its prompts unless the task has one.
    pub intent: Option<String>,
    /// What it is told with every task.
    pub instructions: Option<String>,
    /// The tools that it may use; whatever its program allows when empty.
    pub tools: Vec<String>,
    /// Its place in the routing table, by capability, from 0.
    pub ranks: BTreeMap<String, u32>,
    /// Whether a contract made it: it runs on another agent's program.
    pub profile: bool,
}

/// Reads the keys of an agent that say what it is.
pub(super) fn read_traits(table: &mut Table<'_>, traits: &mut Traits) {
    let level = |word: crate::document::Spanned<Level>| word.value;
    set(&mut traits.risk, table.word("risk", Level::ALL, Level::word).map(level));
    set(&mut traits.cost, table.word("cost", Level::ALL, Level::word).map(level));
    set(&mut traits.tags, texts(table, "tags"));
    set(&mut traits.tools, texts(table, "tools"));
    set(&mut traits.color, table.text("color").map(|text| Some(text.value)));
    set(&mut traits.intent, table.text("intent").map(|text| Some(text.value)));
    set(&mut traits.instructions, table.text("instructions").map(|text| Some(text.value)));
}

fn texts(table: &mut Table<'_>, key: &str) -> Option<Vec<String>> {
    Some(table.texts(key)?.into_iter().map(|text| text.value).collect())
}

/// A capability as it is compared: `Code Generation` and `code_generation` are `code-generation`.
pub fn capability(text: &str) -> String {
    text.trim().to_lowercase().replace([' ', '_'], "-")
}
