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
//! | C07 | restart delays: a start limit that cannot be reached, a largest delay below the first, none at all |
//! | C08 | a value that is out of range |
//! | C09 | something that is not supported yet |
//! | C10 | a prompt that a shell would read as a script |
//! | C11 | a regular expression |
//! | C12 | `startup`, a probe or a rule that lacks something, or does nothing |
//! | C13 | failover: its targets, or that it is asked for without any |
//! | C14 | the members of a group |
//! | C15 | a contract, or the routing table |
//! | C16 | a price |

mod agent;
mod agents;
mod amount;
mod around;
mod care;
mod chain;
mod checks;
mod config;
mod contract;
mod diff;
mod failover;
mod groups;
mod import;
mod invocation;
mod keys;
mod life;
mod mode;
mod order;
mod pattern;
mod prices;
mod probes;
mod rate;
mod restart;
mod routing;
mod rules;
mod shipped;
mod status;
#[cfg(test)]
mod tests;
mod traits;
mod unsupported;

pub use agent::{
    Agent, AgentMode, AgentType, Delay, Failback, Failover, Group, Invocation, Modes, OnStartLimit,
    Policy, ResetAfter, Restart, Strategy,
};
pub use agents::read_agents;
pub use chain::chain;
pub use checks::{MODEL_HELP, TOOLS_HELP};
pub use config::{AgentApi, Beside, Config, DaemonSettings, KeepWindow, OnTerm};
pub use contract::Contract;
pub use diff::{Changes, diff};
pub use order::Identity;
pub use prices::{Price, fill_in_cost};
pub use rate::Rate;
pub use restart::{Decision, RestartCounters, about, decide, delay_ms, limit_hit, room};
pub use routing::{able, capabilities};
pub use traits::{Level, Traits, capability};
