//! What people and programs are shown of what lives: views made from the state, without the
//! ledger.

use serde_json::json;

use crate::control::failover::{FailoverView, ParkedView};
use crate::control::message::PROTOCOL;
use crate::control::steer::WaitingView;
use crate::control::view::{
    AttemptView, DaemonView, InstanceView, LimitsView, PsReply, RunView, TaskView,
};
use crate::model::{
    AttemptId, AttemptRow, InstanceRow, Moment, Owner, Parking, TaskId, TaskState, ms,
};
use crate::plan;
use crate::workflow::{Run, Task, finals, is_completed};

use super::asks;
use super::cached::cached_view;
use super::engine::{Engine, Leaving};
use super::item_view::shorten;

impl Engine {
    pub(super) fn daemon_view(&self) -> DaemonView {
        DaemonView {
            pid: i32::try_from(std::process::id()).unwrap_or(0),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            started_at_ms: self.started_wall_ms,
            home: self.settings.home.state().to_owned(),
            tmux: self.tmux_view(),
            limits: Some(LimitsView { way: self.ground.describe(), whole: self.ground.is_whole() }),
            alarm: self.alarm(),
            ending: self.leaving != Leaving::No,
        }
    }

    pub(super) fn ps(&self) -> PsReply {
        let supervisor = &self.core.supervisor;
        let of_tasks = |row: &&AttemptRow| matches!(row.order.owner, Owner::Task { .. });
        PsReply {
            daemon: Some(self.daemon_view()),
            instances: supervisor.instances().map(|row| self.instance_view(row)).collect(),
            attempts: supervisor
                .attempts()
                .filter(of_tasks)
                .map(|row| self.attempt_view(row))
                .collect(),
            configuration: Some(self.configuration_view()),
            parked: supervisor.parked().map(parked_view).collect(),
            asks: asks::of_all(&self.core.workflow, self.clock.now()),
        }
    }

    /// How an instance stands with the agents that may take over.
    pub(super) fn failover_view(&self, row: &InstanceRow) -> FailoverView {
        let supervisor = &self.core.supervisor;
        let switches = supervisor.switches(row, self.clock.now());
        // What it waits for; or why its first agent does not serve.
        let first = || supervisor.parked().find(|it| row.serving.is_some() && it.agent == row.name);
        let parked = supervisor.waits_for(row).or_else(first).map(parked_view);
        FailoverView {
            serving: row.serving.clone(),
            switches: switches.map(|(used, _)| used),
            switches_max: switches.map(|(_, most)| most),
            parked,
        }
    }

    /// The same for an agent that asks: only itself.
    pub(super) fn ps_of(&self, own: Option<&AttemptId>) -> PsReply {
        let mut reply = self.ps();
        reply.asks.clear();
        reply.instances.retain(|view| own.is_some() && view.attempt.as_ref() == own);
        reply.attempts.retain(|view| Some(&view.attempt) == own);
        reply
    }

    fn instance_view(&self, row: &InstanceRow) -> InstanceView {
        let live = row.attempt.as_ref().and_then(|id| self.core.supervisor.attempt(id));
        let (state, why) = self.core.supervisor.shown(row);
        InstanceView {
            name: row.name.clone(),
            group: self.core.supervisor.group_of(&row.name).map(|group| group.name.clone()),
            state,
            desired: row.desired,
            activity: self.activity_view(row.attempt.as_ref()),
            status: self.status_of(row.attempt.as_ref()),
            ready: live.is_some_and(|attempt| self.is_ready(attempt)),
            pid: live.and_then(|attempt| attempt.process.as_ref()).map(|mark| mark.pid),
            uptime_ms: live.and_then(|attempt| self.uptime_ms(attempt)),
            restarts: row.restarts,
            run: None,
            task: None,
            attempt: row.attempt.clone(),
            window: live.and_then(|attempt| attempt.window.clone()),
            token: live.map(|attempt| attempt.order.token.as_str().to_owned()),
            health: row.attempt.as_ref().and_then(|id| self.health_mark(id)),
            outcome: row.outcome,
            why,
            stale: live.is_some_and(|attempt| self.core.supervisor.is_stale(attempt)),
            failover: self.failover_view(row),
        }
    }

