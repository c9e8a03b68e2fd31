//! What people and agents do to windows and their server.

use super::*;
use crate::stage::lives;

/// Answers each line that is typed.
const ECHOES: &str = "echo ready; while read -r line; do echo \"got $line\"; done";

fn in_new_windows(stage: &Stage, agents: &[(&str, &str)]) {
    stage.configure(&agents.iter().map(|(name, script)| service(name, script)).collect::<String>());
    up(stage, agents.len());
    let old = kill_server(stage);
    wait_for_windows(stage, old, agents.len());
}

/// Keys typed into a window that was given back reach the agent; its log and `logs` have it all.
#[test]
fn a_window_that_was_given_back_is_as_good_as_the_first() {
    let stage = Stage::new();
    in_new_windows(&stage, &[("echoes", ECHOES)]);
    let window = windows(&stage)["echoes"].clone();
    wait_for("the past", || screen(&stage, &window).contains("ready"));
    stage.tmux(&["send-keys", "-t", &window, "it's $(me)", "Enter"]);
    wait_for("the answer", || screen(&stage, &window).contains("got it's $(me)"));
    assert!(stage.ask(&["logs", "echoes", "--plain"]).out.contains("got it's $(me)"));
    stage.tmux(&["resize-window", "-t", &window, "-x", "71", "-y", "19"]);
    let pid = pid(&stage, "echoes");
    wait_for("the size", || {
        let size = std::process::Command::new("stty")
            .args(["-F", &format!("/proc/{pid}/fd/1"), "size"])
            .output()
            .unwrap();
        size.stdout == b"19 71\n"
    });
    // An end of its own: the window shows it, and is dealt with like any other.
    stage.tmux(&["send-keys", "-t", &window, "C-c"]);
    wait_for("its successor", || instance(&stage, "echoes")["restarts"] == 1);
    let dead = stage.tmux(&["display-message", "-p", "-t", &window, "#{pane_dead}"]);
    wait_for("the end in the window", || dead.out.trim() == "1");
}

/// Fault 20: a window that was given back is closed by a person: an operator's stop, whether a
/// daemon is there or not.
#[test]
fn a_closed_window_of_the_new_server_is_a_stop_too() {
    let stage = Stage::new();
    in_new_windows(&stage, &[("one", COUNTS), ("two", COUNTS), ("three", COUNTS)]);
    let (one, two) = (pid(&stage, "one"), pid(&stage, "two"));
    let windows = windows(&stage);
    stage.tmux(&["kill-window", "-t", &windows["one"]]);
    wait_for("the stop", || instance(&stage, "one")["state"] == "stopped");
    assert!(!lives(one));
    stage.kill_daemon();
    stage.tmux(&["kill-window", "-t", &windows["two"]]);
    wait_for("the other stop", || !lives(two));
    stage.start_daemon();
    for name in ["one", "two"] {
        wait_for("what is wanted", || instance(&stage, name)["desired"] == "down");
        let stopped = instance(&stage, name);
        assert_eq!((&stopped["outcome"], &stopped["pid"]), (&"cancelled".into(), &Value::Null));
    }
    assert_eq!(instance(&stage, "three")["state"], "running");
}

/// A viewer that is killed takes nobody with it; at the latest when somebody says USR1, or closes
/// the dead window, the agent has another window.
#[test]
fn a_killed_viewer_is_replaced() {
    let stage = Stage::new();
    in_new_windows(&stage, &[("one", COUNTS)]);
    let (agent, first) = (pid(&stage, "one"), windows(&stage)["one"].clone());
    let viewer = stage.panes()[0].pid;
    end(viewer, Signal::SIGKILL);
    let usr1 = || {
        let daemon = nix::unistd::Pid::from_raw(stage.daemon_that_answers());
        nix::sys::signal::kill(daemon, Signal::SIGUSR1).unwrap();
    };
    usr1();
    wait_for("another window", || windows(&stage).get("one").is_some_and(|id| *id != first));
    wait_for("it to show", || screen(&stage, &windows(&stage)["one"]).contains("line "));
    assert_eq!(
        (pid(&stage, "one"), instance(&stage, "one")["desired"].clone()),
        (agent, "up".into())
    );
}

