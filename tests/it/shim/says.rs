//! What an agent says of itself: in its output (OSC 7501) and on its `NOTIFY_SOCKET`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;

use muxvisor::model::{Activity, ActivitySource, BlockKind, Doing, Report, files};
use muxvisor::shim::{Reply, Request};

use super::bench::Bench;
use crate::wait::wait_for;

/// Stands still until it is stopped.
const STAY: &str = "while :; do sleep 0.2; done";

fn report(bench: &Bench) -> Option<Report> {
    let text = fs::read(bench.path(files::STATUS)).ok()?;
    Some(serde_json::from_slice(&text).expect("status.json is always whole"))
}

fn wait_for_report(bench: &Bench, what: &str, holds: impl Fn(&Report) -> bool) -> Report {
    let mut found = None;
    wait_for(what, || {
        found = report(bench);
        found.as_ref().is_some_and(&holds)
    });
    found.expect("it was found")
}

fn doing(report: &Report) -> Option<(Activity, Option<BlockKind>, Option<&str>, ActivitySource)> {
    let Doing { activity, kind, message, source, at_ms } = report.doing.as_ref()?;
    assert!(*at_ms > 1_600_000_000_000, "{at_ms}");
    Some((*activity, *kind, message.as_deref(), *source))
}

fn say(bench: &Bench, message: &[u8]) {
    let socket = bench.spec.socket.with_extension("notify");
    let client = UnixDatagram::unbound().expect("sockets can be made");
    client.send_to(message, socket).expect("the shim listens");
}

/// Reads one report after the other from the output of an agent on a terminal or on pipes.
#[test]
fn reports_in_the_output_become_the_record() {
    for piped in [false, true] {
        let mut bench = Bench::script(&format!(
            r"r() {{ printf '\033]7501;%s\033\\' $1; while ! [ -e $2 ]; do sleep 0.02; done; }}
            r state=working:app=codex 1
            r state=blocked:kind=permission:msg=cm0gLXJmIC4vdmljdGlt 2
            r state=error:msg=bGltaXQ= 3
            printf '\033]7501;state=cl'; sleep 0.1; printf 'ear\007'; {STAY}"
        ));
        if piped {
            bench = bench.piped();
        }
        bench.start();
        let go_on = |n: u32| fs::write(bench.spec.cwd.join(n.to_string()), "").unwrap();
        let osc = ActivitySource::Osc7501;
        let found = wait_for_report(&bench, "working", |r| r.doing.is_some());
        assert_eq!(doing(&found), Some((Activity::Working, None, None, osc)));
        assert_eq!((found.token.as_str(), found.attempt.as_str()), ("0123456789abcdef", "attempt"));
        go_on(1);
        let blocked = |r: &Report| r.doing.as_ref().is_some_and(|d| d.kind.is_some());
        let found = wait_for_report(&bench, "blocked", blocked);
        let kind = Some(BlockKind::Permission);
        let expected = (Activity::Blocked, kind, Some("rm -rf ./victim"), osc);
        assert_eq!(doing(&found), Some(expected));
        go_on(2);
        let idle = |r: &Report| doing(r).is_some_and(|d| d.0 == Activity::Idle);
        let found = wait_for_report(&bench, "the error", idle);
        assert_eq!(doing(&found).unwrap().2, Some("error: limit"));
        go_on(3);
        wait_for_report(&bench, "nothing", |r| r.doing.is_none());
        bench.ask(&Request::Kill);
        bench.finish();
    }
}

/// The shim answers at once, with or without a window; tmux would not answer at all.
#[test]
fn the_question_is_answered_on_the_terminal() {
    let ask = r"stty raw -echo; printf '\033]7501;?\033\\'; head -c 10 | od -An -c; printf done";
    let check = |bench: &Bench| {
        wait_for("the answer", || bench.log().contains("done"));
        let log = bench.log().replace([' ', '\r', '\n'], "");
        assert!(log.contains(r"033]7501;?033\done"), "{log}");
    };
    let mut bench = Bench::script(ask);
    bench.run();
    check(&bench);
    let mut bench = Bench::script(ask);
    let pair = nix::pty::openpty(None, None).unwrap();
    bench.start_on(&pair.slave);
    drop(pair.slave);
    bench.finish();
    check(&bench);
}

/// A program that asks for ever and never listens costs a bounded amount of memory.
#[test]
fn unread_answers_do_not_pile_up() {
    let mut bench = Bench::script(&format!(
        r"stty raw -echo
        printf '\033]7501;?\033\\%.0s' $(seq 2000) >storm
        for i in $(seq 500); do cat storm; done; printf over; {STAY}"
    ));
    bench.start();
    bench.wait_for_log("over");
    // The answers alone would be 10 MB, and beyond 8 MB nothing more may be typed.
    let text = Request::Send { text: "x".to_owned(), enter: false };
    assert_eq!(bench.ask(&text), Reply::Done);
    bench.ask(&Request::Kill);
    bench.finish();
}

