//! Why something stands where it stands: the state's own explanation, and the last decisions and
//! findings from the ledger.

use std::collections::BTreeMap;

use crate::control::failover::FailoverView;
use crate::control::view::{Counter, Decision, HealthView, NextAction, WhyReply};
use crate::control::{Reply, Responder};
use crate::ledger::{Reader, RunLog};
use crate::model::{
    AttemptFact, AttemptId, Entry, Fact, Moment, Parking, RunFact, RunId, TaskId, TaskState,
    minutes, ms,
};
use crate::plan;
use crate::workflow::{Question, Run, Task, Workflow};

use super::archive;
use super::asks;
use super::cached;
use super::engine::Engine;
use super::now::Now;
use super::refusal::{self, internal};
use super::views;

/// How many decisions are told.
const DECISIONS_MAX: u32 = 20;

impl Engine {
    pub(super) fn why(&self, target: String, responder: Responder) {
        let now = self.clock.now();
        let health = self.health_view(&target);
        if let Some(found) = self.core.supervisor.explain(&target, now) {
            let counter = |(name, value, limit): (&str, u64, Option<u64>)| {
                (name.to_owned(), Counter { value, limit })
            };
            let supervisor = &self.core.supervisor;
            let row = supervisor.instances().find(|row| row.name == target);
            let parked = supervisor.parked().find(|parking| parking.agent == target);
            let alone = || FailoverView {
                parked: parked.map(views::parked_view),
                ..FailoverView::default()
            };
            let reply = WhyReply {
                failover: row.map_or_else(alone, |row| self.failover_view(row)),
                target: target.clone(),
                state: found.state,
                why: found.why,
                decisions: Vec::new(),
                counters: found.counters.into_iter().map(counter).collect(),
                next: found
                    .next
                    .map(|(at, text)| NextAction { text, due_in_ms: Some(ms(at.since(now))) }),
                health,
            };
            return self.ask_ledger(responder, move |reader, now| {
                match reader.notes_about(&target, DECISIONS_MAX) {
                    Ok(notes) => Reply::ok(&WhyReply { decisions: told(&notes, now), ..reply }),
                    Err(error) => internal(error).into(),
                }
            });
        }
        let live: Vec<RunId> = self.core.workflow.runs().map(|run| run.id.clone()).collect();
        let parked: Vec<Parking> = self.core.supervisor.parked().cloned().collect();
        self.ask_ledger(responder, move |reader, now| {
            why_task(reader, &live, &parked, &target, health, now)
        });
    }
}

fn told(notes: &[Entry], now: Now) -> Vec<Decision> {
    notes.iter().filter_map(|entry| Some(decision(entry, sentence(&entry.fact)?, now))).collect()
}

fn decision(entry: &Entry, text: String, now: Now) -> Decision {
    Decision { at_ms: entry.wall_ms, age_ms: ms(now.moment.since(entry.at)), text }
}

fn sentence(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::Attempt { attempt, fact } => match fact {
            AttemptFact::Intended(order) => {
                format!(
                    "attempt {} ({attempt}) of {} decided: {}",
                    order.n, order.agent, order.reason
                )
            }
            AttemptFact::Launched { shim, window, .. } => {
                let window = window.as_deref().unwrap_or("no window");
                format!("held by shim {}, {window}", shim.pid)
            }
            AttemptFact::Started { process } => format!("runs as process {}", process.pid),
            AttemptFact::Ready => "ready".to_owned(),
            AttemptFact::Stopping { cause } => format!("told to stop: {cause}"),
            AttemptFact::Ended(end) => format!("ended: {}: {}", end.outcome, end.message),
        },
        Fact::Noted { text, .. } => text.clone(),
        Fact::Run { .. }
        | Fact::Instance(_)
        | Fact::InstanceRemoved { .. }
        | Fact::Group(_)
        | Fact::GroupRemoved { .. }
        | Fact::Parked(_)
        | Fact::Unparked { .. }
        | Fact::Emitted(_)
        | Fact::SignalTaken { .. } => return None,
    })
}

