//! Why something stands where it stands: a query on state, for `why`.

use crate::health::Monitor;
use crate::model::{AttemptRow, Moment};

use super::{Explanation, Supervisor};

impl Supervisor {
    /// Explains an instance.
    pub fn explain(&self, name: &str) -> Option<Explanation> {
        let row = self.instances.get(name)?;
        let policy = self.agents.get(name).map(|agent| &agent.policy);
        let starts = u64::try_from(row.starts.len()).unwrap_or(u64::MAX);
        let counters = vec![
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
        let live = row.attempt.as_ref().and_then(|id| self.attempt(id));
        let next = row
            .not_before
            .map(|at| (at, "restart, when the delay is over".to_owned()))
            .or_else(|| live.and_then(|attempt| self.attempt_next(attempt)));
        Some(Explanation { state: row.state.to_string(), why: row.why.clone(), counters, next })
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
