//! `docs/faults.md` holds every fault once, and every test that it names exists.

use std::collections::BTreeSet;

use crate::architecture::tree;

/// How many faults there are.
const FAULTS: usize = 79;

/// Number and last cell of each row.
fn rows() -> Vec<(usize, String)> {
    let text = tree::read("docs/faults.md");
    let row = |line: &str| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.split(" | ").collect();
        let number = cells.first()?.parse().ok()?;
        Some((number, cells.last()?.trim_end_matches(" |").to_owned()))
    };
    text.lines().filter_map(row).collect()
}

/// The names of all tests.
fn tests() -> BTreeSet<String> {
    let sources = tree::rust_files("src").into_iter().chain(tree::rust_files("tests"));
    let mut names = BTreeSet::new();
    for (_, text) in sources {
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if !["#[test]", "#[tokio::test"].iter().any(|mark| line.trim().starts_with(mark)) {
                continue;
            }
            let name = lines
                .by_ref()
                .find_map(|line| line.trim().trim_start_matches("async ").strip_prefix("fn "));
            names.extend(name.and_then(|name| name.split('(').next()).map(str::to_owned));
        }
    }
    names
}

#[test]
fn every_fault_stands_in_the_table_once() {
    let numbers: Vec<usize> = rows().into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, (1..=FAULTS).collect::<Vec<_>>());
}

#[test]
fn every_test_that_the_table_names_exists() {
    let tests = tests();
    for (number, cell) in rows() {
        let named: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(
            !named.is_empty() || cell.starts_with("not here: "),
            "fault {number} names no test and does not say why"
        );
        for name in named {
            assert!(tests.contains(name), "fault {number}: there is no test `{name}`");
        }
    }
}
