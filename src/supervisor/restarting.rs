//! What the restart policy says about an end, as a rule of the agent may bend it.

use std::borrow::Cow;
use std::time::Duration;

use crate::model::{AttemptEnd, AttemptRow, InstanceState, Moment, Outcome, Then, ms};
use crate::policy::{Decision, Delay, OnStartLimit, Policy, Restart, RestartCounters, decide};

use super::{Action, Supervisor};

impl Supervisor {
    pub(super) fn apply_restart_policy(
        &mut self,
        now: Moment,
        name: &str,
        attempt: &AttemptRow,
        end: &AttemptEnd,
        then: Option<Then>,
        out: &mut Vec<Action>,
    ) {
        // Between 0 and 1, from the 53 bits that a float holds.
        let random = (self.mint.number() >> 11) as f64 / (1_u64 << 53) as f64;
        let (Some(row), Some(head)) = (self.instances.get(name), self.agents.get(name)) else {
            return self.forget_unconfigured(out);
        };
        let agent = self.agents.get(self.serving(row)).unwrap_or(head);
        let fails_over = [agent, head].iter().any(|agent| {
            agent.policy.on_start_limit == OnStartLimit::Failover && self.failover(name).is_some()
        });
        let ran = attempt.ready.map(|ready| now.since(ready));
        let ran_ms = ran.map(ms);
        let policy = ruled(&agent.policy, then);
        match decide(&policy, &RestartCounters::of(row), end, ran_ms, now, random) {
            Decision::No { why } => {
                let failed = end.outcome != Outcome::Success;
                self.rest(name, failed, &format!("{}; {why}", end.message), out);
            }
            Decision::LimitHit { why } if fails_over => {
                let message = format!("{}; {why}", end.message);
                self.take_over(now, name, &AttemptEnd { message, ..end.clone() }, out);
            }
            Decision::LimitHit { why } => {
                let why = format!("{}; {why}", end.message);
                if !self.group_fails_with(name, &why, out) {
                    self.rest(name, true, &why, out);
                }
            }
            Decision::After { delay_ms, counters, why } => {
                if !self.group_restarts(now, name, attempt, end, out) {
                    return;
                }
                let why = format!("{}; {why}", end.message);
                self.update(name, &why, out, |row| {
                    row.state = InstanceState::Backoff;
                    row.not_before = Some(now + Duration::from_millis(delay_ms));
                    counters.keep(row);
                });
            }
        }
    }
}

/// The policy as a rule bends it: what it wants is restarted, after the delay that it names.
fn ruled(policy: &Policy, then: Option<Then>) -> Cow<'_, Policy> {
    let mut bent = Cow::Borrowed(policy);
    match then {
        Some(Then::Restart) => bent.to_mut().restart = Restart::Always,
        Some(Then::Delay(ms)) => {
            let policy = bent.to_mut();
            policy.restart = Restart::Always;
            policy.delay_function = Delay::Constant;
            (policy.restart_delay_ms, policy.restart_max_delay_ms) = (ms, ms);
        }
        Some(Then::Fail | Then::Failover | Then::Ignore) | None => {}
    }
    bent
}
