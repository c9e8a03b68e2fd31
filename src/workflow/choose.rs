//! Who does a task (features I2, I11, I14): the agent that it names, or of those that have the
//! capability that it asks for the one with the least to do, then the cheapest, then the first.
//! Whoever was taken keeps the task for its retries; the others who can do it come after that,
//! before the fallbacks of the plan (ruling Z8). Who is parked or cannot be started is passed over.

use std::collections::BTreeMap;

use crate::model::{Moment, StartReason};
use crate::plan::{self, Work};
use crate::policy::Level;

use super::pools::{Counted, Live, Starts};
use super::standing::Standings;
use super::{Run, Task, failover};

impl Run {
    /// Whether a queued task may be given to that agent next.
    pub(super) fn may_be_given(&self, plan: &plan::Task, task: &Task, agent: &str) -> bool {
        let able = plan.work.alternatives();
        if task.tried.is_empty() && task.agent_index < able {
            return plan.work.agents().iter().take(able).any(|it| it.name == agent);
        }
        self.plan.agent_at(plan, task.agent_index) == Some(agent)
    }
}

/// What is known of all agents at one moment.
pub(super) struct Staff<'a> {
    pub(super) now: Moment,
    pub(super) live: &'a Live,
    pub(super) parked: &'a failover::Parked,
    pub(super) standings: &'a Standings,
    pub(super) starts: &'a Starts,
}

/// Who is to start a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// The agent's name; none for a task without agent.
    pub(super) agent: Option<String>,
    /// Its place in the roster.
    pub(super) index: usize,
    /// Why it is started.
    pub(super) reason: StartReason,
    /// Why this one, where there was a choice.
    pub(super) because: Option<String>,
}

/// Why nobody starts a task now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nobody {
    /// All that could are parked, cannot be started, or have no slot: an event will change that.
    Waits,
    /// A rate has room again then.
    Until(Moment),
}

impl Staff<'_> {
    /// Who starts a queued task now.
    pub(super) fn choose(
        &self,
        run: &Run,
        plan: &plan::Task,
        task: &Task,
    ) -> Result<Choice, Nobody> {
        match &plan.work {
            Work::Agent { capability: Some(asked), .. }
                if task.tried.is_empty() && task.agent_index < asked.able =>
            {
                self.least_loaded(run, plan, task, &asked.name, asked.able)
            }
            Work::Agent { .. } => self.in_order(run, plan, task),
            Work::Command { .. }
            | Work::Reduce(_)
            | Work::Approve { .. }
            | Work::Wait { .. }
            | Work::Emit { .. }
            | Work::Plan(_) => Ok(Choice {
                agent: None,
                index: task.agent_index,
                reason: task.reason,
                because: None,
            }),
        }
    }

    /// The agent whose turn it is, or who takes over from it while it cannot be started.
    fn in_order(&self, run: &Run, plan: &plan::Task, task: &Task) -> Result<Choice, Nobody> {
        let name = run.plan.agent_at(plan, task.agent_index).unwrap_or_default();
        let choice = |index, name: &str, reason| {
            let agent = Some(name.to_owned());
            self.has_room(run, name).map(|()| Choice { agent, index, reason, because: None })
        };
        if !self.is_away(name) {
            return choice(task.agent_index, name, task.reason);
        }
        let roster = run.plan.roster(plan);
        let next = failover::free(self.now, run, plan, task, &|name| self.is_away(name));
        let next = next.and_then(|index| Some((index, *roster.get(index)?)));
        next.map_or(Err(Nobody::Waits), |(index, name)| choice(index, name, StartReason::Failover))
    }

    fn least_loaded(
        &self,
        run: &Run,
        plan: &plan::Task,
        task: &Task,
        capability: &str,
        able: usize,
    ) -> Result<Choice, Nobody> {
        let names: Vec<&str> = plan.work.agents().iter().map(|it| it.name.as_str()).collect();
        let able = &names[..able.min(names.len())];
        if able.iter().all(|name| self.is_away(name)) {
            // Nobody who has the capability can be started: the fallbacks of the plan may.
            return self.in_order(run, plan, task);
        }
        let mut until = None;
        let mut free: Vec<(usize, Level, usize)> = Vec::new();
        for (index, name) in able.iter().enumerate().filter(|(_, name)| !self.is_away(name)) {
            match self.has_room(run, name) {
                Ok(()) => free.push((self.live.of_agent(name), cost(run, name), index)),
                Err(Nobody::Until(at)) => {
                    until = Some(until.map_or(at, |other: Moment| other.min(at)))
                }
                Err(Nobody::Waits) => {}
            }
        }
        let Some((load, cost, index)) = free.iter().min().copied() else {
            return Err(until.map_or(Nobody::Waits, Nobody::Until));
        };
        let others = able.iter().enumerate().filter(|(other, _)| *other != index);
        let others: Vec<String> = others.map(|(_, name)| self.told(run, name)).collect();
        let but = if others.is_empty() {
            String::new()
        } else {
            format!("; others: {}", others.join(", "))
        };
        let name = able[index];
        let because = format!(
            "`{name}` was taken for `{capability}`: {load} at work, cost {cost}, choice {}{but}",
            index + 1
        );
        let (agent, reason) = (Some(name.to_owned()), task.reason);
        Ok(Choice { agent, index, reason, because: Some(because) })
    }

    /// One of those who were not taken.
    fn told(&self, run: &Run, name: &str) -> String {
        let load = self.live.of_agent(name);
        if self.parked.contains_key(name) {
            return format!("{name} (parked)");
        }
        if self.is_away(name) {
            return format!("{name} (unavailable)");
        }
        match self.has_room(run, name) {
            Ok(()) => format!("{name} ({load} at work, cost {})", cost(run, name)),
            Err(Nobody::Waits) => format!("{name} (busy with {load})"),
            Err(Nobody::Until(_)) => format!("{name} (at its rate)"),
        }
    }

    /// Whether an agent cannot be started at all for now.
    pub(super) fn is_away(&self, name: &str) -> bool {
        self.parked.contains_key(name)
            || self.standings.refuses(self.now, name, self.live.of_agent(name))
    }

    /// Whether an agent has a slot and its rate allows another start.
    fn has_room(&self, run: &Run, name: &str) -> Result<(), Nobody> {
        let Some(agent) = run.plan.agents.get(name) else { return Ok(()) };
        if agent.max_parallel.is_some_and(|most| self.live.of_agent(name) >= most as usize) {
            return Err(Nobody::Waits);
        }
        let key = Counted::Agent(name.to_owned());
        let full = agent.rate.and_then(|rate| self.starts.full_until(self.now, &key, rate));
        full.map_or(Ok(()), |until| Err(Nobody::Until(until)))
    }

    /// Whether the pools that a task takes from have room, and their rates too.
    pub(super) fn pools_have_room(
        &self,
        run: &Run,
        plan: &plan::Task,
        sizes: &BTreeMap<&str, u32>,
    ) -> Result<(), Nobody> {
        if !self.live.pools_have_room(plan, sizes) {
            return Err(Nobody::Waits);
        }
        let full = plan.uses.keys().filter_map(|pool| {
            let rate = run.plan.limits.get(pool)?.rate?;
            self.starts.full_until(self.now, &Counted::Pool(pool.clone()), rate)
        });
        full.max().map_or(Ok(()), |until| Err(Nobody::Until(until)))
    }
}

fn cost(run: &Run, name: &str) -> Level {
    run.plan.agents.get(name).map(|agent| agent.traits.cost).unwrap_or_default()
}
