//! What living agents say about themselves, as `ps` shows it.

use crate::control::view::ActivityView;
use crate::model::{Activity, AttemptId, AttemptRow, ms};

use super::engine::Engine;

impl Engine {
    /// What a live attempt is doing, as far as anybody says.
    pub(super) fn activity_view(&self, attempt: Option<&AttemptId>) -> ActivityView {
        let supervisor = &self.core.supervisor;
        let known = attempt.map(|id| supervisor.activity(id));
        let (word, source, since) = known.unwrap_or((Activity::Unknown, None, None));
        let said = attempt.and_then(|id| supervisor.report(id)?.doing.as_ref());
        let said = said.filter(|doing| Some(doing.source) == source);
        let age = since.map(|at| ms(self.clock.now().since(at)));
        // The agent's shim knows since when, however many daemons there were meanwhile. A clock
        // that was set back makes nothing older than now.
        let told = |at_ms: i64| u64::try_from(self.clock.wall_ms() - at_ms).unwrap_or(0);
        ActivityView {
            word,
            kind: said.and_then(|doing| doing.kind),
            source,
            age_ms: said.map(|doing| told(doing.at_ms)).or(age),
            message: said.and_then(|doing| doing.message.clone()),
        }
    }

    /// What a live attempt says of itself in words.
    pub(super) fn status_of(&self, attempt: Option<&AttemptId>) -> Option<String> {
        let report = self.core.supervisor.report(attempt?)?;
        report.status.clone().or_else(|| report.stopping.then(|| "stopping".to_owned()))
    }

    /// Whether it is ready: it said so, or runs and need not say so.
    pub(super) fn is_ready(&self, row: &AttemptRow) -> bool {
        let said = self.core.supervisor.report(&row.order.attempt).is_some_and(|said| said.ready);
        let need_not = row.order.care.startup.is_none() && row.started.is_some();
        row.ready.is_some() || said || need_not
    }
}
