//! Stopping: by escalation, in bounded time, and the whole set (faults 31-36).

use muxvisor::model::{Exit, KillMode, StopSpec};
use muxvisor::shim::{Reply, Request};
use nix::sys::signal::Signal;

use super::bench::{Bench, number, runs};
use crate::wait::wait_for;

/// Writes its own pid and sleeps for ever.
const STAY: &str = "echo $$ >>pids; while :; do sleep 0.2; done";

fn steps(exit: &Exit) -> Vec<&str> {
    exit.stop.iter().map(|step| step.step.as_str()).collect()
}

#[test]
fn a_stop_is_the_spec_signal_and_its_steps_are_noted() {
    let mut bench =
        Bench::script("trap 'echo bye; exit 7' USR1; echo ready; while :; do sleep 0.05; done");
    bench.spec.stop.signal = "SIGUSR1".to_owned();
    bench.spec.stop.timeout_ms = 10_000;
    bench.start();
    bench.wait_for_log("ready");
    assert_eq!(bench.ask(&Request::Stop { how: None }), Reply::Done);
    bench.finish();
    let exit = bench.exit();
    assert_eq!(exit.code, Some(7));
    assert_eq!(steps(&exit), ["requested", "SIGUSR1"]);
    assert!(exit.stop[0].alive >= 1);
}

/// Fault 31: an agent that ignores everything is killed at the timeout.
#[test]
fn a_stubborn_agent_is_killed_in_bounded_time() {
    let mut bench = Bench::script(&format!("trap '' TERM HUP INT QUIT; {STAY}"));
    bench.spec.stop.send_sighup = true;
    bench.start();
    bench.pids("pids", 1);
    bench.signal(Signal::SIGTERM);
    bench.finish();
    let exit = bench.exit();
    assert_eq!(exit.signal, Some(number("SIGKILL")));
    assert_eq!(steps(&exit), ["requested", "SIGTERM", "SIGHUP", "SIGKILL"]);
    let at: Vec<u64> = exit.stop.iter().map(|step| step.at_ms).collect();
    assert!(at[1] < 250 && (300..1300).contains(&at[2]) && (2300..3300).contains(&at[3]), "{at:?}");
}

#[test]
fn a_second_sigterm_kills_at_once() {
    let mut bench = Bench::script(&format!("trap '' TERM; {STAY}"));
    bench.spec.stop.timeout_ms = 600_000;
    bench.start();
    bench.pids("pids", 1);
    bench.signal(Signal::SIGTERM);
    wait_for("the stop to begin", || bench.status().stopping);
    bench.signal(Signal::SIGTERM);
    bench.finish();
    assert_eq!(steps(&bench.exit()), ["requested", "SIGTERM", "SIGKILL"]);
}

#[test]
fn keys_are_typed_before_any_signal() {
    let mut bench =
        Bench::script("trap '' TERM; while read -r l; do [ \"$l\" = /exit ] && exit 9; done");
    bench.spec.stop.keys = vec!["/exit".to_owned(), "Enter".to_owned()];
    bench.spec.stop.timeout_ms = 20_000;
    bench.start();
    wait_for("the agent", || bench.status().running);
    bench.ask(&Request::Stop { how: None });
    bench.finish();
    let exit = bench.exit();
    assert_eq!((exit.code, steps(&exit)), (Some(9), vec!["requested", "keys"]));
}

/// Fault 32: the leader's end is not the end.
#[test]
fn a_child_that_ignores_what_its_leader_heeds_is_killed() {
    let mut bench = Bench::script(&format!("(trap '' TERM HUP; {STAY}) & {STAY}"));
    bench.start();
    let pids = bench.pids("pids", 2);
    bench.ask(&Request::Stop { how: None });
    bench.finish();
    let exit = bench.exit();
    assert_eq!(exit.signal, Some(number("SIGTERM")));
    assert_eq!(steps(&exit), ["requested", "SIGTERM", "SIGKILL"]);
    assert!(pids.iter().all(|pid| !runs(*pid)));
}

