//! Servers that die, once and again, with and without a daemon to see it.

use super::*;
use crate::stage::lives;

const AGENTS: usize = 20;

fn twenty(stage: &Stage) {
    let counting = (1..AGENTS).map(|n| service(&format!("a{n:02}"), COUNTS));
    let all: String = counting.chain([service("draws", DRAWS)]).collect();
    stage.configure(&all);
    up(stage, AGENTS);
    wait_for("all to write", || (1..AGENTS).all(|n| log(stage, &format!("a{n:02}")).len() > 10));
    wait_for("the screen", || screen(stage, &windows(stage)["draws"]).contains("<50 200>"));
}

/// Every window shows what its agent does now, and what is typed there reaches it.
#[track_caller]
fn assert_shown(stage: &Stage) {
    for (name, window) in windows(stage) {
        let wanted = if name == "draws" { "<50 200>" } else { "line " };
        wait_for(&format!("{name} in its window"), || screen(stage, &window).contains(wanted));
        let named = stage.tmux(&["display-message", "-p", "-t", &window, "#{session_name}"]);
        assert_eq!(named.out.trim(), "agents");
    }
}

/// Fault 15 and 53 in one: the server of twenty working agents is killed. Same processes, every
/// line in the logs, all windows back and showing; one alarm. With a daemon, and without one.
#[test]
fn twenty_agents_outlive_their_server() {
    for daemon_too in [false, true] {
        let stage = Stage::new();
        twenty(&stage);
        let before = pids(&stage);
        if daemon_too {
            stage.kill_daemon();
        }
        let old = kill_server(&stage);
        let began = Instant::now();
        if daemon_too {
            stage.start_daemon();
        }
        wait_for("another server", || stage.tmux_server().is_some_and(|pid| pid != old));
        wait_for("all panes", || stage.panes().len() == AGENTS);
        println!("daemon_too {daemon_too}: {AGENTS} windows back after {:?}", began.elapsed());
        wait_for_windows(&stage, old, AGENTS);
        assert_eq!(pids(&stage), before, "nobody was restarted");
        assert_shown(&stage);
        for n in 1..AGENTS {
            assert_no_gap(&log(&stage, &format!("a{n:02}")));
        }
        assert_eq!(alarms(&stage), 1);
        let told = stage.ps()["daemon"]["tmux"].clone();
        assert_eq!((&told["windows_lost"], &told["windows_given_back"]), (&20.into(), &20.into()));
        let table = stage.ask(&["ps"]).out;
        assert!(table.contains(", 20 windows given back"), "{table}");
        assert!(stage.ask(&["doctor"]).out.contains("20 windows given back"));
        let attach = stage.ask(&["attach", "a07", "--print"]).out;
        assert!(attach.contains(&windows(&stage)["a07"]), "{attach}");
        assert_eq!(stage.ask(&["logs", "a07"]).code, 0);
        assert_eq!(stage.ask(&["down"]).code, 0);
        wait_for("the end of all agents", || stage.agents().is_empty());
    }
}

/// The next server gives ids of old windows to others: nobody who asks for one agent is led to
/// another, where what is typed would reach it.
#[test]
fn nobody_is_led_into_the_window_of_another_agent() {
    let stage = Stage::new();
    stage.configure(&[service("first", COUNTS), service("second", COUNTS)].concat());
    assert_eq!(stage.ask(&["start", "first"]).code, 0);
    wait_for("the first", || windows(&stage).contains_key("first"));
    let window = windows(&stage)["first"].clone();
    let led = stage.ask(&["attach", "first", "--print"]);
    assert!(led.code == 0 && led.out.contains(&window), "{led:?}");
    assert_eq!(stage.ask(&["start", "second"]).code, 0);
    wait_for("the second", || windows(&stage).contains_key("second"));
    assert_eq!(stage.ask(&["stop", "first"]).code, 0);
    let states = || stage.ps()["instances"].to_string();
    wait_for("the end of the first", || states().contains("\"state\":\"stopped\""));
    let old = kill_server(&stage);
    wait_for_windows(&stage, old, 1);
    assert_eq!(windows(&stage)["second"], window, "the id is that of the first's");
    let led = stage.ask(&["attach", "first", "--print"]);
    assert!(led.code == 2 && led.err.contains("the window of first is gone"), "{led:?}");
    assert_eq!(stage.ask(&["attach", "second", "--print"]).code, 0);
}

/// The server is killed again while windows are being given back.
#[test]
fn a_server_that_dies_again_is_replaced_again() {
    let stage = Stage::new();
    let all: String = (0..8).map(|n| service(&format!("b{n}"), COUNTS)).collect();
    stage.configure(&all);
    up(&stage, 8);
    let before = pids(&stage);
    let first = kill_server(&stage);
    wait_for("another server", || stage.tmux_server().is_some_and(|pid| pid != first));
    let second = kill_server(&stage);
    wait_for_windows(&stage, second, 8);
    let third = stage.tmux_server().unwrap();
    assert!(third != first && third != second);
    assert_eq!(pids(&stage), before);
    wait_for("each in a window of its own", || {
        let mut ids: Vec<String> = windows(&stage).into_values().collect();
        ids.sort();
        ids.dedup();
        ids.len() == 8
    });
    // The viewers that the second server had are gone with it, and nobody took that for a stop.
    assert!(instances(&stage).values().all(|one| one["desired"] == "up" && one["restarts"] == 0));
    assert_eq!(alarms(&stage), 2);
}

