//! Faults of the machine itself, on the real program: disks that are full or taken away, a wall
//! clock that jumps, terminals that close, a boot that was another, files of an older release; and
//! what fifty agents cost when they rest and when they are stopped.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[cfg(debug_assertions)]
mod clock;
mod disk;
mod matrix;
mod quiet;
mod reboot;
mod sockets;
mod storms;
mod terminal;
mod upgrade;
