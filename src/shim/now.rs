//! The shim's two clocks, and its only pause.

use nix::poll::{PollTimeout, poll};
use rustix::time::{ClockId, clock_gettime};

/// Milliseconds on the monotonic clock: for waits and durations.
pub(super) fn monotonic_ms() -> u64 {
    u64::try_from(read(ClockId::Monotonic)).unwrap_or(0)
}

/// Milliseconds since 1970: for records that people read.
pub(super) fn wall_ms() -> i64 {
    read(ClockId::Realtime)
}

/// Lets time pass, before there is anything else to wait for.
pub(super) fn pause(ms: u16) {
    let _ = poll(&mut [], PollTimeout::from(ms));
}

fn read(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
}
