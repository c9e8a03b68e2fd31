//! Workers: tasks that a lead agent asks for while it runs (features C8, C9, H13, ruling Z10).
//! Whether it may have one, the task that the wish becomes, and what becomes of workers whose lead
//! is over. The lead decides what follows from a result; nobody below it can ask for more.

use serde_json::{Value, json};

use crate::model::{
    Fact, Moment, RunFact, RunId, SkipReason, StopCause, TaskId, TaskState, Who, WorkerWish,
};
use crate::plan::{
    self, Capability, InputUse, InputValue, Lead, Origin, OutputAs, TaskAgent, Template, Work,
};

use super::run::IllegalFact;
use super::{Action, Run, Task, Workflow};

/// The highest tier that a worker may act on by itself, whatever its lead may (feature H14).
const WORKER_TIER_MAX: u8 = 2;
/// The longest name of a worker.
const NAME_MAX: usize = 40;
/// How many failed tasks a refusal names.
const FAILED_MAX: usize = 6;
/// The key of a definition under which the key of its wish is kept.
const WISH: &str = "wish";

/// What came of a wish.
#[derive(Clone, Debug, PartialEq)]
pub enum Hired {
    /// There will be a new worker.
    New {
        /// Its task.
        task: TaskId,
        /// To be recorded.
        fact: Box<RunFact>,
    },
    /// There is one that does just that already, or has done it.
    Known(TaskId),
}

/// Why a task gets no worker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is a worker itself.
    #[error("`{task}` is a worker, and a worker cannot have workers (depth one)")]
    Depth {
        /// Who asked.
        task: TaskId,
        /// Its lead.
        lead: TaskId,
    },
    /// The plan does not make it a lead.
    #[error("task `{task}` is no lead: the plan does not let it have workers")]
    NoLead {
        /// Who asked.
        task: TaskId,
    },
    /// It has had as many as it may.
    #[error("`{task}` has had {most} workers, as many as the plan allows")]
    TooMany {
        /// Who asked.
        task: TaskId,
        /// How many it may have.
        most: u32,
    },
    /// Nobody like that may be asked for.
    #[error("{what} may be asked for by `{task}`")]
    Unknown {
        /// Who asked.
        task: TaskId,
        /// ``no agent `x` ``, ``nobody with capability `y` ``.
        what: String,
        /// The name that was given.
        given: String,
        /// The names that would do.
        known: Vec<String>,
    },
    /// The name cannot be used.
    #[error("`{name}` is no name for a worker: {why}")]
    Name {
        /// What was given.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// There is one of that name that does something else.
    #[error("`{task}` is {state} and does something else")]
    Taken {
        /// It.
        task: TaskId,
        /// Where it stands.
        state: TaskState,
    },
    /// There is nothing to do.
    #[error("there is no text that says what to do")]
    Empty,
    /// The run takes no new work.
    #[error("the run is about to end and takes no new work")]
    Ending,
    /// Too much failed, and nobody has decided yet what becomes of the run (feature K10).
    #[error("{}; nothing new is started before a person has decided about {run}", told(.failed))]
    Undecided {
        /// The run.
        run: RunId,
        /// What failed.
        failed: Vec<TaskId>,
    },
}

impl Run {
    /// What comes of a wish for a worker by the agent of a task.
    ///
    /// # Errors
    /// Why there is none.
    pub fn hire(&self, task: &TaskId, wish: &WorkerWish) -> Result<Hired, Refusal> {
        let lead = self.lead(task)?;
        if let Some(known) = self.kept.wishes.get(&wish.key) {
            return Ok(Hired::Known(known.clone()));
        }
        if self.winding_down() || self.state.is_end() {
            return Err(Refusal::Ending);
        }
        if self.asks_about_failures() {
            return Err(Refusal::Undecided { run: self.id.clone(), failed: self.failures() });
        }
        if wish.text.trim().is_empty() {
            return Err(Refusal::Empty);
        }
        let leader = self.plan.task(task).ok_or(Refusal::NoLead { task: task.clone() })?;
        let work = self.staff(task, lead, &wish.who)?;
        let id = match self.name(task, wish)? {
            Name::Free(id) => id,
            Name::Given(id) => match self.again(&id, &work, wish)? {
                Again::Known(id) => return Ok(Hired::Known(id)),
                Again::Next(id) => id,
            },
        };
        if self.workers(task).count() >= lead.max_workers as usize {
            return Err(Refusal::TooMany { task: task.clone(), most: lead.max_workers });
        }
        let definition = define(leader, id.clone(), work, wish);
        let mut definition = serde_json::to_value(definition).unwrap_or_default();
        definition[WISH] = json!(wish.key);
        let fact = Box::new(RunFact::TaskSpawned { lead: task.clone(), definition });
        Ok(Hired::New { task: id, fact })
    }

