//! A daemon that ends and wants every agent stopped first: members of a group in reverse, each
//! group on its own, everybody else at once.

use crate::model::{
    AttemptId, AttemptState, Desired, InstanceRow, InstanceState, Moment, Owner, StartReason,
    StopCause,
};

use super::{Action, Attempt, Supervisor};

/// Why an instance is down that has ended with its daemon.
pub(super) const COMES_BACK: &str = "down with the daemon; comes back with it";
const STOPPING: &str = "stopping: the daemon is ending; comes back with the next one";
const STOPPED_LATER: &str = "to be stopped in its turn: the daemon is ending; comes back with the \
                             next one";
const NOT_STARTED: &str = "not started: the daemon is ending; comes back with the next one";

impl Supervisor {
    /// Where an instance stands, and why, as people are to see it. While the daemon is ending that
    /// is not what its row says: the row is what the next daemon goes on from.
    pub fn shown(&self, row: &InstanceRow) -> (InstanceState, String) {
        let as_written = (row.state, row.why.clone());
        let failed = self.group_of(&row.name).and_then(|it| self.group_rows.get(&it.name));
        if !self.closing || row.desired == Desired::Down || row.state == InstanceState::Blocked {
            return as_written;
        }
        let live = row.attempt.as_ref().and_then(|id| self.attempt(id));
        let state = live.map_or(row.state, |_| InstanceState::Stopping);
        if failed.is_some_and(|group| group.failed) {
            return (state, row.why.clone());
        }
        let due = matches!(row.state, InstanceState::Starting | InstanceState::Backoff);
        match live.map(|attempt| attempt.state) {
            Some(AttemptState::Stopping) => (state, STOPPING.to_owned()),
            Some(_) => (state, STOPPED_LATER.to_owned()),
            None if due && row.why != COMES_BACK => (state, NOT_STARTED.to_owned()),
            None => as_written,
        }
    }

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
            self.tell_group(&group, COMES_BACK);
        }
        self.update(name, COMES_BACK, out, |row| {
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
