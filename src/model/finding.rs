//! A problem in a file that a person wrote: what, where, and what to do about it.

use serde::{Deserialize, Serialize};

use super::outcome::words;

words! {
    /// Whether a finding stops the work.
    Severity {
        /// It does.
        Error = "error",
        /// It does not.
        Warning = "warning",
    }
}

/// One problem, complete enough to be shown without the file at hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// `E01` …, `W01` …, `A01` … for plans (`docs/checker.md`); `C01` … for configuration.
    pub code: String,
    /// Whether it stops the work.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// The file, as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// How many characters the caret underlines, at least 1.
    pub width: u32,
    /// The column after the last one that is underlined.
    #[serde(default)]
    pub end: u32,
    /// The line itself.
    pub excerpt: String,
    /// Said behind the caret: "did you mean `patents`?".
    pub help: Option<String>,
    /// Further lines, e.g. the edges of a cycle.
    pub notes: Vec<String>,
}
