//! What living agents say about themselves, and what they are doing as far as anybody knows. It is
//! shown and never kills.

use std::time::Duration;

use crate::model::{Activity, ActivitySource, AttemptId, Moment, Report};

use super::{Action, Supervisor};

impl Supervisor {
    /// What a live attempt said last about itself.
    pub fn report(&self, id: &AttemptId) -> Option<&Report> {
        self.attempts.get(id)?.report.as_ref()
    }

    /// What a live attempt is doing, who says so, and since when: its own word counts most, then
    /// its screen. That something was printed says nothing about what is done, so it comes with
    /// [`Activity::Unknown`], and the moment when it was.
    pub fn activity(&self, id: &AttemptId) -> (Activity, Option<ActivitySource>, Option<Moment>) {
        let nobody = (Activity::Unknown, None, None);
        let Some(attempt) = self.attempts.get(id) else { return nobody };
        let doing = attempt.report.as_ref().and_then(|report| report.doing.as_ref());
        if let Some(doing) = doing.filter(|doing| doing.activity != Activity::Unknown) {
            return (doing.activity, Some(doing.source), attempt.doing_since);
        }
        if let Some((activity, since)) = attempt.watched().and_then(|monitor| monitor.screen()) {
            return (activity, Some(ActivitySource::Screen), Some(since));
        }
        match attempt.printed {
            Some(at) => (Activity::Unknown, Some(ActivitySource::Output), Some(at)),
            None => nobody,
        }
    }

    /// Keeps what an agent says, unless it speaks with another attempt's token.
    pub(super) fn reported(
        &mut self,
        now: Moment,
        id: &AttemptId,
        report: Report,
        out: &mut Vec<Action>,
    ) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        if attempt.row.order.token.as_str() != report.token {
            return;
        }
        let before = attempt.report.replace(report.clone());
        if before.as_ref().is_none_or(|before| before.doing != report.doing) {
            attempt.doing_since = Some(now);
        }
        self.heed(now, id, before.as_ref(), report, out);
    }

    /// Keeps when an attempt last printed something.
    pub(super) fn printed(&mut self, now: Moment, id: &AttemptId, quiet_ms: u64) {
        if let Some(attempt) = self.attempts.get_mut(id) {
            let quiet = Duration::from_millis(quiet_ms);
            let ago = now.since(Moment(0)).saturating_sub(quiet);
            attempt.printed = Some(Moment(0) + ago);
        }
    }
}
