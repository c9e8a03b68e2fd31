//! Standing agents, and how anything that runs is stopped: the whole set, proven by pid (design
//! §6, §8).

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::scene::{Scene, gone_within, send};
use crate::wait::wait_for;

/// Ignores every polite request, and so do a child in a session of its own and an orphan.
const STUBBORN: &str = r#"#!/bin/sh
trap '' TERM HUP INT
echo $$ >> "$1"
stay='trap "" TERM HUP INT; echo $$ >> "$0"; while :; do sleep 1000; done'
setsid sh -c "$stay" "$1" &
( ( sh -c "$stay" "$1" & ) )
while :; do sleep 1000; done
"#;

/// The pids that were noted, once there are three.
fn pids(file: &Path) -> Vec<i32> {
    let mut found = Vec::new();
    wait_for("three stubborn processes", || {
        let text = fs::read_to_string(file).unwrap_or_default();
        found = text.lines().filter_map(|line| line.parse().ok()).collect();
        found.len() == 3
    });
    found
}

fn configured(scene: &Scene, text: &str) {
    // Without a directory of their own they would stand in the daemon's.
    let stands = format!("type='service'\ncwd='{}'\n", scene.desk().display());
    let text = text.replace("type='service'\n", &stands);
    scene.configure(&text);
}

fn instance(scene: &Scene, name: &str) -> Value {
    let ps = scene.ps();
    let all = ps["instances"].as_array().expect("a list").clone();
    all.into_iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name}: {ps}"))
}

fn wait_until(scene: &Scene, name: &str, state: &str) -> Value {
    let mut seen = Value::Null;
    wait_for(&format!("{name} to be {state}"), || {
        seen = instance(scene, name);
        seen["state"] == state
    });
    seen
}

fn pid(instance: &Value) -> i32 {
    crate::stage::pid_of(&instance["pid"]).unwrap_or_else(|| panic!("no pid: {instance}"))
}

/// A stop ends everybody an agent has started, whatever they ignore, within its time.
#[test]
fn a_stop_leaves_nobody_behind() {
    let scene = Scene::new();
    let script = scene.file("stubborn.sh", STUBBORN);
    let script = script.to_str().unwrap();
    let pids_of = |name: &str| scene.desk().join(name);
    let config = format!(
        "[agent.mule]\ntype='service'\nstop_timeout = '300ms'\n\
         command = ['sh', '{script}', '{}']\n",
        pids_of("mule.pids").display()
    );
    configured(&scene, &config);
    assert_eq!(scene.call(&["start", "mule"]).code, 0);
    let mule = pids(&pids_of("mule.pids"));
    let plan = format!(
        r#"plan = "mules"
goal = "g"
approval = "none"
[agent.piped]
stop_timeout = "300ms"
command = ["sh", "{script}", "{0}/piped.pids"]
[agent.seen]
terminal = true
stop_timeout = "300ms"
command = ["sh", "{script}", "{0}/seen.pids"]
[[task]]
id = "piped"
agent = "piped"
description = "x"
[[task]]
id = "seen"
agent = "seen"
description = "x"
"#,
        scene.desk().display()
    );
    let path = scene.file("plan.toml", &plan);
    let run = scene.read(&["run", path.to_str().unwrap(), "--detach", "--json"]);
    let run = run["run"].as_str().unwrap();
    let (piped, seen) = (pids(&pids_of("piped.pids")), pids(&pids_of("seen.pids")));
    // Both at once: 300 ms, then SIGHUP and two seconds, then SIGKILL.
    assert_eq!(scene.call(&["stop", "mule"]).code, 0);
    assert_eq!(scene.call(&["cancel", run]).code, 0);
    let answer = scene.call(&["wait", run, "--timeout", "5s"]);
    assert_eq!(answer.code, 4, "{answer:?}");
    assert_eq!(scene.call(&["wait", "mule", "--for", "stopped", "--timeout", "3s"]).code, 0);
    for pid in [mule, piped, seen].concat() {
        assert!(gone_within(pid, 0), "{pid} lives on");
    }
    for task in ["piped", "seen"] {
        let exit = fs::read_to_string(scene.attempts_of(task)[0].join("exit.json")).unwrap();
        let exit: Value = serde_json::from_str(&exit).unwrap();
        assert_eq!(exit["signal"], 9, "{exit}");
        let steps: Vec<&str> =
            exit["stop"].as_array().unwrap().iter().filter_map(|s| s["step"].as_str()).collect();
        assert_eq!(steps, ["requested", "SIGTERM", "SIGHUP", "SIGKILL"], "{exit}");
        let last = exit["stop"].as_array().unwrap().last().unwrap()["at_ms"].as_u64().unwrap();
        assert!(last < 300 + 3000, "stop_timeout + 3 s: {exit}");
    }
    assert_eq!(instance(&scene, "mule")["outcome"], "cancelled");
}

