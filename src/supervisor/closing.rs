//! A daemon that ends and wants every agent stopped first: members of a group in reverse, each
//! group on its own, everybody else at once.

use crate::model::{AttemptId, InstanceState, Moment, Owner, StartReason, StopCause};

use super::{Action, Attempt, Supervisor};

impl Supervisor {
    /// Stops every attempt, members of groups in their order; asked again, ends what is left at
    /// once.
    pub(super) fn close(&mut self, now: Moment, out: &mut Vec<Action>) {
        let again = std::mem::replace(&mut self.closing, true);
        let live: Vec<(AttemptId, bool)> =
            self.attempts.iter().map(|(id, it)| (id.clone(), self.has_group(it))).collect();
        for (id, grouped) in live {
            match (again, grouped) {
                (true, true) => self.end_now(now, &id, out),
                (true, false) => self.stop_or_kill(now, &id, out),
                (false, true) => {}
                (false, false) => self.stop(now, &id, StopCause::Cancelled, out),
            }
        }
    }

    /// Nothing is started any more; the next daemon does it.
    pub(super) fn comes_back(&mut self, now: Moment, name: &str, out: &mut Vec<Action>) {
        let group = self.group_of(name).map(|group| group.name.clone());
        let ordered = group.is_some();
        if let Some(group) = group {
            if self.stays_down(&group, name, out) {
                return;
            }
            self.put_in_turn(&group, name, StartReason::First);
            self.tell_group(&group, "down with the daemon; comes back with it");
        }
        self.update(name, "down with the daemon; comes back with it", out, |row| {
            row.state = if ordered { InstanceState::Starting } else { InstanceState::Backoff };
            row.not_before = (!ordered).then_some(now);
        });
    }

    fn has_group(&self, attempt: &Attempt) -> bool {
        match &attempt.row.order.owner {
            Owner::Instance { name } => self.group_of(name).is_some(),
            Owner::Task { .. } => false,
        }
    }

    /// Ends an attempt at once, whether or not it was told to stop before.
    pub(super) fn end_now(&mut self, now: Moment, id: &AttemptId, out: &mut Vec<Action>) {
        let told = self.attempt(id).and_then(|row| row.stopping);
        if told != Some(StopCause::Cancelled) {
            self.stop(now, id, StopCause::Cancelled, out);
        }
        if self.attempts.contains_key(id) {
            out.push(Action::Kill { attempt: id.clone() });
        }
    }
}
