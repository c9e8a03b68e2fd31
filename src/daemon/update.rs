//! Tells those who watch a long run from time to time how it goes (feature L11).

use std::time::Duration;

use crate::control::WatchEvent;
use crate::model::{Moment, RunId, RunState, TaskId, ms};

use super::engine::Engine;

/// A run is long when it takes this long; after that long again it is told again.
const EVERY: Duration = Duration::from_secs(600);

impl Engine {
    /// When the next watcher is to be told.
    pub(super) fn next_update(&self) -> Option<Moment> {
        self.watchers.keys().filter_map(|run| self.update_at(run)).min()
    }

    fn update_at(&self, id: &RunId) -> Option<Moment> {
        let run = self.core.workflow.run(id).filter(|run| run.state == RunState::Running)?;
        run.started.map(|started| next(started, self.updated.get(id).copied()))
    }

    /// Tells those for whom it is time.
    pub(super) fn update_watchers(&mut self, now: Moment) {
        let due: Vec<RunId> = self
            .watchers
            .keys()
            .filter(|run| self.update_at(run).is_some_and(|at| at <= now))
            .cloned()
            .collect();
        for id in due {
            self.updated.insert(id.clone(), now);
            if let Some(event) = self.update_of(&id, now) {
                self.tell(&id, &event);
            }
        }
        self.updated.retain(|run, _| self.watchers.contains_key(run));
    }

    fn update_of(&self, id: &RunId, now: Moment) -> Option<WatchEvent> {
        let run = self.core.workflow.run(id)?;
        let over = run.tasks().filter(|(_, task)| task.state.is_end()).count();
        let at_work: Vec<TaskId> = run
            .tasks()
            .filter(|(_, task)| task.is_live())
            .map(|(plan, _)| plan.id.clone())
            .collect();
        Some(WatchEvent::Update {
            elapsed_ms: ms(now.since(run.started?)),
            over,
            all: run.tasks().count(),
            at_work,
        })
    }
}

/// When those who watch a run are told next, after its start or the last time.
fn next(started: Moment, last: Option<Moment>) -> Moment {
    last.unwrap_or(started) + EVERY
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feature L11: after ten minutes, and every ten minutes from then on.
    #[test]
    fn a_long_run_is_told_of_every_ten_minutes() {
        let first = next(Moment(5_000), None);
        assert_eq!(first, Moment(605_000));
        assert_eq!(next(Moment(5_000), Some(first)), Moment(1_205_000));
    }
}