/// A run, `RUN/TASK`, or a task of the newest run that has it.
fn why_task(
    reader: &Reader,
    live: &[RunId],
    parked: &[Parking],
    target: &str,
    health: Option<HealthView>,
    now: Now,
) -> Reply {
    let (run, task) = match target.split_once('/') {
        Some((run, task)) if RunId::parse(run).is_ok() => (Some(RunId::new(run)), task.to_owned()),
        _ if RunId::parse(target).is_ok() => (Some(RunId::new(target)), String::new()),
        _ => (None, target.to_owned()),
    };
    let run = match run {
        Some(run) => Ok(Some(run)),
        None => archive::newest_run_with(reader, live, &task),
    };
    let log = match run {
        Ok(Some(run)) => reader.run_log(&run),
        Ok(None) => return refusal::unknown_target(target).into(),
        Err(error) => return internal(error).into(),
    };
    let log = match log {
        Ok(Some(log)) => log,
        Ok(None) => return refusal::unknown_target(target).into(),
        Err(error) => return internal(error).into(),
    };
    let run = match Workflow::replay(&log.run, &log.entries) {
        Ok(run) => run,
        Err(error) => return internal(error).into(),
    };
    let wall = |at| now.wall_ms - i64::try_from(ms(now.moment.since(at))).unwrap_or(0);
    let about =
        |fact: &RunFact| task.is_empty() || RunFact::task(fact).is_some_and(|t| t.as_str() == task);
    let decisions = log.entries.iter().rev().filter(|(_, fact)| about(fact));
    let decisions = decisions.take(DECISIONS_MAX as usize).map(|(at, fact)| Decision {
        at_ms: wall(*at),
        age_ms: ms(now.moment.since(*at)),
        text: told_of_run(fact),
    });
    let mut decisions: Vec<Decision> = decisions.collect();
    decisions.extend(findings(reader, &log, &task, now));
    decisions.sort_by_key(|decision| decision.age_ms);
    let failover = task_failover(&run, &task, parked, now.moment);
    let waits = failover.parked.as_ref();
    let waits = waits.map(|one| format!("waits, because `{}` is parked: {}", one.agent, one.why));
    match standing(&run, &task, now, &|child| asked_below(reader, child, now)) {
        Some((state, why, counters, next)) => Reply::ok(&WhyReply {
            target: if task.is_empty() { run.id.to_string() } else { format!("{}/{task}", run.id) },
            state,
            why: waits.unwrap_or(why),
            decisions,
            counters,
            next,
            failover,
            health,
        }),
        None => refusal::unknown_target(target).into(),
    }
}

/// What was found about a run, or about the last attempt of a task, beside what was decided.
fn findings(reader: &Reader, log: &RunLog, task: &str, now: Now) -> Vec<Decision> {
    let last = log.entries.iter().rev().find_map(|(_, fact)| {
        let RunFact::TaskStarting { task: of, attempt, .. } = fact else { return None };
        (of.as_str() == task).then_some(attempt)
    });
    let about = if task.is_empty() { Some(log.run.as_str()) } else { last.map(AttemptId::as_str) };
    let notes = about.and_then(|id| reader.notes_about(id, DECISIONS_MAX).ok());
    let mut notes = notes.unwrap_or_default();
    notes.retain(|entry| {
        matches!(
            entry.fact,
            Fact::Noted { .. } | Fact::Attempt { fact: AttemptFact::Stopping { .. }, .. }
        )
    });
    told(&notes, now)
}

type Standing = (String, String, BTreeMap<String, Counter>, Option<NextAction>);

/// What a run that another one waits for asks a person, or one that it waits for in turn.
fn asked_below(reader: &Reader, child: &RunId, now: Now) -> Option<String> {
    let run = archive::replay(reader, child).ok()?;
    let own = run.open_questions().next().map(|question| asked(&run, question, now));
    own.or_else(|| run.children().iter().find_map(|child| asked_below(reader, child, now)))
}

