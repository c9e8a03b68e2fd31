//! How an agent ended: the exact code, signal or reason that it never ran (faults 25-30).

use std::fs;
use std::os::unix::fs::PermissionsExt;

use muxvisor::model::{StdinFrom, files};
use muxvisor::shim;
use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::bench::{Bench, number};

/// Fault 25: 137 is a code and not SIGKILL.
#[test]
fn every_exit_code_is_exact() {
    for code in [0, 1, 42, 125, 126, 127, 128, 137, 255] {
        let mut bench = Bench::script(&format!("exit {code}"));
        bench.start();
        assert_eq!(bench.finish().code(), Some(code));
        let exit = bench.exit();
        assert_eq!((exit.code, exit.signal, exit.core), (Some(code), None, false));
        assert!(exit.exec_failure.is_none() && exit.stop.is_empty() && !exit.window_closed);
        assert_eq!(exit.token, bench.spec.token);
        assert!(!bench.spec.socket.exists(), "the socket is removed");
    }
}

/// Fault 25: every fatal signal by its number, with the core flag only where a core was asked for.
#[test]
fn every_fatal_signal_is_exact() {
    for name in [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGSYS",
    ] {
        let script = format!("ulimit -c 0; kill -{} $$; exit 3", number(name));
        let exit = Bench::script(&script).piped().run();
        assert_eq!((exit.code, exit.signal), (None, Some(number(name))), "{name}");
        assert!(!exit.core, "{name}");
    }
    let exit = Bench::script("kill -40 $$; exit 3").run();
    assert_eq!(exit.signal, Some(40), "a real-time signal");
}

/// Fault 25. Where cores go is the kernel's setting, and only a plain file name is sure to work.
#[test]
fn a_core_is_noted() {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let exit = Bench::script("ulimit -c unlimited && kill -SEGV $$").run();
    assert!(exit.signal == Some(number("SIGSEGV")) || exit.code.is_some());
    if pattern.trim() == "core" && exit.signal.is_some() {
        assert!(exit.core, "the kernel writes plain core files here");
    }
}

/// Fault 26: what could not be started says why, and is never a plain exit code.
#[test]
fn what_never_ran_says_why() {
    let check = |change: &dyn Fn(&mut Bench), step: &str, errno: Errno| {
        let mut bench = Bench::script("true");
        change(&mut bench);
        let exit = bench.run();
        let failure = exit.exec_failure.expect("it never ran");
        assert_eq!((failure.step.as_str(), failure.errno), (step, errno as i32), "{failure:?}");
        assert!(exit.code.is_none() && exit.signal.is_none());
        failure.message
    };
    let file = |bench: &mut Bench, text: &str, mode: u32| {
        let path = bench.spec.cwd.join("program");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        bench.spec.argv = vec!["./program".to_owned()];
    };
    let missing = check(&|b| b.spec.argv = vec!["no-such-agent".to_owned()], "exec", Errno::ENOENT);
    assert!(missing.contains("no-such-agent") && missing.contains("PATH"), "{missing}");
    check(&|b| b.spec.argv = vec!["/no/such".to_owned()], "exec", Errno::ENOENT);
    check(&|b| b.spec.argv = Vec::new(), "spec", Errno::EINVAL);
    check(&|b| file(b, "#!/bin/sh\n", 0o644), "exec", Errno::EACCES);
    check(&|b| file(b, "\x01\x02 not a program\n", 0o755), "exec", Errno::ENOEXEC);
    let shebang = check(&|b| file(b, "#!/no/interpreter\n", 0o755), "exec", Errno::ENOENT);
    assert!(shebang.contains("interpreter"), "{shebang}");
    check(&|b| b.spec.cwd = b.path("gone"), "cwd", Errno::ENOENT);
    check(&|b| b.spec.stdin = StdinFrom::File("gone.md".into()), "stdin", Errno::ENOENT);
}

#[test]
fn a_spec_that_cannot_be_read_is_a_failure_on_record() {
    let bench = Bench::script("true");
    fs::write(bench.path(files::SPEC), "{").unwrap();
    assert_eq!(bench.command().status().unwrap().code(), Some(126));
    assert_eq!(bench.exit().exec_failure.unwrap().step, "spec");
}

/// Fault 27: an agent that is gone at once leaves both records, in order, every time.
#[test]
fn an_agent_that_ends_at_once_is_recorded() {
    for _ in 0..200 {
        let mut bench = Bench::new(&["true"]).piped();
        let exit = bench.run();
        assert_eq!(exit.code, Some(0));
        assert!(bench.started().at_ms <= exit.ended_ms);
    }
}

/// Fault 29: the main process is what counts, and who holds its terminal delays it only so long.
#[test]
fn a_background_child_that_holds_the_output_is_not_waited_for() {
    for piped in [false, true] {
        let mut bench = Bench::script(
            "(trap '' HUP TERM; echo $(exec sh -c 'echo $PPID') >>pids; while :; do sleep 1; done) & \
             while ! [ -s pids ]; do sleep 0.01; done; exit 5",
        );
        bench.spec.drain_ms = 300;
        if piped {
            bench = bench.piped();
        }
        let exit = bench.run();
        assert_eq!(exit.code, Some(5));
        assert!(exit.unkillable.is_empty() && exit.stop.is_empty());
        assert!(exit.ended_ms - exit.started_ms < 5_000);
        for pid in bench.pids("pids", 1) {
            assert!(!super::bench::runs(pid));
        }
    }
}

/// Launching is idempotent: one shim per attempt, ever.
#[test]
fn a_second_shim_is_refused() {
    let mut bench = Bench::script("cat");
    assert!(shim::holder(&bench.dir()).unwrap().is_none());
    bench.start();
    let started = bench.started();
    assert_eq!(shim::holder(&bench.dir()).unwrap(), Some(started.shim.pid));
    let before = fs::read_dir(bench.dir()).unwrap().count();
    assert_eq!(bench.command().status().unwrap().code(), Some(shim::REFUSED));
    assert_eq!(fs::read_dir(bench.dir()).unwrap().count(), before);
    assert_eq!(bench.started(), started);
    bench.signal(Signal::SIGTERM);
    bench.finish();
    assert!(shim::holder(&bench.dir()).unwrap().is_none());
    let exit = bench.exit();
    assert_eq!(bench.command().status().unwrap().code(), Some(shim::REFUSED));
    assert_eq!(bench.exit(), exit);
}

/// The marks on record are those of the living processes.
#[test]
fn marks_are_those_of_the_processes() {
    let mut bench = Bench::script("echo $$ >pids; cat");
    bench.start();
    let agent = bench.pids("pids", 1)[0];
    let started = bench.started();
    assert_eq!(started.agent.pid, agent);
    assert!(shim::is_alive(&started.agent) && shim::is_alive(&started.shim));
}

/// A killed shim takes its agent along: nobody may run beside a successor (fault 38).
#[test]
fn the_agent_does_not_outlive_a_killed_shim() {
    let mut bench = Bench::script("trap '' HUP TERM; echo $$ >pids; while :; do sleep 0.05; done");
    bench.start();
    let agent = bench.pids("pids", 1)[0];
    bench.signal(Signal::SIGKILL);
    bench.finish();
    crate::wait::wait_for("the agent to end", || !super::bench::runs(agent));
    assert!(!bench.path(files::EXIT).exists() && shim::holder(&bench.dir()).unwrap().is_none());
}
