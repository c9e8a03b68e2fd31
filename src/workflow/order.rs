//! Writes the order of an attempt: what is run, with which prompt or arguments, within which limits.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::model::{
    EnvFilter, Limits, Order, Owner, PromptBy, ResultRule, StartReason, TaskError, UsageFormat,
    window_label,
};
use crate::plan::{
    self, InputUse, Lookup, Origin, OutputAs, Template, Work, resolve_input, resolve_text,
};
use crate::policy::{Agent, Identity, Policy};

use super::handing::{self, Handed};
use super::values::Values;
use super::{Run, failover, prompt, tools};

pub(super) fn order(
    run: &Run,
    plan: &plan::Task,
    agent_index: usize,
    identity: Identity,
) -> Result<Order, TaskError> {
    let values = Values::of(run, plan);
    let cwd = working_directory(&run.submission.cwd, plan.cwd.as_deref());
    let mut order = match &plan.work {
        Work::Agent { .. } => {
            let name = run.plan.agent_at(plan, agent_index).unwrap_or_default();
            let agent = run.plan.agents.get(name).ok_or_else(|| {
                TaskError::unusable(format!("agent `{name}` is missing from the frozen plan"))
            })?;
            let mut agent = agent.clone();
            if has_model_of_task(run, plan, &agent) {
                agent.model = plan.model.clone().or(agent.model);
            }
            let mut order = agent.order(identity, cwd);
            order.handover = handed_over(run, plan, &order);
            order.prompt = Some(agent_prompt(run, plan, &agent, &values, &order)?);
            handing::check_prompt(&order).map_err(TaskError::unusable)?;
            order
        }
        Work::Command { run: argv } => command_order(plan, argv, &values, identity, cwd)?,
        Work::Reduce(_)
        | Work::Approve { .. }
        | Work::Wait { .. }
        | Work::Emit { .. }
        | Work::Plan(_) => return Err(no_attempts(plan)),
    };
    if let Some(label) = Run::hook_label(plan) {
        order.label = window_label(&label, &order.attempt);
    }
    order.schema.clone_from(&plan.output);
    order.pools = plan.uses.keys().cloned().collect();
    order.result_required |= owes_result(run, plan);
    // The checker has worked the agent's own limit in; none is a plan's word too.
    order.limits.run_ms = plan.timeout_ms;
    order.limits.idle_ms = plan.idle_timeout_ms.or(order.limits.idle_ms);
    order.env.insert("MUXVISOR_RUN".to_owned(), run.id.to_string());
    order.env.insert("MUXVISOR_TASK".to_owned(), plan.id.to_string());
    Ok(order)
}

/// Why nothing can be ordered for it.
pub(super) fn no_attempts(plan: &plan::Task) -> TaskError {
    TaskError::unusable(format!("a task of kind `{}` has no attempts", plan.work.word()))
}

/// Whether success without a result is none, whoever does it.
pub(super) fn owes_result(run: &Run, plan: &plan::Task) -> bool {
    let reported = plan.output_as == OutputAs::Report;
    // A worker's result goes to its lead.
    let read = || is_read(run, plan) || plan.worker_of().is_some();
    plan.output.is_some() || (!reported && read())
}

/// A task may ask for another model than its agent has. Whoever stands in for that one on another
/// program would not know it.
fn has_model_of_task(run: &Run, plan: &plan::Task, agent: &Agent) -> bool {
    let first = run.plan.agent_at(plan, 0).and_then(|name| run.plan.agents.get(name));
    first.is_none_or(|first| first.command.first() == agent.command.first())
}

/// Whether another task waits for the output of this one, which then must exist. What is gathered
/// from items is wanted of each.
fn is_read(run: &Run, plan: &plan::Task) -> bool {
    match &plan.origin {
        Some(Origin::Item { of, .. }) => run.census.is_read(of),
        Some(Origin::Hook { .. } | Origin::Worker { .. } | Origin::Finish) | None => {
            run.census.is_read(&plan.id)
        }
    }
}

fn handed_over(run: &Run, plan: &plan::Task, order: &Order) -> Option<String> {
    let task = run.task(&plan.id).filter(|_| order.reason == StartReason::Failover)?;
    failover::told(task, &order.agent, &order.cwd.to_string_lossy())
}

pub(super) fn working_directory(submitter: &Path, own: Option<&str>) -> PathBuf {
    own.map_or_else(|| submitter.to_owned(), |own| submitter.join(own))
}

