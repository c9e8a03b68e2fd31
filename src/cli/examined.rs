//! What `doctor` found about one thing.

use serde::Serialize;

/// Whether it is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// It is.
    Ok,
    /// It works, and could be better.
    Warning,
    /// It is broken.
    Error,
}

/// What was found about one thing.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Check {
    pub(crate) fn new(name: &'static str, verdict: Verdict, message: impl Into<String>) -> Self {
        Self { name, verdict, message: message.into(), hint: None }
    }

    pub(crate) fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, Verdict::Ok, message)
    }

    pub(crate) fn warning(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, Verdict::Warning, message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
