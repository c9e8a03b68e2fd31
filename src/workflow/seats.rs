//! Tasks that are plans themselves and wait for a run of their own (feature A22): whose turn is still
//! to come, and whose run lives. Counted by phase, so that nobody walks over a thousand items to
//! find room for one more run.

use std::collections::{BTreeMap, BTreeSet};

use super::looks::look;
use crate::model::TaskState;
use crate::plan::Plan;

/// The tasks that wait for runs, by their positions in the plan.
#[derive(Clone, Debug, Default)]
pub(super) struct Seats {
    /// The phases of tasks that are plans; none for all others.
    phases: Vec<Option<String>>,
    waits: BTreeMap<String, BTreeSet<usize>>,
    lives: BTreeMap<String, BTreeSet<usize>>,
}

impl Seats {
    /// Nobody waits yet.
    pub(super) fn of(plan: &Plan) -> Self {
        let phases = plan.tasks.iter().map(|task| task.sub_plan().map(|_| task.phase.clone()));
        Self { phases: phases.collect(), ..Self::default() }
    }

    /// Takes in where a task stands, and says whether it waits for a run.
    pub(super) fn enter(&mut self, at: usize, state: TaskState, has_run: bool) -> bool {
        let waits = state == TaskState::Waiting;
        let Some(phase) = self.phases[at].as_ref().filter(|_| waits) else { return false };
        let place = if has_run { &mut self.lives } else { &mut self.waits };
        place.entry(phase.clone()).or_default().insert(at);
        true
    }

    /// Forgets where it stood.
    pub(super) fn leave(&mut self, at: usize) {
        let Some(phase) = &self.phases[at] else { return };
        for place in [&mut self.waits, &mut self.lives] {
            place.get_mut(phase).map(|tasks| tasks.remove(&at));
        }
    }

    /// The phase of a task that is a plan.
    pub(super) fn phase(&self, at: usize) -> Option<&str> {
        self.phases.get(at)?.as_deref()
    }

    /// The tasks whose run lives.
    pub(super) fn lives(&self) -> impl Iterator<Item = usize> + '_ {
        self.lives.values().flatten().copied().inspect(|_| look())
    }

    /// How many of them there are.
    pub(super) fn taken(&self) -> usize {
        self.lives.values().map(BTreeSet::len).sum()
    }

    /// How many of them are of that phase.
    pub(super) fn taken_in(&self, phase: &str) -> usize {
        self.lives.get(phase).map_or(0, BTreeSet::len)
    }

    /// The tasks of a phase whose turn is still to come, in the order of the plan.
    pub(super) fn waits_in(&self, phase: &str) -> impl Iterator<Item = usize> + '_ {
        self.waits.get(phase).into_iter().flatten().copied().inspect(|_| look())
    }

    /// Whether there is any such task.
    pub(super) fn any_waits(&self) -> bool {
        self.waits.values().any(|tasks| !tasks.is_empty())
    }
}
