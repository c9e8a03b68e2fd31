//! Whoever is killed, the work is done once: daemon, shims and tmux servers die here, on the real
//! program, in homes of their own.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod churn;
mod instances;
mod parts;
mod starts;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::stage::{Stage, descriptors, end, lives, pid_of};
use super::wait::wait_for;

const QUICKSTART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/plans/quickstart.toml");

/// How the attempts of each task ended.
const ENDS: &str = "SELECT task || ' ' || outcome, count(*) FROM attempt WHERE task IS NOT NULL
    GROUP BY 1 ORDER BY 1";
/// How often each task's result was accepted.
const ACCEPTED: &str =
    "SELECT run_id || ' ' || json_extract(data, '$.task-succeeded.task'), count(*)
    FROM event JOIN run ON run.id = event.run WHERE kind = 'task-succeeded' GROUP BY 1 ORDER BY 1";

/// The agents' processes by attempt, of those that run.
fn agents(ps: &Value) -> Vec<(String, i32)> {
    let list = |name: &str| ps[name].as_array().unwrap().iter();
    let running =
        |view: &Value| Some((view["attempt"].as_str()?.to_owned(), pid_of(&view["pid"])?));
    list("attempts").chain(list("instances")).filter_map(running).collect()
}

/// No attempt has two windows.
#[track_caller]
fn assert_one_window_each(stage: &Stage) {
    let mut tokens: Vec<String> = stage.panes().into_iter().map(|pane| pane.token).collect();
    tokens.sort();
    let before = tokens.len();
    tokens.dedup();
    assert_eq!(tokens.len(), before, "{:?}", stage.panes());
}

/// Every task that succeeded did so once, and nobody is left of any agent.
#[track_caller]
fn assert_done_once(stage: &Stage) {
    for (task, times) in stage.counts(ACCEPTED) {
        assert_eq!(times, 1, "{task} was accepted {times} times");
    }
    wait_for("the end of all agents", || stage.agents().is_empty());
}

/// Fault 12: the tmux server holds nothing of the daemon's.
#[track_caller]
fn assert_tmux_holds_nothing_of_ours(stage: &Stage) {
    assert_holds_nothing_of_ours(stage, stage.tmux_server().unwrap());
}

/// A process holds nothing of the home but what is made for it: its socket, its prompt.
#[track_caller]
fn assert_holds_nothing_of_ours(stage: &Stage, pid: i32) {
    let held = descriptors(pid);
    let ours = |path: &std::path::Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        path.starts_with(stage.home()) && !name.starts_with("tmux") && name != "prompt.md"
    };
    assert!(!held.iter().any(|path| ours(path)), "{held:?}");
}

/// Faults 1 and 12, design §1: the run goes on under the same processes, and its client with it.
#[test]
fn the_quickstart_survives_the_daemon() {
    let stage = Stage::new();
    let client = stage.start(&["run", QUICKSTART, "--json"]);
    let mut before = Vec::new();
    wait_for("three agents at work", || {
        before = agents(&stage.ps());
        before.len() == 3
    });
    let dead = stage.kill_daemon();
    let alive = stage.daemon_that_answers();
    assert_ne!(dead, alive);
    let after = agents(&stage.ps());
    // One of the three may have failed by now, as it does on purpose.
    for (_, pid) in after.iter().filter(|(_, pid)| lives(*pid)) {
        assert_holds_nothing_of_ours(&stage, *pid);
    }
    let kept = before.iter().filter(|agent| after.contains(agent)).count();
    assert!(kept >= 2, "{before:?} became {after:?}");
    assert_one_window_each(&stage);
    let said = client.end();
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.document()["execution_results"]["summary"]["successful"], 4);
    let expected = ["brief success", "history exit-code", "history success", "survey success"];
    let expected = expected.into_iter().chain(["texts success"]).map(|end| (end.to_owned(), 1));
    assert_eq!(stage.counts(ENDS), expected.collect::<Vec<_>>());
    assert_eq!(stage.counts(ACCEPTED).len(), 4);
    assert_done_once(&stage);
    assert_one_window_each(&stage);
    assert_tmux_holds_nothing_of_ours(&stage);
    end(alive, Signal::SIGTERM);
}
