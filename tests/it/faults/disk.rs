//! Fault 62: the disk of the ledger, of the logs, or of both is full for a while. Fault 64: the
//! ledger is taken away.
//!
//! The disks are small file systems in memory, which only root may mount; without that right these
//! tests say so and prove nothing. A folder that fills up by a quota would do as well.

#![expect(clippy::disallowed_methods, reason = "mount is a program")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::stage::{Stage, end, lives};
use crate::wait::wait_for;

/// Says `before`, floods while the disk is full, goes on when it has space.
const AGENT: &str = r#"
echo run >> times
cat > /dev/null
echo before
while [ ! -e full ]; do sleep 0.02; done
head -c 300000 /dev/zero | tr '\0' x
while [ ! -e space ]; do sleep 0.02; done
echo "<result>after</result>"
"#;

const PLAN: &str = r#"
plan = "full"
approval = "none"
[agent.writer]
command = ["sh", "./agent.sh"]
prompt = "stdin"
[[phase]]
id = "one"
[[phase.task]]
id = "writes"
agent = "writer"
description = "write"
[[phase]]
id = "two"
depends_on_phases = ["one"]
[[phase.task]]
id = "follows"
kind = "command"
run = ["true"]
"#;

const CONFIG: &str = r#"
[agent.keeper]
type = "service"
autostart = true
prompt = "none"
result = "none"
command = ["sleep", "1000"]
"#;

/// Small disks on folders, gone when dropped.
struct Disks(Vec<PathBuf>);

impl Drop for Disks {
    fn drop(&mut self) {
        for folder in self.0.iter().rev() {
            let _ = Command::new("umount").arg("--lazy").arg(folder).status();
        }
    }
}

/// A home on disks of its own, or none without the right to mount.
fn staged(folders: &[&str]) -> Option<(Disks, Stage)> {
    let stage = Stage::new();
    let mut disks = Disks(Vec::new());
    for folder in folders {
        let path = if folder.is_empty() { stage.home() } else { stage.at(folder) };
        fs::create_dir_all(&path).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=3m,mode=700", "tmpfs"];
        let mounted = Command::new("mount").args(options).arg(&path).status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("no right to mount a small disk: nothing is proven here");
            return None;
        }
        disks.0.push(path);
    }
    stage.configure(CONFIG);
    stage.file("agent.sh", AGENT);
    stage.file("plan.toml", PLAN);
    Some((disks, stage))
}

