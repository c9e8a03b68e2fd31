//! Groups of instances: members are started in order, each when those before it are ready, and
//! stopped in reverse.
//!
//! What is under way is read from rows alone, so that a daemon may die at any point of it:
//!
//! * a member whose instance is `stopping` and whose attempt was not told yet is to be stopped: the
//!   last of them first, the next when that one is gone (one that cannot be killed is passed over);
//! * a member in `to_start` waits for its turn. The first of them is started when none of them
//!   lives any more, the restart delays of all of them are over, and every member before it that is
//!   wanted up is ready. A stuck one holds up all of them, because there is never a second copy.
//!
//! After every event each group is looked at, and the next step is taken.

use std::collections::BTreeSet;

use crate::model::{
    AttemptId, AttemptState, Desired, Fact, GroupRow, InstanceRow, InstanceState, Moment,
    StartReason, StopCause,
};
use crate::policy::{Group, RestartCounters};

use super::{Action, Supervisor};

/// What a group waits for before it starts another member.
enum Next {
    /// Nobody is to be started.
    Nobody,
    /// Something must happen first.
    Held(String),
    /// This one can be started from then on.
    From(Moment, String),
}

impl Supervisor {
    /// The group that an instance is a member of.
    pub fn group_of(&self, name: &str) -> Option<&Group> {
        self.groups.values().find(|group| group.members.iter().any(|member| member == name))
    }

    /// Whether a group is called that.
    pub fn is_group(&self, name: &str) -> bool {
        self.groups.contains_key(name)
    }

    /// The members that wait for their turn, of all groups.
    pub(super) fn in_turn(&self) -> BTreeSet<&str> {
        let rows = self.group_rows.values();
        rows.flat_map(|row| row.to_start.iter().map(String::as_str)).collect()
    }

    pub(super) fn is_in_turn(&self, name: &str) -> bool {
        self.group_rows.values().any(|row| row.to_start.iter().any(|member| member == name))
    }

    /// The attempt of an instance that has not ended.
    pub(super) fn live_attempt(&self, name: &str) -> Option<&AttemptId> {
        let id = self.instances.get(name)?.attempt.as_ref()?;
        self.attempts.contains_key(id).then_some(id)
    }

    fn is_told(&self, name: &str) -> bool {
        let attempt = self.live_attempt(name).and_then(|id| self.attempt(id));
        attempt.is_some_and(|row| row.state == AttemptState::Stopping)
    }

    /// Takes the steps that are due in every group, and writes down what changed.
    pub(super) fn advance_groups(&mut self, now: Moment, out: &mut Vec<Action>) {
        if self.settled {
            let names: Vec<String> = self.groups.keys().cloned().collect();
            for name in names {
                while self.step(now, &name, out) {}
            }
        }
        for name in std::mem::take(&mut self.changed_groups) {
            if let Some(row) = self.group_rows.get(&name) {
                out.push(Action::Record(Fact::Group(row.clone())));
            }
        }
    }

    /// Takes one step, if one is due.
    fn step(&mut self, now: Moment, name: &str, out: &mut Vec<Action>) -> bool {
        let Some(group) = self.groups.get(name) else { return false };
        if let Some((id, cause)) = self.next_to_stop(group) {
            self.stop(now, &id, cause, out);
            return true;
        }
        if self.closing {
            return false;
        }
        match self.next_to_start(group) {
            Next::From(at, member) if at <= now => {
                self.start_in_turn(now, name, &member, out);
                true
            }
            Next::From(..) => {
                self.tell_group(name, "waits for the restart delay");
                false
            }
            Next::Held(why) => {
                self.tell_group(name, &why);
                false
            }
            Next::Nobody => false,
        }
    }

    /// The last member that is to be stopped, unless it was told already and is waited for.
    fn next_to_stop(&self, group: &Group) -> Option<(AttemptId, StopCause)> {
        let wanted = |row: &&InstanceRow| match row.state {
            InstanceState::Blocked => false,
            InstanceState::Stopping => true,
            InstanceState::Stopped
            | InstanceState::Starting
            | InstanceState::Running
            | InstanceState::Backoff
            | InstanceState::Failed => self.closing,
        };
        let rows = group.members.iter().rev().filter_map(|member| self.instances.get(member));
        let row = rows.filter(wanted).find(|row| self.live_attempt(&row.name).is_some())?;
        if self.is_told(&row.name) {
            return None;
        }
        let by_hand = self.group_rows.get(&group.name).is_some_and(|group| {
            group.reason == StartReason::Manual && group.to_start.contains(&row.name)
        });
        let cause = match row.desired {
            Desired::Down => StopCause::Cancelled,
            Desired::Up if self.closing => StopCause::Cancelled,
            Desired::Up if by_hand => StopCause::Restarting,
            Desired::Up => StopCause::Group,
        };
        Some((self.live_attempt(&row.name)?.clone(), cause))
    }

