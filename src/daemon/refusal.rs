//! What is said when there is no answer.

use crate::control::{Failure, FailureKind};

/// What is said about a name that means nothing.
pub(super) fn unknown_target(target: &str) -> Failure {
    Failure::new(FailureKind::Usage, format!("there is no run, task or instance called `{target}`"))
        .hint("`muxvisor ps` lists what lives, `muxvisor runs` lists all runs")
}

/// What is said to whoever wants something begun while the daemon ends.
pub(super) fn ending() -> Failure {
    Failure::new(FailureKind::Unreachable, "the daemon is about to end")
}

/// A fault of ours, as a client is told of it.
pub(super) fn internal(error: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Internal, error.to_string())
        .hint("daemon.log in the daemon's home says more")
}
