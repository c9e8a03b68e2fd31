//! What follows a failed attempt (features K1–K4, F2–F5, rulings Z1, Z8): the same agent while
//! retries remain, then the next fallback, then the end of the task.

use std::time::Duration;

use crate::model::{Outcome, StartReason};
use crate::plan::{self, RetryWait};

use super::task::Task;

/// How often in a row an attempt is made again because nobody knows how the one before ended.
/// These use no retry, so they must be bounded by themselves.
const LOST_MAX: u32 = 3;

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another attempt.
    Again {
        /// Which agent of the list.
        agent_index: usize,
        /// How long to wait first.
        wait: Duration,
        /// Why it is made.
        reason: StartReason,
    },
    /// None: the task has failed.
    GiveUp,
}

/// Decides what follows an attempt of `task` that ended with `outcome` (and exit code `code`).
/// `random` spreads waits, so that tasks that failed together do not return together.
pub(super) fn after(
    plan: &plan::Task,
    task: &Task,
    outcome: Outcome,
    code: Option<i32>,
    random: u64,
) -> Next {
    decide(plan, task, outcome, code, random, plan.retry_on.contains(&outcome))
}

/// The same for an end after which a rule wants another attempt, whatever `retry_on` says.
pub(super) fn wanted(
    plan: &plan::Task,
    task: &Task,
    outcome: Outcome,
    code: Option<i32>,
    random: u64,
) -> Next {
    decide(plan, task, outcome, code, random, true)
}

fn decide(
    plan: &plan::Task,
    task: &Task,
    outcome: Outcome,
    code: Option<i32>,
    random: u64,
    wanted: bool,
) -> Next {
    let lost = outcome == Outcome::Lost;
    if lost && task.lost_in_row < LOST_MAX {
        let reason = StartReason::Lost;
        return Next::Again { agent_index: task.agent_index, wait: Duration::ZERO, reason };
    }
    let stops = code.is_some_and(|code| plan.no_retry_exit.contains(&code));
    let timed_out = outcome == Outcome::Timeout && task.timeouts >= plan.retries_on_timeout;
    let spent = task.used >= retries(plan, task.agent_index);
    if wanted && !lost && !stops && !timed_out && !spent {
        let wait = wait(&plan.retry_wait, task.used, random);
        return Next::Again { agent_index: task.agent_index, wait, reason: StartReason::Retry };
    }
    if let Some(agent_index) = next_agent(plan, task) {
        return Next::Again { agent_index, wait: Duration::ZERO, reason: StartReason::Fallback };
    }
    Next::GiveUp
}

/// The place of the agent after this one in the list that the plan names: the others who can do it
/// and were not tried yet, in order, then the fallbacks.
fn next_agent(plan: &plan::Task, task: &Task) -> Option<usize> {
    let (able, all) = (plan.work.alternatives(), plan.work.agents().len().max(1));
    if able <= 1 {
        return (task.agent_index + 1 < all).then_some(task.agent_index + 1);
    }
    let untried = |index: &usize| *index != task.agent_index && !task.tried.contains(index);
    let equal = (0..able).filter(|_| task.agent_index < able).find(untried);
    equal.or_else(|| (able.max(task.agent_index)..all).find(untried))
}

fn retries(plan: &plan::Task, agent_index: usize) -> u32 {
    // Who takes over gets the retries of the task, like the first one.
    plan.work.agents().get(agent_index).map_or(plan.retries, |it| it.retries)
}

/// The wait before retry number `used` (from 0): grows by the factor up to the largest, with up
/// to a quarter added.
fn wait(rule: &RetryWait, used: u32, random: u64) -> Duration {
    let exponent = i32::try_from(used).unwrap_or(i32::MAX);
    let grown = rule.first_ms as f64 * rule.factor.powi(exponent);
    let capped = grown.min(rule.max_ms as f64).max(0.0);
    let share = if rule.jitter { (random % 1000) as f64 / 4000.0 } else { 0.0 };
    Duration::from_millis((capped * (1.0 + share)) as u64)
}
