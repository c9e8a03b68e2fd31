//! The laws of groups: who is started finds those before it ready, who is stopped finds those after
//! it gone, nobody lives twice, and no group is restarted more often than it may be.

use std::collections::{BTreeMap, BTreeSet};

use muxvisor::model::{
    AttemptFact, AttemptId, Desired, Entry, Fact, GroupRow, InstanceRow, InstanceState, Moment,
    Order, Owner, StartReason, StopCause,
};
use muxvisor::policy::Group;

/// What is true of instances, fact by fact.
#[derive(Default)]
pub(super) struct Ranks {
    rows: BTreeMap<String, InstanceRow>,
    /// The instance of every attempt that lives.
    live: BTreeMap<AttemptId, String>,
    ready: BTreeSet<AttemptId>,
    told: BTreeSet<AttemptId>,
    /// When each group was restarted, since a person last forgave it.
    restarts: BTreeMap<String, Vec<Moment>>,
    /// When limits were last changed: what was counted before is judged by others.
    pub(super) reconfigured: Moment,
}

impl Ranks {
    pub(super) fn look(&mut self, entry: &Entry, groups: &[Group]) {
        match &entry.fact {
            Fact::Instance(row) => {
                self.rows.insert(row.name.clone(), row.clone());
            }
            Fact::InstanceRemoved { name } => {
                self.rows.remove(name);
            }
            Fact::Group(row) => self.group(entry.at, row, groups),
            Fact::Attempt { attempt, fact } => self.attempt(entry.at, attempt, fact, groups),
            Fact::GroupRemoved { name } => drop(self.restarts.remove(name)),
            Fact::Run { .. }
            | Fact::Parked(_)
            | Fact::Unparked { .. }
            | Fact::Emitted(_)
            | Fact::SignalTaken { .. }
            | Fact::Noted { .. } => {}
        }
    }

    fn attempt(&mut self, at: Moment, id: &AttemptId, fact: &AttemptFact, groups: &[Group]) {
        match fact {
            AttemptFact::Intended(order) => self.intended(at, order, groups),
            AttemptFact::Ready => {
                self.ready.insert(id.clone());
            }
            AttemptFact::Stopping { cause } => {
                if *cause == StopCause::Group {
                    self.stopped(id, groups);
                }
                self.told.insert(id.clone());
            }
            AttemptFact::Ended(_) => {
                self.live.remove(id);
            }
            AttemptFact::Launched { .. } | AttemptFact::Started { .. } => {}
        }
    }

    fn lives(&self, name: &str) -> Option<&AttemptId> {
        self.live.iter().find(|(_, of)| *of == name).map(|(id, _)| id)
    }

    fn intended(&mut self, at: Moment, order: &Order, groups: &[Group]) {
        let Owner::Instance { name } = &order.owner else { return };
        assert_eq!(self.lives(name), None, "{name} is started and lives");
        let group = groups.iter().find(|group| group.members.contains(name));
        // What was decided at the moment of a reload may have been decided before it.
        let in_turn = matches!(order.reason, StartReason::First | StartReason::Group)
            && (at > self.reconfigured || self.reconfigured == Moment(0));
        for before in group.iter().filter(|_| in_turn).flat_map(|group| &group.members) {
            if before == name {
                break;
            }
            let Some(row) = self.rows.get(before) else { continue };
            let ready = self.lives(before).is_some_and(|id| self.ready.contains(id));
            let down = row.desired == Desired::Down
                || matches!(row.state, InstanceState::Stopped | InstanceState::Failed);
            assert!(ready || down, "{name} is started before {before}, which is {}", row.state);
        }
        self.live.insert(order.attempt.clone(), name.clone());
    }

    /// A member is stopped with its group: those after it that are stopped too are gone.
    fn stopped(&self, id: &AttemptId, groups: &[Group]) {
        let Some(name) = self.live.get(id) else { return };
        let group = groups.iter().find(|group| group.members.contains(name));
        for after in group.iter().flat_map(|group| group.members.iter().rev()) {
            if after == name {
                break;
            }
            let stops = self.rows.get(after).is_some_and(|it| it.state == InstanceState::Stopping);
            let lives = self.lives(after).is_some();
            assert!(!stops || !lives, "{name} is stopped before {after}");
        }
    }

    fn group(&mut self, at: Moment, row: &GroupRow, groups: &[Group]) {
        // What a reload takes away is told of once more, before it is removed.
        let Some(group) = groups.iter().find(|group| group.name == row.name) else { return };
        let seen = self.restarts.entry(row.name.clone()).or_default();
        if row.starts.is_empty() {
            seen.clear();
        }
        if let Some(last) = row.starts.last().filter(|last| seen.last() < Some(*last)) {
            assert_eq!(*last, at, "a restart is counted when it is decided");
            seen.push(*last);
        }
        let window = group.start_limit_interval_ms;
        let recent = seen.iter().filter(|start| start.0 + window > at.0);
        let recent = recent.filter(|start| **start > self.reconfigured).count();
        let most = group.start_limit_burst as usize;
        assert!(recent <= most, "{} was restarted {recent} times in its window", row.name);
        assert!(!row.failed || row.to_start.is_empty(), "a failed group starts nobody: {row:?}");
    }
}
