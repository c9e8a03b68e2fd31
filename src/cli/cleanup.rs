//! `cleanup`: delete runs that ended long ago.

use super::desk::Desk;
use super::failure::COMPLETED;
use crate::control::steer::CleanupReply;
use crate::control::{Failure, Request};

/// What to delete.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Runs that ended so many days ago, or longer
    #[arg(long, default_value_t = 7)]
    days: u32,
    /// Print the document instead of a sentence
    #[arg(long)]
    pub(crate) json: bool,
}

/// Deletes them, with their attempts' logs and results.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    let seen: CleanupReply = desk.ask(&Request::Cleanup { days: args.days })?;
    if desk.voice.json {
        desk.voice.document(&seen)?;
    } else {
        let (runs, attempts) = (seen.runs.len(), seen.attempts);
        let old = format!("{runs} run{} and", if runs == 1 { "" } else { "s" });
        let of = if attempts == 1 { "attempt" } else { "attempts" };
        let kept = match seen.cached {
            0 => String::new(),
            1 => ", and 1 kept result that was too old".to_owned(),
            n => format!(", and {n} kept results that were too old"),
        };
        desk.voice.say(&format!("deleted {old} the files of {attempts} {of}{kept}"));
    }
    Ok(COMPLETED)
}
