//! The shim in a window: a terminal that the test owns, as tmux would own it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use muxvisor::shim::{self, Request};
use nix::sys::signal::Signal;

use super::bench::{Bench, number};
use super::outer::Outer;
use crate::wait::wait_for;

#[test]
fn the_window_shows_the_agent_and_gives_it_its_size() {
    let mut outer = Outer::open();
    let mut bench = Bench::script("stty size; read -r line; echo \"got $line\"");
    outer.start(&mut bench);
    outer.read_along();
    outer.wait_for("33 77\r\n");
    outer.press(b"hello\r");
    outer.wait_for("got hello\r\n");
    bench.finish();
    assert_eq!(bench.log(), "33 77\r\nhello\r\ngot hello\r\n");
    assert_eq!(outer.shown(), bench.log());
}

#[test]
fn a_window_over_pipes_shows_both_streams() {
    let mut outer = Outer::open();
    let mut bench = Bench::script("echo out; echo err >&2").piped();
    outer.start(&mut bench);
    outer.read_along();
    bench.finish();
    outer.wait_for("out\r\n");
    outer.wait_for("err\r\n");
    assert_eq!(bench.log().len(), 8);
}

/// Fault 40: the keys that would break a process reach the agent, and only the agent.
#[test]
fn control_keys_reach_the_agent_and_never_the_shim() {
    let mut outer = Outer::open();
    let mut bench = Bench::script(
        "trap 'echo int' INT; trap 'echo quit' QUIT; trap 'echo tstp' TSTP; echo ready
         while :; do sleep 0.05; done",
    );
    outer.start(&mut bench);
    outer.read_along();
    outer.wait_for("ready");
    for (key, word) in [(b"\x03", "int"), (b"\x1c", "quit"), (b"\x1a", "tstp")] {
        outer.press(key);
        outer.wait_for(&format!("{word}\r\n"));
    }
    let status = bench.status();
    assert!(status.running && !status.stopping && status.windowed);
    bench.ask(&Request::Kill);
    bench.finish();
}

/// Fault 40: there is no shell to bring a suspended agent back, so the shim does.
#[test]
fn an_agent_that_suspends_itself_on_ctrl_z_goes_on() {
    let mut outer = Outer::open();
    let mut bench = Bench::script(
        "stty -isig; trap 'echo back' CONT; echo ready; read -r line; kill -STOP $$; echo alive; read -r line",
    );
    outer.start(&mut bench);
    outer.read_along();
    outer.wait_for("ready");
    outer.press(b"\x1a\r");
    outer.wait_for("alive");
    outer.press(b"\r");
    bench.finish();
    assert_eq!(bench.exit().code, Some(0));
}

#[test]
fn a_resized_window_resizes_the_agent() {
    let mut outer = Outer::open();
    let mut bench =
        Bench::script("trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done");
    outer.start(&mut bench);
    outer.read_along();
    outer.wait_for("ready");
    outer.resize(120, 50);
    outer.wait_for("50 120\r\n");
    bench.ask(&Request::Kill);
    bench.finish();
}

/// Fault 15: the server is gone, so nobody wanted the agent to end.
#[test]
fn an_agent_outlives_the_tmux_server() {
    let mut outer = Outer::open();
    let mut bench = Bench::script("read -r line; echo \"after $line\"; read -r line; exit 6");
    let mut server = shim::mark_of(own_pid()).unwrap();
    server.start_ticks += 1;
    bench.spec.server = Some(server);
    outer.start(&mut bench);
    assert!(bench.status().windowed);
    drop(outer);
    wait_for("the window to be gone", || !bench.status().windowed);
    bench.ask(&Request::Send { text: "all".to_owned(), enter: true });
    bench.wait_for_log("after all\r\n");
    assert!(!bench.status().stopping && !bench.has_ended());
    bench.ask(&Request::Keys { keys: vec!["Enter".to_owned()] });
    bench.finish();
    let exit = bench.exit();
    assert_eq!((exit.code, exit.window_closed), (Some(6), false));
}

/// Fault 20: the server lives, so somebody closed the window: an operator's stop.
#[test]
fn a_closed_window_is_a_stop() {
    let mut outer = Outer::open();
    let mut bench = Bench::script("trap 'exit 8' TERM; trap '' HUP; while :; do sleep 0.05; done");
    bench.spec.stop.timeout_ms = 10_000;
    bench.spec.server = shim::mark_of(own_pid());
    outer.start(&mut bench);
    bench.status();
    drop(outer);
    bench.finish();
    let exit = bench.exit();
    assert!(exit.window_closed);
    assert_eq!(exit.code, Some(8));
    assert_eq!(exit.stop[1].step, "SIGTERM");
}

/// SIGHUP says the same as the end of the window.
#[test]
fn a_hangup_under_a_living_server_is_a_stop() {
    let mut outer = Outer::open();
    let mut bench = Bench::script("trap '' HUP; while :; do sleep 0.05; done");
    bench.spec.server = shim::mark_of(own_pid());
    outer.start(&mut bench);
    outer.read_along();
    bench.status();
    bench.signal(Signal::SIGHUP);
    bench.finish();
    let exit = bench.exit();
    assert!(exit.window_closed);
    assert_eq!(exit.signal, Some(number("SIGTERM")));
}

/// Fault 66: nobody reads the window, and the agent does not notice.
#[test]
fn a_stuck_window_does_not_stall_the_agent() {
    let mut outer = Outer::open();
    let mut bench = Bench::script("yes 0123456789abcde | head -c 5000000; echo done");
    outer.start(&mut bench);
    bench.wait_for_log("done\r\n");
    bench.finish();
    let exit = bench.exit();
    assert_eq!(exit.code, Some(0));
    assert_eq!(exit.log_bytes, 5_000_000 / 16 * 17 + 6);
    assert!(!exit.log_gap);
}

/// Once the window takes bytes again it shows the newest, and how much is missing.
#[test]
fn a_window_that_recovers_says_what_is_missing() {
    let mut outer = Outer::open();
    let mut bench = Bench::script("yes 0123456789abcde | head -c 1000000; echo done; read -r line");
    outer.start(&mut bench);
    bench.wait_for_log("done\r\n");
    outer.read_along();
    outer.wait_for("bytes not shown]\r\n");
    outer.wait_for("done\r\n");
    outer.press(b"\r");
    bench.finish();
}

fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap()
}