/// Fault 33: setsid, double fork, `env -i`, nohup; all of them ignore TERM and HUP.
#[test]
fn nobody_escapes() {
    for piped in [false, true] {
        let child = "trap \"\" TERM HUP; echo $$ >>pids; while :; do sleep 0.2; done";
        let mut bench = Bench::script(&format!(
            "trap '' TERM HUP
             setsid sh -c '{child}' &
             (setsid sh -c '({child}) & {child}' &) &
             (env -i PATH=$PATH setsid sh -c '{child}' >/dev/null 2>&1 </dev/null &) &
             nohup sh -c '{child}' >/dev/null 2>&1 &
             {STAY}"
        ));
        if piped {
            bench = bench.piped();
        }
        bench.start();
        let pids = bench.pids("pids", 6);
        bench.ask(&Request::Stop { how: None });
        bench.finish();
        let exit = bench.exit();
        assert_eq!(exit.signal, Some(number("SIGKILL")));
        assert!(exit.unkillable.is_empty());
        assert!(pids.iter().all(|pid| !runs(*pid)), "{pids:?}");
        assert!(exit.stop.iter().all(|step| step.alive >= 1), "{:?}", exit.stop);
    }
}

/// Feature H5: whoever a normal end leaves behind is ended too, escaped or not.
#[test]
fn what_an_ended_agent_left_behind_is_ended() {
    let child = "trap \"\" TERM HUP; echo $$ >>pids; while :; do sleep 0.2; done";
    let mut bench = Bench::script(&format!(
        "(setsid sh -c '{child}' >/dev/null 2>&1 </dev/null &)
         while ! [ -s pids ]; do sleep 0.01; done; exit 0"
    ));
    let exit = bench.run();
    assert_eq!(exit.code, Some(0));
    assert!(exit.stop.is_empty() && exit.ended_ms - exit.started_ms < 5_000);
    assert!(!runs(bench.pids("pids", 1)[0]));
}

/// Fault 35: a set that forks while it is killed ends all the same.
#[test]
fn a_set_that_keeps_forking_is_ended() {
    let mut bench = Bench::script(
        "trap '' TERM; echo $$ >pids; while :; do (sleep 0.3 & sleep 0.3 &) & sleep 0.01; done",
    );
    bench.start();
    bench.pids("pids", 1);
    bench.ask(&Request::Stop { how: None });
    bench.finish();
    assert!(bench.exit().unkillable.is_empty());
}

/// Fault 36: SIGCONT comes with the signal; until then who was stopped stays stopped, visibly.
#[test]
fn a_stopped_agent_is_seen_and_can_be_stopped() {
    let mut bench = Bench::script("trap 'exit 4' TERM; echo ready; while :; do sleep 0.05; done");
    bench.spec.stop.timeout_ms = 10_000;
    bench.start();
    bench.wait_for_log("ready");
    let agent = nix::unistd::Pid::from_raw(bench.started().agent.pid);
    nix::sys::signal::kill(agent, Signal::SIGSTOP).unwrap();
    wait_for("the suspension to be seen", || bench.status().suspended);
    bench.ask(&Request::Stop { how: None });
    bench.finish();
    assert_eq!(bench.exit().code, Some(4));
}

/// Only SIGTERM ends a shim: what a terminal, a closed session or a mistyped kill sends does not.
#[test]
fn no_other_signal_breaks_the_shim() {
    let mut bench = Bench::script("cat");
    bench.start();
    bench.status();
    let harmless = [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTSTP,
        Signal::SIGTTOU,
        Signal::SIGPIPE,
        Signal::SIGUSR1,
        Signal::SIGALRM,
        Signal::SIGXFSZ,
        Signal::SIGWINCH,
    ];
    for signal in harmless {
        bench.signal(signal);
        assert!(bench.status().running && !bench.status().stopping, "{signal}");
    }
    bench.ask(&Request::Kill);
    bench.finish();
    assert_eq!(steps(&bench.exit()), ["requested", "SIGKILL"]);
}

