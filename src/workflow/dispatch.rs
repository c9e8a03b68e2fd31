//! Gives free slots to queued tasks and writes their orders. Slots are counted from live tasks,
//! never held in a counter, so a crash cannot leak one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::model::{
    EnvFilter, Limits, Moment, Order, Outcome, Owner, PromptBy, ResultRule, RunFact, RunId,
    StartReason, TaskError, TaskId, TaskState, window_label,
};
use crate::plan::{
    self, DependsCause, DependsOn, InputUse, Lookup, OutputAs, Template, Work, as_text,
    resolve_input, resolve_text,
};
use crate::policy::{Identity, Policy};

use super::{Action, Run, Workflow, failover, prompt};

/// A queued task gains one point of priority for each such span it has waited (feature J1), so
/// that nothing starves.
const AGEING: Duration = Duration::from_secs(60);

/// A task that could start now.
struct Candidate {
    run: RunId,
    task: TaskId,
    priority: i64,
    remaining_ms: u64,
    queued: Moment,
}

/// Who is to start a task.
struct Choice {
    /// The agent's name; none for a task without agent.
    agent: Option<String>,
    /// Its place in the roster.
    index: usize,
    /// Why it is started.
    reason: StartReason,
}

/// How many attempts of tasks live, counted afresh for each dispatch.
#[derive(Default)]
struct Live {
    all: usize,
    of_run: BTreeMap<RunId, usize>,
    of_agent: BTreeMap<String, usize>,
}

impl Live {
    fn count<'a>(runs: impl Iterator<Item = &'a Run>) -> Self {
        let mut live = Self::default();
        for run in runs {
            for task in run.tasks.values().filter(|task| task.is_live()) {
                live.add(&run.id, task.agent.as_deref());
            }
        }
        live
    }

    fn add(&mut self, run: &RunId, agent: Option<&str>) {
        self.all += 1;
        *self.of_run.entry(run.clone()).or_default() += 1;
        *self.of_agent.entry(agent.unwrap_or_default().to_owned()).or_default() += 1;
    }

    fn of_run(&self, run: &RunId) -> usize {
        self.of_run.get(run).copied().unwrap_or(0)
    }

    fn of_agent(&self, agent: &str) -> usize {
        self.of_agent.get(agent).copied().unwrap_or(0)
    }
}

impl Workflow {
    pub(super) fn dispatch(&mut self, now: Moment, out: &mut Vec<Action>) {
        let mut live = Live::count(self.runs.values());
        if live.all >= self.live_max {
            return;
        }
        for candidate in self.candidates(now) {
            let Some(choice) = self.choose(now, &candidate) else { continue };
            if !self.has_room(&candidate, choice.agent.as_deref(), &live) {
                continue;
            }
            if self.start(now, &candidate.run, &candidate.task, &choice, out) {
                live.add(&candidate.run, choice.agent.as_deref());
            }
        }
    }

    /// Who is to start a candidate; none while its agents are parked.
    fn choose(&self, now: Moment, candidate: &Candidate) -> Option<Choice> {
        let run = self.runs.get(&candidate.run)?;
        let (plan, task) = (run.plan.task(&candidate.task)?, run.task(&candidate.task)?);
        let (index, reason) = failover::choose(now, run, plan, task, &self.parked)?;
        Some(Choice { agent: run.plan.agent_at(plan, index).map(str::to_owned), index, reason })
    }

