//! `show`: one run with its tasks.

use serde_json::Value;

use super::columns::{columns, head, span, stamp};
use super::desk::{Desk, run_id};
use super::failure::COMPLETED;
use super::voice::{Colour, Voice};
use crate::control::steer::AskView;
use crate::control::view::{RunView, TaskView};
use crate::control::{Failure, Request};
use crate::model::{RunId, TaskState};

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
        desk.voice.say(&text(&desk.ask::<RunView>(&request)?, desk.voice));
    }
    Ok(COMPLETED)
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
        format!("{}/{}", task.attempts, task.attempts_max),
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
