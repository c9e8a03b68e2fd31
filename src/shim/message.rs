//! The words on the shim's own socket: one JSON object per line each way.

use serde::{Deserialize, Serialize};

use crate::model::{ServerMark, Started, StopSpec};

/// What a shim can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// How it is.
    Status,
    /// Stop by escalation. Asked again, it changes nothing.
    Stop {
        /// How; as `spec.json` says when absent.
        #[serde(default)]
        how: Option<StopSpec>,
    },
    /// End everything now.
    Kill,
    /// Type text, as a paste if the program wants pastes marked.
    Send {
        /// The text; control characters but tab and newline are left out.
        text: String,
        /// Whether Enter is pressed afterwards.
        enter: bool,
    },
    /// Type the prompt, and Enter after it, as `send` does. It is typed once in the agent's life;
    /// asked again, it changes nothing, so that a daemon that does not know whether the one before
    /// it came to this may simply ask.
    Prompt {
        /// The prompt.
        text: String,
    },
    /// Press keys.
    Keys {
        /// Names as tmux spells them, or literal text.
        keys: Vec<String>,
    },
    /// Set the size of the inner terminal.
    Size {
        /// Width in cells.
        columns: u16,
        /// Height in cells.
        rows: u16,
    },
    /// Show the agent from here on: after `done` this connection carries what it writes, and the
    /// other way frames of what is typed (`frames.rs`).
    View {
        /// Width of the viewer's terminal in cells.
        columns: u16,
        /// Its height in cells.
        rows: u16,
        /// The tmux server that the viewer's window is in: the end of that window is a stop while
        /// the server lives. Absent for a person's own terminal.
        #[serde(default)]
        server: Option<ServerMark>,
    },
    /// Show output sooner, because somebody looks at the window, or later again.
    Look {
        /// Whether somebody looks.
        fast: bool,
    },
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// It is done, or on its way.
    Done,
    /// How it is.
    Status(Status),
    /// It cannot be done.
    Refused {
        /// Why, for a person.
        message: String,
    },
}

/// A shim and its agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// As in `started.json`.
    pub started: Started,
    /// Whether the main process still runs.
    pub running: bool,
    /// Whether the main process is stopped (state T).
    pub suspended: bool,
    /// How many processes of the set can still run.
    pub alive: u32,
    /// Bytes in the log.
    pub log_bytes: u64,
    /// Whether a stop is on its way.
    pub stopping: bool,
    /// Whether it stands in a window itself.
    pub windowed: bool,
    /// How many windows show it through the socket.
    #[serde(default)]
    pub views: u32,
    /// Whether a window just went away, and it is not known yet whether somebody closed it.
    #[serde(default)]
    pub deciding: bool,
    /// Columns and rows of the inner terminal.
    pub size: Option<(u16, u16)>,
}
