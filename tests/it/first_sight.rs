//! What a person sees who tries it for the first time: the quickstart on a fresh home, its words,
//! its windows, and what stays of them (design §1, §3).

use std::collections::BTreeSet;
use std::fs;

use crate::architecture::tree;
use serde_json::Value;

use crate::scene::Scene;
use crate::wait::wait_for;

/// The places in `text` of some words, which must come in this order.
#[track_caller]
fn in_order(text: &str, words: &[&str]) {
    let mut from = 0;
    for word in words {
        let at = text[from..].find(word);
        from += at.unwrap_or_else(|| panic!("no `{word}` where it belongs:\n{text}")) + word.len();
    }
}

/// The plan, the progress, the merged result and the summary, in this order.
#[track_caller]
fn says_what_belongs_there(said: &str) {
    in_order(
        said,
        &[
            "Session: quickstart",
            "Task: A brief about the directory you are in",
            "Max Parallel Agents: 3",
            "1. [surveyor]",
            "4. [editor]",
            "Dependencies: #1, #2, #3",
            "Execution Order:",
            " is submitted\n",
            "trying again",
            "✔ brief (editor",
            "# desk in brief\n",
            "2 files, 6 lines.",
            "- **Files**: 2",
            "- **Lines**: 6",
            "4 of 4 tasks completed.\n",
            "completed in ",
            "retried: 1",
        ],
    );
    for progress in ["▸ survey (surveyor)", "↻ history", "▸ history (historian, attempt 2)"] {
        assert!(said.contains(progress), "{said}");
    }
    assert!(!said.contains('\x1b'), "no colours beside a terminal");
}

#[test]
fn the_quickstart_shows_a_plan_its_work_and_its_result() {
    let scene = Scene::new();
    fs::write(scene.desk().join("long name.md"), "1\n2\n3\n4\n").unwrap();
    fs::write(scene.desk().join("b.rs"), "1\n2\n").unwrap();
    let plan = tree::root().join("config/plans/quickstart.toml");
    let going = scene.begin(&["run", plan.to_str().unwrap()]);
    let windows = || {
        let format = "#{window_id} #{window_name}";
        scene.ask_tmux(&["list-windows", "-a", "-F", format])
    };
    // While it runs: one window for each attempt, under its label, as `ps` says.
    wait_for("three agents, each in its window", || {
        let attempts = Value::from(scene.live());
        let listed: BTreeSet<String> = windows().lines().map(str::to_owned).collect();
        let seen: Vec<String> = attempts
            .as_array()
            .unwrap()
            .iter()
            .filter(|attempt| attempt["state"] == "running")
            .map(|attempt| {
                let word = |key: &str| attempt[key].as_str().unwrap().to_owned();
                assert!(word("name").starts_with("wf_PLAN-"), "{attempt}");
                assert!(word("name").contains(&format!("_{}_{}_", word("task"), word("agent"))));
                format!("{} {}", word("window"), word("name"))
            })
            .collect();
        seen.len() == 3 && seen.iter().all(|window| listed.contains(window))
    });
    // What an agent says is readable while it says it: every line starts at the left.
    let survey = windows();
    let survey = survey.lines().find(|line| line.contains("_survey_")).unwrap();
    let survey = survey.split(' ').next().unwrap();
    let mut screen = String::new();
    wait_for("a line in the window", || {
        screen = scene.ask_tmux(&["capture-pane", "-p", "-t", survey]);
        screen.lines().filter(|line| line.starts_with("· ")).count() >= 2
    });
    assert!(screen.lines().all(|line| !line.starts_with(' ')), "a staircase:\n{screen}");
    let answer = going.end();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(answer.stderr, "", "words for people are on standard output here");
    says_what_belongs_there(&answer.stdout);
    // Successes go after a few seconds; the failure stays to be looked at, words and all.
    wait_for("the windows of successes to close", || windows().matches("wf_").count() == 1);
    let left = windows();
    let left = left.lines().find(|line| line.contains("_history_")).expect("the failed attempt");
    let window = left.split(' ').next().unwrap();
    let screen = scene.ask_tmux(&["capture-pane", "-p", "-t", window]);
    assert!(screen.contains("historian: dropped the calendar"), "{screen}");
    // The log has it too, and `why` knows.
    let log = scene.call(&["logs", "history", "--attempt", "1", "--plain"]);
    assert!(log.stdout.contains("historian: dropped the calendar"), "{log:?}");
    let why = scene.call(&["why", "history"]);
    assert!(why.code == 0 && why.stdout.contains("exited with code 1"), "{why:?}");
}
