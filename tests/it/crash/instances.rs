//! Standing instances under a daemon that dies: what a person wanted, and what the policy counted,
//! holds on.

use std::path::Path;

use serde_json::Value;

use crate::stage::{Stage, pid_of};
use crate::wait::wait_for;

use super::agents;

fn service(name: &str, script: &str, more: &str) -> String {
    format!(
        "[agent.{name}]\ntype = \"service\"\nautostart = true\nprompt = \"none\"\n\
         result = \"none\"\ncommand = [\"sh\", \"-c\", '''{script}''']\n{more}\n"
    )
}

/// Ends as it is told, once there is a file that says so for this attempt.
fn waits_then(desk: &Path, end: &str) -> String {
    let go = desk.join("go").display().to_string();
    format!("while [ ! -e {go}$MUXVISOR_ATTEMPT ]; do sleep 0.02; done; {end}")
}

fn instance(stage: &Stage, name: &str) -> Value {
    let ps = stage.ps();
    let found = ps["instances"].as_array().unwrap().iter().find(|view| view["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {ps}")).clone()
}

fn is(stage: &Stage, name: &str, state: &str) -> bool {
    instance(stage, name)["state"] == state
}

/// Everything the ledger keeps of an instance.
fn kept(stage: &Stage, name: &str) -> Value {
    let query = "SELECT row FROM instance WHERE name = ?1";
    let row: String = stage.ledger().query_row(query, [name], |row| row.get(0)).unwrap();
    serde_json::from_str(&row).unwrap()
}

/// How the attempts of an instance ended.
fn ends(stage: &Stage, name: &str) -> Vec<(String, i64)> {
    stage.counts(&format!(
        "SELECT outcome, count(*) FROM attempt JOIN event ON subject = attempt_id \
         WHERE instance = '{name}' AND kind = 'attempt-ended' GROUP BY 1 ORDER BY 1"
    ))
}

/// Fault 1: idle instances are adopted, again and again, and nobody counts a restart.
#[test]
fn idle_instances_are_adopted() {
    let stage = Stage::new();
    let names = ["one", "two", "three"];
    stage.configure(&names.map(|name| service(name, "sleep 1000", "")).concat());
    stage.start_daemon();
    wait_for("three instances", || names.iter().all(|name| is(&stage, name, "running")));
    let before = agents(&stage.ps());
    for _ in 0..3 {
        stage.kill_daemon();
        let seen = stage.ask(&["ps"]);
        assert!(seen.out.contains("no daemon runs here, and 3 agents live on"), "{seen:?}");
        stage.start_daemon();
        wait_for("three instances", || names.iter().all(|name| is(&stage, name, "running")));
        assert_eq!(agents(&stage.ps()), before);
        assert!(names.iter().all(|name| instance(&stage, name)["restarts"] == 0));
    }
}

/// Fault 4: how an agent ended while nobody looked is found out, and the policy is applied, once.
#[test]
fn ends_without_a_daemon_count_once() {
    let stage = Stage::new();
    let policy = "restart = \"on-failure\"\nrestart_delay = \"100ms\"\nstart_limit_burst = 0";
    let cases = [("good", "exit 0"), ("bad", "exit 7"), ("shot", "kill -9 $$")];
    let configured =
        cases.map(|(name, end)| service(name, &waits_then(&stage.desk(), end), policy));
    stage.configure(&configured.concat());
    stage.start_daemon();
    wait_for("three instances", || cases.iter().all(|(name, _)| is(&stage, name, "running")));
    let first = agents(&stage.ps());
    stage.kill_daemon();
    stage.file("go1", "");
    let over = |attempt: &str| stage.at("attempts").join(attempt).join("exit.json").exists();
    wait_for("three ends", || first.iter().all(|(attempt, _)| over(attempt)));
    stage.start_daemon();
    let settled = || {
        is(&stage, "good", "stopped")
            && is(&stage, "bad", "running")
            && is(&stage, "shot", "running")
    };
    wait_for("the policies' work", settled);
    // Another start finds nothing more to do.
    stage.kill_daemon();
    stage.start_daemon();
    assert!(settled());
    let one = |outcome: &str| vec![(outcome.to_owned(), 1)];
    assert_eq!(ends(&stage, "good"), one("success"));
    assert_eq!(ends(&stage, "bad"), one("exit-code"));
    assert_eq!(ends(&stage, "shot"), one("signal"));
    let restarts = cases.map(|(name, _)| instance(&stage, name)["restarts"].as_i64().unwrap());
    assert_eq!(restarts, [0, 1, 1]);
}

/// Fault 6: a delay goes on from where it was, with everything that was counted.
#[test]
fn a_backoff_outlives_the_daemon() {
    let stage = Stage::new();
    let policy = "restart_delay = \"2s\"\nrestart_jitter = 0.0\nstart_limit_interval = \"10m\"";
    stage.configure(&service("weak", &waits_then(&stage.desk(), "exit 1"), policy));
    stage.file("go1", "");
    stage.start_daemon();
    wait_for("a backoff", || is(&stage, "weak", "backoff"));
    let before = kept(&stage, "weak");
    stage.kill_daemon();
    stage.start_daemon();
    assert_eq!(kept(&stage, "weak"), before);
    assert!(is(&stage, "weak", "backoff"));
    wait_for("the restart", || is(&stage, "weak", "running"));
    let after = kept(&stage, "weak");
    for counted in ["restarts", "streak", "last_delay_ms"] {
        assert_eq!(after[counted], before[counted], "{counted}");
    }
    // One start is counted, from the moment at which it was made.
    let starts = |row: &Value| row["starts"].as_array().map(Vec::len);
    assert_eq!(starts(&after), Some(1), "{after}");
    assert!(after["starts"][0].as_i64() >= before["starts"][0].as_i64(), "{before}, {after}");
    let query = "SELECT attempt_id, intended_at FROM attempt ORDER BY id";
    let intended = stage.counts(query)[1].1;
    assert!(intended >= before["not_before"].as_i64().unwrap(), "{intended}: {before}");
}

/// Fault 7: what a person stopped stays stopped, and what was being stopped gets stopped.
#[test]
fn what_a_person_stopped_stays_stopped() {
    let stage = Stage::new();
    let deaf = "trap '' TERM; while :; do sleep 0.05; done";
    let configured = [
        service("kept", "sleep 1000", ""),
        service("ended", "sleep 1000", ""),
        service("deaf", deaf, "stop_timeout = \"1s\""),
    ];
    stage.configure(&configured.concat());
    stage.start_daemon();
    let names = ["kept", "ended", "deaf"];
    wait_for("all instances", || names.iter().all(|name| is(&stage, name, "running")));
    let kept_pid = pid_of(&instance(&stage, "kept")["pid"]);
    assert_eq!(stage.ask(&["stop", "ended"]).code, 0);
    wait_for("its end", || is(&stage, "ended", "stopped"));
    let stop = stage.start(&["stop", "deaf"]);
    wait_for("a stop under way", || is(&stage, "deaf", "stopping"));
    stage.kill_daemon();
    drop(stop);
    stage.start_daemon();
    wait_for("the end of the deaf one", || is(&stage, "deaf", "stopped"));
    assert!(is(&stage, "ended", "stopped"));
    assert_eq!(pid_of(&instance(&stage, "kept")["pid"]), kept_pid);
    assert_eq!(ends(&stage, "ended").len(), 1);
    assert_eq!(ends(&stage, "deaf").len(), 1);
    assert_eq!(stage.agents().len(), 2, "the kept one is a shell and its sleep");
}
