//! What happens when a person, or the machine, gets something wrong: everything that is wrong is
//! said at once, with its place and what to do, and nothing is started (design §9, §11).

use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::scene::Scene;

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
