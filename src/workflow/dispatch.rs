//! Gives free slots to queued tasks and writes their orders. Slots are counted from live tasks,
//! never held in a counter, so a crash cannot leak one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Moment, Owner, RunFact, RunId, StartReason, TaskId};
use crate::policy::Identity;

use super::order::order;
use super::{Action, Run, Workflow, failover};

/// A queued task gains one point of priority for each such span it has waited (feature J1), so
/// that nothing starves.
const AGEING: Duration = Duration::from_secs(60);

/// A task that could start now.
struct Candidate {
    run: RunId,
    task: TaskId,
    phase: String,
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

/// How many attempts of tasks live, counted afresh for each dispatch.
#[derive(Default)]
struct Live {
    all: usize,
    of_run: BTreeMap<RunId, usize>,
    of_phase: BTreeMap<(RunId, String), usize>,
    of_agent: BTreeMap<String, usize>,
}

impl Live {
    fn count<'a>(runs: impl Iterator<Item = &'a Run>) -> Self {
        let mut live = Self::default();
        for run in runs {
            for (plan, task) in run.census.live().filter_map(|at| run.at(at)) {
                live.add(&run.id, &plan.phase, task.agent.as_deref());
            }
        }
        live
    }

    fn add(&mut self, run: &RunId, phase: &str, agent: Option<&str>) {
        self.all += 1;
        *self.of_phase.entry((run.clone(), phase.to_owned())).or_default() += 1;
        *self.of_run.entry(run.clone()).or_default() += 1;
        *self.of_agent.entry(agent.unwrap_or_default().to_owned()).or_default() += 1;
    }

    fn of_run(&self, run: &RunId) -> usize {
        self.of_run.get(run).copied().unwrap_or(0)
    }

    fn of_phase(&self, run: &RunId, phase: &str) -> usize {
        self.of_phase.get(&(run.clone(), phase.to_owned())).copied().unwrap_or(0)
    }

    fn of_agent(&self, agent: &str) -> usize {
        self.of_agent.get(agent).copied().unwrap_or(0)
    }
}

impl Workflow {
    pub(super) fn dispatch(&mut self, now: Moment, out: &mut Vec<Action>) {
        let mut live = Live::count(self.runs.values());
        if live.all >= self.live_max {
            return;
        }
        for candidate in self.candidates(now, &live) {
            let Some(choice) = self.choose(now, &candidate) else { continue };
            if !self.has_room(&candidate, choice.agent.as_deref(), &live) {
                continue;
            }
            if self.start(now, &candidate.run, &candidate.task, &choice, out) {
                live.add(&candidate.run, &candidate.phase, choice.agent.as_deref());
            }
        }
    }

    /// Who is to start a candidate; none while its agents are parked.
    fn choose(&self, now: Moment, candidate: &Candidate) -> Option<Choice> {
        let run = self.runs.get(&candidate.run)?;
        let (plan, task) = (run.definition(&candidate.task)?, run.task(&candidate.task)?);
        let (index, reason) = failover::choose(now, run, plan, task, &self.parked)?;
        Some(Choice { agent: run.plan.agent_at(plan, index).map(str::to_owned), index, reason })
    }

    /// Larger priority first, then the longer way still to go, then the longer wait. Of items that
    /// wait for the same, only as many are looked at as could start.
    fn candidates(&self, now: Moment, live: &Live) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = Vec::new();
        for run in self.runs.values() {
            let free = (run.plan.max_parallel as usize).saturating_sub(live.of_run(&run.id));
            if free == 0 || !run.takes_work() {
                continue;
            }
            for at in run.census.heads(free.min(self.live_max)) {
                let Some((plan, task)) = run.at(at) else { continue };
                let queued = task.queued.unwrap_or(now);
                let aged = now.since(queued).as_secs() / AGEING.as_secs();
                found.push(Candidate {
                    run: run.id.clone(),
                    task: plan.id.clone(),
                    phase: plan.phase.clone(),
                    priority: plan.priority.saturating_add_unsigned(aged),
                    remaining_ms: run.census.remaining_ms(at),
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

    /// The limits: of the daemon, of the run, of the phase, of the agent.
    fn has_room(&self, candidate: &Candidate, agent: Option<&str>, live: &Live) -> bool {
        let run = &self.runs[&candidate.run];
        // A candidate before it may have failed and so ended its run.
        if !run.takes_work()
            || live.all >= self.live_max
            || live.of_run(&run.id) >= run.plan.max_parallel as usize
        {
            return false;
        }
        let of_phase = run.plan.phase(&candidate.phase).and_then(|phase| phase.max_parallel);
        if of_phase.is_some_and(|most| live.of_phase(&run.id, &candidate.phase) >= most as usize) {
            return false;
        }
        let Some(agent) = agent else { return true };
        let most = run.plan.agents.get(agent).and_then(|agent| agent.max_parallel);
        most.is_none_or(|most| live.of_agent(agent) < most as usize)
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
        let plan = run.definition(task).expect("candidates come from the plan");
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
