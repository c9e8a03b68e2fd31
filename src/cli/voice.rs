//! How a command speaks: documents on standard output, words for people beside them.

use std::io::{self, Write};
use std::sync::{Once, OnceLock};

use serde::Serialize;
use serde_json::json;

use super::failure::COMPLETED;
use super::shell::Shell;
use crate::control::{Failure, FailureKind};
use crate::document;
use crate::model::Finding;

/// A colour of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    /// Something went well.
    Green,
    /// Something went wrong.
    Red,
    /// Something needs a look.
    Yellow,
    /// Less important.
    Dim,
    /// More important.
    Bold,
}

/// Why words that were the answer could not be written, the first time. Words are said in many
/// places that go on all the same; it is told once, when the command is over.
static UNSAID: OnceLock<io::Error> = OnceLock::new();

/// Where words and documents go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice {
    /// Whether standard output carries a document, so that words go to standard error.
    pub(crate) json: bool,
    colour: bool,
    pretty: bool,
}

impl Voice {
    /// The voice of a command; `json` when it was asked for a document.
    pub(crate) fn new(json: bool, shell: &Shell) -> Self {
        let seen = if json { shell.stderr_is_terminal } else { shell.stdout_is_terminal };
        Self { json, colour: seen && shell.wants_colour(), pretty: shell.stdout_is_terminal }
    }

    /// Says something to a person. Nobody listening is no error; a full disk is one, which
    /// [`Voice::end`] tells.
    pub(crate) fn say(&self, text: &str) {
        if self.json {
            return self.note(text);
        }
        let mut out = io::stdout().lock();
        keep_failure(writeln!(out, "{text}").and_then(|()| out.flush()));
    }

    /// The exit code of a command that is over: a failure where its answer could not be written.
    pub(crate) fn end(&self, code: u8) -> u8 {
        let Some(error) = UNSAID.get() else { return code };
        let told = self.fail(&unwritten(error));
        if code == COMPLETED { told } else { code }
    }

    /// Says something that is no part of the answer, always to standard error.
    pub(crate) fn note(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Prints a document alone on standard output.
    pub(crate) fn document(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = if self.pretty {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        let text = text.map_err(|error| {
            Failure::new(FailureKind::Internal, format!("the document cannot be written: {error}"))
        })?;
        self.data(format!("{text}\n").as_bytes())
    }

    /// Writes bytes to standard output. A reader that has seen enough (`| head`) is no error.
    pub(crate) fn data(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unwritten(&error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// A text in a colour, where colours are seen.
    pub(crate) fn paint(&self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Green => 32,
            Colour::Red => 31,
            Colour::Yellow => 33,
            Colour::Dim => 2,
            Colour::Bold => 1,
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Shows the problems of a file to a person.
    pub(crate) fn findings(&self, findings: &[Finding]) {
        for finding in findings {
            self.note(&format!("{}\n", document::render(finding)));
        }
        if !findings.is_empty() {
            self.note(&document::tally(findings));
        }
    }

    /// Tells a failure, and gives the exit code for it.
    pub(crate) fn fail(&self, failure: &Failure) -> u8 {
        if self.json {
            if self.document(&json!({ "error": failure })).is_err() {
                self.note(&format!("muxvisor: {}", failure.message));
            }
            return failure.kind.exit_code();
        }
        self.findings(&failure.findings);
        self.note(&format!("muxvisor: {}", failure.message));
        if let Some(hint) = &failure.hint {
            self.note(&format!("  hint: {hint}"));
        }
        failure.kind.exit_code()
    }
}

fn unwritten(error: &io::Error) -> Failure {
    Failure::new(FailureKind::Failed, format!("failed to write to standard output: {error}"))
}

/// Remembers that an answer was not written. A reader that has seen enough (`| head`) is no error.
pub(crate) fn keep_failure(written: io::Result<()>) {
    if let Some(error) = written.err().filter(|error| error.kind() != io::ErrorKind::BrokenPipe) {
        let _ = UNSAID.set(error);
    }
}

/// Says once that the daemon lets us wait.
pub(crate) fn tell_silence(pid: i32) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        let text = format!("the daemon (pid {pid}) has not answered yet; waiting for it");
        let _ = writeln!(io::stderr().lock(), "muxvisor: {text}");
    });
}
