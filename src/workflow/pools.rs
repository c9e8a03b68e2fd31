//! Slots and rates (research 5.5): of the run, of the phase, of the agent, and of named pools that
//! all runs share. Slots are counted from live tasks, never held in a counter, so a crash cannot
//! leak one; rates from the starts that lie within their span.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::model::{Moment, RunId};
use crate::plan::{self, Rate};

use super::Run;

/// How many attempts of tasks live, as [`super::slots`] counts them.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    pub(super) all: usize,
    of_run: BTreeMap<RunId, usize>,
    of_phase: BTreeMap<(RunId, String), usize>,
    of_agent: BTreeMap<String, usize>,
    of_pool: BTreeMap<String, u32>,
}

impl Live {
    pub(super) fn add(&mut self, run: &RunId, plan: &plan::Task, agent: Option<&str>) {
        self.all += 1;
        *self.of_run.entry(run.clone()).or_default() += 1;
        *self.of_phase.entry((run.clone(), plan.phase.clone())).or_default() += 1;
        *self.of_agent.entry(agent.unwrap_or_default().to_owned()).or_default() += 1;
        for (pool, slots) in &plan.uses {
            *self.of_pool.entry(pool.clone()).or_default() += slots;
        }
    }

    pub(super) fn of_agent(&self, agent: &str) -> usize {
        self.of_agent.get(agent).copied().unwrap_or(0)
    }

    pub(super) fn of_run(&self, run: &RunId) -> usize {
        self.of_run.get(run).copied().unwrap_or(0)
    }

    /// Whether the run and the phase have a slot.
    pub(super) fn run_has_room(&self, run: &Run, phase: &str) -> bool {
        let of_run = self.of_run(&run.id);
        let of_phase = self.of_phase.get(&(run.id.clone(), phase.to_owned())).copied().unwrap_or(0);
        let most = run.plan.phase(phase).and_then(|phase| phase.max_parallel);
        of_run < run.plan.max_parallel as usize && most.is_none_or(|most| of_phase < most as usize)
    }

    /// Whether every pool that a task takes from has as much left. Where plans disagree about the
    /// size of a pool, the smallest counts.
    pub(super) fn pools_have_room(&self, plan: &plan::Task, sizes: &BTreeMap<&str, u32>) -> bool {
        plan.uses.iter().all(|(pool, slots)| {
            let taken = self.of_pool.get(pool).copied().unwrap_or(0);
            let size = sizes.get(pool.as_str());
            size.is_none_or(|size| taken.saturating_add(*slots) <= *size)
        })
    }
}

/// The size of every pool that has one, by name, over all runs.
pub(super) fn sizes<'a>(runs: impl Iterator<Item = &'a Run>) -> BTreeMap<&'a str, u32> {
    let mut sizes: BTreeMap<&str, u32> = BTreeMap::new();
    for (name, pool) in runs.flat_map(|run| &run.plan.limits) {
        if let Some(slots) = pool.slots {
            let size = sizes.entry(name).or_insert(slots);
            *size = slots.min(*size);
        }
    }
    sizes
}

/// Who is started how often: an agent, or a pool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Counted {
    Agent(String),
    Pool(String),
}

/// When attempts were started, as far back as any rate looks.
#[derive(Clone, Debug, Default)]
pub(super) struct Starts {
    at: BTreeMap<Counted, VecDeque<Moment>>,
}

/// Rates look no further back.
const SPAN_MAX: Duration = Duration::from_secs(86_400);

impl Starts {
    /// An attempt was started.
    pub(super) fn add(&mut self, at: Moment, agent: &str, pools: impl Iterator<Item = String>) {
        let counted = pools.map(Counted::Pool).chain([Counted::Agent(agent.to_owned())]);
        for key in counted {
            let starts = self.at.entry(key).or_default();
            let place = starts.partition_point(|start| *start <= at);
            starts.insert(place, at);
            while starts.front().is_some_and(|first| at.since(*first) > SPAN_MAX) {
                starts.pop_front();
            }
        }
    }

    /// When a rate has room again; none when it has it now.
    pub(super) fn full_until(&self, now: Moment, key: &Counted, rate: Rate) -> Option<Moment> {
        let span = Duration::from_millis(rate.per_ms).min(SPAN_MAX);
        let starts = self.at.get(key)?;
        let within = starts.iter().rev().take_while(|start| **start + span > now);
        // The oldest of the last `count` starts must leave the span first.
        within
            .take(rate.count as usize)
            .enumerate()
            .find_map(|(index, start)| (index + 1 == rate.count as usize).then(|| *start + span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Research 5.5: a rate counts the starts of a span that slides.
    #[test]
    fn a_rate_has_room_again_when_its_oldest_start_leaves_the_span() {
        let mut starts = Starts::default();
        let rate = Rate { count: 2, per_ms: 1_000 };
        let key = Counted::Pool("p".to_owned());
        let full = |starts: &Starts, now| starts.full_until(Moment(now), &key, rate);
        for at in [100, 600] {
            assert_eq!(full(&starts, at), None);
            starts.add(Moment(at), "a", ["p".to_owned()].into_iter());
        }
        assert_eq!(full(&starts, 700), Some(Moment(1_100)));
        assert_eq!(full(&starts, 1_100), None);
        starts.add(Moment(1_100), "a", ["p".to_owned()].into_iter());
        assert_eq!(full(&starts, 1_101), Some(Moment(1_600)));
        assert_eq!(full(&starts, 9_000), None);
    }
}
