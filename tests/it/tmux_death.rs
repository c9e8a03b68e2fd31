//! The tmux server dies, is lost, or is mishandled, and the agents notice nothing: they keep their
//! processes and their logs, and get their windows back.

#![expect(
    clippy::disallowed_methods,
    reason = "how long windows were away is measured, not judged"
)]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod outage;
mod people;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::stage::{Stage, end, pid_of};
use super::wait::wait_for;

/// Writes numbered lines for ever.
const COUNTS: &str = "i=0; while :; do i=$((i+1)); echo \"line $i\"; sleep 0.1; done";

/// A full-screen program: it draws on the alternate screen, and anew when its size changes.
const DRAWS: &str = "printf '\\033[?1049h\\033[?25l'; paint() { printf '\\033[2J\\033[H<%s>' \"$(stty size)\"; }; \
    trap paint WINCH; paint; while :; do sleep 0.05; done";

/// A standing agent that runs a shell script.
fn service(name: &str, script: &str) -> String {
    let command = serde_json::to_string(&["sh", "-c", script]).unwrap();
    format!(
        "[agent.{name}]\ntype = \"service\"\nautostart = true\nprompt = \"none\"\nresult = \"none\"\n\
         restart = \"always\"\nrestart_delay = \"50ms\"\nstop_timeout = \"1s\"\ncommand = {command}\n"
    )
}

/// The instances of `ps` by name.
fn instances(stage: &Stage) -> BTreeMap<String, Value> {
    let ps = stage.ps();
    let all = ps["instances"].as_array().unwrap().iter();
    all.map(|one| (one["name"].as_str().unwrap().to_owned(), one.clone())).collect()
}

fn instance(stage: &Stage, name: &str) -> Value {
    instances(stage).remove(name).unwrap()
}

fn pid(stage: &Stage, name: &str) -> i32 {
    pid_of(&instance(stage, name)["pid"]).unwrap()
}

/// The agents' processes.
fn pids(stage: &Stage) -> BTreeMap<String, i32> {
    let all = instances(stage).into_iter();
    all.filter_map(|(name, one)| Some((name, pid_of(&one["pid"])?))).collect()
}

/// Starts everything that is configured, and waits until so many run in windows.
#[track_caller]
fn up(stage: &Stage, count: usize) {
    assert_eq!(stage.ask(&["up"]).code, 0);
    wait_for("all to run", || pids(stage).len() == count && windows(stage).len() == count);
}

/// The windows that instances have, as the daemon knows them, by name.
fn windows(stage: &Stage) -> BTreeMap<String, String> {
    let all = instances(stage).into_iter();
    all.filter_map(|(name, one)| Some((name, one["window"].as_str()?.to_owned()))).collect()
}

/// What a window shows.
fn screen(stage: &Stage, window: &str) -> String {
    stage.tmux(&["capture-pane", "-p", "-t", window]).out
}

/// The attempt's folder.
fn folder(stage: &Stage, name: &str) -> PathBuf {
    stage.at("attempts").join(instance(stage, name)["attempt"].as_str().unwrap())
}

fn log(stage: &Stage, name: &str) -> String {
    fs::read_to_string(folder(stage, name).join("output.log")).unwrap_or_default()
}

/// Every number is there, once, in order.
#[track_caller]
fn assert_no_gap(log: &str) {
    let whole = log.rfind('\n').map_or("", |end| &log[..=end]);
    for (n, line) in whole.lines().enumerate() {
        assert_eq!(line, format!("line {}", n + 1));
    }
}

/// How often it was said that the server is gone.
fn alarms(stage: &Stage) -> i64 {
    let query = "SELECT data, count(*) FROM event WHERE kind = 'noted' AND subject = 'tmux'
        AND data LIKE '%is gone%' GROUP BY 1";
    stage.counts(query).iter().map(|(_, times)| times).sum()
}

/// Kills the server.
#[track_caller]
fn kill_server(stage: &Stage) -> i32 {
    let server = stage.tmux_server().unwrap();
    end(server, Signal::SIGKILL);
    server
}

/// Waits until every agent is shown in a window of a server other than `old`.
#[track_caller]
fn wait_for_windows(stage: &Stage, old: i32, count: usize) {
    wait_for("another server", || stage.tmux_server().is_some_and(|pid| pid != old));
    wait_for("windows", || {
        let shown = stage.panes().len();
        shown == count && windows(stage).len() == count
    });
}

/// Programs of which some can be taken away: the only directory of a daemon's PATH.
struct Programs {
    dir: PathBuf,
}

impl Programs {
    fn new(stage: &Stage) -> Self {
        let dir = stage.desk().join("bin");
        fs::create_dir(&dir).unwrap();
        let programs = Self { dir };
        ["sh", "sleep", "stty", "tmux"].iter().for_each(|name| programs.bring(name));
        programs
    }

    fn bring(&self, name: &str) {
        let places =
            ["/usr/local/bin", "/usr/bin", "/bin"].map(|dir| PathBuf::from(dir).join(name));
        let real = places.iter().find(|path| path.exists()).unwrap();
        symlink(real, self.dir.join(name)).unwrap();
    }

    fn take(&self, name: &str) {
        fs::remove_file(self.dir.join(name)).unwrap();
    }
}
