//! A seeded world in which daemons die at every step, launches fail, shims are killed and reports
//! come late, twice or never; and what must hold all the same (design §15, fault cases 1-7, 37-47).
//!
//! `MUXVISOR_SEED=N` plays one seed, `MUXVISOR_SEEDS=M` so many, `MUXVISOR_STEPS=M` so long; see `scripts/simulate`.

mod bonds;
mod chance;
mod compose;
mod faults;
mod happenings;
mod inside;
mod laws;
mod ledger;
mod moods;
mod people;
mod plans;
mod ranks;
mod shims;
mod starts;
mod steering;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use chance::Chance;
use muxvisor::model::RunFact;
use muxvisor::workflow::Workflow;
use world::World;

/// How many seeds are played when nobody says otherwise.
const SEEDS: u64 = 80;

fn played(seed: u64, faults: bool) -> World {
    let mut world = World::new(seed, faults);
    world.go();
    world
}

/// How every task ended, one line each.
fn story(world: &World) -> Vec<String> {
    let facts = &world.ledger.runs[&world::run_id()];
    let run = Workflow::replay(&world::run_id(), facts).expect("its facts fit");
    assert!(matches!(facts.last(), Some((_, RunFact::Ended { .. }))));
    let task = |(plan, task): (&muxvisor::plan::Task, &muxvisor::workflow::Task)| {
        // Which of several events came first is a matter of time.
        let timely = !matches!(plan.work, muxvisor::plan::Work::Wait { .. });
        let output = task.output.as_ref().filter(|_| timely).map(|output| &output.value);
        let error = task.error.as_ref().map(|error| error.outcome);
        format!("{} {} n={} {:?} {output:?} {error:?}", plan.id, task.state, task.n, task.skip)
    };
    let mut lines: Vec<String> = run.tasks().map(task).collect();
    // Workers stand in the order in which they were asked for.
    lines.sort();
    lines.push(format!("{:?} {:?}", run.outcome, run.root_cause));
    lines
}

/// Plays one seed; how much happened in it.
fn play(seed: u64) -> u64 {
    let world = played(seed, true);
    let mut steps = world.steps;
    if world.is_comparable() {
        let calm = played(seed, false);
        steps += calm.steps;
        assert_eq!(story(&world), story(&calm), "crashes changed how the run ended");
    }
    steps
}

/// Plays one seed, and says which when it fails.
fn named(seed: u64) -> u64 {
    catch_unwind(AssertUnwindSafe(|| play(seed)))
        .unwrap_or_else(|_| panic!("seed {seed} fails: scripts/simulate --seed {seed}"))
}

/// Plays one world after the other until so much has happened. Each is a seed of its own, so that
/// what fails late need not be played from the beginning, and memory stays bounded.
fn march(first: u64, steps: u64) -> (u64, u64) {
    let mut seeds = Chance::of(first, "march");
    let (mut done, mut worlds) = (named(first), 1);
    while done < steps {
        done += named(seeds.number());
        worlds += 1;
    }
    (done, worlds)
}

#[test]
fn whatever_fails_the_laws_hold() {
    #[expect(clippy::disallowed_methods, reason = "a person chooses the seeds")]
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("MUXVISOR_SEED").unwrap_or(0);
    let (steps, worlds) = match number("MUXVISOR_STEPS") {
        Some(steps) => march(first, steps),
        None => {
            let count = number("MUXVISOR_SEEDS").unwrap_or(if first > 0 { 1 } else { SEEDS });
            ((first..first + count).map(named).sum(), count)
        }
    };
    eprintln!("{steps} steps in {worlds} worlds");
}
