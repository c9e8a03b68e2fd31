//! Reads what a living agent says about itself: `status.json`, kept by its shim.

use std::fs;
use std::path::Path;

use crate::model::{Report, files};

/// What the agent of this directory says now, if that is something else than `last`, which then
/// becomes it. A record that cannot be read says nothing new.
pub(super) fn news(dir: &Path, last: &mut Option<Report>) -> Option<Report> {
    let report: Report = serde_json::from_slice(&fs::read(dir.join(files::STATUS)).ok()?).ok()?;
    if last.as_ref() == Some(&report) {
        return None;
    }
    *last = Some(report.clone());
    Some(report)
}
