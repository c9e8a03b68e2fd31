//! Shims and the tmux server are killed: agents are fenced or live on, and the work is done once.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::stage::{Stage, end, lives};
use crate::wait::wait_for;

use super::{ENDS, agents, assert_done_once, assert_one_window_each};

/// Its first attempt leaves two descendants and waits; the second looks whether they are gone.
const FENCED: &str = r#"
cat > /dev/null
if [ "$MUXVISOR_ATTEMPT" = 1 ]; then
    sleep 1000 &
    setsid sleep 1000 &
    echo $! >> pids
    echo $$ >> pids
    mv pids ready
    wait
    exit 9
fi
for pid in $(cat ready); do
    if grep -qs MUXVISOR_TOKEN "/proc/$pid/environ"; then exit 8; fi
done
echo "<result>alone</result>"
"#;

const FENCED_PLAN: &str = r#"
plan = "fenced"
approval = "none"
[agent.parent]
command = ["sh", "./agent.sh"]
prompt = "stdin"
[[phase]]
id = "only"
[[phase.task]]
id = "work"
agent = "parent"
description = "work"
retry_wait = { first = "50ms" }
"#;

/// Fault 38: nobody holds the agent of a killed shim, so all of it is ended before the next try.
#[test]
fn a_killed_shim_is_fenced_and_its_work_done_again() {
    for daemon_too in [false, true] {
        let stage = Stage::new();
        stage.file("agent.sh", FENCED);
        stage.file("plan.toml", FENCED_PLAN);
        let client = stage.start(&["run", "plan.toml", "--json"]);
        wait_for("descendants", || stage.desk().join("ready").exists());
        let shim = stage.panes()[0].pid;
        if daemon_too {
            stage.kill_daemon();
        }
        end(shim, Signal::SIGKILL);
        let said = client.end();
        assert_eq!(said.code, 0, "{said:?}");
        let expected = [("work lost".to_owned(), 1), ("work success".to_owned(), 1)];
        assert_eq!(stage.counts(ENDS), expected);
        let pids = fs::read_to_string(stage.desk().join("ready")).unwrap();
        assert!(pids.lines().all(|pid| !lives(pid.parse().unwrap())), "{pids}");
        assert_done_once(&stage);
        assert_one_window_each(&stage);
    }
}

fn five() -> String {
    let mut plan = String::from(
        "plan = \"five\"\napproval = \"none\"\nmax_parallel = 5\n[agent.patient]\nprompt = \"stdin\"\n\
         command = [\"sh\", \"-c\", \"cat >/dev/null; echo before; while [ ! -e go ]; do sleep 0.02; done; \
         echo '<result>after</result>'\"]\n\
         [[phase]]\nid = \"work\"\nexecution_mode = \"parallel\"\n",
    );
    let task = |id: &str| {
        format!("[[phase.task]]\nid = \"{id}\"\nagent = \"patient\"\ndescription = \"wait\"\n")
    };
    for id in ["a", "b", "c", "d", "e"] {
        plan.push_str(&task(id));
    }
    plan.push_str("[[phase]]\nid = \"late\"\ndepends_on_phases = [\"work\"]\n");
    plan.push_str(&task("f"));
    plan
}

/// Fault 15: the tmux server takes nobody with it. One alarm; the run goes on, with or without a
/// new daemon, and what starts later gets windows in a new server.
#[test]
fn agents_outlive_the_tmux_server() {
    for daemon_too in [false, true] {
        let stage = Stage::new();
        stage.file("five.toml", &five());
        let client = stage.start(&["run", "five.toml", "--json"]);
        wait_for("five agents", || agents(&stage.ps()).len() == 5);
        let before = agents(&stage.ps());
        let server = stage.tmux_server().unwrap();
        if daemon_too {
            stage.kill_daemon();
        }
        end(server, Signal::SIGKILL);
        wait_for("another server", || stage.tmux_server().is_some_and(|pid| pid != server));
        stage.daemon_that_answers();
        assert_eq!(agents(&stage.ps()), before);
        stage.file("go", "");
        let said = client.end();
        assert_eq!(said.code, 0, "{said:?}");
        let ends = ["a", "b", "c", "d", "e", "f"].map(|task| (format!("{task} success"), 1));
        assert_eq!(stage.counts(ENDS), ends);
        assert_done_once(&stage);
        let alarms = "SELECT data, count(*) FROM event WHERE kind = 'noted' AND subject = 'tmux'
            AND data LIKE '%is gone%' GROUP BY 1";
        let alarms: i64 = stage.counts(alarms).iter().map(|(_, times)| times).sum();
        assert_eq!(alarms, 1);
    }
}

/// Makes an attempt's start record look like one of an earlier boot, in which the shim and the agent
/// had a pid that is a stranger's by now.
fn predate(stage: &Stage, attempt: &str, stranger: i32) {
    let path = stage.at("attempts").join(attempt).join("started.json");
    let mut started: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for who in ["shim", "agent"] {
        started[who]["pid"] = stranger.into();
        started[who]["boot_id"] = "00000000-0000-0000-0000-000000000000".into();
    }
    fs::write(path, started.to_string()).unwrap();
}

