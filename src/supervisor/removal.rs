//! Agents that leave the configuration while their instance lives, and those that come back.
//!
//! An instance that was removed is stopped, and forgotten when it has ended. An agent of the same
//! name that is configured before that is a new one: `autostart` decides whether it is wanted up,
//! whatever a person wanted of the removed one, and it is started when the old attempt is over,
//! because there is never a second copy. All of it stands in the row, so a daemon may die at any
//! point.

use crate::model::{Desired, InstanceRow, InstanceState, Moment, Removal, StopCause};
use crate::policy::AgentType;

use super::{Action, Supervisor};

const GONE: &str = "stopping: it is gone from the configuration";
const NEVER: &str = "not started since it is new in the configuration";
const BACK: &str = "new in the configuration; starts when the removed one has stopped";
const BACK_DOWN: &str =
    "new in the configuration, without `autostart`; the removed one is stopping";

impl Supervisor {
    /// Whether an agent of this name is configured to stand.
    pub(super) fn is_service(&self, name: &str) -> bool {
        self.agents.get(name).is_some_and(|agent| agent.kind == AgentType::Service)
    }

    /// Stops the instance of an agent that leaves.
    pub(super) fn removed(&mut self, now: Moment, name: &str, out: &mut Vec<Action>) {
        let Some(id) = self.live_attempt(name).cloned() else { return };
        if let Some(group) = self.group_of(name).map(|group| group.name.clone()) {
            self.leave_turn(&group, name);
        }
        // First, because what was never launched ends at once.
        self.change_removal(name, out, gone);
        self.stop(now, &id, StopCause::Cancelled, out);
    }

    /// After a change of the configuration: what lives and is no longer configured is known as
    /// removed, and what is configured again as new. One that was never told to stop goes on.
    pub(super) fn remark_removals(&mut self, out: &mut Vec<Action>) {
        let names: Vec<String> = self.instances.keys().cloned().collect();
        for name in names {
            let agent = self.agents.get(&name).filter(|agent| agent.kind == AgentType::Service);
            let autostart = agent.map(|agent| agent.autostart);
            let told = self.is_told_by_a_person(&name);
            self.change_removal(&name, out, |row| match (autostart, row.removal) {
                (None, _) if told => gone(row),
                (None, _) => row.removal = Some(Removal::Gone),
                (Some(_), Some(Removal::Gone)) if !told && row.desired == Desired::Up => {
                    row.removal = None;
                }
                (Some(up), Some(Removal::Gone)) => back(row, up),
                (Some(_), Some(Removal::Back) | None) => {}
            });
        }
    }

    fn is_told_by_a_person(&self, name: &str) -> bool {
        let live = self.live_attempt(name).and_then(|id| self.attempt(id));
        live.is_some_and(|attempt| attempt.stopping == Some(StopCause::Cancelled))
    }

    /// Writes the row down if that changes it.
    fn change_removal(
        &mut self,
        name: &str,
        out: &mut Vec<Action>,
        change: impl FnOnce(&mut InstanceRow),
    ) {
        let Some(old) = self.instances.get(name) else { return };
        let mut row = old.clone();
        change(&mut row);
        if row != *old {
            let why = row.why.clone();
            self.update(name, &why, out, |old| *old = row);
        }
    }

    /// A person wants it down; that is meant for the one that is configured.
    pub(super) fn hold_down(&mut self, name: &str) {
        let Some(row) = self.instances.get_mut(name) else { return };
        row.desired = Desired::Down;
        row.removal = row.removal.filter(|removal| *removal == Removal::Gone);
    }

    /// The attempt of a removed instance is over; the new one, if there is one, begins.
    pub(super) fn removed_ended(&mut self, now: Moment, name: &str, out: &mut Vec<Action>) {
        let Some(row) = self.instances.get(name) else { return };
        let up = row.desired == Desired::Up;
        if !self.is_service(name) {
            return self.forget_unconfigured(out);
        }
        self.begin(now, name, up, out);
        if !up {
            self.change_removal(name, out, |row| NEVER.clone_into(&mut row.why));
        }
    }

    /// Whether an instance of this name is still to begin.
    pub(super) fn is_new(&self, name: &str) -> bool {
        let known = self.instances.get(name);
        known.is_none_or(|row| row.removal.is_some() && self.live_attempt(name).is_none())
    }
}

fn gone(row: &mut InstanceRow) {
    (row.removal, row.desired) = (Some(Removal::Gone), Desired::Down);
    row.not_before = None;
    stopping(row, GONE);
}

fn back(row: &mut InstanceRow, up: bool) {
    row.removal = Some(Removal::Back);
    row.desired = if up { Desired::Up } else { Desired::Down };
    stopping(row, if up { BACK } else { BACK_DOWN });
}

/// What cannot be killed still stands in the way, and why it does must stay readable.
fn stopping(row: &mut InstanceRow, why: &str) {
    if row.state != InstanceState::Blocked {
        row.state = InstanceState::Stopping;
        why.clone_into(&mut row.why);
    }
}
