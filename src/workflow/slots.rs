//! How many attempts of tasks live, counted afresh for each dispatch and never held in a counter,
//! so that a crash cannot leak a slot.
//!
//! A lead whose workers are not over waits for them, so it is not counted when a worker wants a
//! slot: with `max_parallel = 1` a lead and one worker live side by side. Everybody else counts it,
//! so that what a lead gives up goes to workers only. There is thus at most one attempt more than
//! the limit says for each lead.

use std::collections::BTreeSet;

use crate::model::{RunId, TaskId};
use crate::plan;

use super::Run;
use super::pools::Live;

/// What is taken, as tasks of the plan see it, and as workers do.
#[derive(Debug, Default)]
pub(super) struct Slots {
    counted: Live,
    for_workers: Live,
}

impl Slots {
    pub(super) fn count<'a>(runs: impl Iterator<Item = &'a Run>) -> Self {
        let mut slots = Self::default();
        for run in runs {
            let leads = waiting_leads(run);
            for (plan, task) in run.census.live().filter_map(|at| run.at(at)) {
                slots.counted.add(&run.id, plan, task.agent.as_deref());
                if !leads.contains(&plan.id) {
                    slots.for_workers.add(&run.id, plan, task.agent.as_deref());
                }
            }
        }
        slots
    }

    pub(super) fn add(&mut self, run: &RunId, plan: &plan::Task, agent: Option<&str>) {
        self.counted.add(run, plan, agent);
        self.for_workers.add(run, plan, agent);
    }

    /// How many of a run live, but for leads that wait for their workers.
    pub(super) fn of_run(&self, run: &RunId) -> usize {
        self.for_workers.of_run(run)
    }

    /// What is taken, as this task sees it.
    pub(super) fn seen_by(&self, plan: &plan::Task) -> &Live {
        if plan.worker_of().is_some() { &self.for_workers } else { &self.counted }
    }
}

/// The leads of a run that have a worker which is not over.
fn waiting_leads(run: &Run) -> BTreeSet<&TaskId> {
    let workers = run.census.workers().filter_map(|at| run.at(at));
    let open = workers.filter(|(_, task)| !task.state.is_end());
    open.filter_map(|(plan, _)| plan.worker_of()).collect()
}
