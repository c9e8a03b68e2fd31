//! Who goes on with a task when its agent cannot: the next of its roster that is not parked, as
//! often as the failover table of its first agent allows within the run. Nobody's attempt is used
//! up by that.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Moment, Outcome, RunFact, StartReason, TaskId, Then};
use crate::plan;
use crate::transcript::{Handover, handover};

use super::retry::{self, Next};
use super::run::Run;
use super::task::Task;

/// How often in a row a rule may have an attempt made again without counting it.
const IGNORED_MAX: u32 = 20;

/// The agents that are not to be started, and until when.
pub(super) type Parked = BTreeMap<String, Moment>;

/// A failed attempt, as far as it decides what follows.
pub(super) struct Failure {
    /// How it ended.
    pub(super) outcome: Outcome,
    /// Its exit code.
    pub(super) code: Option<i32>,
    /// What a rule of its agent asks for.
    pub(super) then: Option<Then>,
    /// Spreads waits.
    pub(super) random: u64,
}

/// Decides what follows a failed attempt of a task.
pub(super) fn after(
    now: Moment,
    run: &Run,
    plan: &plan::Task,
    parked: &Parked,
    failure: &Failure,
) -> Next {
    let Some(task) = run.task(&plan.id) else { return Next::GiveUp };
    let Failure { outcome, code, then, random } = failure;
    let same = |wait, reason| Next::Again { agent_index: task.agent_index, wait, reason };
    let other = |agent_index| {
        let (wait, reason) = (Duration::ZERO, StartReason::Failover);
        Next::Again { agent_index, wait, reason }
    };
    let by_retry = || retry::after(plan, task, *outcome, *code, *random);
    match (outcome, then) {
        (_, Some(Then::Fail)) => Next::GiveUp,
        (Outcome::RateLimited, then) => {
            let stays = matches!(then, Some(Then::Restart | Then::Delay(_) | Then::Ignore));
            let next = if stays {
                None
            } else {
                free(now, run, plan, task, &|name| parked.contains_key(name))
            };
            let wait = || {
                let name = run.plan.agent_at(plan, task.agent_index);
                name.and_then(|name| parked.get(name)).map_or(Duration::ZERO, |at| at.since(now))
            };
            next.map_or_else(|| same(wait(), StartReason::Retry), other)
        }
        (_, Some(Then::Failover)) | (Outcome::Auth | Outcome::ExecFailed, None) => {
            let free = free(now, run, plan, task, &|name| parked.contains_key(name));
            free.or_else(|| next(now, run, plan, task)).map_or_else(by_retry, other)
        }
        (_, Some(Then::Ignore)) if task.ignored_in_row < IGNORED_MAX => {
            same(Duration::from_millis(plan.retry_wait.first_ms), StartReason::Restart)
        }
        (_, Some(Then::Restart)) => retry::wanted(plan, task, *outcome, *code, *random),
        (_, Some(Then::Delay(ms))) => match retry::wanted(plan, task, *outcome, *code, *random) {
            Next::Again { agent_index, reason: StartReason::Retry, wait: _ } => {
                let wait = Duration::from_millis(*ms);
                Next::Again { agent_index, wait, reason: StartReason::Retry }
            }
            next @ (Next::Again { .. } | Next::GiveUp) => next,
        },
        (_, Some(Then::Ignore) | None) => by_retry(),
    }
}

/// The next of the roster that is not away, if there may be a switch.
pub(super) fn free(
    now: Moment,
    run: &Run,
    plan: &plan::Task,
    task: &Task,
    is_away: &dyn Fn(&str) -> bool,
) -> Option<usize> {
    let roster = run.plan.roster(plan);
    let after = after_this(now, run, plan, task);
    after.into_iter().find(|index| roster.get(*index).is_some_and(|name| !is_away(name)))
}

/// The next of the roster, if there may be a switch.
fn next(now: Moment, run: &Run, plan: &plan::Task, task: &Task) -> Option<usize> {
    after_this(now, run, plan, task).first().copied()
}

/// The places of all that may take over from the agent of a task, in order: the others that can do
/// equally well and were not tried, and who comes after it. None when no switch is left.
fn after_this(now: Moment, run: &Run, plan: &plan::Task, task: &Task) -> Vec<usize> {
    if run.switches(plan, now).is_some_and(|(used, most)| used >= most) {
        return Vec::new();
    }
    let (able, all) = (plan.work.alternatives(), run.plan.roster(plan).len());
    let index = task.agent_index;
    if able <= 1 || index >= able {
        return (index + 1..all).collect();
    }
    let equal = (0..able).filter(|other| *other != index && !task.tried.contains(other));
    equal.chain(able..all).collect()
}

/// What an agent that takes over a task is told about the one before; none when it is the same.
pub(super) fn told(task: &Task, name: &str, cwd: &str) -> Option<String> {
    let (error, from) = (task.error.as_ref()?, task.agent.as_deref()?);
    let log = error.log.as_ref().map(|log| log.to_string_lossy());
    (from != name).then(|| {
        handover(&Handover {
            agent: from,
            outcome: error.outcome.word(),
            message: &error.message,
            tail: &error.tail,
            cwd: Some(cwd),
            log: log.as_deref(),
        })
    })
}

impl Run {
    /// How often tasks with this one's first agent have gone over to another within its failover
    /// interval, and how often they may; none when it has no failover table.
    pub fn switches(&self, plan: &plan::Task, now: Moment) -> Option<(u32, u32)> {
        let failover = self.plan.failover(plan)?;
        let switches = self.switches.get(self.plan.agent_at(plan, 0)?);
        let used = switches.map_or(0, |switches| failover.recent(switches, now));
        Some((used, failover.max_switches))
    }

    pub(super) fn count_switch(&mut self, at: Moment, task: &TaskId) {
        let Some(plan) = self.definition(task) else { return };
        let (Some(failover), Some(head)) = (self.plan.failover(plan), self.plan.agent_at(plan, 0))
        else {
            return;
        };
        let switches = self.switches.entry(head.to_owned()).or_default();
        switches.retain(|switch| switch.0.saturating_add(failover.interval_ms) > at.0);
        switches.push(at);
    }

    /// Whether a fact has a task go over to another agent because its own cannot go on.
    pub(super) fn is_switch(before: usize, fact: &RunFact) -> bool {
        let (RunFact::TaskStarting { agent_index, reason, .. }
        | RunFact::TaskRetrying { agent_index, reason, .. }) = fact
        else {
            return false;
        };
        *reason == StartReason::Failover && *agent_index != before
    }
}
