//! `note`: an agent reports what it made, tested, found and used (feature N8), or asks for a yes
//! before it acts (feature H14). Files are looked at here, where the agent's paths mean something.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::deadline::Deadline;
use super::desk::Desk;
use super::failure::{COMPLETED, unreadable, usage};
use super::inside::{self, span};
use crate::control::inside::{ActionReply, NotedReply};
use crate::control::{Failure, FailureKind, Inside};
use crate::model::{ReportKind, Spent, WorkReport};

/// Larger files are named, and not read.
const HASHED_MAX: u64 = 64 << 20;

/// What to report, one thing at a time.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct Args {
    /// Something worth knowing
    #[arg(long, value_name = "TEXT", group = "what")]
    finding: Option<String>,
    /// A file or link that was made
    #[arg(long, value_name = "PATH", group = "what")]
    artifact: Option<String>,
    /// A test that was run, with --passed or --failed
    #[arg(long, value_name = "NAME", group = "what")]
    test: Option<String>,
    /// What was used since the last report, as JSON: input, output, cache_read, cost_microusd, ...
    #[arg(long, value_name = "JSON", group = "what")]
    usage: Option<String>,
    /// An action that needs a yes, with --tier
    #[arg(long, value_name = "TEXT", group = "what", requires = "tier")]
    action: Option<String>,
    /// Answer the question of a worker
    #[arg(long, value_names = ["ID", "yes|no"], num_args = 2, group = "what")]
    answer: Option<Vec<String>>,
    /// The test passed
    #[arg(long, requires = "test", conflicts_with = "failed")]
    passed: bool,
    /// The test failed
    #[arg(long, requires = "test")]
    failed: bool,
    /// How bad a finding is; `blocker` keeps the work from being taken
    #[arg(long, value_name = "WORD", requires = "finding")]
    severity: Option<String>,
    /// Anything more about it, as JSON
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// The action's tier, 0 to 9
    #[arg(long, value_name = "N", requires = "action")]
    tier: Option<u8>,
    /// Wait for the answer, at most so long; without a time, for ever
    #[arg(long, value_name = "D", value_parser = span, requires = "action", num_args = 0..=1,
          default_missing_value = "365d")]
    wait: Option<u64>,
    /// Print a document instead of a sentence
    #[arg(long)]
    pub(crate) json: bool,
}

/// Reports it.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    if let Some(action) = &args.action {
        return act(args, desk, action);
    }
    let noted: NotedReply = if let Some(text) = &args.usage {
        let report: Value = serde_json::from_str(text)
            .map_err(|error| usage(format!("the usage cannot be read: {error}")))?;
        let spent = Spent::from_report(&report).map_err(|error| usage(error.to_string()))?;
        inside::ask_once(desk, Inside::Spent { spent })?
    } else if let Some([id, answer]) = args.answer.as_deref() {
        let yes = match answer.as_str() {
            "yes" => true,
            "no" => false,
            other => return Err(usage(format!("`{other}` is no answer")).hint("yes or no")),
        };
        inside::ask(desk, Inside::Answer { ask: id.clone(), yes })?
    } else {
        let (report, missing) = report(args, desk)?;
        let noted = inside::ask(desk, Inside::Report { report })?;
        // What is claimed and not there is on record, so that a gate sees it; whoever claims it
        // hears of it at once.
        if let Some(failure) = missing {
            return Err(failure.hint("the claim is on record: make it before the task ends"));
        }
        noted
    };
    if desk.voice.json {
        desk.voice.document(&noted)?;
    } else {
        desk.voice.say(if noted.recorded { "noted" } else { "known already" });
    }
    Ok(COMPLETED)
}

/// What is reported, and what is wrong with it that keeps nobody from reporting it.
fn report(args: &Args, desk: &Desk) -> Result<(WorkReport, Option<Failure>), Failure> {
    let data = args.data.as_deref().map(serde_json::from_str::<Value>).transpose();
    let mut data =
        data.map_err(|error| usage(format!("--data is no JSON: {error}")))?.unwrap_or_default();
    let mut missing = None;
    let put = |data: &mut Value, name: &str, value: Value| {
        if data.is_null() {
            *data = json!({});
        }
        if let Some(table) = data.as_object_mut() {
            table.insert(name.to_owned(), value);
        }
    };
    let (kind, text, passed) = match (&args.artifact, &args.test, &args.finding) {
        (Some(path), _, _) if path.contains("://") => (ReportKind::Artifact, path.clone(), None),
        (Some(path), _, _) => {
            let path = desk.shell.absolute(path.as_ref());
            match about(&path) {
                Ok(about) => {
                    about.into_iter().for_each(|(name, value)| put(&mut data, name, value))
                }
                Err(error) => {
                    put(&mut data, "missing", json!(error.to_string()));
                    missing = Some(unreadable(&path, &error));
                }
            }
            (ReportKind::Artifact, path.display().to_string(), None)
        }
        (None, Some(name), _) if args.passed || args.failed => {
            (ReportKind::Test, name.clone(), Some(args.passed))
        }
        (None, Some(name), _) => {
            return Err(usage(format!("how did `{name}` end?")).hint("--passed, or --failed"));
        }
        (None, None, finding) => {
            if let Some(severity) = &args.severity {
                put(&mut data, "severity", json!(severity));
            }
            (ReportKind::Finding, finding.clone().unwrap_or_default(), None)
        }
    };
    Ok((WorkReport { kind, text, passed, data }, missing))
}

/// Size and SHA-256 of a file; nothing of what is no file, and of a very large one its size.
fn about(path: &Path) -> io::Result<Vec<(&'static str, Value)>> {
    let found = std::fs::metadata(path)?;
    if !found.is_file() {
        return Ok(Vec::new());
    }
    let mut about = vec![("size", json!(found.len()))];
    if found.len() <= HASHED_MAX {
        about.push(("sha256", json!(sha256(path)?)));
    }
    Ok(about)
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?.take(HASHED_MAX);
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; 64 << 10]);
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            n => hash.update(&chunk[..n]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Asks for a yes. The answer is the word on standard output, and the exit code.
fn act(args: &Args, desk: &Desk, action: &str) -> Result<u8, Failure> {
    let deadline = Deadline::after(Some(Duration::from_millis(args.wait.unwrap_or(0))));
    let tier = args.tier.unwrap_or_default();
    let mut told = false;
    let seen = loop {
        let wait_ms = inside::round_ms(&deadline);
        let question = Inside::Action { text: action.to_owned(), tier, wait_ms };
        let seen: ActionReply = inside::ask(desk, question)?;
        if seen.answer.is_some() || deadline.passed() {
            break seen;
        }
        if !told {
            let by = seen.waits_for.as_deref().unwrap_or("person");
            desk.voice.note(&format!("{} waits for an answer by: {by}", seen.ask));
            told = true;
        }
    };
    let code = match seen.answer.as_deref() {
        Some("yes") => COMPLETED,
        Some(_) => FailureKind::Failed.exit_code(),
        None => FailureKind::Waiting.exit_code(),
    };
    if desk.voice.json {
        desk.voice.document(&seen)?;
    } else {
        desk.voice.say(seen.answer.as_deref().unwrap_or("waiting"));
    }
    Ok(code)
}
