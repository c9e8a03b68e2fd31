//! What the agent is given and what it says: complete, and nothing leaks.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;

use muxvisor::model::{StdinFrom, files};
use muxvisor::shim::{Reply, Request};

use super::bench::Bench;

/// Feature H4: a burst right before the end is in the log to the last byte.
#[test]
fn a_burst_before_the_end_is_complete() {
    const BYTES: usize = 1_000_000;
    let script = format!("yes abcdefg | tr -d '\\n' | head -c {BYTES}; printf END");
    for _ in 0..5 {
        let exit = check_burst(Bench::script(&script), BYTES);
        assert_eq!(exit, check_burst(Bench::script(&script).piped(), BYTES));
    }
}

fn check_burst(mut bench: Bench, bytes: usize) -> u64 {
    let exit = bench.run();
    assert_eq!(bench.log().len(), bytes + 3);
    assert!(bench.log().ends_with("END") && !exit.log_gap);
    exit.log_bytes
}

#[test]
fn pipes_keep_stdout_and_stderr_apart_in_the_index() {
    let mut bench =
        Bench::script("echo out; sleep 0.05; echo err >&2; sleep 0.05; echo out").piped();
    bench.run();
    assert_eq!(bench.log(), "out\nerr\nout\n");
    let index = fs::read_to_string(bench.path(files::INDEX)).unwrap();
    let lines: Vec<Vec<&str>> = index.lines().map(|line| line.split(' ').collect()).collect();
    let streams: Vec<(&str, &str)> = lines.iter().map(|line| (line[1], line[2])).collect();
    assert_eq!(streams, [("0", "o"), ("4", "e"), ("8", "o")]);
}

#[test]
fn a_prompt_file_is_the_standard_input_in_both_modes() {
    for piped in [false, true] {
        let mut bench = Bench::script("cat; test -t 1 && echo tty");
        bench.spec.stdin = StdinFrom::File(files::PROMPT.into());
        fs::write(bench.path(files::PROMPT), "do it").unwrap();
        if piped {
            bench = bench.piped();
        }
        bench.run();
        assert_eq!(bench.log(), if piped { "do it" } else { "do ittty\r\n" });
    }
}

/// Fault 12: the agent gets three descriptors, the spec's environment, no tmux, no ignored signal.
#[test]
fn nothing_leaks_into_the_agent() {
    for piped in [false, true] {
        // The masks are those of a fresh process, because a shell changes its own while it forks.
        let mut bench = Bench::script(
            "fd=0; while [ $fd -lt 99 ]; do [ -e /proc/$$/fd/$fd ] && echo \"fd $fd\"; fd=$((fd+1)); done
             env; grep -E '^Sig(Blk|Ign)' /proc/self/status; stty size 2>/dev/null; pwd",
        );
        bench.spec.env.push(("TMUX".to_owned(), "secret".to_owned()));
        bench.spec.env.push(("TMUX_PANE".to_owned(), "%7".to_owned()));
        bench.spec.env.push(("GREETING".to_owned(), "hello = \"world\"".to_owned()));
        if piped {
            bench = bench.piped();
        }
        bench.run();
        let log = bench.log().replace('\r', "");
        let fds: Vec<&str> = log.lines().filter(|line| line.starts_with("fd ")).collect();
        assert_eq!(fds, ["fd 0", "fd 1", "fd 2"], "{log}");
        assert!(!log.contains("TMUX") && log.contains("GREETING=hello = \"world\"\n"), "{log}");
        assert!(log.contains("TERM=xterm-256color\n") && log.contains("COLORTERM="), "{log}");
        assert!(!log.contains("HOME="), "only what the spec says: {log}");
        assert!(log.contains("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"), "{log}");
        assert_eq!(log.contains("30 90\n"), !piped, "{log}");
        assert!(log.trim_end().ends_with(bench.spec.cwd.to_str().unwrap()), "{log}");
    }
}

/// Fault 62: a full disk costs output, marked, and neither the agent nor the record.
#[test]
fn a_full_disk_is_a_gap_and_not_a_stop() {
    let mut bench = Bench::script("head -c 300000 /dev/zero; exit 3");
    symlink("/dev/full", bench.path(files::LOG)).unwrap();
    let exit = bench.run();
    assert_eq!(exit.code, Some(3));
    assert!(exit.log_gap && exit.log_bytes == 0);
    let index = fs::read_to_string(bench.path(files::INDEX)).unwrap();
    assert!(index.ends_with(" 0 g\n"), "{index}");
}

