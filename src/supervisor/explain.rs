//! Why something stands where it stands: a query on state, for `why`.

use crate::model::{AttemptRow, InstanceRow, Moment, Parking};

use super::{Explanation, Supervisor};

impl Supervisor {
    /// Explains an instance.
    pub fn explain(&self, name: &str, now: Moment) -> Option<Explanation> {
        let Some(row) = self.instances.get(name) else { return self.explain_parked(name) };
        let policy = self.agents.get(self.serving(row)).map(|agent| &agent.policy);
        let starts = u64::try_from(row.starts.len()).unwrap_or(u64::MAX);
        let mut counters = vec![
            ("attempts so far", u64::from(row.attempts), None),
            ("restarts by policy", u64::from(row.restarts), None),
            (
                "starts in the start-limit window",
                starts,
                policy.map(|policy| u64::from(policy.start_limit_burst)),
            ),
            ("restarts in a row", u64::from(row.streak), None),
            ("last restart delay in ms", row.last_delay_ms, None),
        ];
        if let Some((used, most)) = self.switches(row, now) {
            counters.push((
                "switches in the failover interval",
                u64::from(used),
                Some(u64::from(most)),
            ));
        }
        let live = row.attempt.as_ref().and_then(|id| self.attempt(id));
        let next = row
            .not_before
            .map(|at| (at, self.told_wait(row)))
            .or_else(|| live.and_then(|attempt| self.attempt_next(attempt)));
        Some(Explanation { state: row.state.to_string(), why: row.why.clone(), counters, next })
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
        if let Some((at, cause)) = attempt.limit_deadline() {
            return Some((at, format!("stop it ({cause})")));
        }
        attempt.launch_again.map(|at| (at, "launch it again".to_owned()))
    }
}
