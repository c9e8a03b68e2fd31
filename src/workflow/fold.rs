//! Work of kind `reduce`: the daemon makes one value of several by itself, and asks a person when
//! a vote is tied (features C10–C12, C14, O5, ruling Z9).

use serde_json::{Map, Value};

use super::gather;
use super::reduce::{Count, Entry, Reduced, reduce};
use super::run::Run;
use super::task::Task;
use super::values::Values;
use super::{Action, Workflow};
use crate::model::{
    Ask, AskKind, Moment, Output, RunFact, RunId, SkipReason, TaskError, TaskId, TaskState,
};
use crate::plan::{
    self, Edge, InputValue, Lookup, OnTie, Reduce, Reducer, Template, TemplatePart, Work,
    resolve_input,
};

/// What a task of kind `reduce` is made of.
struct Material {
    entries: Vec<Entry>,
    /// Who was asked for one and gave none.
    silent: Vec<String>,
    /// The same as the plan sees it.
    from: Value,
}

/// What follows when a task of kind `reduce` can start.
pub(super) fn begin(run: &Run, plan: &plan::Task, work: &Reduce) -> Vec<RunFact> {
    let task = plan.id.clone();
    match (made(run, plan, work), &work.by) {
        (Ok(Reduced::Value(value)), _) => vec![done(task, value)],
        (Ok(Reduced::Votes(count)), Reducer::Vote(vote)) if count.is_tied() => {
            tied(run, task, &count, &vote.on_tie)
        }
        (Ok(Reduced::Votes(count)), _) => vec![done(task, count.output(None))],
        (Err(message), _) => vec![failed(task, message)],
    }
}

impl Workflow {
    /// Ends the votes that a person has decided.
    pub(super) fn break_ties(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let Some(run) = self.runs.get(id) else { return };
        let waiting = run.census.in_state(TaskState::Waiting).filter_map(|at| run.at(at));
        let facts: Vec<RunFact> = waiting.filter_map(|(plan, _)| decided(run, plan)).collect();
        for fact in facts {
            self.record(now, id, fact, out);
        }
    }
}

/// The end of a vote that a person was asked about, once there is an answer.
fn decided(run: &Run, plan: &plan::Task) -> Option<RunFact> {
    let Work::Reduce(work) = &plan.work else { return None };
    let asked = ties(run, &plan.id);
    let question = run.kept.asks.get(&tie(&plan.id, asked.checked_sub(1)?))?;
    let (answer, by) = question.answer.as_ref()?;
    let task = plan.id.clone();
    Some(match made(run, plan, work) {
        Ok(Reduced::Votes(count)) => {
            let choice = count.choice(answer);
            done(task, count.output(Some((&choice, by))))
        }
        Ok(Reduced::Value(value)) => done(task, value),
        Err(message) => failed(task, message),
    })
}

fn tied(run: &Run, task: TaskId, count: &Count, on_tie: &OnTie) -> Vec<RunFact> {
    let choices = count.choices();
    let told = format!("the vote `{task}` has no decision: {}", count.told());
    match on_tie {
        OnTie::Value(value) => vec![done(task, count.output(Some((value, "plan"))))],
        OnTie::Ask if !choices.is_empty() => {
            let ask = Ask {
                id: tie(&task, ties(run, &task)),
                kind: AskKind::Tie,
                task: Some(task.clone()),
                question: format!("{told}. Which is it?"),
                answers: choices,
                expires: None,
                on_expire: None,
            };
            vec![RunFact::TaskWaiting { task, run: None }, RunFact::Asked(ask)]
        }
        OnTie::Ask | OnTie::Fail => vec![failed(task, told)],
    }
}

/// How often a person was asked about this vote.
fn ties(run: &Run, task: &TaskId) -> usize {
    let about = |ask: &Ask| ask.kind == AskKind::Tie && ask.task.as_ref() == Some(task);
    run.kept.asks.values().filter(|question| about(&question.ask)).count()
}

/// The name of the question: a vote that is counted again is asked about again.
fn tie(task: &TaskId, before: usize) -> String {
    if before == 0 { format!("tie:{task}") } else { format!("tie:{task}-{}", before + 1) }
}

fn done(task: TaskId, value: Value) -> RunFact {
    RunFact::TaskSucceeded { task, attempt: None, output: Output::of(value) }
}

fn failed(task: TaskId, message: String) -> RunFact {
    let error = TaskError::unusable(message);
    RunFact::TaskFailed { task, attempt: None, error }
}

fn made(run: &Run, plan: &plan::Task, work: &Reduce) -> Result<Reduced, String> {
    let values = Values::of(run, plan);
    let Material { entries, silent, from } = material(run, &work.from, &values)?;
    let mut inputs = Map::new();
    for input in &plan.inputs {
        let value = resolve_input(&input.value, &values).map_err(|missing| missing.to_string())?;
        inputs.insert(input.name.clone(), value);
    }
    reduce(&work.by, entries, silent, from, inputs)
}

/// Where the plan says whose outputs they are, entries carry the names of those who gave them.
fn material(run: &Run, from: &InputValue, values: &dyn Lookup) -> Result<Material, String> {
    let resolved = resolve_input(from, values).map_err(|missing| missing.to_string())?;
    let whole = |entries, silent| Ok(Material { entries, silent, from: resolved.clone() });
    match (from, from_edge(from)) {
        (_, Some(Edge::PhaseOutputs { phase })) => {
            let of_phase = |plan: &plan::Task| plan.phase == *phase && plan.stands_alone();
            let voters = run.tasks().filter(|(plan, task)| of_phase(plan) && was_asked(task));
            let (entries, silent) = heard(voters.map(|(plan, task)| (plan.id.as_str(), task)));
            whole(entries, silent)
        }
        (_, Some(Edge::Output { task, path }))
            if path.is_empty() && run.maps.contains_key(task) =>
        {
            let (entries, silent) = heard(gather::items(run, task));
            whole(entries, silent)
        }
        (InputValue::List(list), _) => {
            let mut entries = Entry::all_of(resolved.clone());
            for (entry, written) in entries.iter_mut().zip(list) {
                if let Some(Edge::Output { task, .. }) = from_edge(written) {
                    entry.name = task.to_string();
                }
            }
            whole(entries, Vec::new())
        }
        _ => whole(Entry::all_of(resolved.clone()), Vec::new()),
    }
}

/// Whether a task of a phase was asked at all: one whose condition was false was not.
fn was_asked(task: &Task) -> bool {
    task.skip != Some(SkipReason::WhenFalse)
}

/// What several gave, by name, and who of them gave nothing: failed, was left out, or stopped.
fn heard<'a>(of: impl Iterator<Item = (&'a str, &'a Task)>) -> (Vec<Entry>, Vec<String>) {
    let (mut entries, mut silent) = (Vec::new(), Vec::new());
    for (name, task) in of {
        match task.output.as_ref().filter(|_| task.state == TaskState::Success) {
            Some(output) => {
                entries.push(Entry { name: name.to_owned(), value: output.value.clone() });
            }
            None => silent.push(name.to_owned()),
        }
    }
    (entries, silent)
}

/// What a value refers to that is nothing but one reference.
fn from_edge(value: &InputValue) -> Option<&Edge> {
    let InputValue::Text(Template { parts }) = value else { return None };
    match parts.as_slice() {
        [TemplatePart::Reference { to, .. }] => Some(to),
        _ => None,
    }
}
