//! The shim's two clocks.

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds on the monotonic clock: for waits and durations.
pub(super) fn monotonic_ms() -> u64 {
    u64::try_from(read(ClockId::Monotonic)).unwrap_or(0)
}

/// Milliseconds since 1970: for records that people read.
pub(super) fn wall_ms() -> i64 {
    read(ClockId::Realtime)
}

fn read(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
}
