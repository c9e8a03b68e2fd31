//! Questions at a person's terminal: how they read, the line at which the answer is typed, and what
//! the typed words mean.
//!
//! What was typed before that line was shown is forgotten, and so is what was begun when another
//! line is printed above it: it was meant for something that can no longer be seen.

use std::io::{BufRead, Write};
use std::os::fd::AsFd;

use nix::sys::termios::{FlushArg, tcflush};
use nix::unistd::read;

use super::columns::span;
use super::deadline::Interrupt;
use crate::control::steer::AskView;
use crate::model::RunId;
use crate::model::ask::{ADJUST, APPROVE, PLAN, REJECT};

/// A longer line is no answer to anything.
const LINE_BYTES_MAX: usize = 1024;

/// What a person typed at a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// One of its answers.
    Answer(String),
    /// Not now: an empty line, or the end of the input.
    Later,
    /// Something else, and what to do about it.
    Unclear(String),
}

/// The line at which a person types, the last one of the terminal.
#[derive(Debug)]
pub(crate) struct Prompt {
    text: String,
    /// Whether the terminal can take a line back.
    erasable: bool,
}

impl Prompt {
    /// A line that is not shown yet.
    pub(crate) fn new(text: String, erasable: bool) -> Self {
        Self { text, erasable }
    }

    /// Shows it. Nobody seeing it is no error.
    pub(crate) fn show(&self) {
        let _ = tcflush(std::io::stdin().as_fd(), FlushArg::TCIFLUSH);
        let mut screen = std::io::stderr().lock();
        let _ = write!(screen, "{}", self.text).and_then(|()| screen.flush());
    }

    /// Takes it away, so that something else can be printed.
    pub(crate) fn hide(&self) {
        let mut screen = std::io::stderr().lock();
        let gone = if self.erasable { "\r\x1b[K" } else { "\n" };
        let _ = write!(screen, "{gone}").and_then(|()| screen.flush());
    }
}

/// A question, what becomes of it when nobody answers, which run asks it if not this one, and the
/// command that answers it.
pub(crate) fn heading(ask: &AskView) -> String {
    format!("{}{}{}\n    {}", ask.question, until(ask), asker(ask), ask.how)
}

/// The run that asks, where that is a part of the one that is looked at.
fn asker(ask: &AskView) -> String {
    let inner = ask.id.split_once('/').filter(|(run, _)| RunId::parse(run).is_ok());
    match (inner, &ask.task) {
        (Some((run, _)), Some(task)) => format!(" ({run} asks, for {task})"),
        (Some((run, _)), None) => format!(" ({run} asks)"),
        (None, _) => String::new(),
    }
}

fn until(ask: &AskView) -> String {
    match (ask.expires_in_ms, &ask.on_expire) {
        (Some(ms), Some(answer)) => format!(" (in {} the answer is {answer})", span(ms)),
        (_, _) => String::new(),
    }
}

/// The line at which it is answered.
pub(crate) fn line_of(ask: &AskView) -> String {
    if ask.id == PLAN {
        return format!("Run this plan?{} [y/N] ", until(ask));
    }
    format!("  {}? Enter leaves it open: ", words_of(ask))
}

/// The answers that can be typed: an edited plan goes with a command.
fn words_of(ask: &AskView) -> String {
    let words: Vec<&str> =
        ask.answers.iter().map(String::as_str).filter(|word| *word != ADJUST).collect();
    words.join(" or ")
}

/// Reads what was typed at a question; the input must be readable.
pub(crate) fn typed(ask: &AskView) -> Typed {
    let mut bytes = [0; LINE_BYTES_MAX];
    match read(std::io::stdin().as_fd(), &mut bytes) {
        Ok(0) | Err(_) => Typed::Later,
        Ok(count) => meaning(ask, &String::from_utf8_lossy(&bytes[..count])),
    }
}

/// What a line means as an answer. An empty one is a no to a plan, as its `[y/N]` says.
fn meaning(ask: &AskView, line: &str) -> Typed {
    let word = line.trim();
    let known = |word: &str| {
        let is_it = |answer: &&String| answer.to_lowercase() == word.to_lowercase();
        ask.answers.iter().find(is_it).cloned()
    };
    let meant = match word.to_lowercase().as_str() {
        "" if ask.id == PLAN => known(REJECT),
        "" => return Typed::Later,
        ADJUST if known(ADJUST).is_some() => {
            let command = ask.how.split(" retry|").next().unwrap_or(&ask.how);
            return Typed::Unclear(format!(
                "  an edited plan goes with {command} adjust --plan FILE"
            ));
        }
        "y" | "yes" => known(word).or_else(|| known("yes")).or_else(|| known(APPROVE)),
        "n" | "no" => known(word).or_else(|| known("no")).or_else(|| known(REJECT)),
        word => known(word),
    };
    let unclear = if ask.id == PLAN {
        "  please answer y or n; Ctrl-C leaves it waiting".to_owned()
    } else {
        format!("  please answer {}; Enter leaves it open", words_of(ask))
    };
    meant.map_or(Typed::Unclear(unclear), Typed::Answer)
}

