//! Puts the tasks of a plan together: what was not said gets its default, and what follows a task
//! becomes a task of its own.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::draft::{Doing, Draft, DraftReduce, DraftReducer, DraftSubPlan, DraftTask, DraftVote};
use super::hook::{DraftHook, HookRun};
use super::nested::NestedPlans;
use super::staff::Staff;
use super::target::Target;
use super::text::{InputText, Shape, Text};
use super::{
    DependsCause, DependsOn, EntryPoint, ForEach, Lead, OnTie, Origin, OutputAs, Reduce, Reducer,
    SubPlan, Task, TaskAgent, Template, TemplatePart, Vote, Work, hook, linked, names, schema,
    stock,
};
use crate::model::TaskId;

/// Extra attempts, unless the plan says (ruling Z1).
const RETRIES: u32 = 2;
/// Extra attempts after timeouts, unless the plan says (ruling Z1).
const RETRIES_ON_TIMEOUT: u32 = 1;
/// One attempt, unless the plan or the agent says (ruling Z14).
const TIMEOUT_MS: u64 = 15 * 60_000;
/// What agents of tasks may do by themselves, unless the plan says (feature H14).
const TIER: u8 = 2;
/// The first word of a command that is this program itself, whatever it is called.
const OWN_PROGRAM: &str = "muxvisor-builtin";
/// The task of `[on_finish]`.
pub(crate) const FINISH: &str = "on_finish";

/// What tasks are made with.
pub(crate) struct Bench<'a> {
    pub(crate) draft: &'a Draft,
    pub(crate) staff: &'a Staff,
    pub(crate) nested: &'a NestedPlans,
    pub(crate) demo: bool,
}

