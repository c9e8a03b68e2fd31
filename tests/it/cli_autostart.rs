//! Commands start the daemon that they need: one for all of them, however many come at once, and
//! whatever an earlier one left (faults 10 and 11).

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{code, document, err, muxvisor, say};
use crate::control::private_directory;
use crate::wait::wait_for;

/// A home whose daemon and tmux server end with the test.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(private_directory())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn daemon(&self) -> Value {
        document(&say(self.path(), "ps --json"))["daemon"]["pid"].take()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let pid = self.daemon().as_i64().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid {
            kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
            wait_for("the daemon to end", || self.daemon().is_null());
        }
        let socket = self.path().join("run/tmux.sock");
        let _ = tmux(&socket).arg("kill-server").stderr(Stdio::null()).status();
    }
}

#[expect(clippy::disallowed_methods, reason = "the test ends the tmux server that it caused")]
fn tmux(socket: &Path) -> Command {
    let mut command = Command::new("tmux");
    command.arg("-S").arg(socket).env_remove("TMUX");
    command
}

fn log_lines_with(home: &Path, what: &str) -> usize {
    let log = fs::read_to_string(home.join("daemon.log")).unwrap();
    log.lines().filter(|line| line.contains(what)).count()
}

/// Fault 10: many clients at once end with one daemon, and all are served.
#[test]
fn many_clients_at_once_start_one_daemon() {
    let home = Home::new();
    let spawn = |_| {
        let mut command = muxvisor(home.path());
        command.args(["runs", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let clients: Vec<_> = (0..12).map(spawn).collect();
    for client in clients {
        let seen = client.wait_with_output().unwrap();
        assert_eq!(code(&seen), 0, "{}", err(&seen));
        assert!(document(&seen)["runs"].is_array());
    }
    assert!(home.daemon().is_i64());
    assert_eq!(log_lines_with(home.path(), "serving"), 1, "exactly one daemon served");
}

/// Fault 11: a socket and a lock file that a dead daemon left are in nobody's way; neither is a
/// client that died while it started the daemon.
#[test]
fn what_a_dead_daemon_left_is_in_nobodys_way() {
    let home = Home::new();
    let run = home.path().join("run");
    muxvisor::control::private_directory(&run).unwrap();
    drop(UnixListener::bind(run.join("daemon.sock")).unwrap());
    fs::write(run.join("daemon.lock"), "1\n").unwrap();
    fs::write(run.join("start.lock"), "").unwrap();
    assert!(home.daemon().is_null(), "`ps` starts none");
    let seen = say(home.path(), "runs");
    assert_eq!(code(&seen), 0, "{}", err(&seen));
    let first = home.daemon();
    kill(Pid::from_raw(i32::try_from(first.as_i64().unwrap()).unwrap()), Signal::SIGKILL).unwrap();
    wait_for("the daemon to be gone", || home.daemon().is_null());
    let seen = say(home.path(), "runs");
    assert_eq!(code(&seen), 0, "{}", err(&seen));
    assert_ne!(home.daemon(), first);
}

/// A second daemon leaves the first alone and says why it does not serve.
#[test]
fn a_second_daemon_gives_way() {
    let home = Home::new();
    assert_eq!(code(&say(home.path(), "runs")), 0);
    let first = home.daemon();
    let seen = say(home.path(), "daemon");
    assert_eq!(code(&seen), 1);
    assert!(err(&seen).contains("already serves"), "{}", err(&seen));
    assert_eq!(home.daemon(), first);
}

/// Fault 64. Who comes from pid files removes locks that look stale; that makes no room for a second
/// daemon.
#[test]
fn a_second_daemon_gives_way_without_the_lock_file() {
    let home = Home::new();
    assert_eq!(code(&say(home.path(), "runs")), 0);
    let first = home.daemon();
    fs::remove_file(home.path().join("run/daemon.lock")).unwrap();
    let seen = say(home.path(), "daemon");
    assert_eq!(code(&seen), 1);
    assert!(err(&seen).contains("already serves"), "{}", err(&seen));
    assert_eq!(home.daemon(), first);
}
