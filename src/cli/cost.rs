//! `cost`: tokens, money and time of runs.

use super::columns::{columns, head, span};
use super::desk::{Desk, run_id};
use super::failure::COMPLETED;
use crate::control::cost_view::{CostReply, NamedCost, RunCost, TaskCost, Used};
use crate::control::{Failure, Request};
use crate::model::RunId;

/// Of what to tell the cost.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run, with its tasks [default: all runs]
    #[arg(value_parser = run_id)]
    run: Option<RunId>,
    /// Print the document instead of tables
    #[arg(long)]
    pub(crate) json: bool,
}

/// Tells it.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    let seen: CostReply = desk.ask(&Request::Cost { run: args.run.clone() })?;
    if desk.voice.json {
        desk.voice.document(&seen)?;
    } else if seen.runs.is_empty() {
        desk.voice.say("no runs");
    } else {
        desk.voice.say(&text(&seen));
    }
    Ok(COMPLETED)
}

fn text(seen: &CostReply) -> String {
    let mut parts =
        vec![table(&["run", "plan", "agents", "attempts", "took"], seen.runs.iter().map(run_row))];
    if !seen.tasks.is_empty() {
        parts.push(table(&["task", "agent", "attempts", "took"], seen.tasks.iter().map(task_row)));
    }
    parts.push(table(&["agent", "attempts"], seen.agents.iter().map(named_row)));
    if !seen.models.is_empty() {
        parts.push(table(&["model", "attempts"], seen.models.iter().map(named_row)));
    }
    parts.push(told(&seen.total));
    parts.extend(seen.advice.iter().cloned());
    parts.join("\n\n")
}

/// A table whose last columns are tokens and money.
fn table(titles: &[&str], rows: impl Iterator<Item = (Vec<String>, Used)>) -> String {
    let titles = head(&[titles, &["in", "out", "cost"]].concat());
    let rows = rows.map(|(mut cells, used)| {
        cells.extend([used.tokens_in.to_string(), used.tokens_out.to_string(), money(&used)]);
        cells
    });
    columns(&std::iter::once(titles).chain(rows).collect::<Vec<_>>())
}

fn run_row(one: &RunCost) -> (Vec<String>, Used) {
    let cells = vec![
        one.run.to_string(),
        one.name.clone(),
        one.agents.to_string(),
        one.attempts.to_string(),
        span(one.duration_ms),
    ];
    (cells, one.used.clone())
}

fn task_row(one: &TaskCost) -> (Vec<String>, Used) {
    let cells = vec![
        one.task.to_string(),
        one.agent.clone(),
        one.attempts.to_string(),
        span(one.duration_ms),
    ];
    (cells, one.used.clone())
}

fn named_row(one: &NamedCost) -> (Vec<String>, Used) {
    let name = if one.name.is_empty() { "(not told)".to_owned() } else { one.name.clone() };
    (vec![name, one.attempts.to_string()], one.used.clone())
}

/// `$1.23`, with `~` when a part comes from the price table, `?` when a part is not known.
fn money(used: &Used) -> String {
    let Some(cost) = used.cost_usd else {
        return if used.tokens_unpriced > 0 { "?" } else { "-" }.to_owned();
    };
    let about = if used.estimated { "~" } else { "" };
    let more = if used.tokens_unpriced > 0 { "+?" } else { "" };
    format!("{about}${cost:.4}{more}")
}

fn told(total: &Used) -> String {
    let mut text = format!(
        "in all: {} tokens in, {} tokens out, {}",
        total.tokens_in,
        total.tokens_out,
        money(total)
    );
    if total.tokens_unpriced > 0 {
        text.push_str(&format!(
            "\n{} tokens have no price: add their models to [prices] or prices.toml",
            total.tokens_unpriced
        ));
    }
    text
}
