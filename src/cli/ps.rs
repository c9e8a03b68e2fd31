//! `ps`: what lives. Never starts a daemon.

use super::columns::{cell, columns, head, span, stamp};
use super::desk::Desk;
use super::failure::COMPLETED;
use crate::control::view::{AttemptView, DaemonView, InstanceView, PsReply, TmuxView};
use crate::control::{ClientError, Failure, Request};

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
            PsReply { daemon: None, instances: Vec::new(), attempts: Vec::new() }
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
        return format!("{}\nnothing lives", headline(daemon));
    }
    let titles = ["name", "state", "activity", "pid", "uptime", "restarts", "work", "window"];
    let instances = seen.instances.iter().map(instance_row);
    let attempts = seen.attempts.iter().map(attempt_row);
    let rows: Vec<_> = std::iter::once(head(&titles)).chain(instances).chain(attempts).collect();
    format!("{}\n{}", headline(daemon), columns(&rows))
}

fn headline(daemon: &DaemonView) -> String {
    let DaemonView { pid, version, home, tmux, protocol: _, started_at_ms: _ } = daemon;
    let outage = outage(tmux).map_or_else(String::new, |text| format!("\ntmux: {text}"));
    format!("daemon {pid}, version {version}, home {}{outage}", home.display())
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

fn instance_row(one: &InstanceView) -> Vec<String> {
    let source = one.activity_source.as_ref().map_or(String::new(), |by| format!(" ({by})"));
    vec![
        one.name.clone(),
        one.state.to_string(),
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
