//! Decides what becomes of runs, phases and tasks. Takes events and a moment, returns actions.
//!
//! Deterministic: no clock, no IO, no async, no logging; randomness comes from a seeded mint. It
//! orders attempts and hears how they ended; who runs them, and where, it does not know (design
//! §14). Runs are logged: [`Workflow::replay`] replays their facts through [`Run::apply`].

mod again;
mod asking;
mod attempts;
mod begin;
mod breaker;
mod budget;
mod cache;
mod census;
mod choose;
mod clocks;
mod conditions;
mod dispatch;
mod event;
mod events;
mod failover;
mod fold;
mod gather;
mod gauge;
mod handing;
mod hooks;
mod items;
mod kept;
mod layout;
mod looks;
mod map;
mod mapped;
mod moves;
mod order;
mod outcome;
mod pause;
mod pools;
mod prompt;
mod reduce;
mod results;
mod retry;
mod run;
mod seats;
mod settle;
mod slots;
mod spawn;
mod stale;
mod standing;
mod still;
mod stopping;
mod sub_plan;
mod taking_up;
mod talk;
mod task;
#[cfg(test)]
mod tests;
mod tools;
mod usage;
mod values;
mod work_key;

use std::collections::{BTreeMap, BTreeSet};

pub use again::{Edit, NotAgain, edit, what_again};
pub use event::{Action, Event};
pub use kept::{Kept, Question};
pub use results::{document, finals, is_completed};
pub use run::{IllegalFact, Run};
pub use spawn::{Hired, Refusal};
pub use stale::{Stale, left_behind};
pub use standing::{PastAttempt, Standing};
pub use talk::{Denial, TIER_MAX};
pub use task::Task;

use crate::model::ask::{APPROVE, PLAN, REJECT};
use crate::model::{
    AttemptId, Fact, Mint, Moment, RunFact, RunId, RunState, Signal, Submission, TaskId, TaskState,
};
use crate::plan::Approval;
use attempts::Report;

/// All runs that have not ended.
#[derive(Clone, Debug)]
pub struct Workflow {
    runs: BTreeMap<RunId, Run>,
    mint: Mint,
    /// How many attempts of tasks may be live at once, over all runs.
    live_max: usize,
    /// Runs whose live attempts were already told to stop because the plan says abort. Lost with
    /// the daemon, which then tells them once more.
    stopping: BTreeSet<RunId>,
    /// Circles of tasks whose time is up. Lost with the daemon, which finds them late again.
    late: BTreeSet<map::Late>,
    /// Agents that wait for a usage limit to pass; the supervisor says so.
    parked: failover::Parked,
    /// Attempts of workers that were told to stop because their lead is over. Lost with the
    /// daemon, which then tells them once more.
    released: BTreeSet<AttemptId>,
    /// Events that nobody has taken, and those whose keys are remembered, by number.
    signals: BTreeMap<u64, Signal>,
    /// The number of the last event.
    last_signal: u64,
    /// The tasks for which a run was asked for that is not there yet.
    asked_for: BTreeSet<(RunId, TaskId)>,
    /// Attempts that were told to stop because their task is out of time. Lost with the daemon,
    /// which then tells them once more.
    told: BTreeSet<AttemptId>,
    /// How agents do.
    standings: standing::Standings,
    /// What was started when, for rates.
    starts: pools::Starts,
    /// When a rate has room again that a task waits for.
    wake: Option<Moment>,
    /// What runs learned, by the name of their plan.
    lessons: BTreeMap<String, String>,
    /// What is asked about kept results, and what is answered.
    lookups: cache::Lookups,
    /// Budgets that were told to be used up, by run and task. Lost with the daemon, which then
    /// tells once more.
    warned: BTreeSet<(RunId, Option<TaskId>)>,
    /// Agents whose use a budget does not count, which was told of their runs. Lost likewise.
    mute: BTreeSet<(RunId, String)>,
}

/// A run that cannot be taken up again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("run {run} cannot be taken up again: {why}")]
pub struct Unreadable {
    /// Which.
    pub run: RunId,
    /// Why.
    pub why: String,
}

