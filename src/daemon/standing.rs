//! How the configuration file stands to what holds, and what its settings mean for windows.

use std::time::Duration;

use crate::control::Failure;
use crate::model::Moment;
use crate::policy::{Config, DaemonSettings, KeepWindow};
use crate::supervisor;

use super::config_source::{Print, print};
use super::last_good::Kept;

/// How long the window of a successful attempt stays.
const KEEP_SUCCESS: Duration = Duration::from_secs(5);

/// What is known about the file beside what holds.
pub(super) struct Standing {
    /// The text that was looked at last; none when there was none to be read.
    pub(super) seen: Option<Print>,
    /// Whether there ever was a file.
    pub(super) had_file: bool,
    /// When the file is to be looked at, because it was touched.
    pub(super) look_at: Option<Moment>,
    /// Why the last good configuration is kept, and since when.
    pub(super) kept: Option<(Failure, i64)>,
    /// When what the file said, or says, was taken up; none when it never was a file.
    pub(super) good_ms: Option<i64>,
    /// What the file says, when it lacks agents that still hold.
    pub(super) pending: Option<Box<Config>>,
}

impl Standing {
    /// What is known at the start, at this wall time.
    pub(super) fn new(first: Option<&str>, kept: Option<Kept>, wall_ms: i64) -> Self {
        Self {
            seen: first.map(print),
            had_file: first.is_some() || kept.is_some(),
            look_at: None,
            good_ms: kept.as_ref().map(|kept| kept.accepted_ms),
            kept: kept.map(|kept| (kept.failure, wall_ms)),
            pending: None,
        }
    }
}

/// How long windows stay by these settings.
pub(super) fn kept_windows(config: &DaemonSettings) -> supervisor::Settings {
    let keep_failure = Some(Duration::from_millis(config.keep_for_ms));
    let windows = match config.keep_window {
        KeepWindow::Never => (Some(Duration::ZERO), Some(Duration::ZERO)),
        KeepWindow::OnFailure => (Some(KEEP_SUCCESS), keep_failure),
        KeepWindow::Always => (keep_failure, keep_failure),
    };
    supervisor::Settings { keep_success: windows.0, keep_failure: windows.1 }
}
