//! What living agents say about themselves. It is shown and never kills.

use crate::model::{AttemptId, Report};

use super::Supervisor;

impl Supervisor {
    /// What a live attempt said last about itself.
    pub fn report(&self, id: &AttemptId) -> Option<&Report> {
        self.attempts.get(id)?.report.as_ref()
    }

    /// Keeps what an agent says, unless it speaks with another attempt's token.
    pub(super) fn reported(&mut self, id: &AttemptId, report: Report) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        if attempt.row.order.token.as_str() == report.token {
            attempt.report = Some(report);
        }
    }
}