/// Faults 20 and 21: renamed, swapped, moved, split, scrolled and shrunk, it is the same agent, and
/// the end of it is told as ever.
#[test]
fn people_may_do_what_they_like_to_windows() {
    let stage = Stage::new();
    let told = format!(
        "echo ready; while [ ! -e {}/go ]; do sleep 0.05; done; echo \"size $(stty size)\"; exit 3",
        stage.desk().display()
    );
    let twice = format!("{}{}", service("left", &told), service("right", COUNTS)).replacen(
        "restart = \"always\"",
        "restart = \"no\"",
        1,
    );
    stage.configure(&twice);
    up(&stage, 2);
    let at = windows(&stage);
    let before = pids(&stage);
    let (left, right) = (at["left"].as_str(), at["right"].as_str());
    for words in [
        &["rename-window", "-t", left, "mine"][..],
        &["swap-window", "-s", left, "-t", right],
        &["move-window", "-s", left, "-t", "agents:77"],
        &["split-window", "-t", left, "sleep 1000"],
        &["resize-window", "-t", left, "-x", "20", "-y", "4"],
        &["copy-mode", "-t", left],
        &["resize-window", "-t", right, "-x", "1", "-y", "1"],
    ] {
        let said = stage.tmux(words);
        assert_eq!(said.code, 0, "{words:?}: {said:?}");
    }
    // Into the window of the other one.
    let pane = stage.tmux(&["list-panes", "-t", left, "-F", "#{pane_id} #{@mv_attempt}"]).out;
    let pane =
        pane.lines().find(|line| line.len() > 8).unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(stage.tmux(&["break-pane", "-d", "-s", &pane]).code, 0);
    let daemon = nix::unistd::Pid::from_raw(stage.daemon_that_answers());
    nix::sys::signal::kill(daemon, Signal::SIGUSR1).unwrap();
    wait_for("the new place to be known", || windows(&stage)["left"] != left);
    assert_eq!(pids(&stage), before);
    let length = log(&stage, "right").len();
    wait_for("it to go on", || log(&stage, "right").len() > length + 20);
    stage.file("go", "");
    wait_for("the end to be known", || instance(&stage, "left")["outcome"] == "exit-code");
    assert!(log(&stage, "left").contains("size "), "{}", log(&stage, "left"));
    assert_eq!(instance(&stage, "right")["state"], "running");
    assert_no_gap(&log(&stage, "right"));
    // The split was a person's.
    let panes = stage.tmux(&["list-panes", "-t", left, "-F", "#{pane_start_command}"]).out;
    assert!(panes.contains("sleep 1000"), "{panes}");
}

/// Fault 17: an agent that ends "the tmux server" ends at most its own.
#[test]
fn an_agent_cannot_end_the_server_by_accident() {
    let stage = Stage::new();
    // Where such a command finds no server of its user's, and cannot find one by accident.
    let script = format!(
        "export TMUX_TMPDIR={}; tmux kill-server; tmux kill-session; env | grep -c '^TMUX='; echo done; sleep 1000",
        stage.desk().display()
    );
    stage.configure(&service("kills", &script));
    up(&stage, 1);
    let server = stage.tmux_server();
    wait_for("its tries", || log(&stage, "kills").contains("done"));
    assert!(log(&stage, "kills").contains("\n0\r\n"), "{}", log(&stage, "kills"));
    assert_eq!((stage.tmux_server(), stage.panes().len(), alarms(&stage)), (server, 1, 0));
}

/// Fault 22: the daemon's own client is killed under load; it comes back, and nobody notices.
#[test]
fn the_daemons_client_may_be_killed() {
    let stage = Stage::new();
    stage.configure(&format!(
        "{}{}",
        service("one", COUNTS),
        service("loud", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done")
    ));
    up(&stage, 2);
    let before = pids(&stage);
    let client = || {
        let said = stage.tmux(&["list-clients", "-F", "#{client_control_mode} #{client_pid}"]).out;
        said.lines().find_map(|line| line.strip_prefix("1 ")?.parse::<i32>().ok())
    };
    for _ in 0..3 {
        let old = client().unwrap();
        end(old, Signal::SIGKILL);
        wait_for("another client", || client().is_some_and(|pid| pid != old));
    }
    assert_eq!(stage.ask(&["restart", "one"]).code, 0);
    wait_for("its successor", || pids(&stage).get("one").is_some_and(|pid| *pid != before["one"]));
    wait_for("its window", || windows(&stage).len() == 2);
    assert_eq!((pids(&stage)["loud"], alarms(&stage)), (before["loud"], 0));
}

/// `view` shows an agent without tmux, and says what is the matter when it cannot.
#[test]
fn view_says_what_it_cannot_show() {
    let stage = Stage::new();
    stage.configure(&service("one", COUNTS));
    up(&stage, 1);
    let unknown = stage.ask(&["view", "nobody"]);
    assert!(unknown.code == 2 && unknown.err.contains("nobody"), "{unknown:?}");
    let bare = stage.ask(&["view", "one"]);
    assert!(bare.code == 2 && bare.err.contains("terminal"), "{bare:?}");
    let dir = folder(&stage, "one");
    let over = stage.ask(&["down"]);
    assert_eq!(over.code, 0);
    wait_for("the end", || dir.join("exit.json").exists());
    let ended = stage.ask(&["view", dir.to_str().unwrap()]);
    assert!(ended.code == 2 && ended.err.contains("ended"), "{ended:?}");
}
