//! Tells those who watch a run what was just committed, and those who wait for a state that it is
//! reached.

use std::collections::BTreeSet;

use crate::control::view::WaitReply;
use crate::control::{Reply, Responder, WatchEvent};
use crate::model::{
    AttemptId, Entry, Fact, Moment, RunFact, RunId, RunOutcome, SkipReason, TaskError, TaskId,
    TaskState, ms,
};
use crate::workflow::{Run, document};

use super::cached::cached_view;
use super::engine::Engine;
use super::{archive, asks, refusal, views};

impl Engine {
    pub(super) fn publish(&mut self, entries: &[Entry]) {
        for entry in entries {
            let Fact::Run { run, fact } = &entry.fact else { continue };
            self.tell_above(run, fact);
            if !self.watchers.contains_key(run) {
                continue;
            }
            if let Some(event) = self.event_of(run, fact) {
                self.tell(run, &event);
            }
            if matches!(fact, RunFact::Ended { .. }) {
                for responder in self.watchers.remove(run).unwrap_or_default() {
                    responder.reply(Reply::done());
                }
            }
        }
        self.want_persons(entries);
    }

    /// Tells those who watch a run that nothing goes on in it without a person.
    fn want_persons(&mut self, entries: &[Entry]) {
        let mut runs: Vec<&RunId> = entries.iter().filter_map(|entry| entry.fact.run()).collect();
        runs.dedup();
        let workflow = &self.core.workflow;
        let above: Vec<&RunId> = (runs.iter())
            .flat_map(|run| asks::above(workflow, run).map(|above| &above.id))
            .collect();
        let runs: BTreeSet<RunId> = (runs.into_iter().chain(above))
            .filter(|run| self.watchers.contains_key(*run) && workflow.waits_for_person(run))
            .cloned()
            .collect();
        for run in &runs {
            self.tell(run, &WatchEvent::PersonWanted);
        }
    }

    /// Tells those who watch the runs of which one is a part what it asks, and what was answered.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only questions are told above")]
    fn tell_above(&mut self, id: &RunId, fact: &RunFact) {
        let workflow = &self.core.workflow;
        let Some(run) = workflow.run(id) else { return };
        let event = match fact {
            RunFact::Asked(_) | RunFact::Answered { .. } => self.event_of(id, fact),
            _ => None,
        };
        let Some(mut event) = event else { return };
        let (mut below, mut told) = (run, Vec::new());
        for above in asks::above(workflow, id) {
            event = asks::heard_above(below, event);
            told.push((above.id.clone(), event.clone()));
            below = above;
        }
        for (run, event) in &told {
            self.tell(run, event);
        }
    }

    pub(super) fn tell(&mut self, run: &RunId, event: &WatchEvent) {
        let Some(watchers) = self.watchers.get_mut(run) else { return };
        watchers.retain_mut(|responder| responder.event(event.clone()).is_ok());
    }

    fn event_of(&self, id: &RunId, fact: &RunFact) -> Option<WatchEvent> {
        let run = self.core.workflow.run(id)?;
        let now = self.clock.now();
        Some(match fact {
            RunFact::TaskWaiting { task, run: child } => waiting(run, task, child.as_ref()),
            RunFact::TaskRequeued { task, .. } | RunFact::TaskReset { task } => {
                WatchEvent::TaskAgain { task: task.clone() }
            }
            RunFact::TaskMapped { task, items } => {
                WatchEvent::TaskMapped { task: task.clone(), items: items.len() }
            }
            RunFact::TaskSpawned { lead, definition } => WatchEvent::TaskSpawned {
                lead: lead.clone(),
                task: definition["id"].as_str().unwrap_or_default().to_owned(),
            },
            RunFact::TaskStalled { task, expected_ms, .. } => WatchEvent::TaskLate {
                task: task.clone(),
                expected_ms: *expected_ms,
                elapsed_ms: views::elapsed_ms(run.task(task)?, now),
            },
            RunFact::Asked(ask) => {
                let question = run.question(&ask.id)?;
                WatchEvent::Asked { ask: Box::new(asks::ask_view(run, question, now)) }
            }
            RunFact::Answered { ask, answer, by } => {
                WatchEvent::Answered { ask: ask.clone(), answer: answer.clone(), by: by.clone() }
            }
            RunFact::Adjusted { .. } => WatchEvent::Adjusted,
            RunFact::Submitted(_)
            | RunFact::TaskStarting { .. }
            | RunFact::TaskReported { .. }
            | RunFact::TaskSpent { .. }
            | RunFact::TaskCache { .. }
            | RunFact::Messaged(_)
            | RunFact::Reopened
            | RunFact::CancelRequested => {
                return None;
            }
            RunFact::Moved { state, why } => {
                WatchEvent::RunMoved { state: *state, why: why.clone() }
            }
            RunFact::TaskQueued { task } => WatchEvent::TaskQueued { task: task.clone() },
            RunFact::TaskRunning { task, attempt } => self.started(task, attempt)?,
            RunFact::TaskRetrying { task, .. } => retrying(run, task, fact, now)?,
            RunFact::TaskSucceeded { task, .. } => succeeded(run, task, now)?,
            RunFact::TaskFailed { task, error, .. } => failed(run, task, error, now)?,
            RunFact::TaskSkipped { task, reason } => left_out(task, TaskState::Skipped, *reason),
            RunFact::TaskCancelled { task, reason } => {
                left_out(task, TaskState::Cancelled, *reason)
            }
            RunFact::Ended { outcome, .. } => {
                let started = archive::started_at(&self.reader, id);
                let results = document(run, started.as_deref(), now);
                WatchEvent::Ended { outcome: *outcome, results }
            }
        })
    }

