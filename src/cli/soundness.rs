//! The part of `doctor` about what guards a home: how limits are enforced, whether tmux outlives a
//! restart of the unit, who can get at the socket, and what the dead left behind.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::examined::{Check, Verdict};
use super::shell::Shell;
use crate::cgroup::{Place, Wish, find};
use crate::control::view::{DaemonView, LimitsView};
use crate::daemon::Home;
use crate::tmux;

/// How limits are enforced: by the daemon that runs, or by one that were started from here.
pub(crate) fn limits(daemon: Option<&DaemonView>, shell: &Shell) -> Check {
    let seen = daemon.and_then(|view| view.limits.clone()).unwrap_or_else(|| {
        let place = Place::of_this_process().ok().flatten();
        let way = find(&Wish::read(shell.get("MUXVISOR_CGROUP")), place.as_ref());
        LimitsView { way: way.describe(), whole: way.is_whole() }
    });
    if seen.whole {
        return Check::ok("limits", seen.way);
    }
    Check::warning("limits", seen.way).hint(
        "agents with memory_max, tasks_max or cpu_quota are not started, unless they have \
         `limits = \"best-effort\"`; run the daemon as the systemd unit \
         config/systemd/muxvisor.service, or name a delegated control group with MUXVISOR_CGROUP",
    )
}

/// A service whose restart kills everybody in its control group takes tmux with it (fault 13).
pub(crate) fn company(daemon: Option<&DaemonView>, home: &Home) -> Check {
    let server = tmux::Config::new(home.runtime(), []).recorded_server();
    let groups =
        daemon.and_then(|view| group_of(view.pid)).zip(server.and_then(|mark| group_of(mark.pid)));
    match groups {
        Some((daemon, tmux)) => judge_company(&daemon, &tmux),
        None => Check::ok("tmux-group", "not both of daemon and tmux server run"),
    }
}

fn judge_company(daemon: &str, tmux: &str) -> Check {
    let unit = |group: &str| {
        let part = group.split('/').rfind(|part| part.ends_with(".service"))?;
        // The user's whole systemd is not a unit of ours.
        (!part.starts_with("user@")).then(|| part.to_owned())
    };
    match (unit(daemon), unit(tmux)) {
        (Some(ours), Some(theirs)) if ours == theirs => Check::warning(
            "tmux-group",
            format!("the tmux server is in the control group of {ours}, with the daemon"),
        )
        .hint(
            "only `KillMode=process` keeps it and the agents alive when the unit is restarted: \
             see `systemctl --user show -p KillMode`, and config/systemd/muxvisor.service",
        ),
        (Some(_), _) => Check::ok("tmux-group", "the tmux server outlives the daemon's unit"),
        (None, _) => Check::ok("tmux-group", "no systemd service holds the daemon"),
    }
}

fn group_of(pid: i32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    // On hybrid systems systemd's own hierarchy says it.
    let line = |sign: &str| text.lines().find_map(|line| line.split_once(sign).map(|(_, g)| g));
    line(":name=systemd:").or_else(|| line("0::")).map(str::to_owned)
}

/// Nobody but its owner may get at the control socket.
pub(crate) fn socket_mode(home: &Home) -> Check {
    let path = home.daemon_socket();
    let Ok(found) = fs::symlink_metadata(&path) else {
        return Check::ok("socket-mode", "there is no socket yet");
    };
    let mode = found.mode() & 0o777;
    if mode & 0o077 == 0 {
        return Check::ok("socket-mode", format!("mode {mode:03o}"));
    }
    let message = format!("{} is open to others: {mode:03o}", path.display());
    Check::new("socket-mode", Verdict::Error, message)
        .hint(format!("run `chmod 600 {}`", path.display()))
}

/// What killed shims left; in nobody's way.
pub(crate) fn leftovers(home: &Home) -> Check {
    let sockets = fs::read_dir(home.runtime().join("s")).into_iter().flatten().flatten();
    let is_dead = |path: &PathBuf| {
        UnixStream::connect(path)
            .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    };
    let dead: Vec<PathBuf> = sockets.map(|entry| entry.path()).filter(is_dead).collect();
    match dead.first() {
        None => Check::ok("leftovers", "none"),
        Some(first) => {
            let message = format!("{} sockets of shims that were killed", dead.len());
            Check::warning("leftovers", message)
                .hint(format!("they are in nobody's way; remove them, such as {}", first.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault 13: told when a restart of the unit could end the agents.
    #[test]
    fn a_shared_service_is_warned_about() {
        let unit = "/user.slice/user-1.slice/user@1.service/app.slice/muxvisor.service";
        let daemon = format!("{unit}/daemon");
        let verdict = |daemon: &str, tmux: &str| judge_company(daemon, tmux).verdict;
        assert_eq!(verdict(&daemon, &daemon), Verdict::Warning);
        assert_eq!(verdict(&daemon, unit), Verdict::Warning);
        let scope = "/user.slice/user-1.slice/user@1.service/app.slice/muxvisor-tmux-1.scope";
        assert_eq!(verdict(&daemon, scope), Verdict::Ok);
        assert_eq!(verdict(scope, scope), Verdict::Ok);
        assert_eq!(verdict("/", "/"), Verdict::Ok);
    }
}
