//! An agent that asks something, and may have to wait for the answer.

use crate::control::Responder;
use crate::model::{AttemptId, Moment, RunId, TaskId};

/// The agent that asks.
#[derive(Clone, Debug)]
pub(super) struct Speaker {
    pub(super) run: RunId,
    pub(super) task: TaskId,
    pub(super) attempt: AttemptId,
}

/// An agent that waits for an answer.
pub(super) struct Asker {
    pub(super) speaker: Speaker,
    pub(super) question: Question,
    /// When it is told what there is.
    pub(super) until: Moment,
    pub(super) responder: Responder,
}

/// What it waits for.
pub(super) enum Question {
    /// The end of a worker.
    Worker {
        /// Its name.
        name: String,
    },
    /// A message with a higher number.
    Inbox {
        /// The number.
        since: u64,
    },
    /// A decision.
    Action {
        /// The question's name.
        ask: String,
    },
}