    /// Larger priority first, then the longer way still to go, then the longer wait.
    fn candidates(&self, now: Moment) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = Vec::new();
        for run in self.runs.values() {
            if !run.takes_work() {
                continue;
            }
            let remaining = remaining_ms(run);
            for (plan, task) in run.tasks() {
                if task.state != TaskState::Queued {
                    continue;
                }
                let queued = task.queued.unwrap_or(now);
                let aged = now.since(queued).as_secs() / AGEING.as_secs();
                found.push(Candidate {
                    run: run.id.clone(),
                    task: plan.id.clone(),
                    priority: plan.priority.saturating_add_unsigned(aged),
                    remaining_ms: remaining[&plan.id],
                    queued,
                });
            }
        }
        found.sort_by(|a, b| {
            (b.priority, b.remaining_ms)
                .cmp(&(a.priority, a.remaining_ms))
                .then(a.queued.cmp(&b.queued))
        });
        found
    }

    /// The three limits: of the daemon, of the run, of the agent.
    fn has_room(&self, candidate: &Candidate, agent: Option<&str>, live: &Live) -> bool {
        let run = &self.runs[&candidate.run];
        // A candidate before it may have failed and so ended its run.
        if !run.takes_work()
            || live.all >= self.live_max
            || live.of_run(&run.id) >= run.plan.max_parallel as usize
        {
            return false;
        }
        let Some(agent) = agent else { return true };
        let most = run.plan.agents.get(agent).and_then(|agent| agent.max_parallel);
        most.is_none_or(|most| live.of_agent(agent) < most as usize)
    }

    /// Orders an attempt; false when the task failed instead, because what it needs is not there.
    fn start(
        &mut self,
        now: Moment,
        id: &RunId,
        task: &TaskId,
        choice: &Choice,
        out: &mut Vec<Action>,
    ) -> bool {
        let run = &self.runs[id];
        let plan = run.plan.task(task).expect("candidates come from the plan");
        let state = run.task(task).expect("candidates come from the run");
        let owner = Owner::Task { run: id.clone(), task: task.clone() };
        let identity = Identity::mint(&mut self.mint, owner, state.n + 1, choice.reason);
        let order = match order(run, plan, choice.index, identity) {
            Ok(order) => order,
            Err(error) => {
                self.fail_before_start(now, id, task.clone(), error, out);
                return false;
            }
        };
        let fact = RunFact::TaskStarting {
            task: task.clone(),
            attempt: order.attempt.clone(),
            n: order.n,
            agent: order.agent.clone(),
            agent_index: choice.index,
            reason: order.reason,
        };
        self.record(now, id, fact, out);
        out.push(Action::Order(Box::new(order)));
        true
    }
}

/// The longest expected way from each task to the end of its run.
fn remaining_ms(run: &Run) -> BTreeMap<TaskId, u64> {
    let mut readers: BTreeMap<&TaskId, Vec<&plan::Task>> = BTreeMap::new();
    for reader in &run.plan.tasks {
        for need in &reader.needs {
            readers.entry(&need.task).or_default().push(reader);
        }
    }
    let mut known = BTreeMap::new();
    for task in &run.plan.tasks {
        walk(task, &readers, &mut known);
    }
    known
}

fn walk(
    task: &plan::Task,
    readers: &BTreeMap<&TaskId, Vec<&plan::Task>>,
    known: &mut BTreeMap<TaskId, u64>,
) -> u64 {
    if let Some(ms) = known.get(&task.id) {
        return *ms;
    }
    let beyond = readers.get(&task.id).into_iter().flatten();
    let beyond = beyond.map(|reader| walk(reader, readers, known)).max().unwrap_or(0);
    let ms = task.expected_ms.unwrap_or(1).saturating_add(beyond);
    known.insert(task.id.clone(), ms);
    ms
}

fn order(
    run: &Run,
    plan: &plan::Task,
    agent_index: usize,
    identity: Identity,
) -> Result<Order, TaskError> {
    let values = Values(run);
    let cwd = working_directory(&run.submission.cwd, plan.cwd.as_deref());
    let mut order = match &plan.work {
        Work::Agent { .. } => {
            let name = run.plan.agent_at(plan, agent_index).unwrap_or_default();
            let agent = run.plan.agents.get(name).ok_or_else(|| {
                unusable(format!("agent `{name}` is missing from the frozen plan"))
            })?;
            let mut order = agent.order(identity, cwd);
            order.handover = handed_over(run, plan, &order);
            order.prompt = Some(agent_prompt(run, plan, &values, &order)?);
            order
        }
        Work::Command { run: argv } => command_order(plan, argv, &values, identity, cwd)?,
    };
    order.schema.clone_from(&plan.output);
    let reported = plan.output_as == OutputAs::Report;
    order.result_required |= plan.output.is_some() || (!reported && is_read(run, &plan.id));
    // The checker has worked the agent's own limit in; none is a plan's word too.
    order.limits.run_ms = plan.timeout_ms;
    order.limits.idle_ms = plan.idle_timeout_ms.or(order.limits.idle_ms);
    order.env.insert("MUXVISOR_RUN".to_owned(), run.id.to_string());
    order.env.insert("MUXVISOR_TASK".to_owned(), plan.id.to_string());
    Ok(order)
}

