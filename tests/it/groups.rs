//! Groups of instances, with real processes: who is restarted with whom, in which order, and by
//! which daemon.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::stage::{Stage, end, lives, pid_of};
use crate::wait::wait_for;

const MEMBERS: [&str; 3] = ["one", "two", "three"];

fn service(name: &str, script: &str, more: &str) -> String {
    format!(
        "[agent.{name}]\ntype = \"service\"\nautostart = true\nprompt = \"none\"\n\
         result = \"none\"\nrestart_delay = \"50ms\"\ncommand = [\"sh\", \"-c\", '''{script}''']\n\
         {more}\n"
    )
}

fn crew(strategy: &str, agents: &[String]) -> String {
    let members = MEMBERS.map(|name| format!("\"{name}\"")).join(", ");
    let group = format!("[group.crew]\nstrategy = \"{strategy}\"\nmembers = [{members}]\n");
    agents.concat() + &group
}

fn instance(stage: &Stage, name: &str) -> Value {
    let ps = stage.ps();
    let found =
        ps["instances"].as_array().expect("a list").iter().find(|view| view["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {ps}")).clone()
}

fn all_are(stage: &Stage, state: &str) -> bool {
    MEMBERS.iter().all(|name| instance(stage, name)["state"] == state)
}

fn pids(stage: &Stage) -> [i32; 3] {
    MEMBERS.map(|name| pid_of(&instance(stage, name)["pid"]).expect("it runs"))
}

/// Whose attempts had this happen to them, in order.
fn order_of(stage: &Stage, kind: &str) -> String {
    let query = format!(
        "SELECT instance, event.rowid FROM event JOIN attempt ON subject = attempt_id \
         WHERE kind = 'attempt-{kind}' ORDER BY event.rowid"
    );
    let names: Vec<String> = stage.counts(&query).into_iter().map(|(name, _)| name).collect();
    names.join(" ")
}

/// The middle one of three is killed: it and the one after it are other processes afterwards, the
/// one before it is the same.
#[test]
fn the_rest_is_restarted_with_the_member_that_died() {
    let stage = Stage::new();
    let agents = MEMBERS.map(|name| service(name, "sleep 1000", ""));
    stage.configure(&crew("rest_for_one", &agents));
    stage.start_daemon();
    wait_for("three members", || all_are(&stage, "running"));
    assert_eq!(order_of(&stage, "intended"), "one two three");
    let before = pids(&stage);
    end(before[1], Signal::SIGKILL);
    wait_for("another second and third", || {
        all_are(&stage, "running") && order_of(&stage, "ready") == "one two three two three"
    });
    let after = pids(&stage);
    assert_eq!(after[0], before[0]);
    assert!(after[1] != before[1] && after[2] != before[2], "{before:?} {after:?}");
    assert!(!lives(before[2]));
    assert_eq!(order_of(&stage, "intended"), "one two three two three");
    assert_eq!(order_of(&stage, "stopping"), "three");
    assert_eq!(instance(&stage, "two")["restarts"], 1);
    assert_eq!(instance(&stage, "two")["group"], "crew");
    let why = stage.json(&["why", "two"]).to_string();
    assert!(why.contains("group `crew`, rest_for_one"), "{why}");
    assert!(stage.json(&["why", "crew"])["why"].as_str().unwrap().contains("one running"));
}

