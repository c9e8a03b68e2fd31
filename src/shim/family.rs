//! The agent's descendants: who they are, and signals to all of them.
//!
//! The shim is their subreaper, so whoever double-forks or starts a session of its own becomes the
//! shim's child at the latest when its parent dies: a walk down from the shim finds everybody, and
//! "no child left to wait for" proves that nobody is left. What the walk finds is signalled
//! through a pidfd whose parent was checked, so a reused pid is never hit (fault 30).

use std::fs;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{mark, os};

/// A descendant, and whose child it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Member {
    pid: i32,
    parent: i32,
}

/// The pids of all descendants that can still run.
pub(super) fn living() -> Vec<i32> {
    let lives = |m: &Member| mark::stat(m.pid).is_some_and(|stat| stat.can_run());
    members().into_iter().filter(lives).map(|m| m.pid).collect()
}

/// How many descendants can still run.
pub(super) fn count() -> u32 {
    u32::try_from(living().len()).unwrap_or(u32::MAX)
}

/// Sends the signals, in order, to every descendant.
pub(super) fn signal(signals: &[i32]) {
    for member in members() {
        signal_one(member, signals);
    }
}

/// Sends the signals, in order, to one child of the shim that was not waited for yet.
pub(super) fn signal_child(pid: i32, signals: &[i32]) {
    signal_one(Member { pid, parent: own_pid() }, signals);
}

/// Sends SIGKILL to every descendant, and again to those that were forked meanwhile.
pub(super) fn kill() {
    // Why a bound: a fork storm may outrun a round; the caller comes again.
    let mut known: Vec<i32> = Vec::new();
    for _ in 0..16 {
        let fresh: Vec<Member> =
            members().into_iter().filter(|m| !known.contains(&m.pid)).collect();
        if fresh.is_empty() {
            return;
        }
        for member in fresh {
            signal_one(member, &[nix::libc::SIGKILL]);
            known.push(member.pid);
        }
    }
}

fn signal_one(member: Member, signals: &[i32]) {
    let Some(pid) = Pid::from_raw(member.pid) else { return };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let Some(stat) = mark::stat(member.pid) else { return };
    // A descendant whose parent just died is our own child by now; a stranger is neither.
    if stat.parent == member.parent || stat.parent == own_pid() {
        for signal in signals {
            let _ = os::send_to(std::os::fd::AsFd::as_fd(&pidfd), *signal);
        }
    }
}

fn own_pid() -> i32 {
    std::process::id().cast_signed()
}

fn members() -> Vec<Member> {
    let mut found: Vec<Member> = Vec::new();
    let mut parents = vec![own_pid()];
    let table = Table::look();
    while let Some(parent) = parents.pop() {
        for pid in table.children_of(parent) {
            // Why: processes move while we look; nobody may be walked twice.
            if found.iter().all(|m| m.pid != pid) {
                found.push(Member { pid, parent });
                parents.push(pid);
            }
        }
    }
    found
}

/// Where the children of a process are read from.
enum Table {
    /// `/proc/PID/task/TID/children`.
    Kernel,
    /// Kernels without that file: every process of the machine, with its parent.
    All(Vec<Member>),
}

impl Table {
    fn look() -> Self {
        let own = own_pid();
        if fs::exists(format!("/proc/{own}/task/{own}/children")).unwrap_or(false) {
            return Table::Kernel;
        }
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        Table::All(
            pids.filter_map(|pid| Some(Member { pid, parent: mark::stat(pid)?.parent })).collect(),
        )
    }

    fn children_of(&self, pid: i32) -> Vec<i32> {
        match self {
            Table::Kernel => children_by_task(pid),
            Table::All(all) => all.iter().filter(|m| m.parent == pid).map(|m| m.pid).collect(),
        }
    }
}

/// Every thread may fork, and the kernel lists children by thread.
fn children_by_task(pid: i32) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_ascii_whitespace().filter_map(|p| p.parse().ok()).collect::<Vec<i32>>()
        })
        .collect()
}
