//! `wait`: returns when a run is over, or something reached a state. A daemon that dies meanwhile
//! is started again, and the waiting goes on.

use std::time::Duration;

use super::deadline::Deadline;
use super::desk::Desk;
use super::failure::{COMPLETED, exit_code, usage};
use crate::control::view::WaitReply;
use crate::control::{ClientError, Failure, FailureKind, Request};
use crate::document::parse_duration;
use crate::model::{InstanceState, RunId, RunOutcome, RunState, ms};

/// What to wait for.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A run, or an instance
    #[arg(value_name = "RUN|NAME")]
    target: String,
    /// The state to wait for [default: the end of a run, `running` for an instance]
    #[arg(long = "for", value_name = "STATE")]
    for_state: Option<String>,
    /// How long at most, such as 90s or 5m
    #[arg(long, value_name = "D", value_parser = limit)]
    timeout: Option<Limit>,
    /// Print the document instead of a sentence
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug)]
struct Limit(Option<Duration>);

fn limit(text: &str) -> Result<Limit, String> {
    let read = parse_duration(text).map_err(|error| format!("{error}; write it like 90s or 5m"));
    read.map(|ms| Limit(ms.map(Duration::from_millis)))
}

/// Waits. The exit code is that of the run when its end was waited for.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    args.for_state.as_deref().map_or(Ok(()), |word| known(&args.target, word))?;
    let deadline = Deadline::after(args.timeout.and_then(|limit| limit.0));
    let seen = loop {
        let left = deadline.left().map(ms);
        let request = Request::Wait {
            target: args.target.clone(),
            for_state: args.for_state.clone(),
            timeout_ms: left,
        };
        match desk.daemon()?.ask_for::<WaitReply>(&request) {
            Ok(seen) => break seen,
            Err(ClientError::Lost(_) | ClientError::Unreachable { .. }) if !deadline.passed() => {}
            Err(error) => return Err(error.into()),
        }
    };
    report(args, desk, &seen)
}

/// Refuses a word that is no state of such a thing: it would be waited for in vain.
fn known(target: &str, word: &str) -> Result<(), Failure> {
    let (kind, states): (_, Vec<&str>) = if RunId::parse(target).is_ok() {
        let ends = RunOutcome::ALL.iter().map(|outcome| outcome.word());
        let states = RunState::ALL.iter().map(|state| state.word());
        let only = |word: &&str| !RunState::ALL.iter().any(|state| state.word() == *word);
        ("a run", states.chain(ends.filter(only)).collect())
    } else {
        ("an instance", InstanceState::ALL.iter().map(|state| state.word()).collect())
    };
    if states.contains(&word) {
        return Ok(());
    }
    let message = format!("`{word}` is no state of {kind}");
    Err(usage(message).hint(format!("{kind} is {}", states.join(", "))))
}

fn report(args: &Args, desk: &Desk, seen: &WaitReply) -> Result<u8, Failure> {
    if !seen.reached {
        let end = if RunId::parse(&args.target).is_ok() { "over" } else { "running" };
        let wanted = args.for_state.as_deref().unwrap_or(end);
        let message = format!("{} is {}, not {wanted}", seen.target, seen.state);
        let hint = format!("`muxvisor why {}` says why", seen.target);
        return Err(Failure::new(FailureKind::Failed, message).hint(hint));
    }
    if desk.voice.json {
        desk.voice.document(seen)?;
    } else {
        desk.voice.say(&format!("{} is {}", seen.target, seen.state));
    }
    let ended = seen.outcome.filter(|_| args.for_state.is_none());
    Ok(ended.map_or(COMPLETED, exit_code))
}
