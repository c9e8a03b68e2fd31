//! Puts a plan together from a draft in which nothing is wrong: names become ids, what was not
//! said gets its default.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::depend::Dependencies;
use super::draft::{Draft, DraftTask, Kind};
use super::read::MAX_PARALLEL;
use super::reference::Piece;
use super::surroundings::Surroundings;
use super::text::{InputText, Shape, Text};
use super::{
    DependsOn, EntryPoint, InputUse, InputValue, OutputAs, Phase, Plan, Task, TaskAgent, Template,
    TemplatePart, Work, names, schema, staff,
};
use crate::model::TaskId;
use crate::policy::Agent;

/// How many attempts run at once, unless the plan says (ruling Z2).
const USUAL_PARALLEL: u32 = 6;
/// Extra attempts, unless the plan says (ruling Z1).
const RETRIES: u32 = 2;
/// Extra attempts after timeouts, unless the plan says (ruling Z1).
const RETRIES_ON_TIMEOUT: u32 = 1;
/// One attempt, unless the plan or the agent says (ruling Z14).
const TIMEOUT_MS: u64 = 15 * 60_000;

/// The plan as it is run.
pub(crate) fn plan(
    draft: &Draft,
    dependencies: &Dependencies,
    agents: BTreeMap<String, Agent>,
    inputs: BTreeMap<String, Json>,
    surroundings: &Surroundings<'_>,
) -> Plan {
    let mut tasks: Vec<Task> =
        draft.tasks.iter().map(|it| task(draft, it, &agents, surroundings.demo)).collect();
    for wait in &dependencies.waits {
        let on = TaskId::new(draft.tasks[wait.on].id.value.clone());
        tasks[wait.node].needs.push(DependsOn { task: on, cause: wait.cause, hard: wait.hard });
    }
    let max_parallel = surroundings.max_parallel.or(draft.max_parallel).unwrap_or(USUAL_PARALLEL);
    Plan {
        schema: 1,
        name: draft.name.clone(),
        goal: draft.goal.clone(),
        pattern: draft.pattern.as_ref().map(|pattern| pattern.value.word().to_owned()),
        max_parallel: max_parallel.clamp(1, MAX_PARALLEL),
        approval: draft.approval,
        approval_expiry: None,
        phases: (0..draft.phases.len()).map(|at| phase(draft, at, dependencies)).collect(),
        tasks,
        agents,
        inputs,
        stop_after_failures: 3,
        budget: None,
        limits: BTreeMap::new(),
        on: Vec::new(),
    }
}

fn phase(draft: &Draft, at: usize, dependencies: &Dependencies) -> Phase {
    let phase = &draft.phases[at];
    let id = |at: &usize| draft.phases[*at].id.value.clone();
    let task = |at: usize| TaskId::new(draft.tasks[at].id.value.clone());
    Phase {
        id: phase.id.value.clone(),
        mode: draft.mode(at),
        depends_on: dependencies.phases[at].iter().map(id).collect(),
        on_partial_failure: phase.on_partial_failure,
        tasks: phase.tasks.clone().map(task).collect(),
        when: None,
        min_success: None,
        gather_timeout_ms: None,
        max_parallel: None,
    }
}

fn task(draft: &Draft, task: &DraftTask, agents: &BTreeMap<String, Agent>, demo: bool) -> Task {
    let settings = &task.settings;
    let retries = settings.retries.unwrap_or(RETRIES);
    let (output_as, output) = output(&task.shape);
    Task {
        id: TaskId::new(task.id.value.clone()),
        phase: draft.phases[task.phase].id.value.clone(),
        description: template(draft, &task.description),
        role: settings.role.clone(),
        constraints: settings.constraints.iter().flatten().map(|it| template(draft, it)).collect(),
        output_key: task.output_key.as_ref().map(|key| key.value.clone()),
        output_as,
        output,
        entry_point: task
            .entry_point
            .as_ref()
            .map(|(kind, value)| EntryPoint { kind: kind.clone(), value: template(draft, value) }),
        work: work(draft, task, retries, demo),
        inputs: settings
            .inputs()
            .map(|(name, value)| InputUse {
                name: name.value.clone(),
                value: input_value(draft, value),
            })
            .collect(),
        needs: Vec::new(),
        retries,
        // A task that gets no retries gets none after a timeout either.
        retries_on_timeout: settings.retries_on_timeout.unwrap_or(RETRIES_ON_TIMEOUT).min(retries),
        retry_on: settings.retry_on(),
        no_retry_exit: settings.no_retry_exit.clone().unwrap_or_default(),
        retry_wait: settings.retry_wait(),
        timeout_ms: timeout(task, agents),
        idle_timeout_ms: settings.idle_timeout.flatten(),
        expected_ms: settings.expected.as_ref().and_then(|span| span.value),
        priority: settings.priority.unwrap_or(0),
        optional: settings.optional.unwrap_or(false),
        cwd: settings.cwd.clone(),
        when: None,
        for_each: None,
        origin: None,
        lead: None,
        messages: Vec::new(),
        uses: BTreeMap::new(),
        model: None,
        queue_timeout_ms: None,
        total_timeout_ms: None,
        cache_ms: None,
        budget: None,
        tier: 2,
    }
}