/// Faults 1 and 3: the daemon is killed while a member is stopped for its group's restart, and the
/// next one completes it, once.
#[test]
fn the_next_daemon_completes_a_group_restart() {
    let stage = Stage::new();
    let deaf = "trap '' TERM; while :; do sleep 0.05; done";
    let agents = [
        service("one", "sleep 1000", ""),
        service("two", "sleep 1000", ""),
        service("three", deaf, "stop_timeout = \"1s\"\nsend_sighup = false"),
    ];
    stage.configure(&crew("one_for_all", &agents));
    stage.start_daemon();
    wait_for("three members", || all_are(&stage, "running"));
    let before = pids(&stage);
    end(before[1], Signal::SIGKILL);
    wait_for("the stop of the last", || order_of(&stage, "stopping") == "three");
    stage.kill_daemon();
    stage.start_daemon();
    wait_for("all of them anew", || {
        all_are(&stage, "running") && order_of(&stage, "ready") == "one two three one two three"
    });
    let after = pids(&stage);
    assert!(before.iter().all(|pid| !lives(*pid) && !after.contains(pid)), "{before:?} {after:?}");
    assert_eq!(order_of(&stage, "intended"), "one two three one two three");
    assert_eq!(order_of(&stage, "stopping"), "three one");
    let restarts = MEMBERS.map(|name| instance(&stage, name)["restarts"].as_i64().unwrap());
    assert_eq!(restarts, [0, 1, 0]);
}

/// A group by its name: stopped in reverse, started in order, restarted without what a person
/// stopped; `up` and `down` keep the order too.
#[test]
fn a_group_does_as_it_is_told() {
    let stage = Stage::new();
    let agents = MEMBERS.map(|name| service(name, "sleep 1000", ""));
    stage.configure(&crew("one_for_one", &agents));
    stage.start_daemon();
    wait_for("three members", || all_are(&stage, "running"));
    let units = stage.json(&["stop", "crew"]);
    assert_eq!(units["units"].as_array().unwrap().len(), 3, "{units}");
    wait_for("their end", || all_are(&stage, "stopped"));
    assert_eq!(order_of(&stage, "stopping"), "three two one");
    assert_eq!(stage.ask(&["up", "crew"]).code, 0);
    wait_for("three members", || all_are(&stage, "running"));
    assert_eq!(order_of(&stage, "intended"), "one two three one two three");
    assert_eq!(stage.ask(&["stop", "two"]).code, 0);
    wait_for("its end", || instance(&stage, "two")["state"] == "stopped");
    assert_eq!(stage.ask(&["restart", "crew"]).code, 0);
    wait_for("two other processes", || {
        order_of(&stage, "ready") == "one two three one two three one three"
    });
    assert_eq!(instance(&stage, "two")["state"], "stopped");
    assert_eq!(stage.ask(&["down"]).code, 0);
    wait_for("their end", || all_are(&stage, "stopped"));
    assert_eq!(order_of(&stage, "stopping"), "three two one two three one three one");
    let wrong = stage.ask(&["start", "crow"]);
    assert!(wrong.code == 2 && wrong.err.contains("and the group crew"), "{wrong:?}");
    let one = stage.ask(&["logs", "crew"]);
    assert!(one.code == 2 && one.err.contains("members: one, two, three"), "{one:?}");
}

/// Fault 26: what could not even be run was never ready, so that nobody is started after it.
#[test]
fn nobody_follows_a_member_that_cannot_be_run() {
    let stage = Stage::new();
    let broken = "[agent.one]\ntype = \"service\"\nautostart = true\nrestart_delay = \"20ms\"\n\
                  start_limit_burst = 3\ncommand = [\"no-such-program\"]\n";
    let agents = [
        broken.to_owned(),
        service("two", "sleep 1000", ""),
        service("three", "sleep 1000", "cwd = \"/no/such/place\"\n"),
    ];
    stage.configure(&crew("rest_for_one", &agents));
    stage.start_daemon();
    wait_for("the end of the first", || instance(&stage, "one")["state"] == "failed");
    assert_eq!(instance(&stage, "one")["outcome"], "exec-failed");
    assert_eq!(order_of(&stage, "intended"), "one one one one");
    assert_eq!(order_of(&stage, "ready"), "");
    assert_eq!(stage.ask(&["start", "three"]).code, 0);
    wait_for("its end", || instance(&stage, "three")["outcome"] == "exec-failed");
    assert_eq!(order_of(&stage, "ready"), "");
}
