//! Judges from samples and reports whether a living attempt does well, and wishes for what is to
//! be done about it. It looks at nothing itself: the daemon takes the samples it asks for.
//!
//! ```text
//! monitor   one living attempt: readiness, probes, heartbeat, the person at its window
//!    |
//! watch     one probe: threshold, remedies          gate   the startup probe
//!    |         |
//! judge     what a sample means                     pulse  when the next sample is due, one at a time
//!    |
//! screen    the last rows of a visible screen       sample  the words
//! ```
//!
//! "Unknown" is a third answer beside well and ill, and nothing is ever done about it. Neither is
//! anything about an agent that a person is typing at, or from what was seen while the daemon
//! itself stood still.

mod gate;
mod judge;
mod monitor;
mod pulse;
mod sample;
mod screen;
#[cfg(test)]
mod tests;
mod watch;

pub use monitor::{Monitor, Sign, Wish};
pub use sample::{Ask, Attention, Load, ProbeNow, ProbeState, Reading, Sample, Ticket, What};
