//! Gives free slots to queued tasks and writes their orders. Slots are counted from live tasks,
//! never held in a counter, so a crash cannot leak one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Moment, Owner, RunFact, RunId, RunState, StartReason, TaskId, TaskState};
use crate::plan;
use crate::policy::Identity;

use super::order::order;
use super::slots::Live;
use super::{Action, Run, Workflow, failover};

/// A queued task gains one point of priority for each such span it has waited (feature J1), so
/// that nothing starves.
const AGEING: Duration = Duration::from_secs(60);

/// A task that could start now.
struct Candidate {
    run: RunId,
    task: TaskId,
    priority: i64,
    remaining_ms: u64,
    queued: Moment,
}

/// Who is to start a task.
struct Choice {
    /// The agent's name; none for a task without agent.
    agent: Option<String>,
    /// Its place in the roster.
    index: usize,
    /// Why it is started.
    reason: StartReason,
}

impl Workflow {
    pub(super) fn dispatch(&mut self, now: Moment, out: &mut Vec<Action>) {
        let mut live = Live::count(self.runs.values());
        for candidate in self.candidates(now) {
            let Some(choice) = self.choose(now, &candidate) else { continue };
            if !self.has_room(&candidate, choice.agent.as_deref(), &live) {
                continue;
            }
            if self.start(now, &candidate.run, &candidate.task, &choice, out) {
                let agent = choice.agent.as_deref();
                live.add(&candidate.run, agent);
            }
        }
    }

    /// Who is to start a candidate; none while its agents are parked.
    fn choose(&self, now: Moment, candidate: &Candidate) -> Option<Choice> {
        let run = self.runs.get(&candidate.run)?;
        let (plan, task) = (run.plan.task(&candidate.task)?, run.task(&candidate.task)?);
        let (index, reason) = failover::choose(now, run, plan, task, &self.parked)?;
        Some(Choice { agent: run.plan.agent_at(plan, index).map(str::to_owned), index, reason })
    }

    /// Larger priority first, then the longer way still to go, then the longer wait.
    fn candidates(&self, now: Moment) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = Vec::new();
        for run in self.runs.values() {
            if run.state != RunState::Running {
                continue;
            }
            let remaining = remaining_ms(run);
            for (plan, task) in run.tasks() {
                if task.state != TaskState::Queued || !run.may_start(plan) {
                    continue;
                }
                let queued = task.queued.unwrap_or(now);
                let aged = now.since(queued).as_secs() / AGEING.as_secs();
                found.push(Candidate {
                    run: run.id.clone(),
                    task: plan.id.clone(),
                    priority: plan.priority.saturating_add_unsigned(aged),
                    remaining_ms: remaining[&plan.id],
                    queued,
                });
            }
        }
        found.sort_by(|a, b| {
            (b.priority, b.remaining_ms)
                .cmp(&(a.priority, a.remaining_ms))
                .then(a.queued.cmp(&b.queued))
        });
        found
    }

    /// The three limits: of the daemon, of the run, of the agent.
    fn has_room(&self, candidate: &Candidate, agent: Option<&str>, live: &Live) -> bool {
        let run = &self.runs[&candidate.run];
        let for_worker =
            run.plan.task(&candidate.task).is_some_and(|plan| plan.worker_of().is_some());
        // A candidate before it may have failed and so ended its run.
        if !run.plan.task(&candidate.task).is_some_and(|plan| run.may_start(plan))
            || live.all(for_worker) >= self.live_max
            || live.of_run(&run.id, for_worker) >= run.plan.max_parallel as usize
        {
            return false;
        }
        let Some(agent) = agent else { return true };
        let most = run.plan.agents.get(agent).and_then(|agent| agent.max_parallel);
        most.is_none_or(|most| live.of_agent(agent, for_worker) < most as usize)
    }

    /// Orders an attempt; false when the task failed instead, because what it needs is not there.
    fn start(
        &mut self,
        now: Moment,
        id: &RunId,
        task: &TaskId,
        choice: &Choice,
        out: &mut Vec<Action>,
    ) -> bool {
        let run = &self.runs[id];
        let plan = run.plan.task(task).expect("candidates come from the plan");
        let state = run.task(task).expect("candidates come from the run");
        let owner = Owner::Task { run: id.clone(), task: task.clone() };
        let identity = Identity::mint(&mut self.mint, owner, state.n + 1, choice.reason);
        let order = match order(run, plan, choice.index, identity) {
            Ok(order) => order,
            Err(error) => {
                self.fail_before_start(now, id, task.clone(), error, out);
                return false;
            }
        };
        let fact = RunFact::TaskStarting {
            task: task.clone(),
            attempt: order.attempt.clone(),
            n: order.n,
            agent: order.agent.clone(),
            agent_index: choice.index,
            reason: order.reason,
        };
        self.record(now, id, fact, out);
        out.push(Action::Order(Box::new(order)));
        true
    }
}

/// The longest expected way from each task to the end of its run.
fn remaining_ms(run: &Run) -> BTreeMap<TaskId, u64> {
    let mut readers: BTreeMap<&TaskId, Vec<&plan::Task>> = BTreeMap::new();
    for reader in &run.plan.tasks {
        for need in &reader.needs {
            readers.entry(&need.task).or_default().push(reader);
        }
    }
    let mut known = BTreeMap::new();
    for task in &run.plan.tasks {
        walk(task, &readers, &mut known);
    }
    known
}

fn walk(
    task: &plan::Task,
    readers: &BTreeMap<&TaskId, Vec<&plan::Task>>,
    known: &mut BTreeMap<TaskId, u64>,
) -> u64 {
    if let Some(ms) = known.get(&task.id) {
        return *ms;
    }
    let beyond = readers.get(&task.id).into_iter().flatten();
    let beyond = beyond.map(|reader| walk(reader, readers, known)).max().unwrap_or(0);
    let ms = task.expected_ms.unwrap_or(1).saturating_add(beyond);
    known.insert(task.id.clone(), ms);
    ms
}
