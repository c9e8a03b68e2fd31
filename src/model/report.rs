//! What a living agent says about itself: `status.json`, kept by its shim.

use serde::{Deserialize, Serialize};

use super::Activity;
use super::outcome::words;

words! {
    /// Who said what an agent is doing, the most trusted first.
    ActivitySource {
        /// `muxvisor notify`, or a datagram to `$NOTIFY_SOCKET`.
        Notify = "notify",
        /// An OSC 7501 report in its output.
        Osc7501 = "osc7501",
        /// A rule on its screen.
        Screen = "screen",
        /// Only that it printed, or printed nothing.
        Output = "output",
    }
}

words! {
    /// What a blocked agent waits for.
    BlockKind {
        /// Leave to do something.
        Permission = "permission",
        /// An answer.
        Question = "question",
        /// A login.
        Auth = "auth",
        /// A first-run dialogue.
        Setup = "setup",
    }
}

/// What an agent is doing, according to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doing {
    /// The word.
    pub activity: Activity,
    /// What it waits for, when it is blocked.
    pub kind: Option<BlockKind>,
    /// Its own words, without control characters, 256 characters at most. Never trusted.
    pub message: Option<String>,
    /// Who says so.
    pub source: ActivitySource,
    /// Wall clock, milliseconds since 1970; for people only.
    pub at_ms: i64,
}

/// `status.json`: rewritten (tmp, rename; not synced) whenever it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// The attempt.
    pub attempt: String,
    /// Its fence.
    pub token: String,
    /// Whether it said `READY=1`.
    pub ready: bool,
    /// Whether it said `STOPPING=1` since.
    pub stopping: bool,
    /// How many heartbeats (`WATCHDOG=1`) it has sent. A count, so that no clock matters.
    pub beats: u64,
    /// How often it asked for more time, and for how much at the last time, in milliseconds
    /// (`EXTEND_TIMEOUT_USEC=`).
    pub extended: (u64, u64),
    /// `STATUS=`: its own words, without control characters, 256 characters at most.
    pub status: Option<String>,
    /// What it is doing.
    pub doing: Option<Doing>,
}
