//! What runs used, from the ledger: tokens and money by run, task, attempt, agent and model
//! (features P1 to P6); and what is written down of it when an attempt ends.

use std::collections::{BTreeMap, BTreeSet};

use crate::control::cost_view::{
    AttemptCost, CostReply, HistoryReply, NamedCost, RunCost, TaskCost, TaskHistory, Used,
};
use crate::control::{Failure, Reply};
use crate::ledger::{self, Reader, SpentRow, WorkRow};
use crate::model::{AttemptId, Order, Outcome, Owner, RunId, Spent, TaskId};
use crate::policy::{Agent, able};
use crate::workflow::Event;

use super::Input;
use super::engine::Engine;
use super::now::Now;
use super::refusal::{internal, unknown_target};

/// From this share on a task is worth a word.
const LARGE_SHARE: f64 = 0.3;
/// What the ledger calls the agent of a task that is a command.
const COMMAND: &str = "command";

impl Engine {
    /// Passes on what an attempt is found to have used, before its end.
    pub(super) fn spent(&mut self, order: &Order, mut spent: Vec<Spent>) {
        let Owner::Task { run, .. } = &order.owner else { return };
        if spent.is_empty() {
            return;
        }
        for one in spent.iter_mut().filter(|one| one.model.is_empty()) {
            one.model = order.model.clone().unwrap_or_default();
        }
        let (run, attempt) = (run.clone(), order.attempt.clone());
        let prices = self.settings.config.prices.clone();
        self.decide(Input::Workflow(Event::AttemptSpent { run, attempt, spent, prices }));
    }
}

/// Everything that is reckoned from.
struct Books {
    runs: Vec<ledger::RunSummary>,
    work: Vec<WorkRow>,
    spent: Vec<SpentRow>,
    /// The attempts whose tokens are known.
    told: BTreeSet<AttemptId>,
    wall_ms: i64,
}

/// Answers `cost`.
pub(super) fn cost(
    reader: &Reader,
    run: Option<RunId>,
    agents: &BTreeMap<String, Agent>,
    now: Now,
) -> Reply {
    match read(reader, run.as_ref(), now) {
        Ok(books) => Reply::ok(&books.reply(run.is_some(), agents)),
        Err(failure) => failure.into(),
    }
}

