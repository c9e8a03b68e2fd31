//! Holds documents to the program: the words they explain must be the words that exist, and the
//! files they point at must be there. What they show to be copied is checked in `examples`.

use std::collections::BTreeSet;

use muxvisor::model::{
    Activity, AttemptState, Desired, InstanceState, Outcome, ResultSource, RunOutcome, RunState,
    SkipReason, TaskState,
};

use crate::architecture::tree;

/// The fenced blocks of a Markdown text whose fence says `language`: where each begins, and its
/// text.
pub(crate) fn blocks(path: &str, text: &str, language: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    // The fence of the block that is open, and its text so far.
    let mut open: Option<(String, String, bool)> = None;
    for (index, line) in text.lines().enumerate() {
        match open.take() {
            Some((place, text, wanted)) if line.starts_with("```") => {
                found.extend(wanted.then_some((place, text)));
            }
            Some((place, text, wanted)) => open = Some((place, text + line + "\n", wanted)),
            None if line.starts_with("```") => {
                let place = format!("{path}:{}", index + 1);
                open = Some((place, String::new(), &line[3..] == language));
            }
            None => {}
        }
    }
    found
}

/// Path and text of every document.
pub(crate) fn documents() -> Vec<(String, String)> {
    let texts = tree::texts().into_iter();
    // Templates of prompts are no documents: what they show has holes.
    let elsewhere = ["tests/", "config/"];
    let shown = |path: &str| !elsewhere.iter().any(|folder| path.starts_with(folder));
    texts.filter(|(path, _)| path.ends_with(".md") && shown(path)).collect()
}

#[test]
fn every_json_block_parses() {
    for (path, text) in documents() {
        for (place, text) in blocks(&path, &text, "json") {
            let parsed = serde_json::from_str::<serde_json::Value>(&text);
            assert!(parsed.is_ok(), "{place}: {parsed:?}");
        }
    }
}

#[test]
fn every_link_leads_to_a_file() {
    let mut broken = Vec::new();
    for (path, text) in documents() {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            let outside = file.is_empty() || file.contains("://");
            if !outside && !tree::root().join(folder).join(file).exists() {
                broken.push(format!("{path}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// The first column of the table under a heading, in order, without the backticks.
fn words_under<'t>(glossary: &'t str, heading: &str) -> Vec<&'t str> {
    let start = glossary.find(&format!("\n## {heading}\n")).map(|at| &glossary[at + 1..]);
    let section = start.unwrap_or_else(|| panic!("the glossary has no `{heading}`"));
    let section = section[3..].split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).collect()
}

#[test]
fn the_glossary_explains_every_word_and_no_other() {
    let glossary = tree::read("docs/glossary.md");
    macro_rules! same {
        ($heading:literal, $words:ty) => {
            let known: Vec<&str> = <$words>::ALL.iter().map(|word| word.word()).collect();
            assert_eq!(words_under(&glossary, $heading), known, $heading);
        };
    }
    same!("Outcomes", Outcome);
    same!("States of an attempt", AttemptState);
    same!("States of an instance", InstanceState);
    same!("What a person wants of an instance", Desired);
    same!("What a living agent is doing", Activity);
    same!("States of a task", TaskState);
    same!("Why a task was not done", SkipReason);
    same!("States of a run", RunState);
    same!("Outcomes of a run", RunOutcome);
    same!("Where a result came from", ResultSource);
}

#[test]
fn the_glossary_knows_the_class_of_every_outcome() {
    let glossary = tree::read("docs/glossary.md");
    for outcome in Outcome::ALL {
        let begins = format!("| `{outcome}` |");
        let class = outcome.kind().map_or(" |".to_owned(), |kind| format!("| `{kind}` |"));
        // The first table that has the word is that of the outcomes.
        let row = glossary.lines().find(|line| line.starts_with(&begins)).expect("it is there");
        assert!(row.ends_with(&class), "{row}");
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest: toml::Table = tree::read("Cargo.toml").parse().expect("Cargo.toml is TOML");
    let note = tree::read("docs/decisions/0002-dependencies.md");
    let explained: BTreeSet<&str> = note
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .flat_map(|names| names.trim_end_matches(" (tests)").split(", "))
        .collect();
    for section in ["dependencies", "dev-dependencies"] {
        for name in manifest[section].as_table().expect("a table").keys() {
            assert!(explained.contains(name.as_str()), "{name} is not explained");
        }
    }
}

#[test]
fn every_decision_has_its_four_parts() {
    for path in tree::paths("docs/decisions") {
        let text = tree::read(&path);
        for part in ["Context", "Decision", "Alternatives", "Consequences"] {
            assert!(text.contains(&format!("\n## {part}\n")), "{path} has no `{part}`");
        }
    }
}

#[test]
fn every_room_is_on_the_map() {
    let map = tree::read("ARCHITECTURE.md");
    assert!(map.lines().count() <= 200, "the map fits on 200 lines");
    for room in tree::modules_in("src").iter().filter(|room| *room != "lib") {
        assert!(map.contains(&format!("`{room}`")), "{room} is not on the map");
    }
}

#[test]
fn blocks_are_found_by_their_language() {
    let text = "a\n```toml\nx = 1\n```\n```\nplain\n```\n```json\n{}\n```\n";
    let found = blocks("a.md", text, "toml");
    assert_eq!(found, [("a.md:2".to_owned(), "x = 1\n".to_owned())]);
}
