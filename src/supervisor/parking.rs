//! Agents that hit a usage limit are parked: nothing of them is started until it has passed.
//!
//! A limit is no failure. It uses no attempt and no start, and it holds for the agent, whoever it
//! works for: its instances wait or fail over, its tasks too, and the workflow is told. The end of
//! a parking is on the ledger's clock, so that it outlives the daemon.

use std::time::Duration;

use crate::model::{Desired, Fact, InstanceState, Moment, Order, Outcome, Parking, Then, WallTime};

use crate::policy::about;

use super::reset_time::left_ms;
use super::rules::Ruling;
use super::{Action, InstanceRequest, News, Supervisor, Verdict};

/// How long an agent is parked that does not say until when, the first time in a row.
const UNSAID_MS: u64 = 300_000;
/// How long at most.
const UNSAID_MS_MAX: u64 = 3_600_000;
/// The share of the wait that is added at random, so that not all come back together.
const JITTER_SHARE: u64 = 4;
/// The most that is added.
const JITTER_MS_MAX: u64 = 60_000;

impl Supervisor {
    /// Looks at an end for what it says about usage limits.
    pub(super) fn limits_seen(
        &mut self,
        now: Moment,
        order: &Order,
        verdict: &Verdict,
        read_at: WallTime,
        out: &mut Vec<Action>,
    ) {
        let agent = &order.agent;
        if verdict.end.outcome != Outcome::RateLimited {
            if verdict.end.outcome == Outcome::Success {
                self.unsaid_limits.remove(agent);
            }
            return;
        }
        let (wait_ms, said) = self.limit_ms(agent, verdict.ruling.as_ref(), read_at);
        let jitter_ms = self.mint.number() % (wait_ms / JITTER_SHARE).clamp(1, JITTER_MS_MAX);
        let wait_ms = wait_ms.saturating_add(jitter_ms);
        let until = now + Duration::from_millis(wait_ms);
        if self.parked.get(agent).is_some_and(|parking| parking.until >= until) {
            return;
        }
        let until_ms = read_at.ms.saturating_add_unsigned(wait_ms);
        let why = format!("usage limit, {said}: {}", verdict.end.message);
        let unsaid = self.unsaid_limits.get(agent).copied().unwrap_or(0);
        let parking = Parking { agent: agent.clone(), until, until_ms, unsaid, why };
        self.parked.insert(agent.clone(), parking.clone());
        out.push(Action::Record(Fact::Parked(parking)));
        out.push(Action::Tell(News::Parked { agent: agent.clone(), until }));
    }

    /// How long the limit lasts, and who says so.
    fn limit_ms(
        &mut self,
        agent: &str,
        ruling: Option<&Ruling>,
        read_at: WallTime,
    ) -> (u64, String) {
        if let Some(Then::Delay(ms)) = ruling.and_then(|ruling| ruling.then) {
            return (ms, format!("parked for {} by its rule", about(ms)));
        }
        let said = ruling.and_then(|ruling| ruling.reset_ms);
        let doubt = match said.map(|reset_ms| left_ms(reset_ms, read_at)) {
            Some(Ok(ms)) => {
                self.unsaid_limits.remove(agent);
                return (ms, "which says when it is over".to_owned());
            }
            Some(Err(doubt)) => doubt,
            None => "which does not say when it is over".to_owned(),
        };
        let times = self.unsaid_limits.entry(agent.to_owned()).or_default();
        let ms = UNSAID_MS.saturating_mul(1 << (*times).min(8)).min(UNSAID_MS_MAX);
        *times += 1;
        (ms, doubt)
    }

    /// When an agent may be started again, if it may not now.
    pub(super) fn parked_until(&self, agent: &str, now: Moment) -> Option<Moment> {
        self.parked.get(agent).map(|parking| parking.until).filter(|until| *until > now)
    }

    /// Lets every agent go whose limit has passed.
    pub(super) fn parkings_over(&mut self, now: Moment, out: &mut Vec<Action>) {
        let over = self.parked.values().filter(|parking| parking.until <= now);
        let over: Vec<String> = over.map(|parking| parking.agent.clone()).collect();
        for agent in over {
            self.unpark(now, &agent, out);
        }
    }

