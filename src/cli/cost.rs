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
    let attempts = seen.runs.iter().map(|run| run.attempts).sum();
    parts.push(told(&seen.total, attempts));
    parts.extend(seen.advice.iter().cloned());
    parts.join("\n\n")
}

/// A table whose money and tokens stand right behind the names: on a narrow terminal it is the last
/// columns that are cut off, and these are what was asked for.
fn table(names: &[&str], more: &[&str], rows: impl Iterator<Item = (Vec<String>, Used)>) -> String {
    let titles = head(&[names, &["cost", "in", "out"], more].concat());
    let rows = rows.map(|(mut cells, used)| {
        let told = [money(&used), tokens(&used, used.tokens_in), tokens(&used, used.tokens_out)];
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
    let more = if used.tokens_unpriced > 0 { "+?" } else { more(used) };
    format!("{about}${cost:.4}{more}")
}

/// A number of tokens: `-` when nobody told it, `120+?` when that is the least that it was.
fn tokens(used: &Used, count: Option<u64>) -> String {
    count.map_or_else(|| "-".to_owned(), |count| format!("{count}{}", more(used)))
}

/// What follows a sum of which a part is not known.
const fn more(used: &Used) -> &'static str {
    if used.attempts_unknown > 0 { "+?" } else { "" }
}

fn told(total: &Used, attempts: u32) -> String {
    let mut text = match (total.tokens_in, total.tokens_out) {
        (None, None) => "in all: nobody told what was used".to_owned(),
        (read, written) => format!(
            "in all: {} tokens in, {} tokens out, {}",
            tokens(total, read),
            tokens(total, written),
            money(total)
        ),
    };
    if total.attempts_unknown > 0 {
        text.push_str(&format!(
            "\nof {} of {attempts} attempts nobody told what they used (`-`; a sum with them is at \
             least that, `+?`): their agents need a `usage` format",
            total.attempts_unknown
        ));
    }
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
        let used = Used {
            cost_usd: Some(1.5),
            tokens_in: Some(20),
            tokens_out: Some(3),
            ..Used::default()
        };
        let row = (vec!["first".to_owned(), "codex".to_owned(), "7".to_owned()], used);
        let text = table(&["task", "agent"], &["attempts"], std::iter::once(row));
        let words: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[0], ["TASK", "AGENT", "COST", "IN", "OUT", "ATTEMPTS"]);
        assert_eq!(words[1], ["first", "codex", "$1.5000", "20", "3", "7"]);
    }

    /// Feature P1: what nobody told is not nothing, and a sum with it says so.
    #[test]
    fn what_is_unknown_is_not_nothing() {
        let mut used = Used { attempts_unknown: 2, ..Used::default() };
        assert_eq!((tokens(&used, used.tokens_in), money(&used)), ("-".to_owned(), "-".to_owned()));
        let said = told(&used, 2);
        assert!(
            said.starts_with("in all: nobody told what was used\nof 2 of 2 attempts"),
            "{said}"
        );
        used = Used { tokens_in: Some(120), tokens_out: Some(4), cost_usd: Some(0.5), ..used };
        let said = told(&used, 5);
        assert!(said.starts_with("in all: 120+? tokens in, 4+? tokens out, $0.5000+?\n"), "{said}");
        assert!(said.contains("of 2 of 5 attempts nobody told"), "{said}");
        used.attempts_unknown = 0;
        assert_eq!(told(&used, 5), "in all: 120 tokens in, 4 tokens out, $0.5000");
    }
}