/// Fills a disk to its last byte.
fn fill(folder: &Path) -> PathBuf {
    let ballast = folder.join("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    let mut size = 1 << 16;
    while size > 0 {
        if std::io::Write::write_all(&mut file, &vec![1; size]).is_err() {
            size /= 2;
        }
    }
    ballast
}

fn alarm(stage: &Stage) -> Option<String> {
    stage.ps()["daemon"]["alarm"].as_str().map(str::to_owned)
}

fn at_work(stage: &Stage) -> String {
    let run = stage.json(&["run", "plan.toml", "--detach"])["run"].as_str().unwrap().to_owned();
    wait_for("a writer and a keeper", || stage.agents().len() >= 2 && keeper(stage) == "running");
    wait_for("its first words", || stage.desk().join("times").exists());
    run
}

fn keeper(stage: &Stage) -> String {
    stage.ps()["instances"][0]["state"].as_str().unwrap_or_default().to_owned()
}

/// The run came to its end as if nothing had been; the writer ran once.
fn assert_done(stage: &Stage, run: &str) {
    let said = stage.ask(&["wait", run]);
    assert_eq!(said.code, 0, "{said:?}");
    let results = stage.json(&["results", run]);
    let results = &results["execution_results"];
    assert_eq!(results["summary"]["successful"], 2, "{results}");
    assert_eq!(results["phases"][0]["tasks"][0]["output"], "after", "{results}");
    assert_eq!(fs::read_to_string(stage.desk().join("times")).unwrap(), "run\n");
}

fn writer_folder(stage: &Stage) -> PathBuf {
    let folders = fs::read_dir(stage.at("attempts")).unwrap().map(|entry| entry.unwrap().path());
    let of_writer = |path: &PathBuf| {
        fs::read_to_string(path.join("spec.json")).is_ok_and(|spec| spec.contains("agent.sh"))
    };
    folders.into_iter().find(of_writer).unwrap()
}

fn assert_gap(stage: &Stage) {
    let folder = writer_folder(stage);
    let index = fs::read_to_string(folder.join("output.idx")).unwrap();
    assert!(index.lines().any(|line| line.ends_with(" g")), "{index}");
    let exit: Value = serde_json::from_slice(&fs::read(folder.join("exit.json")).unwrap()).unwrap();
    assert_eq!(exit["log_gap"], true);
}

/// Ledger and logs on one disk that is full, then not. `leave`: the daemon is told to end meanwhile,
/// and another one is wanted before there is space.
fn ledger_and_logs(leave: bool) {
    let Some((_disks, stage)) = staged(&[""]) else { return };
    let run = at_work(&stage);
    let daemon = stage.daemon().unwrap();
    let ballast = fill(&stage.home());
    stage.file("full", "");
    // A decision that has to be written, and is not answered before it is.
    let client = stage.start(&["down", "keeper"]);
    wait_for("an alarm", || alarm(&stage).is_some());
    let said = stage.ask(&["run", "plan.toml", "--detach", "--json"]);
    assert!(said.code == 1 && said.out.contains("nothing can be recorded"), "{said:?}");
    // Who only asks is answered, and the agents run on.
    assert_eq!(stage.ask(&["runs"]).code, 0);
    assert_eq!(stage.ask(&["show", &run]).code, 0);
    assert_eq!(keeper(&stage), "stopping", "decided, not written, not done");
    assert!(stage.agents().len() >= 2, "an agent was stopped before that was written");
    if leave {
        kill(Pid::from_raw(daemon), Signal::SIGINT).unwrap();
        wait_for("the end of the daemon", || !lives(daemon));
        assert!(stage.agents().len() >= 2, "agents live on");
        // A daemon without space either serves or says why not.
        let said = stage.ask(&["runs"]);
        assert!(said.code == 0 || said.err.contains("space"), "{said:?}");
        drop(client);
        fs::remove_file(ballast).unwrap();
        stage.daemon_after_all();
        assert_eq!(keeper(&stage), "running", "what was not written was not decided");
    } else {
        fs::remove_file(ballast).unwrap();
        let said = client.end();
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(stage.daemon(), Some(daemon));
        wait_for("the end of the alarm", || alarm(&stage).is_none());
        let noted = "SELECT data, count(*) FROM event WHERE kind = 'noted' AND subject = 'ledger'
            GROUP BY 1";
        wait_for("a mark of the gap", || stage.counts(noted).len() == 1);
        wait_for("the keeper's end", || keeper(&stage) == "stopped");
    }
    stage.file("space", "");
    assert_done(&stage, &run);
    assert_gap(&stage);
}

impl Stage {
    fn daemon_after_all(&self) -> i32 {
        wait_for("a daemon", || self.ask(&["runs"]).code == 0);
        self.daemon_that_answers()
    }
}

/// Fault 62, ledger and logs.
#[test]
fn a_full_disk_is_waited_out() {
    ledger_and_logs(false);
}

/// Fault 62: signals are heard meanwhile, and what was not written was not done.
#[test]
fn a_daemon_on_a_full_disk_can_be_told_to_leave() {
    ledger_and_logs(true);
}

/// Fault 62, logs only: the ledger goes on, the gap is marked, and a launch without room for its
/// folder is tried again and costs no attempt.
#[test]
fn full_logs_cost_output_and_no_attempt() {
    let Some((_disks, stage)) = staged(&["attempts"]) else { return };
    let run = at_work(&stage);
    let ballast = fill(&stage.at("attempts"));
    stage.file("full", "");
    let said = stage.ask(&["down", "keeper"]);
    assert_eq!(said.code, 0, "{said:?}");
    let plan = PLAN.replace("plan = \"full\"", "plan = \"late\"").replace("agent.sh", "late.sh");
    stage.file("late.toml", &plan);
    stage.file("late.sh", "cat > /dev/null; echo '<result>late</result>'");
    let late = stage.json(&["run", "late.toml", "--detach"])["run"].as_str().unwrap().to_owned();
    let failed = "SELECT 'failed', count(*) FROM event WHERE data LIKE '%launch failed%'";
    wait_for("a launch that failed", || stage.counts(failed)[0].1 > 0);
    assert_eq!(alarm(&stage), None, "the ledger has room");
    fs::remove_file(ballast).unwrap();
    stage.file("space", "");
    let said = stage.ask(&["wait", &late]);
    assert_eq!(said.code, 0, "{said:?}");
    let attempts = format!(
        "SELECT task, count(*) FROM attempt JOIN run ON run.id = attempt.run
         WHERE run_id = '{late}' GROUP BY 1"
    );
    let once = [("follows".to_owned(), 1), ("writes".to_owned(), 1)];
    assert_eq!(stage.counts(&attempts), once);
    assert_done(&stage, &run);
    assert_gap(&stage);
}

/// Fault 62, ledger only: output is whole.
#[test]
fn a_full_ledger_costs_no_output() {
    let Some((_disks, stage)) = staged(&["", "attempts"]) else { return };
    let run = at_work(&stage);
    let ballast = fill(&stage.home());
    stage.file("full", "");
    stage.file("space", "");
    // The writer ends, and that cannot be written.
    wait_for("the record of its end", || writer_folder(&stage).join("exit.json").exists());
    wait_for("an alarm", || alarm(&stage).is_some());
    fs::remove_file(ballast).unwrap();
    assert_done(&stage, &run);
    let index = fs::read_to_string(writer_folder(&stage).join("output.idx")).unwrap();
    assert!(!index.contains(" g"), "{index}");
}

/// Fault 64: the ledger is taken away. Nothing is written into a file without a name; when it is
/// back, all goes on.
#[test]
fn a_ledger_that_is_taken_away_is_an_alarm() {
    let stage = Stage::new();
    stage.configure(CONFIG);
    let daemon = stage.start_daemon();
    wait_for("the keeper", || keeper(&stage) == "running");
    let (place, away) = (stage.at("ledger.db"), stage.at("elsewhere.db"));
    fs::rename(&place, &away).unwrap();
    let client = stage.start(&["down", "keeper"]);
    wait_for("an alarm", || alarm(&stage).is_some_and(|said| said.contains("not the ledger")));
    assert_eq!(stage.agents().len(), 1, "the keeper runs on");
    fs::rename(&away, &place).unwrap();
    let said = client.end();
    assert_eq!(said.code, 0, "{said:?}");
    wait_for("the keeper's end", || keeper(&stage) == "stopped");
    assert_eq!(stage.daemon(), Some(daemon));
    end(daemon, Signal::SIGTERM);
}

/// Fault 64: the whole state is deleted under a living daemon, which says so and does not fall over.
#[test]
fn a_state_that_is_deleted_is_an_alarm() {
    let stage = Stage::new();
    stage.configure(CONFIG);
    let daemon = stage.start_daemon();
    wait_for("the keeper", || keeper(&stage) == "running");
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let _ = fs::remove_file(stage.at(name));
    }
    fs::remove_dir_all(stage.at("attempts")).unwrap();
    let client = stage.start(&["down", "keeper"]);
    wait_for("an alarm", || alarm(&stage).is_some());
    assert!(lives(daemon));
    assert_eq!(stage.agents().len(), 1, "the keeper runs on");
    drop(client);
    end(daemon, Signal::SIGTERM);
    assert_eq!(stage.agents().len(), 1, "and outlives the daemon");
}
