//! When an attempt counts as ready: as soon as it runs, unless something is to tell.

use crate::model::{AttemptFact, AttemptId, AttemptState, Moment};

use super::{Action, Supervisor};

impl Supervisor {
    /// An attempt is ready; said again, it changes nothing. What waits for it goes on.
    pub(super) fn ready(&mut self, now: Moment, id: &AttemptId, out: &mut Vec<Action>) {
        self.record(now, id, AttemptFact::Ready, out);
    }

    /// An attempt runs. Where nothing is to tell that it is ready, it is so now.
    pub(super) fn ready_unless_asked(
        &mut self,
        now: Moment,
        id: &AttemptId,
        out: &mut Vec<Action>,
    ) {
        let Some(attempt) = self.attempts.get(id) else { return };
        let tells = attempt.row.order.care.startup.is_some();
        if attempt.row.state == AttemptState::Running && !tells {
            self.ready(now, id, out);
        }
    }
}