/// Whether another task waits for the output of this one, which then must exist.
fn is_read(run: &Run, task: &TaskId) -> bool {
    let reads =
        |need: &DependsOn| need.task == *task && need.hard && need.cause == DependsCause::Reference;
    run.plan.tasks.iter().any(|reader| reader.needs.iter().any(reads))
}

fn handed_over(run: &Run, plan: &plan::Task, order: &Order) -> Option<String> {
    let task = run.task(&plan.id).filter(|_| order.reason == StartReason::Failover)?;
    failover::told(task, &order.agent, &order.cwd.to_string_lossy())
}

fn working_directory(submitter: &Path, own: Option<&str>) -> PathBuf {
    own.map_or_else(|| submitter.to_owned(), |own| submitter.join(own))
}

fn agent_prompt(
    run: &Run,
    plan: &plan::Task,
    values: &Values<'_>,
    order: &Order,
) -> Result<String, TaskError> {
    let state = run.task(&plan.id).expect("the plan's tasks are the run's");
    let description = text(&plan.description, values)?;
    let constraints: Result<Vec<String>, TaskError> =
        plan.constraints.iter().map(|constraint| text(constraint, values)).collect();
    // Typed prompts are echoed by the terminal, so their result tag carries the attempt's letters.
    let typed = order.prompt_by == PromptBy::Type;
    let entry = plan.entry_point.as_ref();
    let entry = entry.map(|entry| Ok((entry.kind.as_str(), text(&entry.value, values)?)));
    Ok(prompt::render(&prompt::Parts {
        task: plan,
        entry: entry.transpose()?,
        description: &description,
        constraints: &constraints?,
        inputs: &inputs(&plan.inputs, values)?,
        handover: order.handover.as_deref(),
        previous: state.error.as_ref().map(|error| (state.n, error)),
        result: order.result,
        tag: typed.then(|| order.token.tag()),
    }))
}

/// A program without model: no window, pipes, its inputs are environment variables.
fn command_order(
    plan: &plan::Task,
    argv: &[Template],
    values: &Values<'_>,
    identity: Identity,
    cwd: PathBuf,
) -> Result<Order, TaskError> {
    let argv: Result<Vec<String>, TaskError> = argv.iter().map(|word| text(word, values)).collect();
    let inputs = inputs(&plan.inputs, values)?;
    let env = inputs.into_iter().map(|(name, value)| (name, as_text(&value))).collect();
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
        argv: argv?,
        env,
        cwd,
        prompt: None,
        prompt_by: PromptBy::None,
        terminal: false,
        result: if plan.output.is_some() { ResultRule::Stdout } else { ResultRule::None },
        result_required: plan.output.is_some(),
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
    })
}

fn inputs(uses: &[InputUse], values: &Values<'_>) -> Result<Vec<(String, Value)>, TaskError> {
    uses.iter()
        .map(|input| {
            let value = resolve_input(&input.value, values);
            value.map(|value| (input.name.clone(), value)).map_err(|e| unusable(e.to_string()))
        })
        .collect()
}

fn text(template: &Template, values: &Values<'_>) -> Result<String, TaskError> {
    resolve_text(template, values).map_err(|missing| unusable(missing.to_string()))
}

/// What a reader lacks fails the reader before anything is spawned (research 5.3).
fn unusable(message: String) -> TaskError {
    TaskError {
        outcome: Outcome::Malformed,
        message,
        exit_code: None,
        signal: None,
        tail: String::new(),
        log: None,
    }
}

/// What references see.
struct Values<'a>(&'a Run);

impl Lookup for Values<'_> {
    fn output(&self, task: &TaskId) -> Option<Value> {
        self.0.task(task)?.output.as_ref().map(|output| output.value.clone())
    }

    fn status(&self, task: &TaskId) -> Option<String> {
        self.0.task(task).map(|task| task.state.to_string())
    }

    fn error(&self, task: &TaskId) -> Option<String> {
        self.0.task(task)?.error.as_ref().map(|error| error.message.clone())
    }

    fn input(&self, name: &str) -> Option<Value> {
        self.0.plan.inputs.get(name).cloned()
    }

    fn phase_outputs(&self, phase: &str) -> Option<Vec<Value>> {
        self.0.plan.phase(phase)?;
        let tasks = self.0.tasks().filter(|(plan, _)| plan.phase == phase);
        let outputs = tasks.filter_map(|(_, task)| task.output.as_ref());
        Some(outputs.map(|output| output.value.clone()).collect())
    }
}
