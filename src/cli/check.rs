//! `check`: every problem of a configuration file. Needs no daemon.

use std::path::PathBuf;

use super::desk::Desk;
use super::home::ConfigFile;
use super::{configuration, plan};
use crate::control::Failure;

/// Which file to check.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file [default: the configuration that the daemon would read]
    #[arg(value_name = "CONFIG")]
    file: Option<PathBuf>,
    /// Print the document instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Checks it.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    let file = match &args.file {
        Some(path) => ConfigFile { path: desk.shell.absolute(path), named: true },
        None => desk.config()?,
    };
    let (_, findings) = configuration::check(&file)?;
    let there = if file.path.exists() { "" } else { " (not there: the defaults hold)" };
    plan::report(&format!("{}{there}", file.path.display()), findings, desk)
}
