//! What can go wrong, sorted by what a caller can do about it.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why the ledger could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A newer program wrote the file. It stays as it is.
    #[error(
        "{path} was written by a newer muxvisor (format {found}, this one knows {known}): \
         it was left untouched; start the newer muxvisor, or move the file away to begin a new one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The file cannot be read as a ledger. It stays as it is.
    #[error(
        "{path} is not a readable ledger: {reason}; it was left untouched; move it away (with \
         its -wal and -shm) to begin a new one, and see `muxvisor doctor`"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The disk is full or failing. Nothing of the batch was recorded; it may be tried again.
    #[error("failed to {doing}: the disk is full or failing: {source}; free some space")]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The file is not in its place any more, so that what is written to it would not last.
    #[error(
        "{path} is not the ledger that was opened; put it back, or end this daemon: agents live on"
    )]
    Away {
        /// Where it should be.
        path: PathBuf,
    },
    /// A fact contradicts what is recorded. Nothing of its batch was recorded.
    #[error("refused: {what}")]
    Fenced {
        /// The fact and what speaks against it.
        what: String,
    },
    /// The file could not be reached.
    #[error("failed to {doing} {path}: {source}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A row does not hold what this program writes.
    #[error("failed to read {what} from the ledger: {source}")]
    Content {
        /// Which row.
        what: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Anything else that SQLite reports.
    #[error("failed to {doing}: {source}")]
    Sql {
        /// What was being done.
        doing: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The writer is gone; it only ends with the ledger.
    #[error("the ledger's writer has ended")]
    Closed,
}

/// Sorts what SQLite reports into what a caller can act on.
pub(super) fn sql(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Error {
    move |source| match source.sqlite_error_code() {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen,
        ) => Error::Disk { doing, source },
        // The tables hold what may be there only once: a run's id, an attempt's id and token.
        Some(ErrorCode::ConstraintViolation) => Error::Fenced { what: source.to_string() },
        _ => Error::Sql { doing, source },
    }
}
