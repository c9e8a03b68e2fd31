//! `logs`: what an agent wrote, from the file that its shim keeps.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::deadline::Notice;
use super::desk::Desk;
use super::failure::{COMPLETED, unreadable, usage};
use crate::control::view::{AttemptPlace, LogsReply};
use crate::control::{Failure, Request};
use crate::model::{AttemptState, files};
use crate::transcript;

/// How often is looked without a notice.
const EVERY: Duration = Duration::from_secs(1);

/// Whose output to print.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An instance, a task, RUN/TASK, or an attempt
    #[arg(value_name = "NAME|TASK")]
    target: String,
    /// Go on until it ends
    #[arg(short, long)]
    follow: bool,
    /// Without colours and other control sequences
    #[arg(long)]
    plain: bool,
    /// That attempt, counted from 1 [default: the newest]
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// Print where the files are, as a document, instead
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints it.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    let request = Request::Logs { target: args.target.clone(), attempt: args.attempt };
    let seen: LogsReply = desk.ask(&request)?;
    if desk.voice.json {
        desk.voice.document(&json!(seen))?;
        return Ok(COMPLETED);
    }
    let place = seen.attempts.last().ok_or_else(|| {
        usage(format!("{} has had no attempt yet", args.target))
            .hint(format!("`muxvisor why {}` says what it waits for", args.target))
    })?;
    let path = place.dir.join(files::LOG);
    let log = match File::open(&path) {
        Ok(log) => Some(log),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(unreadable(&path, &error)),
    };
    let mut tap = Tap { log, path: &path, plain: args.plain.then(Lines::default) };
    if args.follow {
        follow(&mut tap, place, desk)?
    } else {
        tap.flow(desk)?
    }
    tap.end(desk)?;
    Ok(COMPLETED)
}

/// Prints what comes until the attempt has ended and all of it is printed.
fn follow(tap: &mut Tap<'_>, place: &AttemptPlace, desk: &Desk) -> Result<(), Failure> {
    let notice = Notice::on(&place.dir);
    loop {
        // The order matters: what is written before `exit.json` is there must be printed.
        let ended = place.state == AttemptState::Ended || place.dir.join(files::EXIT).exists();
        tap.flow(desk)?;
        if ended || !place.dir.exists() || nobody_reads() {
            return Ok(());
        }
        notice.wait(EVERY);
    }
}

/// Whether the reader of our standard output is gone (`| head`).
fn nobody_reads() -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    let out = std::io::stdout();
    let mut fd = [PollFd::new(out.as_fd(), PollFlags::empty())];
    let _ = poll(&mut fd, PollTimeout::ZERO);
    fd[0].revents().is_some_and(|seen| seen.contains(PollFlags::POLLERR))
}

/// A log that is read as it grows.
struct Tap<'p> {
    log: Option<File>,
    path: &'p Path,
    plain: Option<Lines>,
}

impl Tap<'_> {
    /// Prints what is there and was not printed yet.
    fn flow(&mut self, desk: &Desk) -> Result<(), Failure> {
        if self.log.is_none() {
            self.log = File::open(self.path).ok();
        }
        let Some(log) = &mut self.log else { return Ok(()) };
        let mut bytes = vec![0; 64 << 10];
        loop {
            let count = log.read(&mut bytes).map_err(|error| unreadable(self.path, &error))?;
            if count == 0 || nobody_reads() {
                return Ok(());
            }
            match &mut self.plain {
                Some(lines) => desk.voice.data(lines.take(&bytes[..count]).as_bytes())?,
                None => desk.voice.data(&bytes[..count])?,
            }
        }
    }

    /// Prints a last line that has no end.
    fn end(&mut self, desk: &Desk) -> Result<(), Failure> {
        let rest = self.plain.take().map(|lines| transcript::plain(&lines.rest));
        rest.map_or(Ok(()), |rest| desk.voice.data(rest.as_bytes()))
    }
}

/// Plain text is made of whole lines, because a control sequence may be cut anywhere.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// A line that is longer is printed in parts.
    const BYTES_MAX: usize = 1 << 20;

    fn take(&mut self, bytes: &[u8]) -> String {
        self.rest.extend_from_slice(bytes);
        let end = memchr::memrchr(b'\n', &self.rest).map_or(0, |at| at + 1);
        let end = if end == 0 && self.rest.len() > Self::BYTES_MAX { self.rest.len() } else { end };
        let rest = self.rest.split_off(end);
        let whole = std::mem::replace(&mut self.rest, rest);
        transcript::plain(&whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_comes_in_whole_lines() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(b"\x1b[31mred\x1b["), "");
        assert_eq!(lines.take(b"0m\nnext"), "red\n");
        assert_eq!(lines.rest, b"next");
    }
}
