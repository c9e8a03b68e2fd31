//! What a member's failure means for its group: OTP's strategies, and the group's start limit.
//!
//! | strategy | stopped in reverse, then started in order |
//! |---|---|
//! | `one_for_one` | only the member that failed |
//! | `rest_for_one` | it and the members after it |
//! | `one_for_all` | all members |
//!
//! As in OTP, a member that is never restarted (`restart = "no"`) is stopped with the others and
//! stays so, and one that had ended with success is started again with them. A member that a
//! person stopped, or that failed by itself and stays down, is left out. A member that gives up at
//! its own limit fails the groups whose members depend on each other.

use crate::model::{
    AttemptEnd, AttemptRow, Desired, InstanceState, Moment, Outcome, StartReason, StopCause,
};
use crate::policy::{Group, Restart, Strategy, limit_hit, room};

use super::{Action, Supervisor};

impl Supervisor {
    /// The policy restarts a member: the strategy decides who else is. False when the group's limit
    /// is hit instead, and then everything about the member is done.
    pub(super) fn group_restarts(
        &mut self,
        now: Moment,
        name: &str,
        attempt: &AttemptRow,
        end: &AttemptEnd,
        out: &mut Vec<Action>,
    ) -> bool {
        // A usage limit is no failure, so it is nothing that the others have to do with.
        let group = self.group_of(name).filter(|_| end.outcome != Outcome::RateLimited);
        let Some(group) = group.cloned() else { return true };
        if !self.widens(&group, attempt) && !self.counts(now, &group) {
            let hit = limit_hit(group.start_limit_burst, group.start_limit_interval_ms);
            let why = format!("`{name}` {}; its members were {hit}", end.message);
            self.give_up(&group, &why, out);
            return false;
        }
        self.tell_group(&group.name, &format!("restarts because `{name}` {}", end.message));
        let scope = match group.strategy {
            Strategy::OneForOne => return true,
            Strategy::RestForOne => {
                group.members.iter().skip_while(|member| *member != name).collect::<Vec<_>>()
            }
            Strategy::OneForAll => group.members.iter().collect(),
        };
        for member in scope.into_iter().filter(|member| *member != name) {
            self.restart_with(&group.name, member, name, out);
        }
        self.put_in_turn(&group.name, name, StartReason::Group);
        true
    }

    /// Whether it failed before the restart that is under way was decided, and so is part of it.
    fn widens(&self, group: &Group, attempt: &AttemptRow) -> bool {
        self.group_rows.get(&group.name).is_some_and(|row| {
            row.reason == StartReason::Group
                && !row.to_start.is_empty()
                && row.starts.last().is_some_and(|at| attempt.intended < *at)
        })
    }

    /// Counts a restart of the group; false when there is no room for one.
    fn counts(&mut self, now: Moment, group: &Group) -> bool {
        let mut fits = false;
        self.change_group(&group.name, |row| {
            let (burst, interval_ms) = (group.start_limit_burst, group.start_limit_interval_ms);
            fits = room(burst, interval_ms, &mut row.starts, now) <= now;
            if fits {
                row.starts.push(now);
            }
        });
        fits
    }

    /// Another member failed, and this one is restarted with it.
    fn restart_with(&mut self, group: &str, name: &str, failed: &str, out: &mut Vec<Action>) {
        let Some(row) = self.instances.get(name) else { return };
        let restart = self.agents.get(name).map(|agent| agent.policy.restart);
        let comes_back = restart.is_some_and(|restart| restart != Restart::No);
        let lives = self.live_attempt(name).is_some();
        let state = match (row.desired, row.state) {
            (Desired::Down, _) => return,
            (Desired::Up, InstanceState::Blocked) => InstanceState::Blocked,
            (Desired::Up, _) if lives => InstanceState::Stopping,
            (Desired::Up, InstanceState::Failed) => return,
            (Desired::Up, InstanceState::Stopped) if !comes_back => return,
            (Desired::Up, InstanceState::Stopped) => InstanceState::Starting,
            // It waits for its turn, or its delay, already.
            (
                Desired::Up,
                state @ (InstanceState::Starting
                | InstanceState::Running
                | InstanceState::Backoff
                | InstanceState::Stopping),
            ) => state,
        };
        if state != row.state {
            let then = if comes_back { "restarts" } else { "is stopped" };
            let why = format!("{then} with its group `{group}`, because `{failed}` failed");
            self.update(name, &why, out, |row| row.state = state);
        }
        if comes_back {
            self.put_in_turn(group, name, StartReason::Group);
        }
    }