/// Answers what earlier runs of a plan tell.
pub(super) fn history(reader: &Reader, plan: &str) -> Reply {
    let read = || -> Result<HistoryReply, ledger::Error> {
        let (runs, completed, avg_ms) = reader.plan_history(plan)?;
        let task = |(task, avg_ms, runs)| TaskHistory { task, avg_ms: whole(avg_ms), runs };
        Ok(HistoryReply {
            runs,
            completion_rate: (runs > 0).then(|| f64::from(completed) / f64::from(runs)),
            avg_ms: avg_ms.map(whole),
            tasks: reader.task_history(plan)?.into_iter().map(task).collect(),
        })
    };
    match read() {
        Ok(reply) => Reply::ok(&reply),
        Err(error) => internal(error).into(),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a span of time")]
pub(super) fn whole(ms: f64) -> u64 {
    ms.max(0.0).round() as u64
}

fn read(reader: &Reader, run: Option<&RunId>, now: Now) -> Result<Books, Failure> {
    let runs = match run {
        None => reader.run_rows(false).map_err(internal)?,
        Some(run) => {
            let row = reader.run_row(run).map_err(internal)?;
            vec![row.ok_or_else(|| unknown_target(run.as_str()))?]
        }
    };
    let work = reader.work(run).map_err(internal)?;
    let spent = reader.spent(run).map_err(internal)?;
    let told = spent.iter().filter(|row| row.spent.tokens() > 0);
    let told = told.map(|row| row.attempt.clone()).collect();
    Ok(Books { runs, work, spent, told, wall_ms: now.wall_ms })
}

impl Books {
    fn reply(&self, one_run: bool, agents: &BTreeMap<String, Agent>) -> CostReply {
        let tasks = if one_run { self.tasks() } else { Vec::new() };
        CostReply {
            total: sum(self.spent.iter().map(|row| &row.spent), self.unknown(&self.work)),
            runs: self.runs.iter().map(|run| self.run(run)).collect(),
            attempts: if one_run { self.attempts() } else { Vec::new() },
            agents: self.by_name(|row| row.1.agent.clone()),
            models: self.models(),
            advice: advice(&tasks, agents),
            tasks,
        }
    }

    fn run(&self, run: &ledger::RunSummary) -> RunCost {
        let work: Vec<&WorkRow> = self.work.iter().filter(|row| row.run == run.run).collect();
        let agents: BTreeSet<&str> = work.iter().map(|row| row.agent.as_str()).collect();
        let spent = self.spent.iter().filter(|row| row.run == run.run).map(|row| &row.spent);
        let end = run.ended_ms.unwrap_or(self.wall_ms);
        RunCost {
            run: run.run.clone(),
            name: run.name.clone(),
            state: run.state,
            outcome: run.outcome,
            duration_ms: run.started_ms.map_or(0, |start| between(start, end)),
            agents: count(agents.len()),
            attempts: count(work.len()),
            used: sum(spent, self.unknown(work.iter().copied())),
        }
    }

    /// How many of these attempts may have used tokens that nobody told.
    fn unknown<'a>(&self, work: impl IntoIterator<Item = &'a WorkRow>) -> u32 {
        count(work.into_iter().filter(|row| self.is_unknown(row)).count())
    }

    /// A command uses no tokens, nor does a program that could not be started.
    fn is_unknown(&self, row: &WorkRow) -> bool {
        let none = row.agent == COMMAND || row.outcome == Some(Outcome::ExecFailed);
        !none && !self.told.contains(&row.attempt)
    }

    fn tasks(&self) -> Vec<TaskCost> {
        let mut by_task: BTreeMap<&TaskId, Vec<&WorkRow>> = BTreeMap::new();
        for row in &self.work {
            by_task.entry(&row.task).or_default().push(row);
        }
        let task = |(task, work): (&TaskId, Vec<&WorkRow>)| TaskCost {
            task: task.clone(),
            agent: work.last().map(|row| row.agent.clone()).unwrap_or_default(),
            attempts: count(work.len()),
            duration_ms: work.iter().map(|row| self.took(row)).sum(),
            used: {
                let spent = self.spent.iter().filter(|row| row.task == *task);
                sum(spent.map(|row| &row.spent), self.unknown(work.iter().copied()))
            },
        };
        let mut tasks: Vec<TaskCost> = by_task.into_iter().map(task).collect();
        tasks.sort_by(|a, b| dearer(&a.used, &b.used));
        tasks
    }

    fn attempts(&self) -> Vec<AttemptCost> {
        let of = |row: &WorkRow| AttemptCost {
            attempt: row.attempt.clone(),
            task: row.task.clone(),
            agent: row.agent.clone(),
            duration_ms: self.took(row),
            outcome: row.outcome,
            used: sum(self.of_attempt(&row.attempt), self.unknown([row])),
        };
        self.work.iter().map(of).collect()
    }

    fn of_attempt<'a>(&'a self, attempt: &'a AttemptId) -> impl Iterator<Item = &'a Spent> {
        self.spent.iter().filter(move |row| row.attempt == *attempt).map(|row| &row.spent)
    }

    fn took(&self, row: &WorkRow) -> u64 {
        between(row.intended_ms, row.ended_ms.unwrap_or(self.wall_ms))
    }

    /// By something that is known of each attempt.
    fn by_name(&self, name: impl Fn((&AttemptId, &WorkRow)) -> String) -> Vec<NamedCost> {
        let mut names: BTreeMap<&AttemptId, String> = BTreeMap::new();
        let mut found: BTreeMap<String, Share<'_>> = BTreeMap::new();
        for row in &self.work {
            let name = name((&row.attempt, row));
            let share = found.entry(name.clone()).or_default();
            share.attempts += 1;
            share.unknown += u32::from(self.is_unknown(row));
            names.insert(&row.attempt, name);
        }
        for row in &self.spent {
            let Some(share) = names.get(&row.attempt).and_then(|name| found.get_mut(name)) else {
                continue;
            };
            share.spent.push(&row.spent);
        }
        named(found)
    }

    /// By model, as far as one was told.
    fn models(&self) -> Vec<NamedCost> {
        let mut attempts: BTreeMap<&str, BTreeSet<&AttemptId>> = BTreeMap::new();
        let mut found: BTreeMap<String, Share<'_>> = BTreeMap::new();
        for row in &self.spent {
            attempts.entry(&row.spent.model).or_default().insert(&row.attempt);
            found.entry(row.spent.model.clone()).or_default().spent.push(&row.spent);
        }
        for (model, share) in &mut found {
            let Some(attempts) = attempts.get(model.as_str()) else { continue };
            share.attempts = count(attempts.len());
            share.unknown = count(attempts.iter().filter(|it| !self.told.contains(**it)).count());
        }
        named(found)
    }
}

/// What belongs to one name.
#[derive(Default)]
struct Share<'a> {
    attempts: u32,
    unknown: u32,
    spent: Vec<&'a Spent>,
}

