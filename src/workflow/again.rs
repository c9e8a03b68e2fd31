//! Doing work again, in place: what failed and what was skipped because of it, or what a person
//! names; in runs that go on and in runs that are over (features K12, K17). Attempts are counted
//! on, results of everything else stay. An edited plan is taken up the same way: what it leaves as
//! it was keeps its result.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{RunId, SkipReason, TaskId, TaskState};
use crate::plan::{self, Origin, Plan};

use super::run::Run;
use super::stale::unseen;
use super::task::Task;

/// Why something cannot be done again, as a person is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAgain {
    /// There is no such task.
    #[error("{run} has no task `{task}`")]
    NoTask {
        /// The run.
        run: RunId,
        /// What was named.
        task: String,
    },
    /// An attempt of it lives.
    #[error(
        "`{0}` is at work just now; wait for its end, or `muxvisor pause --stop` the run first"
    )]
    Lives(TaskId),
    /// It is not over yet.
    #[error("`{0}` is not over yet: it will be done anyway")]
    NotOver(TaskId),
    /// The run is about to end.
    #[error("{0} is about to end; wait for that, then do it again")]
    Ends(RunId),
    /// What it needs was not done, so that it would be skipped again.
    #[error(
        "`{task}` needs `{by}`, which is {state}: it would be skipped again. Do both: \
         `muxvisor retry {run} --task {by} --with-downstream`"
    )]
    Hindered {
        /// The run.
        run: RunId,
        /// What was named.
        task: TaskId,
        /// What hinders it and is not hindered itself.
        by: TaskId,
        /// How that stands.
        state: TaskState,
    },
    /// Nothing failed.
    #[error("nothing of it failed or was skipped; name what is to be done again with `--task`")]
    Nothing,
}

/// Everything that has not come out as it should: what did not succeed, and what has a gap within,
/// which is a plan inside of a plan or a reader that was made without something.
pub(super) fn what_failed(run: &Run, asked: bool) -> Vec<TaskId> {
    let mut roots = not_done(run, asked);
    let gappy = run.tasks().filter(|(plan, task)| !unseen(run, plan, task).is_empty());
    roots.extend(gappy.map(|(plan, _)| plan.id.clone()));
    with_kin(run, roots, false)
}

/// Everything that did not succeed: what failed, what was skipped because of it, what was stopped.
/// A task whose own condition was false stays out, unless it depends on what is done again, and so
/// does a worker whose lead succeeded without it, unless a person is `asked` about failures.
fn not_done(run: &Run, asked: bool) -> BTreeSet<TaskId> {
    let succeeded =
        |lead: &TaskId| run.task(lead).is_some_and(|task| task.state == TaskState::Success);
    let wanted = |(plan, task): (&plan::Task, &Task)| {
        let cancelled = task.state == TaskState::Cancelled;
        if plan.worker_of().is_some_and(succeeded) && (!asked || cancelled) {
            return None;
        }
        let failed = match task.state {
            TaskState::Failed | TaskState::Timeout | TaskState::Cancelled => true,
            TaskState::Skipped => task.skip != Some(SkipReason::WhenFalse),
            TaskState::Success
            | TaskState::Blocked
            | TaskState::Ready
            | TaskState::Queued
            | TaskState::Starting
            | TaskState::Running
            | TaskState::RetryWait
            | TaskState::Waiting => false,
        };
        failed.then(|| plan.id.clone())
    };
    run.tasks().filter(|(plan, _)| !plan.is_last()).filter_map(wanted).collect()
}