/// An agent whose main process heeds TERM, with a child that notes who asks it and goes on.
fn parent_and_child(piped: bool, mode: KillMode) -> Bench {
    let child = "trap \"echo asked >>asked\" TERM HUP; echo $$ >>pids; while :; do sleep 0.1; done";
    let mut bench = Bench::script(&format!(
        "setsid sh -c '{child}' </dev/null >/dev/null 2>&1 &
         trap 'exit 3' TERM; echo $$ >>pids; while :; do sleep 0.05; done"
    ));
    if piped {
        bench = bench.piped();
    }
    bench.spec.stop.mode = mode;
    bench.spec.stop.timeout_ms = 60_000;
    bench.start();
    bench.pids("pids", 2);
    bench
}

/// Everybody is asked, and the stop waits for everybody.
#[test]
fn kill_mode_control_group_asks_everybody() {
    let mut bench = parent_and_child(false, KillMode::ControlGroup);
    let how = StopSpec { timeout_ms: 500, ..bench.spec.stop.clone() };
    bench.ask(&Request::Stop { how: Some(how) });
    bench.finish();
    assert!(bench.path("../asked").exists());
    assert_eq!(steps(&bench.exit()), ["requested", "SIGTERM", "SIGKILL"]);
    assert!(bench.pids("pids", 2).iter().all(|pid| !runs(*pid)));
}

/// Only the main process is asked; when it is gone the others are killed, without another wait.
#[test]
fn kill_mode_mixed_asks_the_main_process_and_kills_the_rest() {
    for piped in [false, true] {
        let mut bench = parent_and_child(piped, KillMode::Mixed);
        bench.ask(&Request::Stop { how: None });
        bench.finish();
        let exit = bench.exit();
        assert_eq!((exit.code, steps(&exit)), (Some(3), vec!["requested", "SIGTERM", "SIGKILL"]));
        assert!(!bench.path("../asked").exists() && exit.left.is_empty());
        assert!(bench.pids("pids", 2).iter().all(|pid| !runs(*pid)));
        assert!(exit.stop[2].at_ms < 30_000, "it did not wait for stop_timeout");
    }
}

/// Only the main process ends; the shim says who is left, ends too, and holds nobody.
#[test]
fn kill_mode_process_lets_the_others_go() {
    for piped in [false, true] {
        let mut bench = parent_and_child(piped, KillMode::Process);
        let main = bench.started().agent.pid;
        let pids = bench.pids("pids", 2);
        let child = *pids.iter().find(|pid| **pid != main).unwrap();
        bench.ask(&Request::Stop { how: None });
        bench.finish();
        let exit = bench.exit();
        assert_eq!((exit.code, steps(&exit)), (Some(3), vec!["requested", "SIGTERM"]));
        assert!(exit.left.contains(&child) && !exit.left.contains(&main), "{:?}", exit.left);
        assert!(exit.unkillable.is_empty() && runs(child) && !bench.path("../asked").exists());
        end_stranger(child);
    }
}

/// A main process that ignores everything is killed, alone; one that ends by itself leaves alone.
#[test]
fn kill_mode_process_kills_only_the_main_process() {
    let mut bench = Bench::script(&format!("setsid sh -c '{STAY}' & trap '' TERM; {STAY}"));
    bench.spec.stop.mode = KillMode::Process;
    bench.start();
    let main = bench.started().agent.pid;
    let child = *bench.pids("pids", 2).iter().find(|pid| **pid != main).unwrap();
    bench.ask(&Request::Stop { how: None });
    bench.finish();
    assert_eq!(steps(&bench.exit()), ["requested", "SIGTERM", "SIGKILL"]);
    assert!(runs(child));
    end_stranger(child);
    let mut bench = Bench::script(&format!(
        "setsid sh -c '{STAY}' & while ! [ -s pids ]; do sleep 0.01; done; exit 0"
    ));
    bench.spec.stop.mode = KillMode::Process;
    // The child holds the terminal, so that its silence is no end.
    bench.spec.drain_ms = 200;
    let exit = bench.run();
    let child = bench.pids("pids", 1)[0];
    assert!(exit.left.contains(&child) && exit.stop.is_empty() && runs(child), "{exit:?}");
    end_stranger(child);
}

/// Ends a process that a test started, and that nobody holds any more.
fn end_stranger(pid: i32) {
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
    wait_for("the end of the one that was let go", || !runs(pid));
}
