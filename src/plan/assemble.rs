//! Puts a plan together from a draft in which nothing is wrong: names become ids, what was not
//! said gets its default, what follows tasks becomes tasks.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::depend::Dependencies;
use super::draft::{Draft, DraftTrigger, Pattern};
use super::furnish::{self, Bench};
use super::nested::NestedPlans;
use super::read::MAX_PARALLEL;
use super::staff::Staff;
use super::surroundings::Surroundings;
use super::{DependsCause, DependsOn, Expiry, Phase, Plan, Task, Trigger, linked};
use crate::model::TaskId;

/// How many attempts run at once, unless the plan says (ruling Z2).
const USUAL_PARALLEL: u32 = 6;

/// The plan as it is run.
pub(crate) fn plan(
    draft: &Draft,
    dependencies: &Dependencies,
    staff: Staff,
    inputs: BTreeMap<String, Json>,
    nested: &NestedPlans,
    surroundings: &Surroundings<'_>,
) -> Plan {
    let bench = Bench { draft, staff: &staff, nested, demo: surroundings.demo };
    let mut tasks: Vec<Task> = (0..draft.tasks.len()).map(|at| bench.task(at)).collect();
    for wait in &dependencies.waits {
        let on = TaskId::new(draft.tasks[wait.on].id.value.clone());
        tasks[wait.node].needs.push(DependsOn { task: on, cause: wait.cause, hard: wait.hard });
    }
    let mut phases: Vec<Phase> =
        (0..draft.phases.len()).map(|at| phase(draft, at, dependencies)).collect();
    let hooks: Vec<Task> = (0..draft.tasks.len()).flat_map(|at| bench.hooks(at)).collect();
    hang(hooks, &mut tasks, &mut phases);
    if let Some(finish) = bench.finish() {
        tasks.push(after_all(finish, &tasks));
    }
    let max_parallel = surroundings.max_parallel.or(draft.max_parallel).unwrap_or(USUAL_PARALLEL);
    Plan {
        schema: 1,
        name: draft.name.clone(),
        goal: draft.goal.clone(),
        pattern: match &draft.pattern {
            None if draft.staged => Some(Pattern::Pipeline.word().to_owned()),
            written => written.as_ref().map(|pattern| pattern.value.word().to_owned()),
        },
        max_parallel: max_parallel.clamp(1, MAX_PARALLEL),
        approval: draft.approval,
        approval_expiry: draft
            .approval_expires_ms
            .map(|after_ms| Expiry { after_ms, then: "reject".to_owned() }),
        phases,
        tasks,
        agents: staff.agents,
        inputs,
        stop_after_failures: draft.stop_after_failures,
        budget: draft.budget.as_ref().map(|budget| budget.value.clone()),
        limits: draft.limits.clone(),
        on: draft.triggers.iter().filter_map(|it| trigger(draft, it, nested)).collect(),
    }
}

fn phase(draft: &Draft, at: usize, dependencies: &Dependencies) -> Phase {
    let phase = &draft.phases[at];
    let id = |at: &usize| draft.phases[*at].id.value.clone();
    let task = |at: usize| TaskId::new(draft.tasks[at].id.value.clone());
    Phase {
        id: phase.id.value.clone(),
        mode: draft.mode(at),
        depends_on: dependencies.phases[at].iter().map(id).collect(),
        on_partial_failure: phase.on_partial_failure,
        tasks: phase.tasks.clone().map(task).collect(),
        when: phase.when.as_ref().and_then(|when| linked::condition(draft, when)),
        min_success: phase.min_success.as_ref().map(|least| least.value),
        gather_timeout_ms: phase.gather_timeout_ms,
        max_parallel: phase.max_parallel,
    }
}

fn trigger(draft: &Draft, trigger: &DraftTrigger, nested: &NestedPlans) -> Option<Trigger> {
    Some(Trigger {
        event: trigger.event.clone(),
        when: trigger.when.as_ref().and_then(|when| linked::condition(draft, when)),
        start: furnish::sub_plan(draft, &trigger.start, nested)?,
    })
}

/// Puts hooks behind their tasks. Whoever needs the task needs the hook too: it must have
/// succeeded if it blocks, and else only be over.
fn hang(hooks: Vec<Task>, tasks: &mut Vec<Task>, phases: &mut [Phase]) {
    for hook in hooks {
        let Some((of, blocks)) = hook.origin.as_ref().and_then(super::Origin::hook_of) else {
            continue;
        };
        let of = of.clone();
        for reader in tasks.iter_mut().filter(|task| task.origin.is_none()) {
            let need = reader.needs.iter().find(|need| need.task == of).cloned();
            if let Some(need) = need {
                let hard = blocks && need.hard;
                reader.needs.push(DependsOn { task: hook.id.clone(), hard, ..need });
            }
        }
        if let Some(phase) = phases.iter_mut().find(|phase| phase.id == hook.phase) {
            phase.tasks.push(hook.id.clone());
        }
        tasks.push(hook);
    }
}

/// What comes after everything waits for everything, however it ended.
fn after_all(finish: Task, tasks: &[Task]) -> Task {
    let need =
        |task: &Task| DependsOn { task: task.id.clone(), cause: DependsCause::Phase, hard: false };
    Task { needs: tasks.iter().map(need).collect(), ..finish }
}
