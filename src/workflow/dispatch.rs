//! Gives free slots to queued tasks and writes their orders. All tasks of all runs wait in one
//! queue, so no slot is left empty while a task could have it (feature J2), and all that can start
//! in one turn are recorded in one commit (features F9, J3).

use std::time::Duration;

use crate::model::{Fact, Moment, Owner, RunFact, RunId, RunState, TaskId, TaskState};
use crate::policy::Identity;

use super::choose::{Choice, Nobody, Staff};
use super::order::order;
use super::pools;
use super::slots::Slots;
use super::{Action, Workflow, settle};

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

impl Workflow {
    pub(super) fn dispatch(&mut self, now: Moment, out: &mut Vec<Action>) {
        self.wake = None;
        self.look_at_budgets(now, out);
        let mut slots = Slots::count(self.runs.values());
        for candidate in self.candidates(now, &slots) {
            // One that cannot start holds up nobody behind it.
            let choice = match self.may_start(now, &candidate, &slots) {
                Ok(choice) => choice,
                Err(Nobody::Waits) => {
                    // It may wait for an agent that could not be started.
                    self.wake_at(self.standings.next(now));
                    continue;
                }
                Err(Nobody::Until(at)) => {
                    self.wake_at(Some(at));
                    continue;
                }
            };
            if self.start(now, &candidate.run, &candidate.task, &choice, out) {
                let plan = self.runs[&candidate.run].definition(&candidate.task);
                let plan = plan.expect("candidates come from the plan");
                slots.add(&candidate.run, plan, choice.agent.as_deref());
            }
        }
    }

    fn wake_at(&mut self, at: Option<Moment>) {
        self.wake = [self.wake, at].into_iter().flatten().min();
    }

    /// Who is to start a candidate, if there is room for it: in the daemon, the run, the phase, the
    /// pools, and with an agent that can be started.
    fn may_start(
        &self,
        now: Moment,
        candidate: &Candidate,
        slots: &Slots,
    ) -> Result<Choice, Nobody> {
        let run = &self.runs[&candidate.run];
        let (Some(plan), Some(task)) = (run.definition(&candidate.task), run.task(&candidate.task))
        else {
            return Err(Nobody::Waits);
        };
        // A candidate before it may have failed and so ended its run.
        let live = slots.seen_by(plan);
        let room = live.all < self.live_max && live.run_has_room(run, &plan.phase);
        if !run.may_start(plan) || task.state != TaskState::Queued || !room {
            return Err(Nobody::Waits);
        }
        let (parked, standings, starts) = (&self.parked, &self.standings, &self.starts);
        let staff = Staff { now, live, parked, standings, starts };
        staff.pools_have_room(run, plan, &pools::sizes(self.runs.values()))?;
        staff.choose(run, plan, task)
    }

    /// Larger priority first, then the longer way still to go, then the longer wait. Of items that
    /// wait for the same, only as many are looked at as could start.
    fn candidates(&self, now: Moment, slots: &Slots) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = Vec::new();
        for run in self.runs.values() {
            let free = slots.free(run);
            if free == 0 || run.state != RunState::Running {
                continue;
            }
            for at in run.census.heads(free.min(self.live_max)) {
                let Some((plan, task)) = run.at(at) else { continue };
                if !run.may_start(plan) {
                    continue;
                }
                let queued = task.queued.unwrap_or(now);
                let aged = now.since(queued).as_secs() / AGEING.as_secs();
                found.push(Candidate {
                    run: run.id.clone(),
                    task: plan.id.clone(),
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

    /// Orders an attempt; false when there is none to be, because what it needs is not there: that
    /// is done again since the task was queued, so that it waits for it once more, or it cannot be
    /// given to it, which fails the task.
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
        if !plan.is_last() && !settle::is_ready(run, plan) {
            self.record(now, id, RunFact::TaskReset { task: task.clone() }, out);
            return false;
        }
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
        if let Some(text) = &choice.because {
            let about = order.attempt.to_string();
            out.push(Action::Record(Fact::Noted { about, text: text.clone() }));
        }
        self.starts.add(now, &order.agent, plan.uses.keys().cloned());
        self.record(now, id, fact, out);
        out.push(Action::Order(Box::new(order)));
        true
    }
}
