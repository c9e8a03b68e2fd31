//! muxvisor: a supervisor for fleets of AI coding agents whose process table is tmux.
//!
//! The rooms below are the map; `ARCHITECTURE.md` draws how they may know each other, and
//! `tests/it/architecture.rs` holds them to it.

pub mod cgroup;
pub mod cli;
pub mod clock;
pub mod control;
pub mod daemon;
pub mod document;
pub mod failpoint;
pub mod health;
pub mod ledger;
pub mod model;
pub mod plan;
pub mod policy;
pub mod shim;
pub mod signals;
pub mod supervisor;
pub mod template;
pub mod tmux;
pub mod transcript;
pub mod workflow;