/// The protocol of systemd, on a socket that only its owner can use.
#[test]
fn datagrams_become_the_record() {
    let mut bench = Bench::script(&format!("echo \"<$NOTIFY_SOCKET>\"; {STAY}"));
    bench.spec.env.push(("NOTIFY_SOCKET".to_owned(), "/somebody/elses".to_owned()));
    bench.start();
    let socket = bench.spec.socket.with_extension("notify");
    bench.wait_for_log(&format!("<{}>", socket.display()));
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(report(&bench), None);
    say(&bench, b"READY=1\nSTATUS=up\x07 and away\n");
    let found = wait_for_report(&bench, "readiness", |r| r.ready);
    assert_eq!(found.status.as_deref(), Some("up  and away"));
    for _ in 0..5 {
        say(&bench, b"WATCHDOG=1");
    }
    say(&bench, &[b'x'; 5000]);
    say(&bench, b"EXTEND_TIMEOUT_USEC=2500000\nX_MUXVISOR_ACTIVITY=blocked:question");
    let found = wait_for_report(&bench, "the last words", |r| r.doing.is_some());
    assert_eq!((found.beats, found.extended), (5, (1, 2500)));
    let expected = (Activity::Blocked, Some(BlockKind::Question), None, ActivitySource::Notify);
    assert_eq!(doing(&found), Some(expected));
    bench.ask(&Request::Kill);
    bench.finish();
    assert!(!socket.exists() && !bench.path("status.json.tmp").exists());
}

/// What is said right before the end is not lost, and it is there before the exit is.
#[test]
fn last_words_are_kept() {
    let muxvisor = env!("CARGO_BIN_EXE_muxvisor");
    let mut bench = Bench::script(&format!(
        "{muxvisor} notify STATUS=a; {muxvisor} notify STATUS=b; {muxvisor} notify STATUS=c READY=1
         {muxvisor} notify --activity idle STATUS=z"
    ))
    .piped();
    let exit = bench.run();
    assert_eq!((exit.code, bench.log().as_str()), (Some(0), ""));
    let found = report(&bench).unwrap();
    assert_eq!((found.status.as_deref(), found.ready), (Some("z"), true));
    assert_eq!(doing(&found).unwrap().0, Activity::Idle);
}

/// Programs that look for a watchdog find one, and only where there is one.
#[test]
fn a_watchdog_is_told_to_the_main_process() {
    let script = "echo \"<$WATCHDOG_USEC $WATCHDOG_PID $$>\"";
    let mut bench = Bench::script(script).piped();
    bench.spec.env.push(("WATCHDOG_PID".to_owned(), "1".to_owned()));
    bench.run();
    let agent = bench.started().agent.pid;
    assert_eq!(bench.log(), format!("<  {agent}>\n"));
    let mut bench = Bench::script(script).piped();
    bench.spec.env.push(("WATCHDOG_USEC".to_owned(), "3000000".to_owned()));
    bench.run();
    let agent = bench.started().agent.pid;
    assert_eq!(bench.log(), format!("<3000000 {agent} {agent}>\n"));
}

/// A stormy agent is written down ten times a second, not a thousand times.
#[test]
fn a_storm_of_reports_is_not_a_storm_of_writes() {
    let mut bench = Bench::script(
        r"i=0; while [ $i -lt 20000 ]; do printf '\033]7501;state=working:msg=SGk=\007\033]7501;state=idle\007'; i=$((i+1)); done
        printf '\033]7501;state=done:msg=SGk=\007'",
    );
    bench.start();
    let mut seen = std::collections::BTreeSet::new();
    wait_for("the end", || {
        let inode = fs::metadata(bench.path(files::STATUS));
        seen.extend(inode.and_then(|m| m.modified()).ok());
        bench.has_ended()
    });
    let ran_ms = bench.exit().ran_ms;
    assert!(seen.len() as u64 <= ran_ms / 100 + 3, "{} in {ran_ms} ms", seen.len());
    assert_eq!(doing(&report(&bench).unwrap()).unwrap().2, Some("Hi"));
}

/// A socket path that clients cannot use is not offered.
#[test]
fn a_path_that_no_client_can_use_is_not_offered() {
    let mut bench = Bench::script("echo \"<$NOTIFY_SOCKET>\"").piped();
    let dir = bench.spec.cwd.join("d".repeat(120));
    fs::create_dir(&dir).unwrap();
    bench.spec.socket = dir.join("attempt.sock");
    assert_eq!(bench.run().code, Some(0));
    assert_eq!(bench.log(), "<>\n");
    let note = fs::read_to_string(bench.path(muxvisor::shim::COMPLAINTS)).unwrap();
    assert!(note.contains("NOTIFY_SOCKET"), "{note}");
}
