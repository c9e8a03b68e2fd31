//! `submit`: an agent hands in its result. Needs no daemon: the file is the message.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::desk::Desk;
use super::failure::{COMPLETED, unreadable, usage};
use crate::control::{Failure, FailureKind};

/// The longest result, in bytes (design §5).
const BYTES_MAX: u64 = 8 << 20;

/// What to hand in.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file with the result; standard input when it is - or absent
    file: Option<PathBuf>,
    /// Print a document instead of a sentence
    #[arg(long)]
    pub(crate) json: bool,
}

/// Hands it in: whole or not at all, whatever happens to us meanwhile.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    let place = desk.shell.get("MUXVISOR_RESULT").ok_or_else(|| {
        usage("no task to submit a result for: MUXVISOR_RESULT is not set")
            .hint("`muxvisor submit` works inside an agent that muxvisor started")
    })?;
    let result = match args.file.as_deref().filter(|file| *file != Path::new("-")) {
        Some(file) => {
            let opened = File::open(desk.shell.absolute(file));
            opened.and_then(read).map_err(|error| unreadable(file, &error))?
        }
        None if desk.shell.stdin_is_terminal => {
            return Err(usage("no result to submit").hint("muxvisor submit FILE, or pipe it in"));
        }
        None => read(io::stdin().lock())
            .map_err(|error| usage(format!("failed to read standard input: {error}")))?,
    };
    check(&result)?;
    write(place, &result).map_err(|error| {
        let message = format!("failed to write {}: {error}", place.display());
        Failure::new(FailureKind::Failed, message).hint("nothing was submitted; try again")
    })?;
    if desk.voice.json {
        desk.voice.document(&json!({ "submitted": result.len() }))?;
    } else {
        desk.voice.say(&format!("submitted {} bytes", result.len()));
    }
    Ok(COMPLETED)
}

fn read(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn check(result: &[u8]) -> Result<(), Failure> {
    if result.is_empty() {
        return Err(usage("the result is empty; nothing was submitted"));
    }
    if result.len() as u64 > BYTES_MAX {
        let message = format!("the result has more than {BYTES_MAX} bytes; nothing was submitted");
        return Err(usage(message).hint("write it to a file, and submit the file's path"));
    }
    Ok(())
}

/// Replaces the file in one step that survives a power cut.
fn write(place: &Path, result: &[u8]) -> io::Result<()> {
    let directory = place.parent().unwrap_or(Path::new("."));
    let temporary = directory.join(format!(".result.{}", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(result)?;
        file.sync_all()?;
        fs::rename(&temporary, place)?;
        File::open(directory)?.sync_all()
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}