/// Up, down, start, stop, restart: each answered, each seen in `ps`, each done to the process.
#[test]
fn instances_do_as_they_are_told() {
    let scene = Scene::new();
    configured(
        &scene,
        "[agent.one]\ntype='service'\nautostart=true\ncommand=['sleep','1000']\n\
         [agent.two]\ntype='service'\ncommand=['sleep','1000']\n",
    );
    let answer = |arguments: &[&str]| {
        let answer = scene.call(&[arguments, &["--json"]].concat());
        (answer.code, answer.document()["units"][0]["answer"].as_str().unwrap().to_owned())
    };
    let (accepted, already) = ("accepted".to_owned(), "already".to_owned());
    assert_eq!(answer(&["start", "two"]), (0, accepted.clone()));
    let one = wait_until(&scene, "one", "running");
    let two = wait_until(&scene, "two", "running");
    for seen in [&one, &two] {
        assert_eq!((&seen["desired"], &seen["restarts"]), (&json!("up"), &json!(0)), "{seen}");
        assert!(!gone_within(pid(seen), 0));
    }
    assert_eq!(answer(&["start", "two"]), (0, already.clone()));
    // One window each, in the session of agents, named for them.
    let windows =
        scene.ask_tmux(&["list-windows", "-t", "agents", "-F", "#{window_id} #{window_name}"]);
    for seen in [&one, &two] {
        let window = seen["window"].as_str().unwrap();
        let line = windows.lines().find(|line| line.starts_with(&format!("{window} ")));
        let line = line.unwrap_or_else(|| panic!("no window {window}: {windows}"));
        assert!(line.contains(seen["name"].as_str().unwrap()), "{line}");
    }
    assert_eq!(answer(&["restart", "two"]), (0, accepted.clone()));
    wait_for("another process", || {
        let seen = instance(&scene, "two");
        seen["state"] == "running" && seen["pid"] != two["pid"]
    });
    assert!(gone_within(pid(&two), 0));
    assert_eq!(instance(&scene, "two")["restarts"], 0, "a person's restart is not counted");
    assert_eq!(answer(&["stop", "one"]), (0, accepted.clone()));
    let stopped = wait_until(&scene, "one", "stopped");
    assert!(gone_within(pid(&one), 0));
    assert_eq!((&stopped["desired"], &stopped["pid"]), (&json!("down"), &Value::Null));
    assert_eq!(answer(&["stop", "one"]), (0, already));
    assert_eq!(scene.call(&["up"]).code, 0);
    wait_until(&scene, "one", "running");
    assert_eq!(scene.call(&["down"]).code, 0);
    wait_until(&scene, "one", "stopped");
    wait_until(&scene, "two", "stopped");
    let why = scene.read(&["why", "two", "--json"]);
    assert!(why["why"].as_str().unwrap().contains("request"), "{why}");
}

