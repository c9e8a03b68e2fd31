//! Why something stands where it stands: a query on state, for `why`.

use crate::health::Monitor;
use crate::model::{AttemptRow, GroupRow, InstanceRow, InstanceState, Moment, Parking, StopCause};
use crate::policy::Group;

use super::{Explanation, Supervisor};

impl Supervisor {
    /// Explains an instance, a group, or an agent that is parked.
    pub fn explain(&self, name: &str, now: Moment) -> Option<Explanation> {
        let Some(row) = self.instances.get(name) else {
            return self.explain_group(name).or_else(|| self.explain_parked(name));
        };
        let policy = self.agents.get(self.serving(row)).map(|agent| &agent.policy);
        let mut counters = vec![
            ("attempts", u64::from(row.attempts), None),
            ("restarts_by_policy", u64::from(row.restarts), None),
            (
                "starts_in_window",
                count(row.starts.len()),
                policy.map(|it| u64::from(it.start_limit_burst)).filter(|burst| *burst > 0),
            ),
            ("restarts_in_a_row", u64::from(row.streak), None),
            ("last_delay_ms", row.last_delay_ms, None),
        ];
        if let Some((used, most)) = self.switches(row, now) {
            let name = "switches_in_interval";
            counters.push((name, u64::from(used), Some(u64::from(most))));
        }
        let (state, mut why) = self.shown(row);
        if let Some(group) = self.group_of(name) {
            counters.push(self.group_counter(group));
            let waits = |it: &&GroupRow| !it.to_start.is_empty() && !self.closing;
            let under_way = self.group_rows.get(&group.name).filter(waits);
            let how = under_way.map_or(String::new(), |row| format!(": {}", row.why));
            why = format!("{why} (group `{}`, {}{how})", group.name, group.strategy);
        }
        let live = row.attempt.as_ref().and_then(|id| self.attempt(id));
        // A daemon that is ending starts nobody, whatever is due.
        let starts = |_: &Moment| !self.closing;
        let back = self.gives_way(row).filter(starts);
        let next = row
            .not_before
            .filter(starts)
            .map(|at| (at, self.told_wait(row)))
            .or_else(|| live.and_then(|attempt| self.attempt_next(attempt)))
            .or_else(|| Some((back?, format!("`{name}` itself takes over again"))));
        Some(Explanation { state: state.to_string(), why, counters, next })
    }

    fn explain_group(&self, name: &str) -> Option<Explanation> {
        let group = self.groups.get(name)?;
        let row = self.group_rows.get(name);
        let members: Vec<(&InstanceRow, InstanceState)> = group
            .members
            .iter()
            .filter_map(|member| self.instances.get(member))
            .map(|row| (row, self.shown(row).0))
            .collect();
        let any = |state| members.iter().any(|(_, it)| *it == state);
        // The first of these that is true of a member says most about the group.
        let worst = [
            InstanceState::Blocked,
            InstanceState::Stopping,
            InstanceState::Backoff,
            InstanceState::Starting,
            InstanceState::Failed,
            InstanceState::Running,
        ];
        let state = match row {
            Some(row) if row.failed => InstanceState::Failed,
            Some(_) | None => {
                worst.into_iter().find(|state| any(*state)).unwrap_or(InstanceState::Stopped)
            }
        };
        let stands: Vec<String> =
            members.iter().map(|(row, state)| format!("{} {state}", row.name)).collect();
        let why = row.map_or("never started", |row| &row.why);
        // Forgiven for one of them, it is still what the others failed of.
        let failed = members.iter().find(|(_, it)| *it == InstanceState::Failed);
        let why = match failed.filter(|_| state == InstanceState::Failed) {
            Some((member, _)) if !row.is_some_and(|row| row.failed) => &member.why,
            Some(_) | None => why,
        };
        let why = if self.closing { "the daemon is ending" } else { why };
        Some(Explanation {
            state: state.to_string(),
            why: format!("{why} ({}: {})", group.strategy, stands.join(", ")),
            counters: vec![self.group_counter(group)],
            next: self.next_in_group(group).filter(|_| !self.closing),
        })
    }

    fn group_counter(&self, group: &Group) -> (&'static str, u64, Option<u64>) {
        let starts = self.group_rows.get(&group.name).map_or(0, |row| row.starts.len());
        let limit = u64::from(group.start_limit_burst);
        ("group_restarts_in_window", count(starts), (limit > 0).then_some(limit))
    }

    /// An agent without instance is only worth a word while it is parked.
    fn explain_parked(&self, name: &str) -> Option<Explanation> {
        let parking = self.parked.get(name)?;
        let next = Some((parking.until, "it may be started again".to_owned()));
        let (state, why) = ("parked".to_owned(), parking.why.clone());
        Some(Explanation { state, why, counters: Vec::new(), next })
    }

    /// What an instance waits for, when an agent of it is parked.
    pub fn waits_for(&self, row: &InstanceRow) -> Option<&Parking> {
        let until = row.not_before?;
        self.parked.values().find(|parking| parking.until == until)
    }

    fn told_wait(&self, row: &InstanceRow) -> String {
        match self.waits_for(row) {
            Some(parking) => format!("start, when `{}` is no longer parked", parking.agent),
            None if self.serving(row) != row.name => {
                format!("restart with {}, when the delay is over", self.serving(row))
            }
            None => "restart, when the delay is over".to_owned(),
        }
    }

    /// How many switches of an instance lie within its failover interval, and how many may.
    pub fn switches(&self, row: &InstanceRow, now: Moment) -> Option<(u32, u32)> {
        let failover = self.agents.get(&row.name)?.policy.failover.as_ref()?;
        Some((failover.recent(&row.switches, now), failover.max_switches))
    }

    /// When the next thing happens by itself to a live attempt, and what.
    pub fn attempt_next(&self, row: &AttemptRow) -> Option<(Moment, String)> {
        let attempt = self.attempts.get(&row.order.attempt)?;
        let limit = attempt.limit_deadline().map(|(at, cause)| (at, format!("stop it ({cause})")));
        let startup = attempt.watched().and_then(Monitor::startup_deadline);
        let startup = startup.map(|at| (at, format!("stop it ({})", StopCause::StartTimeout)));
        let launch = attempt.launch_again.map(|at| (at, "launch it again".to_owned()));
        let heartbeat = attempt.watched().and_then(Monitor::watchdog_deadline);
        let heartbeat =
            heartbeat.map(|at| (at, "end it, unless its heartbeat is heard".to_owned()));
        [limit, startup, launch, heartbeat].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}
