//! Everything a person could copy must be accepted by the checker that the person's file would
//! meet: the TOML blocks of all documents, and every TOML file under `config/`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use muxvisor::daemon::Templates;
use muxvisor::document::{Source, render};
use muxvisor::model::{Finding, Severity};
use muxvisor::plan::{self, Surroundings};
use muxvisor::policy::{Agent, Config};

use crate::architecture::tree;
use crate::documents::{blocks, documents};

/// A piece of TOML, and the file that it stands in.
struct Piece {
    /// Where, for a person.
    place: String,
    /// The file, from the root of the repository.
    path: String,
    text: String,
}

fn shown() -> impl Iterator<Item = Piece> {
    documents().into_iter().flat_map(|(path, text)| {
        let pieces = blocks(&path, &text, "toml").into_iter();
        pieces.map(move |(place, text)| Piece { place, path: path.clone(), text })
    })
}

fn shipped() -> impl Iterator<Item = Piece> {
    let files = tree::texts().into_iter();
    let files = files.filter(|(path, _)| path.starts_with("config/") && path.ends_with(".toml"));
    files.map(|(path, text)| Piece { place: path.clone(), path, text })
}

/// What the checker of plans, or that of configurations, says about a piece.
fn check(piece: &Piece, has_program: &dyn Fn(&Agent) -> bool) -> Vec<Finding> {
    let source = Source::new(piece.place.as_str(), piece.text.as_str());
    let file = tree::root().join(&piece.path);
    let base_dir = file.parent().expect("a file lies in a folder");
    let is_plan = piece.text.lines().any(|line| {
        line.strip_prefix("plan").is_some_and(|rest| rest.trim_start().starts_with('='))
    });
    if is_plan {
        check_plan(&source, base_dir, has_program)
    } else {
        Config::read(&source, base_dir, &Config::built_in()).1
    }
}

fn check_plan(
    source: &Source,
    base_dir: &Path,
    has_program: &dyn Fn(&Agent) -> bool,
) -> Vec<Finding> {
    let none = BTreeMap::new();
    // Only the shipped templates: nothing lies beside a file that is not there.
    let templates = Templates::beside(Path::new("/nowhere/muxvisor.toml"));
    let surroundings = Surroundings {
        agents: &Config::built_in().agents,
        inputs: &none,
        read_file: &|path| fs::read_to_string(path).map_err(|error| error.to_string()),
        has_program,
        missing_program: Severity::Error,
        missing_input: Severity::Warning,
        demo: false,
        max_parallel: None,
        base_dir,
        template: &|name, set| templates.parts(name, set),
    };
    plan::check(source, &surroundings).findings
}

fn nothing_to_say(findings: Vec<Finding>) {
    // That built-in agents do not tell what they use is told of every budget (W08).
    let told: Vec<String> =
        findings.iter().filter(|finding| finding.code != "W08").map(render).collect();
    assert!(told.is_empty(), "\n{}\n", told.join("\n"));
}

#[test]
fn what_the_documents_show_is_accepted() {
    let findings: Vec<Finding> = shown().flat_map(|piece| check(&piece, &|_| true)).collect();
    assert!(shown().count() >= 4, "there are examples in the documents");
    nothing_to_say(findings);
}

#[test]
fn what_is_shipped_is_accepted_and_its_programs_are_there() {
    let is_there = |agent: &Agent| {
        let program = agent.command.first().map(Path::new);
        program.is_some_and(|path| path.components().count() == 1 || path.is_file())
    };
    // What a plan wants to be given is no flaw of it.
    let flaw = |finding: &Finding| !finding.message.ends_with("is required and was not given");
    let findings = shipped().flat_map(|piece| check(&piece, &is_there)).filter(flaw).collect();
    assert!(shipped().any(|piece| piece.path == "config/plans/quickstart.toml"));
    nothing_to_say(findings);
}

#[test]
fn a_broken_example_is_refused() {
    for text in ["plan = ", "plan = \"x\"\n", "[agent.x]\ncomand = [\"x\"]\n", "retries = 2\n"] {
        let (place, path) = ("docs/a.md:1".to_owned(), "docs/a.md".to_owned());
        let piece = Piece { place, path, text: text.to_owned() };
        assert!(!check(&piece, &|_| true).is_empty(), "{text}");
    }
}