/// A crash loop: backoff between lives, the start limit, `failed`; `why` tells; a person resets.
#[test]
fn a_crash_loop_ends_at_its_limit() {
    let scene = Scene::new();
    configured(
        &scene,
        "[agent.crashes]\ntype='service'\ncommand=['sh','-c','echo x >> lives; exit 3']\n\
         restart='always'\nrestart_delay='50ms'\nrestart_max_delay='100ms'\n\
         start_limit_burst=3\nstart_limit_interval='10m'\n\
         [agent.waits]\ntype='service'\ncommand=['sh','-c','exit 4']\nrestart_delay='1h'\n\
         restart_max_delay='1h'\nstart_limit_interval='30d'\n\
         [agent.done]\ntype='service'\ncommand=['true']\nrestart='on-failure'\n\
         start_limit_burst=0\n",
    );
    assert_eq!(scene.call(&["start", "crashes", "waits", "done"]).code, 0);
    let failed = wait_until(&scene, "crashes", "failed");
    let lives = || fs::read_to_string(scene.desk().join("lives")).unwrap().lines().count();
    assert_eq!(lives(), 4, "one start by a person, three by policy");
    assert_eq!((&failed["outcome"], &failed["pid"]), (&json!("exit-code"), &Value::Null));
    let why = scene.read(&["why", "crashes", "--json"]);
    let text = why.to_string();
    for words in ["exited with code 3", "start", "limit"] {
        assert!(text.contains(words), "{words}: {why:#}");
    }
    let waits = wait_until(&scene, "waits", "backoff");
    assert!(waits["why"].as_str().unwrap().contains("exited with code 4"), "{waits}");
    let why = scene.read(&["why", "waits", "--json"]);
    assert!(why["next"]["due_in_ms"].as_u64().unwrap() > 3_000_000, "{why:#}");
    let done = wait_until(&scene, "done", "stopped");
    assert_eq!(done["outcome"], "success");
    let counters = scene.read(&["why", "done", "--json"])["counters"].clone();
    assert_eq!(counters["starts_in_window"], json!({"value": 0, "limit": null}), "{counters}");
    // A stop beats the timer.
    assert_eq!(scene.call(&["stop", "waits"]).code, 0);
    assert_eq!(instance(&scene, "waits")["state"], "stopped");
    assert_eq!(scene.call(&["reset-failed", "crashes"]).code, 0);
    assert_eq!(instance(&scene, "crashes")["state"], "stopped");
    assert_eq!(scene.call(&["start", "crashes"]).code, 0);
    wait_until(&scene, "crashes", "failed");
    assert_eq!(lives(), 8);
    // Of its lives the last one is kept, and so is the only one of the others.
    let kept = || fs::read_dir(scene.home().join("attempts")).unwrap().count();
    assert_eq!((kept(), scene.json(&["cleanup"])["attempts"].as_u64()), (10, Some(0)));
    assert_eq!(scene.json(&["cleanup", "--days", "0"])["attempts"], 7);
    assert_eq!(kept(), 3);
    assert_eq!(scene.call(&["logs", "crashes"]).code, 0);
}

/// Of an instance that was started again, the life that people ask about is the newest.
#[test]
fn the_newest_life_is_shown() {
    let scene = Scene::new();
    let says = "command=['sh', '-c', 'echo \"life $MUXVISOR_ATTEMPT\"; exec sleep 1000']";
    configured(&scene, &format!("[agent.bot]\n{says}\ntype='service'\n"));
    assert_eq!(scene.call(&["start", "bot"]).code, 0);
    for life in 1..=3 {
        let newest = || scene.call(&["logs", "bot", "--plain"]).stdout;
        wait_for(&format!("life {life}"), || newest() == format!("life {life}\n"));
        if life < 3 {
            assert_eq!(scene.call(&["restart", "bot"]).code, 0);
        }
    }
    assert_eq!(scene.call(&["logs", "bot", "--plain", "--attempt", "2"]).stdout, "life 2\n");
    let fourth = scene.call(&["logs", "bot", "--attempt", "4"]);
    assert!(fourth.stderr.contains("its newest is attempt 3"), "{fourth:?}");
}