    fn attempt_view(&self, row: &AttemptRow) -> AttemptView {
        let (run, task) = match &row.order.owner {
            Owner::Task { run, task } => (Some(run.clone()), Some(task.clone())),
            Owner::Instance { .. } => (None, None),
        };
        AttemptView {
            name: row.order.label.clone(),
            attempt: row.order.attempt.clone(),
            state: row.state,
            agent: row.order.agent.clone(),
            activity: self.activity_view(Some(&row.order.attempt)),
            status: self.status_of(Some(&row.order.attempt)),
            ready: self.is_ready(row),
            pid: row.process.as_ref().map(|mark| mark.pid),
            uptime_ms: self.uptime_ms(row),
            restarts: row.order.n.saturating_sub(1),
            run,
            task,
            window: row.window.clone(),
            health: self.health_mark(&row.order.attempt),
            token: row.order.token.as_str().to_owned(),
            outcome: row.end.as_ref().map(|end| end.outcome),
        }
    }

    fn uptime_ms(&self, row: &AttemptRow) -> Option<u64> {
        row.started.map(|started| ms(self.clock.now().since(started)))
    }

    /// The view of a run; what only live attempts know is added where there are any.
    pub(super) fn run_view(&self, run: &Run) -> RunView {
        let now = self.clock.now();
        let mut view = run_view(run, now, self.clock.wall_ms());
        view.steering = self.steering_view(run);
        for task in &mut view.tasks {
            let live = task.attempt.as_ref().and_then(|id| self.core.supervisor.attempt(id));
            let Some(row) = live else { continue };
            task.label = Some(row.order.label.clone());
            task.window.clone_from(&row.window);
            task.pid = row.process.as_ref().map(|mark| mark.pid);
        }
        view
    }
}

/// The view of a run with its execution context (feature F6): where it is, what came of its tasks,
/// what was said and asked.
pub(super) fn with_context(run: &Run, view: &RunView) -> serde_json::Value {
    let over = |phase: &&plan::Phase| {
        let mut tasks = run.tasks().filter(|(plan, _)| plan.phase == phase.id);
        tasks.all(|(_, task)| task.state.is_end())
    };
    let phases = run.plan.phases.iter();
    let done = phases.clone().filter(|phase| over(phase) && is_completed(run, phase));
    let done: Vec<&str> = done.map(|phase| phase.id.as_str()).collect();
    let at_work = |phase: &&plan::Phase| !over(phase);
    let outputs: serde_json::Map<String, serde_json::Value> = run
        .tasks()
        .filter_map(|(plan, task)| Some((plan.id.to_string(), task.output.as_ref()?.value.clone())))
        .collect();
    let errors: serde_json::Map<String, serde_json::Value> = run
        .tasks()
        .filter(|(_, task)| task.state != TaskState::Success)
        .filter_map(|(plan, task)| Some((plan.id.to_string(), json!(task.error.as_ref()?))))
        .collect();
    let mut shown = json!(view);
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("plan_id".to_owned(), json!(run.id));
        fields.insert("start_time".to_owned(), json!(view.started_at_ms));
        let current = phases.clone().find(at_work).map(|phase| phase.id.as_str());
        fields.insert("current_phase".to_owned(), json!(current));
        fields.insert("completed_phases".to_owned(), json!(done));
        fields.insert("task_outputs".to_owned(), outputs.into());
        fields.insert("errors".to_owned(), errors.into());
        fields.insert("messages".to_owned(), json!(run.kept.messages));
    }
    shown
}

pub(super) fn parked_view(parking: &Parking) -> ParkedView {
    let Parking { agent, until: _, until_ms, unsaid: _, why } = parking.clone();
    ParkedView { agent, until_ms, why }
}

