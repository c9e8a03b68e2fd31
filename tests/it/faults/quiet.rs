//! A daemon that has nothing to do does nothing: no timer wakes it, nor the shims of its agents.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::scene::{Scene, send};
use crate::stage::{Stage, end, pid_of};
use crate::wait::{let_pass, wait_for};

const AGENTS: usize = 6;
/// How long it must be quiet in a row.
const QUIET: Duration = Duration::from_secs(3);
/// How often quiet is waited for: what was started before may still be coming to rest.
const TRIES: u32 = 10;

/// How often the threads of these processes went to sleep by themselves, which is how often they
/// were woken.
fn wakeups(pids: &[i32]) -> u64 {
    let threads = |pid: &i32| {
        let list = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        list.filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok())
    };
    let switches = |status: String| {
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    pids.iter().flat_map(threads).filter_map(switches).sum()
}

/// Waits until these processes are not woken a single time for a while.
#[track_caller]
fn assert_comes_to_rest(stage: &Stage, pids: &[i32], what: &str) {
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        let before = wakeups(pids);
        assert!(before > 0, "{what}: nothing is counted here");
        let_pass(QUIET);
        seen.push(wakeups(pids) - before);
        if seen.last() == Some(&0) {
            return;
        }
    }
    panic!("{what}: woken {seen:?} times in {QUIET:?} each\n{}", stage.log());
}

/// Agents that do nothing; `more` stands behind them.
fn comes_to_rest(more: &str, what: &str) {
    let stage = Stage::new();
    let one = |n| {
        format!("[agent.a{n}]\ntype = 'service'\nautostart = true\ncommand = ['sleep', '1000']\n")
    };
    stage.configure(&((0..AGENTS).map(one).collect::<String>() + more));
    let daemon = stage.start_daemon();
    wait_for("all agents", || {
        let ps = stage.ps();
        let all = ps["instances"].as_array().unwrap();
        all.len() == AGENTS && all.iter().all(|one| one["state"] == "running")
    });
    assert_comes_to_rest(&stage, &[daemon], what);
    let shims: Vec<i32> = stage.panes().into_iter().map(|pane| pane.pid).collect();
    assert_eq!(shims.len(), AGENTS);
    assert_comes_to_rest(&stage, &shims, "shims");
}

/// Idle agents cost a daemon nothing, and a probe nothing before its time comes.
#[test]
fn an_idle_daemon_is_not_woken() {
    let probe = "[[agent.a0.probe]]\nkind = 'exec'\ncommand = ['true']\nperiod = '10m'\n";
    std::thread::scope(|scope| {
        scope.spawn(|| comes_to_rest("", "without a probe"));
        scope.spawn(|| comes_to_rest(probe, "with a probe"));
    });
}

/// Fault 70: heartbeats that were sent while the daemon stood still were sent in time, and an agent
/// that goes on with them lives; one that then falls silent does not.
#[test]
fn a_heartbeat_is_not_missed_by_a_daemon_that_stood_still() {
    let scene = Scene::new();
    let program = env!("CARGO_BIN_EXE_muxvisor");
    let script = format!(
        "{program} notify READY=1\n\
         while [ ! -e silent ]; do {program} notify WATCHDOG=1; sleep 0.2; done\n\
         exec sleep 1000\n"
    );
    let script = scene.file("beats.sh", &script);
    scene.configure(&format!(
        "[agent.bot]\ntype = 'service'\nautostart = true\ncwd = '{}'\ncommand = ['sh', '{}']\n\
         startup = {{ notify = true }}\nwatchdog = '1500ms'\nrestart = 'no'\nstop_timeout = '300ms'\n",
        scene.desk().display(),
        script.display()
    ));
    let daemon = scene.start_daemon();
    let beats = || scene.json(&["why", "bot"])["health"]["heartbeat_in_ms"].is_u64();
    wait_for("a heartbeat", beats);
    let before = scene.ps()["instances"][0].clone();
    for _ in 0..2 {
        send(daemon, Signal::SIGSTOP);
        let_pass(Duration::from_millis(3_500));
        send(daemon, Signal::SIGCONT);
        wait_for("the daemon to look again", beats);
        let_pass(Duration::from_millis(500));
    }
    let after = scene.ps()["instances"][0].clone();
    assert_eq!((&after["pid"], &after["state"]), (&before["pid"], &before["state"]), "{after}");
    scene.file("silent", "");
    wait_for("the end of a silent agent", || scene.ps()["instances"][0]["state"] == "failed");
    let told = scene.json(&["why", "bot"]).to_string();
    assert!(told.contains("heartbeat stayed away"), "{told}");
    assert!(pid_of(&scene.ps()["instances"][0]["pid"]).is_none());
    end(daemon, Signal::SIGTERM);
}
