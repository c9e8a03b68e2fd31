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
    let runs = seen.runs.iter().map(run_row);
    let mut parts = vec![table(&["run", "plan"], &["agents", "attempts", "took"], runs)];
    if !seen.tasks.is_empty() {
        let tasks = seen.tasks.iter().map(task_row);
        parts.push(table(&["task", "agent"], &["attempts", "took"], tasks));
    }
    parts.push(table(&["agent"], &["attempts"], seen.agents.iter().map(named_row)));
    if !seen.models.is_empty() {
        parts.push(table(&["model"], &["attempts"], seen.models.iter().map(named_row)));
    }
    parts.push(told(&seen.total));
    parts.extend(seen.advice.iter().cloned());
    parts.join("\n\n")
}

/// A table whose money and tokens stand right behind the names: on a narrow terminal it is the last
/// columns that are cut off, and these are what was asked for.
fn table(names: &[&str], more: &[&str], rows: impl Iterator<Item = (Vec<String>, Used)>) -> String {
    let titles = head(&[names, &["cost", "in", "out"], more].concat());
    let rows = rows.map(|(mut cells, used)| {
        let told = [money(&used), used.tokens_in.to_string(), used.tokens_out.to_string()];
        cells.splice(names.len()..names.len(), told);
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
            "\n{} tokens have no price: add their models to [prices] or prices.toml, and give agents \
             that do not tell theirs a `model`",
            total.tokens_unpriced
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_stands_where_a_narrow_terminal_shows_it() {
        let used = Used { cost_usd: Some(1.5), tokens_in: 20, tokens_out: 3, ..Used::default() };
        let row = (vec!["first".to_owned(), "codex".to_owned(), "7".to_owned()], used);
        let text = table(&["task", "agent"], &["attempts"], std::iter::once(row));
        let words: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[0], ["TASK", "AGENT", "COST", "IN", "OUT", "ATTEMPTS"]);
        assert_eq!(words[1], ["first", "codex", "$1.5000", "20", "3", "7"]);
    }
}
