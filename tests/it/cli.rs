//! The command line without a daemon: homes, exit codes, the shape of errors, and the commands
//! that never start one (design §11).

#![expect(clippy::disallowed_methods, reason = "these tests start the program")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::control::private_directory;

/// The program in an environment that knows nothing but `PATH` and a home.
pub(crate) fn muxvisor(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muxvisor"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", home).env("MUXVISOR_HOME", home);
    command.current_dir(home).stdin(Stdio::null());
    command
}

/// What it says to words that are separated by blanks.
pub(crate) fn say(home: &Path, words: &str) -> Output {
    muxvisor(home).args(words.split_whitespace()).output().unwrap()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The document on standard output, which must stand there alone.
pub(crate) fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {} / {}", out(output), err(output)))
}

const PLAN: &str = "\
plan = \"small\"
goal = \"A small thing\"

[[phase]]
id = \"only\"

  [[phase.task]]
  id = \"one\"
  description = \"Say hello.\"
  kind = \"command\"
  run = [\"echo\", \"hello\"]
";

/// A home with a plan in it.
pub(crate) fn home_with_plan() -> TempDir {
    let home = private_directory();
    fs::write(home.path().join("small.toml"), PLAN).unwrap();
    fs::write(home.path().join("broken.toml"), PLAN.replace("run =", "runn =")).unwrap();
    home
}

fn names_in(home: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(home.path()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// `ps` and `doctor` never start a daemon, and leave nothing behind.
#[test]
fn ps_and_doctor_look_without_starting_anything() {
    let home = private_directory();
    let seen = say(home.path(), "ps --json");
    assert_eq!(code(&seen), 0);
    let expected = r#"{"daemon":null,"instances":[],"attempts":[],"parked":[],"asks":[],"configuration":null}"#;
    assert_eq!(out(&seen).trim(), expected);
    let seen = say(home.path(), "ps");
    assert!(out(&seen).contains("no daemon runs here"), "{}", out(&seen));
    let seen = document(&say(home.path(), "doctor --json"));
    let names: Vec<&str> = seen["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    for name in ["tmux", "home", "socket", "kernel", "descriptors", "terminals", "daemon", "ledger"]
    {
        assert!(names.contains(&name), "{names:?}");
    }
    assert_eq!(names_in(&home), [""; 0]);
}

/// Fault H: a home that others may enter is found by `doctor` and refused by everybody else.
#[test]
fn an_open_home_is_told_as_such() {
    let home = private_directory();
    let run = home.path().join("run");
    fs::create_dir(&run).unwrap();
    fs::set_permissions(&run, PermissionsExt::from_mode(0o755)).unwrap();
    let seen = say(home.path(), "doctor");
    assert_eq!(code(&seen), 1);
    assert!(
        out(&seen).contains("✘ runtime:") && out(&seen).contains("chmod 700"),
        "{}",
        out(&seen)
    );
    let seen = say(home.path(), "runs --json");
    assert_eq!((code(&seen), &document(&seen)["error"]["kind"]), (2, &Value::from("usage")));
}

/// Design §11: wrong usage is 2, whatever is wrong, and a document when one was asked for.
#[test]
fn wrong_usage_has_one_exit_code_and_one_shape() {
    let home = home_with_plan();
    for words in [
        "frobnicate",
        "run",
        "run missing.toml",
        "run small.toml --max-parallel 0",
        "run small.toml --input nothing",
        "run small.toml --input a=1 --input a=2",
        "plan check missing.toml",
        "plan show broken.toml",
        "show nonsense",
        "cancel PLAN-1",
        "wait x --timeout 1.5s",
        "start",
        "check missing.toml",
        "submit",
        "--config missing.toml run small.toml",
    ] {
        let seen = say(home.path(), words);
        assert_eq!(code(&seen), 2, "{words}: {}", err(&seen));
        assert_eq!(out(&seen), "", "{words}");
        assert!(!err(&seen).is_empty(), "{words}");
        let seen = say(home.path(), &format!("{words} --json"));
        assert_eq!(code(&seen), 2, "{words} --json");
        let error = &document(&seen)["error"];
        let kind = error["kind"].as_str().unwrap();
        assert!(["usage", "invalid"].contains(&kind), "{words}: {error}");
        assert!(!error["message"].as_str().unwrap().is_empty(), "{words}");
        assert!(error["hint"].is_string() || error["hint"].is_null(), "{words}");
        assert!(error["findings"].is_array(), "{words}");
    }
    assert_eq!(names_in(&home), ["broken.toml", "small.toml"], "no daemon was started");
}

#[test]
fn help_names_every_verb_and_the_exit_codes() {
    let home = private_directory();
    let help = out(&say(home.path(), "--help"));
    for word in "run plan ps attach logs runs show results wait approve cancel up down start stop \
                 restart reset-failed why check doctor daemon submit"
        .split_whitespace()
    {
        assert!(help.contains(&format!("  {word} ")), "{word} is missing:\n{help}");
    }
    assert!(help.contains("  70  internal error"), "{help}");
    assert_eq!(code(&say(home.path(), "--version")), 0);
}

/// A plan with problems is refused before anything starts, all findings at once.
#[test]
fn a_plan_with_problems_starts_nothing() {
    let home = home_with_plan();
    for words in ["plan check broken.toml", "run broken.toml"] {
        let seen = say(home.path(), words);
        assert_eq!(code(&seen), 2, "{}", err(&seen));
        let said = out(&seen) + &err(&seen);
        assert!(said.contains("broken.toml:11:3"), "{said}");
        assert!(said.contains("did you mean"), "{said}");
        let error = document(&say(home.path(), &format!("{words} --json")))["error"].take();
        assert_eq!(error["kind"], "invalid");
        let lines: Vec<&Value> =
            error["findings"].as_array().unwrap().iter().map(|f| &f["line"]).collect();
        assert!(lines.contains(&&Value::from(11)), "{error}");
    }
    assert_eq!(names_in(&home), ["broken.toml", "small.toml"]);
}

/// Features A6-A9: `plan show` needs no daemon; global flags stand anywhere.
#[test]
fn a_right_plan_is_shown() {
    let home = home_with_plan();
    let seen = say(home.path(), "plan show small.toml");
    assert_eq!(code(&seen), 0, "{}", err(&seen));
    assert!(out(&seen).contains("Max Parallel Agents:"), "{}", out(&seen));
    let seen = say(home.path(), "--home elsewhere plan show small.toml --json");
    assert_eq!(document(&seen)["session"], "small");
    let seen = document(&say(home.path(), "plan check small.toml --json --home elsewhere"));
    assert_eq!(seen["ok"], true);
    assert_eq!(names_in(&home), ["broken.toml", "small.toml"]);
}

/// Design §10: the configuration of a named home is its `muxvisor.toml`.
#[test]
fn a_configuration_with_problems_starts_nothing() {
    let home = home_with_plan();
    let seen = say(home.path(), "check");
    assert_eq!(code(&seen), 0);
    assert!(out(&seen).contains("the defaults hold"), "{}", out(&seen));
    fs::write(home.path().join("muxvisor.toml"), "[agent.a]\ncommmand = [\"x\"]\n").unwrap();
    for words in ["check --json", "run small.toml --json", "runs --json", "up --json"] {
        let seen = say(home.path(), words);
        assert_eq!(code(&seen), 2, "{words}");
        let error = document(&seen)["error"].take();
        assert_eq!(error["kind"], "invalid", "{words}: {error}");
        assert!(!error["findings"].as_array().unwrap().is_empty(), "{words}: {error}");
    }
    let other = home.path().join("other.toml");
    fs::write(&other, "[agent.b]\ncommand = [\"true\"]\n").unwrap();
    assert_eq!(code(&say(home.path(), "check --config other.toml")), 0);
    assert_eq!(code(&say(home.path(), "check other.toml")), 0);
    assert!(!home.path().join("run").exists(), "no daemon was started");
}

/// Design §3: a socket path that does not fit is an error with a way out.
#[test]
fn a_home_that_is_too_deep_is_told_as_such() {
    let home = home_with_plan();
    let deep = "d".repeat(100);
    let seen = say(home.path(), &format!("runs --json --home {deep}"));
    assert_eq!(code(&seen), 2);
    let error = document(&seen)["error"].take();
    assert!(error["message"].as_str().unwrap().contains("107"), "{error}");
}

/// A daemon that cannot start says why, with its last words and exit code 10.
#[test]
fn a_daemon_that_cannot_start_says_why() {
    let home = home_with_plan();
    fs::write(home.path().join("ledger.db"), "this is no ledger, and must be kept").unwrap();
    let seen = say(home.path(), "runs --json");
    assert_eq!(code(&seen), 10, "{}", err(&seen));
    let error = document(&seen)["error"].take();
    assert_eq!(error["kind"], "unreachable");
    assert!(error["message"].as_str().unwrap().contains("ledger"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("daemon.log"), "{error}");
}

fn submit(home: &Path, result: &Path, words: &str, input: &[u8]) -> Output {
    let mut command = muxvisor(home);
    command.args(words.split_whitespace()).env("MUXVISOR_RESULT", result);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that refuses early does not read all.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// Design §5, channel 1: whole or not at all, byte for byte, and no daemon is needed.
#[test]
fn an_agent_submits_its_result() {
    let home = private_directory();
    let place = home.path().join("result.out");
    let bytes = b"\xff<result>\r\nbytes\0</result>\n";
    let seen = submit(home.path(), &place, "submit", bytes);
    assert_eq!(code(&seen), 0, "{}", err(&seen));
    assert_eq!(fs::read(&place).unwrap(), bytes);
    fs::write(home.path().join("answer.md"), "from a file").unwrap();
    let seen = submit(home.path(), &place, "submit answer.md --json", b"");
    assert_eq!(document(&seen)["submitted"], 11);
    assert_eq!(fs::read(&place).unwrap(), b"from a file");
    assert_eq!(code(&submit(home.path(), &place, "submit -", b"once more")), 0);
    assert_eq!(fs::read(&place).unwrap(), b"once more", "the last one counts");
    assert_eq!(names_in(&home), ["answer.md", "result.out"], "nothing half-done is left");
}

#[test]
fn an_empty_or_huge_result_is_refused_and_the_earlier_one_stays() {
    let home = private_directory();
    let place = home.path().join("result.out");
    assert_eq!(code(&submit(home.path(), &place, "submit", &vec![b'x'; 8 << 20])), 0);
    let seen = submit(home.path(), &place, "submit", &vec![b'x'; (8 << 20) + 1]);
    assert_eq!(code(&seen), 2);
    assert!(err(&seen).contains("nothing was submitted"), "{}", err(&seen));
    assert_eq!(code(&submit(home.path(), &place, "submit", b"")), 2);
    assert_eq!(code(&submit(home.path(), &place, "submit missing.md", b"")), 2);
    assert_eq!(fs::metadata(&place).unwrap().len(), 8 << 20);
    let nowhere = home.path().join("no/such/dir/result.out");
    assert_eq!(code(&submit(home.path(), &nowhere, "submit", b"x")), 1);
    assert_eq!(names_in(&home), ["result.out"]);
}
