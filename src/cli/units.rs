//! `up`, `down`, `start`, `stop`, `restart`, `reset-failed`: what a person wants of instances. It
//! is recorded, and holds across reload and restart.

use super::columns::{columns, head};
use super::desk::Desk;
use super::failure::COMPLETED;
use crate::control::view::{Answer, UnitReply, UnitsReply};
use crate::control::{Failure, FailureKind, Request};

/// Any instances.
#[derive(Debug, clap::Args)]
pub(crate) struct Any {
    /// The instances [default: `up` those with autostart, or all when none has it; `down` all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Print the document instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Named instances.
#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// The instances
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Print the document instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// One instance.
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// The instance
    name: String,
    /// Print the document instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Instances shall run.
pub(crate) fn up(args: &Any, desk: &Desk) -> Result<u8, Failure> {
    ask(desk, &Request::Up { names: args.names.clone() })
}

/// Instances shall not run.
pub(crate) fn down(args: &Any, desk: &Desk) -> Result<u8, Failure> {
    ask(desk, &Request::Down { names: args.names.clone() })
}

/// Named instances shall run.
pub(crate) fn start(args: &Named, desk: &Desk) -> Result<u8, Failure> {
    ask(desk, &Request::Start { names: args.names.clone() })
}

/// Named instances shall not run.
pub(crate) fn stop(args: &Named, desk: &Desk) -> Result<u8, Failure> {
    ask(desk, &Request::Stop { names: args.names.clone() })
}

/// Named instances are stopped and started.
pub(crate) fn restart(args: &Named, desk: &Desk) -> Result<u8, Failure> {
    ask(desk, &Request::Restart { names: args.names.clone() })
}

/// An instance's restarts are forgotten.
pub(crate) fn reset_failed(args: &One, desk: &Desk) -> Result<u8, Failure> {
    ask(desk, &Request::ResetFailed { name: args.name.clone() })
}

fn ask(desk: &Desk, request: &Request) -> Result<u8, Failure> {
    let seen: UnitsReply = desk.daemon()?.ask_for(request)?;
    let denied: Vec<&UnitReply> =
        seen.units.iter().filter(|unit| unit.answer == Answer::Denied).collect();
    if desk.voice.json {
        desk.voice.document(&seen)?;
    } else if seen.units.is_empty() {
        desk.voice.say("no instances are configured (an agent with `type = \"service\"` is one)");
    } else {
        let rows = std::iter::once(head(&["name", "answer", "state", "why"]));
        desk.voice.say(&columns(&rows.chain(seen.units.iter().map(row)).collect::<Vec<_>>()));
    }
    Ok(if denied.is_empty() { COMPLETED } else { FailureKind::Failed.exit_code() })
}

fn row(unit: &UnitReply) -> Vec<String> {
    let answer = match unit.answer {
        Answer::Accepted => "accepted",
        Answer::Already => "already so",
        Answer::Denied => "denied",
    };
    vec![unit.name.clone(), answer.to_owned(), unit.state.to_string(), unit.why.clone()]
}
