//! What happens when a person, or the machine, gets something wrong: everything that is wrong is
//! said at once, with its place and what to do, and nothing is started (design §9, §11).

use std::fs;
use std::os::unix::fs::symlink;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::scene::{Scene, send};
use crate::stage::Stage;
use crate::wait::wait_for;

const WRONG: &str = r#"plan = "wrong"
goal = "Be wrong in every way"
aproval = "none"
[agent.mine]
command = ["true"]
[[task]]
id = "a"
agent = "mnie"
description = "A ${b.output}"
[[task]]
id = "b"
agent = "mine"
description = "B ${a.output}"
[[task]]
id = "numbers"
agent = "mine"
description = "C"
[[task]]
id = "c"
agent = "mine"
description = "D ${nubmers.output}"
"#;

/// Every problem at once, each with file, line, column and what was meant; exit code 2.
#[test]
fn every_problem_of_a_plan_is_told_at_once_and_nothing_starts() {
    let scene = Scene::new();
    scene.file("wrong.toml", WRONG);
    let expected = [
        ("E01", 3, 1, Some("approval")),
        ("E06", 8, 10, Some("mine")),
        ("E04", 9, 18, None),
        ("E03", 21, 20, Some("numbers")),
    ];
    for arguments in [["run", "wrong.toml", "--json"], ["run", "--json", "wrong.toml"]] {
        let answer = scene.call(&arguments);
        assert_eq!(answer.code, 2, "{answer:?}");
        let error = answer.document()["error"].take();
        assert_eq!(error["kind"], "invalid");
        let findings = error["findings"].as_array().unwrap();
        for (code, line, column, meant) in expected {
            let found = findings.iter().find(|f| f["code"] == code && f["line"] == line);
            let found = found.unwrap_or_else(|| panic!("no {code} in line {line}: {error:#}"));
            assert_eq!(
                (&found["file"], &found["severity"]),
                (&"wrong.toml".into(), &"error".into())
            );
            assert_eq!(found["column"].as_u64(), Some(column), "{found}");
            let help = found["help"].as_str().unwrap_or_default();
            assert!(meant.is_none_or(|word| help.contains(&format!("`{word}`"))), "{found}");
        }
        let cycle = findings.iter().find(|f| f["code"] == "E04").unwrap();
        assert!(cycle["message"].as_str().unwrap().contains("a -> b -> a"), "{cycle}");
    }
    let answer = scene.call(&["run", "wrong.toml"]);
    assert_eq!(answer.code, 2);
    for (code, line, column, meant) in expected {
        assert!(answer.stderr.contains(&format!("error[{code}]")), "{answer:?}");
        assert!(answer.stderr.contains(&format!("wrong.toml:{line}:{column}")), "{answer:?}");
        let meant = meant.map(|word| format!("did you mean `{word}`?"));
        assert!(meant.is_none_or(|help| answer.stderr.contains(&help)), "{answer:?}");
    }
    let made = std::fs::read_dir(scene.home()).unwrap().count();
    assert_eq!(made, 0, "nothing was started, nothing was made");
    // The same findings without the wish to run; it is no failure of the program either.
    let checked = scene.call(&["plan", "check", "wrong.toml", "--json"]);
    assert_eq!(checked.code, 2);
    assert!(checked.document()["error"]["findings"].as_array().unwrap().len() >= 4);
}

/// Without tmux every command that needs it says what to install, with exit code 10.
#[test]
fn without_tmux_it_is_said_what_to_install() {
    let scene = Scene::new();
    let bin = scene.desk().join("bin");
    std::fs::create_dir(&bin).unwrap();
    symlink("/bin/sh", bin.join("sh")).unwrap();
    scene.file("plan.toml", "plan='p'\ngoal='g'\napproval='none'\n[[task]]\nid='t'\nkind='command'\nrun=['sh','-c','true']\n");
    let call = |arguments: &[&str]| {
        let mut command = scene.command(arguments);
        command.env("PATH", &bin);
        scene.begin_command(command).end()
    };
    for arguments in [&["run", "plan.toml"][..], &["runs"], &["up"], &["daemon"]] {
        let answer = call(arguments);
        assert_eq!(answer.code, 10, "{arguments:?}: {answer:?}");
        assert!(answer.stderr.contains("tmux was not found in PATH"), "{answer:?}");
        assert!(answer.stderr.contains("apt-get install tmux"), "{answer:?}");
    }
    let answer = call(&["run", "plan.toml", "--json"]);
    let error = answer.document()["error"].take();
    assert_eq!((answer.code, &error["kind"]), (10, &"unreachable".into()));
    assert!(error["message"].as_str().unwrap().contains("install tmux"), "{error}");
    let ps = call(&["ps", "--json"]);
    assert_eq!((ps.code, &ps.document()["daemon"]), (0, &Value::Null));
    let doctor = call(&["doctor"]);
    assert_eq!(doctor.code, 1, "{doctor:?}");
    assert!((doctor.stdout + &doctor.stderr).contains("install tmux"));
}

