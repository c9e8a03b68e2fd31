//! `reload`: has the daemon take up a changed configuration.

use super::columns::{columns, head};
use super::desk::Desk;
use super::failure::COMPLETED;
use crate::control::view::ReloadReply;
use crate::control::{Failure, Request};
use crate::model::Change;

/// How.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only tell what would change
    #[arg(long)]
    dry_run: bool,
    /// Restart the instances whose command, environment or the like has changed
    #[arg(long, conflicts_with = "dry_run")]
    restart_stale: bool,
    /// Print the document instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Asks for it, and tells what has changed.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    let request = Request::Reload { dry_run: args.dry_run, restart_stale: args.restart_stale };
    let reply: ReloadReply = desk.daemon()?.ask_for(&request)?;
    if desk.voice.json {
        desk.voice.document(&reply)?;
    } else {
        desk.voice.say(&told(&reply));
    }
    Ok(COMPLETED)
}

fn told(reply: &ReloadReply) -> String {
    let mut lines = Vec::new();
    if reply.changes.is_empty() {
        lines.push(format!("{} changes nothing", reply.path.display()));
    } else {
        let row = |change: &Change| vec![change.holds.to_string(), change.text.clone()];
        let rows = std::iter::once(head(&["holds", "what"]));
        lines.push(columns(&rows.chain(reply.changes.iter().map(row)).collect::<Vec<_>>()));
    }
    if reply.dry_run && !reply.changes.is_empty() {
        lines.push("nothing was changed; `muxvisor reload` does it".to_owned());
    }
    if !reply.restarted.is_empty() {
        lines.push(format!("restarted: {}", reply.restarted.join(", ")));
    } else if !reply.stale.is_empty() && !reply.dry_run {
        let stale = reply.stale.join(", ");
        lines.push(format!("stale: {stale}; `muxvisor reload --restart-stale` restarts them"));
    }
    lines.join("\n")
}
