//! What guards a home: limits and control groups, who may reach the daemon and what they may ask,
//! how it behaves as a unit of systemd.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod callers;
mod door;
mod fences;
pub(crate) mod group;
mod limits;
mod unit;
