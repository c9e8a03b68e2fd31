//! `results`: what a run produced.

use serde_json::Value;

use super::desk::{Desk, run_id};
use super::failure::COMPLETED;
use super::harvest::Harvest;
use crate::control::view::RunView;
use crate::control::{Failure, Request};
use crate::model::RunId;

/// Whose results to print.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run
    #[arg(value_parser = run_id)]
    run: RunId,
    /// Print the execution_results document instead
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints them. The exit code tells whether there are results, not how the run ended; that is in
/// them, and `wait RUN` exits with it.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    let document: Value = desk.ask(&Request::Results { run: args.run.clone() })?;
    if desk.voice.json {
        desk.voice.document(&document)?;
        return Ok(COMPLETED);
    }
    let run: RunView = desk.ask(&Request::Show { run: args.run.clone() })?;
    let harvest = Harvest::of(&document)?;
    if let Some(result) = harvest.result(&run.finals, desk.voice) {
        desk.voice.say(&format!("{result}\n"));
    }
    desk.voice.say(&harvest.tasks_text(desk.voice));
    desk.voice.say(&harvest.summary(desk.voice));
    Ok(COMPLETED)
}
