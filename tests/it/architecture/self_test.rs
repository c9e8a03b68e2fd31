//! The checks must fail when the house is broken: each is shown a small broken house.

use super::arrows::{circles, forbidden, trespasses};
use super::source::{Source, parse_all};
use super::tidy::{code, headless, lines_with, meaningless, tests, too_long, undeclared};

fn house(files: &[(&str, &str)]) -> Vec<Source> {
    parse_all(&owned(files))
}

fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

const TABLE: &[(&str, &[&str])] = &[("model", &[]), ("plan", &["model"]), ("ledger", &["model"])];

#[test]
fn an_arrow_that_the_table_does_not_hold_is_found() {
    let files = [
        ("src/model/mod.rs", "pub struct Id;"),
        ("src/ledger.rs", "use crate::model::Id;"),
        ("src/plan/mod.rs", "use crate::{model::Id, ledger};"),
    ];
    let found = forbidden(&house(&files), TABLE);
    assert_eq!(found, ["src/plan/mod.rs: plan may not import ledger"]);
}

#[test]
fn an_arrow_without_use_is_found_wherever_it_hides() {
    for hidden in [
        "fn f() { crate::ledger::open(); }",
        "fn f(_: &crate::ledger::Ledger) {}",
        "fn f() { assert!(crate::ledger::open()); }",
        "mod inner { fn f() { super::super::ledger::open(); } }",
        "macro_rules! open { () => { $crate::ledger::open() }; }",
        "pub use crate::ledger::Ledger; fn f() { super::ledger::open(); }",
    ] {
        let found = forbidden(&house(&[("src/plan.rs", hidden), ("src/ledger.rs", "")]), TABLE);
        assert_eq!(found.len(), 1, "{hidden}: {found:?}");
    }
}

#[test]
fn a_reexport_of_another_room_is_an_arrow_too() {
    let files = [("src/plan/mod.rs", "pub use crate::ledger::Ledger;"), ("src/ledger.rs", "")];
    assert_eq!(forbidden(&house(&files), TABLE).len(), 1);
}

#[test]
fn a_room_that_the_table_does_not_know_is_found() {
    let found = forbidden(&house(&[("src/attic.rs", "")]), TABLE);
    assert_eq!(found, ["src/attic.rs: no such room in the table"]);
}

#[test]
fn tests_may_look_anywhere() {
    let files = [
        ("src/ledger.rs", ""),
        ("src/plan/mod.rs", "#[cfg(test)] mod tests; #[cfg(test)] mod more { use crate::ledger; }"),
        ("src/plan/tests.rs", "use crate::ledger;"),
    ];
    assert_eq!(forbidden(&house(&files), TABLE), [""; 0]);
}

#[test]
fn a_circle_between_two_files_is_found() {
    let files = [
        ("src/plan/mod.rs", "mod a; mod b;"),
        ("src/plan/a.rs", "use super::b::B; pub struct A;"),
        ("src/plan/b.rs", "pub struct B; fn f(_: super::a::A) {}"),
    ];
    let found = circles(&house(&files));
    assert_eq!(found, ["src/plan/a.rs -> src/plan/b.rs -> src/plan/a.rs"]);
}

#[test]
fn a_circle_through_the_door_is_found() {
    let files = [
        ("src/plan/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
        ("src/plan/a.rs", "use super::B; pub struct A;"),
        ("src/plan/b.rs", "use crate::plan::A; pub struct B;"),
    ];
    assert_eq!(circles(&house(&files)).len(), 1);
}

#[test]
fn a_door_that_works_with_its_child_and_is_used_by_it_is_a_circle() {
    for door in ["mod a; pub fn all() { a::one() }", "mod a; use a::one; pub fn all() { one() }"] {
        let child = "pub fn one() { super::all() }";
        let found = circles(&house(&[("src/plan/mod.rs", door), ("src/plan/a.rs", child)]));
        assert_eq!(found.len(), 1, "{door}: {found:?}");
    }
}

#[test]
fn a_door_alone_is_no_circle() {
    let files = [
        ("src/plan/mod.rs", "mod a; mod b; pub use a::{A, Other as Alias}; pub use b::*;"),
        ("src/plan/a.rs", "pub struct A; pub struct Other;"),
        ("src/plan/b.rs", "use super::{A, Alias}; pub struct B;"),
        ("src/plan/c.rs", "use super::B;"),
    ];
    assert_eq!(circles(&house(&files)), [""; 0]);
}

#[test]
fn the_words_of_the_contract_may_stand_in_the_door() {
    let door = "mod a; pub enum Error {} pub fn all() -> Result<(), Error> { a::one() }";
    let child = "use super::Error; pub fn one() -> Result<(), Error> { Ok(()) }";
    assert_eq!(circles(&house(&[("src/plan/mod.rs", door), ("src/plan/a.rs", child)])), [""; 0]);
}

#[test]
fn a_pure_room_that_reaches_outside_is_found() {
    for reach in ["use std::fs;", "fn f() { std::fs::read(\"x\"); }", "use std::{fs::File, io};"] {
        let found = trespasses(&house(&[("src/plan.rs", reach)]), "std::fs", &["ledger"]);
        assert_eq!(found, ["src/plan.rs: plan may not use std::fs"], "{reach}");
    }
    assert!(
        trespasses(&house(&[("src/ledger.rs", "use std::fs;")]), "std::fs", &["ledger"]).is_empty()
    );
    assert!(trespasses(&house(&[("src/plan.rs", "use std::fmt;")]), "std::fs", &[]).is_empty());
}

#[test]
fn a_missing_head_is_found() {
    let files = owned(&[("a.rs", "//! Says it.\n"), ("b.rs", "// Does not.\n"), ("c.rs", "")]);
    assert_eq!(headless(&files).len(), 2);
}

#[test]
fn a_forgotten_test_file_is_found() {
    let names = ["main".to_owned(), "known".to_owned(), "forgotten".to_owned()];
    let found = undeclared("//! Tests.\n\nmod known;\n// mod forgotten;\n", &names);
    assert_eq!(found, ["tests/it/forgotten.rs is not declared in main.rs"]);
}

#[test]
fn length_is_counted_without_the_tests() {
    let text = "//! Head.\nfn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\n";
    assert_eq!(code(text).lines().count(), 2);
    assert!(tests("a.rs", text).contains("fn g"));
    assert_eq!(tests("src/plan/tests.rs", "fn g() {}"), "fn g() {}");
    assert!(too_long(&owned(&[("src/plan/tests.rs", text)]), 1).is_empty());
    assert!(too_long(&owned(&[("a.rs", text)]), 2).is_empty());
    assert_eq!(too_long(&owned(&[("a.rs", text)]), 1), ["a.rs: 2 lines, the limit is 1"]);
}

#[test]
fn words_are_found_as_words() {
    let text = "fine\nlet x = todo; // LATER\nmktemp LATERLATER\n";
    assert_eq!(lines_with("a", text, &["LATER"]), ["a:2: `LATER`"]);
    assert_eq!(lines_with("a", "cd /srv/x", &["/srv/"]), ["a:1: `/srv/`"]);
}

#[test]
fn a_name_that_says_nothing_is_found() {
    let paths = ["src/plan/check.rs".to_owned(), "src/plan/util.rs".to_owned()];
    assert_eq!(meaningless(&paths), ["src/plan/util.rs: the name says nothing"]);
}
