//! What agents of tasks say while they work: leads ask for workers and look at them, workers try
//! to and may not, some write to others or emit. Who gets no answer, because the daemon is gone,
//! asks the next one the same.

use muxvisor::daemon::Input;
use muxvisor::model::{
    AttemptId, Order, Outcome, Owner, RunFact, Spent, TaskId, TaskState, Who, WorkerWish,
};
use muxvisor::workflow::{Denial, Event, Hired, Refusal};
use serde_json::json;

use super::chance::Chance;
use super::world::{Happening, World};

/// How long a lead waits before it looks again.
const LOOKS_MS: u64 = 700;

/// Something that an agent wants of the daemon.
#[derive(Clone, Debug)]
pub(super) enum Say {
    /// A worker, by number.
    Hire(u64),
    /// A worker that has no right to one.
    HireBelow,
    /// A message.
    Send(TaskId),
    /// An event.
    Emit,
    /// A lead looks how its workers do.
    Look,
}

/// What a lead of that name does: how many workers it asks for, and whether it waits for them.
pub(super) fn team(seed: u64, task: &TaskId) -> (u64, bool) {
    let mut chance = Chance::of(seed, ("team", task.as_str()));
    (chance.within(0, 4), chance.percent(70))
}

impl World {
    /// What the agent of a task has to say, from its start on.
    pub(super) fn has_to_say(&mut self, order: &Order) {
        let Owner::Task { run, task } = &order.owner else { return };
        let Some(plan) = self.ledger.bonds.task(run, task).cloned() else { return };
        let mut chance = Chance::of(self.seed, ("says", task.as_str(), order.n));
        let mut says = Vec::new();
        if plan.lead.is_some() {
            let (workers, _) = team(self.seed, task);
            says.extend((0..workers).map(Say::Hire));
            says.push(Say::Look);
        }
        says.extend(plan.messages.iter().cloned().map(Say::Send));
        if plan.worker_of().is_some() {
            says.push(Say::HireBelow);
        }
        if order.prompt.is_some() && chance.percent(4) {
            says.push(Say::Emit);
        }
        for say in says {
            let after = chance.within(1, 300);
            self.at(after, Happening::Inside(order.attempt.clone(), say.clone()));
            // It does not trust its connection.
            if self.weather.faults && chance.percent(15) {
                self.at(after + 5, Happening::Inside(order.attempt.clone(), say));
            }
        }
    }

    pub(super) fn inside(&mut self, id: &AttemptId, say: Say) {
        let Some(shim) = self.shims.get(id).filter(|it| it.agent_lives && it.over.is_none()) else {
            return;
        };
        let order = shim.order.clone();
        if self.core.is_none() || self.stuck || self.closing || !self.is_settled() {
            return self.at(400, Happening::Inside(id.clone(), say));
        }
        let Owner::Task { run, task } = &order.owner else { return };
        let speaks = self.core().workflow.run(run).and_then(|run| run.task(task));
        if !speaks.is_some_and(|it| it.is_live() && it.attempt.as_ref() == Some(id)) {
            // Too late.
            return;
        }
        match &say {
            Say::Hire(n) => self.hires(&order, *n),
            Say::HireBelow => {
                let wish = wish(task, "alpha".to_owned(), 0, "below");
                let refused = self.core().workflow.run(run).expect("it lives").hire(task, &wish);
                assert!(matches!(refused, Err(Refusal::Depth { .. })), "{task}: {refused:?}");
            }
            Say::Send(to) => {
                let key = format!("{id}-{to}");
                let run = self.core().workflow.run(run).expect("it lives");
                let none = run.message(task, task.as_str(), "x", "k");
                assert!(matches!(none, Err(Denial::NotGranted { .. })), "{none:?}");
                let message = run.message(task, to.as_str(), "hello", &key).expect("granted");
                let facts = message.map(RunFact::Messaged).into_iter().collect();
                self.said(&order, facts);
            }
            Say::Emit => {
                let (name, dedup) = ("e1".to_owned(), Some(id.to_string()));
                let (data, by) = (json!({ "n": 1 }), Some(run.clone()));
                self.decide(Input::Workflow(Event::Emitted { name, data, dedup, by }));
                self.settle();
            }
            Say::Look => return self.lead_looks(&order),
        }
        if self.core.is_none() || self.stuck {
            // No answer came.
            self.at(400, Happening::Inside(id.clone(), say));
        } else if let Say::Hire(n) = say {
            self.answered.insert((id.clone(), n));
        }
    }

