//! Clocks of work stand still in a pause (features E10, K13): what a run is to have done in some
//! time it need not have done while a person keeps it from starting anything.
//!
//! Which clocks: `gather_timeout`, `queue_timeout`, `total_timeout`, and the look at what is late.
//! Which not: the ends of questions and of waits for events, since people and the world go on;
//! the waits between attempts, since what they wait for to get better goes on too; and the limits
//! of one attempt, since an agent works on in a pause, and one that the pause stopped is made
//! again with all its time. A pause that waits for a usage limit is the agents' slowness and no
//! person's wish: `gather_timeout` goes on in it, so that who answers too late is left out.

use std::time::Duration;

use crate::model::{Moment, pause::LIMIT};

/// The pauses of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Still {
    all: Spans,
    wanted: Spans,
}

/// Which pauses a clock heeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heeds {
    /// All of them.
    All,
    /// Those that a person wanted, or that wait for a person.
    Wanted,
}

impl Still {
    /// The run was paused, for that reason.
    pub(super) fn pause(&mut self, at: Moment, why: Option<&str>) {
        self.all.begin(at);
        if why == Some(LIMIT) {
            self.wanted.end(at);
        } else {
            self.wanted.begin(at);
        }
    }

    /// The run goes on, or is over.
    pub(super) fn go_on(&mut self, at: Moment) {
        self.all.end(at);
        self.wanted.end(at);
    }

    /// When a clock that was set at one moment has counted so much; none while it stands still
    /// before that.
    pub(super) fn due(&self, heeds: Heeds, since: Moment, after: Duration) -> Option<Moment> {
        match heeds {
            Heeds::All => self.all.due(since, after),
            Heeds::Wanted => self.wanted.due(since, after),
        }
    }
}

/// Spans of time in order, the last one perhaps still open.
#[derive(Clone, Debug, Default, PartialEq)]
struct Spans {
    over: Vec<(Moment, Moment)>,
    open: Option<Moment>,
}

impl Spans {
    fn begin(&mut self, at: Moment) {
        self.open.get_or_insert(at);
    }

    fn end(&mut self, at: Moment) {
        self.over.extend(self.open.take().map(|from| (from, at)));
    }

    fn due(&self, since: Moment, after: Duration) -> Option<Moment> {
        let mut due = since + after;
        for (from, to) in self.over.iter().filter(|(_, to)| *to > since) {
            if due <= *from {
                break;
            }
            due = due + to.since(since.max(*from));
        }
        let stands = self.open.is_some_and(|from| from < due);
        (!stands).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pause counts as far as it lies between the start of a clock and its end.
    #[test]
    fn a_clock_counts_no_pause() {
        let mut still = Still::default();
        let due = |still: &Still, heeds, since| {
            still.due(heeds, Moment(since), Duration::from_millis(100)).map(|at| at.0)
        };
        for (from, to, why) in [(50, 60, "user"), (70, 90, LIMIT), (500, 600, "user")] {
            still.pause(Moment(from), Some(why));
            still.go_on(Moment(to));
        }
        assert_eq!(due(&still, Heeds::All, 0), Some(130));
        assert_eq!(due(&still, Heeds::Wanted, 0), Some(110));
        assert_eq!(due(&still, Heeds::All, 55), Some(180), "half of it lies before");
        assert_eq!(due(&still, Heeds::All, 60), Some(180));
        assert_eq!(due(&still, Heeds::All, 400), Some(500), "it begins when time is up");
        assert_eq!(due(&still, Heeds::All, 550), Some(700));
        still.pause(Moment(800), Some(LIMIT));
        assert_eq!(due(&still, Heeds::All, 750), None);
        assert_eq!(due(&still, Heeds::Wanted, 750), Some(850));
        still.pause(Moment(820), Some("user"));
        assert_eq!(due(&still, Heeds::Wanted, 750), None);
        assert_eq!(due(&still, Heeds::Wanted, 710), Some(810), "it was late before");
    }
}
