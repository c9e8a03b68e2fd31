//! `approve` and `cancel`: a person's word about a run.

use super::desk::{Desk, run_id};
use super::failure::COMPLETED;
use crate::control::view::RunReply;
use crate::control::{Failure, Request};
use crate::model::RunId;

/// What to approve.
#[derive(Debug, clap::Args)]
pub(crate) struct Approve {
    /// The run that waits
    #[arg(value_parser = run_id)]
    run: RunId,
    /// Say no: the run is cancelled
    #[arg(long)]
    reject: bool,
    /// Print the document instead of a sentence
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to cancel.
#[derive(Debug, clap::Args)]
pub(crate) struct Cancel {
    /// The run
    #[arg(value_parser = run_id)]
    run: RunId,
    /// Print the document instead of a sentence
    #[arg(long)]
    pub(crate) json: bool,
}

/// Says yes or no to a run that waits.
pub(crate) fn approve(args: &Approve, desk: &Desk) -> Result<u8, Failure> {
    let word = if args.reject { "rejected" } else { "approved" };
    tell(desk, &Request::Approve { run: args.run.clone(), reject: args.reject }, word)
}

/// Stops a run's agents and ends it.
pub(crate) fn cancel(args: &Cancel, desk: &Desk) -> Result<u8, Failure> {
    tell(desk, &Request::Cancel { run: args.run.clone() }, "is being cancelled")
}

fn tell(desk: &Desk, request: &Request, word: &str) -> Result<u8, Failure> {
    let seen: RunReply = desk.daemon()?.ask_for(request)?;
    if desk.voice.json {
        desk.voice.document(&seen)?;
    } else {
        desk.voice.say(&format!("{} {word}; it is {}", seen.run, seen.state));
    }
    Ok(COMPLETED)
}