/// What a person wants done again: a task, or everything that did not succeed.
///
/// # Errors
/// When the name means nothing, or an attempt of what is named lives.
pub fn what_again(
    run: &Run,
    named: Option<&str>,
    with_downstream: bool,
) -> Result<Vec<TaskId>, NotAgain> {
    still_works(run)?;
    let tasks = match named {
        None => {
            let failed: BTreeSet<TaskId> =
                what_failed(run, run.asks_about_failures()).into_iter().collect();
            with_kin(run, failed, with_downstream)
        }
        Some(name) => {
            let id = TaskId::new(name);
            let task = run
                .task(&id)
                .ok_or_else(|| NotAgain::NoTask { run: run.id.clone(), task: name.to_owned() })?;
            if task.is_live() {
                return Err(NotAgain::Lives(id));
            }
            if !task.state.is_end() {
                return Err(NotAgain::NotOver(id));
            }
            if let Some((by, state)) = hindrance(run, &id) {
                return Err(NotAgain::Hindered { run: run.id.clone(), task: id, by, state });
            }
            with_kin(run, BTreeSet::from([id]), with_downstream)
        }
    };
    if let Some(lives) = tasks.iter().find(|id| run.task(id).is_some_and(Task::is_live)) {
        return Err(NotAgain::Lives(lives.clone()));
    }
    if tasks.is_empty() { Err(NotAgain::Nothing) } else { Ok(tasks) }
}

/// The first on the way to a task without which it would be skipped again, and how that stands.
fn hindrance(run: &Run, id: &TaskId) -> Option<(TaskId, TaskState)> {
    let needs = run.definition(id)?.needs.iter().filter(|need| need.hard);
    let over = needs.filter_map(|need| Some((&need.task, run.task(&need.task)?.state)));
    let mut missing = over.filter(|(_, state)| state.is_end() && *state != TaskState::Success);
    let (by, state) = missing.next()?;
    hindrance(run, by).or_else(|| Some((by.clone(), state)))
}

/// The tasks and what has to be done again with them: what was skipped because of them, or with
/// `downstream` everything that depends on them; their hooks; for an item its `for_each` task, for
/// a `for_each` task its items that did not succeed (all, when it is named and succeeded itself:
/// one that follows another reads its list again, and does what is new in it); for a worker its
/// lead, if that is over, since nobody else takes what it gives; and the last command. In the order
/// of the plan; only what is over.
fn with_kin(run: &Run, roots: BTreeSet<TaskId>, downstream: bool) -> Vec<TaskId> {
    if roots.is_empty() {
        return Vec::new();
    }
    let (named, mut found) = (roots.clone(), roots);
    loop {
        let all = |plan: &plan::Task| plan.origin.as_ref().is_some_and(|it| is_item_of(it, &named));
        let more: Vec<TaskId> = run
            .tasks()
            .filter(|(plan, task)| {
                !found.contains(&plan.id) && follows(run, plan, task, &found, downstream, all(plan))
            })
            .map(|(plan, _)| plan.id.clone())
            .collect();
        if more.is_empty() {
            break;
        }
        found.extend(more);
    }
    let over = |task: &Task| task.state.is_end() || (downstream && task.is_live());
    let all = run
        .tasks()
        .filter(|(plan, task)| over(task) && (found.contains(&plan.id) || plan.is_last()));
    all.map(|(plan, _)| plan.id.clone()).collect()
}

fn follows(
    run: &Run,
    plan: &plan::Task,
    task: &Task,
    found: &BTreeSet<TaskId>,
    downstream: bool,
    of_named: bool,
) -> bool {
    let is_root = |id: &TaskId| found.contains(id);
    let parent_done =
        |of: &TaskId| run.task(of).is_some_and(|parent| parent.state == TaskState::Success);
    let of_kin = match &plan.origin {
        Some(Origin::Item { of, .. }) => {
            is_root(of)
                && (task.state != TaskState::Success
                    || of_named && parent_done(of) && !has_item(run, of, found))
        }
        // Hooks before it are waited for, and nothing of them is read.
        Some(Origin::Hook { of, .. }) => return is_root(of),
        Some(Origin::Worker { of }) => is_root(of) && downstream,
        Some(Origin::Finish) | None => false,
    };
    let skipped = task.state == TaskState::Skipped && task.skip != Some(SkipReason::Optional);
    let reads = (downstream || skipped) && plan.needs.iter().any(|need| is_root(&need.task));
    let of_item = plan.for_each.is_some() && has_item(run, &plan.id, found);
    let of_worker = plan.lead.is_some() && task.state.is_end() && has_worker(run, &plan.id, found);
    of_kin || reads || of_item || of_worker
}

