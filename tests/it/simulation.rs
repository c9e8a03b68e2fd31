//! A seeded world in which daemons die at every step, launches fail, shims are killed and reports
//! come late, twice or never; and what must hold all the same (design §15, fault cases 1-7, 37-47).
//!
//! `MUXVISOR_SEED=N` plays one seed, `MUXVISOR_SEEDS=M` so many; see `scripts/simulate`.

mod chance;
mod happenings;
mod laws;
mod ledger;
mod plans;
mod ranks;
mod shims;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use muxvisor::model::RunFact;
use muxvisor::workflow::Workflow;
use world::World;

/// How many seeds are played when nobody says otherwise.
const SEEDS: u64 = 120;

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
        let output = task.output.as_ref().map(|output| &output.value);
        let error = task.error.as_ref().map(|error| error.outcome);
        format!("{} {} n={} {:?} {output:?} {error:?}", plan.id, task.state, task.n, task.skip)
    };
    let mut lines: Vec<String> = run.tasks().map(task).collect();
    lines.push(format!("{:?} {:?}", run.outcome, run.root_cause));
    lines
}

fn play(seed: u64) {
    let world = played(seed, true);
    if world.is_comparable() {
        let calm = played(seed, false);
        assert_eq!(story(&world), story(&calm), "crashes changed how the run ended");
    }
}

#[test]
fn whatever_fails_the_laws_hold() {
    #[expect(clippy::disallowed_methods, reason = "a person chooses the seeds")]
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("MUXVISOR_SEED").unwrap_or(0);
    let count = number("MUXVISOR_SEEDS").unwrap_or(if first > 0 { 1 } else { SEEDS });
    for seed in first..first + count {
        if catch_unwind(AssertUnwindSafe(|| play(seed))).is_err() {
            panic!("seed {seed} fails: scripts/simulate --seed {seed}");
        }
    }
}
