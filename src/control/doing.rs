//! How the daemon shows what a living agent does.

use serde::{Deserialize, Serialize};

use crate::model::{Activity, ActivitySource, BlockKind};

/// What a living agent does, as far as anybody says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityView {
    /// What; `unknown` when nobody says.
    pub word: Activity,
    /// What it waits for, when it is blocked.
    pub kind: Option<BlockKind>,
    /// Who says so.
    pub source: Option<ActivitySource>,
    /// For how long it has been so.
    pub age_ms: Option<u64>,
    /// Its own words. Not to be trusted.
    pub message: Option<String>,
}
