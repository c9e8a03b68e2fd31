//! `items`: the tasks of all runs as work items (features N6-N14).

use std::path::PathBuf;

use jiff::tz::TimeZone;

use super::columns::{columns, head, span, stamp};
use super::desk::{Desk, run_id};
use super::failure::COMPLETED;
use super::inside::text;
use crate::control::items::{ItemView, ItemsReply, ItemsStats, Skill};
use crate::control::{ClientError, Failure, FailureKind, ItemsAsk, Request};
use crate::model::{RunId, WorkReport};
use crate::plan::as_text;

/// The words that `--status` takes, and what they mean (ruling Z4).
const STATUS: &[(&str, &str)] = &[
    ("pending", "pending"),
    ("in_progress", "in_progress"),
    ("done", "done"),
    ("completed", "done"),
    ("failed", "failed"),
    ("skipped", "skipped"),
];
/// How many items `tail` shows.
const TAIL: usize = 5;

/// What to do with items.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// List them, the newest runs first
    List(List),
    /// Show one: artifacts, tests, findings, result
    Show(One),
    /// Show what was reported about one, the newest last
    Tail(Tail),
    /// Show what waits for what
    Graph(Graph),
    /// List what followed items: checks, lessons, health
    Hooks(Hooks),
    /// Count them, and say how agents do
    Stats(Json),
    /// A person did it: hand in its result
    Complete(Complete),
    /// A person gives it up
    Fail(Fail),
}

/// Only whether a document is wanted.
#[derive(Debug, clap::Args)]
pub(crate) struct Json {
    /// Print the document instead of a table
    #[arg(long)]
    json: bool,
}

/// Which items.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// pending, in_progress, done, failed or skipped
    #[arg(long, value_name = "WORD", value_parser = status)]
    status: Option<String>,
    /// Only those of this run
    #[arg(long, value_parser = run_id)]
    run: Option<RunId>,
    #[command(flatten)]
    json: Json,
}

/// One item.
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// wf-NAME-stage-N, RUN/TASK, or TASK of the newest run that has it
    id: String,
    #[command(flatten)]
    json: Json,
}

/// One item, and how much of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    one: One,
    /// How many reports
    #[arg(long, value_name = "N", default_value_t = TAIL)]
    limit: usize,
}

/// Which run.
#[derive(Debug, clap::Args)]
pub(crate) struct Graph {
    /// The run [default: the newest]
    #[arg(value_parser = run_id)]
    run: Option<RunId>,
    #[command(flatten)]
    json: Json,
}

/// Which hooks.
#[derive(Debug, clap::Args)]
pub(crate) struct Hooks {
    /// pending, in_progress, completed, failed or skipped
    #[arg(value_name = "STATUS", value_parser = status)]
    status: Option<String>,
    /// Only those that began on this day or later
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    since: Option<i64>,
    #[command(flatten)]
    json: Json,
}

/// What a person did.
#[derive(Debug, clap::Args)]
pub(crate) struct Complete {
    #[command(flatten)]
    one: One,
    /// The result, JSON where the task wants it; standard input when it is - or absent
    #[arg(long, value_name = "RESULT")]
    result: Option<String>,
    /// The result, from a file
    #[arg(long, value_name = "FILE", conflicts_with = "result")]
    file: Option<PathBuf>,
}

/// What a person gives up.
#[derive(Debug, clap::Args)]
pub(crate) struct Fail {
    #[command(flatten)]
    one: One,
    /// Why
    #[arg(long, value_name = "TEXT")]
    error: String,
}

impl Verb {
    /// Whether standard output is to carry a document.
    pub(crate) const fn json(&self) -> bool {
        match self {
            Verb::List(args) => args.json.json,
            Verb::Show(args) => args.json.json,
            Verb::Tail(args) => args.one.json.json,
            Verb::Graph(args) => args.json.json,
            Verb::Hooks(args) => args.json.json,
            Verb::Stats(args) => args.json,
            Verb::Complete(args) => args.one.json.json,
            Verb::Fail(args) => args.one.json.json,
        }
    }
}

