//! `ps`: what lives. Never starts a daemon.

use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use super::columns::{cell, clip, columns, head, span, stamp, width};
use super::desk::Desk;
use super::failure::COMPLETED;
use crate::control::failover::ParkedView;
use crate::control::steer::AskView;
use crate::control::view::{
    ActivityView, AttemptView, ConfigurationView, DaemonView, HealthMark, InstanceView, PsReply,
    TmuxView,
};
use crate::control::{ClientError, Failure, Request};
use crate::daemon::Home;
use crate::model::{Finding, InstanceState};
use crate::shim;

/// From this width on a terminal has room for who says what an agent does.
const WIDE: usize = 110;

/// How long a daemon may take to say what lives; a person looks at nothing meanwhile.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// What to list.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print the document instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Lists instances and live attempts.
pub(crate) fn run(_args: &Args, desk: &Desk) -> Result<u8, Failure> {
    let client = desk.client()?.within(ANSWER_WITHIN);
    let seen = match client.ask_for::<PsReply>(&Request::Ps) {
        // It died while it was being asked; there may be another one by now.
        Err(ClientError::Lost(why)) if why.kind() != ErrorKind::TimedOut => {
            client.ask_for(&Request::Ps)
        }
        first => first,
    };
    let seen = match seen {
        Ok(seen) => seen,
        Err(ClientError::Unreachable { .. }) => {
            let (instances, attempts, parked) = (Vec::new(), Vec::new(), Vec::new());
            let asks = Vec::new();
            PsReply { daemon: None, instances, attempts, parked, asks, configuration: None }
        }
        Err(error) => return Err(error.into()),
    };
    desk.agree(seen.configuration.as_ref())?;
    if desk.voice.json {
        desk.voice.document(&seen)?;
    } else if seen.daemon.is_none() {
        desk.voice.say(&without_daemon(living_shims(&desk.place()?.home)));
    } else {
        desk.voice.say(&table(&seen));
    }
    Ok(COMPLETED)
}

/// What there is to say where nobody answers.
fn without_daemon(living: usize) -> String {
    let agents = if living == 1 { "1 agent lives" } else { &format!("{living} agents live") };
    match living {
        0 => "no daemon runs here; `muxvisor run PLAN` or `muxvisor up` starts one".to_owned(),
        _ => format!("no daemon runs here, and {agents} on; `muxvisor up` starts one that adopts"),
    }
}

/// How many attempts have a shim that lives: it holds a lock, whoever else is gone.
fn living_shims(home: &Home) -> usize {
    let attempts = fs::read_dir(home.attempts()).into_iter().flatten().flatten();
    attempts.filter(|entry| matches!(shim::holder(&entry.path()), Ok(Some(_)))).count()
}

fn table(seen: &PsReply) -> String {
    let Some(daemon) = &seen.daemon else { return without_daemon(0) };
    if seen.instances.is_empty() && seen.attempts.is_empty() {
        let more = parked(&seen.parked) + &asked(&seen.asks);
        return format!("{}\nnothing lives{more}", headline(daemon, seen));
    }
    let wide = width().is_none_or(|cells| cells >= WIDE);
    let titles = ["name", "state", "activity", "pid", "uptime", "restarts", "window", "work"];
    let instances = seen.instances.iter().map(|one| instance_row(one, wide));
    let attempts = seen.attempts.iter().map(|one| attempt_row(one, wide));
    let rows: Vec<_> = std::iter::once(head(&titles)).chain(instances).chain(attempts).collect();
    let instances = seen.instances.iter().map(|one| below(&one.activity, &one.status, &one.health));
    let attempts = seen.attempts.iter().map(|one| below(&one.activity, &one.status, &one.health));
    let below = std::iter::once(Vec::new()).chain(instances).chain(attempts);
    let mut lines = vec![headline(daemon, seen)];
    for (row, below) in columns(&rows).lines().zip(below) {
        lines.push(row.to_owned());
        lines.extend(below);
    }
    lines.join("\n") + &parked(&seen.parked) + &asked(&seen.asks)
}

/// What persons are asked, each with the command that answers it.
fn asked(asks: &[AskView]) -> String {
    let line = |ask: &AskView| format!("\n{} asks: {}\n  {}", ask.id, ask.question, ask.how);
    asks.iter().map(line).collect()
}

/// Agents that wait for a usage limit to pass, each in a line of its own.
fn parked(agents: &[ParkedView]) -> String {
    let line = |one: &ParkedView| {
        format!("\n{} is parked until {}: {}", one.agent, stamp(one.until_ms), one.why)
    };
    agents.iter().map(line).collect()
}

/// Why it stands so; with who serves in its place, unless that is said already, and how often that
/// may change. Who is stopped is served by nobody.
fn standing(one: &InstanceView) -> String {
    let serving = one.failover.serving.as_ref().filter(|_| one.state != InstanceState::Stopped);
    let Some(name) = serving else { return one.why.clone() };
    let of = |(used, most): (u32, u32)| format!("{used} of {most} switches");
    let budget = one.failover.switches.zip(one.failover.switches_max).map(of);
    let told = one.why.contains(&format!("with {name}"));
    let name = (!told).then(|| format!("with {name}"));
    let more: Vec<String> = name.into_iter().chain(budget).collect();
    if more.is_empty() { one.why.clone() } else { format!("{} ({})", one.why, more.join(", ")) }
}

const ENDING: &str =
    "the daemon is ending: it stops every agent first, and starts nobody; a second INT kills them";