impl Bench<'_> {
    /// The task at that position, without what it waits for.
    pub(crate) fn task(&self, at: usize) -> Task {
        let (draft, task) = (self.draft, &self.draft.tasks[at]);
        let (settings, phase) = (&task.settings, &draft.phases[task.phase]);
        let attempts = task.kind.makes_attempts();
        let retries = if attempts { settings.retries.unwrap_or(RETRIES) } else { 0 };
        let (output_as, output) = output(&task.own_shape);
        let entry = |(kind, value): &(String, Text)| EntryPoint {
            kind: kind.clone(),
            value: linked::template(draft, value),
        };
        let uses =
            if attempts { stock::together(settings.uses.as_ref(), &phase.uses) } else { vec![] };
        Task {
            description: linked::template(draft, &task.description),
            role: settings.role.clone(),
            constraints: linked::templates(draft, settings.constraints.as_deref().unwrap_or(&[])),
            output_key: task.output_key.as_ref().map(|key| key.value.clone()),
            output_as,
            output,
            entry_point: task.entry_point.as_ref().map(entry),
            inputs: linked::uses(draft, settings.inputs()),
            retries,
            // A task that gets no retries gets none after a timeout either.
            retries_on_timeout: settings
                .retries_on_timeout
                .unwrap_or(RETRIES_ON_TIMEOUT)
                .min(retries),
            retry_on: settings.retry_on(),
            no_retry_exit: settings.no_retry_exit.clone().unwrap_or_default(),
            retry_wait: settings.retry_wait(),
            timeout_ms: if attempts { self.timeout(at) } else { None },
            idle_timeout_ms: settings.idle_timeout.flatten(),
            expected_ms: settings.expected.as_ref().and_then(|span| span.value),
            priority: settings.priority.unwrap_or(0),
            optional: settings.optional.unwrap_or(false),
            cwd: settings.cwd.clone(),
            when: task.when.as_ref().and_then(|when| linked::condition(draft, when)),
            for_each: self.for_each(task),
            lead: task.lead.as_ref().map(|lead| Lead {
                max_workers: lead.max_workers,
                agents: lead.agents.iter().map(|name| name.value.clone()).collect(),
            }),
            messages: self.messages(task),
            uses: uses.into_iter().collect(),
            model: settings.model.as_ref().map(|model| model.value.clone()),
            queue_timeout_ms: settings.queue_timeout.flatten(),
            total_timeout_ms: settings.total_timeout.flatten(),
            cache_ms: settings.cache.flatten(),
            budget: settings.budget.as_ref().map(|budget| budget.value.clone()),
            tier: settings.tier.unwrap_or(TIER),
            ..blank(&task.id.value, &phase.id.value, self.work(at, retries))
        }
    }

    /// The task's own limit, else the one of its first agent, else the usual one.
    fn timeout(&self, at: usize) -> Option<u64> {
        let first = self.staff.teams[at].names.first();
        let of_agent = first.and_then(|name| self.staff.agents.get(name));
        match &self.draft.tasks[at].settings.timeout {
            Some(limit) => limit.value,
            None => of_agent.and_then(|agent| agent.policy.timeout_ms).or(Some(TIMEOUT_MS)),
        }
    }

    fn for_each(&self, task: &DraftTask) -> Option<Box<ForEach>> {
        let items = task.for_each.as_ref()?;
        Some(Box::new(ForEach {
            over: linked::value(self.draft, &items.over),
            key: items.key.as_ref().map(|key| linked::template(self.draft, key)),
            partition: items.partition,
            max_items: items.max_items,
            min_items: items.min_items,
            min_success: items.min_success.as_ref().map(|least| least.value),
            gather_timeout_ms: items.gather_timeout_ms,
        }))
    }

    fn messages(&self, task: &DraftTask) -> Vec<TaskId> {
        let found = task.messages.iter().filter_map(|name| {
            let at = names::task(self.draft, &name.value).ok()?;
            Some(TaskId::new(self.draft.tasks[at].id.value.clone()))
        });
        found.collect()
    }

    fn work(&self, at: usize, retries: u32) -> Work {
        let (draft, task) = (self.draft, &self.draft.tasks[at]);
        match &task.doing {
            Doing::Agent => self.agents(at, retries),
            Doing::Command(run) => {
                let run = linked::templates(draft, run);
                Work::Command { run: if self.demo { stand_in(run, &task.own_shape) } else { run } }
            }
            Doing::Reduce(it) => Work::Reduce(Box::new(reduce(draft, it))),
            Doing::Approve { ask, expiry } => {
                Work::Approve { ask: linked::template(draft, ask), expiry: expiry.clone() }
            }
            Doing::Wait { event, expiry } => {
                Work::Wait { event: linked::template(draft, event), expiry: expiry.clone() }
            }
            Doing::Emit { event, data } => Work::Emit {
                event: linked::template(draft, event),
                data: linked::value(draft, data),
            },
            Doing::Plan(plan) => match sub_plan(draft, plan, self.nested) {
                Some(plan) => Work::Plan(Box::new(plan)),
                None => nothing(),
            },
            // It was reported, so that nothing is put together.
            Doing::Unknown => nothing(),
        }
    }

    /// Retries are those of the primary agent, whichever of several able ones that is; a fallback
    /// has one attempt.
    fn agents(&self, at: usize, retries: u32) -> Work {
        let team = &self.staff.teams[at];
        let able = team.capability.as_ref().map_or(1, |capability| capability.able);
        let names = team.names.iter().cloned().enumerate();
        let agent = |(at, name)| TaskAgent { name, retries: if at < able { retries } else { 0 } };
        Work::Agent { agents: names.map(agent).collect(), capability: team.capability.clone() }
    }

    /// The tasks that follow a task, in order, each after the one before.
    pub(crate) fn hooks(&self, at: usize) -> Vec<Task> {
        let task = &self.draft.tasks[at];
        let mut words: Vec<String> = Vec::new();
        let mut made: Vec<Task> = Vec::new();
        for hook in &task.settings.hooks {
            let word = unused(&hook.word(), &words);
            let mut follower = self.hook(task, hook, &word);
            if let Some(before) = made.last() {
                follower.needs.push(need(&before.id, false));
            }
            words.push(word);
            made.push(follower);
        }
        made
    }

    fn hook(&self, task: &DraftTask, hook: &DraftHook, word: &str) -> Task {
        let of = TaskId::new(task.id.value.clone());
        let id = format!("{}!{word}", task.id.value);
        let phase = &self.draft.phases[task.phase].id.value;
        let command = |run: Vec<Template>| Work::Command {
            run: if self.demo { stand_in(run, &Shape::Report) } else { run },
        };
        let none = (Template::default(), Vec::new(), OutputAs::Report);
        let (work, (description, inputs, output_as)) = match &hook.run {
            HookRun::Command(words) => (command(linked::templates(self.draft, words)), none),
            HookRun::Word(name) if hook::BUILT_IN.contains(&name.value.as_str()) => {
                (command([OWN_PROGRAM, "hook", &name.value].map(Template::text).to_vec()), none)
            }
            HookRun::Word(name) => {
                let agents = vec![TaskAgent { name: name.value.clone(), retries: 0 }];
                let ask =
                    format!("Look at what came of the task `{of}`, which is over, and act on it.");
                let inputs = linked::uses(self.draft, &of_the_task(task));
                (
                    Work::Agent { agents, capability: None },
                    (Template::text(ask), inputs, OutputAs::Text),
                )
            }
        };
        Task {
            description,
            output_as,
            inputs,
            needs: vec![need(&of, true)],
            timeout_ms: Some(TIMEOUT_MS),
            origin: Some(Origin::Hook { of, skill: word.to_owned(), blocks: hook.blocks }),
            ..blank(&id, phase, work)
        }
    }

    /// The task of `[on_finish]`, in the last phase, of whose tasks it is none.
    pub(crate) fn finish(&self) -> Option<Task> {
        let run = linked::templates(self.draft, self.draft.finish.as_ref()?);
        let run = if self.demo { stand_in(run, &Shape::Report) } else { run };
        let phase = &self.draft.phases.last()?.id.value;
        Some(Task {
            output_as: OutputAs::Report,
            timeout_ms: Some(TIMEOUT_MS),
            origin: Some(Origin::Finish),
            ..blank(FINISH, phase, Work::Command { run })
        })
    }
}

