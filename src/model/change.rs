//! What a new configuration changes, as people and programs are told.

use serde::{Deserialize, Serialize};

use super::outcome::words;

words! {
    /// What a change is about.
    Subject {
        /// The daemon itself.
        Daemon = "daemon",
        /// An agent.
        Agent = "agent",
        /// A group.
        Group = "group",
    }
}

words! {
    /// When a change holds.
    Holds {
        /// At once, also for what lives; what was counted so far is judged by the new numbers.
        Live = "live",
        /// From the next start; what lives goes on as it was started.
        NextStart = "next-start",
        /// It was not there before.
        New = "new",
        /// It is not there any more.
        Removed = "removed",
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// About what.
    pub subject: Subject,
    /// Its name; empty for the daemon.
    pub name: String,
    /// When it holds.
    pub holds: Holds,
    /// One sentence.
    pub text: String,
}
