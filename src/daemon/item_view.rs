//! How a task looks as a work item: made from its run alone.

use crate::control::items::ItemView;
use crate::model::{ReportKind, TaskId, TaskState, ms};
use crate::plan::{self, Origin};
use crate::workflow::{Run, Task};

use super::now::Now;

/// How much of a description a list shows, in characters.
const DESCRIPTION_MAX: usize = 120;

/// `wf-NAME-stage-N`, counting tasks that are no hooks from 1 (feature N6); behind that the word
/// of a hook.
pub(super) fn item_id(run: &Run, task: &TaskId) -> String {
    let counts = |plan: &&plan::Task| plan.origin.as_ref().is_none_or(Origin::counts);
    let name = &run.plan.name;
    let place = run.plan.tasks.iter().filter(counts).position(|plan| plan.id == *task);
    match (place, run.plan.task(task).and_then(|plan| plan.origin.as_ref())) {
        (Some(place), _) => format!("wf-{name}-stage-{}", place + 1),
        (None, Some(Origin::Hook { of, skill, .. })) => format!("{}!{skill}", item_id(run, of)),
        (None, Some(Origin::Item { .. } | Origin::Worker { .. } | Origin::Finish) | None) => {
            format!("wf-{name}-{task}")
        }
    }
}

/// The word of the seed (ruling Z4).
const fn status(state: TaskState) -> &'static str {
    match state {
        TaskState::Blocked | TaskState::Ready | TaskState::Queued => "pending",
        TaskState::Starting | TaskState::Running | TaskState::RetryWait | TaskState::Waiting => {
            "in_progress"
        }
        TaskState::Success => "done",
        TaskState::Failed | TaskState::Timeout => "failed",
        TaskState::Skipped | TaskState::Cancelled => "skipped",
    }
}

/// A task as a work item.
pub(super) fn item(run: &Run, plan: &plan::Task, task: &Task, now: Now) -> ItemView {
    let wall = |at: crate::model::Moment| {
        now.wall_ms - i64::try_from(ms(now.moment.since(at))).unwrap_or(0)
    };
    let reports = || run.kept.reports.get(&plan.id).into_iter().flatten().map(|(_, report)| report);
    let of = |kind: ReportKind| reports().filter(|report| report.kind == kind).cloned().collect();
    let first = || plan.work.agents().first().map(|agent| agent.name.clone());
    let about = |message: &&crate::model::Message| message.from == plan.id || message.to == plan.id;
    let hook = plan.origin.as_ref().and_then(Origin::hook_of);
    ItemView {
        id: item_id(run, &plan.id),
        run: run.id.clone(),
        task: plan.id.clone(),
        workflow: run.plan.name.clone(),
        description: shorten(&plan.description.written()),
        status: status(task.state).to_owned(),
        state: task.state,
        agent: task.agent.clone().or_else(first),
        attempts: task.n,
        session_key: task.attempt.clone(),
        depends_on: plan.needs.iter().map(|need| item_id(run, &need.task)).collect(),
        hook_of: hook.map(|(of, _)| item_id(run, of)),
        worker_of: plan.worker_of().map(|lead| item_id(run, lead)),
        started_at_ms: task.started.map(wall),
        ended_at_ms: task.ended.map(wall),
        artifacts: of(ReportKind::Artifact),
        tests: of(ReportKind::Test),
        findings: of(ReportKind::Finding),
        output: task.output.as_ref().map(|output| output.value.clone()),
        error: task.error.clone().filter(|_| task.state != TaskState::Success),
        messages: run.kept.messages.iter().filter(about).cloned().collect(),
    }
}

/// The first line of a description, as far as a list shows it.
pub(super) fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= DESCRIPTION_MAX {
        return line.to_owned();
    }
    line.chars().take(DESCRIPTION_MAX - 1).chain(['…']).collect()
}
