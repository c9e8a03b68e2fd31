//! Turns configuration files into checked agents with their policies, or into a list of problems,
//! and decides about restarts.
//!
//! Pure: it is given texts and never reads a file.
//!
//! | code | what is wrong |
//! |---|---|
//! | C01 | syntax, an empty file, an unknown key, a value of the wrong kind |
//! | C02 | the name of an agent |
//! | C03 | a command |
//! | C04 | `extends`: an unknown agent, or a circle |
//! | C05 | a signal or an exit status |
//! | C06 | keys that contradict each other |
//! | C07 | restart delays: a start limit that cannot be reached, a largest delay below the first |
//! | C08 | a value that is out of range |
//! | C09 | something that is not supported yet |
//! | C10 | a prompt that a shell would read as a script |

mod agent;
mod agents;
mod checks;
mod config;
mod failover;
mod invocation;
mod life;
mod order;
mod restart;
mod status;
#[cfg(test)]
mod tests;
mod unsupported;

pub use agent::{
    Agent, AgentMode, AgentType, Delay, Failback, Failover, Group, Invocation, Modes, OnStartLimit,
    Policy, ResetAfter, Restart, Strategy,
};
pub use agents::read_agents;
pub use config::{Config, DaemonSettings, KeepWindow, OnTerm};
pub use failover::chain;
pub use order::Identity;
pub use restart::{Decision, RestartCounters, decide, delay_ms};