    /// That a task is a lead.
    fn lead(&self, task: &TaskId) -> Result<&Lead, Refusal> {
        let no_lead = || Refusal::NoLead { task: task.clone() };
        let plan = self.plan.task(task).ok_or_else(no_lead)?;
        if let Some(lead) = plan.worker_of() {
            return Err(Refusal::Depth { task: task.clone(), lead: lead.clone() });
        }
        plan.lead.as_ref().ok_or_else(no_lead)
    }

    /// The workers of a lead, in the order in which they were asked for.
    pub fn workers(&self, lead: &TaskId) -> impl Iterator<Item = (&plan::Task, &Task)> {
        let workers = self.census.workers().filter_map(|at| self.at(at));
        workers.filter(move |(plan, _)| plan.worker_of() == Some(lead))
    }

    /// The worker of that name.
    pub fn worker(&self, lead: &TaskId, name: &str) -> Option<(&plan::Task, &Task)> {
        let full = worker_id(lead, name);
        self.workers(lead).find(|(plan, _)| plan.id == full || plan.id.as_str() == name)
    }

    /// Who does the work: one agent, or all that have a capability, in the order of their names.
    fn staff(&self, task: &TaskId, lead: &Lead, who: &Who) -> Result<Work, Refusal> {
        let allowed = |name: &&String| lead.agents.is_empty() || lead.agents.contains(name);
        let agents: Vec<&String> = self.plan.agents.keys().filter(allowed).collect();
        let unknown = |what: String, given: &str, known: Vec<String>| Refusal::Unknown {
            task: task.clone(),
            what,
            given: given.to_owned(),
            known,
        };
        let retries = self.plan.task(task).map_or(0, |plan| plan.retries);
        let staff = |name: &String| TaskAgent { name: name.clone(), retries };
        match who {
            Who::Agent(name) if agents.contains(&name) => {
                Ok(Work::Agent { agents: vec![staff(name)], capability: None })
            }
            Who::Agent(name) => {
                let known = agents.into_iter().cloned().collect();
                Err(unknown(format!("no agent `{name}`"), name, known))
            }
            Who::Capability(wanted) => {
                let abilities = |name: &&String| {
                    self.plan.agents.get(*name).map(|agent| agent.capabilities.as_slice())
                };
                let able = |name: &&String| {
                    abilities(name).is_some_and(|abilities| abilities.contains(wanted))
                };
                let found: Vec<TaskAgent> =
                    agents.iter().copied().filter(able).map(staff).collect();
                if found.is_empty() {
                    let mut known: Vec<String> =
                        agents.iter().filter_map(abilities).flatten().cloned().collect();
                    known.sort();
                    known.dedup();
                    return Err(unknown(
                        format!("nobody with capability `{wanted}`"),
                        wanted,
                        known,
                    ));
                }
                let capability = Capability { name: wanted.clone(), able: found.len() };
                Ok(Work::Agent { agents: found, capability: Some(capability) })
            }
        }
    }

    fn name(&self, lead: &TaskId, wish: &WorkerWish) -> Result<Name, Refusal> {
        let Some(name) = &wish.name else {
            let numbers = 1..=self.workers(lead).count() + 1;
            let ids = numbers.map(|n| worker_id(lead, &format!("worker-{n}")));
            let free = ids.into_iter().find(|id| self.task(id).is_none());
            return Ok(Name::Free(free.expect("one number more than there are workers")));
        };
        let wrong = |why: &str| Refusal::Name { name: name.clone(), why: why.to_owned() };
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(fits) {
            return Err(wrong("letters, digits, `-` and `_`, starting with a letter"));
        }
        if name.len() > NAME_MAX {
            return Err(wrong("it is longer than 40 characters"));
        }
        let id = worker_id(lead, name);
        Ok(if self.task(&id).is_some() { Name::Given(id) } else { Name::Free(id) })
    }

    /// A name that is taken: by the same work, which is not done twice; or by work that failed,
    /// which may be wished for again, and then has a number behind its name.
    fn again(&self, id: &TaskId, work: &Work, wish: &WorkerWish) -> Result<Again, Refusal> {
        let mut next = id.clone();
        for number in 2.. {
            let (Some(plan), Some(task)) = (self.plan.task(&next), self.task(&next)) else { break };
            if is_of_use(task) {
                return if does(plan, work, wish) {
                    Ok(Again::Known(next))
                } else {
                    Err(Refusal::Taken { task: next, state: task.state })
                };
            }
            next = TaskId::new(format!("{id}-{number}"));
        }
        Ok(Again::Next(next))
    }