/// Faults 30 and 76: after a power cut everything that ran is lost, is done again once, and pids of
/// an earlier boot mean nothing.
#[test]
fn after_a_power_cut_everything_is_done_again() {
    let stage = Stage::new();
    stage.file("five.toml", &five());
    stage.configure(
        "[agent.idle]\ntype = \"service\"\nautostart = true\nprompt = \"none\"\n\
         result = \"none\"\nrestart_delay = \"100ms\"\nstart_limit_burst = 0\n\
         command = [\"sleep\", \"1000\"]\n",
    );
    let run = stage.json(&["run", "five.toml", "--detach"])["run"].as_str().unwrap().to_owned();
    wait_for("five agents and an instance", || agents(&stage.ps()).len() == 6);
    let before = agents(&stage.ps());
    while !stage.processes().is_empty() {
        stage.processes().into_iter().for_each(|pid| end(pid, Signal::SIGKILL));
    }
    // This test is the stranger: it would not survive being taken for an agent.
    let stranger = i32::try_from(std::process::id()).unwrap();
    before.iter().for_each(|(attempt, _)| predate(&stage, attempt, stranger));
    stage.file("go", "");
    let said = stage.ask(&["wait", &run]);
    assert_eq!(said.code, 0, "{said:?}");
    let ends: Vec<(String, i64)> = ["a", "b", "c", "d", "e"]
        .iter()
        .flat_map(|task| [(format!("{task} lost"), 1), (format!("{task} success"), 1)])
        .chain([("f success".to_owned(), 1)])
        .collect();
    assert_eq!(stage.counts(ENDS), ends);
    wait_for("the instance", || agents(&stage.ps()).len() == 1);
    assert_eq!(stage.ps()["instances"][0]["restarts"], 1);
}

/// Fault 76: a start record that was not on disk yet is gone with the power, so an attempt that was
/// decided in an earlier boot and left nothing may have run. It is lost, not launched once more.
#[test]
fn what_a_power_cut_left_without_a_trace_is_lost() {
    let stage = Stage::new();
    let plan = "plan = \"one\"\napproval = \"none\"\n[[task]]\nid = \"a\"\nkind = \"command\"\n\
                run = [\"true\"]\nretry_wait = { first = \"10ms\" }\n";
    stage.file("one.toml", plan);
    let mut client = stage.command(&["run", "one.toml", "--detach"]);
    client.env("MUXVISOR_FAILPOINT", "launch.make-folder=stand");
    client.env("MUXVISOR_FAILPOINT_MARK", stage.desk().join("mark"));
    let mut client = client.spawn().unwrap();
    wait_for("a daemon that stands before the launch", || stage.desk().join("mark").exists());
    client.kill().unwrap();
    client.wait().unwrap();
    while !stage.processes().is_empty() {
        stage.processes().into_iter().for_each(|pid| end(pid, Signal::SIGKILL));
    }
    let ledger = rusqlite::Connection::open(stage.at("ledger.db")).unwrap();
    let sql = "UPDATE meta SET value = json_set(value, '$.boot_id', 'another') WHERE key = 'clock'";
    assert_eq!(ledger.execute(sql, []).unwrap(), 1);
    drop(ledger);
    stage.start_daemon();
    let runs = stage.counts("SELECT run_id, 1 FROM run");
    assert_eq!(stage.ask(&["wait", &runs[0].0]).code, 0);
    assert_eq!(stage.counts(ENDS), [("a lost".to_owned(), 1), ("a success".to_owned(), 1)]);
}

/// Fault 16, and its like: both sockets are deleted; both are there again, and nobody noticed.
#[test]
fn deleted_sockets_come_back() {
    let stage = Stage::new();
    stage.file("five.toml", &five());
    let client = stage.start(&["run", "five.toml", "--json"]);
    wait_for("five agents", || agents(&stage.ps()).len() == 5);
    let before = agents(&stage.ps());
    let (daemon, server) = (stage.daemon(), stage.tmux_server());
    fs::remove_file(stage.at("run/daemon.sock")).unwrap();
    assert_eq!(stage.ask(&["runs"]).code, 0);
    assert_eq!(stage.daemon(), daemon);
    fs::remove_file(stage.at("run/tmux.sock")).unwrap();
    wait_for("the tmux socket", || stage.panes().len() == 5);
    assert_eq!(stage.tmux_server(), server);
    assert_eq!(agents(&stage.ps()), before);
    // All of it, again and again: those that start then have a socket too.
    for _ in 0..2 {
        let _ = fs::remove_dir_all(stage.at("run"));
        wait_for("the folder of sockets", || stage.at("run/s").is_dir());
        wait_for("the control socket", || stage.at("run/daemon.sock").exists());
        wait_for("the tmux socket", || stage.panes().len() == 5);
    }
    wait_for("the note of the server", || stage.tmux_server() == server);
    assert_eq!(stage.daemon(), daemon);
    // A daemon that starts while the tmux socket is away finds the server all the same.
    stage.kill_daemon();
    let _ = fs::remove_file(stage.at("run/tmux.sock"));
    stage.daemon_that_answers();
    assert_eq!(stage.tmux_server(), server);
    assert_eq!(agents(&stage.ps()), before);
    stage.file("go", "");
    let said = client.end();
    assert_eq!(said.code, 0, "{said:?}");
    assert_done_once(&stage);
}
