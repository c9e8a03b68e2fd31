//! The parsers under mutated inputs (faults 54, 59, 61): a moment in every run with a fixed seed,
//! longer by `scripts/fuzz`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "../../fuzz/targets.rs"]
mod targets;

mod mutate;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use muxvisor::clock::Clock;

use crate::architecture::tree;
use mutate::Mutator;
use targets::Target;

/// How many inputs of each target are tried in every run; a debug build takes about a second.
const INPUTS: u64 = 1500;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = tree::root().join("fuzz/corpus").join(name);
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 5, "the corpus of {name} is too small to begin with");
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Says what breaks a law, so that it can be put into the corpus.
fn attack(name: &str, target: Target, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        let path = std::env::temp_dir().join(format!("fuzz-{name}-{}", input.len()));
        fs::write(&path, input).unwrap();
        panic!("{name} breaks a law; the input is in {}", path.display());
    }
}

fn run(name: &str, inputs: u64) {
    let (_, target) = targets::ALL.iter().find(|(known, _)| *known == name).unwrap();
    let corpus = corpus(name);
    corpus.iter().for_each(|input| attack(name, *target, input));
    let mut mutator = Mutator::new(1, &corpus);
    for _ in 0..inputs {
        attack(name, *target, &mutator.next_input());
    }
}

#[test]
fn configurations_of_any_bytes_are_read_or_refused_with_places() {
    run("config", INPUTS);
}

#[test]
fn plans_of_any_bytes_are_read_or_refused_with_places() {
    run("plan", INPUTS);
}

#[test]
fn transcripts_of_any_bytes_do_not_depend_on_chunks() {
    run("transcript", INPUTS * 4);
}

#[test]
fn frames_of_any_bytes_do_not_depend_on_chunks() {
    run("frames", INPUTS * 4);
}

#[test]
fn requests_to_shims_of_any_bytes_are_read_or_refused() {
    run("shim-requests", INPUTS * 4);
}

/// `scripts/fuzz`: one target, as long as a person wants.
#[test]
#[ignore = "runs as long as it is told to: scripts/fuzz"]
fn one_target_for_long() {
    #[expect(clippy::disallowed_methods, reason = "a person chooses")]
    let said = |name| std::env::var(name).ok();
    let name = said("MUXVISOR_FUZZ").expect("MUXVISOR_FUZZ names a target");
    let seconds = said("MUXVISOR_SECONDS").and_then(|text| text.parse().ok()).unwrap_or(60);
    let seed = said("MUXVISOR_SEED").and_then(|text| text.parse().ok()).unwrap_or(1);
    let (_, target) =
        targets::ALL.iter().find(|(known, _)| *known == name).expect("such a target exists");
    let corpus = corpus(&name);
    let mut mutator = Mutator::new(seed, &corpus);
    let clock = Clock::start(None).unwrap();
    let end = clock.now() + Duration::from_secs(seconds);
    let mut tried: u64 = 0;
    while clock.now() < end {
        attack(&name, *target, &mutator.next_input());
        tried += 1;
    }
    println!("{name}: {tried} inputs in {seconds} s from seed {seed}, no law broken");
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let mut folders: Vec<String> = fs::read_dir(tree::root().join("fuzz/corpus"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut names: Vec<&str> = targets::ALL.iter().map(|(name, _)| *name).collect();
    folders.sort();
    names.sort_unstable();
    assert_eq!(folders, names);
}
