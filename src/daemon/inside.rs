//! Answers what agents ask while they work: workers, reports, messages, actions. Who asks is found
//! by the process that asks; what it may is decided by the workflow. Nothing is told before it is
//! committed, and whoever waits is answered at the latest when the time that it named is over, so
//! that it can ask the next daemon when this one dies.

use std::time::Duration;

use crate::control::inside::{ActionReply, InboxReply, NotedReply, WorkerView, WorkersReply};
use crate::control::{Failure, FailureKind, Inside, Peer, Reply, Responder};
use crate::document::did_you_mean;
use crate::model::{Moment, Owner, RunFact, TaskId, TaskState, WorkReport};
use crate::plan;
use crate::policy::{AgentApi, fill_in_cost};
use crate::workflow::{self, Denial, Hired, Refusal, Run, Task};

use super::Input;
use super::asker::{Asker, Question, Speaker};
use super::engine::Engine;
use super::refusal::internal;

/// How long somebody is kept waiting for one answer, at most.
const WAIT_MAX: Duration = Duration::from_secs(50);

/// What follows from a request.
enum Heard {
    /// This is the answer.
    Reply(Reply),
    /// The answer may take so long.
    Waits(Question, u64),
}

impl Engine {
    pub(super) fn inside(&mut self, peer: Peer, inside: Inside, responder: Responder) {
        if inside == Inside::Hook {
            match self.speaker(peer, "hook") {
                Ok(speaker) => self.hook(&speaker, responder),
                Err(failure) => responder.reply(failure),
            }
            return;
        }
        let heard = self.speaker(peer, verb(&inside)).and_then(|speaker| {
            let heard = self.consider(&speaker, inside)?;
            Ok((speaker, heard))
        });
        match heard {
            Err(failure) => responder.reply(failure),
            Ok((_, Heard::Reply(reply))) => self.reply(responder, reply),
            Ok((speaker, Heard::Waits(question, wait_ms))) => {
                let now = self.clock.now();
                let until = now + Duration::from_millis(wait_ms).min(WAIT_MAX);
                self.askers.push(Asker { speaker, question, until, responder });
                self.wake_askers(now);
            }
        }
    }

    /// The task of the agent that asks, whose attempt is the one that the task waits for.
    fn speaker(&self, peer: Peer, verb: &str) -> Result<Speaker, Failure> {
        let usage = |message: String| Failure::new(FailureKind::Usage, message);
        let failed = |message: String| Failure::new(FailureKind::Failed, message);
        if self.settings.config.daemon.agent_api == AgentApi::None {
            let message = format!("`{verb}` is denied: agents may ask nothing");
            return Err(failed(message).hint("`agent_api = \"self\"` under [daemon] allows it"));
        }
        let attempt = self.agent_that_asks(peer).ok_or_else(|| {
            usage(format!("`{verb}` was not asked from inside of an agent"))
                .hint(format!("`muxvisor {verb}` works in agents that muxvisor runs in a plan"))
        })?;
        let over = || failed(format!("`{verb}` comes too late: attempt {attempt} is over"));
        let row = self.core.supervisor.attempt(&attempt).ok_or_else(over)?;
        let Owner::Task { run, task } = row.order.owner.clone() else {
            let name = &row.order.agent;
            return Err(usage(format!("instance `{name}` has no task, so it has no `{verb}`"))
                .hint("an agent has one while it works on a task of a plan"));
        };
        let found = self.core.workflow.run(&run).and_then(|run| run.task(&task));
        if !found.is_some_and(|found| found.is_live() && found.attempt.as_ref() == Some(&attempt)) {
            return Err(over());
        }
        Ok(Speaker { run, task, attempt })
    }