    fn next_to_start(&self, group: &Group) -> Next {
        let waiting = self.group_rows.get(&group.name).map(|row| &row.to_start[..]);
        let Some([head, ..]) = waiting else { return Next::Nobody };
        let lives = |name: &&String| self.live_attempt(name).is_some();
        if let Some(row) = waiting.into_iter().flatten().rev().find(lives) {
            let row = self.instances.get(row).expect("it lives");
            return Next::Held(match row.state {
                InstanceState::Blocked => format!("waits for `{}`: {}", row.name, row.why),
                InstanceState::Stopped
                | InstanceState::Starting
                | InstanceState::Running
                | InstanceState::Backoff
                | InstanceState::Stopping
                | InstanceState::Failed => format!("waits for the end of `{}`", row.name),
            });
        }
        let before = group.members.iter().take_while(|member| *member != head);
        if let Some(slow) = before.into_iter().find(|member| self.holds_up(member)) {
            return Next::Held(format!("`{head}` waits until `{slow}` is ready"));
        }
        // The delay of the member that failed holds for all that are restarted with it.
        let delays = waiting.into_iter().flatten();
        let delays = delays.filter_map(|name| self.instances.get(name)?.not_before);
        Next::From(delays.max().unwrap_or_default(), head.clone())
    }

    /// Whether those after it must wait: it is wanted up, will come up, and is not ready.
    fn holds_up(&self, name: &str) -> bool {
        let Some(row) = self.instances.get(name) else { return false };
        let ready = || {
            let attempt = self.live_attempt(name).and_then(|id| self.attempt(id));
            attempt.is_some_and(|attempt| attempt.ready.is_some())
        };
        row.desired == Desired::Up
            && match row.state {
                InstanceState::Stopped | InstanceState::Failed => false,
                InstanceState::Running => !ready(),
                InstanceState::Starting
                | InstanceState::Backoff
                | InstanceState::Stopping
                | InstanceState::Blocked => true,
            }
    }

    /// When the next member can be started, for every group where nothing else is waited for.
    pub(super) fn group_deadlines(&self) -> impl Iterator<Item = Moment> {
        let groups = self.groups.values().filter(|_| !self.closing);
        groups.filter_map(|group| match self.next_to_start(group) {
            Next::From(at, _) => Some(at),
            Next::Held(_) | Next::Nobody => None,
        })
    }

    /// Which member is started next, and when, unless something else is waited for.
    pub(super) fn next_in_group(&self, group: &Group) -> Option<(Moment, String)> {
        match self.next_to_start(group) {
            Next::From(at, name) => Some((at, format!("start `{name}`"))),
            Next::Held(_) | Next::Nobody => None,
        }
    }

    fn start_in_turn(&mut self, now: Moment, group: &str, name: &str, out: &mut Vec<Action>) {
        let mut reason = StartReason::Group;
        self.change_group(group, |row| {
            row.to_start.retain(|member| member != name);
            reason = row.reason;
            row.why = format!("started `{name}` ({reason})");
        });
        if self.take_delay(now, name) {
            reason = StartReason::Restart;
        }
        self.start_instance(now, name, reason, out);
    }

    /// Has a member wait for its turn. What it must wait for is found out afterwards.
    pub(super) fn put_in_turn(&mut self, group: &str, name: &str, reason: StartReason) {
        let order = self.groups.get(group).map(|group| group.members.clone()).unwrap_or_default();
        self.change_group(group, |row| {
            row.reason = reason;
            if !row.to_start.iter().any(|member| member == name) {
                row.to_start.push(name.to_owned());
            }
            row.to_start.sort_by_key(|name| order.iter().position(|member| member == name));
        });
    }

    /// Wants a member up that does not live, and forgets its failures; false when it is a member of
    /// no group, and then nothing was done.
    pub(super) fn want_in_turn(
        &mut self,
        name: &str,
        reason: StartReason,
        out: &mut Vec<Action>,
    ) -> bool {
        let Some(group) = self.group_of(name).map(|group| group.name.clone()) else { return false };
        if reason != StartReason::Manual && self.stays_down(&group, name, out) {
            return true;
        }
        self.put_in_turn(&group, name, reason);
        let why = format!("waits for its turn in group `{group}`");
        self.update(name, &why, out, |row| {
            row.desired = Desired::Up;
            row.state = InstanceState::Starting;
            row.not_before = None;
            RestartCounters::default().keep(row);
        });
        true
    }

