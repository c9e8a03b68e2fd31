//! The third plot: an agent that is probed and deaf to its stop, one that draws that it hit a usage
//! limit and is replaced by another, and a group that is restarted with a member that died.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::play::{Play, Plot};
use crate::stage::{Stage, end};
use crate::wait::wait_for;

/// It.
pub(super) const CARE: Plot = Plot { name: "care", prepare, act };

const NAMES: [&str; 5] = ["deaf", "first", "one", "two", "three"];

const CONFIG: &str = r#"
[daemon]
keep_window = "never"
[defaults]
type = "service"
restart = "always"
restart_delay = "20ms"
start_limit_burst = 0
stop_timeout = "300ms"
send_sighup = false
[agent.deaf]
autostart = true
prompt = "none"
result = "none"
cwd = "DESK"
command = ["sh", "./agent.sh", "deaf"]
[[agent.deaf.probe]]
kind = "exec"
command = ["sh", "./probe.sh"]
period = "100ms"
timeout = "100ms"
on_failure = ["alarm"]
[[agent.deaf.probe]]
kind = "screen"
screen = "never to be seen"
period = "100ms"
on_failure = ["alarm"]
[agent.first]
autostart = true
prompt = "none"
result = "none"
cwd = "DESK"
command = ["sh", "./agent.sh", "first"]
[agent.first.failover]
targets = ["second"]
[[agent.first.on]]
name = "usage limit"
when = { screen = "hit your .*limit", exit = "failure" }
outcome = "rate-limited"
reset = "resets (.+)"
[agent.second]
prompt = "none"
result = "none"
cwd = "DESK"
command = ["sh", "./agent.sh", "second"]
[agent.one]
autostart = true
prompt = "none"
result = "none"
cwd = "DESK"
command = ["sh", "./agent.sh", "one"]
[agent.two]
autostart = true
prompt = "none"
result = "none"
cwd = "DESK"
command = ["sh", "./agent.sh", "two"]
[agent.three]
autostart = true
prompt = "none"
result = "none"
cwd = "DESK"
command = ["sh", "./agent.sh", "three"]
[group.crew]
strategy = "rest_for_one"
members = ["one", "two", "three"]
"#;

const AGENT: &str = r#"
echo "$1 $MUXVISOR_ATTEMPT $MUXVISOR_TOKEN $$" >> started
exec 9>>"$1.lock"
flock -n 9 || echo "$1 runs twice" >> violations
exec 9>&-
case "$1" in
deaf) trap '' TERM; printf '\033]7501;state=working\007' ;;
first)
    printf '\033[2J\033[3;1H'
    echo "You've hit your 5-hour limit, resets in 3600 seconds" >&2
    exit 1 ;;
second) cat "$MUXVISOR_HANDOVER" > handed ;;
two) while [ ! -e crash ]; do sleep 0.02; done; if mkdir crashed 2>/dev/null; then exit 1; fi ;;
esac
while :; do sleep 0.05; done
"#;

/// Hangs when it is to hang, and outlives nobody.
const PROBE: &str = "echo looked >> looks; [ -e hang ] && exec sleep 1000; exit 0\n";

fn prepare(stage: &Stage) {
    stage.file("agent.sh", AGENT);
    stage.file("probe.sh", PROBE);
    stage.configure(&config(stage));
}

fn act(play: &Play) -> Vec<String> {
    play.daemon();
    until(play, "everybody at work", || {
        ["deaf", "second", "three"].iter().all(|name| play.has_started(name, 1))
    });
    until(play, "looks", || lines(play, "looks") > 3);
    play.stage.file("crash", "");
    until(play, "the rest of the group", || {
        play.has_started("two", 2) && play.has_started("three", 2)
    });
    play.stage.file("hang", "");
    until(play, "an alarm", || {
        let why = play.ask(&["why", "deaf", "--json"]).out;
        let why: Value = serde_json::from_str(&why).unwrap_or_default();
        why["health"]["probes"][0]["state"] == "failing"
    });
    until(play, "the handover", || lines(play, "handed") > 0);
    for name in NAMES {
        play.insist(&["wait", name, "--for", "running"]);
    }
    break_and_mend(play);
    play.insist(&["down"]);
    for name in NAMES {
        play.insist(&["wait", name, "--for", "stopped"]);
    }
    Vec::new()
}

/// The file is broken, the daemon dies, the next one goes on with the last good one; then the file
/// is mended, and says more than before.
fn break_and_mend(play: &Play) {
    let good = config(&play.stage);
    play.stage.configure(&good.replace("[agent.one]", "[agent.one"));
    until(play, "the mistake to be seen", || problem(play).is_some());
    end(play.daemon(), Signal::SIGKILL);
    play.daemon();
    assert!(problem(play).is_none_or(|problem| problem.contains("configuration")));
    play.stage.configure(&good.replace("100ms", "110ms"));
    until(play, "the mended file", || {
        let kept = fs::read_to_string(play.stage.at("config.good")).unwrap_or_default();
        kept.contains("110ms") && problem(play).is_none() && !play.ps().is_null()
    });
}

fn problem(play: &Play) -> Option<String> {
    play.ps()["configuration"]["problem"].as_str().map(str::to_owned)
}

fn config(stage: &Stage) -> String {
    CONFIG.replace("DESK", &stage.desk().display().to_string())
}

fn until(play: &Play, what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || {
        play.nudge(false);
        holds()
    });
}

fn lines(play: &Play, name: &str) -> usize {
    fs::read_to_string(play.stage.desk().join(name)).unwrap_or_default().lines().count()
}