/// The view of a run that may be over. Wall times are reckoned back from the present, because
/// moments are what the run knows.
pub(super) fn run_view(run: &Run, now: Moment, wall_ms: i64) -> RunView {
    let end = run.ended.unwrap_or(now);
    let wall = |at: Moment| wall_ms - i64::try_from(ms(now.since(at))).unwrap_or(0);
    RunView {
        run: run.id.clone(),
        name: run.plan.name.clone(),
        goal: run.plan.goal.clone(),
        state: run.state,
        why: run.why.clone(),
        outcome: run.outcome,
        root_cause: run.root_cause.clone(),
        started_at_ms: wall(run.submitted),
        elapsed_ms: ms(end.since(run.started.unwrap_or(run.submitted))),
        max_parallel: run.plan.max_parallel,
        path: run.submission.path.clone(),
        phases: run.plan.phases.iter().map(|phase| phase.id.clone()).collect(),
        tasks: run.tasks().map(|(plan, task)| task_view(run, plan, task, now, &wall)).collect(),
        finals: finals(&run.plan),
        steering: asks::steering(run, now),
    }
}

fn task_view(
    run: &Run,
    plan: &plan::Task,
    task: &Task,
    now: Moment,
    wall: &dyn Fn(Moment) -> i64,
) -> TaskView {
    let cached = cached_view(task);
    let agent = cached.as_ref().map(|it| it.agent.clone()).or_else(|| task.agent.clone());
    let agent = agent.unwrap_or_else(|| agent_of(run, &plan.id, task.agent_index));
    TaskView {
        task: plan.id.clone(),
        phase: plan.phase.clone(),
        description: shorten(&plan.description.written()),
        state: task.state,
        agent: Some(agent),
        attempt: task.attempt.clone(),
        attempts: task.n,
        attempts_counted: Some(task.counted()),
        attempts_max: attempts_max(plan, task),
        label: None,
        window: None,
        pid: None,
        error: task.error.clone().filter(|_| task.state != TaskState::Success),
        skip_reason: task.skip,
        started_at_ms: task.started.map(wall),
        elapsed_ms: task.started.map(|_| elapsed_ms(task, now)),
        expected_ms: plan.expected_ms,
        retry_in_ms: task.not_before.map(|at| ms(at.since(now))),
        needs: plan.needs.iter().map(|need| need.task.clone()).collect(),
        waiting: WaitingView {
            child: task.child.clone(),
            event: run.awaited_event(&plan.id),
            late: task.is_live()
                && task.attempt.as_ref().is_some_and(|id| run.kept.stalled.contains_key(id)),
        },
        cached,
    }
}

/// The name of the `index`th agent of a task; the word of its kind where it has none.
pub(super) fn agent_of(run: &Run, task: &TaskId, index: usize) -> String {
    let plan = run.plan.task(task);
    let agent = plan.and_then(|plan| run.plan.agent_at(plan, index));
    agent.or_else(|| Some(plan?.work.word())).unwrap_or("command").to_owned()
}

/// How many attempts that count a task may have in all. Agents that took over and that the task
/// does not name itself have its retries too.
pub(super) fn attempts_max(plan: &plan::Task, task: &Task) -> u32 {
    let agents = plan.work.agents();
    let beyond = (task.agent_index + 1).saturating_sub(agents.len().max(1));
    let beyond = u32::try_from(beyond).unwrap_or(u32::MAX);
    let own = match agents {
        [] => plan.retries + 1,
        agents => agents.iter().map(|agent| agent.retries + 1).sum(),
    };
    beyond.saturating_mul(plan.retries + 1).saturating_add(own)
}

/// From a task's first attempt to its end.
pub(super) fn elapsed_ms(task: &Task, now: Moment) -> u64 {
    task.started.map_or(0, |started| ms(task.ended.unwrap_or(now).since(started)))
}
