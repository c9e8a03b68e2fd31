//! Fault 3: the daemon or a shim is killed at every IO step that has a name, in plays that pass them
//! all; before and after each with `scripts/strike`, one of both in every run of the tests. Whatever
//! dies where: the result is the same, no attempt runs twice, nobody and nothing is left behind.
//!
//! Only builds with debug assertions can be killed this way (docs/decisions/0007-fail-points.md).

#![cfg(debug_assertions)]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod care;
mod play;
mod table;
mod windows;
mod work;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use muxvisor::failpoint;

use play::{Brought, Play, Plot};

/// Homes at once: most of a play is waiting.
const HOMES: usize = 3;
/// How often a blow that never fell is tried again: which process passes a step how often depends
/// on who was faster.
const TRIES: usize = 3;

/// What is played. A step is struck in the first of them that passes it.
static PLOTS: [Plot; 3] = [work::WORK, windows::WINDOWS, care::CARE];

/// Steps that no play passes, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("clock.wall", "moves the clock; `faults::clock`"),
    ("launch.find-window", "looks, when an answer of tmux was lost; `tmux::faults`"),
    ("shim.enter-group", "where the kernel cannot start a process in a group; `shim::leaf`"),
];

/// One death.
#[derive(Clone, Debug)]
struct Blow {
    plot: &'static Plot,
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
fn census(plot: &'static Plot) -> (Brought, BTreeMap<&'static str, u32>) {
    let play = Play::new(plot, "*=trace");
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

/// What is struck: `scripts/strike` has all of it done, and takes as long; otherwise every step is
/// struck once, before and after by turns.
#[expect(clippy::disallowed_methods, reason = "a person chooses how much is struck")]
fn blows(census: &[BTreeMap<&'static str, u32>]) -> Vec<Blow> {
    let all = std::env::var_os("MUXVISOR_BLOWS").is_some();
    let mut blows = Vec::new();
    for (plot, passed) in PLOTS.iter().zip(census) {
        for (step, passes) in passed {
            // Between decision and commit lies every promise, and one name stands for all that is
            // said to tmux, so those are struck more than once, and in every play.
            let often = step.ends_with(".commit") || step.starts_with("tmux.");
            let known = |one: &&BTreeMap<_, _>| one.contains_key(step);
            let first = census.iter().find(known).is_some_and(|one| std::ptr::eq(one, passed));
            if !first && !often {
                continue;
            }
            let later = [2, 3, 5, 8, 13].into_iter().filter(|n| often && all && n * 2 <= *passes);
            for pass in [1].into_iter().chain(later) {
                let actions = ["kill-before", "kill-after"];
                let which = if all { &actions[..] } else { &actions[blows.len() % 2..][..1] };
                blows.extend(which.iter().map(|action| Blow { plot, step, action, pass }));
            }
        }
    }
    blows
}

/// Plays with one blow; says what was wrong.
fn strike(blow: &Blow, expected: &Brought) -> Result<(), String> {
    for _ in 0..TRIES {
        let play = Play::new(blow.plot, &blow.words());
        let brought = play.perform();
        let mark = play.mark();
        if mark.is_empty() {
            continue;
        }
        assert!(mark.starts_with(blow.step), "{blow:?}: {mark}");
        let compared = brought.compare(expected, blow.is_for_a_shim());
        return compared.map_err(|wrong| format!("{wrong}\n{}", play.evidence()));
    }
    Err(format!("it was never struck in {TRIES} plays"))
}

/// The rooms of the table, in parts that are struck side by side.
const PARTS: &[&[&str]] = &[
    &["start"],
    &["turn", "ledger"],
    &["launch", "ask", "submit"],
    &["follow", "fence", "reload", "config", "reconcile", "dump", "archive", "leave"],
    &["window", "probe"],
    &["tmux"],
    &["shim", "view"],
];

fn room_of(step: &str) -> &str {
    step.split_once('.').map_or(step, |(room, _)| room)
}

fn strike_all(part: &[&str]) {
    let (expected, census): (Vec<_>, Vec<_>) = PLOTS.iter().map(census).unzip();
    expected.iter().for_each(|expected| expected.is_sound().unwrap());
    let is_passed = |step: &str| census.iter().any(|passed| passed.contains_key(step));
    let is_elsewhere = |step: &str| ELSEWHERE.iter().any(|(name, _)| *name == step);
    let ours = failpoint::ALL.iter().filter(|step| part.contains(&room_of(step)));
    let missing: Vec<_> = ours.filter(|step| !is_passed(step) && !is_elsewhere(step)).collect();
    assert!(missing.is_empty(), "no play passes {missing:?}");
    let mut blows = blows(&census);
    blows.retain(|blow| part.contains(&room_of(blow.step)));
    let next = AtomicUsize::new(0);
    let violations = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..HOMES {
            scope.spawn(|| {
                while let Some(blow) = blows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let at = PLOTS.iter().position(|plot| plot.name == blow.plot.name).unwrap();
                    let found = std::panic::catch_unwind(|| strike(blow, &expected[at]));
                    let found = found.unwrap_or_else(|_| Err("a play could not go on".to_owned()));
                    if let Err(wrong) = found {
                        let wrong = format!("{} in {}: {wrong}", blow.words(), blow.plot.name);
                        eprintln!("VIOLATION {wrong}");
                        violations.lock().unwrap().push(wrong);
                    }
                }
            });
        }
    });
    let violations = violations.into_inner().unwrap();
    for blow in &blows {
        println!("{} {}", blow.plot.name, blow.words());
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
fn a_daemon_dies_at_every_step_about_windows_and_probes() {
    strike_all(PARTS[4]);
}

#[test]
fn a_daemon_dies_whenever_it_speaks_to_tmux() {
    strike_all(PARTS[5]);
}

#[test]
fn a_shim_or_a_viewer_dies_at_every_step() {
    strike_all(PARTS[6]);
}

/// How often a step may be passed that nothing but a lost socket or a person asks for.
const MENDED_MAX: u32 = 20;

/// Nobody is struck: nothing is wrong, and nothing is done over and over while tmux is away.
#[test]
fn undisturbed_plays_are_sound() {
    for plot in &PLOTS {
        let (brought, census) = census(plot);
        println!("{}: {brought:?}\n{census:?}", plot.name);
        brought.is_sound().unwrap();
        let mended = census.get("reconcile.mend").copied().unwrap_or(0);
        assert!(mended < MENDED_MAX, "{}: sockets were looked at {mended} times", plot.name);
    }
}

#[test]
fn no_step_is_in_no_part() {
    for step in failpoint::ALL {
        let is_struck = PARTS.concat().contains(&room_of(step));
        assert!(is_struck || ELSEWHERE.iter().any(|(name, _)| name == step), "{step}");
    }
}