    fn consider(&mut self, speaker: &Speaker, inside: Inside) -> Result<Heard, Failure> {
        let run = self.run_of(speaker)?;
        let task = &speaker.task;
        Ok(match inside {
            Inside::Spawn { wish } => {
                let (id, known) = match run.hire(task, &wish).map_err(refused)? {
                    Hired::Known(id) => (id, true),
                    Hired::New { task: id, fact } => {
                        self.said(speaker, vec![*fact]);
                        (id, false)
                    }
                };
                let run = self.run_of(speaker)?;
                let found = run
                    .plan
                    .task(&id)
                    .zip(run.task(&id))
                    .ok_or_else(|| internal(format!("worker {id} was not recorded")))?;
                let view = WorkerView { known, ..worker(task, found.0, found.1) };
                Heard::Reply(Reply::ok(&view))
            }
            Inside::Workers => {
                let lead = run.plan.task(task).and_then(|plan| plan.lead.as_ref());
                let workers = run.workers(task).map(|(plan, state)| worker(task, plan, state));
                let workers = workers.collect();
                let max_workers = lead.map_or(0, |lead| lead.max_workers);
                Heard::Reply(Reply::ok(&WorkersReply { workers, max_workers }))
            }
            Inside::Worker { name, wait_ms } => Heard::Waits(Question::Worker { name }, wait_ms),
            Inside::Report { report } => {
                let recorded = !is_known(run, speaker, &report);
                if recorded {
                    let (task, attempt) = (task.clone(), speaker.attempt.clone());
                    self.said(speaker, vec![RunFact::TaskReported { task, attempt, report }]);
                }
                Heard::Reply(Reply::ok(&NotedReply { recorded }))
            }
            Inside::Spent { mut spent } => {
                let (task, attempt) = (task.clone(), speaker.attempt.clone());
                let order = self.core.supervisor.attempt(&attempt).map(|row| &row.order);
                if let Some(model) = order.and_then(|order| order.model.as_ref()) {
                    let unknown = spent.model.is_empty();
                    spent.model = if unknown { model.clone() } else { spent.model };
                }
                fill_in_cost(&self.settings.config.prices, &mut spent);
                self.said(speaker, vec![RunFact::TaskSpent { task, attempt, spent }]);
                Heard::Reply(Reply::ok(&NotedReply { recorded: true }))
            }
            Inside::Send { to, text, key } => {
                let message = run.message(task, &to, &text, &key).map_err(denied)?;
                let facts: Vec<RunFact> = message.map(RunFact::Messaged).into_iter().collect();
                self.note_said(speaker, facts)
            }
            Inside::Inbox { since, wait_ms } => Heard::Waits(Question::Inbox { since }, wait_ms),
            Inside::Action { text, tier, wait_ms } => {
                let (ask, facts) = run.action(task, tier, &text).map_err(denied)?;
                self.said(speaker, facts);
                Heard::Waits(Question::Action { ask }, wait_ms)
            }
            Inside::Answer { ask, yes } => {
                let fact = run.answer(task, &ask, yes).map_err(denied)?;
                self.note_said(speaker, fact.into_iter().collect())
            }
            Inside::Found { report } => Heard::Reply(self.found(speaker, report)?),
            Inside::Hook => return Err(internal("a hook is answered elsewhere")),
        })
    }

    fn run_of(&self, speaker: &Speaker) -> Result<&Run, Failure> {
        let over = || Failure::new(FailureKind::Failed, format!("{} is over", speaker.run));
        self.core.workflow.run(&speaker.run).ok_or_else(over)
    }

    /// Has what an agent said written down.
    pub(super) fn said(&mut self, speaker: &Speaker, facts: Vec<RunFact>) {
        if !facts.is_empty() {
            let event = workflow::Event::Said { run: speaker.run.clone(), facts };
            self.decide(Input::Workflow(event));
        }
    }

    fn note_said(&mut self, speaker: &Speaker, facts: Vec<RunFact>) -> Heard {
        let recorded = !facts.is_empty();
        self.said(speaker, facts);
        Heard::Reply(Reply::ok(&NotedReply { recorded }))
    }

    /// Answers those whose answer is there, or whose time is up.
    pub(super) fn wake_askers(&mut self, now: Moment) {
        for asker in std::mem::take(&mut self.askers) {
            if asker.responder.is_gone() {
                continue;
            }
            match self.look(&asker.speaker, &asker.question) {
                Err(failure) => self.reply(asker.responder, failure),
                Ok((ready, reply)) if ready || asker.until <= now => {
                    self.reply(asker.responder, reply);
                }
                Ok(_) => self.askers.push(asker),
            }
        }
    }

    /// The answer as it stands, and whether it is final.
    fn look(&self, speaker: &Speaker, question: &Question) -> Result<(bool, Reply), Failure> {
        let run = self.run_of(speaker)?;
        Ok(match question {
            Question::Worker { name } => {
                let found = run.worker(&speaker.task, name);
                let (plan, task) = found.ok_or_else(|| no_worker(run, speaker, name))?;
                let view = worker(&speaker.task, plan, task);
                (task.state.is_end(), Reply::ok(&view))
            }
            Question::Inbox { since } => {
                let messages = run.inbox(&speaker.task, *since).map_err(denied)?;
                (!messages.is_empty(), Reply::ok(&InboxReply { messages }))
            }
            Question::Action { ask } => {
                let none = || denied(Denial::NoQuestion(ask.clone()));
                let asked = run.kept.asks.get(ask).ok_or_else(none)?;
                let (answer, by) = asked.answer.clone().unzip();
                let waits = run.answers(&asked.ask).map_or("person", TaskId::as_str).to_owned();
                let waits_for = Some(waits).filter(|_| answer.is_none());
                let decided = answer.is_some();
                (decided, Reply::ok(&ActionReply { ask: ask.clone(), answer, by, waits_for }))
            }
        })
    }
}

/// Whether an attempt has reported just that already: what is so needs no second record.
fn is_known(run: &Run, speaker: &Speaker, report: &WorkReport) -> bool {
    let reports = run.kept.reports.get(&speaker.task).into_iter().flatten();
    reports.into_iter().any(|(by, known)| *by == speaker.attempt && known == report)
}