fn asked(run: &Run, question: &Question, now: Now) -> String {
    let asked = asks::ask_view(run, question, now.moment);
    format!("waits for a person: {} ({})", asked.question, asked.how)
}

fn standing(
    run: &Run,
    task: &str,
    now: Now,
    below: &dyn Fn(&RunId) -> Option<String>,
) -> Option<Standing> {
    if task.is_empty() {
        let own = run.open_questions().next().map(|question| asked(run, question, now));
        let inner = || {
            let found = run.children().into_iter().find_map(|child| Some((below(&child)?, child)));
            found.map(|(asked, child)| format!("{child} {asked}"))
        };
        let asked = own.or_else(inner);
        let why = asked.or_else(|| run.why.clone()).or_else(|| run.root_cause.clone());
        let why = why.unwrap_or_else(|| format!("plan `{}`", run.plan.name));
        return Some((run.state.to_string(), why, BTreeMap::new(), None));
    }
    let id = TaskId::new(task);
    let (plan, state) = (run.plan.task(&id)?, run.task(&id)?);
    let waits: Vec<&str> = plan
        .needs
        .iter()
        .filter(|need| run.task(&need.task).is_some_and(|task| !task.state.is_end()))
        .map(|need| need.task.as_str())
        .collect();
    let waiting = waits_for(run, plan, state, now, below);
    let why = match (&state.error, state.skip) {
        _ if waiting.is_some() => waiting.unwrap_or_default(),
        _ if !waits.is_empty() && !state.state.is_end() => {
            format!("waits for {}", waits.join(", "))
        }
        (Some(error), _) => format!("{}: {}", error.outcome, error.message),
        (None, Some(skip)) => format!("skipped: {skip}"),
        (None, None) if state.taken().is_some() => cached::taken(state).unwrap_or_default(),
        (None, None) => format!("by {}", views::agent_of(run, &id, state.agent_index)),
    };
    let most = u64::from(views::attempts_max(plan, state));
    let attempts = Counter { value: u64::from(state.counted()), limit: Some(most) };
    let next = state.not_before.map(|at| NextAction {
        text: format!("{} attempt", state.reason),
        due_in_ms: Some(ms(at.since(now.moment))),
    });
    let counters = BTreeMap::from([("attempts".to_owned(), attempts)]);
    Some((state.state.to_string(), why, counters, next))
}

/// What a task waits for beside other tasks, or that it is slow (features K13, K14).
fn waits_for(
    run: &Run,
    plan: &plan::Task,
    task: &Task,
    now: Now,
    below: &dyn Fn(&RunId) -> Option<String>,
) -> Option<String> {
    let late = |id| run.kept.stalled.contains_key(id) && task.is_live();
    if let Some(expected) = plan.expected_ms.filter(|_| task.attempt.as_ref().is_some_and(late)) {
        let runs = minutes(ms(now.moment.since(task.since.unwrap_or(now.moment))));
        let expected = minutes(expected);
        return Some(format!(
            "slow: runs {runs}, expected {expected}; the agent is alive, keep waiting"
        ));
    }
    if task.state != TaskState::Waiting {
        return None;
    }
    let question = run.open_questions().find(|it| it.ask.task.as_ref() == Some(&plan.id));
    if let Some(question) = question {
        return Some(asked(run, question, now));
    }
    if let Some(child) = &task.child {
        let asked = below(child).map_or(String::new(), |asked| format!(", which {asked}"));
        return Some(format!("waits for {child}{asked}"));
    }
    if let (plan::Work::Plan(_), Some((live, most))) = (&plan.work, run.inner_runs(&plan.phase)) {
        return Some(format!(
            "waits for its turn: {live} inner runs live, and {most} may at once (`max_parallel`)"
        ));
    }
    run.awaited_event(&plan.id).map(|event| format!("waits for the event `{event}`"))
}

