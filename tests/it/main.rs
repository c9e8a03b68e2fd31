//! The integration tests: one binary, one module per subject.

mod architecture;
mod configuration;
mod control;
mod demo_agents;
mod plans;
mod plans_of_any_kind;
mod shim;
mod tmux;
mod wait;
