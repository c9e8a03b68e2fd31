//! The questions of a run that is followed: which are open, and which of them is asked here next.

use crate::control::WatchEvent;
use crate::control::steer::AskView;
use crate::model::TaskId;

/// Where questions are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Here {
    /// Nobody sits here.
    Nothing,
    /// Somebody who wants a document and only sees the plan.
    Plan,
    /// Somebody who watches.
    Everything,
}

/// A question that waits.
#[derive(Debug)]
struct Open {
    ask: AskView,
    /// Whether the person here has said "later".
    is_left: bool,
}

/// The questions, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Questions(Vec<Open>);

impl Questions {
    /// Takes note of what happened.
    pub(crate) fn hear(&mut self, event: &WatchEvent) {
        match event {
            WatchEvent::Snapshot { run } => {
                let asks = &run.steering.asks;
                self.0.retain(|open| asks.iter().any(|ask| ask.id == open.ask.id));
                asks.iter().for_each(|ask| self.add(ask));
            }
            WatchEvent::Asked { ask } => {
                self.remove(&ask.id);
                self.add(ask);
            }
            WatchEvent::Answered { ask, .. } => self.remove(ask),
            WatchEvent::TaskSucceeded { task, .. }
            | WatchEvent::TaskFailed { task, .. }
            | WatchEvent::TaskSkipped { task, .. }
            | WatchEvent::TaskAgain { task } => self.over(task),
            WatchEvent::Ended { .. } => self.0.clear(),
            WatchEvent::PersonWanted
            | WatchEvent::RunMoved { .. }
            | WatchEvent::TaskWaits { .. }
            | WatchEvent::TaskLate { .. }
            | WatchEvent::TaskMapped { .. }
            | WatchEvent::TaskSpawned { .. }
            | WatchEvent::Adjusted
            | WatchEvent::Update { .. }
            | WatchEvent::TaskQueued { .. }
            | WatchEvent::TaskStarted { .. }
            | WatchEvent::TaskRetrying { .. } => {}
        }
    }

    /// The one to be answered here.
    pub(crate) fn current(&self) -> Option<&AskView> {
        self.0.iter().find(|open| !open.is_left).map(|open| &open.ask)
    }

    /// Does not ask it here any more.
    pub(crate) fn leave(&mut self, id: &str) {
        let found = self.0.iter_mut().find(|open| open.ask.id == id);
        found.into_iter().for_each(|open| open.is_left = true);
    }

    /// It has its answer.
    pub(crate) fn remove(&mut self, id: &str) {
        self.0.retain(|open| open.ask.id != id);
    }

    /// All that wait.
    pub(crate) fn open(&self) -> impl Iterator<Item = &AskView> {
        self.0.iter().map(|open| &open.ask)
    }

    fn add(&mut self, ask: &AskView) {
        if self.0.iter().all(|open| open.ask.id != ask.id) {
            self.0.push(Open { ask: ask.clone(), is_left: false });
        }
    }

    /// What a task asked ends with it.
    fn over(&mut self, task: &TaskId) {
        self.0.retain(|open| open.ask.task.as_ref() != Some(task));
    }
}
