//! Fault 3: the daemon or a shim is killed before and after every IO step that has a name, once
//! each, in a play that passes them all. Whatever dies where: the result is the same, no attempt
//! runs twice, nobody and nothing is left behind.
//!
//! Only builds with debug assertions can be killed this way (docs/decisions/0007-fail-points.md).

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
const HOMES: usize = 3;
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

/// The rooms of the table, in parts that are struck side by side.
const PARTS: &[&[&str]] = &[
    &["start"],
    &["turn", "ledger"],
    &["launch", "window", "ask", "submit"],
    &["follow", "reload", "reconcile", "archive", "leave"],
    &["shim"],
];

fn room_of(step: &str) -> &str {
    step.split_once('.').map_or(step, |(room, _)| room)
}

fn strike_all(part: &[&str]) {
    let (expected, census) = census();
    expected.is_sound().unwrap();
    let missing: Vec<_> = failpoint::ALL
        .iter()
        .filter(|step| part.contains(&room_of(step)) && !census.contains_key(*step))
        .collect();
    assert!(missing.is_empty(), "the play does not pass {missing:?}");
    let mut blows = blows(&census);
    blows.retain(|blow| part.contains(&room_of(blow.step)));
    let next = AtomicUsize::new(0);
    let violations = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..HOMES {
            scope.spawn(|| {
                while let Some(blow) = blows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = std::panic::catch_unwind(|| strike(blow, &expected));
                    let found = found.unwrap_or_else(|_| Err("a play could not go on".to_owned()));
                    if let Err(wrong) = found {
                        let wrong = format!("{}: {wrong}", blow.words());
                        eprintln!("VIOLATION {wrong}");
                        violations.lock().unwrap().push(wrong);
                    }
                }
            });
        }
    });
    let violations = violations.into_inner().unwrap();
    for blow in &blows {
        println!("{}", blow.words());
    }
    println!("{} blows in {part:?}, {} violations", blows.len(), violations.len());
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn a_daemon_dies_at_every_step_of_its_start() {
    strike_all(PARTS[0]);
}

#[test]
fn a_daemon_dies_at_every_step_of_a_turn() {
    strike_all(PARTS[1]);
}

#[test]
fn a_daemon_dies_at_every_step_of_a_launch_and_a_stop() {
    strike_all(PARTS[2]);
}

#[test]
fn a_daemon_dies_at_every_step_of_an_end_and_of_requests() {
    strike_all(PARTS[3]);
}

#[test]
fn a_shim_dies_at_every_step() {
    strike_all(PARTS[4]);
}

#[test]
fn no_step_is_in_no_part() {
    for step in failpoint::ALL {
        let is_struck = PARTS.concat().contains(&room_of(step));
        assert!(is_struck || ELSEWHERE.iter().any(|(name, _)| name == step), "{step}");
    }
}
