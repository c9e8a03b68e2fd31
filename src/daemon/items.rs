//! Work items: tasks as those see them who look after the work (features N1-N14, rulings Z4, Z15).
//! Views are made from runs, live ones from memory and others from the ledger.

use std::sync::Arc;

use serde_json::Value;

use crate::control::inside::NotedReply;
use crate::control::items::{HookReply, ItemView, ItemsReply, ItemsStats, Ticket};
use crate::control::{Failure, FailureKind, ItemsAsk, Reply, Responder};
use crate::model::{Order, Outcome, Output, RunFact, TaskError, TaskId, WorkReport};
use crate::plan::Work;
use crate::transcript::value_of;
use crate::workflow::{self, Run};

use super::asker::Speaker;
use super::engine::Engine;
use super::item_view::{item, item_id};
use super::now::Now;
use super::refusal::{internal, unknown_target};
use super::summaries::{Runs, Summary};
use super::{Input, skill};

/// How many runs are looked at for lists, the newest.
const RUNS_MAX: usize = 200;
/// The first word of a command that is this program itself.
const OWN_PROGRAM: &str = "muxvisor-builtin";

impl Engine {
    pub(super) fn items(&mut self, ask: ItemsAsk, responder: Responder) {
        if let ItemsAsk::End { id, result, error } = ask {
            return match self.end_item(&id, result, error) {
                Ok(reply) => self.reply(responder, reply),
                Err(failure) => responder.reply(failure),
            };
        }
        let live: Vec<Run> = self.core.workflow.runs().cloned().collect();
        let kept = Arc::clone(&self.summaries);
        self.ask_ledger(responder, move |reader, now| {
            answer(&Runs { live, reader, kept: &kept, now }, &ask).unwrap_or_else(Reply::from)
        });
    }

    /// Inline work: a person did what no attempt is at, or gave it up (feature N14).
    fn end_item(
        &mut self,
        id: &str,
        result: Option<String>,
        error: Option<String>,
    ) -> Result<Reply, Failure> {
        let usage = |message: String| Failure::new(FailureKind::Usage, message);
        let live: Vec<&Run> = self.core.workflow.runs().collect();
        let found = live.iter().rev().find_map(|run| Some((*run, find(run, id)?)));
        let (run, task) = found.ok_or_else(|| {
            usage(format!("no run that goes on has an item `{id}`"))
                .hint("`muxvisor items list --status in_progress` lists what there is")
        })?;
        let (plan, state) = run
            .plan
            .task(&task)
            .zip(run.task(&task))
            .ok_or_else(|| internal(format!("{task} is in no plan")))?;
        let (run_id, name) = (run.id.clone(), format!("{}/{task}", run.id));
        if state.state.is_end() {
            return Err(usage(format!("{name} is {} already", state.state)));
        }
        if state.is_live() {
            let message = format!("{name} is {}: an attempt works on it", state.state);
            return Err(usage(message).hint("wait for its end, or cancel the run"));
        }
        if plan.for_each.is_some() || matches!(plan.work, Work::Plan(_) | Work::Approve { .. }) {
            let kind = plan.work.word();
            let message = format!("{name} is of kind `{kind}` and ends by what it waits for");
            return Err(usage(message).hint("`muxvisor why` says what it waits for"));
        }
        let fact = match (result, error) {
            (Some(text), _) => {
                let value = value_of(&text, plan.output.as_ref()).map_err(|why| {
                    usage(format!("the result does not fit: {why}"))
                        .hint("its schema stands in the plan, as `output`")
                })?;
                RunFact::TaskSucceeded {
                    task: task.clone(),
                    attempt: None,
                    output: Output::of(value),
                }
            }
            (None, why) => {
                let error = TaskError {
                    outcome: Outcome::Cancelled,
                    message: why.unwrap_or_else(|| "a person gave it up".to_owned()),
                    exit_code: None,
                    signal: None,
                    tail: String::new(),
                    log: None,
                };
                RunFact::TaskFailed { task: task.clone(), attempt: None, error }
            }
        };
        self.remark(run_id.as_str(), format!("item {task} was ended by a person"));
        let event = workflow::Event::Said { run: run_id.clone(), facts: vec![fact] };
        self.decide(Input::Workflow(event));
        let now = Now { moment: self.clock.now(), wall_ms: self.clock.wall_ms() };
        let run = self.core.workflow.run(&run_id).ok_or_else(|| internal("the run is gone"))?;
        let view = run.plan.task(&task).zip(run.task(&task)).map(|(p, t)| item(run, p, t, now));
        Ok(Reply::ok(&view))
    }

    /// What a hook is to look at: the task that it follows.
    pub(super) fn hook(&self, speaker: &Speaker, responder: Responder) {
        let Some(run) = self.core.workflow.run(&speaker.run).cloned() else {
            return responder.reply(unknown_target(speaker.run.as_str()));
        };
        let Some(of) = followed(&run, &speaker.task) else {
            return responder.reply(no_hook(&speaker.task));
        };
        let lessons = self.lessons_of(&run.plan.name);
        self.ask_ledger(responder, move |reader, now| {
            let Some((plan, task)) = run.plan.task(&of).zip(run.task(&of)) else {
                return unknown_target(of.as_str()).into();
            };
            let agent = task.agent.as_deref().filter(|_| !plan.work.agents().is_empty());
            let skill = agent.and_then(|agent| skill::skill(reader, agent).ok());
            let schema = plan.output.clone();
            Reply::ok(&HookReply { item: item(&run, plan, task, now), schema, skill, lessons })
        });
    }