impl Workflow {
    /// A workflow without runs.
    pub fn new(live_max: usize, mint: Mint) -> Self {
        Self {
            runs: BTreeMap::new(),
            mint,
            live_max,
            stopping: BTreeSet::new(),
            late: BTreeSet::new(),
            parked: BTreeMap::new(),
            released: BTreeSet::new(),
            lessons: BTreeMap::new(),
            signals: BTreeMap::new(),
            last_signal: 0,
            asked_for: BTreeSet::new(),
            told: BTreeSet::new(),
            standings: standing::Standings::default(),
            starts: pools::Starts::default(),
            wake: None,
            lookups: cache::Lookups::default(),
            warned: BTreeSet::new(),
            mute: BTreeSet::new(),
        }
    }

    /// How many attempts of tasks may be live at once, from now on. What lives goes on; the next
    /// event starts what has room.
    pub fn limit(&mut self, live_max: usize) {
        self.live_max = live_max;
    }

    /// Rebuilds a run from its facts, in order.
    ///
    /// # Errors
    /// When the facts do not fit the plan or each other.
    pub fn replay(run: &RunId, facts: &[(Moment, RunFact)]) -> Result<Run, Unreadable> {
        let unreadable = |why: String| Unreadable { run: run.clone(), why };
        let Some(((at, RunFact::Submitted(submission)), rest)) = facts.split_first() else {
            return Err(unreadable("its first fact is not its submission".to_owned()));
        };
        let mut found = Run::submitted(*at, (**submission).clone())
            .map_err(|error| unreadable(format!("its plan cannot be read: {error}")))?;
        for (at, fact) in rest {
            found.apply(*at, fact).map_err(|illegal| unreadable(illegal.to_string()))?;
        }
        Ok(found)
    }

    /// Takes up a run that an earlier daemon left.
    pub fn adopt(&mut self, mut run: Run) {
        run.lessons = self.lessons.get(&run.plan.name).cloned();
        self.runs.insert(run.id.clone(), run);
    }

    /// Remembers attempts that an earlier daemon made, the oldest first: how agents do, and what
    /// rates have counted, outlives a restart.
    pub fn remember(&mut self, past: &[PastAttempt]) {
        for attempt in past {
            self.starts.add(attempt.started, &attempt.agent, attempt.pools.iter().cloned());
            if let Some((at, outcome)) = attempt.ended {
                self.standings.ended(at, &attempt.agent, outcome);
            }
        }
    }

    /// How an agent does.
    pub fn standing(&self, agent: &str) -> Standing {
        self.standings.of(agent)
    }

    /// How many tasks wait for a slot of that agent, or of one that does equally well.
    pub fn waiting_for(&self, agent: &str) -> usize {
        let waits = |run: &Run| {
            let queued = run.census.in_state(TaskState::Queued).filter_map(|at| run.at(at));
            queued.filter(|(plan, task)| run.may_be_given(plan, task, agent)).count()
        };
        self.runs.values().map(waits).sum()
    }

    /// Has the prompts of a plan's later attempts tell what its runs learned (feature N11).
    pub fn teach(&mut self, plan: &str, lessons: &str) {
        let lessons = Some(lessons.trim().to_owned()).filter(|text| !text.is_empty());
        for run in self.runs.values_mut().filter(|run| run.plan.name == plan) {
            run.lessons.clone_from(&lessons);
        }
        match lessons {
            Some(lessons) => self.lessons.insert(plan.to_owned(), lessons),
            None => self.lessons.remove(plan),
        };
    }