fn headline(daemon: &DaemonView, seen: &PsReply) -> String {
    let DaemonView { pid, version, home, tmux, alarm, ending, .. } = daemon;
    let mut lines = vec![format!("daemon {pid}, version {version}, home {}", home.display())];
    lines.extend(ending.then(|| ENDING.to_owned()));
    lines.extend(outage(tmux).map(|text| format!("tmux: {text}")));
    lines.extend(alarm.as_ref().map(|alarm| format!("ALARM: {alarm}")));
    lines.extend(seen.configuration.iter().flat_map(remarks));
    lines.join("\n")
}

/// What a person should know of the configuration file: nothing, when it is what holds.
pub(super) fn remarks(configuration: &ConfigurationView) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(problem), Some(since)) = (&configuration.problem, configuration.kept_since_ms) {
        let when = stamp(since);
        let of = configuration.last_good_ms;
        let of = of.map_or(String::new(), |ms| format!(", of {}", stamp(ms)));
        lines.push(format!("configuration: last good one kept, since {when}{of}: {problem}"));
        for finding in &configuration.findings {
            let Finding { code, line, column, message, .. } = finding;
            lines.push(format!("  {line}:{column} {code}: {message}"));
        }
    }
    for name in &configuration.pending_removals {
        lines.push(format!(
            "configuration: agent `{name}` is gone from the file; `muxvisor reload` removes it"
        ));
    }
    lines
}

/// What became of the windows when the tmux server died, if it did.
pub(crate) fn outage(tmux: &TmuxView) -> Option<String> {
    let died = stamp(tmux.died_at_ms?);
    let TmuxView { windows_lost: lost, windows_given_back: given, server, died_at_ms: _ } = tmux;
    let none = if server.is_none() { ", there is none now" } else { "" };
    Some(match (lost, lost == given) {
        (0, _) => format!("server died at {died}{none}"),
        (_, true) => format!("server died at {died}, {given} windows given back{none}"),
        (_, false) => format!("server died at {died}, {given} of {lost} windows given back{none}"),
    })
}

/// The lines under an agent's row: its own words, and which probes of it fail.
fn below(
    activity: &ActivityView,
    status: &Option<String>,
    health: &Option<HealthMark>,
) -> Vec<String> {
    let says = said(activity, status.as_ref()).map(|said| format!("  says: {said}"));
    let failing = health.as_ref().filter(|health| !health.failing.is_empty()).map(|health| {
        let message = health.message.as_ref().map_or(String::new(), |text| format!(": {text}"));
        format!("  failing: {}{message}", health.failing.join(", "))
    });
    says.into_iter().chain(failing).map(|line| clip(&line)).collect()
}

/// The mark of one whose probe fails.
fn ill(health: &Option<HealthMark>) -> &'static str {
    match health {
        Some(health) if !health.failing.is_empty() => ", failing",
        Some(_) | None => "",
    }
}

/// The agent's own words, on a line of their own.
fn said(activity: &ActivityView, status: Option<&String>) -> Option<String> {
    match (&activity.message, status) {
        (Some(message), Some(status)) => Some(format!("{status}; {message}")),
        (one, other) => one.as_ref().or(other).cloned(),
    }
}

/// `working (osc7501, 3.0s ago)`; without its source where there is little room.
fn doing(activity: &ActivityView, wide: bool) -> String {
    let ActivityView { word, kind, source, age_ms, message: _ } = activity;
    let (Some(source), Some(age_ms)) = (source, age_ms) else { return "-".to_owned() };
    let kind = kind.map_or(String::new(), |kind| format!(":{kind}"));
    match wide {
        true => format!("{word}{kind} ({source}, {} ago)", span(*age_ms)),
        false => format!("{word}{kind} {}", span(*age_ms)),
    }
}

fn instance_row(one: &InstanceView, wide: bool) -> Vec<String> {
    let group = one.group.as_ref().map_or(String::new(), |group| format!(" ({group})"));
    vec![
        format!("{}{group}", one.name),
        format!("{}{}{}", one.state, if one.stale { ", stale" } else { "" }, ill(&one.health)),
        doing(&one.activity, wide),
        cell(one.pid.as_ref()),
        one.uptime_ms.map_or_else(|| "-".to_owned(), span),
        one.restarts.to_string(),
        cell(one.window.as_ref()),
        standing(one),
    ]
}

fn attempt_row(one: &AttemptView, wide: bool) -> Vec<String> {
    let work = match (&one.run, &one.task) {
        (Some(run), Some(task)) => format!("{run}/{task}"),
        (Some(run), None) => run.to_string(),
        (None, _) => "-".to_owned(),
    };
    vec![
        one.agent.clone(),
        format!("{}{}", one.state, ill(&one.health)),
        doing(&one.activity, wide),
        cell(one.pid.as_ref()),
        one.uptime_ms.map_or_else(|| "-".to_owned(), span),
        one.restarts.to_string(),
        cell(one.window.as_ref()),
        work,
    ]
}

#[cfg(test)]
mod tests {
    use crate::model::{Activity, ActivitySource, BlockKind};

    use super::*;

    #[test]
    fn an_activity_is_told_with_its_source_where_there_is_room() {
        let mut activity = ActivityView {
            word: Activity::Blocked,
            kind: Some(BlockKind::Permission),
            source: Some(ActivitySource::Osc7501),
            age_ms: Some(12_000),
            message: Some("may I".to_owned()),
        };
        assert_eq!(doing(&activity, true), "blocked:permission (osc7501, 12s ago)");
        assert_eq!(doing(&activity, false), "blocked:permission 12s");
        let status = "busy".to_owned();
        assert_eq!(said(&activity, Some(&status)).as_deref(), Some("busy; may I"));
        (activity.source, activity.message) = (None, None);
        assert_eq!(doing(&activity, true), "-");
        assert_eq!((said(&activity, None), said(&activity, Some(&status))), (None, Some(status)));
    }
}
