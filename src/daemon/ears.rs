//! What the loop hears with, and what it remembers of a ledger that cannot be written.

use tokio::sync::mpsc;

use crate::control::Call;
use crate::model::Moment;

use super::Incoming;

/// What the loop hears.
pub(super) struct Ears {
    /// Edges and signals.
    pub(super) incoming: mpsc::UnboundedReceiver<Incoming>,
    /// Clients.
    pub(super) calls: mpsc::Receiver<Call>,
}

/// An outage that goes on.
#[derive(Debug)]
pub(super) struct Outage {
    /// When it began.
    pub(super) since: Moment,
    /// What the ledger said.
    pub(super) why: String,
}