/// Fault 23: tmux is taken away under a living daemon, and its server dies. What runs goes on, what
/// starts meanwhile runs too, and all are shown as soon as there is a tmux again.
#[test]
fn agents_start_and_run_without_tmux() {
    let stage = Stage::new();
    let programs = Programs::new(&stage);
    stage.configure(&format!(
        "{}{}",
        service("early", COUNTS),
        service("late", COUNTS).replace("autostart = true", "autostart = false")
    ));
    let mut command = stage.command(&["up"]);
    assert!(command.env("PATH", &programs.dir).status().unwrap().success());
    wait_for("the early one", || windows(&stage).len() == 1);
    let early = pid(&stage, "early");
    programs.take("tmux");
    let old = kill_server(&stage);
    wait_for("the loss", || windows(&stage).is_empty());
    assert_eq!(stage.ask(&["start", "late"]).code, 0);
    wait_for("the late one", || log(&stage, "late").contains("line 3"));
    let late = pid(&stage, "late");
    assert!(windows(&stage).is_empty() && lives(early));
    let doctor = stage.ask(&["doctor"]);
    assert!(doctor.code == 1 && doctor.out.contains("there is none now"), "{}", doctor.out);
    let attach = stage.ask(&["attach", "late", "--print"]);
    assert!(attach.code == 10 && attach.err.contains("muxvisor view late"), "{attach:?}");
    // Not even a daemon that starts now leaves them alone.
    stage.kill_daemon();
    let mut command = stage.command(&["runs"]);
    assert!(command.env("PATH", &programs.dir).status().unwrap().success());
    assert_eq!((pid(&stage, "early"), pid(&stage, "late")), (early, late));
    programs.bring("tmux");
    wait_for_windows(&stage, old, 2);
    for (name, window) in windows(&stage) {
        wait_for(&format!("{name} in its window"), || screen(&stage, &window).contains("line "));
    }
    assert_eq!((pid(&stage, "early"), pid(&stage, "late")), (early, late));
    assert_no_gap(&log(&stage, "early"));
    assert_no_gap(&log(&stage, "late"));
}

/// More than half of all agents seem to be gone when the server does not answer: that is an outage
/// and no death (design §8). Nor is anybody given a second window for it.
#[test]
fn a_server_that_does_not_answer_kills_nobody() {
    let stage = Stage::new();
    let all: String = (0..8).map(|n| service(&format!("c{n}"), COUNTS)).collect();
    stage.configure(&all);
    up(&stage, 8);
    let (before, server) = (pids(&stage), stage.tmux_server().unwrap());
    let signal = |pid: i32, signal| {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
    };
    assert!(stage.ask(&["doctor"]).out.contains(&format!("in tmux server {server}")));
    signal(server, Signal::SIGSTOP);
    let doctor = stage.ask(&["doctor"]);
    let told = format!("! windows: tmux server {server} does not answer");
    assert!(doctor.out.contains(&told) && doctor.out.contains("kill -CONT"), "{doctor:?}");
    signal(stage.daemon_that_answers(), Signal::SIGUSR1);
    let length = log(&stage, "c0").len();
    wait_for("it to go on", || log(&stage, "c0").len() > length + 20);
    assert_eq!(pids(&stage), before);
    signal(server, Signal::SIGCONT);
    wait_for("the server", || stage.panes().len() == 8);
    assert_eq!((pids(&stage), alarms(&stage)), (before, 0));
    assert_eq!(stage.tmux_server(), Some(server));
}

/// A window's id means another one in the next server. The daemon stands still while it is about
/// to close one, and meanwhile the server dies: in the next one, who has that id keeps its window.
#[test]
#[cfg(debug_assertions)]
fn a_window_is_closed_in_its_own_server_only() {
    let stage = Stage::new();
    let ends = "until [ -e go ]; do sleep 0.02; done; exit 0";
    let both = service("ends", ends).replace("\"always\"", "\"no\"") + &service("lives", COUNTS);
    let cwd = format!("cwd = \"{}\"\nstop_timeout", stage.desk().display());
    let both = both.replace("stop_timeout", &cwd).replace("autostart = true", "autostart = false");
    stage.configure(&format!("[daemon]\nkeep_window = \"never\"\n{both}"));
    let mark = stage.desk().join("mark");
    let mut command = stage.command(&["start", "ends"]);
    command.env("MUXVISOR_FAILPOINT", "window.look-before=stand");
    command.env("MUXVISOR_FAILPOINT_MARK", &mark);
    assert!(command.status().unwrap().success());
    wait_for("the first window", || windows(&stage).len() == 1);
    assert_eq!(stage.ask(&["start", "lives"]).code, 0);
    wait_for("both", || windows(&stage).len() == 2);
    let (daemon, pid) = (stage.daemon_that_answers(), pid(&stage, "lives"));
    let id = windows(&stage)["ends"].clone();
    stage.file("go", "");
    wait_for("the daemon to stand still", || mark.exists());
    let old = kill_server(&stage);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(daemon), Signal::SIGCONT).unwrap();
    wait_for_windows(&stage, old, 1);
    assert_eq!(windows(&stage)["lives"], id, "the id is used again");
    // As long as a window that is looked at is left alone, and more.
    let length = log(&stage, "lives").len();
    wait_for("it to go on", || log(&stage, "lives").len() > length + 200);
    assert_eq!((windows(&stage)["lives"].clone(), pids(&stage)["lives"]), (id, pid));
    assert_eq!(stage.panes().len(), 1);
}
