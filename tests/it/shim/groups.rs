//! The agent's control group: it runs inside from its first instruction, its shim outside, and
//! limits hold (faults 34, 65).

use std::path::PathBuf;

use muxvisor::model::{Confinement, Exit};
use muxvisor::shim::{Reply, Request};

use super::bench::{Bench, number, runs};
use crate::guard::group::{self, skipped};
use crate::wait::wait_for;

/// Puts the agent of a bench into a group of its own, below one that was given to us.
fn confine(bench: &mut Bench, base: PathBuf, settings: &[(&str, &str)]) -> PathBuf {
    let leaf = base.join(format!("muxvisor-test{}", bench.spec.token));
    let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    let settings = settings.collect();
    bench.spec.confinement = Confinement::Cgroup { leaf: leaf.clone(), settings };
    leaf
}

fn token(bench: &mut Bench, name: &str) {
    bench.spec.token = format!("{name}{}", std::process::id());
}

#[test]
fn an_agent_lives_and_dies_in_a_group_of_its_own() {
    let Some((base, _)) = group::ground("an_agent_lives_and_dies_in_a_group_of_its_own") else {
        return;
    };
    let mut bench =
        Bench::script("cat /proc/self/cgroup; echo ready; while :; do sleep 0.05; done");
    token(&mut bench, "lives");
    let leaf = confine(&mut bench, base, &[]);
    bench.start();
    bench.wait_for_log("ready");
    let name = leaf.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(bench.log().lines().any(|line| line.ends_with(&format!("/{name}"))), "{}", bench.log());
    assert!(!group::of(bench.started().shim.pid).ends_with(&name), "the shim stays outside");
    assert_eq!(bench.ask(&Request::Stop { how: None }), Reply::Done);
    bench.finish();
    assert_eq!(bench.exit().signal, Some(number("TERM")));
    assert!(!bench.exit().oom && !leaf.exists());
}

/// A limit that cannot be set refuses the start: nothing of the agent has run.
#[test]
fn an_agent_whose_limit_cannot_be_set_never_runs() {
    let test = "an_agent_whose_limit_cannot_be_set_never_runs";
    let Some((base, _)) = group::ground(test) else { return };
    let mut bench = Bench::script("echo I ran");
    token(&mut bench, "never");
    let leaf = confine(&mut bench, base, &[("no.such.limit", "1")]);
    let exit = bench.run();
    let failure = exit.exec_failure.unwrap();
    assert_eq!(failure.step, "limits");
    assert!(failure.message.contains("cannot limit the agent"), "{}", failure.message);
    assert!(bench.log().is_empty() && !leaf.exists());
}

/// A refusal by the daemon needs no group to be tested.
#[test]
fn a_refused_start_says_what_to_do() {
    let mut bench = Bench::script("echo I ran");
    let message = "memory_max cannot be enforced here".to_owned();
    bench.spec.confinement = Confinement::Refused { message: message.clone() };
    let exit = bench.run();
    assert_eq!(exit.exec_failure.unwrap().message, message);
    assert!(bench.log().is_empty());
}

/// Fault 34: whoever forks without end is ended all the same, with a group and without one.
#[test]
fn a_fork_storm_is_ended() {
    let storm = "storm() { trap '' TERM; while :; do n=$((n+1)); [ $n -gt 40 ] && sleep 1000; \
                 (exec sleep 1000) & (setsid sleep 0.01 &) ; done; }; \
                 for i in 1 2 3 4 5; do storm & done; echo $$ >>pids; wait";
    let ground = group::ground("a_fork_storm_is_ended, with a group");
    for base in [None, Some(ground)] {
        let base = match base {
            Some(None) => continue,
            Some(Some((base, _))) => Some(base),
            None => None,
        };
        let mut bench = Bench::script(storm);
        token(&mut bench, "storm");
        let leaf = base.map(|base| confine(&mut bench, base, &[]));
        bench.start();
        let leader = bench.pids("pids", 1)[0];
        wait_for("a storm", || bench.status().alive > 100);
        assert_eq!(bench.ask(&Request::Stop { how: None }), Reply::Done);
        bench.finish();
        let exit = bench.exit();
        assert!(exit.unkillable.is_empty() && !runs(leader), "{exit:?}");
        assert!(leaf.is_none_or(|leaf| !leaf.exists()));
    }
}

/// Fault 34: `tasks_max` holds; who wants more is told so by the system.
#[test]
fn tasks_max_holds() {
    let Some((base, can)) = group::ground("tasks_max_holds") else { return };
    if !can.tasks {
        return skipped("tasks_max_holds", "the controller pids is not given to us");
    }
    let mut bench = Bench::script(
        "n=0; while [ $n -lt 50 ]; do sleep 1000 & n=$((n+1)); done; echo all of them",
    );
    token(&mut bench, "tasks");
    confine(&mut bench, base, &[("pids.max", "10")]);
    let exit = bench.run();
    assert!(!bench.log().contains("all of them"), "{}", bench.log());
    assert!(!exit.oom);
}

/// Fault 65: an agent that wants more than `memory_max` is killed, known as that, and alone.
#[test]
fn memory_max_holds_and_its_end_is_known() {
    let Some((base, can)) = group::ground("memory_max_holds_and_its_end_is_known") else { return };
    if !can.memory {
        let why = "the controller memory is not given to us";
        return skipped("memory_max_holds_and_its_end_is_known", why);
    }
    let mut bench = Bench::script("head -c 500000000 /dev/zero | tail -c 400000000 | wc -c");
    token(&mut bench, "memory");
    let settings = [("memory.max", "33554432"), ("memory.oom.group", "1")];
    confine(&mut bench, base, &settings);
    let exit = bench.run();
    let Exit { oom, signal, .. } = exit;
    assert!(oom, "{signal:?}");
    assert_eq!(signal, Some(number("KILL")));
}