    pub(super) fn show(&self, run: RunId, responder: Responder) {
        match self.core.workflow.run(&run) {
            Some(live) => {
                responder.reply(Reply::Ok(views::with_context(live, &self.run_view(live))))
            }
            None => {
                self.ask_ledger(responder, move |reader, now| archive::show(reader, &run, now));
            }
        }
    }

    fn started(&self, task: &TaskId, attempt: &AttemptId) -> Option<WatchEvent> {
        let row = self.core.supervisor.attempt(attempt)?;
        Some(WatchEvent::TaskStarted {
            task: task.clone(),
            attempt: attempt.clone(),
            n: row.order.n,
            agent: row.order.agent.clone(),
            label: row.order.label.clone(),
            window: row.window.clone(),
            reason: row.order.reason,
        })
    }

    /// Answers those whose state is reached, cannot be reached any more, or whose time is up.
    pub(super) fn wake_waiters(&mut self, now: Moment) {
        self.wake_askers(now);
        let waiters = std::mem::take(&mut self.waiters);
        for waiter in waiters {
            if waiter.responder.is_gone() {
                continue;
            }
            let late = waiter.until.is_some_and(|at| at <= now);
            match self.stands(&waiter.target, waiter.state.as_deref()) {
                Some(reply) if reply.reached || late || reply.outcome.is_some() => {
                    waiter.responder.reply(Reply::ok(&reply));
                }
                Some(_) => self.waiters.push(waiter),
                None => waiter.responder.reply(refusal::unknown_target(&waiter.target)),
            }
        }
    }

    /// Where a live run or an instance stands, against a word that is waited for. `None` for what
    /// is neither; a run that has left memory is looked up in the ledger by the caller.
    pub(super) fn stands(&self, target: &str, wanted: Option<&str>) -> Option<WaitReply> {
        let reply = |state: &str, outcome, reached| WaitReply {
            target: target.to_owned(),
            state: state.to_owned(),
            outcome,
            reached,
        };
        if let Some(run) = self.core.workflow.run(&RunId::new(target)) {
            let state = run.state.word();
            let reached = wanted.map_or(run.state.is_end(), |word| is(word, state, run.outcome));
            return Some(reply(state, run.outcome, reached));
        }
        if let Some(row) = self.core.supervisor.instances().find(|row| row.name == target) {
            let state = self.core.supervisor.shown(row).0.word();
            return Some(reply(state, None, wanted.unwrap_or("running") == state));
        }
        archive::ended_run(&self.reader, &RunId::new(target)).map(|(state, outcome)| {
            let reached = wanted.is_none_or(|word| is(word, state.word(), outcome));
            reply(state.word(), outcome, reached)
        })
    }
}

/// Whether a word says how a run stands, or how it ended.
fn is(word: &str, state: &str, outcome: Option<RunOutcome>) -> bool {
    word == state || outcome.is_some_and(|outcome| outcome.word() == word)
}

fn waiting(run: &Run, task: &TaskId, child: Option<&RunId>) -> WatchEvent {
    let awaited = run.awaited_event(task);
    WatchEvent::TaskWaits { task: task.clone(), child: child.cloned(), awaited }
}

fn left_out(task: &TaskId, state: TaskState, reason: SkipReason) -> WatchEvent {
    WatchEvent::TaskSkipped { task: task.clone(), state, reason }
}

fn failed(run: &Run, id: &TaskId, error: &TaskError, now: Moment) -> Option<WatchEvent> {
    let task = run.task(id)?;
    Some(WatchEvent::TaskFailed {
        task: id.clone(),
        state: task.state,
        agent: task.agent.clone(),
        attempts: task.n,
        error: error.clone(),
        elapsed_ms: views::elapsed_ms(task, now),
    })
}

fn retrying(run: &Run, task: &TaskId, fact: &RunFact, now: Moment) -> Option<WatchEvent> {
    let RunFact::TaskRetrying { error, not_before, agent_index, reason, .. } = fact else {
        return None;
    };
    Some(WatchEvent::TaskRetrying {
        task: task.clone(),
        error: error.clone(),
        reason: *reason,
        agent: views::agent_of(run, task, *agent_index),
        in_ms: ms(not_before.since(now)),
    })
}

fn succeeded(run: &Run, task: &TaskId, now: Moment) -> Option<WatchEvent> {
    let state = run.task(task)?;
    Some(WatchEvent::TaskSucceeded {
        task: task.clone(),
        agent: state.agent.clone().unwrap_or_default(),
        attempts: state.n,
        elapsed_ms: views::elapsed_ms(state, now),
        cached: cached_view(state),
    })
}
