//! One agent takes over from another that cannot go on, and gives way again later.
//!
//! The instance keeps its name; `serving` in its row says who works in its place. A switch is
//! decided and written down before anybody is stopped or started, and the next agent is launched
//! only when the attempt of the one before has ended, which means that its whole set is gone. So
//! there are never two, whenever the daemon dies (fault cases 73, 74). What cannot be proven dead
//! leaves the instance `blocked`, and nobody takes over.
//!
//! One budget holds for the whole chain: that of its head, the agent the instance is named after.

use std::path::Path;
use std::time::Duration;

use crate::model::{
    Activity, AttemptEnd, AttemptId, Desired, Handed, InstanceRow, InstanceState, Moment, Order,
    Outcome, Owner, PromptBy, StartReason, StopCause, Then,
};
use crate::policy::{Agent, Failback, Failover, about, chain};
use crate::transcript::{Handover, handover};

use super::{Action, Supervisor};

/// An idle agent that took over a moment ago has not begun yet: it is left alone for this long.
const SETTLE: Duration = Duration::from_secs(60);

/// Whom an instance is to be served by now.
pub(super) enum Server {
    /// This agent.
    Agent(Box<Agent>),
    /// Nobody before that moment, because this agent is parked.
    Parked(String, Moment),
}

impl Supervisor {
    /// The agent that serves an instance.
    pub(super) fn serving<'a>(&self, row: &'a InstanceRow) -> &'a str {
        let known = |name: &&str| self.agents.contains_key(*name);
        row.serving.as_deref().filter(known).unwrap_or(&row.name)
    }

    /// How an instance fails over, if it can.
    pub(super) fn failover(&self, name: &str) -> Option<&Failover> {
        let failover = self.agents.get(name)?.policy.failover.as_ref()?;
        Some(failover).filter(|_| chain(&self.agents, name).len() > 1)
    }

    /// The instance that an attempt lives for, if another agent may take over there.
    pub(super) fn can_fail_over(&self, id: &AttemptId) -> Option<String> {
        match &self.attempts.get(id)?.row.order.owner {
            Owner::Instance { name } => self.failover(name).map(|_| name.clone()),
            Owner::Task { .. } => None,
        }
    }

    /// Ends the living attempt of an instance, and has the next agent take over.
    pub(super) fn fail_over(&mut self, now: Moment, name: &str, why: &str, out: &mut Vec<Action>) {
        let Some(row) = self.instances.get(name) else { return };
        let live = row.attempt.clone().filter(|id| self.attempts.contains_key(id));
        let Some(attempt) = live.filter(|_| row.desired == Desired::Up) else { return };
        // Where nobody is left it is stopped all the same, and found to have failed when it ends.
        let next = self.next_target(now, name);
        let why = match &next {
            Ok(target) => format!("{why}; `{target}` takes over"),
            Err(none) => format!("{why}; {none}"),
        };
        if let Ok(target) = next {
            self.switch(now, name, &target);
        }
        self.update(name, &why, out, |row| row.state = InstanceState::Stopping);
        self.stop(now, &attempt, StopCause::Failover, out);
    }

    /// What follows when an attempt is over that was stopped so that another agent takes over.
    pub(super) fn failover_stopped(
        &mut self,
        now: Moment,
        name: &str,
        agent: &str,
        end: &AttemptEnd,
        out: &mut Vec<Action>,
    ) {
        let still = self.instances.get(name).is_some_and(|row| self.serving(row) == agent);
        match still {
            true => self.take_over(now, name, end, out),
            false => self.start_instance(now, name, StartReason::Failover, out),
        }
    }

    /// What follows an end that says more than that it failed; false when the restart policy is
    /// to decide.
    pub(super) fn classified(
        &mut self,
        now: Moment,
        name: &str,
        end: &AttemptEnd,
        then: Option<Then>,
        out: &mut Vec<Action>,
    ) -> bool {
        let can = self.failover(name).is_some();
        match (end.outcome, then) {
            (_, Some(Then::Fail)) => {
                self.rest(name, true, &format!("{}; its rule says so", end.message), out);
            }
            (Outcome::RateLimited, Some(Then::Restart | Then::Delay(_) | Then::Ignore)) => {
                self.wait_for_limit(now, name, out);
            }
            (Outcome::RateLimited, Some(Then::Failover) | None) if can => {
                self.start_instance(now, name, StartReason::Restart, out);
            }
            (Outcome::RateLimited, Some(Then::Failover) | None) => {
                let never = |agent: &Agent| agent.policy.restart == crate::policy::Restart::No;
                if self.agents.get(name).is_some_and(never) {
                    return false;
                }
                self.wait_for_limit(now, name, out);
            }
            (_, Some(Then::Failover)) if can => self.take_over(now, name, end, out),
            // Neither a missing program nor a missing login comes back by itself.
            (Outcome::Auth | Outcome::ExecFailed, None) if can => {
                self.take_over(now, name, end, out);
            }
            (_, Some(Then::Ignore)) => self.start_again(now, name, end, out),
            (_, Some(Then::Failover | Then::Restart | Then::Delay(_)) | None) => return false,
        }
        true
    }

    /// It waits until the agent that serves may be started again.
    fn wait_for_limit(&mut self, now: Moment, name: &str, out: &mut Vec<Action>) {
        let Some(row) = self.instances.get(name) else { return };
        let agent = self.serving(row).to_owned();
        let until = self.parked_until(&agent, now).unwrap_or(now);
        self.wait_parked(name, &agent, until, out);
    }

    /// Starts it again after the first restart delay, without counting that.
    fn start_again(&mut self, now: Moment, name: &str, end: &AttemptEnd, out: &mut Vec<Action>) {
        let Some(row) = self.instances.get(name) else { return };
        let agent = self.agents.get(self.serving(row));
        let delay_ms = agent.map_or(0, |agent| agent.policy.restart_delay_ms);
        let delay = about(delay_ms);
        let why = format!("{}; restarts after {delay}, not counted by its rule", end.message);
        self.update(name, &why, out, |row| {
            row.state = InstanceState::Backoff;
            row.not_before = Some(now + Duration::from_millis(delay_ms));
        });
    }

    /// The next agent takes over at once from one that has ended; when there is none, the instance
    /// has failed, and its row says who was tried.
    pub(super) fn take_over(
        &mut self,
        now: Moment,
        name: &str,
        end: &AttemptEnd,
        out: &mut Vec<Action>,
    ) {
        match self.next_target(now, name) {
            Ok(target) => {
                self.switch(now, name, &target);
                self.start_instance(now, name, StartReason::Failover, out);
            }
            Err(none) => self.rest(name, true, &format!("{}; {none}", end.message), out),
        }
    }

    /// Who comes after the one that serves, those first that are not parked; or why nobody does.
    fn next_target(&self, now: Moment, name: &str) -> Result<String, String> {
        let nobody = || format!("nobody can take over from `{name}`");
        let row = self.instances.get(name).ok_or_else(nobody)?;
        let failover = self.failover(name).ok_or_else(nobody)?;
        let chain = chain(&self.agents, name);
        let told = chain.iter().map(|agent| format!("`{agent}`")).collect::<Vec<_>>().join(", ");
        if !failover.has_room(&row.switches, now) {
            let (most, interval) = (failover.max_switches, about(failover.interval_ms));
            return Err(format!(
                "no switch is left: {most} within {interval} are allowed over {told}"
            ));
        }
        let at = chain.iter().position(|agent| agent == self.serving(row)).unwrap_or(0);
        let after = &chain[at + 1..];
        let free = after.iter().find(|agent| self.parked_until(agent, now).is_none());
        let next = free.or_else(|| after.iter().min_by_key(|agent| self.parked_until(agent, now)));
        next.cloned().ok_or_else(|| format!("all of them failed: {told}"))
    }

    /// Another agent serves from now on. The starts of one say nothing about another.
    fn switch(&mut self, now: Moment, name: &str, target: &str) {
        let interval_ms = self.failover(name).map_or(0, |failover| failover.interval_ms);
        let Some(row) = self.instances.get_mut(name) else { return };
        row.serving = Some(target.to_owned()).filter(|target| target != name);
        row.switches.retain(|at| at.0.saturating_add(interval_ms) > now.0);
        row.switches.push(now);
        begin_afresh(row);
    }

    /// Whom to start for an instance. One that is parked gives way to the next that is not, if
    /// there may be a switch; and the first agent comes back when its time has come.
    pub(super) fn choose_server(&mut self, now: Moment, name: &str) -> Option<(Server, bool)> {
        let head = self.agents.get(name)?.clone();
        let row = self.instances.get(name)?;
        let before = self.serving(row).to_owned();
        if self.comes_back_after(now, name) {
            self.fall_back(name);
        }
        let row = self.instances.get(name)?;
        let serving = self.serving(row).to_owned();
        let Some(until) = self.parked_until(&serving, now) else {
            let agent = self.agents.get(&serving).cloned().unwrap_or(head);
            return Some((Server::Agent(Box::new(agent)), serving != before));
        };
        let room = self.failover(name).is_some_and(|it| it.has_room(&row.switches, now));
        if !room {
            return Some((Server::Parked(serving, until), false));
        }
        let chain = chain(&self.agents, name);
        let at = chain.iter().position(|agent| *agent == serving).unwrap_or(0);
        let others = chain[at + 1..].iter().chain(&chain[..at]);
        let free = others.clone().find(|agent| self.parked_until(agent, now).is_none()).cloned();
        if let Some(agent) = free.as_ref().and_then(|free| self.agents.get(free)).cloned() {
            self.switch(now, name, &agent.name);
            return Some((Server::Agent(Box::new(agent)), true));
        }
        let soonest =
            chain.iter().filter_map(|agent| Some((self.parked_until(agent, now)?, agent)));
        let (until, agent) = soonest.min()?;
        Some((Server::Parked(agent.clone(), until), false))
    }

    /// The first agent of the chain serves again.
    pub(super) fn fall_back(&mut self, name: &str) {
        let Some(row) = self.instances.get_mut(name) else { return };
        if row.serving.take().is_some() {
            begin_afresh(row);
        }
    }

    /// A person starts it: the first agent serves, and all switches are forgotten.
    pub(super) fn forget_switches(&mut self, name: &str) {
        self.fall_back(name);
        if let Some(row) = self.instances.get_mut(name) {
            row.switches.clear();
        }
    }

    /// Whether the first agent is to serve again because enough time has passed.
    fn comes_back_after(&self, now: Moment, name: &str) -> bool {
        let due = |row: &InstanceRow| match self.failover(name)?.failback {
            Failback::After(ms) => {
                row.serving.as_ref()?;
                let since = *row.switches.last()?;
                Some(since + Duration::from_millis(ms) <= now)
            }
            Failback::Manual | Failback::OnIdle => None,
        };
        let free = self.parked_until(name, now).is_none();
        free && self.instances.get(name).and_then(due) == Some(true)
    }

    /// When the living agent of an instance is to give way to the first one because it is idle.
    pub(super) fn gives_way(&self, row: &InstanceRow) -> Option<Moment> {
        let failback = self.failover(&row.name)?.failback;
        let id = row.attempt.as_ref().filter(|_| row.state == InstanceState::Running)?;
        let attempt = self.attempts.get(id)?;
        let serving = row.serving.as_ref().filter(|name| **name == attempt.row.order.agent);
        serving?;
        let doing = attempt.report.as_ref()?.doing.as_ref()?;
        if doing.activity != Activity::Idle {
            return None;
        }
        let settled = attempt.row.started? + SETTLE;
        let due = match failback {
            Failback::Manual => return None,
            Failback::OnIdle => settled,
            Failback::After(ms) => settled.max(*row.switches.last()? + Duration::from_millis(ms)),
        };
        let free = self.parked.get(&row.name).map(|parking| parking.until);
        Some(free.map_or(due, |free| free.max(due)))
    }

    /// The next moment at which an idle agent gives way.
    pub(super) fn failback_deadline(&self) -> Option<Moment> {
        self.instances
            .values()
            .filter(|_| !self.closing)
            .filter_map(|row| self.gives_way(row))
            .min()
    }

    /// Has every agent give way that is idle and has served long enough.
    pub(super) fn failbacks_due(&mut self, now: Moment, out: &mut Vec<Action>) {
        let rows = self.instances.values().filter(|_| !self.closing);
        let due = rows.filter(|row| self.gives_way(row).is_some_and(|at| at <= now));
        let due: Vec<(String, AttemptId)> =
            due.filter_map(|row| Some((row.name.clone(), row.attempt.clone()?))).collect();
        for (name, attempt) in due {
            self.fall_back(&name);
            let why = format!("idle; `{name}` itself takes over again");
            self.update(&name, &why, out, |row| row.state = InstanceState::Stopping);
            self.stop(now, &attempt, StopCause::Failover, out);
        }
    }

    /// Keeps what a life leaves for an agent that takes over.
    pub(super) fn keep_handover(
        &mut self,
        name: &str,
        order: &Order,
        end: &AttemptEnd,
        tail: &str,
        log: &Path,
    ) {
        if self.failover(name).is_none() {
            return;
        }
        let (cwd, log) = (order.cwd.to_string_lossy(), log.to_string_lossy());
        let text = handover(&Handover {
            agent: &order.agent,
            outcome: end.outcome.word(),
            message: &end.message,
            tail,
            // `.` is the daemon's own, which the next one stands in too.
            cwd: Some(cwd.as_ref()).filter(|cwd| *cwd != "."),
            log: Some(&log),
        });
        if let Some(row) = self.instances.get_mut(name) {
            // It is written down with what is decided about this end.
            row.handover = Some(Box::new(Handed { from: order.agent.clone(), text }));
        }
    }

    /// Gives an order what another agent left behind.
    pub(super) fn hand_over(&mut self, order: &mut Order) {
        let Owner::Instance { name } = &order.owner else { return };
        let left = self.instances.get_mut(name).and_then(|row| row.handover.take());
        let left = left.filter(|left| left.from != order.agent);
        let Some(text) = left.map(|left| left.text) else { return };
        // An agent that is given a prompt reads it there too; one that is given none has the file.
        match order.prompt_by {
            PromptBy::Argv | PromptBy::File | PromptBy::Type => {
                order.prompt = Some(format!("## Handover\n\n{text}\n"));
            }
            PromptBy::Stdin | PromptBy::None => {}
        }
        order.handover = Some(text);
    }
}