/// Another plan in the form in which it is kept.
pub(crate) fn sub_plan(
    draft: &Draft,
    plan: &DraftSubPlan,
    nested: &NestedPlans,
) -> Option<SubPlan> {
    let (path, inner) = nested.get(&plan.file.value)?;
    Some(SubPlan {
        path: path.to_string_lossy().into_owned(),
        text: inner.text.clone(),
        plan: inner.plan.clone()?,
        inputs: linked::uses(draft, &plan.inputs),
    })
}

/// A task that says nothing but what does it.
fn blank(id: &str, phase: &str, work: Work) -> Task {
    let settings = super::settings::Settings::default();
    Task {
        id: TaskId::new(id),
        phase: phase.to_owned(),
        description: Template::default(),
        role: None,
        constraints: Vec::new(),
        output_key: None,
        output_as: OutputAs::Text,
        output: None,
        entry_point: None,
        work,
        inputs: Vec::new(),
        needs: Vec::new(),
        retries: 0,
        retries_on_timeout: 0,
        retry_on: settings.retry_on(),
        no_retry_exit: Vec::new(),
        retry_wait: settings.retry_wait(),
        timeout_ms: None,
        idle_timeout_ms: None,
        expected_ms: None,
        priority: 0,
        optional: false,
        cwd: None,
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
        tier: TIER,
    }
}

/// What stands for work that was reported as wrong.
const fn nothing() -> Work {
    Work::Command { run: Vec::new() }
}

fn need(task: &TaskId, hard: bool) -> DependsOn {
    DependsOn { task: task.clone(), cause: DependsCause::Reference, hard }
}

/// The word, with a number if another hook of the task has it.
fn unused(word: &str, words: &[String]) -> String {
    let numbered = (2..).map(|n| format!("{word}-{n}"));
    let mut all = std::iter::once(word.to_owned()).chain(numbered);
    all.find(|word| !words.contains(word)).unwrap_or_default()
}

/// What an agent that follows a task is given.
fn of_the_task(task: &DraftTask) -> Vec<(crate::document::Spanned<String>, InputText)> {
    let named = |name: &str, value| {
        (crate::document::Spanned::new(name.to_owned(), task.id.span), InputText::Text(value))
    };
    let output = format!("${{{}.output ?? ''}}", task.id.value);
    vec![named("task", task.description.clone()), named("output", Text::made(output, task.id.span))]
}

fn reduce(draft: &Draft, reduce: &DraftReduce) -> Reduce {
    let by = match &reduce.by {
        DraftReducer::Concat { sort_by } => Reducer::Concat { sort_by: sort_by.clone() },
        DraftReducer::Table { columns, sort_by } => {
            Reducer::Table { columns: columns.clone(), sort_by: sort_by.clone() }
        }
        DraftReducer::Vote(it) => Reducer::Vote(vote(draft, &reduce.from, it)),
        DraftReducer::Template(text) => Reducer::Template { text: text.clone() },
        DraftReducer::Merge | DraftReducer::Unknown => Reducer::Merge,
    };
    Reduce { from: linked::value(draft, &reduce.from), by }
}

fn vote(draft: &Draft, from: &InputText, vote: &DraftVote) -> Vote {
    let weight = |at: usize| {
        let task = &draft.tasks[at];
        task.weight.map(|weight| (task.id.value.clone(), weight))
    };
    Vote {
        field: vote.field.value.clone(),
        rule: vote.rule,
        veto: vote.veto.as_ref().map(|(field, value)| (field.value.clone(), value.value.clone())),
        on_tie: match vote.on_tie.as_ref().map(|tie| &tie.value) {
            None => OnTie::Ask,
            Some(Json::String(word)) if word == "ask" => OnTie::Ask,
            Some(Json::String(word)) if word == "fail" => OnTie::Fail,
            Some(value) => OnTie::Value(value.clone()),
        },
        weights: voters(draft, from).into_iter().filter_map(weight).collect(),
    }
}

/// The tasks whose outputs are voted with.
fn voters(draft: &Draft, from: &InputText) -> Vec<usize> {
    let mut found = Vec::new();
    from.for_each_text(&mut |text| {
        for written in text.references() {
            match names::target(draft, written) {
                Ok(Target::PhaseOutputs { phase }) => {
                    found.extend(draft.phases[phase].tasks.clone());
                }
                Ok(Target::Output { task, .. }) => found.push(task),
                Ok(_) | Err(_) => {}
            }
        }
    });
    found
}

fn output(shape: &Shape) -> (OutputAs, Option<Json>) {
    match shape {
        Shape::Json(schema) => (OutputAs::Json, Some(schema.clone())),
        Shape::Report => (OutputAs::Report, None),
        Shape::Text | Shape::Unknown => (OutputAs::Text, None),
    }
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
