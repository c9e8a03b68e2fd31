//! Fault 67: a daemon needs neither standard streams nor a terminal, and the end of the terminal
//! that it was started in is nobody's wish.

#![expect(clippy::disallowed_methods, reason = "daemons are started in the ways of people")]

use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::openpty;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::stage::{Stage, descriptors, end, lives, pid_of};
use crate::wait::wait_for;

const ONE: &str = "[agent.one]\ntype = 'service'\nautostart = true\ncommand = ['sleep', '1000']\n";
const TWO: &str = "[agent.two]\ntype = 'service'\nautostart = true\ncommand = ['sleep', '1000']\n";

/// A program that was started by a test, and is ended with it.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The daemon, started by other programs: their words, then its own.
fn through(stage: &Stage, words: &[&str]) -> Command {
    let daemon = stage.command(&["daemon"]);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(daemon.get_program()).args(daemon.get_args());
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/nonexistent");
    command.current_dir(stage.desk());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A terminal: whoever drops the first side closes it.
fn terminal() -> (OwnedFd, OwnedFd) {
    let pair = openpty(None, None).unwrap();
    for fd in [&pair.master, &pair.slave] {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
    }
    (pair.master, pair.slave)
}

/// Starts a command on a terminal that becomes its own, and returns what holds that open.
fn on_terminal(mut command: Command) -> (OwnedFd, Started) {
    let (master, slave) = terminal();
    command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
    (master, Started(command.spawn().unwrap()))
}

fn one(stage: &Stage) -> Value {
    let ps = stage.ps();
    let all = ps["instances"].as_array().unwrap();
    all.iter().find(|view| view["name"] == "one").cloned().unwrap_or_default()
}

/// The pid of an agent that runs.
fn agent(stage: &Stage) -> i32 {
    let mut pid = None;
    wait_for("the agent", || {
        pid = pid_of(&one(stage)["pid"]).filter(|_| one(stage)["state"] == "running");
        pid.is_some()
    });
    pid.unwrap()
}

/// The field of `/proc/PID/stat` that holds the number of its terminal.
fn terminal_of(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit(')').next().unwrap_or_default();
    rest.split_whitespace().nth(4).and_then(|word| word.parse().ok()).unwrap_or(-1)
}

/// Fault 67: no standard streams, no terminal, neither.
#[test]
fn a_daemon_needs_no_streams_and_no_terminal() {
    let ways: [&[&str]; 4] = [
        &["sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh"],
        &["setsid"],
        &["setsid", "sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh"],
        &["nohup"],
    ];
    for way in ways {
        let stage = Stage::new();
        stage.configure(ONE);
        let _started = Started(through(&stage, way).spawn().unwrap());
        let daemon = stage.daemon_that_answers();
        let agent = agent(&stage);
        // What it opens later must not be taken for a standard stream.
        let held = descriptors(daemon);
        assert!(held.len() > 3, "{way:?}: {held:?}");
        for stream in 0..3 {
            let leads = std::fs::read_link(format!("/proc/{daemon}/fd/{stream}")).unwrap();
            assert!(!leads.starts_with(stage.home()), "{way:?}: {stream} is {leads:?}");
            assert!(!leads.to_string_lossy().contains("socket"), "{way:?}: {stream} is {leads:?}");
        }
        end(daemon, Signal::SIGTERM);
        assert!(lives(agent), "{way:?}");
    }
}

/// Fault 67: the terminal closes under a daemon that leads its session, and under one that a shell
/// there runs. It goes on, and does not take it for the wish to reload: what is gone from the file
/// waits for a person as before.
#[test]
fn a_closed_terminal_is_no_wish() {
    let ways: [&[&str]; 2] =
        [&["setsid", "--ctty"], &["setsid", "--ctty", "sh", "-c", "\"$@\"; exit $?", "sh"]];
    for way in ways {
        let stage = Stage::new();
        stage.configure(&format!("{ONE}{TWO}"));
        let (master, _started) = on_terminal(through(&stage, way));
        let daemon = stage.daemon_that_answers();
        let agent = agent(&stage);
        assert_ne!(terminal_of(daemon), 0, "{way:?}: it has a terminal");
        stage.configure(TWO);
        let pending = || stage.ps()["configuration"]["pending_removals"].clone();
        wait_for("the removal to be seen", || pending() == json!(["one"]));
        drop(master);
        wait_for("the daemon to hear of it", || stage.log().contains("the terminal is gone"));
        assert_eq!(stage.daemon(), Some(daemon), "{way:?}");
        assert_eq!((pid_of(&one(&stage)["pid"]), pending()), (Some(agent), json!(["one"])));
        // It can still be told to read again, and to end.
        end_by_hangup_and_term(&stage, daemon, agent);
    }
}

fn end_by_hangup_and_term(stage: &Stage, daemon: i32, agent: i32) {
    crate::scene::send(daemon, Signal::SIGHUP);
    wait_for("a reload", || one(stage).is_null() && !lives(agent));
    end(daemon, Signal::SIGTERM);
}

/// Fault 67: a daemon that a client started has left the client's terminal.
#[test]
fn a_clients_terminal_takes_no_daemon_along() {
    let stage = Stage::new();
    stage.configure(ONE);
    let mut client = Command::new("setsid");
    let program = stage.command(&["run"]);
    let script = "\"$1\" up --home \"$2\" && : > up && exec sleep 1000";
    client.args(["--ctty", "sh", "-c", script, "sh"]).arg(program.get_program());
    client.arg(stage.home()).current_dir(stage.desk());
    client.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/nonexistent");
    let (master, mut started) = on_terminal(client);
    wait_for("the client", || stage.desk().join("up").exists());
    let daemon = stage.daemon_that_answers();
    let agent = agent(&stage);
    assert_eq!(terminal_of(daemon), 0);
    drop(master);
    wait_for("the end of the client", || started.0.try_wait().unwrap().is_some());
    assert_eq!(stage.daemon(), Some(daemon));
    assert_eq!(pid_of(&one(&stage)["pid"]), Some(agent));
    assert!(!stage.log().contains("SIGHUP"), "{}", stage.log());
    end(daemon, Signal::SIGTERM);
}
