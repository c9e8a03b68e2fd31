//! Fault 14: a daemon finds the ledger of the release before, and agents that live.

use std::fs;

use nix::sys::signal::Signal;
use rusqlite::{Connection, params};
use serde_json::Value;

use crate::stage::{Stage, end, pid_of};
use crate::wait::wait_for;

/// The tables of version 1, as they were released.
const V1: &str = include_str!("../../data/ledger-v1.sql");

/// What the release that wrote version 1 did not know, wherever it stands in a row.
const UNKNOWN_THEN: [&str; 9] = [
    "resources",
    "care",
    "handover",
    "env_filter",
    "serving",
    "switches",
    "failover",
    "restart_force_codes",
    "restart_force_signals",
];

/// A JSON text as it would have been written then.
fn as_then(text: &str) -> String {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                // The only way to stop somebody had no name then.
                if fields.contains_key("send_sighup") {
                    fields.remove("mode");
                }
                fields.retain(|name, _| !UNKNOWN_THEN.contains(&name.as_str()));
                fields.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut value: Value = serde_json::from_str(text).unwrap();
    strip(&mut value);
    value.to_string()
}

/// Replaces the ledger by one of version 1 that says the same.
fn downgrade(stage: &Stage) {
    let (path, old) = (stage.at("ledger.db"), stage.at("old.db"));
    let then = Connection::open(&old).unwrap();
    then.execute_batch(V1).unwrap();
    then.execute("ATTACH ?1 AS now", [path.to_str().unwrap()]).unwrap();
    let tables =
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    for table in texts(&then, tables) {
        let columns = format!("SELECT group_concat(name) FROM pragma_table_info('{table}')");
        let columns = texts(&then, &columns).remove(0);
        let copy =
            format!("INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}");
        then.execute(&copy, []).unwrap();
    }
    let json = [("attempt", "spec"), ("instance", "row"), ("run", "submission"), ("event", "data")];
    for (table, column) in json {
        // What is no document is the text of a note.
        let query =
            format!("SELECT DISTINCT {column} FROM main.{table} WHERE {column} LIKE '{{%}}'");
        for text in texts(&then, &query) {
            let change = format!("UPDATE main.{table} SET {column} = ?2 WHERE {column} = ?1");
            then.execute(&change, params![text, as_then(&text)]).unwrap();
        }
    }
    then.execute("DETACH now", []).unwrap();
    then.pragma_update(None, "application_id", 0x6d78_7673).unwrap();
    then.pragma_update(None, "user_version", 1).unwrap();
    drop(then);
    for beside in ["ledger.db-wal", "ledger.db-shm"] {
        let _ = fs::remove_file(stage.at(beside));
    }
    fs::rename(old, path).unwrap();
}

fn texts(db: &Connection, query: &str) -> Vec<String> {
    let mut query = db.prepare(query).unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn agents(stage: &Stage) -> Vec<i32> {
    let ps = stage.ps();
    let list = |name: &str| ps[name].as_array().unwrap().clone();
    let all = list("attempts").into_iter().chain(list("instances"));
    all.filter(|one| one["state"] == "running").filter_map(|one| pid_of(&one["pid"])).collect()
}

const PLAN: &str = r#"
plan = "long"
approval = "none"
[agent.patient]
prompt = "stdin"
command = ["sh", "-c", "cat > /dev/null; while [ ! -e go ]; do sleep 0.02; done; echo '<result>done</result>'"]
[[task]]
id = "first"
agent = "patient"
description = "wait"
[[task]]
id = "second"
agent = "patient"
description = "wait again"
depends_on = ["first"]
"#;

/// The ledger is migrated; an instance and a run go on where they are, under the same processes.
#[test]
fn the_ledger_of_the_release_before_is_taken_up() {
    let stage = Stage::new();
    stage.configure(
        "[agent.idle]\ntype = 'service'\nautostart = true\ncommand = ['sleep', '1000']\n",
    );
    stage.file("plan.toml", PLAN);
    let run = stage.json(&["run", "plan.toml", "--detach"])["run"].as_str().unwrap().to_owned();
    wait_for("the instance and the first task", || agents(&stage).len() == 2);
    let before = agents(&stage);
    end(stage.daemon().unwrap(), Signal::SIGTERM);
    downgrade(&stage);
    stage.start_daemon();
    wait_for("both of them", || agents(&stage).len() == 2);
    assert_eq!(agents(&stage), before);
    assert_eq!(stage.ps()["instances"][0]["restarts"], 0);
    let version: u32 =
        stage.ledger().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert!(version > 1);
    stage.file("go", "");
    let said = stage.ask(&["wait", &run, "--timeout", "15s"]);
    assert_eq!(said.code, 0, "{said:?}\n{}", stage.log());
    let ends =
        stage.counts("SELECT outcome, count(*) FROM attempt WHERE state = 'ended' GROUP BY 1");
    assert_eq!(ends, [("success".to_owned(), 2)]);
}
