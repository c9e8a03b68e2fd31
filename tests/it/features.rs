//! The script that tells which test holds which feature reads comments as people write them.

#![expect(clippy::disallowed_methods, reason = "the script is started as a person starts it")]

use std::fs;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::architecture::tree;

/// A repository with a page of features, one test file, and the script.
fn repository(page: &str, tests: &str) -> TempDir {
    let root = tempfile::tempdir().expect("a private folder");
    for folder in ["docs", "tests", "src", "scripts"] {
        fs::create_dir(root.path().join(folder)).expect("made");
    }
    fs::write(root.path().join("docs/features.md"), page).expect("written");
    fs::write(root.path().join("tests/x.rs"), tests).expect("written");
    fs::write(root.path().join("src/lib.rs"), "// about K9\n").expect("written");
    fs::copy(tree::root().join("scripts/features"), root.path().join("scripts/features"))
        .expect("copied");
    root
}

fn run(root: &TempDir, arguments: &[&str]) -> (i32, String) {
    let script = root.path().join("scripts/features");
    let Output { status, stdout, .. } =
        Command::new(script).args(arguments).output().expect("it starts");
    (status.code().expect("an exit code"), String::from_utf8_lossy(&stdout).into_owned())
}

/// The page of features for a group of ids.
fn page(ids: &[&str]) -> String {
    ids.iter().map(|id| format!("- {id} [must] Something.\n")).collect()
}

#[test]
fn ranges_and_lists_are_understood() {
    let k = |n: u32| format!("{}{n}", 'K');
    let ids: Vec<String> = (1..=21).map(k).collect();
    let page = page(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    // Written in pieces, so that this file holds none of them itself.
    let comments = [
        format!("{} {}–{}", "/// Features", k(1), k(4)),
        format!("{} {}, {} and {}-{}.", "// See", k(5), k(6), k(7), k(8)),
        format!("{} {}-{}", "    // Feature", k(16), "K18"),
        format!("{} {}; Fault {} is another matter", "//", k(10), k(11)),
        format!("let x = \"{}\";", k(12)),
        format!("{} E01, UK13, K14b", "// no ids:"),
        // In a string there are no comments; behind one there are.
        format!("let x = \"    // {} and \\\" // {}\";", k(19), k(20)),
        format!("let x = \"// no\"; // {}", k(21)),
    ];
    let test = format!("#[test]\nfn x() {{\n{}\n}}\n", comments.join("\n"));
    let root = repository(&page, &test);
    let (code, said) = run(&root, &["--missing"]);
    let missing: Vec<String> = [9, 11, 12, 13, 14, 15, 19, 20].map(k).to_vec();
    assert_eq!(said.lines().collect::<Vec<_>>(), missing);
    assert_eq!(code, 1);
    let (_, table) = run(&root, &[]);
    assert!(table.contains(&format!("{}   [must] tests/x.rs\n", k(3))), "{table}");
    assert!(table.contains("8 of 21 features that a test must hold have none: "), "{table}");
}

#[test]
fn nothing_is_missing_when_every_must_has_a_test() {
    let id = format!("{}3", 'M');
    let page = page(&[&id]) + &format!("- {}1 [text] Advice.\n", 'B');
    let test = format!("/// {id}\n#[test]\nfn x() {{}}\n");
    let (code, said) = run(&repository(&page, &test), &["--count"]);
    assert_eq!((code, said.as_str()), (0, "each of 1 features that a test must hold has one\n"));
    assert_eq!(run(&repository(&page, "\n"), &["--count"]).0, 1);
}

/// An id counts where a test names it, right above or inside, and nowhere else.
#[test]
fn only_tests_hold_features() {
    let k = |n: u32| format!("{}{n}", 'K');
    let ids: Vec<String> = (1..=12).map(k).collect();
    let page = page(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let text = [
        format!("//! {}: about the whole file.\n", k(1)),
        format!("/// {}: a helper.\nfn helps() {{\n    // {}\n}}\n", k(2), k(3)),
        format!(
            "/// {}: all of it.\n/// {}\n#[test]\n#[cfg_attr(\n    any(),\n    x\n)]",
            k(4),
            k(5)
        ),
        format!("fn one(\n    x: u8,\n) {{\n    if true {{\n    }} // {}\n}}", k(6)),
        format!("// {}: between two tests\n\n/// x\nconst X: u8 = 1;", k(7)),
        format!(
            "#[tokio::test(flavor = \"current_thread\")]\nasync fn two() {{ /* */ }} // {}",
            k(8)
        ),
        format!("m! {{\n    /// {}\n    #[test]\n    fn three(x in 1..2) {{\n    }}\n}}", k(9)),
        format!("/// {}\n#[test]\n#[ignore = \"long\"]\nfn four() {{\n    // {}\n}}", k(10), k(11)),
        format!("// {}: after the last", k(12)),
    ];
    let (_, said) = run(&repository(&page, &text.join("\n")), &["--missing"]);
    let missing: Vec<String> = [1, 2, 3, 7, 8, 10, 11, 12].map(k).to_vec();
    assert_eq!(said.lines().collect::<Vec<_>>(), missing);
}

#[test]
fn every_promise_of_this_repository_has_a_test() {
    let output = Command::new(tree::root().join("scripts/features")).arg("--missing").output();
    let output = output.expect("it starts");
    assert!(output.status.success(), "no test: {}", String::from_utf8_lossy(&output.stdout));
}

/// The page lists each id once, group by group.
#[test]
fn the_page_lists_every_id_in_order() {
    let page = tree::read("docs/features.md");
    let ids: Vec<(char, u32)> = page
        .lines()
        .filter_map(|line| line.strip_prefix("- ")?.split(' ').next())
        .map(|id| (id.chars().next().expect("a letter"), id[1..].parse().expect("a number")))
        .collect();
    let groups: Vec<char> = ('A'..='P').collect();
    let mut expected = ids.clone();
    expected.sort_unstable();
    assert_eq!(ids, expected);
    for group in groups {
        let numbers: Vec<u32> =
            ids.iter().filter(|(letter, _)| *letter == group).map(|(_, n)| *n).collect();
        assert_eq!(numbers, (1..=u32::try_from(numbers.len()).expect("few")).collect::<Vec<_>>());
    }
}
