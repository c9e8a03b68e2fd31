//! Every way a command can end, folded into one number (design §11, fixed).

use crate::control::frame::FrameError;
use crate::control::{ClientError, Failure, FailureKind};
use crate::model::{Finding, RunOutcome, Severity};

/// What was asked for is done.
pub(crate) const COMPLETED: u8 = 0;
/// A person has to act first.
pub(crate) const WAITING: u8 = FailureKind::Waiting.exit_code();
/// Ctrl-C ended the watching, not the run; the code that shells give to SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// The exit code of a run that is over.
pub(crate) const fn exit_code(outcome: RunOutcome) -> u8 {
    match outcome {
        RunOutcome::Completed => COMPLETED,
        RunOutcome::Failed => FailureKind::Failed.exit_code(),
        RunOutcome::Partial => FailureKind::Partial.exit_code(),
        RunOutcome::Cancelled => FailureKind::Cancelled.exit_code(),
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let kind = match error {
            ClientError::Refused(failure) => return failure,
            ClientError::Socket(_) | ClientError::Frame(FrameError::TooLong { .. }) => {
                FailureKind::Usage
            }
            ClientError::Unreachable { .. }
            | ClientError::Foreign { .. }
            | ClientError::Lost(_) => FailureKind::Unreachable,
            ClientError::Frame(FrameError::Empty | FrameError::Content(_)) => FailureKind::Internal,
        };
        Failure::new(kind, error.to_string()).hint("`muxvisor doctor` looks for the reason")
    }
}

/// A usage failure.
pub(crate) fn usage(message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Usage, message)
}

/// A file that cannot be read; a person named it.
pub(crate) fn unreadable(path: &std::path::Path, error: &std::io::Error) -> Failure {
    usage(format!("failed to read {}: {error}", path.display()))
}

/// The failure of a file with problems.
pub(crate) fn invalid(what: &str, findings: Vec<Finding>) -> Failure {
    Failure::new(FailureKind::Invalid, format!("{what} has problems")).findings(findings)
}

/// Whether any finding stops the work.
pub(crate) fn stops(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_table() {
        let codes = RunOutcome::ALL.iter().map(|outcome| exit_code(*outcome));
        assert_eq!(codes.collect::<Vec<_>>(), [0, 3, 1, 4]);
        let lost = ClientError::Lost(std::io::ErrorKind::UnexpectedEof.into());
        assert_eq!(Failure::from(lost).kind.exit_code(), 10);
        assert_eq!(WAITING, 5);
        assert_eq!(FailureKind::Internal.exit_code(), 70);
        assert_eq!(FailureKind::Invalid.exit_code(), 2);
    }
}
