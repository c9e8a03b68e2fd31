//! The second plot: agents whose tmux server is killed, with a daemon and without one; a person
//! types into a window that was given back, puts a pane elsewhere, and closes a window.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixListener;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::play::{Play, Plot};
use crate::stage::{Stage, end};
use crate::wait::wait_for;

/// It.
pub(super) const WINDOWS: Plot = Plot { name: "windows", prepare, act };

const NAMES: [&str; 3] = ["typed", "closed", "moved"];
/// Looks between two tries of what may have met nobody.
const AGAIN: u32 = 20;

/// Writes down what is typed, and complains when there are two of it.
const AGENT: &str = r#"
echo "$1 $MUXVISOR_ATTEMPT $MUXVISOR_TOKEN $$" >> started
exec 9>>"$1.lock"
flock -n 9 || echo "$1 runs twice" >> violations
while read -r line; do echo "$line" >> "$1.heard"; done
"#;

fn prepare(stage: &Stage) {
    stage.file("agent.sh", AGENT);
    let mut config = String::from("[daemon]\nkeep_window = \"never\"\n");
    for name in NAMES {
        config.push_str(&format!(
            "[agent.{name}]\ntype = \"service\"\nautostart = true\nprompt = \"none\"\n\
             result = \"none\"\nrestart = \"always\"\nrestart_delay = \"20ms\"\n\
             start_limit_burst = 0\nstop_timeout = \"1s\"\ncwd = \"{}\"\n\
             command = [\"sh\", \"./agent.sh\", \"{name}\"]\n",
            stage.desk().display()
        ));
    }
    stage.configure(&config);
}

fn act(play: &Play) -> Vec<String> {
    play.daemon();
    // As a shim leaves it that was killed after its end.
    drop(UnixListener::bind(play.stage.at("run/s/gone.sock")).unwrap());
    shown(play, 3);
    lose_server(play);
    shown(play, 3);
    move_pane(play);
    type_into(play);
    signal(play, Signal::SIGUSR1);
    close(play);
    // Both at once: the next daemon finds agents without a server.
    end(play.daemon(), Signal::SIGKILL);
    lose_server(play);
    shown(play, 2);
    signal(play, Signal::SIGUSR2);
    let stopped = states(play);
    play.insist(&["down"]);
    for name in NAMES {
        play.insist(&["wait", name, "--for", "stopped"]);
    }
    stopped
}

/// Each stands in a window of its own, and nothing else shows it.
fn shown(play: &Play, count: usize) {
    let mut looks = 0;
    wait_for("a window for each", || {
        looks += 1;
        // A viewer that was killed is missed when a person asks to look.
        if looks % AGAIN == 0 {
            signal(play, Signal::SIGUSR1);
        }
        play.nudge(false);
        let windows: Vec<String> =
            all(play).iter().filter_map(|one| text(&one["window"])).collect();
        let distinct: BTreeSet<&String> = windows.iter().collect();
        let panes = play.stage.panes();
        distinct.len() == count && windows.len() == count && panes.len() == count
    });
}

fn lose_server(play: &Play) {
    if let Some(server) = play.stage.tmux_server() {
        end(server, Signal::SIGKILL);
    }
    wait_for("another server", || {
        play.nudge(false);
        play.stage.tmux_server().is_some()
    });
}

/// A person puts a pane beside one of theirs; its own window closes by that.
fn move_pane(play: &Play) {
    play.stage.tmux(&["new-window", "-d", "-t", "=agents:", "-n", "theirs", "--", "sleep", "1000"]);
    let Some(before) = text(&seen_for_sure(play, "moved")["window"]) else { return };
    play.stage.tmux(&["join-pane", "-d", "-s", &before, "-t", "=agents:=theirs"]);
    shown(play, 3);
}

fn type_into(play: &Play) {
    let heard = play.stage.desk().join("typed.heard");
    let mut looks = 0;
    wait_for("what was typed", || {
        if looks % AGAIN == 0
            && let Some(window) = text(&seen(play, "typed")["window"])
        {
            play.stage.tmux(&["send-keys", "-t", &window, "hello", "Enter"]);
        }
        looks += 1;
        if looks % AGAIN == 0 {
            signal(play, Signal::SIGUSR1);
        }
        play.nudge(false);
        fs::read_to_string(&heard).is_ok_and(|text| text.contains("hello"))
    });
}

/// Closing a window is a stop, once its shim has heard of it. While no daemon names the window,
/// nothing is closed: tmux takes an empty target for the window it likes best.
fn close(play: &Play) {
    let mut looks = 0;
    wait_for("the stop of the closed one", || {
        let closed = seen(play, "closed");
        match text(&closed["window"]) {
            Some(window) if looks % AGAIN == 0 => {
                play.stage.tmux(&["kill-window", "-t", &window]);
                looks += 1;
            }
            Some(_) => looks += 1,
            None => {}
        }
        play.nudge(false);
        closed["state"] == "stopped"
    });
}

fn signal(play: &Play, signal: Signal) {
    let _ = kill(Pid::from_raw(play.daemon()), signal);
}

fn states(play: &Play) -> Vec<String> {
    let line = |name: &&str| {
        let seen = seen_for_sure(play, name);
        format!("{name} {} {}", seen["state"], seen["desired"])
    };
    NAMES.iter().map(line).collect()
}

/// All instances as `ps` shows them; none while no daemon answers.
fn all(play: &Play) -> Vec<Value> {
    play.ps()["instances"].as_array().cloned().unwrap_or_default()
}

fn seen(play: &Play, name: &str) -> Value {
    all(play).into_iter().find(|one| one["name"] == name).unwrap_or_default()
}

fn seen_for_sure(play: &Play, name: &str) -> Value {
    let mut found = Value::Null;
    wait_for("an instance", || {
        play.nudge(false);
        found = seen(play, name);
        !found.is_null()
    });
    found
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
