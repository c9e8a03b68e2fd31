//! Viewers: agents that are shown in windows their shim does not stand in.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Child;

use muxvisor::model::ProcessMark;
use muxvisor::shim::{self, Reply, Request};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;

use super::bench::Bench;
use super::outer::Outer;
use crate::wait::wait_for;

/// A viewer's end.
struct View {
    child: Child,
}

impl View {
    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    fn end(&mut self) -> i32 {
        let mut status = None;
        wait_for("the viewer to end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code().unwrap_or(-1)
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn own_mark() -> ProcessMark {
    shim::mark_of(i32::try_from(std::process::id()).unwrap()).unwrap()
}

/// Starts a viewer in a window of a server that lives.
fn watch(outer: &mut Outer, bench: &Bench) -> View {
    let child = outer.view(bench, Some(&own_mark()));
    outer.read_along();
    wait_for("the viewer", || bench.status().views == 1);
    View { child }
}

/// A raw viewer that the test plays itself.
fn connect(bench: &Bench) -> BufReader<UnixStream> {
    wait_for("the socket", || bench.spec.socket.exists());
    let mut stream = UnixStream::connect(&bench.spec.socket).unwrap();
    let request = Request::View { columns: 60, rows: 20, server: None };
    let line = format!("{}\n", serde_json::to_string(&request).unwrap());
    stream.write_all(line.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut answer = String::new();
    reader.read_line(&mut answer).unwrap();
    assert_eq!(serde_json::from_str::<Reply>(&answer).unwrap(), Reply::Done);
    reader
}

/// A new window shows what was written last, gives the agent its size, and types for it; it ends
/// when the agent does, with its code.
#[test]
fn a_view_shows_the_agent_and_ends_with_it() {
    let mut bench = Bench::script(
        "seq 1000; read -r line; stty size; echo \"got $line\"; read -r line; exit 7",
    );
    bench.start();
    bench.wait_for_log("1000\r\n");
    let mut outer = Outer::open();
    let mut view = watch(&mut outer, &bench);
    outer.wait_for("999\r\n1000\r\n");
    let lines = outer.shown().lines().count();
    assert!(lines <= 33, "a screenful has 33 lines, {lines} were shown");
    outer.press(b"hello\r");
    outer.wait_for("33 77\r\ngot hello\r\n");
    outer.resize(100, 40);
    wait_for("the size", || bench.status().size == Some((100, 40)));
    outer.press(b"\r");
    assert_eq!(view.end(), 7);
    bench.finish();
    assert!(bench.exit().stop.is_empty());
}

/// The window of a view closed while its server lives is an operator's stop, as any window is.
#[test]
fn a_closed_view_is_a_stop() {
    let mut bench = Bench::script("trap 'exit 8' TERM; while :; do sleep 0.05; done");
    bench.spec.stop.timeout_ms = 10_000;
    bench.start();
    bench.started();
    let mut outer = Outer::open();
    let mut view = watch(&mut outer, &bench);
    drop(outer);
    kill(view.pid(), Signal::SIGHUP).unwrap();
    view.end();
    bench.finish();
    let exit = bench.exit();
    assert_eq!((exit.window_closed, exit.code), (true, Some(8)));
}

/// Fault 15, twice: the server of the view is gone too, so nobody wanted the agent to end.
#[test]
fn an_agent_outlives_the_server_of_its_view() {
    let mut bench = Bench::script("read -r line; echo \"after $line\"");
    bench.start();
    bench.started();
    let mut outer = Outer::open();
    let dead = ProcessMark { start_ticks: own_mark().start_ticks + 1, ..own_mark() };
    let mut view = View { child: outer.view(&bench, Some(&dead)) };
    outer.read_along();
    wait_for("the viewer", || bench.status().views == 1);
    kill(view.pid(), Signal::SIGHUP).unwrap();
    assert_eq!(view.end(), 129);
    wait_for("the verdict", || {
        let status = bench.status();
        status.views == 0 && !status.deciding
    });
    assert!(!bench.status().stopping);
    bench.ask(&Request::Send { text: "all".to_owned(), enter: true });
    bench.finish();
    assert_eq!(bench.exit().code, Some(0));
}

/// A viewer that is killed says nothing, so nobody wanted anything.
#[test]
fn a_killed_viewer_stops_nobody() {
    let mut bench = Bench::script("read -r line");
    bench.start();
    bench.started();
    let mut outer = Outer::open();
    let mut view = watch(&mut outer, &bench);
    kill(view.pid(), Signal::SIGKILL).unwrap();
    view.end();
    wait_for("the shim to notice", || bench.status().views == 0);
    assert!(!bench.status().stopping && !bench.status().deciding);
}

/// A full-screen program is found on its screen, told to paint anew, and its switches are set.
#[test]
fn a_full_screen_program_paints_anew() {
    let script = "printf '\\033[?1049h\\033[?25l\\033[?2004h'; paint() { printf '\\033[H<%s>' \"$(stty size)\"; }
        trap paint WINCH; paint; while :; do sleep 0.05; done";
    let mut bench = Bench::script(script);
    bench.start();
    bench.wait_for_log("<30 90>");
    let mut outer = Outer::open();
    let mut view = watch(&mut outer, &bench);
    outer.wait_for("\x1b[?1049h\x1b[?25l\x1b[?2004h");
    outer.wait_for("\x1b[H<33 77>");
    assert!(!outer.shown().contains("<30 90>"), "what was on the screen is not in the log's lines");
    kill(view.pid(), Signal::SIGKILL).unwrap();
    view.end();
    // The same size again: only a change makes such programs paint.
    let mut again = Outer::open();
    let mut view = watch(&mut again, &bench);
    again.wait_for("\x1b[H<32 77>");
    again.wait_for("\x1b[H<33 77>");
    bench.ask(&Request::Kill);
    assert_eq!(view.end(), 128 + 9);
    bench.finish();
}

/// Fault 66: a viewer that reads nothing costs a bounded queue; the agent does not notice, and the
/// others see everything.
#[test]
fn a_stuck_viewer_stalls_nobody() {
    let mut bench = Bench::script(
        "read -r line; yes 0123456789abcde | head -c 5000000; echo done; read -r line",
    );
    bench.start();
    bench.started();
    let mut stuck = connect(&bench);
    let mut reads = connect(&bench);
    bench.ask(&Request::Keys { keys: vec!["Enter".to_owned()] });
    bench.wait_for_log("done\r\n");
    assert!(!bench.status().stopping);
    bench.ask(&Request::Keys { keys: vec!["Enter".to_owned()] });
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        reads.read_to_end(&mut all).unwrap();
        all
    });
    bench.finish();
    let exit = bench.exit();
    assert_eq!((exit.code, exit.log_gap), (Some(0), false));
    assert!(reader.join().unwrap().ends_with(b"done\r\n\r\n"));
    let mut shown = Vec::new();
    stuck.read_to_end(&mut shown).unwrap();
    assert!(shown.len() < 1_000_000, "{} bytes waited for it", shown.len());
}

/// Whoever talks nonsense is sent away; more viewers than there is room for cost the oldest.
#[test]
fn viewers_are_bounded_and_garbage_ends_them() {
    let mut bench = Bench::script("read -r line");
    bench.start();
    bench.started();
    let mut talker = connect(&bench);
    talker.get_mut().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    assert_eq!(talker.read_to_end(&mut rest).unwrap(), 0);
    let mut all: Vec<_> = (0..9).map(|_| connect(&bench)).collect();
    assert_eq!(all[0].read_to_end(&mut rest).unwrap(), 0);
    let flat = Request::View { columns: 0, rows: 5, server: None };
    assert!(matches!(bench.ask(&flat), Reply::Refused { .. }));
    assert!(bench.status().running);
}

/// Without a window the shim answers what a program asks of its terminal; a viewer's does it then.
#[test]
fn questions_are_answered_once() {
    let mut bench = Bench::script(
        "stty -icanon -echo; printf '\\033[c'; dd bs=1 count=9 2>/dev/null | od -An -c; read -r go
         printf '\\033[c'; dd bs=1 count=1 2>/dev/null; echo end",
    );
    bench.start();
    bench.wait_for_log("2   2   c");
    let mut viewer = connect(&bench);
    bench.ask(&Request::Keys { keys: vec!["Enter".to_owned()] });
    let mut seen = Vec::new();
    while !seen.ends_with(b"\x1b[c") {
        let mut byte = [0];
        viewer.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    assert_eq!(seen.windows(3).filter(|bytes| bytes == b"\x1b[c").count(), 1, "not from the log");
    viewer.get_mut().write_all(b"i\0\x01X").unwrap();
    bench.finish();
    assert!(bench.log().contains("Xend"), "{}", bench.log());
}

/// A person's terminal is given back as it was, and the agent goes on.
#[test]
fn a_person_may_leave() {
    let mut bench = Bench::script("printf '\\033[?1049h\\033[?1000h'; echo shown; read -r line");
    bench.start();
    bench.wait_for_log("shown");
    let mut outer = Outer::open();
    let before = tcgetattr(outer.tty()).unwrap();
    let mut view = View { child: outer.view(&bench, None) };
    outer.read_along();
    outer.wait_for("\x1b[?1000h");
    assert!(!tcgetattr(outer.tty()).unwrap().local_flags.contains(LocalFlags::ICANON));
    outer.press(b"\x1c");
    assert_eq!(view.end(), 0);
    outer.wait_for("\x1b[?1049l\x1b[?1000l");
    assert_eq!(tcgetattr(outer.tty()).unwrap(), before);
    assert!(bench.status().running && !bench.status().stopping);
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let mut outer = Outer::open();
        let mut view = View { child: outer.view(&bench, None) };
        outer.read_along();
        outer.wait_for("\x1b[?1000h");
        kill(view.pid(), signal).unwrap();
        assert_eq!(view.end(), code);
        assert_eq!(tcgetattr(outer.tty()).unwrap(), before);
    }
    assert!(bench.status().running && !bench.status().stopping);
}
