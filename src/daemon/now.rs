//! The present, for what is reckoned from it.

use crate::model::Moment;

/// One moment by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) moment: Moment,
    /// Milliseconds since 1970.
    pub(super) wall_ms: i64,
}
