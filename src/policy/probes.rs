//! Reads `[[agent.NAME.probe]]`: what is looked at, how often, and what is done when it fails.

use crate::document::{Kind, Table, Value, show_duration};
use crate::model::{Probe, ProbeKind, Remedy};

use super::agent::Policy;
use super::amount::{at_least_one, bytes, finite, percent, read_rows, span_of_time};
use super::around::Around;
use super::invocation::read_program;
use super::keys::check_key;
use super::pattern::pattern;

/// Numbers of a probe that says nothing: those of Kubernetes, but for the longer timeout.
const PERIOD_MS: u64 = 10_000;
const TIMEOUT_MS: u64 = 5_000;
const FAILURES: u32 = 3;
const SUCCESSES: u32 = 1;
/// The time between two remedies; a person would wait about as long to see whether one helped.
const REMEDY_GAP_MS: u64 = 30_000;
/// A screen that stands still for this long, while it says that it works.
const UNCHANGED_MS: u64 = 300_000;
/// Processor use below which an agent counts as quiet, in percent of a core.
const CPU_BELOW: f64 = 1.0;

/// What `kind` may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Process,
    Stall,
    Screen,
    Exec,
    Resource,
    Heartbeat,
}

impl Word {
    const ALL: &[Self] =
        &[Self::Process, Self::Stall, Self::Screen, Self::Exec, Self::Resource, Self::Heartbeat];

    fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Stall => "stall",
            Self::Screen => "screen",
            Self::Exec => "exec",
            Self::Resource => "resource",
            Self::Heartbeat => "heartbeat",
        }
    }
}

/// Reads all probes; without the key, those that are inherited stay.
pub(super) fn read_probes(table: &mut Table<'_>, around: Around<'_>, policy: &mut Policy) {
    if !table.has("probe") {
        return;
    }
    policy.care.probes.clear();
    let twice = table.has("watchdog");
    for mut probe in table.tables("probe") {
        let Some(kind) = read_kind(&mut probe) else { continue };
        if kind == Word::Heartbeat {
            policy.care.watchdog_ms = read_heartbeat(&mut probe, twice).or(policy.care.watchdog_ms);
        } else if let Some(read) = read_probe(&mut probe, kind, around, &policy.care.probes) {
            policy.care.probes.push(read);
        }
        probe.finish();
    }
}

fn read_kind(table: &mut Table<'_>) -> Option<Word> {
    if !table.has("kind") {
        let words: Vec<_> = Word::ALL.iter().map(|word| word.word()).collect();
        let problem = table.findings().error("C12", table.span(), "the probe has no `kind`");
        problem.help(format!("it is one of {}", words.join(", ")));
        return None;
    }
    table.word("kind", Word::ALL, Word::word).map(|word| word.value)
}

fn read_heartbeat(table: &mut Table<'_>, twice: bool) -> Option<u64> {
    let every = span_of_time(table, "every");
    if !table.has("every") {
        let message = "a heartbeat needs `every`, the longest time between two beats";
        table.findings().error("C12", table.span(), message).help("add `every = \"2m\"`");
    }
    if twice {
        let message = "`watchdog` says the same as this probe";
        table.findings().error("C06", table.value_span("kind"), message).help("leave one out");
    }
    every
}

fn read_probe(
    table: &mut Table<'_>,
    word: Word,
    around: Around<'_>,
    others: &[Probe],
) -> Option<Probe> {
    let kind = match word {
        Word::Process | Word::Heartbeat => Some(ProbeKind::Process),
        Word::Stall => read_stall(table),
        Word::Screen => read_screen(table),
        Word::Exec => read_exec(table, around),
        Word::Resource => read_resource(table),
    };
    let name = read_name(table, word, others);
    let period_ms = span_of_time(table, "period").unwrap_or(PERIOD_MS);
    let timeout_ms = span_of_time(table, "timeout").unwrap_or(TIMEOUT_MS.min(period_ms));
    if timeout_ms > period_ms {
        let (timeout, period) = (show_duration(timeout_ms), show_duration(period_ms));
        let message = format!("`timeout` ({timeout}) is longer than `period` ({period})");
        let problem = table.findings().error("C12", table.value_span("timeout"), message);
        problem.note("one look ends before the next begins");
    }
    let initial_delay_ms = finite(table, "initial_delay").unwrap_or_default();
    let mut threshold = |key: &str, unsaid| {
        table.value(key).and_then(|value| at_least_one(&value)).unwrap_or(unsaid)
    };
    let failure_threshold = threshold("failure_threshold", FAILURES);
    let success_threshold = threshold("success_threshold", SUCCESSES);
    let on_failure = read_remedies(table, around);
    let remedy_gap_ms = span_of_time(table, "remedy_gap").unwrap_or(REMEDY_GAP_MS);
    Some(Probe {
        name,
        kind: kind?,
        period_ms,
        timeout_ms,
        initial_delay_ms,
        failure_threshold,
        success_threshold,
        on_failure,
        remedy_gap_ms,
    })
}

