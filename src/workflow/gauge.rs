//! How much of its time a run used (features J7, J8): measured between facts, so that a replay
//! measures the same.

use crate::model::{Moment, RunState, TaskState};

use super::Run;

/// Times in milliseconds, added up until the last fact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gauge {
    last: Moment,
    /// Attempts at work, each with its time.
    busy: u64,
    /// Slots that there was work for, each with its time.
    wanted: u64,
    /// When there was work and nobody was at it.
    idle: u64,
}

impl Gauge {
    /// What it says at the end of a run.
    pub(super) fn read(&self) -> (u64, f64) {
        #[expect(clippy::cast_precision_loss, reason = "a share of milliseconds")]
        let share = if self.wanted == 0 { 1.0 } else { self.busy as f64 / self.wanted as f64 };
        (self.idle, (share * 1e4).round() / 1e4)
    }
}

impl Run {
    /// Measures up to that moment, before anything changes.
    pub(super) fn measure(&mut self, at: Moment) {
        self.gauge = self.gauge_at(at);
    }

    /// What the gauge says at that moment.
    pub(super) fn gauge_at(&self, at: Moment) -> Gauge {
        let Gauge { last, busy, wanted, idle } = self.gauge;
        let span = at.0.saturating_sub(last.0);
        if span == 0 || self.state != RunState::Running {
            return Gauge { last: last.max(at), ..self.gauge };
        }
        let (mut running, mut waiting) = (0, 0);
        for task in self.tasks.values() {
            running += u64::from(task.state == TaskState::Running);
            waiting += u64::from(matches!(task.state, TaskState::Queued | TaskState::Starting));
        }
        let slots = (running + waiting).min(u64::from(self.plan.max_parallel).max(running));
        Gauge {
            last: at,
            busy: busy + running * span,
            wanted: wanted + slots * span,
            idle: idle + if slots > 0 && running == 0 { span } else { 0 },
        }
    }
}
