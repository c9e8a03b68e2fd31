//! Why something stands where it stands: a query on state, for `why`.

use crate::health::Monitor;
use crate::model::{AttemptRow, InstanceRow, InstanceState, Moment};
use crate::policy::Group;

use super::{Explanation, Supervisor};

impl Supervisor {
    /// Explains an instance, or a group.
    pub fn explain(&self, name: &str) -> Option<Explanation> {
        let Some(row) = self.instances.get(name) else { return self.explain_group(name) };
        let policy = self.agents.get(name).map(|agent| &agent.policy);
        let mut counters = vec![
            ("attempts so far", u64::from(row.attempts), None),
            ("restarts by policy", u64::from(row.restarts), None),
            (
                "starts in the start-limit window",
                count(row.starts.len()),
                policy.map(|policy| u64::from(policy.start_limit_burst)),
            ),
            ("restarts in a row", u64::from(row.streak), None),
            ("last restart delay in ms", row.last_delay_ms, None),
        ];
        let mut why = row.why.clone();
        if let Some(group) = self.group_of(name) {
            counters.push(self.group_counter(group));
            let under_way = self.group_rows.get(&group.name).filter(|it| !it.to_start.is_empty());
            let how = under_way.map_or(String::new(), |row| format!(": {}", row.why));
            why = format!("{why} (group `{}`, {}{how})", group.name, group.strategy);
        }
        let live = row.attempt.as_ref().and_then(|id| self.attempt(id));
        let next = row
            .not_before
            .map(|at| (at, "restart, when the delay is over".to_owned()))
            .or_else(|| live.and_then(|attempt| self.attempt_next(attempt)));
        Some(Explanation { state: row.state.to_string(), why, counters, next })
    }

    fn explain_group(&self, name: &str) -> Option<Explanation> {
        let group = self.groups.get(name)?;
        let row = self.group_rows.get(name);
        let members: Vec<_> =
            group.members.iter().filter_map(|member| self.instances.get(member)).collect();
        let any = |state| members.iter().any(|row| row.state == state);
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
        let stands = |row: &&InstanceRow| format!("{} {}", row.name, row.state);
        let stands: Vec<String> = members.iter().map(stands).collect();
        let why = row.map_or("never started", |row| &row.why);
        Some(Explanation {
            state: state.to_string(),
            why: format!("{why} ({}: {})", group.strategy, stands.join(", ")),
            counters: vec![self.group_counter(group)],
            next: self.next_in_group(group),
        })
    }

    fn group_counter(&self, group: &Group) -> (&'static str, u64, Option<u64>) {
        let starts = self.group_rows.get(&group.name).map_or(0, |row| row.starts.len());
        let limit = u64::from(group.start_limit_burst);
        ("group restarts in the start-limit window", count(starts), (limit > 0).then_some(limit))
    }

    /// When the next thing happens by itself to a live attempt, and what.
    pub fn attempt_next(&self, row: &AttemptRow) -> Option<(Moment, String)> {
        let attempt = self.attempts.get(&row.order.attempt)?;
        let limit = attempt.limit_deadline().map(|(at, cause)| (at, format!("stop it ({cause})")));
        let launch = attempt.launch_again.map(|at| (at, "launch it again".to_owned()));
        let heartbeat = attempt.watched().and_then(Monitor::watchdog_deadline);
        let heartbeat =
            heartbeat.map(|at| (at, "end it, unless its heartbeat is heard".to_owned()));
        [limit, launch, heartbeat].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}