/// What a plan says to the agent of a task, references resolved.
pub(super) struct Said<'a> {
    pub(super) entry: Option<(&'a str, String)>,
    pub(super) description: String,
    pub(super) constraints: Vec<String>,
    pub(super) inputs: Vec<(String, Value)>,
}

impl<'a> Said<'a> {
    pub(super) fn of(plan: &'a plan::Task, values: &dyn Lookup) -> Result<Self, TaskError> {
        let constraints = plan.constraints.iter().map(|constraint| text(constraint, values));
        let entry = plan.entry_point.as_ref();
        let entry = entry.map(|entry| Ok((entry.kind.as_str(), text(&entry.value, values)?)));
        Ok(Self {
            description: text(&plan.description, values)?,
            constraints: constraints.collect::<Result<_, _>>()?,
            entry: entry.transpose()?,
            inputs: inputs(&plan.inputs, values)?,
        })
    }
}

fn agent_prompt(
    run: &Run,
    plan: &plan::Task,
    agent: &Agent,
    values: &dyn Lookup,
    order: &Order,
) -> Result<String, TaskError> {
    let state = run.task(&plan.id).expect("the plan's tasks are the run's");
    let said = Said::of(plan, values)?;
    // Typed prompts are echoed by the terminal, so their result tag carries the attempt's letters.
    let typed = order.prompt_by == PromptBy::Type;
    Ok(prompt::render(&prompt::Parts {
        task: plan,
        agent: &agent.traits,
        entry: said.entry,
        description: &said.description,
        constraints: &said.constraints,
        inputs: &said.inputs,
        handover: order.handover.as_deref(),
        previous: state.error.as_ref().map(|error| (state.n, error)),
        told: &tools::told(run, plan),
        result: order.result,
        terminal: order.terminal,
        tag: typed.then(|| order.token.tag()),
    }))
}

/// A program without model: no window, pipes, its inputs are environment variables.
fn command_order(
    plan: &plan::Task,
    argv: &[Template],
    values: &dyn Lookup,
    identity: Identity,
    cwd: PathBuf,
) -> Result<Order, TaskError> {
    let argv: Result<Vec<String>, TaskError> = argv.iter().map(|word| text(word, values)).collect();
    let argv = argv?;
    handing::check_arguments(&argv).map_err(TaskError::unusable)?;
    // With an `output`, what it prints is the result, be that text or JSON.
    let prints = plan.output_as != OutputAs::Report;
    let Handed { env, files } = handing::to_command(inputs(&plan.inputs, values)?);
    let (session, label) = match &identity.owner {
        Owner::Task { run, task } => {
            let parts = ["wf", run.as_str(), task.as_str(), "command"];
            (run.to_string(), window_label(&parts, &identity.attempt))
        }
        Owner::Instance { name } => (name.clone(), name.clone()),
    };
    // A program that nobody configured lives by the policy of an agent that says nothing.
    let policy = Policy::default();
    Ok(Order {
        attempt: identity.attempt,
        token: identity.token,
        owner: identity.owner,
        n: identity.n,
        reason: identity.reason,
        agent: "command".to_owned(),
        label,
        session,
        windowed: false,
        argv,
        env,
        cwd,
        prompt: None,
        prompt_by: PromptBy::None,
        terminal: false,
        result: if prints { ResultRule::Stdout } else { ResultRule::None },
        result_required: prints,
        schema: None,
        env_filter: EnvFilter::default(),
        success_codes: policy.success_codes,
        success_signals: policy.success_signals,
        stop: policy.stop,
        limits: Limits { start_ms: policy.start_timeout_ms, run_ms: None, idle_ms: None },
        oom_score_adjust: policy.oom_score_adjust,
        resources: policy.resources,
        care: policy.care,
        handover: None,
        files,
        model: None,
        usage: UsageFormat::None,
        pools: Vec::new(),
    })
}

pub(super) fn inputs(
    uses: &[InputUse],
    values: &dyn Lookup,
) -> Result<Vec<(String, Value)>, TaskError> {
    uses.iter()
        .map(|input| {
            let value = resolve_input(&input.value, values);
            value
                .map(|value| (input.name.clone(), value))
                .map_err(|e| TaskError::unusable(e.to_string()))
        })
        .collect()
}

pub(super) fn text(template: &Template, values: &dyn Lookup) -> Result<String, TaskError> {
    resolve_text(template, values).map_err(|missing| TaskError::unusable(missing.to_string()))
}