fn begin_afresh(row: &mut InstanceRow) {
    (row.streak, row.last_delay_ms, row.not_before) = (0, 0, None);
    row.starts.clear();
}

#[cfg(test)]
mod tests {
    use super::super::{Remembered, Settings};
    use super::*;
    use crate::model::Mint;
    use crate::policy::Identity;

    /// What an agent left is told to the one that takes over, whichever daemon starts that; rows
    /// that an older version wrote have nothing to tell.
    #[test]
    fn the_next_daemon_hands_over_too() {
        let old = r#"{"name":"a","desired":"up","state":"backoff","attempt":null,"attempts":1,
            "restarts":0,"streak":0,"starts":[],"not_before":9,"last_delay_ms":0,"why":"waits"}"#;
        let old: InstanceRow = serde_json::from_str(old).unwrap();
        let left =
            |from: &str| Box::new(Handed { from: from.to_owned(), text: "half done".to_owned() });
        for (handover, told) in [(None, false), (Some(left("a")), true), (Some(left("b")), false)] {
            let row = InstanceRow { handover, ..old.clone() };
            // As the ledger keeps it.
            let row = serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
            let remembered = Remembered { instances: vec![row], ..Remembered::default() };
            let settings = Settings { keep_success: None, keep_failure: None };
            let mint = Mint::new([1; 32]);
            let mut next = Supervisor::recover(Moment(0), settings, remembered, mint).unwrap();
            let owner = Owner::Instance { name: "a".to_owned() };
            let identity = Identity::mint(&mut Mint::new([2; 32]), owner, 2, StartReason::Failover);
            let mut order = Agent::new("b").order(identity, ".".into());
            next.hand_over(&mut order);
            assert_eq!(order.handover.as_deref() == Some("half done"), told);
            assert!(next.instances["a"].handover.is_none(), "it is told once");
        }
    }
}