    /// Takes a worker in, live and on replay.
    pub(super) fn take_worker(
        &mut self,
        lead: &TaskId,
        definition: &Value,
        fact: &RunFact,
    ) -> Result<(), IllegalFact> {
        let task = serde_json::from_value::<plan::Task>(definition.clone()).ok();
        let fits = |task: &plan::Task| {
            task.worker_of() == Some(lead) && !self.tasks.contains_key(&task.id)
        };
        let is_lead = self.lead(lead).is_ok() && !self.state.is_end();
        let Some(task) = task.filter(|task| is_lead && fits(task)) else {
            return Err(self.illegal(lead.as_str(), self.state.word(), fact));
        };
        if let Some(key) = definition[WISH].as_str() {
            self.kept.wishes.insert(key.to_owned(), task.id.clone());
        }
        if let Some(phase) = self.plan.phases.iter_mut().find(|phase| phase.id == task.phase) {
            phase.tasks.push(task.id.clone());
        }
        self.tasks.insert(task.id.clone(), Task::blocked());
        self.plan.tasks.push(task);
        Ok(())
    }
}

impl Workflow {
    /// Ends the workers of leads that are over: nobody is left to take their results. What has not
    /// begun is cancelled at once, what runs is stopped, and written off when it is proven gone.
    pub(super) fn release_workers(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get(id) else { return };
        let is_over = |lead: &TaskId| run.task(lead).is_none_or(|lead| lead.state.is_end());
        let left = |(plan, task): &(&plan::Task, &Task)| {
            !task.state.is_end() && plan.worker_of().is_some_and(is_over)
        };
        let workers = run.census.workers().filter_map(|at| run.at(at));
        let left: Vec<_> = workers
            .filter(left)
            .map(|(plan, task)| (plan.id.clone(), task.attempt.clone().filter(|_| task.is_live())))
            .collect();
        for (task, live) in left {
            let text = format!("worker {task} was stopped, because its lead is over");
            let note = Action::Record(Fact::Noted { about: id.to_string(), text });
            match live {
                Some(attempt) if self.released.insert(attempt.clone()) => {
                    out.push(note);
                    out.push(Action::Stop { attempt, cause: StopCause::Cancelled });
                }
                Some(_) => {}
                None => {
                    out.push(note);
                    let reason = SkipReason::Stopped;
                    self.record(now, id, RunFact::TaskCancelled { task, reason }, out);
                }
            }
        }
    }
}

/// How many tasks failed, and which; not more than a few of them.
fn told(failed: &[TaskId]) -> String {
    let names: Vec<&str> = failed.iter().take(FAILED_MAX).map(TaskId::as_str).collect();
    let more = if failed.len() > FAILED_MAX { ", …" } else { "" };
    format!("{} tasks failed ({}{more})", failed.len(), names.join(", "))
}

/// Whether a name is taken.
enum Name {
    Free(TaskId),
    Given(TaskId),
}

/// What to do about a name that is taken.
enum Again {
    Known(TaskId),
    Next(TaskId),
}

/// The id of a worker.
pub(super) fn worker_id(lead: &TaskId, name: &str) -> TaskId {
    TaskId::new(format!("{lead}/{name}"))
}

/// Whether a worker's result is there or still to come: a lead that starts over, because its own
/// attempt failed, has nothing done twice.
fn is_of_use(task: &Task) -> bool {
    !task.state.is_end() || task.state == TaskState::Success
}

/// Whether a task does what is wished for.
fn does(task: &plan::Task, work: &Work, wish: &WorkerWish) -> bool {
    task.work == *work
        && task.description == Template::text(&wish.text)
        && task.inputs == inputs(wish)
        && task.output == wish.schema
}

fn inputs(wish: &WorkerWish) -> Vec<InputUse> {
    let input = |(name, value): &(String, Value)| InputUse {
        name: name.clone(),
        value: InputValue::Plain(value.clone()),
    };
    wish.inputs.iter().map(input).collect()
}

/// The task of a worker: in its lead's phase, by its lead's limits, with nothing to wait for. It
/// may not lead, nor send messages.
fn define(lead: &plan::Task, id: TaskId, work: Work, wish: &WorkerWish) -> plan::Task {
    plan::Task {
        id,
        phase: lead.phase.clone(),
        description: Template::text(&wish.text),
        role: None,
        constraints: Vec::new(),
        output_key: None,
        output_as: if wish.schema.is_some() { OutputAs::Json } else { OutputAs::Text },
        output: wish.schema.clone(),
        entry_point: None,
        work,
        inputs: inputs(wish),
        needs: Vec::new(),
        timeout_ms: wish.timeout_ms.or(lead.timeout_ms),
        expected_ms: None,
        optional: false,
        when: None,
        for_each: None,
        origin: Some(Origin::Worker { of: lead.id.clone() }),
        lead: None,
        messages: Vec::new(),
        model: None,
        total_timeout_ms: None,
        cache_ms: None,
        budget: None,
        tier: lead.tier.min(WORKER_TIER_MAX),
        ..lead.clone()
    }
}
