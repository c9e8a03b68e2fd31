//! `spawn`: the agent of a lead has a worker do something, and gets its result (feature C8).

use std::path::PathBuf;

use serde_json::Value;

use super::columns::{columns, head};
use super::deadline::Deadline;
use super::desk::Desk;
use super::failure::{COMPLETED, unreadable, usage};
use super::inside::{self, pair, span};
use crate::control::inside::{WorkerView, WorkersReply};
use crate::control::{Failure, FailureKind, Inside};
use crate::model::{TaskState, Who, WorkerWish};
use crate::plan::as_text;

/// What the worker is to do, and who it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to do; standard input when it is -
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// The agent that does it
    #[arg(long, value_name = "NAME", conflicts_with = "capability")]
    agent: Option<String>,
    /// Any agent that can do this
    #[arg(long, value_name = "NAME")]
    capability: Option<String>,
    /// The worker's name [default: worker-N]; the same work under the same name is done once
    #[arg(long)]
    name: Option<String>,
    /// A value that it is given
    #[arg(long, value_name = "K=V", value_parser = pair)]
    input: Vec<(String, String)>,
    /// A value that it is given, from a file
    #[arg(long, value_name = "K=FILE", value_parser = pair)]
    input_file: Vec<(String, String)>,
    /// How long an attempt may take, such as 5m [default: as long as the lead's own]
    #[arg(long, value_name = "D", value_parser = span)]
    timeout: Option<u64>,
    /// The JSON Schema of its result
    #[arg(long, value_name = "SCHEMA.json")]
    output: Option<PathBuf>,
    /// What to do, from a file
    #[arg(long, value_name = "FILE")]
    prompt_file: Option<PathBuf>,
    /// Wait until the worker is over, and print its result
    #[arg(long)]
    wait: bool,
    /// List the workers so far
    #[arg(long, conflicts_with_all = ["text", "result", "wait"])]
    list: bool,
    /// Print the result of that worker
    #[arg(long, value_name = "NAME", conflicts_with = "text")]
    result: Option<String>,
    /// Print a document instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Asks for a worker, for the list of workers, or for a result.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    if args.list {
        return list(desk);
    }
    if let Some(name) = &args.result {
        return finish(args, desk, &look(args, desk, name)?);
    }
    let asked: WorkerView = inside::ask(desk, Inside::Spawn { wish: wish(args, desk)? })?;
    if args.wait {
        return finish(args, desk, &look(args, desk, &asked.name)?);
    }
    if desk.voice.json {
        desk.voice.document(&asked)?;
    } else {
        let word = if asked.known { "is there already" } else { "is asked for" };
        desk.voice.say(&format!("worker {} {word}: {}", asked.name, asked.state));
    }
    Ok(COMPLETED)
}

fn wish(args: &Args, desk: &Desk) -> Result<WorkerWish, Failure> {
    let who = match (&args.agent, &args.capability) {
        (Some(agent), _) => Who::Agent(agent.clone()),
        (None, Some(capability)) => Who::Capability(capability.clone()),
        (None, None) => {
            return Err(usage("who is to do it?").hint("--agent NAME, or --capability NAME"));
        }
    };
    let text = inside::text(desk, args.text.as_deref(), args.prompt_file.as_deref(), "the text")?;
    let text_of = |file: &str| {
        let path = desk.shell.absolute(file.as_ref());
        std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))
    };
    let mut inputs: Vec<(String, Value)> =
        args.input.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    for (name, file) in &args.input_file {
        inputs.push((name.clone(), text_of(file)?.into()));
    }
    let schema = args.output.as_ref().map(|file| schema(&text_of(&file.to_string_lossy())?, file));
    Ok(WorkerWish {
        name: args.name.clone(),
        who,
        text,
        inputs,
        timeout_ms: args.timeout,
        schema: schema.transpose()?,
        key: inside::key(),
    })
}

fn schema(text: &str, file: &std::path::Path) -> Result<Value, Failure> {
    let wrong = |error: String| usage(format!("{} is no JSON Schema: {error}", file.display()));
    let schema: Value = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    jsonschema::validator_for(&schema).map_err(|error| wrong(error.to_string()))?;
    Ok(schema)
}

/// One worker, when it is over if that is waited for. A client that is cut off asks again, so that
/// the end is heard whoever dies meanwhile.
fn look(args: &Args, desk: &Desk, name: &str) -> Result<WorkerView, Failure> {
    let forever = Deadline::after(None);
    let mut told = None;
    loop {
        let wait_ms = if args.wait { inside::round_ms(&forever) } else { 0 };
        let name = name.to_owned();
        let seen: WorkerView = inside::ask(desk, Inside::Worker { name, wait_ms })?;
        if !args.wait || seen.state.is_end() {
            return Ok(seen);
        }
        if told != Some(seen.state) {
            desk.voice.note(&format!("worker {}: {}", seen.name, seen.state));
            told = Some(seen.state);
        }
    }
}

/// Prints what became of a worker: its result alone on standard output.
fn finish(args: &Args, desk: &Desk, seen: &WorkerView) -> Result<u8, Failure> {
    let code = match () {
        () if seen.state == TaskState::Success => COMPLETED,
        () if seen.state.is_end() => FailureKind::Failed.exit_code(),
        () => FailureKind::Waiting.exit_code(),
    };
    if desk.voice.json {
        desk.voice.document(seen)?;
        return Ok(code);
    }
    if let Some(output) = &seen.output {
        let text = as_text(output);
        desk.voice.data(format!("{}\n", text.trim_end_matches('\n')).as_bytes())?;
        return Ok(code);
    }
    let message = match &seen.error {
        Some(error) => {
            format!("worker {} is {}: {}: {}", seen.name, seen.state, error.outcome, error.message)
        }
        None => format!("worker {} is {}", seen.name, seen.state),
    };
    let (kind, hint) = if seen.state.is_end() {
        let again = "spawn it again with what went wrong, have another agent do it, or go on";
        (FailureKind::Failed, again.to_owned())
    } else {
        let name = args.result.as_ref().unwrap_or(&seen.name);
        (FailureKind::Waiting, format!("`muxvisor spawn --result {name} --wait` waits for its end"))
    };
    Err(Failure::new(kind, message).hint(hint))
}

fn list(desk: &Desk) -> Result<u8, Failure> {
    let seen: WorkersReply = inside::ask(desk, Inside::Workers)?;
    if desk.voice.json {
        desk.voice.document(&seen)?;
    } else if seen.workers.is_empty() {
        desk.voice.say(&format!("no workers; there may be {}", seen.max_workers));
    } else {
        let titles = head(&["worker", "agent", "state", "attempts"]);
        let row = |view: &WorkerView| {
            let agent = view.agent.clone().unwrap_or_default();
            vec![view.name.clone(), agent, view.state.to_string(), view.attempts.to_string()]
        };
        let rows: Vec<_> = std::iter::once(titles).chain(seen.workers.iter().map(row)).collect();
        desk.voice.say(&columns(&rows));
    }
    Ok(COMPLETED)
}