/// The task's own limit, else the one of its first agent, else the usual one.
fn timeout(task: &DraftTask, agents: &BTreeMap<String, Agent>) -> Option<u64> {
    let of_agent = task.settings.agent.as_ref().and_then(|name| agents.get(&name.value));
    let of_agent = of_agent.and_then(|agent| agent.policy.timeout_ms);
    match &task.settings.timeout {
        Some(limit) => limit.value,
        None => of_agent.or(Some(TIMEOUT_MS)),
    }
}

fn output(shape: &Shape) -> (OutputAs, Option<Json>) {
    match shape {
        Shape::Json(schema) => (OutputAs::Json, Some(schema.clone())),
        Shape::Report => (OutputAs::Report, None),
        Shape::Text | Shape::Unknown => (OutputAs::Text, None),
    }
}

/// Retries are the primary agent's; a fallback has one attempt.
fn work(draft: &Draft, task: &DraftTask, retries: u32, demo: bool) -> Work {
    if task.kind == Kind::Command {
        let run: Vec<Template> = task.run.iter().map(|it| template(draft, it)).collect();
        return Work::Command { run: if demo { stand_in(run, &task.shape) } else { run } };
    }
    let names = staff::names_of(task, demo).into_iter().enumerate();
    let agent = |(at, name)| TaskAgent { name, retries: if at == 0 { retries } else { 0 } };
    Work::Agent { agents: names.map(agent).collect(), capability: None }
}

/// What a demonstration does in place of a command, which may need programs that are not there,
/// and change what should stay as it is: it says what it would run, or gives an example.
fn stand_in(run: Vec<Template>, shape: &Shape) -> Vec<Template> {
    let text = |text: &str| Template { parts: vec![TemplatePart::Text(text.to_owned())] };
    match shape {
        Shape::Json(schema) => {
            vec![text("printf"), text("%s\\n"), text(&schema::example(schema).to_string())]
        }
        Shape::Report | Shape::Text | Shape::Unknown => {
            [text("echo"), text("a demo does not run:")].into_iter().chain(run).collect()
        }
    }
}

fn input_value(draft: &Draft, value: &InputText) -> InputValue {
    let plain = |text: &Text| text.pieces.iter().all(|piece| matches!(piece, Piece::Text(_)));
    match value {
        InputText::Plain(value) => InputValue::Plain(value.clone()),
        InputText::Text(text) if plain(text) => {
            InputValue::Plain(Json::String(template(draft, text).written()))
        }
        InputText::Text(text) => InputValue::Text(template(draft, text)),
        InputText::List(items) => {
            InputValue::List(items.iter().map(|item| input_value(draft, item)).collect())
        }
        InputText::Table(entries) => {
            let read = entries.iter().map(|(name, it)| (name.clone(), input_value(draft, it)));
            InputValue::Table(read.collect())
        }
    }
}

fn template(draft: &Draft, text: &Text) -> Template {
    let part = |piece: &Piece| match piece {
        Piece::Text(text) => Some(TemplatePart::Text(text.clone())),
        Piece::Reference(written) => {
            // Invariant: every reference was found when dependencies were collected, without
            // which nothing is put together.
            let to = names::target(draft, written).ok()?.edge(draft);
            let (default, written) = (written.default.clone(), written.text.clone());
            Some(TemplatePart::Reference { written, to, default })
        }
    };
    Template { parts: text.pieces.iter().filter_map(part).collect() }
}