fn has_worker(run: &Run, lead: &TaskId, found: &BTreeSet<TaskId>) -> bool {
    run.workers(lead).any(|(worker, _)| found.contains(&worker.id))
}

/// Whether it is an item of one of these tasks.
fn is_item_of(origin: &Origin, tasks: &BTreeSet<TaskId>) -> bool {
    matches!(origin, Origin::Item { of, .. } if tasks.contains(of))
}

fn has_item(run: &Run, parent: &TaskId, found: &BTreeSet<TaskId>) -> bool {
    let items = run.plan.tasks.iter().filter(|plan| found.contains(&plan.id));
    items
        .into_iter()
        .any(|plan| matches!(&plan.origin, Some(Origin::Item { of, .. }) if of == parent))
}

/// What is being ended is not begun again before it is over.
fn still_works(run: &Run) -> Result<(), NotAgain> {
    let ends = !run.state.is_end() && (run.cancelling || run.closing);
    if ends { Err(NotAgain::Ends(run.id.clone())) } else { Ok(()) }
}

/// An edited plan, made ready to take the place of the one that a run has.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The plan, with the items and workers of what stays as it was.
    pub plan: Plan,
    /// What is to be done again: what failed, what changed, and what depends on that.
    pub again: Vec<TaskId>,
}

/// Compares an edited plan with that of a run.
///
/// # Errors
/// When something that it changes or takes away is at work.
pub fn edit(run: &Run, mut plan: Plan) -> Result<Edit, NotAgain> {
    still_works(run)?;
    let old: BTreeMap<&TaskId, &plan::Task> =
        run.plan.tasks.iter().map(|task| (&task.id, task)).collect();
    let same = |task: &plan::Task| old.get(&task.id).is_some_and(|old| **old == *task);
    let stays: BTreeSet<TaskId> =
        plan.tasks.iter().filter(|task| same(task)).map(|task| task.id.clone()).collect();
    for task in &run.plan.tasks {
        let made_of = match &task.origin {
            Some(Origin::Item { of, .. } | Origin::Worker { of }) => of,
            Some(Origin::Hook { .. } | Origin::Finish) | None => continue,
        };
        if stays.contains(made_of) {
            if let Some(phase) = plan.phases.iter_mut().find(|phase| phase.id == task.phase) {
                phase.tasks.push(task.id.clone());
            }
            plan.tasks.push(task.clone());
        }
    }
    let changed = |id: &TaskId| !plan.task(id).is_some_and(&same);
    // The run of a task that waits for it is at work too, and nobody would take its result.
    let at_work =
        |task: &Task| task.is_live() || task.state == TaskState::Waiting && task.child.is_some();
    let lives = run.tasks().find(|(old, task)| at_work(task) && changed(&old.id));
    if let Some((lives, _)) = lives {
        return Err(NotAgain::Lives(lives.id.clone()));
    }
    let over = |id: &TaskId| run.task(id).is_some_and(|task| task.state.is_end());
    let again = plan.tasks.iter().map(|task| task.id.clone());
    let wanted: BTreeSet<TaskId> = with_kin(run, not_done(run, false), false).into_iter().collect();
    let again =
        again.filter(|id| over(id) && is_again(run, &plan, &wanted, &changed, id)).collect();
    Ok(Edit { plan, again })
}

/// Whether a task of an edited plan is to be done again: it failed, it changed, or something that
/// it needs does or is new.
fn is_again(
    run: &Run,
    plan: &Plan,
    failed: &BTreeSet<TaskId>,
    changed: &dyn Fn(&TaskId) -> bool,
    id: &TaskId,
) -> bool {
    let mut seen = BTreeSet::new();
    let mut way = vec![id];
    while let Some(id) = way.pop() {
        if failed.contains(id) || changed(id) || run.task(id).is_none() {
            return true;
        }
        let Some(task) = plan.task(id).filter(|_| seen.insert(id)) else { continue };
        match &task.origin {
            // Hooks before it are waited for, and nothing of them is read.
            Some(Origin::Hook { of, .. }) => way.push(of),
            _ => way.extend(task.needs.iter().map(|need| &need.task)),
        }
    }
    plan.task(id).is_some_and(plan::Task::is_last)
}
