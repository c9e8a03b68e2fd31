//! `ps`: what lives. Never starts a daemon.

use super::columns::{cell, columns, head, span, stamp};
use super::desk::Desk;
use super::failure::COMPLETED;
use crate::control::failover::ParkedView;
use crate::control::view::{AttemptView, DaemonView, InstanceView, PsReply};
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
            let (instances, attempts, parked) = (Vec::new(), Vec::new(), Vec::new());
            PsReply { daemon: None, instances, attempts, parked }
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
        return format!("{}\nnothing lives{}", headline(daemon), parked(&seen.parked));
    }
    let titles = ["name", "state", "activity", "pid", "uptime", "restarts", "work", "window"];
    let instances = seen.instances.iter().map(instance_row);
    let attempts = seen.attempts.iter().map(attempt_row);
    let rows: Vec<_> = std::iter::once(head(&titles)).chain(instances).chain(attempts).collect();
    format!("{}\n{}{}", headline(daemon), columns(&rows), parked(&seen.parked))
}

/// Agents that wait for a usage limit to pass, each in a line of its own.
fn parked(agents: &[ParkedView]) -> String {
    let line = |one: &ParkedView| {
        format!("\n{} is parked until {}: {}", one.agent, stamp(one.until_ms), one.why)
    };
    agents.iter().map(line).collect()
}

/// Who serves in its place and how often that may change, when it is not its first agent.
fn serving(one: &InstanceView) -> String {
    let of = |(used, most): (u32, u32)| format!(", {used} of {most} switches");
    let budget = one.failover.switches.zip(one.failover.switches_max).map(of);
    let name = one.failover.serving.as_ref();
    name.map_or_else(String::new, |name| format!(" ({name}{})", budget.unwrap_or_default()))
}

fn headline(daemon: &DaemonView) -> String {
    let DaemonView { pid, version, home, alarm, protocol: _, started_at_ms: _ } = daemon;
    let alarm = alarm.as_ref().map_or(String::new(), |alarm| format!("\nALARM: {alarm}"));
    format!("daemon {pid}, version {version}, home {}{alarm}", home.display())
}

fn instance_row(one: &InstanceView) -> Vec<String> {
    let source = one.activity_source.as_ref().map_or(String::new(), |by| format!(" ({by})"));
    let group = one.group.as_ref().map_or(String::new(), |group| format!(" ({group})"));
    vec![
        format!("{}{group}", one.name),
        one.state.to_string(),
        format!("{}{source}", one.activity),
        cell(one.pid.as_ref()),
        one.uptime_ms.map_or_else(|| "-".to_owned(), span),
        one.restarts.to_string(),
        format!("{}{}", one.why, serving(one)),
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
