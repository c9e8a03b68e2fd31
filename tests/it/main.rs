//! The integration tests: one binary, one module per subject.

mod architecture;
mod cli;
mod cli_autostart;
mod cli_follow;
mod configuration;
mod control;
mod crash;
mod demo_agents;
mod first_sight;
mod instances;
mod leftovers;
mod manners;
mod mistakes;
mod plans;
mod plans_of_any_kind;
mod props;
mod results;
mod scenarios;
mod scene;
mod shim;
mod simulation;
mod stage;
mod tmux;
mod truth;
mod wait;
