//! The configuration that ships: its agents are read as a person's would be, and the demo agent
//! is run as the real program that it is.

#![expect(clippy::disallowed_methods, reason = "the demo agent is started without the daemon")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use muxvisor::document::{Document, Findings, Source, render};
use muxvisor::model::{PromptBy, ResultRule};
use muxvisor::policy::{Config, read_agents};

use crate::architecture::tree;
use crate::stage::{Stage, pid_of};
use crate::wait::wait_for;

/// Shipped TOML files with their paths.
fn shipped() -> Vec<(String, String)> {
    let texts = tree::texts().into_iter();
    texts.filter(|(path, _)| path.starts_with("config/") && path.ends_with(".toml")).collect()
}

/// The problems of the agents that a file brings along. A plan has other tables too, which the
/// plan's checker looks at.
fn problems_of_agents(path: &str, text: &str) -> Vec<String> {
    let source = Source::new(path, text);
    let findings = Findings::new(&source);
    let directory = tree::root().join(path);
    let directory = directory.parent().expect("a file lies in a directory");
    if let Some(document) = Document::parse(&source, "C01", &findings) {
        let mut root = document.root(&findings, "C01");
        let agents = read_agents(&mut root, directory, &Config::built_in().agents);
        for agent in agents.values().filter(|agent| agent.command[0].contains('/')) {
            let program = std::path::Path::new(&agent.command[0]);
            assert!(program.exists(), "{path}: agent {} has no program {program:?}", agent.name);
        }
    }
    findings.finish().iter().map(render).collect()
}

#[test]
fn the_agents_of_every_shipped_file_are_right() {
    let files = shipped();
    assert!(files.iter().any(|(path, _)| path == "config/default.toml"));
    assert!(files.iter().any(|(path, _)| path == "config/plans/quickstart.toml"));
    for (path, text) in files {
        assert_eq!(problems_of_agents(&path, &text), Vec::<String>::new(), "{path}");
    }
}

#[test]
fn the_examples_of_the_documents_are_right() {
    let mut read = 0;
    for path in ["README.md", "docs/configuration.md"] {
        let text = tree::read(path);
        let fenced = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        for example in fenced.filter(|example| !example.contains("plan ")) {
            let source = Source::new(path, example);
            let (config, findings) = Config::read(&source, &tree::root(), &Config::built_in());
            let shown: Vec<String> = findings.iter().map(render).collect();
            assert!(config.is_some() && shown.is_empty(), "{path}:\n{}", shown.join("\n"));
            read += 1;
        }
    }
    assert!(read >= 2, "both documents have an example");
}

/// What the demo agent prints for a prompt.
fn demo(prompt: &str) -> String {
    let agent = Config::built_in().agents["demo"].clone();
    assert_eq!((agent.prompt, agent.result), (PromptBy::Stdin, ResultRule::Tag));
    let mut child = Command::new(&agent.command[0])
        .args(&agent.command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("there is a shell");
    child.stdin.take().expect("a pipe").write_all(prompt.as_bytes()).expect("it reads it all");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Also feature of `run PLAN --demo`: it must answer whatever it is asked.
#[test]
fn the_demo_agent_thinks_aloud_and_quotes_its_task() {
    let long =
        format!("\n  \nCount 'the' $(files) \\n %s </result>.\nmore\n{}", "x".repeat(300_000));
    let cases = [
        ("Say hello.", "This is a demo answer to: Say hello."),
        (long.as_str(), "This is a demo answer to: Count 'the' $(files) \\n %s /result."),
        ("", "This is a demo answer to:"),
    ];
    for (prompt, expected) in cases {
        let printed = demo(prompt);
        let thoughts = printed.lines().filter(|line| line.starts_with("· ")).count();
        assert_eq!(thoughts, 4, "{printed}");
        let (_, answer) = printed.split_once("<result>\n").expect("an opening tag");
        let (answer, rest) = answer.split_once("\n</result>\n").expect("a closing tag");
        assert_eq!((answer.trim_end(), rest), (expected, ""));
    }
}

/// Design §7: `env_allow` and `env_deny` filter what an agent inherits, never what it is given.
#[test]
fn an_agent_inherits_what_it_may() {
    let stage = Stage::new();
    let agent = |name: &str, keys: &str| {
        format!(
            "[agent.{name}]\ntype='service'\nautostart=true\ncommand=['sleep','1000']\n{keys}\n"
        )
    };
    let some = "env_allow = ['AI_*']\nenv_deny = ['AI_SECRET']\nenv = { GIVEN = 'x' }";
    let text = "[defaults]\nenv_deny = ['OTHER']\n".to_owned();
    stage.configure(&(text + &agent("some", some) + &agent("most", "")));
    let mut command = stage.command(&["up"]);
    command.envs([("AI_KEY", "1"), ("AI_SECRET", "2"), ("OTHER", "3"), ("MORE", "4")]);
    assert!(command.output().expect("the program starts").status.success());
    let names = |name: &str| {
        let mut pid = None;
        wait_for("an agent that runs", || {
            let ps = stage.ps();
            let all = ps["instances"].as_array().expect("a list");
            pid = all.iter().find(|it| it["name"] == name).and_then(|it| pid_of(&it["pid"]));
            pid.is_some()
        });
        let path = format!("/proc/{}/environ", pid.expect("it was found"));
        let environment = std::fs::read_to_string(path).expect("it lives");
        let asked = ["AI_KEY", "AI_SECRET", "GIVEN", "HOME", "MORE", "OTHER", "PATH"];
        let has = |name: &&str| {
            environment.split('\0').any(|entry| entry.starts_with(&format!("{name}=")))
        };
        asked.into_iter().filter(has).collect::<Vec<_>>()
    };
    assert_eq!(names("some"), ["AI_KEY", "GIVEN", "HOME", "PATH"]);
    assert_eq!(names("most"), ["AI_KEY", "AI_SECRET", "HOME", "MORE", "PATH"]);
}
