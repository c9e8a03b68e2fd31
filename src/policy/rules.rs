//! Reads `[[agent.NAME.on]]`: what an end means, and what is done about it.

use crate::document::{Kind, Table, Value, did_you_mean, parse_duration};
use crate::model::{ExitMatch, Outcome, Rule, Then};

use super::amount::span_of_time;
use super::around::Around;
use super::pattern::{pattern, pattern_with_group};
use super::status::statuses;

/// What a rule may call an end. The others are known from the process alone.
const OUTCOMES: &[Outcome] =
    &[Outcome::RateLimited, Outcome::Auth, Outcome::Refused, Outcome::NoResult, Outcome::ExitCode];

/// Reads all rules, in their order.
pub(super) fn read_rules(table: &mut Table<'_>, around: Around<'_>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (at, mut table) in table.tables("on").into_iter().enumerate() {
        rules.extend(read_rule(&mut table, around, at + 1));
        table.finish();
    }
    rules
}

fn read_rule(table: &mut Table<'_>, around: Around<'_>, number: usize) -> Option<Rule> {
    let name = table.text("name").map_or_else(|| format!("rule {number}"), |name| name.value);
    let when = read_when(table);
    let outcome = table.word("outcome", OUTCOMES, Outcome::word).map(|word| word.value);
    let reset = pattern_with_group(table, "reset");
    let then = table.value("then").and_then(|value| read_then(&value));
    if !table.has("outcome") && !table.has("then") {
        let message = "the rule does nothing: it has neither `outcome` nor `then`";
        table.findings().error("C12", table.span(), message);
    }
    if table.has("reset") && !table.has("outcome")
        || outcome.is_some_and(|outcome| table.has("reset") && outcome != Outcome::RateLimited)
    {
        let message = "`reset` reads when a usage limit ends, and the rule names none";
        let problem = table.findings().error("C12", table.value_span("reset"), message);
        problem.help("add `outcome = \"rate-limited\"`");
    }
    if then == Some(Then::Failover) {
        around.check_failover(table, "then", "`then = \"failover\"`");
    }
    let When { screen, idle_ms, exit } = when?;
    Some(Rule { name, screen, idle_ms, exit, outcome, reset, then })
}

/// What must have been seen.
struct When {
    screen: Option<String>,
    idle_ms: Option<u64>,
    exit: ExitMatch,
}

fn read_when(table: &mut Table<'_>) -> Option<When> {
    const HELP: &str = "e.g. `when = { screen = \"usage limit\", exit = \"failure\" }`";
    if !table.has("when") {
        let message = "the rule has no `when`, so that it would hold for every end";
        table.findings().error("C12", table.span(), message).help(HELP);
        return None;
    }
    let mut when = table.table("when")?;
    if !when.has("screen") && !when.has("exit") {
        let message = "`when` names neither `screen` nor `exit`";
        when.findings().error("C12", when.span(), message).help(HELP);
    }
    let screen = pattern(&mut when, "screen");
    let exit = read_exit(&mut when);
    let idle_ms = read_idle(&mut when, &exit);
    when.finish();
    Some(When { screen, idle_ms, exit })
}

/// Who is ended at its prompt ends badly, and for what its screen says.
fn read_idle(when: &mut Table<'_>, exit: &ExitMatch) -> Option<u64> {
    let idle_ms = span_of_time(when, "idle")?;
    let complaint = match (when.has("screen"), exit) {
        (false, _) => "`idle` is about a `screen`, and none is named",
        (true, ExitMatch::Any | ExitMatch::Failure) => return Some(idle_ms),
        (true, ExitMatch::Success | ExitMatch::These { .. }) => {
            "who is ended while it is idle fails, and `exit` asks for something else"
        }
    };
    let problem = when.findings().error("C12", when.value_span("idle"), complaint);
    problem
        .help("e.g. `when = { screen = \"hit your limit\", idle = \"30s\", exit = \"failure\" }`");
    None
}

fn read_exit(when: &mut Table<'_>) -> ExitMatch {
    const WORDS: &[(&str, ExitMatch)] = &[
        ("any", ExitMatch::Any),
        ("success", ExitMatch::Success),
        ("failure", ExitMatch::Failure),
    ];
    let Some(value) = when.value("exit") else { return ExitMatch::Any };
    if value.kind() == Kind::Array {
        let these = statuses(when, "exit").unwrap_or_default();
        return ExitMatch::These { codes: these.codes, signals: these.signals };
    }
    let Some(text) = value.text() else { return ExitMatch::Any };
    if let Some((_, exit)) = WORDS.iter().find(|(word, _)| *word == text.value) {
        return exit.clone();
    }
    let label = value.label();
    let message = format!("`{label}`: `{}` is none of `any`, `success`, `failure`", text.value);
    let problem = value.error(message);
    problem
        .maybe_help(did_you_mean(&text.value, WORDS.iter().map(|(word, _)| *word)))
        .note("or a list of exit codes and signals: `exit = [75, \"SIGTERM\"]`");
    ExitMatch::Any
}

fn read_then(value: &Value<'_>) -> Option<Then> {
    const WORDS: &[(&str, Then)] = &[
        ("restart", Then::Restart),
        ("fail", Then::Fail),
        ("failover", Then::Failover),
        ("ignore", Then::Ignore),
    ];
    let text = value.text()?.value;
    if let Some((_, then)) = WORDS.iter().find(|(word, _)| *word == text) {
        return Some(*then);
    }
    let Some(delay) = text.strip_prefix("delay:") else {
        let message = format!("`{}`: there is no `{text}`", value.label());
        let problem = value.findings().error("C12", value.span(), message);
        let words = WORDS.iter().map(|(word, _)| *word).chain(["delay:30s"]);
        problem
            .maybe_help(did_you_mean(&text, words))
            .note("it is restart, fail, failover, ignore, or delay: with a span of time");
        return None;
    };
    let complaint = match parse_duration(delay) {
        Ok(Some(ms)) => return Some(Then::Delay(ms)),
        Ok(None) => "has no end".to_owned(),
        Err(error) => error.to_string(),
    };
    let message = format!("`{}`: the span of time `{delay}` {complaint}", value.label());
    let problem = value.findings().error("C08", value.span(), message);
    problem.help("write it like \"delay:30s\"");
    None
}
