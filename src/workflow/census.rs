//! Which tasks of a run stand where, kept up by every fact, so that no decision has to look at all
//! of them: a run of a thousand items costs about a thousand times what one costs, not a million.
//!
//! Tasks are known by their position in the plan; a fact that changes the plan counts anew.

use std::collections::{BTreeMap, BTreeSet};

use super::layout::{hooks, line, places, remaining};
use super::looks::look;
use super::seats::Seats;
use crate::model::{AttemptId, Moment, TaskId, TaskState};
use crate::plan::{self, DependsCause, OnPartialFailure, Origin, Plan};

/// What is known about one task.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    /// Where it stands.
    pub(super) state: TaskState,
    /// Its attempt, if one lives.
    pub(super) attempt: Option<AttemptId>,
    /// When its next attempt may start.
    pub(super) not_before: Option<Moment>,
    /// Whether it waits for a usage limit to pass.
    pub(super) limited: bool,
    /// When it was queued last.
    pub(super) queued: Option<Moment>,
    /// Which of its agents works on it.
    pub(super) agent: usize,
    /// Whether it has a run of its own.
    pub(super) child: bool,
}

/// Tasks that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Circle {
    /// The items of a `for_each` task.
    Items(TaskId),
    /// The tasks of a phase, without items, hooks and the like.
    Phase(String),
}

/// How many of a circle stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// All of them.
    pub(super) all: usize,
    /// Those that are not over.
    pub(super) open: usize,
    /// Those that succeeded.
    pub(super) success: usize,
    /// Those that failed for good, by a time limit or otherwise.
    pub(super) failed: usize,
}

/// All tasks of a run by where they stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Census {
    at: BTreeMap<TaskId, usize>,
    seen: Vec<Seen>,
    by_state: BTreeMap<TaskState, BTreeSet<usize>>,
    by_attempt: BTreeMap<AttemptId, usize>,
    due: BTreeSet<(Moment, usize)>,
    limited: BTreeSet<usize>,
    /// Queued tasks; items of one task that want the same agent wait in one line, since one is as
    /// good as the other.
    lines: BTreeMap<(usize, usize), BTreeSet<(Moment, usize)>>,
    tallies: BTreeMap<Circle, Tally>,
    circles: Vec<Option<Circle>>,
    line_of: Vec<usize>,
    workers: Vec<usize>,
    finish: Option<usize>,
    timed: Vec<usize>,
    budgeted: Vec<usize>,
    /// Tasks whose failure counts for the breaker, and those among them that have failed.
    weighs: Vec<bool>,
    failures: BTreeSet<usize>,
    open: usize,
    /// Tasks whose failure may end the run, and those among them that have failed.
    can_end: Vec<bool>,
    ending: BTreeSet<usize>,
    optional: Vec<bool>,
    spared: BTreeSet<usize>,
    hooks: BTreeMap<TaskId, Vec<usize>>,
    read: BTreeSet<TaskId>,
    remaining_ms: Vec<u64>,
    pub(super) seats: Seats,
}

impl Seen {
    /// A task that has not begun.
    const fn blocked() -> Self {
        Self {
            state: TaskState::Blocked,
            attempt: None,
            not_before: None,
            limited: false,
            queued: None,
            agent: 0,
            child: false,
        }
    }
}

impl Census {
    /// Counts the tasks of a plan, none of which has begun.
    pub(super) fn of(plan: &Plan) -> Self {
        let at: BTreeMap<TaskId, usize> =
            plan.tasks.iter().enumerate().map(|(at, task)| (task.id.clone(), at)).collect();
        let aborts: BTreeSet<&str> = (plan.phases.iter())
            .filter(|phase| phase.on_partial_failure == OnPartialFailure::Abort)
            .map(|phase| phase.id.as_str())
            .collect();
        let reads = |need: &&plan::DependsOn| need.hard && need.cause == DependsCause::Reference;
        let needs = plan.tasks.iter().flat_map(|task| task.needs.iter().filter(reads));
        let mut census = Self {
            circles: plan.tasks.iter().map(circle).collect(),
            line_of: plan.tasks.iter().enumerate().map(|(i, task)| line(&at, i, task)).collect(),
            can_end: plan
                .tasks
                .iter()
                .map(|task| {
                    task.origin.is_none() && !task.optional && aborts.contains(&*task.phase)
                })
                .collect(),
            optional: plan.tasks.iter().map(|task| task.optional).collect(),
            hooks: hooks(plan),
            workers: places(plan, |task| task.worker_of().is_some()),
            finish: places(plan, |task| task.is_last()).pop(),
            timed: places(plan, |task| {
                task.for_each.is_none()
                    && (task.queue_timeout_ms.is_some() || task.total_timeout_ms.is_some())
            }),
            budgeted: places(plan, |task| task.budget.is_some()),
            weighs: plan.tasks.iter().map(|task| weighs(plan, &at, task)).collect(),
            read: needs.map(|need| need.task.clone()).collect(),
            remaining_ms: remaining(plan, &at),
            seats: Seats::of(plan),
            seen: vec![Seen::blocked(); plan.tasks.len()],
            at,
            ..Self::default()
        };
        for at in 0..census.seen.len() {
            look();
            census.enter(at);
        }
        census
    }

