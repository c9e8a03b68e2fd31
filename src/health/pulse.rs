//! When a probe is due, and that it never has two samples under way.

use std::time::Duration;

use super::sample::Ticket;
use crate::model::Moment;

/// Lateness, in periods, from which on the daemon itself is known to have stood still.
const GAP_PERIODS: u32 = 3;

/// The rhythm of one probe.
#[derive(Clone, Debug)]
pub(super) struct Pulse {
    period: Duration,
    due: Option<Moment>,
    flight: Option<Flight>,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    ticket: Ticket,
    /// Asked before a gap, so that its answer says nothing.
    stale: bool,
}

impl Pulse {
    /// One that does not beat yet.
    pub(super) fn new(period_ms: u64) -> Self {
        let period = Duration::from_millis(period_ms.max(1));
        Self { period, due: None, flight: None }
    }

    /// Takes over what another one has under way: its answer will be dropped, and until then
    /// nothing else is asked.
    pub(super) fn after(self, other: &Pulse) -> Self {
        let flight = other.flight.map(|flight| Flight { stale: true, ..flight });
        Self { flight, ..self }
    }

    pub(super) fn period(&self) -> Duration {
        self.period
    }

    /// Beats from `first` on.
    pub(super) fn begin(&mut self, first: Moment) {
        self.due = Some(first);
    }

    /// Whether it beats.
    pub(super) fn is_begun(&self) -> bool {
        self.due.is_some()
    }

    /// Beats no more.
    pub(super) fn stop(&mut self) {
        self.due = None;
    }

    /// When to ask next; nothing while an answer is awaited.
    pub(super) fn due(&self) -> Option<Moment> {
        self.due.filter(|_| self.flight.is_none())
    }

    /// Whether it is so late that nobody can have looked for a while.
    pub(super) fn is_after_gap(&self, now: Moment) -> bool {
        self.due().is_some_and(|due| now.since(due) > self.period * GAP_PERIODS)
    }

    /// Notes a question.
    pub(super) fn asked(&mut self, now: Moment, ticket: Ticket) {
        self.flight = Some(Flight { ticket, stale: false });
        self.due = self.due.map(|_| now + self.period);
    }

    /// Takes an answer off; whether it was asked for, and whether it says anything.
    pub(super) fn answered(&mut self, ticket: Ticket) -> Option<bool> {
        let flight = self.flight.filter(|flight| flight.ticket == ticket)?;
        self.flight = None;
        Some(!flight.stale)
    }

    /// The daemon stood still: what is under way says nothing, and the next question is asked at
    /// `next`. Returns whether the gap was so long that what was seen before it says nothing either.
    pub(super) fn woke(&mut self, gap: Duration, next: Moment) -> bool {
        if let Some(flight) = &mut self.flight {
            flight.stale = true;
        }
        self.due = self.due.map(|_| next);
        gap > self.period * GAP_PERIODS
    }
}