    /// A member hit its own start limit. Where members depend on each other, the group fails with
    /// it; false when it does not.
    pub(super) fn group_fails_with(
        &mut self,
        name: &str,
        why: &str,
        out: &mut Vec<Action>,
    ) -> bool {
        let Some(group) = self.group_of(name).cloned() else { return false };
        match group.strategy {
            Strategy::OneForOne => return false,
            Strategy::RestForOne | Strategy::OneForAll => {}
        }
        self.give_up(&group, &format!("`{name}` {why}"), out);
        true
    }

    /// Nobody of the group is started any more until a person acts; what lives is stopped.
    fn give_up(&mut self, group: &Group, why: &str, out: &mut Vec<Action>) {
        let why = format!("group `{}` gave up: {why}", group.name);
        self.change_group(&group.name, |row| {
            row.failed = true;
            row.to_start.clear();
            row.why.clone_from(&why);
        });
        for member in &group.members {
            let Some(row) = self.instances.get(member) else { continue };
            let lives = self.live_attempt(member).is_some();
            let state = match (row.desired, row.state) {
                (Desired::Down, _) => continue,
                (Desired::Up, InstanceState::Blocked) if lives => continue,
                (Desired::Up, _) if lives => InstanceState::Stopping,
                (Desired::Up, InstanceState::Stopped | InstanceState::Failed) => continue,
                (
                    Desired::Up,
                    InstanceState::Starting
                    | InstanceState::Running
                    | InstanceState::Backoff
                    | InstanceState::Stopping
                    | InstanceState::Blocked,
                ) => InstanceState::Failed,
            };
            self.update(member, &why, out, |row| {
                row.state = state;
                row.not_before = None;
            });
        }
    }

    /// Takes the end of a member that its group, not its policy, decides about.
    pub(super) fn ended_in_group(
        &mut self,
        name: &str,
        attempt: &AttemptRow,
        end: &AttemptEnd,
        out: &mut Vec<Action>,
    ) -> bool {
        let Some(group) = self.group_of(name).map(|group| group.name.clone()) else { return false };
        let row = self.group_rows.get(&group);
        if row.is_some_and(|row| row.to_start.iter().any(|member| member == name)) {
            if attempt.stopping.is_none() && end.outcome == Outcome::Cancelled {
                // A person closed its window before its turn to be stopped had come.
                self.leave_turn(&group, name);
                return false;
            }
            let why = format!("{}; waits for its turn in group `{group}`", end.message);
            self.update(name, &why, out, |row| row.state = InstanceState::Starting);
            return true;
        }
        if let Some(why) = row.filter(|row| row.failed).map(|row| row.why.clone()) {
            self.update(name, &why, out, |row| row.state = InstanceState::Failed);
            return true;
        }
        if attempt.stopping != Some(StopCause::Group) {
            return false;
        }
        let never = self.agents.get(name).is_some_and(|it| it.policy.restart == Restart::No);
        let why = match never {
            true => format!("{}; `restart` is \"no\"", end.message),
            // A person forgave the group that had given up, before this one was stopped for it.
            false => self.instances.get(name).map(|row| row.why.clone()).unwrap_or_default(),
        };
        let state = if never { InstanceState::Stopped } else { InstanceState::Failed };
        self.update(name, &why, out, |row| row.state = state);
        true
    }

    /// Has a member stay down with its group, if that has given up: only a person starts anybody of
    /// it again. False when it has not, and then nothing was done.
    pub(super) fn stays_down(&mut self, group: &str, name: &str, out: &mut Vec<Action>) -> bool {
        let Some(row) = self.group_rows.get(group).filter(|row| row.failed) else { return false };
        let why = row.why.clone();
        self.update(name, &why, out, |row| {
            row.desired = Desired::Up;
            row.state = InstanceState::Failed;
            row.not_before = None;
        });
        true
    }

    /// A member no longer waits for its turn.
    pub(super) fn leave_turn(&mut self, group: &str, name: &str) {
        self.change_group(group, |row| row.to_start.retain(|member| member != name));
    }
}