    fn said(&mut self, order: &Order, facts: Vec<RunFact>) {
        let Owner::Task { run, .. } = &order.owner else { return };
        self.decide(Input::Workflow(Event::Said { run: run.clone(), facts }));
        self.settle();
    }

    fn hires(&mut self, order: &Order, n: u64) {
        let Owner::Task { run, task } = &order.owner else { return };
        let agents = self.ledger.bonds.task(run, task).map(|it| it.work.agents().to_vec());
        let agent = agents.unwrap_or_default()[0].name.clone();
        let wish = wish(task, agent, n, order.attempt.as_str());
        match self.core().workflow.run(run).expect("it lives").hire(task, &wish) {
            Ok(Hired::New { fact, .. }) => self.said(order, vec![*fact]),
            Ok(Hired::Known(_))
            | Err(Refusal::TooMany { .. } | Refusal::Ending | Refusal::Undecided { .. }) => {}
            Err(other) => panic!("{task}: {other}"),
        }
    }

    /// A lead sees how each of its workers ended, and ends when all are over, if it is patient.
    fn lead_looks(&mut self, order: &Order) {
        let Owner::Task { run, task } = &order.owner else { return };
        let found = self.core().workflow.run(run).expect("it lives");
        let seen: Vec<(TaskId, TaskState, Option<serde_json::Value>)> = found
            .workers(task)
            .map(|(plan, it)| (plan.id.clone(), it.state, it.output.clone().map(|it| it.value)))
            .collect();
        for (worker, state, output) in &seen {
            let end = self.ledger.ends.get(&(run.clone(), worker.clone())).copied();
            assert_eq!(end.is_some(), state.is_end(), "{worker} is {state} to its lead");
            if *state == TaskState::Success {
                let text = output.as_ref().and_then(|it| it.as_str()).unwrap_or_default();
                assert!(text.starts_with(&format!("{worker} by attempt")), "{worker}: {output:?}");
            }
        }
        let (wants, patient) = team(self.seed, task);
        let id = &order.attempt;
        let asked = (0..wants).all(|n| self.answered.contains(&(id.clone(), n)));
        if patient && asked && seen.iter().all(|(_, state, _)| state.is_end()) {
            return self.at(1, Happening::AgentEnds(id.clone()));
        }
        self.at(LOOKS_MS, Happening::Inside(id.clone(), Say::Look));
    }

    /// What an attempt used, as it stands in its output.
    pub(super) fn cost(&self, order: &Order) -> Spent {
        let mut chance = Chance::of(self.seed, ("cost", order.attempt.as_str()));
        let cost_microusd = Some(chance.within(1, 300_000));
        Spent { cost_microusd, input: 10, output: 1, ..Spent::default() }
    }

    /// Every attempt that left a log was paid once, and no other.
    pub(super) fn all_is_paid(&self) {
        for (id, row) in &self.ledger.attempts {
            let Owner::Task { .. } = &row.order.owner else { continue };
            let read = self.shims.get(id).and_then(|shim| shim.over.as_ref());
            let read = read.is_some_and(|over| over.exit.is_some());
            let launched = row.end.as_ref().is_some_and(|end| end.outcome != Outcome::Lost);
            let paid = self.ledger.starts.spent.get(id).map(|(_, cost)| *cost);
            let owed = Some(self.cost(&row.order).cost_microusd.unwrap_or(0));
            let right = paid.is_none() || paid == owed;
            assert!(right, "{id} cost {owed:?}, and {paid:?} is written");
            assert!(!(read && launched) || paid.is_some(), "nobody paid {id}");
        }
    }
}

fn wish(task: &TaskId, agent: String, n: u64, by: &str) -> WorkerWish {
    WorkerWish {
        name: Some(format!("w{n}")),
        who: Who::Agent(agent),
        text: format!("A part of {task}."),
        inputs: Vec::new(),
        timeout_ms: Some(60_000),
        schema: None,
        key: format!("{by}-{n}"),
    }
}