fn worker(lead: &TaskId, plan: &plan::Task, task: &Task) -> WorkerView {
    let prefix = format!("{lead}/");
    let id = plan.id.as_str();
    let first = || plan.work.agents().first().map(|agent| agent.name.clone());
    let succeeded = task.state == TaskState::Success;
    WorkerView {
        name: id.strip_prefix(&prefix).unwrap_or(id).to_owned(),
        task: plan.id.clone(),
        agent: task.agent.clone().or_else(first),
        state: task.state,
        known: false,
        attempts: task.n,
        session_key: task.attempt.clone(),
        output: task.output.as_ref().map(|output| output.value.clone()),
        error: task.error.clone().filter(|_| !succeeded),
    }
}

fn no_worker(run: &Run, speaker: &Speaker, name: &str) -> Failure {
    let lead = &speaker.task;
    let names: Vec<String> =
        run.workers(lead).map(|(plan, task)| worker(lead, plan, task).name).collect();
    let message = format!("`{lead}` has no worker called `{name}`");
    let near = did_you_mean(name, names.iter().map(String::as_str));
    let all = || match names.as_slice() {
        [] => "it has none; `muxvisor spawn` asks for one".to_owned(),
        names => format!("it has {}", names.join(", ")),
    };
    Failure::new(FailureKind::Usage, message).hint(near.unwrap_or_else(all))
}

/// Why there is no worker, and what to do about it.
fn refused(refusal: Refusal) -> Failure {
    let hint = match &refusal {
        Refusal::Depth { lead, .. } => {
            format!("say in your result what is missing; `{lead}` decides who does it")
        }
        Refusal::NoLead { task } => {
            format!("`lead = {{ max_workers = 4 }}` in task `{task}` of the plan makes it one")
        }
        Refusal::TooMany { .. } => {
            "work with what there is, or raise `max_workers` in the plan".to_owned()
        }
        Refusal::Unknown { given, known, .. } => {
            let near = did_you_mean(given, known.iter().map(String::as_str));
            near.unwrap_or_else(|| match known.as_slice() {
                [] => "nobody may be asked for".to_owned(),
                known => format!("there is {}", known.join(", ")),
            })
        }
        Refusal::Name { .. } => "for example `--name fetch-2`".to_owned(),
        Refusal::Taken { .. } => "give the new one another name".to_owned(),
        Refusal::Empty => "muxvisor spawn --agent NAME \"TEXT\", or --prompt-file FILE".to_owned(),
        Refusal::Ending => "hand in what there is".to_owned(),
        Refusal::Undecided { run, .. } => format!(
            "a person has been asked (`muxvisor decide {run} retry|adjust|accept`); work with what \
             there is, or ask again when that is answered"
        ),
    };
    let message = match &refusal {
        Refusal::Unknown { .. } => refusal.to_string(),
        Refusal::Depth { .. }
        | Refusal::NoLead { .. }
        | Refusal::TooMany { .. }
        | Refusal::Name { .. }
        | Refusal::Taken { .. }
        | Refusal::Empty
        | Refusal::Ending
        | Refusal::Undecided { .. } => format!("no worker: {refusal}"),
    };
    Failure::new(FailureKind::Usage, message).hint(hint)
}

/// Why something that was said is not taken, and what to do about it.
fn denied(denial: Denial) -> Failure {
    let hint = match &denial {
        Denial::NotGranted { from, to, granted } => match granted.as_slice() {
            [] => format!("`messages = [\"{to}\"]` in task `{from}` of the plan grants it"),
            granted => {
                let names: Vec<&str> = granted.iter().map(TaskId::as_str).collect();
                format!("it may write to {}", names.join(", "))
            }
        },
        Denial::NoInbox { task } => {
            format!("`messages = [\"{task}\"]` in another task of the plan lets that write to it")
        }
        Denial::Length(_) => "put long texts into a file, and send its path".to_owned(),
        Denial::Tier(_) => "what changes nothing is tier 0".to_owned(),
        Denial::NoQuestion(_) => "`muxvisor msg inbox` shows the questions of workers".to_owned(),
        Denial::NotYours { .. } => {
            "a person decides with `muxvisor decide RUN/ID yes|no`".to_owned()
        }
    };
    Failure::new(FailureKind::Usage, denial.to_string()).hint(hint)
}

/// The verb of a request.
const fn verb(inside: &Inside) -> &'static str {
    match inside {
        Inside::Spawn { .. } | Inside::Workers | Inside::Worker { .. } => "spawn",
        Inside::Report { .. }
        | Inside::Spent { .. }
        | Inside::Action { .. }
        | Inside::Answer { .. } => "note",
        Inside::Send { .. } | Inside::Inbox { .. } => "msg",
        Inside::Found { .. } | Inside::Hook => "hook",
    }
}
