//! Faults of the machine itself, on the real program: disks that are full or taken away, and a
//! wall clock that jumps.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[cfg(debug_assertions)]
mod clock;
mod disk;
mod matrix;