    /// Takes in where a task stands now.
    pub(super) fn follow(&mut self, task: &TaskId, seen: Seen) {
        let Some(at) = self.position(task) else { return };
        if self.seen[at] != seen {
            look();
            self.leave(at);
            self.seen[at] = seen;
            self.enter(at);
        }
    }

    fn leave(&mut self, at: usize) {
        let seen = self.seen[at].clone();
        self.by_state.entry(seen.state).or_default().remove(&at);
        self.seats.leave(at);
        self.open -= usize::from(!seen.state.is_end());
        if let Some(attempt) = &seen.attempt {
            self.by_attempt.remove(attempt);
        }
        if let Some(moment) = seen.not_before {
            self.due.remove(&(moment, at));
        }
        if seen.state == TaskState::Queued {
            let key = (self.line_of[at], seen.agent);
            let line = self.lines.entry(key).or_default();
            line.remove(&(seen.queued.unwrap_or_default(), at));
            if line.is_empty() {
                self.lines.remove(&key);
            }
        }
        self.limited.remove(&at);
        self.ending.remove(&at);
        self.spared.remove(&at);
        self.failures.remove(&at);
        self.tally(at, |count| *count -= 1);
    }

    fn enter(&mut self, at: usize) {
        let seen = self.seen[at].clone();
        if !self.seats.enter(at, seen.state, seen.child) {
            self.by_state.entry(seen.state).or_default().insert(at);
        }
        self.open += usize::from(!seen.state.is_end());
        if let Some(attempt) = seen.attempt {
            self.by_attempt.insert(attempt, at);
        }
        if let Some(moment) = seen.not_before {
            self.due.insert((moment, at));
        }
        if seen.state == TaskState::Queued {
            let line = self.lines.entry((self.line_of[at], seen.agent)).or_default();
            line.insert((seen.queued.unwrap_or_default(), at));
        }
        if seen.limited {
            self.limited.insert(at);
        }
        if matches!(seen.state, TaskState::Failed | TaskState::Timeout) {
            if self.can_end[at] {
                self.ending.insert(at);
            }
            if self.optional[at] {
                self.spared.insert(at);
            }
            if self.weighs[at] {
                self.failures.insert(at);
            }
        }
        self.tally(at, |count| *count += 1);
    }

    fn tally(&mut self, at: usize, change: impl Fn(&mut usize)) {
        let Some(circle) = &self.circles[at] else { return };
        let tally = match self.tallies.get_mut(circle) {
            Some(tally) => tally,
            None => self.tallies.entry(circle.clone()).or_default(),
        };
        change(&mut tally.all);
        match self.seen[at].state {
            TaskState::Success => change(&mut tally.success),
            TaskState::Failed | TaskState::Timeout => change(&mut tally.failed),
            TaskState::Skipped | TaskState::Cancelled => {}
            TaskState::Blocked
            | TaskState::Ready
            | TaskState::Queued
            | TaskState::Starting
            | TaskState::Running
            | TaskState::RetryWait
            | TaskState::Waiting => change(&mut tally.open),
        }
    }

    /// Where a task stands in the plan.
    pub(super) fn position(&self, task: &TaskId) -> Option<usize> {
        look();
        self.at.get(task).copied()
    }

