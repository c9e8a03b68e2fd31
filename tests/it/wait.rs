//! Waiting without sleeping on a guess: a condition is polled until it holds or a deadline passes.

use std::time::Duration;

/// How long a condition may take on a busy machine.
const WITHIN: Duration = Duration::from_secs(20);
const EVERY: Duration = Duration::from_millis(5);

/// Lets a moment pass before a fault strikes. Not for waiting: a test waits for conditions.
#[expect(clippy::disallowed_methods, reason = "the one place where a test sleeps")]
pub(crate) fn let_pass(moment: Duration) {
    std::thread::sleep(moment);
}

/// Returns when `holds` does; panics with `what` after 20 s.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "the one place where a test sleeps")]
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..WITHIN.as_millis() / EVERY.as_millis() {
        if holds() {
            return;
        }
        std::thread::sleep(EVERY);
    }
    panic!("waited {WITHIN:?} for: {what}");
}