/// Does it.
pub(crate) fn run(verb: &Verb, desk: &Desk) -> Result<u8, Failure> {
    match verb {
        Verb::List(args) => {
            let seen = list(desk, args.run.clone(), args.status.clone(), false, None)?;
            table(desk, &seen, "no items")
        }
        Verb::Show(args) => {
            let seen = show(desk, &args.id)?;
            tell(desk, &seen, &shown(&seen))
        }
        Verb::Tail(args) => tail(desk, args),
        Verb::Graph(args) => graph(desk, args.run.clone()),
        Verb::Hooks(args) => {
            let seen = list(desk, None, args.status.clone(), true, args.since)?;
            table(desk, &seen, "no hooks")
        }
        Verb::Stats(_) => stats(desk),
        Verb::Complete(args) => {
            let given = args.result.as_deref().or(args.file.is_none().then_some("-"));
            let result = text(desk, given, args.file.as_deref(), "the result")?;
            end(desk, &args.one.id, Some(result), None)
        }
        Verb::Fail(args) => end(desk, &args.one.id, None, Some(args.error.clone())),
    }
}

fn request(ask: ItemsAsk) -> Request {
    Request::Items(Box::new(ask))
}

fn list(
    desk: &Desk,
    run: Option<RunId>,
    status: Option<String>,
    hooks: bool,
    since_ms: Option<i64>,
) -> Result<ItemsReply, Failure> {
    desk.ask(&request(ItemsAsk::List { run, status, hooks, since_ms }))
}

fn show(desk: &Desk, id: &str) -> Result<ItemView, Failure> {
    desk.ask(&request(ItemsAsk::Show { id: id.to_owned() }))
}

/// Asked once: what a person did is not done twice.
fn end(
    desk: &Desk,
    id: &str,
    result: Option<String>,
    error: Option<String>,
) -> Result<u8, Failure> {
    let ask = ItemsAsk::End { id: id.to_owned(), result, error };
    let seen: ItemView = match desk.daemon()?.ask_for(&request(ask)) {
        Err(ClientError::Lost(error)) => {
            let message = format!("the daemon was lost before it answered: {error}");
            return Err(Failure::new(FailureKind::Unreachable, message)
                .hint(format!("`muxvisor items show {id}` tells whether it is done")));
        }
        answered => answered?,
    };
    tell(desk, &seen, &format!("{} is {}", seen.id, seen.status))
}

fn tell(desk: &Desk, document: &impl serde::Serialize, text: &str) -> Result<u8, Failure> {
    if desk.voice.json {
        desk.voice.document(document)?;
    } else {
        desk.voice.say(text);
    }
    Ok(COMPLETED)
}

fn table(desk: &Desk, seen: &ItemsReply, none: &str) -> Result<u8, Failure> {
    let titles = head(&["item", "run", "task", "status", "agent", "attempts", "started"]);
    let row = |item: &ItemView| {
        vec![
            item.id.clone(),
            item.run.to_string(),
            item.task.to_string(),
            item.status.clone(),
            item.agent.clone().unwrap_or_else(|| "-".to_owned()),
            item.attempts.to_string(),
            item.started_at_ms.map_or_else(|| "-".to_owned(), stamp),
        ]
    };
    let rows: Vec<_> = std::iter::once(titles).chain(seen.items.iter().map(row)).collect();
    let text = if seen.items.is_empty() { none.to_owned() } else { columns(&rows) };
    tell(desk, seen, &text)
}

fn shown(item: &ItemView) -> String {
    let mut lines = vec![
        format!("{} ({}/{})", item.id, item.run, item.task),
        format!("status:     {} ({})", item.status, item.state),
        format!("about:      {}", item.description),
        format!("agent:      {}", item.agent.as_deref().unwrap_or("-")),
    ];
    let session = item.session_key.as_ref().map_or("-", |attempt| attempt.as_str());
    lines.push(format!("session:    {session}, {} attempts", item.attempts));
    if !item.depends_on.is_empty() {
        lines.push(format!("depends on: {}", item.depends_on.join(", ")));
    }
    lines.extend(reports(item).iter().map(|(word, report)| line(word, report)));
    for message in &item.messages {
        lines.push(format!("message:    {} to {}: {}", message.from, message.to, message.text));
    }
    if let Some(output) = &item.output {
        lines.push(format!("result:     {}", as_text(output)));
    }
    if let Some(error) = &item.error {
        lines.push(format!("error:      {}: {}", error.outcome, error.message));
    }
    lines.join("\n")
}