/// How a task stands with the agents that may take over.
fn task_failover(run: &Run, task: &str, parked: &[Parking], now: Moment) -> FailoverView {
    let id = TaskId::new(task);
    let (Some(plan), Some(state)) = (run.plan.task(&id), run.task(&id)) else {
        return FailoverView::default();
    };
    let agent = run.plan.agent_at(plan, state.agent_index);
    let switches = run.switches(plan, now);
    let waits = matches!(state.state, TaskState::Queued | TaskState::RetryWait);
    let parked = parked.iter().find(|parking| waits && Some(parking.agent.as_str()) == agent);
    FailoverView {
        serving: agent.filter(|_| state.agent_index > 0).map(str::to_owned),
        switches: switches.map(|(used, _)| used),
        switches_max: switches.map(|(_, most)| most),
        parked: parked.map(views::parked_view),
    }
}

fn told_of_run(fact: &RunFact) -> String {
    match fact {
        RunFact::Submitted(submission) => format!("submitted from {}", submission.path.display()),
        RunFact::Moved { state, why } => match why {
            Some(why) => format!("run is {state}: {why}"),
            None => format!("run is {state}"),
        },
        RunFact::TaskQueued { task } => format!("{task}: all it needs is there, queued"),
        RunFact::TaskStarting { task, attempt, n, agent, reason, .. } => {
            format!("{task}: attempt {n} ({attempt}) given to {agent}: {reason}")
        }
        RunFact::TaskRunning { task, .. } => format!("{task}: its agent runs"),
        RunFact::TaskSucceeded { task, .. } => format!("{task}: result accepted"),
        RunFact::TaskRetrying { task, error, reason, .. } => {
            format!("{task}: {}: {}; {reason} follows", error.outcome, error.message)
        }
        RunFact::TaskFailed { task, error, .. } => {
            format!("{task}: failed for good: {}: {}", error.outcome, error.message)
        }
        RunFact::TaskSkipped { task, reason } => format!("{task}: skipped: {reason}"),
        RunFact::TaskCancelled { task, reason } => format!("{task}: stopped: {reason}"),
        RunFact::TaskWaiting { task, run: None } => format!("{task}: waits, without a slot"),
        RunFact::TaskWaiting { task, run: Some(run) } => format!("{task}: waits for {run}"),
        RunFact::TaskRequeued { task, .. } => {
            format!("{task}: its attempt was stopped for a pause; no retry is used")
        }
        RunFact::TaskReset { task } => format!("{task}: is to be done again"),
        RunFact::TaskMapped { task, items } => format!("{task}: has {} items", items.len()),
        RunFact::TaskSpawned { lead, definition } => {
            format!("{lead}: asked for the worker {}", definition["id"])
        }
        RunFact::TaskStalled { task, expected_ms, .. } => {
            format!("{task}: takes more than twice the expected {} s", expected_ms / 1000)
        }
        RunFact::TaskReported { task, report, .. } => {
            format!("{task}: reported a {}: {}", report.kind, report.text)
        }
        RunFact::TaskSpent { task, spent, .. } => {
            format!("{task}: used {} tokens", spent.tokens())
        }
        RunFact::TaskCache { task, fact } => format!("{task}: {}", cached::told(fact)),
        RunFact::Messaged(message) => format!("{} told {} something", message.from, message.to),
        RunFact::Asked(ask) => format!("asked a person ({}): {}", ask.id, ask.question),
        RunFact::Answered { ask, answer, by } => format!("{ask}: answered {answer} by {by}"),
        RunFact::Adjusted { .. } => "the plan was edited".to_owned(),
        RunFact::Reopened => "taken up again".to_owned(),
        RunFact::CancelRequested => "a person asked for its end".to_owned(),
        RunFact::Ended { outcome, .. } => format!("run ended: {outcome}"),
    }
}
