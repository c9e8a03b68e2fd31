//! Fencing: when a shim was killed, nobody holds its agent any more. Before anything is retried,
//! everybody who belongs to the attempt is killed, and the set is looked at again until it is
//! empty (design §3). Who belongs: whoever is in the attempt's control group, carries its token in
//! the environment, or is of the session that the agent began. Without a control group a process
//! that cleared its environment and began a session of its own escapes this.

use std::fs;
use std::io;
use std::path::Path;

use crate::cgroup::Leaf;
use crate::failpoint;
use crate::model::{Confinement, Order, ProcessMark, ProcessStat, Spec, Started, Token, files};

use super::process::{self, Signal};

/// How often a group is tried to be removed whose members are gone, and how long between.
const REMOVE_TRIES: u32 = 50;
const REMOVE_AGAIN_MS: u32 = 10;

/// What the processes of an attempt are known by.
#[derive(Clone, Debug)]
pub(super) struct Traces {
    token: Token,
    leaf: Option<Leaf>,
    /// The agent, which is the first of its session, if this boot has seen it.
    agent: Option<ProcessMark>,
}

impl Traces {
    /// Reads them from the attempt's directory, given its start record. What cannot be read is no
    /// trace.
    pub(super) fn of(order: &Order, dir: &Path, started: Option<Started>, boot_id: &str) -> Self {
        let spec = fs::read(dir.join(files::SPEC)).ok();
        let spec = spec.and_then(|bytes| serde_json::from_slice::<Spec>(&bytes).ok());
        let leaf = match spec.map(|spec| spec.confinement) {
            Some(Confinement::Cgroup { leaf, .. }) => Some(Leaf(leaf)),
            Some(Confinement::Nowhere | Confinement::Refused { .. }) | None => None,
        };
        let agent = started
            .map(|started| started.agent)
            .filter(|mark| mark.boot_id == boot_id && mark.start_ticks > 0);
        Self { token: order.token.clone(), leaf, agent }
    }
}

/// Kills what is left of an attempt. Returns the processes that were still there at the last look;
/// none means proven gone.
///
/// # Errors
/// When nobody could look, which proves nothing.
pub(super) fn sweep(traces: &Traces, boot_id: &str) -> io::Result<Vec<ProcessMark>> {
    let mut left = members(traces, boot_id)?;
    // A daemon that an agent's command started may be in that agent's group itself.
    let own = i32::try_from(std::process::id()).ok();
    let group = traces.leaf.as_ref().filter(|leaf| {
        leaf.members().is_ok_and(|members| !members.iter().any(|pid| Some(*pid) == own))
    });
    for _ in 0..100 {
        if left.is_empty() {
            break;
        }
        // At once for the whole group, so that nobody forks faster than we look.
        let _ = group.map(|leaf| failpoint::io("fence.kill-group", || leaf.kill()));
        for mark in &left {
            failpoint::step("fence.kill", || process::signal(mark, boot_id, Signal::KILL));
            // A process that dies is waited for by its own handle, so the next look is not idle.
            process::gone_within(mark, boot_id, 100);
        }
        left = members(traces, boot_id)?;
    }
    if left.is_empty() {
        traces.leaf.iter().for_each(remove);
    }
    Ok(left)
}

/// Removes a group whose last member may not be out of it yet.
fn remove(leaf: &Leaf) {
    for _ in 0..REMOVE_TRIES {
        if failpoint::step("fence.remove-group", || leaf.remove()) {
            return;
        }
        process::pause(REMOVE_AGAIN_MS);
    }
}

fn members(traces: &Traces, boot_id: &str) -> io::Result<Vec<ProcessMark>> {
    let needle = format!("MUXVISOR_TOKEN={}", traces.token.as_str());
    let confined = traces.leaf.as_ref().map_or(Ok(Vec::new()), Leaf::members)?;
    // We carry a token ourselves when an agent's command started us.
    let own = i32::try_from(std::process::id()).ok();
    let session = session(traces)?;
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        if Some(pid) == own {
            continue;
        }
        let belongs =
            confined.contains(&pid) || is_of(session, pid)? || carries(pid, needle.as_bytes())?;
        if belongs {
            let mark = process::mark(pid, boot_id);
            if process::open(&mark, boot_id)?.is_some() {
                found.push(mark);
            }
        }
    }
    Ok(found)
}

/// The agent's session, as long as its number cannot mean another one: the kernel gives the pid of
/// a session's first process to nobody while the session has members, and whoever has that pid now
/// and is not the agent proves that the session is over.
fn session(traces: &Traces) -> io::Result<Option<&ProcessMark>> {
    let Some(agent) = &traces.agent else { return Ok(None) };
    let now = process::stat(agent.pid)?;
    Ok(now.is_none_or(|stat| stat.start_ticks == agent.start_ticks).then_some(agent))
}

fn is_of(session: Option<&ProcessMark>, pid: i32) -> io::Result<bool> {
    let Some(agent) = session else { return Ok(false) };
    Ok(process::stat(pid)?.is_some_and(|stat| descends(agent, &stat)))
}

/// A member of the agent's session is not older than the agent, and has no terminal: the inner one
/// was hung up when its shim died.
fn descends(agent: &ProcessMark, stat: &ProcessStat) -> bool {
    stat.session == agent.pid && stat.start_ticks >= agent.start_ticks && stat.terminal == 0
}

/// Processes of other users cannot be read, and are none of ours; nor are those that are gone.
fn carries(pid: i32, needle: &[u8]) -> io::Result<bool> {
    match fs::read(format!("/proc/{pid}/environ")) {
        Ok(environ) => Ok(environ.split(|byte| *byte == 0).any(|entry| entry == needle)),
        Err(error) if is_shortage(&error) => Err(error),
        Err(_) => Ok(false),
    }
}

/// Whether something was lacking that others give back.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault 30: a pid, or the number of a session, that was reused is not the agent's.
    #[test]
    fn only_a_member_of_the_very_session_belongs() {
        let agent = ProcessMark { pid: 70, start_ticks: 500, boot_id: "b".to_owned() };
        let member = ProcessStat {
            state: 'S',
            parent: 1,
            session: 70,
            terminal: 0,
            flags: 0,
            start_ticks: 500,
        };
        assert!(descends(&agent, &member));
        assert!(!descends(&agent, &ProcessStat { session: 71, ..member }));
        assert!(!descends(&agent, &ProcessStat { start_ticks: 499, ..member }));
        assert!(!descends(&agent, &ProcessStat { terminal: 34816, ..member }));
    }

    #[test]
    fn a_session_whose_first_pid_is_another_process_is_over() {
        let own = i32::try_from(std::process::id()).unwrap();
        let mark = process::mark(own, "b");
        let traces = |agent| Traces { token: Token::new("t"), leaf: None, agent: Some(agent) };
        let same = traces(mark.clone());
        assert!(session(&same).unwrap().is_some());
        let reused = traces(ProcessMark { start_ticks: mark.start_ticks - 1, ..mark });
        assert!(session(&reused).unwrap().is_none());
    }
}
