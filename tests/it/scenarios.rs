//! Runs the scripts of `tests/scenarios`: timed events in, facts and effects out, through both
//! deciding rooms. `MUXVISOR_BLESS=1` rewrites what is expected.
//!
//! A script begins with what it shows; then come `--- agents` and `--- plan` in TOML, `--- groups`
//! with lines `group NAME STRATEGY MEMBER... [limit COUNT in MS]`, and `--- script`: lines `@MS EVENT`, each with what it brings about, indented, below it. In there
//! `+` is a fact, `>` an effect, `=` an answer. Attempts are called `OWNER#NUMBER`; an event
//! without a number is about the last one.

mod hire;
mod play;
mod tell;

use std::fs;
use std::path::{Path, PathBuf};

use play::Play;

/// A script, cut into its parts.
struct Scenario {
    /// Everything before the events, as written.
    head: String,
    agents: String,
    plan: String,
    groups: String,
    /// The events, without what is expected of them.
    lines: Vec<String>,
}

fn read(text: &str) -> Scenario {
    let (mut head, mut agents) = (String::new(), String::new());
    let (mut plan, mut groups) = (String::new(), String::new());
    let (mut part, mut lines) = ("", Vec::new());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("--- ") {
            part = name;
        }
        match part {
            "script" if line.starts_with('@') || line.starts_with('#') => {
                lines.push(line.to_owned());
            }
            "agents" if !line.starts_with("---") => agents += &format!("{line}\n"),
            "plan" if !line.starts_with("---") => plan += &format!("{line}\n"),
            "groups" if !line.starts_with("---") => groups += &format!("{line}\n"),
            _ => {}
        }
        if part != "script" || line.starts_with("---") {
            head += &format!("{line}\n");
        }
    }
    Scenario { head, agents, plan, groups, lines }
}

/// The script with what really happens.
fn played(scenario: &Scenario) -> String {
    let mut text = scenario.head.clone();
    let mut play = Play::new(&scenario.agents, &scenario.plan, &scenario.groups);
    for line in &scenario.lines {
        text += &format!("{line}\n");
        if line.starts_with('@') {
            text.extend(play.line(line).iter().map(|said| format!("    {said}\n")));
        }
    }
    text
}

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = fs::read_dir(folder).expect("the folder is part of the repository");
    let paths = entries.map(|entry| entry.expect("a folder can be listed").path());
    let mut scripts: Vec<_> = paths.filter(|path| path.extension().is_some()).collect();
    scripts.sort();
    scripts
}

#[test]
fn scenarios_go_as_written() {
    #[expect(clippy::disallowed_methods, reason = "the one variable that rewrites expectations")]
    let bless = std::env::var_os("MUXVISOR_BLESS").is_some();
    let scripts = scripts();
    assert!(scripts.len() >= 20, "only {} scenarios", scripts.len());
    let mut wrong = Vec::new();
    for path in scripts {
        let text = fs::read_to_string(&path).expect("a script can be read");
        let now = played(&read(&text));
        if now == text {
            continue;
        }
        match bless {
            true => fs::write(&path, now).expect("a script can be written"),
            false => wrong.push(format!("{} goes differently:\n{now}", path.display())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