/// Nonsense on every verb is answered with a sentence, a hint and exit code 2, never with silence
/// or a fault of ours; with `--json` as a document of the one shape that errors have.
#[test]
fn nonsense_is_answered_in_good_order() {
    let scene = Scene::new();
    let nowhere = "PLAN-2026-01-01-001";
    let nonsense: &[(&[&str], &str)] = &[
        (&["show", nowhere], nowhere),
        (&["show", "nonsense"], "PLAN-"),
        (&["results", nowhere], nowhere),
        (&["approve", nowhere], nowhere),
        (&["cancel", nowhere], nowhere),
        (&["cancel", "../../etc"], "PLAN-"),
        (&["wait", nowhere], nowhere),
        (&["wait", "nobody"], "nobody"),
        (&["wait", "nobody", "--timeout", "5parsecs"], "parsecs"),
        (&["why", "nobody"], "nobody"),
        (&["logs", "nobody"], "nobody"),
        (&["attach", "nobody", "--print"], "nobody"),
        (&["start"], "<NAME>"),
        (&["start", "nobody"], "`nobody`"),
        (&["stop", "nobody"], "`nobody`"),
        (&["restart", "nobody"], "`nobody`"),
        (&["up", "nobody"], "`nobody`"),
        (&["down", "nobody"], "`nobody`"),
        (&["reset-failed", "nobody"], "`nobody`"),
        (&["runs", "--nonsense"], "--nonsense"),
        (&["run", "no-such-file"], "no-such-file"),
        (&["run", "."], "directory"),
        (&["run", "x", "--max-parallel", "0"], "max-parallel"),
        (&["run", "x", "--input", "=x"], "name"),
        (&["check", "no-such-file"], "no-such-file"),
        (&["plan", "check", "no-such-file"], "no-such-file"),
        (&["plan", "show", "no-such-file"], "no-such-file"),
        (&["submit"], "MUXVISOR_RESULT"),
        (&["frobnicate"], "frobnicate"),
        (&["statsu"], "statsu"),
    ];
    for (arguments, word) in nonsense {
        let answer = scene.call(arguments);
        assert_eq!(answer.code, 2, "{arguments:?}: {answer:?}");
        assert!(answer.stdout.is_empty(), "{arguments:?}: {answer:?}");
        assert!(answer.stderr.contains(word), "{arguments:?}: {answer:?}");
        if *arguments == ["plan", "show", "no-such-file"] {
            continue;
        }
        let answer = scene.call(&[*arguments, &["--json"]].concat());
        assert_eq!(answer.code, 2, "{arguments:?}: {answer:?}");
        let error = answer.document()["error"].take();
        assert_eq!(error["kind"], "usage", "{arguments:?}: {error}");
        assert!(error["message"].as_str().unwrap().contains(word), "{arguments:?}: {error}");
        assert!(error["hint"].is_string() || error["hint"].is_null(), "{error}");
        assert!(error["findings"].as_array().unwrap().is_empty(), "{error}");
    }
}

/// A home that is something else is told by those who only look too: no daemon could be started.
#[test]
fn a_home_that_is_no_folder_is_told() {
    let stage = Stage::new();
    fs::remove_dir(stage.home()).unwrap();
    fs::write(stage.home(), "x").unwrap();
    for verb in ["ps", "up", "runs"] {
        let said = stage.ask(&[verb]);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{verb}: {said:?}");
        assert!(said.err.contains("is no folder") && said.err.contains("--home DIR"), "{said:?}");
    }
    assert_eq!(stage.ask(&["doctor"]).code, 1);
}

/// Another file than the one that the daemon runs with is not ignored in silence; the same by
/// another name is the same, and who asks no daemon does not care.
#[test]
fn a_configuration_that_the_daemon_does_not_run_with_is_refused() {
    let stage = Stage::new();
    let text = "[agent.one]\ncommand = ['sleep', '1000']\ntype = 'service'\n";
    stage.configure(text);
    let (own, other) = (stage.at("muxvisor.toml"), stage.file("other.toml", text));
    symlink(&own, stage.desk().join("link.toml")).unwrap();
    let with = |file: &str, verb: &str| stage.ask(&["--config", file, verb]);
    // Before there is a daemon, whoever names a file has it taken.
    assert_eq!(with("../h/muxvisor.toml", "runs").code, 0);
    assert_eq!(with("link.toml", "up").code, 0);
    for (file, verb) in
        [("other.toml", "up"), ("other.toml", "reload"), ("other.toml", "ps"), ("none.toml", "up")]
    {
        let said = with(file, verb);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{file} {verb}: {said:?}");
        for words in ["muxvisor.toml, not with", file, "leave `--config` out", "--home DIR"] {
            assert!(said.err.contains(words), "{words}: {said:?}");
        }
    }
    assert_eq!(with(other.to_str().unwrap(), "check").code, 0);
}

/// An answer that cannot be written is no answer; one that nobody wants to read to its end is.
#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let stage = Stage::new();
    stage.configure("[agent.one]\ncommand = ['sleep', '1000']\ntype = 'service'\n");
    assert_eq!(stage.ask(&["up"]).code, 0);
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for line in ["ps", "why one", "ps --json", "runs", "--help", "--version"] {
        let words: Vec<&str> = line.split(' ').collect();
        let said = stage.command(&words).stdout(full()).output().unwrap();
        let err = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(1), "{line}: {err}");
        assert!(err.contains("failed to write to standard output: No space"), "{line}: {err}");
        let (reader, writer) = nix::unistd::pipe().unwrap();
        drop(reader);
        let said = stage.command(&words).stdout(writer).output().unwrap();
        let err = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!((said.status.code(), err.as_str()), (Some(0), ""), "{line}");
    }
}

/// Whoever waits for a daemon that does not answer is told so, and by which process; once it
/// answers, all is well.
#[test]
fn a_daemon_that_does_not_answer_is_told() {
    let stage = Stage::new();
    let daemon = stage.start_daemon();
    send(daemon, Signal::SIGSTOP);
    let mut asked = stage.start(&["ps"]);
    wait_for("a word about the silence", || !asked.err().is_empty());
    let early = asked.is_over();
    send(daemon, Signal::SIGCONT);
    let said = asked.end();
    assert!(!early && said.code == 0 && said.out.contains("nothing lives"), "{said:?}");
    let told =
        format!("muxvisor: the daemon (pid {daemon}) has not answered yet; waiting for it\n");
    assert_eq!(said.err, told);
}
