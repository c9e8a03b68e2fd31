//! Rebuilds the supervisor from what the ledger kept. What is found alive arrives afterwards as
//! ordinary events, so there is no second code path for a first start.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    AttemptFact, AttemptRow, AttemptState, Desired, GroupRow, InstanceRow, InstanceState, Mint,
    Moment, Parking,
};

use super::rules::Rules;
use super::{Action, Attempt, IllegalFact, Settings, Supervisor};

/// What the ledger kept about attempts and what stands.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// Attempts that have not ended.
    pub attempts: Vec<AttemptRow>,
    /// Instances.
    pub instances: Vec<InstanceRow>,
    /// Groups.
    pub groups: Vec<GroupRow>,
    /// Agents that wait for a usage limit to pass.
    pub parked: Vec<Parking>,
}

impl Supervisor {
    /// A supervisor that knows these attempts and instances.
    ///
    /// # Errors
    /// When a row cannot have been written by this program: an attempt that has ended without an
    /// end, or runs without ever having started.
    pub fn recover(
        now: Moment,
        settings: Settings,
        remembered: Remembered,
        mint: Mint,
    ) -> Result<Self, IllegalFact> {
        let mut live = BTreeMap::new();
        let Remembered { attempts, instances, groups, parked } = remembered;
        for row in attempts {
            check(&row)?;
            let mut attempt = Attempt::new(row);
            let idles = attempt.row.order.limits.idle_ms.is_some();
            if idles && attempt.row.state == AttemptState::Running {
                attempt.ask_quiet = Some(now);
            }
            // Nobody looked meanwhile: it may have started, or become ready, long ago.
            attempt.start_anew(now);
            live.insert(attempt.row.order.attempt.clone(), attempt);
        }
        let mut supervisor = Self {
            settings,
            agents: BTreeMap::new(),
            groups: BTreeMap::new(),
            group_rows: groups.into_iter().map(|row| (row.name.clone(), row)).collect(),
            unsaid_limits: parked.iter().map(|it| (it.agent.clone(), it.unsaid)).collect(),
            parked: parked.into_iter().map(|it| (it.agent.clone(), it)).collect(),
            rules: Rules::default(),
            attempts: live,
            instances: instances.into_iter().map(|row| (row.name.clone(), row)).collect(),
            windows: BTreeMap::new(),
            changed_groups: BTreeSet::new(),
            settled: false,
            closing: false,
            mint,
        };
        // Where nothing was left, there is nothing to find out about first.
        supervisor.settled = supervisor.attempts.is_empty();
        supervisor.settle_instances(now);
        Ok(supervisor)
    }

    /// Forgets all windows, so that none of the next server is taken for one of them.
    pub(super) fn windows_lost(&mut self, now: Moment, out: &mut Vec<Action>) {
        self.windows.clear();
        let had_one = self.attempts.values().filter(|attempt| attempt.row.window.is_some());
        let lost: Vec<_> = had_one
            .filter_map(|attempt| {
                Some((attempt.row.order.attempt.clone(), attempt.row.shim.clone()?))
            })
            .collect();
        for (id, shim) in lost {
            self.record(now, &id, AttemptFact::Launched { shim, pane: None, window: None }, out);
        }
    }

    /// An instance row is written in the same transaction as its attempt's, so the two agree; an
    /// instance that is wanted up and has neither attempt nor delay (the ledger was edited by
    /// hand, or an older version wrote it) is started at once rather than forgotten, unless it
    /// waits for its turn in a group.
    fn settle_instances(&mut self, now: Moment) {
        let in_turn = self.in_turn();
        let in_turn: BTreeSet<String> = in_turn.into_iter().map(str::to_owned).collect();
        let rows = self.instances.values_mut();
        for row in rows.filter(|row| row.desired == Desired::Down || !in_turn.contains(&row.name)) {
            let live = row.attempt.as_ref().is_some_and(|id| self.attempts.contains_key(id));
            let waits = match row.state {
                InstanceState::Starting | InstanceState::Running | InstanceState::Stopping => true,
                InstanceState::Backoff => row.not_before.is_none(),
                InstanceState::Stopped | InstanceState::Failed | InstanceState::Blocked => false,
            };
            if !live && waits {
                match row.desired {
                    Desired::Up => {
                        row.state = InstanceState::Backoff;
                        row.not_before = Some(now);
                    }
                    Desired::Down => row.state = InstanceState::Stopped,
                }
            }
        }
    }
}

fn check(row: &AttemptRow) -> Result<(), IllegalFact> {
    let sound = match row.state {
        AttemptState::Intended => row.shim.is_none() && row.end.is_none(),
        AttemptState::Starting => row.shim.is_some() && row.end.is_none(),
        AttemptState::Running => row.started.is_some() && row.end.is_none(),
        AttemptState::Stopping => row.stopping.is_some() && row.end.is_none(),
        AttemptState::Ended => false,
    };
    if sound {
        return Ok(());
    }
    let attempt = row.order.attempt.to_string();
    Err(IllegalFact { attempt, state: row.state, fact: "recovered row" })
}
