//! `show`: one run with its tasks.

use serde_json::Value;

use super::columns::{columns, head, span, stamp};
use super::desk::{Desk, run_id};
use super::failure::COMPLETED;
use super::voice::{Colour, Voice};
use crate::control::steer::AskView;
use crate::control::view::{RunView, TaskView};
use crate::control::{Failure, Request};
use crate::model::{Message, RunId, TaskState};

/// How many messages are shown, the newest.
const MESSAGES_MAX: usize = 8;
/// How many characters of each.
const MESSAGE_MAX: usize = 80;

/// Which run to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run
    #[arg(value_parser = run_id)]
    run: RunId,
    /// Print the document instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Shows the run.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    let request = Request::Show { run: args.run.clone() };
    if desk.voice.json {
        // All of it, the execution context too (feature F6).
        let seen: Value = desk.ask(&request)?;
        desk.voice.document(&seen)?;
    } else {
        let seen = desk.ask::<Shown>(&request)?;
        desk.voice.say(&text(&seen.run, desk.voice));
        if let Some(told) = messages(&seen.run.run, &seen.messages) {
            desk.voice.say(&told);
        }
    }
    Ok(COMPLETED)
}

/// A run with what its agents wrote to each other.
#[derive(serde::Deserialize)]
struct Shown {
    #[serde(flatten)]
    run: RunView,
    #[serde(default)]
    messages: Vec<Message>,
}

/// What agents wrote to each other, shortened, the newest last; none without messages.
fn messages(run: &RunId, all: &[Message]) -> Option<String> {
    let last = &all[all.len().saturating_sub(MESSAGES_MAX)..];
    let before = all.len() - last.len();
    let more =
        if before > 0 { format!(", the last {MESSAGES_MAX} of them") } else { String::new() };
    let title =
        format!("\nmessages: {}{more} (`muxvisor show {run} --json` has all of it)", all.len());
    let line =
        |m: &Message| format!("  {} {} -> {}: {}", m.number, m.from, m.to, on_a_line(&m.text));
    let lines = std::iter::once(title).chain(last.iter().map(line));
    (!all.is_empty()).then(|| lines.collect::<Vec<_>>().join("\n"))
}

/// The beginning of a text that an agent wrote. It cannot move the cursor, nor turn the line round.
fn on_a_line(text: &str) -> String {
    let text = text.trim();
    let safe = |c: char| match c {
        '\n' | '\t' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    let end = if text.chars().count() > MESSAGE_MAX { "…" } else { "" };
    text.chars().take(MESSAGE_MAX).map(safe).chain(end.chars()).collect()
}

fn text(run: &RunView, voice: Voice) -> String {
    let state = run.outcome.map_or_else(|| run.state.to_string(), |outcome| outcome.to_string());
    let why = run.why.as_ref().map_or(String::new(), |why| format!(" ({why})"));
    let mut lines = vec![
        voice.paint(Colour::Bold, &format!("{} {}", run.run, run.name)),
        format!("goal:     {}", run.goal),
        format!("state:    {state}{why}"),
        format!("plan:     {}", run.path.display()),
        format!("started:  {}", stamp(run.started_at_ms)),
        format!("took:     {}", span(run.elapsed_ms)),
    ];
    lines.extend(run.root_cause.iter().map(|cause| format!("cause:    {cause}")));
    lines.extend(run.steering.parent.iter().map(|parent| {
        let task = parent.task.as_ref().map_or(String::new(), |task| format!("/{task}"));
        format!("part of:  {}{task}", parent.run)
    }));
    lines.extend(run.steering.limits.iter().map(|limit| {
        format!(
            "waits:    {} is parked until {}: {}",
            limit.agent,
            stamp(limit.until_ms),
            limit.why
        )
    }));
    lines.extend(run.steering.asks.iter().map(|ask| asks(ask, voice)));
    lines.push(String::new());
    let titles = head(&["task", "phase", "state", "agent", "attempts", "took", "window"]);
    let rows: Vec<_> = std::iter::once(titles).chain(run.tasks.iter().map(row)).collect();
    lines.push(columns(&rows));
    lines.extend(run.tasks.iter().filter_map(|task| trouble(task, voice)));
    lines.join("\n")
}

fn row(task: &TaskView) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        task.task.to_string(),
        task.phase.clone(),
        state(task),
        or_dash(task.agent.clone()),
        format!("{}/{}", task.attempts_counted.unwrap_or(task.attempts), task.attempts_max),
        or_dash(task.elapsed_ms.map(span)),
        or_dash(task.label.clone().filter(|_| task.window.is_some())),
    ]
}

/// Its state, and what it waits for or how it does beside that.
fn state(task: &TaskView) -> String {
    let waits = task.waiting.child.as_ref().map(ToString::to_string);
    let waits = waits.or_else(|| task.waiting.event.as_ref().map(|event| format!("event {event}")));
    if let Some(cached) = task.cached.as_ref().filter(|_| task.state == TaskState::Success) {
        return format!("{} (from {})", task.state, cached.run);
    }
    match (waits, task.waiting.late) {
        (Some(what), _) if task.state == TaskState::Waiting => format!("waiting ({what})"),
        (_, true) => format!("{} (slow)", task.state),
        (_, false) => task.state.to_string(),
    }
}

fn asks(ask: &AskView, voice: Voice) -> String {
    let until = ask.expires_in_ms.map_or(String::new(), |ms| format!(" (for {} more)", span(ms)));
    let title = voice.paint(Colour::Yellow, "asks:    ");
    format!("{title} {}: {}{until}\n          {}", ask.id, ask.question, ask.how)
}

/// What went wrong with a task, below the table.
fn trouble(task: &TaskView, voice: Voice) -> Option<String> {
    if task.state == TaskState::Success {
        return None;
    }
    let error = task.error.as_ref()?;
    let name = voice.paint(Colour::Red, task.task.as_str());
    let log = error.log.as_ref().map_or(String::new(), |log| format!("\n  log: {}", log.display()));
    let tail: String = error.tail.lines().map(|line| format!("\n  | {line}")).collect();
    Some(format!("\n{name}: {}: {}{tail}{log}", error.outcome, error.message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TaskId;

    /// Feature I12: people see what agents write to each other; it stays on its line.
    #[test]
    fn messages_are_short_and_harmless() {
        let id = RunId::of_day("2026-11-21", 1);
        assert_eq!(messages(&id, &[]), None);
        let message = |number, text: &str| {
            let (from, to) = (TaskId::new("a"), TaskId::new("b"));
            Message { number, from, to, text: text.to_owned(), key: String::new() }
        };
        let wild = message(1, "one\ntwo\u{1b}[31m\u{202e}x");
        let told = messages(&id, &[wild]).unwrap();
        assert_eq!(
            told,
            "\nmessages: 1 (`muxvisor show PLAN-2026-11-21-001 --json` has all of it)\n  1 a -> b: one two\u{fffd}[31m\u{fffd}x"
        );
        let long = "x".repeat(200);
        let many: Vec<Message> = (1..=20).map(|n| message(n, &long)).collect();
        let told = messages(&id, &many).unwrap();
        assert!(told.contains("messages: 20, the last 8 of them") && !told.contains("\n  12 "));
        let last = format!("  20 a -> b: {}…", "x".repeat(MESSAGE_MAX));
        assert_eq!((told.lines().count(), told.lines().last().unwrap()), (10, last.as_str()));
    }
}