    /// Changes the row of a group; it is written down once, after the event.
    pub(super) fn change_group(&mut self, name: &str, change: impl FnOnce(&mut GroupRow)) {
        let before = self.group_rows.get(name);
        let mut row = before.cloned().unwrap_or_else(|| blank(name));
        change(&mut row);
        // A group that nothing ever happened to needs no row.
        if before.unwrap_or(&blank(name)) != &row {
            self.group_rows.insert(name.to_owned(), row);
            self.changed_groups.insert(name.to_owned());
        }
    }

    pub(super) fn tell_group(&mut self, name: &str, why: &str) {
        self.change_group(name, |row| why.clone_into(&mut row.why));
    }

    /// After a change of the configuration: what waited in a group that is gone, or that it is no
    /// longer a member of, goes on by itself.
    pub(super) fn regroup(&mut self, now: Moment, out: &mut Vec<Action>) {
        let mut orphans = Vec::new();
        for (name, row) in &mut self.group_rows {
            let members = self.groups.get(name).map(|group| &group.members[..]).unwrap_or_default();
            let before = row.to_start.clone();
            row.to_start.retain(|member| members.contains(member));
            row.to_start.sort_by_key(|name| members.iter().position(|member| member == name));
            if row.to_start != before {
                self.changed_groups.insert(name.clone());
            }
            orphans.extend(before.into_iter().filter(|member| !members.contains(member)));
        }
        let gone = self.group_rows.keys().filter(|name| !self.groups.contains_key(*name));
        for name in gone.cloned().collect::<Vec<_>>() {
            self.group_rows.remove(&name);
            self.changed_groups.remove(&name);
            out.push(Action::Record(Fact::GroupRemoved { name }));
        }
        for name in orphans {
            if let Some(group) = self.group_of(&name).map(|group| group.name.clone())
                && !self.stays_down(&group, &name, out)
            {
                self.put_in_turn(&group, &name, StartReason::Group);
            }
        }
        self.free_the_loose(now, out);
    }

    /// Instances that nobody would start or stop any more, because their group did.
    fn free_the_loose(&mut self, now: Moment, out: &mut Vec<Action>) {
        let waiting = self.in_turn();
        let loose = |row: &&InstanceRow| match row.state {
            InstanceState::Starting => {
                row.desired == Desired::Up
                    && self.live_attempt(&row.name).is_none()
                    && !waiting.contains(row.name.as_str())
            }
            InstanceState::Stopping => {
                self.live_attempt(&row.name).is_some()
                    && !self.is_told(&row.name)
                    && self.group_of(&row.name).is_none()
            }
            InstanceState::Stopped
            | InstanceState::Running
            | InstanceState::Backoff
            | InstanceState::Failed
            | InstanceState::Blocked => false,
        };
        let loose: Vec<String> =
            self.instances.values().filter(loose).map(|row| row.name.clone()).collect();
        for name in loose {
            let attempt = self.live_attempt(&name).and_then(|id| self.attempt(id)).cloned();
            let desired = self.instances.get(&name).map(|row| row.desired);
            match (attempt, desired) {
                (Some(attempt), Some(Desired::Down)) => {
                    self.stop(now, &attempt.order.attempt, StopCause::Cancelled, out);
                }
                (Some(attempt), _) => {
                    self.update(&name, "goes on: its group is gone", out, |row| {
                        row.state = match attempt.state {
                            AttemptState::Running => InstanceState::Running,
                            AttemptState::Intended
                            | AttemptState::Starting
                            | AttemptState::Stopping
                            | AttemptState::Ended => InstanceState::Starting,
                        };
                    });
                }
                (None, _) => self.update(&name, "starts: its group is gone", out, |row| {
                    row.state = InstanceState::Backoff;
                    row.not_before.get_or_insert(now);
                }),
            }
        }
    }
}

fn blank(name: &str) -> GroupRow {
    GroupRow {
        name: name.to_owned(),
        starts: Vec::new(),
        failed: false,
        to_start: Vec::new(),
        reason: StartReason::First,
        why: "never started".to_owned(),
    }
}

#[cfg(test)]
mod tests;
