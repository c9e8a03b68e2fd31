//! The only room that reads the time.
//!
//! It carries the ledger's clock on: within a boot it follows the machine's monotonic clock
//! (which counts suspend and which nobody can set); over a reboot it adds what the wall clock says
//! has passed. It never runs backwards.

use rustix::time::{ClockId, clock_gettime};

use crate::failpoint;
use crate::model::{ClockMark, Moment, WallTime};

/// A running clock.
#[derive(Clone, Debug)]
pub struct Clock {
    boot_id: String,
    /// What is added to the time since boot, in milliseconds; may be negative after a reboot.
    offset_ms: i64,
}

impl Clock {
    /// A clock that goes on where `mark` was taken; a new ledger's clock starts at the time since
    /// boot.
    ///
    /// # Errors
    /// When the boot id cannot be read.
    pub fn start(mark: Option<&ClockMark>) -> std::io::Result<Self> {
        let boot_id = boot_id()?;
        let offset_ms = mark.map_or(0, |mark| offset(mark, &boot_id, boot_ms(), wall_ms()));
        Ok(Self { boot_id, offset_ms })
    }

    /// The present moment.
    pub fn now(&self) -> Moment {
        let ms = i64::try_from(boot_ms()).unwrap_or(i64::MAX).saturating_add(self.offset_ms);
        Moment(u64::try_from(ms).unwrap_or(0))
    }

    /// The wall clock, in milliseconds since 1970; for people only.
    pub fn wall_ms(&self) -> i64 {
        wall_ms()
    }

    /// What a later daemon needs to go on from here.
    pub fn mark(&self) -> ClockMark {
        ClockMark {
            boot_id: self.boot_id.clone(),
            boot_ms: boot_ms(),
            wall_ms: wall_ms(),
            moment: self.now(),
        }
    }

    /// The boot that this process lives in.
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }
}

fn offset(mark: &ClockMark, boot_id: &str, boot_ms: u64, wall_ms: i64) -> i64 {
    let as_i64 = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    if mark.boot_id == boot_id {
        return as_i64(mark.moment.0) - as_i64(mark.boot_ms);
    }
    // A wall clock that was set back while the machine was off must not turn time back.
    let passed = (wall_ms - mark.wall_ms).max(0);
    as_i64(mark.moment.0).saturating_add(passed) - as_i64(boot_ms)
}

fn boot_id() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Milliseconds since boot, suspend included.
fn boot_ms() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}

/// The present as people tell it: wall clock and local zone.
pub fn wall_time() -> WallTime {
    let ms = wall_ms();
    let now = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    WallTime { ms, offset_s: jiff::tz::TimeZone::system().to_offset(now).seconds() }
}

fn wall_ms() -> i64 {
    let time = clock_gettime(ClockId::Realtime);
    failpoint::wall_ms(time.tv_sec * 1000 + time.tv_nsec / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(boot_id: &str) -> ClockMark {
        ClockMark {
            boot_id: boot_id.to_owned(),
            boot_ms: 5_000,
            wall_ms: 1_000_000,
            moment: Moment(70_000),
        }
    }

    #[test]
    fn within_a_boot_the_wall_clock_does_not_matter() {
        for wall in [0, 1_000_000, 90_000_000] {
            assert_eq!(6_000 + offset(&mark("a"), "a", 6_000, wall), 71_000);
        }
    }

    /// Fault 76: another boot; the clock goes on by what the wall clock says, never backwards.
    #[test]
    fn over_a_reboot_it_goes_on() {
        assert_eq!(100 + offset(&mark("a"), "b", 100, 1_030_000), 100_000);
        assert_eq!(100 + offset(&mark("a"), "b", 100, 0), 70_000);
    }

    #[test]
    fn it_runs_forwards() {
        let clock = Clock::start(None).unwrap();
        let first = clock.now();
        assert!(clock.now() >= first);
        assert_eq!(clock.mark().boot_id, clock.boot_id());
    }
}
