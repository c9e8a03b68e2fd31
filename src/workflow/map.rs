//! Fan-out: reads the list of a `for_each` task when its turn comes, gathers its items when they
//! are over, and stops what is late (features C1, C12, C15).

use std::time::Duration;

use serde_json::Value;

use super::census::Circle;
use super::still::Heeds;
use super::values::Values;
use super::{Action, Run, Workflow, gather, items};
use crate::model::{
    AttemptId, Item, Moment, RunFact, RunId, RunState, SkipReason, StopCause, TaskError, TaskId,
    TaskState,
};
use crate::plan::{self, ForEach, InputValue, Origin, resolve_input, resolve_text};

/// A circle of tasks whose time is up: of which run, which one, and since when it counted.
pub(super) type Late = (RunId, Circle, Moment);

/// What follows when a `for_each` task can start.
pub(super) fn open(run: &Run, plan: &plan::Task, for_each: &ForEach) -> Vec<RunFact> {
    let task = plan.id.clone();
    match read(run, plan, for_each) {
        Ok(items) => {
            let changed = changed(run, &task, &items);
            let mut facts: Vec<RunFact> = changed.map(|task| RunFact::TaskReset { task }).collect();
            facts.push(RunFact::TaskWaiting { task: task.clone(), run: None });
            facts.push(RunFact::TaskMapped { task, items });
            facts
        }
        Err(message) => {
            let error = TaskError::unusable(message);
            vec![RunFact::TaskFailed { task, attempt: None, error }]
        }
    }
}

/// The items that have a result for something else than what the list now holds.
fn changed<'a>(
    run: &'a Run,
    of: &'a TaskId,
    items: &'a [Item],
) -> impl Iterator<Item = TaskId> + use<'a> {
    items.iter().filter_map(move |item| {
        let id = items::id(of, &item.key);
        let Some(Origin::Item { value, .. }) = &run.definition(&id)?.origin else { return None };
        let done = run.task(&id)?.state == TaskState::Success;
        (done && *value != item.value).then_some(id)
    })
}

fn read(run: &Run, plan: &plan::Task, for_each: &ForEach) -> Result<Vec<Item>, String> {
    let over = resolve_input(&for_each.over, &Values::of(run, plan));
    let over = over.map_err(|missing| missing.to_string())?;
    let key_of = |item: &Value, index: usize| {
        let key = for_each.key.as_ref()?;
        let values = Values::on(run, item, index);
        Some(
            resolve_text(key, &values)
                .map_err(|missing| format!("`key` of item {index}: {missing}")),
        )
    };
    let named = |message: String| match &for_each.over {
        InputValue::Text(template) => format!("{message} (`{}`)", template.written()),
        InputValue::Plain(_) | InputValue::List(_) | InputValue::Table(_) => message,
    };
    items::items(for_each, over, key_of).map_err(named)
}

impl Run {
    /// The `for_each` tasks that wait for their items.
    fn waiting_maps(&self) -> impl Iterator<Item = (&plan::Task, &ForEach, Moment)> {
        self.maps.iter().filter_map(|(id, mapped)| {
            let waits = self.task(id)?.state == TaskState::Waiting;
            let plan = self.definition(id).filter(|_| waits)?;
            Some((plan, plan.for_each.as_deref()?, mapped.since))
        })
    }

    /// Whether a task waits for its items.
    pub(super) fn gathers(&self, id: &TaskId) -> bool {
        let waits = |task: &super::Task| task.state == TaskState::Waiting;
        self.maps.contains_key(id) && self.task(id).is_some_and(waits)
    }

    /// The circles with a limit in time that are not over: since when it counts, and until when.
    /// Those whose clocks stand still are left out.
    fn timed(&self) -> impl Iterator<Item = (Circle, Moment, Moment)> {
        let maps = self.waiting_maps().filter_map(|(plan, for_each, since)| {
            Some((Circle::Items(plan.id.clone()), since, for_each.gather_timeout_ms?))
        });
        // Where all the time of the task itself is up, that of its items is too.
        let ended = self.maps.iter().filter_map(|(of, mapped)| {
            let timed_out = self.task(of)?.state == TaskState::Timeout;
            timed_out.then(|| (Circle::Items(of.clone()), mapped.since, 0))
        });
        let phases = self.plan.phases.iter().filter_map(|phase| {
            let since = *self.began.get(&phase.id)?;
            Some((Circle::Phase(phase.id.clone()), since, phase.gather_timeout_ms?))
        });
        maps.chain(ended)
            .chain(phases)
            .filter(|(circle, ..)| self.census.of_circle(circle).open > 0)
            .filter_map(|(circle, since, ms)| {
                let until = self.still.due(Heeds::Wanted, since, Duration::from_millis(ms))?;
                Some((circle, since, until))
            })
    }

