//! What must not pile up, be lost or be waited for in vain, however an attempt ends.

use std::fs;

use nix::sys::signal::Signal;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::scene::{Scene, send, task};
use crate::wait::wait_for;

/// The children of a process that ended and were not waited for.
fn zombies_of(parent: i32) -> Vec<String> {
    let entries = fs::read_dir("/proc").expect("it is mounted").flatten();
    let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let is_one = |stat: &String| {
        let (_, rest) = stat.rsplit_once(") ").expect("a name and fields");
        rest.starts_with(&format!("Z {parent} "))
    };
    stats.filter(is_one).collect()
}

/// The shim of a command is the daemon's child, and gone a moment after its record is there.
#[test]
fn shims_without_windows_are_waited_for() {
    let scene = Scene::new();
    let tasks: String = (0..12)
        .map(|n| format!("[[phase.task]]\nid = \"t{n}\"\nkind = \"command\"\nrun = [\"true\"]\n"))
        .collect();
    let head =
        "plan = \"many\"\ngoal = \"g\"\n[[phase]]\nid = \"p\"\nexecution_mode = \"parallel\"\n";
    let (code, results) = scene.run(&format!("{head}{tasks}"), &["--yes"]);
    assert_eq!(code, 0, "{results}");
    let daemon = scene.daemon_that_answers();
    wait_for("the last shim to be waited for", || zombies_of(daemon).is_empty());
}

/// Not knowing is not death: a daemon without a free file descriptor neither loses the result nor
/// starts a second attempt, and goes on when it has some again.
#[test]
fn want_of_descriptors_is_not_death() {
    let scene = Scene::new();
    let go = scene.desk().join("go");
    let plan = format!(
        "plan = \"short\"\ngoal = \"g\"\n[[phase]]\nid = \"p\"\n[[phase.task]]\nid = \"t\"\n\
         kind = \"command\"\nrun = [\"sh\", \"-c\", \"until [ -e {} ]; do sleep 0.02; done\"]\n",
        go.display()
    );
    let path = scene.file("plan.toml", &plan);
    let path = path.to_str().expect("text");
    let run = scene.read(&["run", path, "--yes", "--detach", "--json"])["run"].clone();
    let run = run.as_str().expect("an id").to_owned();
    wait_for("the task to run", || {
        scene.live().first().is_some_and(|attempt| attempt["state"] == "running")
    });
    let daemon = scene.daemon_that_answers();
    let pid = Pid::from_raw(daemon);
    let none = Rlimit { current: Some(3), maximum: None };
    let before = prlimit(pid, Resource::Nofile, Rlimit { maximum: hard(pid), ..none });
    let before = before.expect("a process of ours");
    fs::write(&go, "").expect("written");
    wait_for("the daemon to find that it cannot look", || {
        scene.log().contains("cannot be looked at")
    });
    prlimit(pid, Resource::Nofile, before).expect("a process of ours");
    let answer = scene.call(&["wait", &run]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let results = scene.read(&["results", &run, "--json"])["execution_results"].clone();
    assert_eq!(task(&results, "t")["attempt_number"], 1, "{results}");
    assert_eq!(scene.daemon(), Some(daemon));
}

/// What a process may have at most.
fn hard(pid: Option<Pid>) -> Option<u64> {
    let limits = fs::read_to_string(format!("/proc/{}/limits", pid.map_or(0, Pid::as_raw_pid)));
    let limits = limits.expect("a process of ours");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
    line.split_whitespace().nth(4).and_then(|word| word.parse().ok())
}

/// Feature H12: an agent that puts a pipe where its result belongs is not waited for at the other
/// end.
#[test]
fn a_pipe_in_place_of_the_result_is_malformed() {
    let scene = Scene::new();
    let script = scene.file("agent.sh", "#!/bin/sh\nmkfifo \"$MUXVISOR_RESULT\"\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&script, mode).expect("set");
    let plan = "plan = \"pipe\"\ngoal = \"g\"\n[agent.piper]\ncommand = [\"./agent.sh\"]\n\
        prompt = \"stdin\"\n[[phase]]\nid = \"p\"\n[[phase.task]]\nid = \"t\"\nretries = 0\n\
        agent = \"piper\"\ndescription = \"d\"\noutput = \"markdown\"\n";
    let (code, results) = scene.run(plan, &["--yes"]);
    assert_eq!(code, 1, "{results}");
    assert_eq!(task(&results, "t")["error"]["outcome"], "malformed", "{results}");
    // Still of use: nothing waits at the other end of the pipe.
    send(scene.daemon_that_answers(), Signal::SIGTERM);
    wait_for("the daemon to end", || scene.daemon().is_none());
}
