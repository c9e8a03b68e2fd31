//! `msg`: agents write to each other, through the daemon and where the plan grants it (ruling Z11).

use std::path::PathBuf;
use std::time::Duration;

use super::deadline::Deadline;
use super::desk::Desk;
use super::failure::COMPLETED;
use super::inside::{self, span};
use crate::control::inside::{InboxReply, NotedReply};
use crate::control::{Failure, Inside};

/// What to do with messages.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Write to the agent of another task
    Send(Send),
    /// Read what was written to this one
    Inbox(Inbox),
}

/// A message.
#[derive(Debug, clap::Args)]
pub(crate) struct Send {
    /// The task that is to read it
    to: String,
    /// What it says; standard input when it is -
    text: Option<String>,
    /// What it says, from a file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print a document instead of a sentence
    #[arg(long)]
    json: bool,
}

/// Which messages.
#[derive(Debug, clap::Args)]
pub(crate) struct Inbox {
    /// Only those with a higher number
    #[arg(long, value_name = "N", default_value_t = 0)]
    since: u64,
    /// Wait for one, at most so long, such as 5m
    #[arg(long, value_name = "D", value_parser = span)]
    wait: Option<u64>,
    /// Print a document instead of text
    #[arg(long)]
    json: bool,
}

impl Verb {
    /// Whether standard output is to carry a document.
    pub(crate) const fn json(&self) -> bool {
        match self {
            Verb::Send(args) => args.json,
            Verb::Inbox(args) => args.json,
        }
    }
}

/// Sends or reads.
pub(crate) fn run(verb: &Verb, desk: &Desk) -> Result<u8, Failure> {
    match verb {
        Verb::Send(args) => send(args, desk),
        Verb::Inbox(args) => inbox(args, desk),
    }
}

fn send(args: &Send, desk: &Desk) -> Result<u8, Failure> {
    let text = inside::text(desk, args.text.as_deref(), args.file.as_deref(), "the message")?;
    let send = Inside::Send { to: args.to.clone(), text, key: inside::key() };
    let noted: NotedReply = inside::ask(desk, send)?;
    if desk.voice.json {
        desk.voice.document(&noted)?;
    } else {
        desk.voice.say(&format!("sent to {}", args.to));
    }
    Ok(COMPLETED)
}

fn inbox(args: &Inbox, desk: &Desk) -> Result<u8, Failure> {
    let limit = args.wait.map_or(Duration::ZERO, Duration::from_millis);
    let deadline = Deadline::after(Some(limit));
    let seen = loop {
        let wait_ms = inside::round_ms(&deadline);
        let question = Inside::Inbox { since: args.since, wait_ms };
        let seen: InboxReply = inside::ask(desk, question)?;
        if !seen.messages.is_empty() || deadline.passed() {
            break seen;
        }
    };
    if desk.voice.json {
        desk.voice.document(&seen)?;
    } else if seen.messages.is_empty() {
        desk.voice.say("no messages");
    } else {
        for message in &seen.messages {
            desk.voice.say(&format!("{} {}: {}", message.number, message.from, message.text));
        }
    }
    Ok(COMPLETED)
}
