//! `runs`: all runs, the newest first.

use super::columns::{columns, head, span, stamp};
use super::desk::Desk;
use super::failure::COMPLETED;
use crate::control::view::{RunSummary, RunsReply};
use crate::control::{Failure, Request};
use crate::model::RunState;

/// Which runs to list.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those that are not over
    #[arg(long)]
    active: bool,
    /// Print the document instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Lists the runs.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    let seen: RunsReply = desk.ask(&Request::Runs { active: args.active })?;
    if desk.voice.json {
        desk.voice.document(&seen)?;
    } else if seen.runs.is_empty() {
        desk.voice.say("no runs");
    } else {
        let titles = head(&["run", "plan", "state", "tasks", "started", "took", "goal"]);
        let rows: Vec<_> = std::iter::once(titles).chain(seen.runs.iter().map(row)).collect();
        desk.voice.say(&columns(&rows));
    }
    Ok(COMPLETED)
}

fn row(one: &RunSummary) -> Vec<String> {
    let why = one.why.as_ref().filter(|_| one.state == RunState::Paused);
    let why = why.map_or(String::new(), |why| format!(" ({why})"));
    let asks = if one.asks > 0 { format!(", asks {}", one.asks) } else { String::new() };
    let state = one
        .outcome
        .map_or_else(|| format!("{}{why}{asks}", one.state), |outcome| outcome.to_string());
    let name = one
        .parent
        .as_ref()
        .map_or_else(|| one.name.clone(), |parent| format!("{} (part of {parent})", one.name));
    vec![
        one.run.to_string(),
        name,
        state,
        format!("{}/{}", one.successful, one.tasks),
        stamp(one.started_at_ms),
        span(one.elapsed_ms),
        one.goal.clone(),
    ]
}
