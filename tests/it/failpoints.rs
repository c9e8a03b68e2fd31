//! Fault 3: the daemon or a shim is killed before and after every IO step that has a name, once
//! each, in a play that passes them all. Whatever dies where: the result is the same, no attempt
//! runs twice, nobody and nothing is left behind.
//!
//! Only builds with debug assertions can be killed this way (docs/decisions/0009-fail-points.md).

#![cfg(debug_assertions)]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod play;
mod table;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use muxvisor::failpoint;

use play::{Brought, Play};

/// Homes at once: most of a play is waiting.
const HOMES: usize = 6;
/// How often a blow that never fell is tried again: which process passes a step how often depends
/// on who was faster.
const TRIES: usize = 3;

/// Steps that this play does not pass, and where they are struck.
const ELSEWHERE: &[(&str, &str)] = &[("clock.wall", "moves the clock; `faults::clock`")];

/// One death.
#[derive(Clone, Debug)]
struct Blow {
    step: &'static str,
    action: &'static str,
    pass: u32,
}

impl Blow {
    fn words(&self) -> String {
        format!("{}={}@{}", self.step, self.action, self.pass)
    }

    fn is_for_a_shim(&self) -> bool {
        self.step.starts_with("shim.")
    }
}

/// The most passes of each step that one process made in an undisturbed play.
fn census() -> (Brought, BTreeMap<&'static str, u32>) {
    let play = Play::new("*=trace");
    let brought = play.perform();
    let mut of_processes: BTreeMap<String, u32> = BTreeMap::new();
    play.mark().lines().for_each(|line| *of_processes.entry(line.to_owned()).or_default() += 1);
    let mut most = BTreeMap::new();
    for (line, passes) in of_processes {
        let (name, _pid) = line.split_once(' ').unwrap();
        let name = failpoint::ALL.iter().find(|known| **known == name).unwrap();
        let entry = most.entry(*name).or_default();
        *entry = passes.max(*entry);
    }
    (brought, most)
}

fn blows(census: &BTreeMap<&'static str, u32>) -> Vec<Blow> {
    let mut blows = Vec::new();
    for (step, passes) in census {
        // Between decision and commit lies every promise, so those are struck more than once.
        let often = step.ends_with(".commit");
        let later = [2, 3, 5].into_iter().filter(|pass| often && pass * 2 <= *passes);
        for pass in [1].into_iter().chain(later) {
            for action in ["kill-before", "kill-after"] {
                blows.push(Blow { step, action, pass });
            }
        }
    }
    blows
}

/// Plays with one blow; says what was wrong.
fn strike(blow: &Blow, expected: &Brought) -> Result<(), String> {
    for _ in 0..TRIES {
        let play = Play::new(&blow.words());
        let brought = play.perform();
        let mark = play.mark();
        if mark.is_empty() {
            continue;
        }
        assert!(mark.starts_with(blow.step), "{blow:?}: {mark}");
        return brought.compare(expected, blow.is_for_a_shim());
    }
    Err(format!("it was never struck in {TRIES} plays"))
}

#[test]
fn whoever_dies_at_whichever_step_the_work_is_done_once() {
    let (expected, census) = census();
    expected.is_sound().unwrap();
    let missing: Vec<_> = failpoint::ALL
        .iter()
        .filter(|step| !census.contains_key(*step))
        .filter(|step| ELSEWHERE.iter().all(|(name, _)| name != *step))
        .collect();
    assert!(missing.is_empty(), "the play does not pass {missing:?}");
    let blows = blows(&census);
    let next = AtomicUsize::new(0);
    let violations = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..HOMES {
            scope.spawn(|| {
                while let Some(blow) = blows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = std::panic::catch_unwind(|| strike(blow, &expected));
                    let found = found.unwrap_or_else(|_| Err("a play could not go on".to_owned()));
                    if let Err(wrong) = found {
                        violations.lock().unwrap().push(format!("{}: {wrong}", blow.words()));
                    }
                }
            });
        }
    });
    let violations = violations.into_inner().unwrap();
    for (step, passes) in &census {
        println!("{step}: killed before and after, of {passes} passes");
    }
    println!("{} blows at {} steps, {} violations", blows.len(), census.len(), violations.len());
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}