fn reports(item: &ItemView) -> Vec<(&'static str, &WorkReport)> {
    let artifacts = item.artifacts.iter().map(|report| ("artifact:", report));
    let tests = item.tests.iter().map(|report| ("test:", report));
    let findings = item.findings.iter().map(|report| ("finding:", report));
    artifacts.chain(tests).chain(findings).collect()
}

fn line(word: &str, report: &WorkReport) -> String {
    let passed = match report.passed {
        Some(true) => " passed",
        Some(false) => " failed",
        None => "",
    };
    let data = if report.data.is_null() { String::new() } else { format!(" {}", report.data) };
    format!("{word:<11} {}{passed}{data}", report.text)
}

fn tail(desk: &Desk, args: &Tail) -> Result<u8, Failure> {
    let seen = show(desk, &args.one.id)?;
    let all = reports(&seen);
    let from = all.len().saturating_sub(args.limit);
    let newest = &all[from..];
    let lines: Vec<String> = newest.iter().map(|(word, report)| line(word, report)).collect();
    let document: Vec<&WorkReport> = newest.iter().map(|(_, report)| *report).collect();
    let text = if lines.is_empty() { "nothing was reported".to_owned() } else { lines.join("\n") };
    tell(desk, &serde_json::json!({ "id": seen.id, "reports": document }), &text)
}

fn graph(desk: &Desk, run: Option<RunId>) -> Result<u8, Failure> {
    let mut seen = list(desk, run, None, false, None)?;
    let newest = seen.items.first().map(|item| item.run.clone());
    seen.items.retain(|item| Some(&item.run) == newest.as_ref());
    let one = |item: &ItemView| {
        let needs = match item.depends_on.as_slice() {
            [] => String::new(),
            needs => format!(" <- {}", needs.join(", ")),
        };
        let lead = item.worker_of.as_ref().map_or(String::new(), |lead| format!(" (of {lead})"));
        format!("{} [{}] {}{lead}{needs}", item.id, item.status, item.task)
    };
    let lines: Vec<String> = seen.items.iter().map(one).collect();
    let text = if lines.is_empty() { "no items".to_owned() } else { lines.join("\n") };
    tell(desk, &seen, &text)
}

fn stats(desk: &Desk) -> Result<u8, Failure> {
    let seen: ItemsStats = desk.ask(&request(ItemsAsk::Stats))?;
    let counts = |counts: &std::collections::BTreeMap<String, u64>| {
        let words: Vec<String> = counts.iter().map(|(word, n)| format!("{n} {word}")).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    };
    let mut lines = vec![
        format!("items: {}", counts(&seen.items)),
        format!("hooks: {}", counts(&seen.hooks)),
        format!("runs:  {}", counts(&seen.runs)),
    ];
    if !seen.agents.is_empty() {
        let row = |skill: &Skill| {
            vec![
                skill.agent.clone(),
                skill.attempts.to_string(),
                format!("{:.0} %", skill.success_ratio * 100.0),
                span(skill.mean_ms),
                skill.retries.to_string(),
            ]
        };
        let titles = head(&["agent", "attempts", "success", "took", "retries"]);
        let rows: Vec<_> = std::iter::once(titles).chain(seen.agents.iter().map(row)).collect();
        lines.extend([String::new(), columns(&rows)]);
    }
    for ticket in &seen.tickets {
        lines.push(format!("\nticket at {} ({}): {}", ticket.item, ticket.run, ticket.text));
    }
    tell(desk, &seen, &lines.join("\n"))
}

fn status(word: &str) -> Result<String, String> {
    let known = STATUS.iter().find(|(known, _)| *known == word);
    let words: Vec<&str> = STATUS.iter().map(|(word, _)| *word).collect();
    known.map(|(_, meant)| (*meant).to_owned()).ok_or_else(|| format!("it is {}", words.join(", ")))
}

/// Midnight of that day, here, in milliseconds since 1970.
fn day(text: &str) -> Result<i64, String> {
    let date: jiff::civil::Date =
        text.parse().map_err(|_| "it is a day like 2026-11-21".to_owned())?;
    let start = date.to_zoned(TimeZone::system()).map_err(|error| error.to_string())?;
    Ok(start.timestamp().as_millisecond())
}
