//! Somebody who waits until a run or an instance is in a state.

use crate::control::Responder;
use crate::model::Moment;

/// Somebody who waits for a state.
pub(super) struct Waiter {
    /// A run or an instance.
    pub(super) target: String,
    /// The word to wait for; the end of a run, or `running`, when absent.
    pub(super) state: Option<String>,
    /// When to give up.
    pub(super) until: Option<Moment>,
    pub(super) responder: Responder,
}
