//! The agents of the quickstart are real programs: run by hand on a small folder, they must say
//! what is in it. Whatever shell is `/bin/sh` here has to do.

#![expect(clippy::disallowed_methods, reason = "the scripts are started without the daemon")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::architecture::tree;

/// Three files in two folders, seven lines in all.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a private folder");
    fs::write(folder.path().join("long name.md"), "1\n2\n3\n4\n").expect("written");
    fs::write(folder.path().join("b.rs"), "1\n2\n").expect("written");
    fs::create_dir(folder.path().join("inner")).expect("made");
    fs::write(folder.path().join("inner/c.rs"), "1\n").expect("written");
    folder
}

/// Runs an agent in `folder`, as its attempt `n`, and gives it a prompt.
fn run(agent: &str, n: u32, folder: &TempDir, prompt: &str) -> Output {
    let mut child = Command::new(tree::root().join(format!("config/agents/{agent}.sh")))
        .current_dir(folder.path())
        .env("MUXVISOR_ATTEMPT", n.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the agent starts");
    child.stdin.take().expect("a pipe").write_all(prompt.as_bytes()).expect("it reads its prompt");
    child.wait_with_output().expect("the agent ends")
}

/// The text between the tags.
fn result(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, rest) = text.split_once("<result>\n").expect("an opening tag");
    let (result, _) = rest.split_once("</result>").expect("a closing tag");
    result.to_owned()
}

#[test]
fn each_agent_reports_what_is_there_and_the_editor_makes_one_brief_of_it() {
    let folder = folder();
    let survey = result(&run("surveyor", 1, &folder, "Count."));
    assert!(survey.contains("- **Files**: 3 in 2 folders\n"), "{survey}");
    assert!(survey.contains(".rs (2), .md (1)"), "{survey}");

    let texts = result(&run("reader", 1, &folder, "Measure."));
    assert!(texts.contains("- **Lines**: 7 in 3 texts\n"), "{texts}");
    assert!(texts.contains("`long name.md` (4), `b.rs` (2), `inner/c.rs` (1)"), "{texts}");

    let history = result(&run("historian", 2, &folder, "Look back."));
    assert!(history.contains("- **Changed**: 3 files within a day"), "{history}");

    let prompt = format!("# Task\n\n```\n{survey}```\n\n```\n{texts}```\n\n```\n{history}```\n");
    let brief = result(&run("editor", 1, &folder, &prompt));
    assert!(brief.contains("3 files, 7 lines. A text has 2 lines on average"), "{brief}");
    for finding in [survey, texts, history] {
        assert!(brief.contains(&finding), "{brief}");
    }
}

#[test]
fn the_historian_fails_once_and_says_why() {
    let output = run("historian", 1, &folder(), "Look back.");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("dropped the calendar"));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("<result>"));
}

#[test]
fn the_editor_invents_nothing() {
    let output = run("editor", 1, &folder(), "# Task\n\nMake one brief.\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("<result>"));
}

#[test]
fn every_agent_can_be_started() {
    for path in tree::paths("config/agents").iter().filter(|path| path.ends_with(".sh")) {
        let mode = fs::metadata(tree::root().join(path)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{path} is not executable");
        assert!(tree::read(path).starts_with("#!/bin/sh\n"), "{path} is for any POSIX shell");
    }
}