/// The name, which no other probe of the agent has: people and `why` tell them apart by it.
fn read_name(table: &mut Table<'_>, kind: Word, others: &[Probe]) -> String {
    let taken = |name: &str| others.iter().any(|other| other.name == name);
    if let Some(name) = table.text("name") {
        if name.value.is_empty() || taken(&name.value) {
            let message = format!("another probe of this agent is called `{}`", name.value);
            let message =
                if name.value.is_empty() { "`name` is empty".to_owned() } else { message };
            table.findings().error("C06", name.span, message);
        }
        return name.value;
    }
    let numbered = (2_u32..).map(|n| format!("{}-{n}", kind.word()));
    let mut names = std::iter::once(kind.word().to_owned()).chain(numbered);
    names.find(|name| !taken(name)).expect("there is always another number")
}

/// `busy` decides between an agent that hangs and one that waits for a person, so that leaving it
/// out must be said.
fn read_stall(table: &mut Table<'_>) -> Option<ProbeKind> {
    let unchanged_ms = span_of_time(table, "screen_unchanged").unwrap_or(UNCHANGED_MS);
    let ignore = pattern(table, "ignore");
    let cpu_below = table.value("cpu_below").map_or(Some(CPU_BELOW), |value| percent(&value));
    let busy = match table.value("busy") {
        None => {
            let message = "a stall needs `busy`, or an agent that waits for a person looks stalled";
            let problem = table.findings().error("C12", table.span(), message);
            problem.help("name what its screen says while it works, or write `busy = false`");
            return None;
        }
        Some(value) if value.kind() == Kind::Boolean => {
            if value.flag()?.value {
                value.wrong_kind("a regular expression or false");
                return None;
            }
            None
        }
        Some(_) => Some(pattern(table, "busy")?),
    };
    Some(ProbeKind::Stall { unchanged_ms, busy, ignore, cpu_below: cpu_below? })
}

fn read_screen(table: &mut Table<'_>) -> Option<ProbeKind> {
    let rows = read_rows(table);
    if !table.has("screen") {
        let message = "a screen probe needs `screen`, a regular expression that tells of trouble";
        table.findings().error("C12", table.span(), message);
    }
    let unchanged_ms = finite(table, "screen_unchanged").unwrap_or_default();
    Some(ProbeKind::Screen { pattern: pattern(table, "screen")?, rows, unchanged_ms })
}

fn read_exec(table: &mut Table<'_>, around: Around<'_>) -> Option<ProbeKind> {
    let Some(value) = table.value("command") else {
        let message = "an exec probe needs `command`, a list of program and arguments";
        table.findings().error("C12", table.span(), message);
        return None;
    };
    read_program(&value, around.base_dir).map(|command| ProbeKind::Exec { command })
}

fn read_resource(table: &mut Table<'_>) -> Option<ProbeKind> {
    let cpu_above = table.value("cpu_above").map(|value| percent(&value));
    let memory_above = table.value("memory_above").map(|value| bytes(&value));
    if cpu_above.is_none() && memory_above.is_none() {
        let message = "a resource probe needs `cpu_above` or `memory_above`";
        let problem = table.findings().error("C12", table.span(), message);
        problem.help("e.g. `memory_above = \"2GiB\"` or `cpu_above = \"150%\"`");
        return None;
    }
    Some(ProbeKind::Resource {
        cpu_above: cpu_above.flatten(),
        memory_above: memory_above.flatten(),
    })
}

fn read_remedies(table: &mut Table<'_>, around: Around<'_>) -> Vec<Remedy> {
    let Some(value) = table.value("on_failure") else { return vec![Remedy::Restart] };
    let items = match value.kind() {
        Kind::String => vec![value.clone()],
        Kind::Array => value.items().unwrap_or_default(),
        Kind::Integer | Kind::Float | Kind::Boolean | Kind::Date | Kind::Table => {
            value.wrong_kind("a list of remedies");
            return Vec::new();
        }
    };
    if items.is_empty() {
        let message = "`on_failure` is empty: the probe would do nothing";
        let problem = table.findings().error("C12", value.span(), message);
        problem.help("write [\"alarm\"] to be told only");
    }
    let remedies: Vec<_> = items.iter().filter_map(read_remedy).collect();
    if remedies.contains(&Remedy::Failover) {
        around.check_failover(table, "on_failure", "the remedy \"failover\"");
    }
    remedies
}

fn read_remedy(value: &Value<'_>) -> Option<Remedy> {
    const WORDS: &[&str] = &["restart", "failover", "alarm", "keys:Escape"];
    let text = value.text()?.value;
    let keys = text.strip_prefix("keys:").map(|keys| {
        let keys = keys.split(',').map(|key| key.trim().to_owned());
        keys.filter(|key| !key.is_empty()).collect::<Vec<_>>()
    });
    match (text.as_str(), keys) {
        ("restart", _) => Some(Remedy::Restart),
        ("failover", _) => Some(Remedy::Failover),
        ("alarm", _) => Some(Remedy::Alarm),
        (_, Some(keys)) if !keys.is_empty() => {
            keys.iter().all(|key| check_key(value, key)).then_some(Remedy::Keys(keys))
        }
        _ => {
            let message = format!("`{}`: there is no remedy `{text}`", value.label());
            let problem = value.findings().error("C12", value.span(), message);
            problem
                .maybe_help(crate::document::did_you_mean(&text, WORDS.iter().copied()))
                .note("remedies: \"keys:Escape,C-c\", \"restart\", \"failover\", \"alarm\"");
            None
        }
    }
}