    /// The tasks in that state, in the order of the plan, but for those that wait for a run.
    pub(super) fn in_state(&self, state: TaskState) -> impl Iterator<Item = usize> + '_ {
        self.by_state.get(&state).into_iter().flatten().copied().inspect(|_| look())
    }

    /// The failed tasks that count for the breaker.
    pub(super) fn failures(&self) -> impl Iterator<Item = usize> + '_ {
        self.failures.iter().copied().inspect(|_| look())
    }

    /// The tasks with a budget of their own.
    pub(super) fn with_budget(&self) -> impl Iterator<Item = usize> + '_ {
        self.budgeted.iter().copied().inspect(|_| look())
    }

    /// How many tasks are not over.
    pub(super) const fn open(&self) -> usize {
        self.open
    }

    /// Whether every task is over.
    pub(super) const fn all_over(&self) -> bool {
        self.open == 0
    }

    /// The workers of all leads.
    pub(super) fn workers(&self) -> impl Iterator<Item = usize> + '_ {
        self.workers.iter().copied().inspect(|_| look())
    }

    /// The command of `[on_finish]`.
    pub(super) const fn finish(&self) -> Option<usize> {
        self.finish
    }

    /// The tasks that may wait, or last with all of their attempts, only so long.
    pub(super) fn limited_in_time(&self) -> impl Iterator<Item = usize> + '_ {
        self.timed.iter().copied().inspect(|_| look())
    }

    /// The tasks with a live attempt.
    pub(super) fn live(&self) -> impl Iterator<Item = usize> + '_ {
        self.in_state(TaskState::Starting).chain(self.in_state(TaskState::Running))
    }

    /// The task whose live attempt this is.
    pub(super) fn of_attempt(&self, attempt: &AttemptId) -> Option<usize> {
        look();
        self.by_attempt.get(attempt).copied()
    }

    /// The tasks whose wait before the next attempt is over.
    pub(super) fn due(&self, now: Moment) -> impl Iterator<Item = usize> + '_ {
        self.due.range(..=(now, usize::MAX)).map(|(_, at)| *at).inspect(|_| look())
    }

    /// When the first of those waits ends.
    pub(super) fn next_due(&self) -> Option<Moment> {
        self.due.first().map(|(moment, _)| *moment)
    }

    /// The tasks that wait for a usage limit to pass.
    pub(super) fn limited(&self) -> impl Iterator<Item = usize> + '_ {
        self.limited.iter().copied().inspect(|_| look())
    }

    /// The first `most` of every line of queued tasks, the longest wait first.
    pub(super) fn heads(&self, most: usize) -> impl Iterator<Item = usize> + '_ {
        let firsts = move |line: &'_ BTreeSet<(Moment, usize)>| {
            line.iter().take(most).map(|(_, at)| *at).collect::<Vec<_>>()
        };
        self.lines.values().flat_map(firsts).inspect(|_| look())
    }

    /// How a circle stands.
    pub(super) fn of_circle(&self, circle: &Circle) -> Tally {
        look();
        self.tallies.get(circle).copied().unwrap_or_default()
    }

    /// The failed tasks that may end the run, because their phase says abort.
    pub(super) fn ending(&self) -> impl Iterator<Item = usize> + '_ {
        self.ending.iter().copied().inspect(|_| look())
    }

    /// The failed tasks that were optional.
    pub(super) fn spared(&self) -> impl Iterator<Item = usize> + '_ {
        self.spared.iter().copied().inspect(|_| look())
    }

    /// The tasks that have hooks, each with them.
    pub(super) fn hooks(&self) -> impl Iterator<Item = (&TaskId, &[usize])> + '_ {
        self.hooks.iter().map(|(of, hooks)| (of, hooks.as_slice())).inspect(|_| look())
    }

    /// The hooks of a task.
    pub(super) fn hooks_of(&self, of: &TaskId) -> impl Iterator<Item = usize> + '_ {
        self.hooks.get(of).into_iter().flatten().copied().inspect(|_| look())
    }

    /// Whether another task needs the output of this one.
    pub(super) fn is_read(&self, task: &TaskId) -> bool {
        self.read.contains(task)
    }

    /// The longest expected way from a task to the end of the run.
    pub(super) fn remaining_ms(&self, at: usize) -> u64 {
        self.remaining_ms[at]
    }
}

fn circle(task: &plan::Task) -> Option<Circle> {
    match &task.origin {
        None => Some(Circle::Phase(task.phase.clone())),
        Some(Origin::Item { of, .. }) => Some(Circle::Items(of.clone())),
        Some(Origin::Hook { .. } | Origin::Worker { .. } | Origin::Finish) => None,
    }
}

/// Whether the final failure of a task counts for the breaker. That of an item does where its
/// `for_each` task says nothing of failures that it bears.
fn weighs(plan: &Plan, at: &BTreeMap<TaskId, usize>, task: &plan::Task) -> bool {
    match &task.origin {
        None => !task.optional,
        Some(Origin::Item { of, .. }) => {
            let parent = at.get(of).map(|at| &plan.tasks[*at]);
            parent.is_some_and(|parent| !parent.optional && !parent.bears_failures())
        }
        Some(Origin::Worker { .. }) => true,
        Some(Origin::Hook { .. } | Origin::Finish) => false,
    }
}
