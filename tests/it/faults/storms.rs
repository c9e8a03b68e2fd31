//! Many at once: fifty agents that are told to go, a thousand wishes to reload, and agents that fail
//! one after the other.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::scene::{Scene, send};
use crate::stage::{Stage, end, lives, pid_of};
use crate::wait::wait_for;

const AGENTS: usize = 50;

fn instance(stage: &Stage, name: &str) -> Value {
    let ps = stage.ps();
    let mut all = ps["instances"].as_array().unwrap().iter();
    all.find(|one| one["name"] == name).cloned().unwrap_or_default()
}

/// How many instances are in a state.
fn in_state(stage: &Stage, state: &str) -> usize {
    let ps = stage.ps();
    ps["instances"].as_array().unwrap().iter().filter(|one| one["state"] == state).count()
}

/// Every second one ignores what it is asked, and has a child that does.
fn crowd() -> String {
    let one = |n: usize| {
        let script = match n % 2 {
            0 => "exec sleep 1000",
            _ => "trap '' TERM HUP INT; sleep 1000 & while :; do sleep 1; done",
        };
        format!(
            "[agent.a{n}]\ntype = 'service'\nautostart = true\nstop_timeout = '1s'\n\
             send_sighup = false\ncommand = ['sh', '-c', \"{script}\"]\n"
        )
    };
    (0..AGENTS).map(one).collect()
}

/// Fault 77: half of fifty agents are deaf, and each has a second. One after the other they would
/// take longer than anything here is waited for.
#[test]
fn fifty_agents_go_down_together() {
    let stage = Stage::new();
    stage.configure(&crowd());
    stage.start_daemon();
    for some in (10..=AGENTS).step_by(10) {
        wait_for(&format!("{some} agents"), || in_state(&stage, "running") >= some);
    }
    let agents = stage.agents();
    assert!(agents.len() >= AGENTS + AGENTS / 2, "{}", agents.len());
    assert_eq!(stage.ask(&["down"]).code, 0);
    wait_for("the end of all", || in_state(&stage, "stopped") == AGENTS);
    assert!(agents.iter().all(|pid| !lives(*pid)), "{:?}", stage.agents());
    assert_eq!(stage.agents(), Vec::<i32>::new());
    let ends = stage.counts("SELECT outcome, count(*) FROM attempt GROUP BY 1");
    assert_eq!(ends, [("cancelled".to_owned(), 50)], "each once");
    end(stage.daemon().unwrap(), Signal::SIGINT);
    wait_for("the end of everybody", || stage.processes().is_empty());
}

/// Agents that end at once, and one that takes over from the first.
fn chain(stage: &Stage, last: &str) -> String {
    let cwd = stage.desk().display().to_string();
    let rule =
        |name| format!("[[agent.{name}.on]]\nwhen = {{ exit = 'failure' }}\noutcome = 'auth'\n");
    format!(
        "[agent.first]\ntype = 'service'\ncwd = '{cwd}'\ncommand = ['false']\n\
         restart_delay = '50ms'\nrestart_max_delay = '50ms'\nrestart_jitter = 0.0\n\
         start_limit_burst = 2\non_start_limit = 'failover'\n\
         [agent.first.failover]\ntargets = ['second', 'third']\nmax_switches = 2\n\
         [agent.second]\ncwd = '{cwd}'\ncommand = ['false']\n{}\
         [agent.third]\ncwd = '{cwd}'\ncommand = {last}\n{}",
        rule("second"),
        rule("third"),
    )
}

/// Which agents the attempts were made with, and how often.
fn served(stage: &Stage) -> Vec<(String, i64)> {
    stage.counts("SELECT agent, count(*) FROM attempt GROUP BY 1 ORDER BY 1")
}

/// Fault 72: everybody in the chain fails. It ends in one state that says so, and stays there.
#[test]
fn a_chain_of_failures_comes_to_an_end() {
    let scene = Scene::new();
    scene.configure(&chain(&scene, "['false']"));
    assert_eq!(scene.call(&["start", "first"]).code, 0);
    wait_for("the end of the chain", || instance(&scene, "first")["state"] == "failed");
    let tried: Vec<String> = served(&scene).into_iter().map(|(agent, _)| agent).collect();
    assert_eq!(tried, ["first", "second", "third"]);
    let seen = instance(&scene, "first");
    assert_eq!((&seen["switches"], &seen["desired"]), (&2.into(), &"up".into()), "{seen}");
    let before = served(&scene);
    scene.kill_daemon();
    scene.start_daemon();
    assert_eq!(instance(&scene, "first")["state"], "failed");
    assert_eq!(served(&scene), before, "the next daemon tries nothing again");
}

/// Fault 57: a thousand wishes to reload while an agent starts, ends, starts again and gives way to
/// the next one, twice. All of it happens as without them.
#[test]
fn a_storm_of_reloads_does_not_disturb_a_failover() {
    let stage = Stage::new();
    let config = chain(&stage, "['sleep', '1000']");
    stage.configure(&config);
    let daemon = stage.start_daemon();
    let start = stage.start(&["start", "first"]);
    let mut sent = 0;
    wait_for("the last one to serve, and the end of the storm", || {
        for _ in 0..20 {
            send(daemon, Signal::SIGHUP);
        }
        sent += 20;
        if sent == 400 {
            stage.configure(&config.replace("'1000'", "'2000'"));
        }
        let seen = instance(&stage, "first");
        sent >= 1000 && seen["serving"] == "third" && seen["state"] == "running"
    });
    assert_eq!(start.end().code, 0);
    assert_eq!(stage.daemon(), Some(daemon));
    let seen = instance(&stage, "first");
    assert_eq!(seen["switches"], 2, "{seen}");
    let served = served(&stage);
    assert_eq!(served.last(), Some(&("third".to_owned(), 1)), "{served:?}");
    assert_eq!(stage.agents(), Vec::from_iter(pid_of(&seen["pid"])), "one, and no other");
}
