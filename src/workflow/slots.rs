//! How many attempts of tasks live, counted afresh for each dispatch and never held in a counter,
//! so that a crash cannot leak a slot.
//!
//! A lead whose workers are not over waits for them, so it is not counted when a worker wants a
//! slot: with `max_parallel = 1` a lead and one worker live side by side. Everybody else counts it,
//! so that what a lead gives up goes to workers only. There is thus at most one attempt more than
//! the limit says for each lead.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{RunId, TaskId};

use super::Run;

/// Attempts that live, and the leads among them that wait for workers.
#[derive(Default)]
pub(super) struct Live {
    counted: Count,
    waiting: Count,
}

#[derive(Default)]
struct Count {
    all: usize,
    of_run: BTreeMap<RunId, usize>,
    of_agent: BTreeMap<String, usize>,
}

impl Count {
    fn add(&mut self, run: &RunId, agent: Option<&str>) {
        self.all += 1;
        *self.of_run.entry(run.clone()).or_default() += 1;
        *self.of_agent.entry(agent.unwrap_or_default().to_owned()).or_default() += 1;
    }
}

impl Live {
    pub(super) fn count<'a>(runs: impl Iterator<Item = &'a Run>) -> Self {
        let mut live = Self::default();
        for run in runs {
            let leads = waiting_leads(run);
            for (id, task) in run.tasks.iter().filter(|(_, task)| task.is_live()) {
                live.counted.add(&run.id, task.agent.as_deref());
                if leads.contains(id) {
                    live.waiting.add(&run.id, task.agent.as_deref());
                }
            }
        }
        live
    }

    pub(super) fn add(&mut self, run: &RunId, agent: Option<&str>) {
        self.counted.add(run, agent);
    }

    pub(super) fn all(&self, for_worker: bool) -> usize {
        self.pick(for_worker, |count| count.all)
    }

    pub(super) fn of_run(&self, run: &RunId, for_worker: bool) -> usize {
        self.pick(for_worker, |count| count.of_run.get(run).copied().unwrap_or(0))
    }

    pub(super) fn of_agent(&self, agent: &str, for_worker: bool) -> usize {
        self.pick(for_worker, |count| count.of_agent.get(agent).copied().unwrap_or(0))
    }

    fn pick(&self, for_worker: bool, number: impl Fn(&Count) -> usize) -> usize {
        let waiting = if for_worker { number(&self.waiting) } else { 0 };
        number(&self.counted).saturating_sub(waiting)
    }
}

/// The leads of a run that have a worker which is not over.
fn waiting_leads(run: &Run) -> BTreeSet<&TaskId> {
    let open = run.tasks().filter(|(_, task)| !task.state.is_end());
    open.filter_map(|(plan, _)| plan.worker_of()).collect()
}
