//! Holds the house to its plan: which room may know which, no circles inside a room, a head on
//! every file, nothing too long, nothing forgotten (ARCHITECTURE.md).
//!
//! The table below is the plan. A new arrow needs a decision note in `docs/decisions/` and a line
//! here. Code under `#[cfg(test)]` is free to look anywhere.

mod arrows;
mod self_test;
mod source;
mod tidy;
pub(crate) mod tree;

use arrows::Table;
use source::Source;

/// The rooms, lowest first, and the rooms each may import. A room that is not built yet is absent.
const ROOMS: Table<'static> = &[
    ("model", &[]),
    // Where tests let things go wrong; a leaf (docs/decisions/0007-fail-points.md).
    ("failpoint", &[]),
    // Pure rooms decide.
    ("document", &["model"]),
    ("policy", &["model", "document"]),
    ("plan", &["model", "document", "policy"]),
    ("transcript", &["model"]),
    ("template", &["model", "document", "transcript"]),
    ("health", &["model"]),
    ("supervisor", &["model", "policy", "health", "transcript"]),
    ("workflow", &["model", "plan", "policy", "transcript", "template"]),
    // Edges touch, each one thing.
    ("cgroup", &["model"]),
    ("tmux", &["model", "failpoint"]),
    ("ledger", &["model", "failpoint"]),
    ("control", &["model", "failpoint"]),
    ("clock", &["model", "failpoint"]),
    ("signals", &["model"]),
    ("shim", &["model", "failpoint"]),
    // The daemon performs.
    (
        "daemon",
        &[
            "model",
            "failpoint",
            "document",
            "policy",
            "plan",
            "transcript",
            "template",
            "health",
            "supervisor",
            "workflow",
            "cgroup",
            "tmux",
            "ledger",
            "control",
            "clock",
            "signals",
            "shim",
        ],
    ),
    // Clients ask.
    ("report", &["model", "control"]),
    ("tui", &["model", "control"]),
    ("mcp", &["model", "control"]),
    (
        "cli",
        &[
            "model",
            "document",
            "policy",
            "plan",
            "transcript",
            "template",
            "control",
            "cgroup",
            "tmux",
            "shim",
            "daemon",
            "report",
            "tui",
            "mcp",
        ],
    ),
    ("main", &["cli", "shim", "failpoint"]),
];

/// Rooms that decide: deterministic, without clock, IO, environment, async or logging.
const PURE: &[&str] = &[
    "model",
    "document",
    "policy",
    "plan",
    "transcript",
    "template",
    "health",
    "supervisor",
    "workflow",
];

/// What no pure room may use.
const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::os::unix::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "clap",
    "getrandom",
    "indicatif",
    "nix",
    "rusqlite",
    "rustix",
    "signal_hook",
    "tmux_interface",
    "tokio",
    "tracing",
    "tracing_subscriber",
];

/// What belongs to single rooms.
const OWNED: &[(&str, &[&str])] = &[
    ("rusqlite", &["ledger"]),
    ("tmux_interface", &["tmux"]),
    ("clap", &["cli"]),
    ("indicatif", &["cli"]),
    ("minijinja", &["template", "workflow"]),
];

fn sources() -> Vec<Source> {
    source::parse_all(&tree::rust_files("src"))
}

fn none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn every_arrow_between_rooms_is_in_the_table() {
    none(&arrows::forbidden(&sources(), ROOMS));
}

#[test]
fn the_table_itself_only_points_down() {
    for (index, (room, allowed)) in ROOMS.iter().enumerate() {
        let below: Vec<&str> = ROOMS[..index].iter().map(|(name, _)| *name).collect();
        for target in *allowed {
            assert!(below.contains(target), "{room} may import {target}, which is not below it");
        }
    }
}

#[test]
fn no_circle_between_the_files_of_a_room() {
    none(&arrows::circles(&sources()));
}

#[test]
fn pure_rooms_know_nothing_of_the_outside() {
    let others: Vec<&str> =
        ROOMS.iter().map(|(room, _)| *room).filter(|room| !PURE.contains(room)).collect();
    let sources = sources();
    for banned in IMPURE {
        none(&arrows::trespasses(&sources, banned, &others));
    }
}

#[test]
fn a_part_of_the_outside_has_one_owner() {
    let sources = sources();
    for (owned, owners) in OWNED {
        none(&arrows::trespasses(&sources, owned, owners));
    }
}

#[test]
fn every_rust_file_opens_with_a_head() {
    none(&tidy::headless(&tree::rust_files("src")));
    none(&tidy::headless(&tree::rust_files("tests")));
}

#[test]
fn every_test_file_is_declared() {
    let main = tree::read("tests/it/main.rs");
    none(&tidy::undeclared(&main, &tree::modules_in("tests/it")));
}

#[test]
fn no_file_is_too_long() {
    none(&tidy::too_long(&tree::rust_files("src"), 400));
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    none(&tidy::meaningless(&tree::paths("src")));
    none(&tidy::meaningless(&tree::paths("tests")));
}

#[test]
fn nothing_is_left_to_be_done_later() {
    // Written in halves, so that this file does not find itself.
    let later = [concat!("FIX", "ME"), concat!("XX", "X"), concat!("to", "do!"), "unimplemented!"];
    let found: Vec<String> = tree::texts()
        .iter()
        .filter(|(path, _)| !path.starts_with("tests/it/architecture") && path != "Cargo.lock")
        .flat_map(|(path, text)| tidy::lines_with(path, text, &later))
        .collect();
    none(&found);
}

#[test]
fn tests_wait_for_conditions_and_never_sleep() {
    let sleeps = ["thread::sleep", "time::sleep", "sleep_ms", "sleep_until"];
    // A benchmark asserts nothing, so it may let time pass.
    let in_tests = tree::rust_files("tests/it").into_iter();
    let in_sources = tree::rust_files("src")
        .into_iter()
        .map(|(p, text)| (p.clone(), tidy::tests(&p, &text).to_owned()));
    let found: Vec<String> = in_tests
        .chain(in_sources)
        .filter(|(path, _)| {
            path != "tests/it/wait.rs" && !path.starts_with("tests/it/architecture")
        })
        .flat_map(|(path, text)| tidy::lines_with(&path, &text, &sleeps))
        .collect();
    none(&found);
}

#[test]
fn no_path_of_one_machine_is_written_down() {
    let machine = ["work", "root", "Users", "home"].map(|name| format!("/{name}/"));
    let machine: Vec<&str> = machine.iter().map(String::as_str).collect();
    let found: Vec<String> = tree::texts()
        .iter()
        .filter(|(path, _)| !path.starts_with("tests/it/architecture"))
        .flat_map(|(path, text)| tidy::lines_with(path, text, &machine))
        .collect();
    none(&found);
}
