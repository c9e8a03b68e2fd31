//! The words between this room and whoever takes the samples.

use crate::model::Moment;

/// Ties a sample to the question it answers. A monitor never gives the same one twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What is to be looked at, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The probe's name, for people.
    pub probe: String,
    /// What to look at.
    pub what: What,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
}

/// What a probe wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The state of the agent's process.
    Process,
    /// The visible screen, without scrollback.
    Screen,
    /// The visible screen, and the load.
    ScreenAndLoad,
    /// Processor time and memory of the whole set.
    Load,
    /// How a command ends.
    Exec {
        /// Program and arguments.
        command: Vec<String>,
    },
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It is well: a command exited with 0.
    Passed,
    /// It is not: a command exited otherwise, or took too long.
    Failed {
        /// What went wrong, for people.
        why: String,
    },
    /// It could not be looked at. That says nothing about the agent.
    Unknown {
        /// Why, for people.
        why: String,
    },
    /// The visible screen.
    Screen {
        /// Its lines.
        text: String,
    },
    /// The load.
    Load(Load),
    /// Both.
    ScreenAndLoad {
        /// The lines of the screen.
        text: String,
        /// The load.
        load: Load,
    },
    /// The letter of the process's state in `/proc/PID/stat`.
    Process(char),
}

/// What a whole set of processes has used so far, and holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Processor time, in milliseconds, with that of children that were waited for.
    pub cpu_ms: u64,
    /// Resident memory, in bytes.
    pub memory_bytes: u64,
}

/// Whether a person is busy with an agent's window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attention {
    /// Whether its pane is in copy mode.
    pub copy_mode: bool,
    /// How long ago somebody typed into it, in milliseconds.
    pub typed_ms_ago: Option<u64>,
}

/// The answer to an [`Ask`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// What was seen.
    pub reading: Reading,
    /// Who was there.
    pub attention: Attention,
}

impl Sample {
    /// What was seen while nobody was there.
    pub fn of(reading: Reading) -> Self {
        Self { reading, attention: Attention::default() }
    }
}

/// How a probe stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeState {
    /// It has not judged anything yet.
    Waiting,
    /// The agent does well by it.
    Passing,
    /// It failed as often in a row as it may.
    Failing,
    /// It failed, and the agent is being ended for it; nothing more is asked.
    Over,
}

impl ProbeState {
    /// The word of it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Passing => "passing",
            Self::Failing => "failing",
            Self::Over => "over",
        }
    }
}

/// A probe as it stands now, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeNow {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub state: ProbeState,
    /// Failures in a row, and how many make it fail.
    pub failures: (u32, u32),
    /// Since when it could not be looked at, and why.
    pub unknown: Option<(Moment, String)>,
    /// When it was last looked at, and what that showed.
    pub last: Option<(Moment, String)>,
    /// When the next sample is asked for.
    pub next: Option<Moment>,
    /// Why nothing is done although it fails.
    pub suspended: Option<String>,
}