/// Asks a question that only this terminal knows, until the answer is yes or no; an empty one is
/// no, Ctrl-C is none.
pub(crate) fn confirm(question: &str, interrupt: &Interrupt) -> Option<bool> {
    let mut screen = std::io::stderr();
    let stdin = std::io::stdin();
    loop {
        let _ = write!(screen, "{question} [y/N] ").and_then(|()| screen.flush());
        if !interrupt.readable_before(stdin.as_fd()) {
            let _ = writeln!(screen);
            return None;
        }
        let mut line = String::new();
        // At the end of the input nobody can be asked again.
        let ended = stdin.lock().read_line(&mut line).map_or(true, |count| count == 0);
        match yes_or_no(&line) {
            Some(yes) => return Some(yes),
            None if ended => return Some(false),
            None => {
                let _ = writeln!(screen, "  please answer y or n");
            }
        }
    }
}

/// What a line says; nothing, when it is neither yes nor no.
fn yes_or_no(line: &str) -> Option<bool> {
    match line.trim().to_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "" | "n" | "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AskKind;

    fn ask(id: &str, answers: &[&str]) -> AskView {
        AskView {
            id: id.to_owned(),
            kind: AskKind::Approve,
            task: None,
            question: "What now?".to_owned(),
            answers: answers.iter().map(|word| (*word).to_owned()).collect(),
            expires_in_ms: Some(600_000),
            on_expire: Some(answers[1].to_owned()),
            how: format!("muxvisor decide PLAN-2026-11-21-001 {}", answers.join("|")),
        }
    }

    fn answer(word: &str) -> Typed {
        Typed::Answer(word.to_owned())
    }

    /// A slip of the hand must not cancel a run (features A10, A11).
    #[test]
    fn only_yes_and_no_are_answers() {
        let seen = ["y\n", " YES\n", "\n", "No\n", "perhaps\n", "yep\n"].map(yes_or_no);
        assert_eq!(seen, [Some(true), Some(true), Some(false), Some(false), None, None]);
        let plan = ask(PLAN, &[APPROVE, REJECT]);
        let seen = ["y\n", "YES\n", "approve\n", "\n", "n\n"].map(|line| meaning(&plan, line));
        assert_eq!(seen, ["approve", "approve", "approve", "reject", "reject"].map(answer));
        assert!(matches!(meaning(&plan, "yep\n"), Typed::Unclear(_)));
        assert_eq!(line_of(&plan), "Run this plan? (in 10m 0s the answer is reject) [y/N] ");
    }

    /// Features A11, K12, H14.
    #[test]
    fn a_line_means_an_answer_that_is_known_or_nothing() {
        let gate = ask("gate", &[APPROVE, REJECT]);
        assert_eq!(meaning(&gate, " Reject \n"), answer("reject"));
        assert_eq!(meaning(&gate, "y\n"), answer("approve"));
        assert_eq!(meaning(&gate, "\n"), Typed::Later, "nobody approves by accident");
        assert_eq!(line_of(&gate), "  approve or reject? Enter leaves it open: ");
        let action = ask("tier3-1", &["yes", "no"]);
        assert_eq!(["y", "NO"].map(|line| meaning(&action, line)), ["yes", "no"].map(answer));
        let tie = ask("tie", &["y", "b"]);
        assert_eq!(meaning(&tie, "y\n"), answer("y"));
        assert!(matches!(meaning(&tie, "no\n"), Typed::Unclear(_)));
        let failures = ask("failures-1", &["retry", ADJUST, "accept"]);
        assert_eq!(meaning(&failures, "retry\n"), answer("retry"));
        assert!(matches!(meaning(&failures, "ret\n"), Typed::Unclear(_)));
        let Typed::Unclear(said) = meaning(&failures, "adjust\n") else { panic!() };
        assert!(said.ends_with("decide PLAN-2026-11-21-001 adjust --plan FILE"), "{said}");
        assert_eq!(line_of(&failures), "  retry or accept? Enter leaves it open: ");
    }
}