    /// Lets an agent go, and those who wait for it with it; false when it was not parked.
    pub(super) fn unpark(&mut self, now: Moment, agent: &str, out: &mut Vec<Action>) -> bool {
        let Some(parking) = self.parked.remove(agent) else { return false };
        out.push(Action::Record(Fact::Unparked { agent: agent.to_owned() }));
        out.push(Action::Tell(News::Unparked { agent: agent.to_owned() }));
        let waits = self.instances.values().filter(|row| {
            row.state == InstanceState::Backoff
                && row.desired == Desired::Up
                && row.not_before == Some(parking.until)
        });
        let waiting: Vec<String> = waits.map(|row| row.name.clone()).collect();
        for name in waiting.iter().filter(|_| parking.until > now) {
            let why = format!("`{agent}` is no longer parked");
            self.update(name, &why, out, |row| row.not_before = Some(now));
        }
        true
    }

    /// A person who starts an agent, or wants its failures forgotten, knows better than its limit.
    /// False when nobody was parked.
    pub(super) fn unpark_for(
        &mut self,
        now: Moment,
        name: &str,
        request: InstanceRequest,
        out: &mut Vec<Action>,
    ) -> bool {
        let known = self.instances.contains_key(name);
        match request {
            InstanceRequest::Start | InstanceRequest::ResetFailed => {}
            InstanceRequest::Restart if known => {}
            InstanceRequest::Restart | InstanceRequest::Stop => return false,
        }
        let serving = self.instances.get(name).and_then(|row| row.serving.clone());
        let own = self.unpark(now, name, out);
        let other = serving.is_some_and(|serving| self.unpark(now, &serving, out));
        self.unsaid_limits.remove(name);
        own || other
    }

    /// The instance waits until an agent may be started again.
    pub(super) fn wait_parked(
        &mut self,
        name: &str,
        agent: &str,
        until: Moment,
        out: &mut Vec<Action>,
    ) {
        let why = self.parked.get(agent).map_or_else(String::new, |p| format!(": {}", p.why));
        let why = format!("waits, because `{agent}` is parked{why}");
        self.update(name, &why, out, |row| {
            row.state = InstanceState::Backoff;
            row.not_before = Some(until);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Remembered, Settings};
    use super::*;
    use crate::model::Mint;

    /// What a limit says of its end and is not believed is told, and waited for like one that says
    /// nothing.
    #[test]
    fn an_end_that_is_not_believed_is_told() {
        let settings = Settings { keep_success: None, keep_failure: None };
        let fresh = Remembered::default();
        let all = Supervisor::recover(Moment(0), settings, fresh, Mint::new([1; 32]));
        let mut all = all.unwrap();
        let now = WallTime { ms: 1_795_246_200_000, offset_s: 0 };
        let ruling = |reset_ms| Ruling {
            name: "limit".to_owned(),
            text: String::new(),
            outcome: None,
            then: None,
            reset_ms,
        };
        let year_ms = 365 * 86_400_000;
        let mut said = |reset_ms| all.limit_ms("a", Some(&ruling(reset_ms)), now);
        let (ms, text) = said(Some(now.ms - year_ms));
        assert!(ms == UNSAID_MS && text.contains("2025-11-21"), "{ms} {text}");
        assert!(text.ends_with("not believed, as that has passed"), "{text}");
        let (ms, text) = said(Some(now.ms + year_ms));
        assert!(ms == 2 * UNSAID_MS && text.contains("2027-11-21"), "{ms} {text}");
        assert!(text.ends_with("not believed, as that is more than 60 days away"), "{text}");
        assert!(said(None).1.contains("does not say"));
        assert_eq!(said(Some(now.ms + 1_000)), (1_000, "which says when it is over".to_owned()));
    }

    /// Limits that do not say when they are over are waited for ever longer, whichever daemon sees
    /// the next one.
    #[test]
    fn waits_go_on_doubling_in_the_next_daemon() {
        let old = r#"{"agent":"a","until":5,"until_ms":5,"why":"usage limit"}"#;
        let old: Parking = serde_json::from_str(old).unwrap();
        for (unsaid, factor) in [(old.unsaid, 1), (1, 2), (3, 8)] {
            let parking = Parking { unsaid, ..old.clone() };
            let remembered = Remembered { parked: vec![parking], ..Remembered::default() };
            let settings = Settings { keep_success: None, keep_failure: None };
            let mint = Mint::new([1; 32]);
            let next = Supervisor::recover(Moment(0), settings, remembered, mint);
            let (ms, _) = next.unwrap().limit_ms("a", None, WallTime::default());
            assert_eq!(ms, UNSAID_MS * factor, "{unsaid}");
        }
    }
}
