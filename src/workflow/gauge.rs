//! How much of its time a run used (features J7, J8): measured between facts, so that a replay
//! measures the same.

use crate::model::Moment;

/// Times in milliseconds, added up until the last fact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gauge {
    pub(super) last: Moment,
    /// Attempts at work, each with its time.
    pub(super) busy: u64,
    /// Slots that there was work for, each with its time.
    pub(super) wanted: u64,
    /// When there was work and nobody was at it.
    pub(super) idle: u64,
}

impl Gauge {
    /// What it says at the end of a run.
    pub(super) fn read(&self) -> (u64, f64) {
        #[expect(clippy::cast_precision_loss, reason = "a share of milliseconds")]
        let share = if self.wanted == 0 { 1.0 } else { self.busy as f64 / self.wanted as f64 };
        (self.idle, (share * 1e4).round() / 1e4)
    }
}