#[test]
fn typed_text_and_keys_reach_the_agent() {
    let mut bench = Bench::script("while read -r line; do echo \"got <$line>\"; done; echo eof");
    bench.start();
    let send = Request::Send { text: "a $HOME 'b'".to_owned(), enter: true };
    assert_eq!(bench.ask(&send), Reply::Done);
    let send = Request::Send { text: "at once".to_owned(), enter: true };
    assert_eq!(bench.ask(&send), Reply::Done);
    bench.wait_for_log("got <a $HOME 'b'>");
    bench.wait_for_log("got <at once>");
    assert_eq!(bench.ask(&Request::Keys { keys: vec!["x".into(), "Enter".into()] }), Reply::Done);
    bench.wait_for_log("got <x>");
    let status = bench.status();
    assert!(status.running && status.alive >= 1 && !status.stopping && !status.windowed);
    assert_eq!((status.size, status.started), (Some((90, 30)), bench.started()));
    assert_eq!(bench.ask(&Request::Size { columns: 100, rows: 40 }), Reply::Done);
    assert_eq!(bench.status().size, Some((100, 40)));
    bench.ask(&Request::Keys { keys: vec!["C-d".to_owned()] });
    bench.finish();
    assert!(bench.log().ends_with("eof\r\n"));
}

/// A daemon that does not know whether the one before it had the prompt typed simply asks.
#[test]
fn a_prompt_is_typed_once() {
    let mut bench = Bench::script("while read -r line; do echo \"got <$line>\"; done; echo eof");
    bench.start();
    let prompt = Request::Prompt { text: "do it".to_owned() };
    assert_eq!(bench.ask(&prompt), Reply::Done);
    assert_eq!(bench.ask(&prompt), Reply::Done);
    bench.wait_for_log("got <do it>");
    let other = Request::Send { text: "more".to_owned(), enter: true };
    assert_eq!(bench.ask(&other), Reply::Done);
    bench.wait_for_log("got <more>");
    bench.ask(&Request::Keys { keys: vec!["C-d".to_owned()] });
    bench.finish();
    assert_eq!(bench.log().matches("got <do it>").count(), 1);
}

#[test]
fn an_agent_on_pipes_cannot_be_typed_at() {
    let mut bench = Bench::script("sleep 60").piped();
    bench.start();
    let reply = bench.ask(&Request::Send { text: "hello".to_owned(), enter: true });
    assert!(matches!(reply, Reply::Refused { .. }), "{reply:?}");
    bench.ask(&Request::Kill);
    bench.finish();
    assert_eq!(bench.exit().signal, Some(9));
}

/// Fault 59: garbage, half lines and silence keep nobody else waiting.
#[test]
fn a_bad_client_blocks_nobody() {
    let mut bench = Bench::script("cat");
    bench.start();
    bench.status();
    let mut silent: Vec<UnixStream> =
        (0..20).map(|_| UnixStream::connect(&bench.spec.socket).unwrap()).collect();
    let half = silent.last_mut().unwrap();
    half.write_all(b"{\"ask\":").unwrap();
    let mut garbage = UnixStream::connect(&bench.spec.socket).unwrap();
    garbage.write_all(b"\xff\0 nonsense\n{\"ask\":\"status\"}\n").unwrap();
    assert!(bench.status().running);
    let mut answer = [0; 20_000];
    let length = garbage.read(&mut answer).unwrap();
    assert!(answer[..length].starts_with(b"{\"reply\":\"refused\""));
    let long = Request::Send { text: "x".repeat(1_500_000), enter: false };
    assert_eq!(bench.ask(&long), Reply::Done);
    bench.ask(&Request::Kill);
    bench.finish();
}

/// A socket path over 107 bytes still works, and nothing is cut off.
#[test]
fn a_long_socket_path_is_served() {
    let mut bench = Bench::script("cat");
    let dir = bench.spec.cwd.join("d".repeat(120));
    fs::create_dir(&dir).unwrap();
    bench.spec.socket = dir.join("attempt.sock");
    bench.start();
    assert!(bench.status().running);
    bench.ask(&Request::Kill);
    bench.finish();
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
}

/// Without a socket the agent runs all the same, and the reason is on record.
#[test]
fn a_socket_that_cannot_be_made_is_noted() {
    let mut bench = Bench::script("echo ran");
    bench.spec.socket = bench.spec.cwd.join("no-such-dir/s.sock");
    assert_eq!(bench.run().code, Some(0));
    assert_eq!(bench.log(), "ran\r\n");
    let note = fs::read_to_string(bench.path(muxvisor::shim::COMPLAINTS)).unwrap();
    assert!(note.contains("no-such-dir"), "{note}");
}

/// Without a window the shim answers what programs ask their terminal at their start.
#[test]
fn a_program_without_window_gets_its_answers() {
    let mut bench = Bench::script(
        "stty -echo -icanon; printf '\\033[c'; head -c 9 | od -An -c; printf '\\033[6n'; head -c 6 | od -An -c",
    );
    bench.run();
    let log = bench.log().replace(' ', "");
    assert!(log.contains("033[?62;22c\r\n"), "{log}");
    assert!(log.contains("033[1;1R\r\n"), "{log}");
}