fn named(found: BTreeMap<String, Share<'_>>) -> Vec<NamedCost> {
    let entry = |(name, share): (String, Share<'_>)| NamedCost {
        name,
        attempts: share.attempts,
        used: sum(share.spent.into_iter(), share.unknown),
    };
    let mut list: Vec<NamedCost> = found.into_iter().map(entry).collect();
    list.sort_by(|a, b| dearer(&a.used, &b.used));
    list
}

/// What most money went into, where there is something to be said about it.
fn advice(tasks: &[TaskCost], agents: &BTreeMap<String, Agent>) -> Vec<String> {
    let size = |used: &Used| used.cost_usd.unwrap_or(0.0);
    let all: f64 = tasks.iter().map(|task| size(&task.used)).sum();
    let large = tasks.iter().filter(|task| all > 0.0 && size(&task.used) / all >= LARGE_SHARE);
    large
        .take(3)
        .map(|task| {
            let share = size(&task.used) / all * 100.0;
            let cheaper = cheaper(&task.agent, agents);
            let cheaper = cheaper.map_or(String::new(), |text| format!("; {text}"));
            format!("`{}` by `{}` took {share:.0} % of the money{cheaper}", task.task, task.agent)
        })
        .collect()
}

/// Somebody who costs less than an agent and can do something that it is asked for.
fn cheaper(name: &str, agents: &BTreeMap<String, Agent>) -> Option<String> {
    let agent = agents.get(name)?;
    agent.capabilities.iter().find_map(|capability| {
        let names = able(agents, capability);
        let less = names.iter().find(|other| {
            agents.get(*other).is_some_and(|other| other.traits.cost < agent.traits.cost)
        })?;
        Some(format!("`{less}` costs less and can do `{capability}` too"))
    })
}

/// The one that cost more first, then the one with more tokens.
fn dearer(a: &Used, b: &Used) -> std::cmp::Ordering {
    let tokens = |used: &Used| used.tokens_in.unwrap_or(0) + used.tokens_out.unwrap_or(0);
    let cost = |used: &Used| used.cost_usd.unwrap_or(0.0);
    cost(b).total_cmp(&cost(a)).then(tokens(b).cmp(&tokens(a)))
}

/// All of it, beside that of so many attempts of which nobody told anything. Where none is like
/// that and nothing was used, that is known too.
#[expect(clippy::cast_precision_loss, reason = "nobody spends 2^53 millionths of a dollar")]
fn sum<'a>(spent: impl Iterator<Item = &'a Spent>, unknown: u32) -> Used {
    let (mut total, mut used) = (Spent::default(), Used::default());
    for one in spent {
        total.add(one);
        used.estimated |= one.cost_microusd.is_some() && !one.cost_reported;
        used.tokens_unpriced += if one.cost_microusd.is_none() { one.tokens() } else { 0 };
    }
    let known = |tokens: u64| (unknown == 0 || total.tokens() > 0).then_some(tokens);
    let nothing = (unknown == 0 && total.tokens() == 0).then_some(0);
    Used {
        tokens_in: known(total.tokens_in()),
        cache_read: known(total.cache_read),
        cache_write: known(total.cache_write),
        tokens_out: known(total.output),
        attempts_unknown: unknown,
        cost_usd: total.cost_microusd.or(nothing).map(|micro| micro as f64 / 1e6),
        ..used
    }
}

fn between(start: i64, end: i64) -> u64 {
    u64::try_from(end - start).unwrap_or(0)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