/// A window that a person closes is a person's stop; a key typed into it reaches the agent.
#[test]
fn a_person_at_the_window_is_heard() {
    let scene = Scene::new();
    configured(
        &scene,
        "[agent.closed]\ntype='service'\ncommand=['sleep','1000']\nrestart='always'\n\
         restart_delay='10ms'\nstop_timeout='1s'\nstart_limit_interval='1h'\n\
         [agent.keyed]\ntype='service'\nrestart='no'\n\
         command=['sh','-c','trap \"echo heard > heard; exit 5\" INT; echo ready > ready; while :; do sleep 0.05; done']\n\
         [agent.echoes]\ntype='service'\nrestart='no'\n\
         command=['sh','-c','read line; echo \"$line\" > typed']\n",
    );
    assert_eq!(scene.call(&["start", "closed", "keyed", "echoes"]).code, 0);
    let closed = wait_until(&scene, "closed", "running");
    let window = |seen: &Value| seen["window"].as_str().unwrap().to_owned();
    let keyed = wait_until(&scene, "keyed", "running");
    let echoes = wait_until(&scene, "echoes", "running");
    let file = |name: &str| fs::read_to_string(scene.desk().join(name)).unwrap_or_default();
    wait_for("the trap", || file("ready") == "ready\n");
    scene.ask_tmux(&["kill-window", "-t", &window(&closed)]);
    scene.ask_tmux(&["send-keys", "-t", &window(&keyed), "C-c"]);
    scene.ask_tmux(&["send-keys", "-t", &window(&echoes), "it's $(me)", "Enter"]);
    let stopped = wait_until(&scene, "closed", "stopped");
    assert!(gone_within(pid(&closed), 0));
    assert_eq!((&stopped["desired"], &stopped["outcome"]), (&json!("down"), &json!("cancelled")));
    assert!(stopped["why"].as_str().unwrap().contains("window"), "{stopped}");
    let failed = wait_until(&scene, "keyed", "failed");
    assert_eq!((file("heard").as_str(), &failed["outcome"]), ("heard\n", &json!("exit-code")));
    wait_until(&scene, "echoes", "stopped");
    assert_eq!(file("typed"), "it's $(me)\n");
    send(pid(&keyed), Signal::SIGCONT);
    assert_eq!(instance(&scene, "closed")["state"], "stopped", "it stays so");
}

/// While the daemon ends, `ps` and `why` say so of it and of every instance, nobody is started,
/// and whoever wants that is told; the next daemon starts what was wanted up.
#[test]
fn a_daemon_that_ends_says_so() {
    let scene = Scene::new();
    let script = scene.file("stubborn.sh", STUBBORN);
    let noted = scene.desk().join("mule.pids");
    let config = format!(
        "[agent.mule]\ntype='service'\nautostart=true\nstop_timeout = '30s'\n\
         command = ['sh', '{}', '{}']\n\
         [agent.weak]\ntype='service'\nautostart=true\nrestart='always'\n\
         restart_delay='50s'\ncommand=['false']\n\
         [agent.idle]\ntype='service'\ncommand=['sleep','1000']\n",
        script.display(),
        noted.display()
    );
    configured(&scene, &config);
    scene.start_daemon();
    wait_until(&scene, "mule", "running");
    wait_until(&scene, "weak", "backoff");
    pids(&noted);
    assert_eq!(scene.ps()["daemon"]["ending"], false);
    let daemon = scene.daemon_that_answers();
    send(daemon, Signal::SIGINT);
    let mule = wait_until(&scene, "mule", "stopping");
    assert!(mule["why"].as_str().unwrap().contains("the daemon is ending"), "{mule}");
    let weak = instance(&scene, "weak");
    assert!(weak["why"].as_str().unwrap().contains("not started: the daemon is ending"), "{weak}");
    let why = scene.read(&["why", "weak", "--json"]);
    assert_eq!(why["next"], Value::Null, "{why}");
    assert_eq!(scene.ps()["daemon"]["ending"], true);
    assert!(scene.call(&["ps"]).stdout.contains("the daemon is ending"));
    for word in ["start", "restart", "up"] {
        let said = scene.call(&[word, "idle"]);
        assert_ne!(said.code, 0, "{said:?}");
        assert!(said.stderr.contains("the daemon is about to end"), "{said:?}");
    }
    send(daemon, Signal::SIGINT);
    assert!(gone_within(daemon, 10), "it was told twice");
    scene.start_daemon();
    wait_until(&scene, "mule", "running");
    assert_eq!(instance(&scene, "idle")["state"], "stopped");
}
