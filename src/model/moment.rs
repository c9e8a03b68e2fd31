//! Time as a number: milliseconds on the ledger's own clock.

use std::ops::Add;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point on the ledger's clock, in milliseconds.
///
/// The clock runs with the machine (it counts suspend, and the wall clock cannot move it) and is
/// carried on across daemon restarts and reboots, so that moments of all facts of one ledger can
/// be compared. It never runs backwards. Only the `clock` room makes one from the real time.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Moment(pub u64);

impl Moment {
    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A span in whole milliseconds.
pub fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A rough span as people say it: whole minutes, seconds for what is shorter.
pub fn minutes(ms: u64) -> String {
    match ms.div_ceil(1000) {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => format!("{} min", (seconds + 30) / 60),
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    /// The moment that lies `span` ahead; the far end of time when the sum does not fit.
    fn add(self, span: Duration) -> Moment {
        Moment(self.0.saturating_add(ms(span)))
    }
}
