//! Fault 76: what the ledger and the records say is of a boot that is over.

use std::collections::BTreeSet;
use std::fs;

use nix::sys::signal::Signal;
use rusqlite::{Connection, params};
use serde_json::Value;

use crate::stage::{Stage, end, lives, pid_of};
use crate::wait::wait_for;

const AGENTS: usize = 12;
const OTHER_BOOT: &str = "00000000-0000-0000-0000-000000000000";

fn config() -> String {
    let one = |n| {
        format!(
            "[agent.a{n}]\ntype = 'service'\nautostart = true\nrestart_delay = '1s'\n\
             command = ['sleep', '1000']\n"
        )
    };
    (0..AGENTS).map(one).collect()
}

fn running(stage: &Stage) -> usize {
    let ps = stage.ps();
    ps["instances"].as_array().unwrap().iter().filter(|one| one["state"] == "running").count()
}

/// A mark of the same place in another boot, where the pid is a stranger's by now.
fn predate(mark: &mut Value, stranger: i32) {
    mark["pid"] = stranger.into();
    mark["boot_id"] = OTHER_BOOT.into();
}

fn predate_files(stage: &Stage, stranger: i32) {
    for attempt in fs::read_dir(stage.at("attempts")).unwrap().flatten() {
        let path = attempt.path().join("started.json");
        let mut started: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        predate(&mut started["shim"], stranger);
        predate(&mut started["agent"], stranger);
        fs::write(path, started.to_string()).unwrap();
    }
    let server = stage.at("run/tmux.server");
    let mut mark: Value = serde_json::from_slice(&fs::read(&server).unwrap()).unwrap();
    predate(&mut mark, stranger);
    fs::write(server, mark.to_string()).unwrap();
}

fn predate_ledger(stage: &Stage, stranger: i32) {
    let ledger = Connection::open(stage.at("ledger.db")).unwrap();
    let mut query = ledger.prepare("SELECT id, shim, process FROM attempt").unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let rows: Vec<(i64, String, String)> = rows.map(Result::unwrap).collect();
    for (id, shim, process) in rows {
        let other = |text: &str| {
            let mut mark: Value = serde_json::from_str(text).unwrap();
            predate(&mut mark, stranger);
            mark.to_string()
        };
        let change = "UPDATE attempt SET shim = ?2, process = ?3 WHERE id = ?1";
        ledger.execute(change, params![id, other(&shim), other(&process)]).unwrap();
    }
    let clock = "UPDATE meta SET value = json_set(value, '$.boot_id', ?1) WHERE key = 'clock'";
    assert_eq!(ledger.execute(clock, [OTHER_BOOT]).unwrap(), 1);
}

/// Nobody is signalled by a pid of another boot, everything is lost once, and what comes back does
/// not come back all at once.
#[test]
fn after_a_reboot_agents_come_back_one_by_one() {
    let stage = Stage::new();
    stage.configure(&config());
    stage.start_daemon();
    wait_for("all agents", || running(&stage) == AGENTS);
    while !stage.processes().is_empty() {
        stage.processes().into_iter().for_each(|pid| end(pid, Signal::SIGKILL));
    }
    // This test is the stranger: it would not survive being taken for an agent.
    let stranger = i32::try_from(std::process::id()).unwrap();
    predate_files(&stage, stranger);
    predate_ledger(&stage, stranger);
    stage.start_daemon();
    let all_lost = [("lost".to_owned(), i64::try_from(AGENTS).unwrap())];
    let ends = "SELECT outcome, count(*) FROM attempt WHERE state = 'ended' GROUP BY 1";
    wait_for("the loss of all of them", || stage.counts(ends) == all_lost);
    wait_for("all of them again", || running(&stage) == AGENTS);
    assert_eq!(stage.counts(ends), all_lost);
    let delay = "SELECT name, json_extract(row, '$.last_delay_ms') FROM instance";
    let delays: Vec<i64> = stage.counts(delay).into_iter().map(|(_, delay)| delay).collect();
    assert!(delays.iter().all(|ms| (1_000..=1_250).contains(ms)), "{delays:?}");
    let different = BTreeSet::from_iter(&delays).len();
    assert!(different > AGENTS / 2, "they come back together: {delays:?}");
    let ps = stage.ps();
    for one in ps["instances"].as_array().unwrap() {
        assert_eq!(one["restarts"], 1, "{one}");
        assert!(pid_of(&one["pid"]).is_some_and(lives), "{one}");
    }
    assert_eq!(stage.agents().len(), AGENTS);
}