    /// Takes one event and says what to do about it.
    pub fn handle(&mut self, now: Moment, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        match event {
            Event::Submitted(submission) => self.submitted(now, *submission, &mut out),
            Event::Approved { run, yes } => self.approved(now, &run, yes, &mut out),
            Event::Answered { run, ask, answer, by } => {
                self.answer(now, &run, &ask, &answer, &by, &mut out);
            }
            Event::PauseAsked { run, stop } => self.pause(now, &run, stop, false, &mut out),
            Event::ResumeAsked { run } => self.resume(now, &run, &mut out),
            Event::AgainAsked { run, tasks } => self.do_again(now, &run, &tasks, &mut out),
            Event::Adjusted { run, text, edit } => self.adjust(now, &run, text, &edit, &mut out),
            Event::Emitted { name, data, dedup, by } => {
                let by = by.and_then(|by| self.runs.get(&by));
                self.emit(name, data, dedup, by.map_or(0, Run::depth), &mut out);
            }
            Event::SubmitFailed { parent, why } => {
                self.child_refused(now, &parent, why, &mut out);
            }
            Event::CancelAsked { run } => self.cancel(now, &run, &mut out),
            Event::Closing => self.cancel_all(now, &mut out),
            Event::AttemptRunning { run, attempt } => {
                self.attempt_running(now, &run, &attempt, &mut out);
            }
            Event::AttemptEnded { run, attempt, end, then, value, tail, log } => {
                let report = Report { attempt, end, then, value, tail, log };
                self.attempt_ended(now, &run, report, &mut out);
            }
            Event::AttemptSpent { run, attempt, spent, prices } => {
                self.attempt_spent(now, &run, &attempt, &spent, &prices, &mut out);
            }
            Event::Said { run, facts } => self.said(now, &run, facts, &mut out),
            Event::AgentParked { agent, until } => {
                self.parked.insert(agent, until);
            }
            Event::AgentUnparked { agent } => {
                self.parked.remove(&agent);
            }
            Event::LookedUp(answers) => self.lookups.hear(answers),
            Event::DeadlineReached => {}
        }
        self.settle(now, &mut out);
        out.extend(self.lookups.ask());
        out
    }

    /// The next moment at which [`Event::DeadlineReached`] is wanted: the end of a retry wait, or
    /// of anything else that has a time.
    pub fn next_deadline(&self) -> Option<Moment> {
        let running = self.runs.values().filter(|run| run.state == RunState::Running);
        let retries = running.filter_map(|run| run.census.next_due()).chain(self.wake);
        let dues = self.runs.values().filter_map(|run| self.next_due(run));
        retries.chain(dues).chain(self.next_late()).min()
    }

    /// The run, if it has not ended.
    pub fn run(&self, id: &RunId) -> Option<&Run> {
        self.runs.get(id)
    }

    /// All runs that have not ended, by id.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values()
    }

    /// Takes out the runs that have ended; they live on in the ledger.
    pub fn take_ended(&mut self) -> Vec<Run> {
        let ended: Vec<RunId> =
            self.runs.values().filter(|run| run.state.is_end()).map(|run| run.id.clone()).collect();
        ended.iter().filter_map(|id| self.runs.remove(id)).collect()
    }

    fn submitted(&mut self, now: Moment, submission: Submission, out: &mut Vec<Action>) {
        let id = submission.run.clone();
        let asks = submission.needs_approval;
        let fact = RunFact::Submitted(Box::new(submission.clone()));
        let mut run = Run::submitted(now, submission).expect("the checker made this plan just now");
        run.lessons = self.lessons.get(&run.plan.name).cloned();
        out.push(Action::Record(Fact::Run { run: id.clone(), fact }));
        let asks = asks && run.plan.approval != Approval::None;
        self.runs.insert(id.clone(), run);
        let planning = RunFact::Moved { state: RunState::Planning, why: None };
        self.record(now, &id, planning, out);
        let state = if asks { RunState::AwaitingApproval } else { RunState::Running };
        self.record(now, &id, RunFact::Moved { state, why: None }, out);
        if asks {
            self.ask_about_plan(now, &id, out);
        }
        if let Some(parent) = self.runs[&id].submission.parent.clone() {
            self.tie_to_parent(now, &id, &parent, out);
            self.follow_parent(now, &id, &parent, out);
        }
    }

    fn approved(&mut self, now: Moment, id: &RunId, yes: bool, out: &mut Vec<Action>) {
        let answer = if yes { APPROVE } else { REJECT };
        self.answer(now, id, PLAN, answer, "person", out);
    }

    /// Writes down what was said, as far as it still fits.
    fn said(&mut self, now: Moment, id: &RunId, facts: Vec<RunFact>, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get_mut(id) else { return };
        for fact in facts {
            if run.apply(now, &fact).is_ok() {
                out.push(Action::Record(Fact::Run { run: id.clone(), fact }));
            }
        }
    }

    /// Moves a run and writes that down.
    fn record(&mut self, now: Moment, id: &RunId, fact: RunFact, out: &mut Vec<Action>) {
        let run = self.runs.get_mut(id).expect("facts are only made for runs that exist");
        run.apply(now, &fact).expect("decisions follow the state they were made on");
        out.push(Action::Record(Fact::Run { run: id.clone(), fact }));
    }
}
