//! `ps`: what lives. Never starts a daemon.

use super::columns::{cell, columns, head, span, stamp};
use super::desk::Desk;
use super::failure::COMPLETED;
use crate::control::view::{AttemptView, ConfigurationView, DaemonView, InstanceView, PsReply};
use crate::control::{ClientError, Failure, Request};
use crate::model::Finding;

/// What to list.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print the document instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Lists instances and live attempts.
pub(crate) fn run(_args: &Args, desk: &Desk) -> Result<u8, Failure> {
    let client = desk.client()?;
    let seen = match client.ask_for::<PsReply>(&Request::Ps) {
        // It died while it was being asked; there may be another one by now.
        Err(ClientError::Lost(_)) => client.ask_for(&Request::Ps),
        first => first,
    };
    let seen = match seen {
        Ok(seen) => seen,
        Err(ClientError::Unreachable { .. }) => {
            let (instances, attempts) = (Vec::new(), Vec::new());
            PsReply { daemon: None, instances, attempts, configuration: None }
        }
        Err(error) => return Err(error.into()),
    };
    if desk.voice.json {
        desk.voice.document(&seen)?;
    } else {
        desk.voice.say(&table(&seen));
    }
    Ok(COMPLETED)
}

fn table(seen: &PsReply) -> String {
    let Some(daemon) = &seen.daemon else {
        return "no daemon runs here; `muxvisor run PLAN` or `muxvisor up` starts one".to_owned();
    };
    if seen.instances.is_empty() && seen.attempts.is_empty() {
        return format!("{}\nnothing lives", headline(daemon, seen));
    }
    let titles = ["name", "state", "activity", "pid", "uptime", "restarts", "work", "window"];
    let instances = seen.instances.iter().map(instance_row);
    let attempts = seen.attempts.iter().map(attempt_row);
    let rows: Vec<_> = std::iter::once(head(&titles)).chain(instances).chain(attempts).collect();
    format!("{}\n{}", headline(daemon, seen), columns(&rows))
}

fn headline(daemon: &DaemonView, seen: &PsReply) -> String {
    let DaemonView { pid, version, home, protocol: _, started_at_ms: _ } = daemon;
    let mut lines = vec![format!("daemon {pid}, version {version}, home {}", home.display())];
    lines.extend(seen.configuration.iter().flat_map(remarks));
    lines.join("\n")
}

/// What a person should know of the configuration file: nothing, when it is what holds.
pub(super) fn remarks(configuration: &ConfigurationView) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(problem), Some(since)) = (&configuration.problem, configuration.kept_since_ms) {
        let when = stamp(since);
        lines.push(format!("configuration: last good one kept, since {when}: {problem}"));
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

fn instance_row(one: &InstanceView) -> Vec<String> {
    let source = one.activity_source.as_ref().map_or(String::new(), |by| format!(" ({by})"));
    vec![
        one.name.clone(),
        format!("{}{}", one.state, if one.stale { ", stale" } else { "" }),
        format!("{}{source}", one.activity),
        cell(one.pid.as_ref()),
        one.uptime_ms.map_or_else(|| "-".to_owned(), span),
        one.restarts.to_string(),
        one.why.clone(),
        cell(one.window.as_ref()),
    ]
}

fn attempt_row(one: &AttemptView) -> Vec<String> {
    let work = match (&one.run, &one.task) {
        (Some(run), Some(task)) => format!("{run}/{task}"),
        (Some(run), None) => run.to_string(),
        (None, _) => "-".to_owned(),
    };
    vec![
        one.agent.clone(),
        one.state.to_string(),
        "-".to_owned(),
        cell(one.pid.as_ref()),
        one.uptime_ms.map_or_else(|| "-".to_owned(), span),
        one.restarts.to_string(),
        work,
        cell(one.window.as_ref()),
    ]
}