    /// The tasks of a circle that are not over; hooks and items of a phase's tasks among them.
    fn open_in(&self, circle: &Circle) -> Vec<(TaskId, Option<AttemptId>)> {
        let within = |plan: &plan::Task| match (circle, &plan.origin) {
            (Circle::Items(of), Some(Origin::Item { of: parent, .. })) => of == parent,
            (Circle::Items(_), _) => false,
            (Circle::Phase(phase), _) => *phase == plan.phase && !self.gathers(&plan.id),
        };
        self.tasks()
            .filter(|(plan, task)| !task.state.is_end() && within(plan))
            .map(|(plan, task)| (plan.id.clone(), task.attempt.clone().filter(|_| task.is_live())))
            .collect()
    }
}

impl Workflow {
    /// Ends the `for_each` tasks whose items are all over.
    pub(super) fn gather(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get(id).filter(|run| !run.cancelling) else { return };
        let over = run
            .waiting_maps()
            .filter(|(plan, ..)| run.census.of_circle(&Circle::Items(plan.id.clone())).open == 0);
        let facts: Vec<RunFact> =
            over.map(|(plan, for_each, _)| gather::end(run, plan, for_each)).collect();
        for fact in facts {
            self.record(now, id, fact, out);
        }
    }

    /// Has a `for_each` task gather again whose items are to be done again: they are a part of
    /// what it gives.
    pub(super) fn join_again(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get(id) else { return };
        let over = |of: &TaskId| run.task(of).is_some_and(|task| task.state.is_end());
        let begins = |of: &TaskId| {
            let open = run.census.of_circle(&Circle::Items(of.clone())).open > 0;
            open && gather::items(run, of).any(|(_, item)| item.state == TaskState::Blocked)
        };
        let again: Vec<TaskId> =
            run.maps.keys().filter(|of| over(of) && begins(of)).cloned().collect();
        for task in again {
            self.record(now, id, RunFact::TaskReset { task }, out);
        }
    }

    /// Stops what is left of circles whose time is up. What runs is told once; what would start
    /// does not.
    pub(super) fn stop_late(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get(id) else { return };
        let late: Vec<Late> = run
            .timed()
            .filter(|(_, _, until)| *until <= now)
            .map(|(circle, since, _)| (id.clone(), circle, since))
            .collect();
        for late in late {
            let open = self.runs.get(id).map(|run| run.open_in(&late.1)).unwrap_or_default();
            let first = self.late.insert(late);
            for (task, live) in open {
                match live {
                    Some(attempt) if first => {
                        out.push(Action::Stop { attempt, cause: StopCause::Cancelled });
                    }
                    Some(_) => {}
                    // A task whose run goes on is over when that is.
                    None if self.runs[id].task(&task).is_some_and(|it| it.child.is_some()) => {
                        self.end_child(now, id, &task, out);
                    }
                    None => {
                        let fact = RunFact::TaskCancelled { task, reason: SkipReason::Stopped };
                        self.record(now, id, fact, out);
                    }
                }
            }
        }
    }

    /// Whether a task belongs to a circle whose time is up, so that no attempt follows.
    pub(super) fn is_overdue(&self, run: &RunId, plan: &plan::Task) -> bool {
        self.late.iter().filter(|(of, ..)| of == run).any(|(_, circle, since)| {
            let Some(run) = self.runs.get(run) else { return false };
            match circle {
                Circle::Phase(phase) => *phase == plan.phase && run.began.get(phase) == Some(since),
                Circle::Items(of) => {
                    let counts = run.maps.get(of).is_some_and(|mapped| mapped.since == *since);
                    counts && matches!(&plan.origin, Some(Origin::Item { of: o, .. }) if o == of)
                }
            }
        })
    }

    /// When the next circle of a run is late.
    pub(super) fn next_late(&self) -> Option<Moment> {
        let works = |run: &&Run| matches!(run.state, RunState::Running | RunState::Paused);
        let runs = self.runs.values().filter(works);
        let next = |run: &Run| {
            run.timed()
                .filter(|(circle, since, _)| {
                    !self.late.contains(&(run.id.clone(), circle.clone(), *since))
                })
                .map(|(_, _, until)| until)
                .min()
        };
        runs.filter_map(next).min()
    }
}