    /// What a hook found is kept with the task that it follows, once for each hook and finding.
    pub(super) fn found(
        &mut self,
        speaker: &Speaker,
        report: WorkReport,
    ) -> Result<Reply, Failure> {
        let run = self.core.workflow.run(&speaker.run);
        let run = run.ok_or_else(|| unknown_target(speaker.run.as_str()))?;
        let of = followed(run, &speaker.task).ok_or_else(|| no_hook(&speaker.task))?;
        let name = run.plan.name.clone();
        let kind = |data: &Value| {
            let fields = data.as_object().into_iter().flat_map(|data| data.keys());
            fields.cloned().collect::<Vec<_>>()
        };
        let known = run.kept.reports.get(&of).into_iter().flatten();
        let by_hook =
            |data: &Value| data["hook"] == report.data["hook"] && kind(data) == kind(&report.data);
        let recorded = !known.into_iter().any(|(_, known)| by_hook(&known.data));
        if recorded {
            let attempt = speaker.attempt.clone();
            self.said(speaker, vec![RunFact::TaskReported { task: of, attempt, report }]);
        }
        self.learn(&name);
        Ok(Reply::ok(&NotedReply { recorded }))
    }

    /// Names this program where a plan says that it is meant, wherever it lies.
    pub(super) fn put_own_program(&self, order: &mut Order) {
        let is_command = order.agent == "command";
        if let Some(word) = order.argv.first_mut().filter(|word| is_command && *word == OWN_PROGRAM)
        {
            *word = self.settings.program.display().to_string();
        }
    }
}

/// The task that a hook follows.
fn followed(run: &Run, hook: &TaskId) -> Option<TaskId> {
    let origin = run.plan.task(hook)?.origin.as_ref()?;
    origin.hook_of().map(|(of, _)| of.clone())
}

fn no_hook(task: &TaskId) -> Failure {
    Failure::new(FailureKind::Usage, format!("task `{task}` is no hook"))
        .hint("`muxvisor hook` runs as the hook of a task: [[task.hook]] run = \"sanity-check\"")
}

fn answer(runs: &Runs<'_>, ask: &ItemsAsk) -> Result<Reply, Failure> {
    match ask {
        ItemsAsk::List { run, status, hooks, since_ms } => {
            let wanted = |item: &&ItemView| {
                let wanted = status.as_ref().is_none_or(|word| item.status == *word);
                let new =
                    since_ms.is_none_or(|since| item.started_at_ms.is_some_and(|at| at >= since));
                wanted && new && item.hook_of.is_some() == *hooks
            };
            let mut items = Vec::new();
            let mut add =
                |seen: Arc<Summary>| items.extend(seen.items.iter().filter(wanted).cloned());
            match run {
                None => runs.newest(RUNS_MAX).map_err(internal)?.for_each(add),
                Some(run) => match runs.one(run).map_err(internal)? {
                    Some(seen) => add(seen),
                    None => return Err(unknown_target(run.as_str())),
                },
            }
            Ok(Reply::ok(&ItemsReply { items }))
        }
        ItemsAsk::Show { id } => {
            let mut newest = runs.newest(RUNS_MAX).map_err(internal)?;
            let found = newest.find_map(|seen| {
                let id = id
                    .strip_prefix(seen.run.as_str())
                    .and_then(|rest| rest.strip_prefix('/'))
                    .unwrap_or(id);
                seen.items.iter().find(|item| item.task.as_str() == id || item.id == id).cloned()
            });
            found.map(|item| Reply::ok(&item)).ok_or_else(|| {
                Failure::new(FailureKind::Usage, format!("there is no item `{id}`"))
                    .hint("`muxvisor items list` lists them")
            })
        }
        ItemsAsk::Stats => stats(runs).map(|stats| Reply::ok(&stats)),
        ItemsAsk::End { .. } => Err(internal("an end is no question")),
    }
}

fn stats(runs: &Runs<'_>) -> Result<ItemsStats, Failure> {
    let mut stats = ItemsStats::default();
    for seen in runs.newest(RUNS_MAX).map_err(internal)? {
        *stats.runs.entry(seen.state.to_string()).or_default() += 1;
        for view in &seen.items {
            let counts = if view.hook_of.is_some() { &mut stats.hooks } else { &mut stats.items };
            *counts.entry(view.status.clone()).or_default() += 1;
            let tickets = view.findings.iter().filter(|found| found.data.get("ticket").is_some());
            stats.tickets.extend(tickets.map(|found| Ticket {
                item: view.id.clone(),
                run: seen.run.clone(),
                task: view.task.clone(),
                text: found.text.clone(),
                data: found.data.clone(),
            }));
        }
    }
    for agent in runs.reader.agents_of_tasks().map_err(internal)? {
        stats.agents.push(skill::skill(runs.reader, &agent).map_err(internal)?);
    }
    Ok(stats)
}

/// The task that is meant: `wf-NAME-stage-N`, `RUN/TASK` or `TASK`; the same behind `RUN/`.
fn find(run: &Run, id: &str) -> Option<TaskId> {
    let within = id.strip_prefix(run.id.as_str()).and_then(|rest| rest.strip_prefix('/'));
    let name = within.unwrap_or(id);
    run.plan
        .tasks
        .iter()
        .find(|task| task.id.as_str() == name || item_id(run, &task.id) == name)
        .map(|task| task.id.clone())
}
