//! `view`: an agent in this very terminal, without tmux.

use std::path::{Path, PathBuf};

use super::desk::Desk;
use super::failure::usage;
use crate::control::view::LogsReply;
use crate::control::{Failure, Request};
use crate::model::{AttemptState, files};
use crate::shim;

/// Whom to look at.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An instance, a task, an attempt or its folder
    #[arg(value_name = "NAME|TASK|ATTEMPT|DIR")]
    target: String,
}

/// Shows it until it ends, or the person leaves.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    let dir = match folder(&args.target) {
        Some(dir) => dir,
        None => ask(&args.target, desk)?,
    };
    if dir.join(files::EXIT).exists() {
        return Err(usage(format!("{} has ended", args.target))
            .hint(format!("`muxvisor logs {}` shows what it wrote", args.target)));
    }
    if !desk.shell.stdin_is_terminal {
        return Err(usage("view needs a terminal")
            .hint(format!("`muxvisor logs --follow {}` needs none", args.target)));
    }
    Ok(u8::try_from(shim::view(&dir, None)).unwrap_or(1))
}

fn folder(target: &str) -> Option<PathBuf> {
    let dir = Path::new(target);
    dir.join(files::SPEC).exists().then(|| dir.to_owned())
}

fn ask(target: &str, desk: &Desk) -> Result<PathBuf, Failure> {
    let request = Request::Logs { target: target.to_owned(), attempt: None };
    let found: LogsReply = desk.ask(&request)?;
    let alive = found.attempts.iter().rev().find(|place| place.state != AttemptState::Ended);
    alive.map(|place| place.dir.clone()).ok_or_else(|| {
        usage(format!("nothing of {target} lives"))
            .hint(format!("`muxvisor logs {target}` shows what it wrote"))
    })
}
