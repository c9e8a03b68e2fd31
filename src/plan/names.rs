//! What a reference means: looks names up among phases, tasks and inputs (feature G1, ruling Z16).
//! An id may be shortened to a prefix that ends before a `-`, if only one id starts with it.

use serde_json::Value as Json;

use super::draft::{Draft, InputKind};
use super::reference::{Step, Written};
use super::schema::{self, Why};
use super::shapes::report;
use super::target::{Target, Unknown, of_word, path, unknown};
use super::text::Shape;
use crate::document::did_you_mean;

/// What a name leads to.
enum Found {
    One { at: usize, exact: bool },
    Several(Vec<String>),
    None,
}

/// What can be asked of a task, besides its `output_key`.
const FIELDS: &[&str] = &["output", "status", "error"];
/// What can be asked besides of one with items.
const OF_ITEMS: &[&str] = &["failed", "results"];

/// What a reference means in this plan.
pub(crate) fn target(draft: &Draft, written: &Written) -> Result<Target, Unknown> {
    let steps: Vec<&Step> = written.steps.iter().map(|(step, _)| step).collect();
    let Some(Step::Name(first)) = steps.first() else {
        return Err(unknown(None, format!("`{}` names nothing", written.text)));
    };
    if let Some(found) = of_word(first, &steps) {
        return found;
    }
    match (first.as_str(), steps.get(1)) {
        ("input", _) => input(draft, &steps),
        (_, Some(Step::Star)) => phase_outputs(draft, first, &steps),
        (_, Some(Step::Name(second))) => of_task(draft, first, second, &steps),
        (_, Some(Step::Index(_)) | None) => Err(only_a_name(draft, first)),
    }
}

/// The position of the task that a name in `depends_on` means: `task`, or `phase.task`.
pub(crate) fn task(draft: &Draft, name: &str) -> Result<usize, Unknown> {
    if let Some((phase, task)) = name.split_once('.') {
        let phase = phase_at(draft, phase, None)?;
        return task_in(draft, phase, task, None);
    }
    match find(all_tasks(draft), name) {
        Found::One { at, .. } => Ok(at),
        Found::Several(ids) => Err(ambiguous(name, &ids, None)),
        Found::None => Err(Unknown {
            help: did_you_mean(name, all_tasks(draft).map(|(_, id)| id)),
            ..unknown(None, format!("there is no task `{name}`"))
        }),
    }
}

/// The position of the phase that a name means.
pub(crate) fn phase(draft: &Draft, name: &str) -> Result<usize, Unknown> {
    phase_at(draft, name, None)
}

fn input(draft: &Draft, steps: &[&Step]) -> Result<Target, Unknown> {
    let Some(Step::Name(name)) = steps.get(1) else {
        return Err(unknown(None, "say which input: `${input.name}`".to_owned()));
    };
    let Some(declared) = draft.inputs.get(name) else {
        return Err(Unknown {
            help: did_you_mean(name, draft.inputs.keys().map(String::as_str)),
            ..unknown(Some(1), format!("the plan has no input `{name}`"))
        });
    };
    let path = path(steps, 2)?;
    let is_list = declared.kind == InputKind::List;
    let fits = path.first().is_none_or(|step| is_list && step.is_number());
    if !fits {
        let message = format!("input `{name}` is a {} and has no such part", declared.kind.word());
        return Err(unknown(Some(2), message));
    }
    Ok(Target::Input { name: name.clone(), path })
}

fn phase_outputs(draft: &Draft, first: &str, steps: &[&Step]) -> Result<Target, Unknown> {
    let phase = phase_at(draft, first, Some(0))?;
    match steps.get(2) {
        Some(Step::Name(name)) if name == "output" && steps.len() == 3 => {
            Ok(Target::PhaseOutputs { phase })
        }
        _ => {
            let id = &draft.phases[phase].id.value;
            Err(unknown(
                Some(1),
                format!("of all tasks of a phase there is `${{{id}.*.output}}` only"),
            ))
        }
    }
}

/// `task.field` or `phase.task.field`.
fn of_task(draft: &Draft, first: &str, second: &str, steps: &[&Step]) -> Result<Target, Unknown> {
    let task = find(all_tasks(draft), first);
    let phase = find(all_phases(draft), first);
    let task_first = match (&task, &phase) {
        (Found::One { exact, .. }, Found::One { exact: other, .. }) => *exact || !*other,
        (Found::One { .. } | Found::Several(_), Found::None) => true,
        (Found::One { .. }, Found::Several(_)) => true,
        (Found::Several(_) | Found::None, _) => false,
    };
    match (task, phase) {
        (Found::One { at, .. }, other) if task_first => {
            let is_phase = matches!(other, Found::One { .. });
            let asked = FIELDS.contains(&second)
                || OF_ITEMS.contains(&second)
                || draft.tasks[at].output_key.as_ref().is_some_and(|key| key.value == second);
            if is_phase && !asked {
                in_phase(draft, first, second, steps)
            } else {
                field(draft, at, 1, steps)
            }
        }
        (Found::Several(ids), Found::None) => Err(ambiguous(first, &ids, Some(0))),
        (_, Found::One { .. } | Found::Several(_)) => in_phase(draft, first, second, steps),
        (_, Found::None) => Err(nobody(draft, first)),
    }
}

fn in_phase(draft: &Draft, first: &str, second: &str, steps: &[&Step]) -> Result<Target, Unknown> {
    let phase = phase_at(draft, first, Some(0))?;
    let id = &draft.phases[phase].id.value;
    if FIELDS.contains(&second) {
        return Err(Unknown {
            help: Some(format!("did you mean `${{{id}.*.output}}`?")),
            ..unknown(Some(1), format!("`{id}` is a phase, which has no `{second}` of its own"))
        });
    }
    let task = task_in(draft, phase, second, Some(1))?;
    field(draft, task, 2, steps)
}

/// What is asked of a task, at position `at` of the steps.
fn field(draft: &Draft, task: usize, at: usize, steps: &[&Step]) -> Result<Target, Unknown> {
    let asked = &draft.tasks[task];
    let id = &asked.id.value;
    let key = asked.output_key.as_ref().map(|key| key.value.as_str());
    let name = match steps.get(at) {
        Some(Step::Name(name)) => name.as_str(),
        Some(Step::Index(_) | Step::Star) | None => {
            let message = format!("say what of `{id}`, such as `${{{id}.output}}`");
            return Err(unknown(Some(at.min(steps.len() - 1)), message));
        }
    };
    match name {
        "status" | "error" if steps.len() > at + 1 => {
            Err(unknown(Some(at + 1), format!("the {name} of a task is one text without parts")))
        }
        "status" => Ok(Target::Status { task }),
        "error" => Ok(Target::Error { task }),
        name if name == "output" || Some(name) == key => output(draft, task, at + 1, steps),
        name if OF_ITEMS.contains(&name) => of_items(draft, task, at, name, steps),
        name => Err(Unknown {
            help: other_field(&asked.shape, key, name),
            ..unknown(Some(at), format!("`{id}` has no output field `{name}`"))
        }),
    }
}

/// What there is of the items of a task.
fn of_items(
    draft: &Draft,
    task: usize,
    at: usize,
    name: &str,
    steps: &[&Step],
) -> Result<Target, Unknown> {
    let id = &draft.tasks[task].id.value;
    if draft.tasks[task].for_each.is_none() {
        return Err(Unknown {
            help: Some("there is `status`, `error` and `output`".to_owned()),
            ..unknown(Some(at), format!("`{id}` has no `for_each`, so it has no `{name}`"))
        });
    }
    if steps.len() > at + 1 {
        let message = format!("`{name}` is handed on as a whole, without a way into it");
        return Err(unknown(Some(at + 1), message));
    }
    Ok(match name {
        "failed" => Target::Failed { task },
        _ => Target::Results { task },
    })
}

fn other_field(shape: &Shape, key: Option<&str>, name: &str) -> Option<String> {
    if let Some(near) = did_you_mean(name, key.into_iter().chain(FIELDS.iter().copied())) {
        return Some(near);
    }
    let fits = match shape {
        Shape::Json(schema) => schema["properties"].get(name).is_some(),
        Shape::Report => report()["properties"].get(name).is_some(),
        Shape::Text | Shape::Unknown => false,
    };
    fits.then(|| format!("did you mean `output.{name}`?"))
}

fn output(draft: &Draft, task: usize, at: usize, steps: &[&Step]) -> Result<Target, Unknown> {
    let path = path(steps, at)?;
    let asked = &draft.tasks[task];
    let id = &asked.id.value;
    let checked = match &asked.shape {
        Shape::Json(schema) => schema::follow(schema, &path),
        Shape::Report => schema::follow(&report(), &path),
        Shape::Unknown => Ok(()),
        Shape::Text if path.is_empty() => Ok(()),
        Shape::Text => {
            return Err(Unknown {
                help: Some("declare its `output` to give it fields".to_owned()),
                ..unknown(Some(at), format!("`{id}` gives plain text, which has no fields"))
            });
        }
    };
    checked.map_err(|wrong| {
        let name = step_text(&path[wrong.step]);
        let (message, help) = match wrong.why {
            Why::NoField => {
                let fields = wrong.fields.join(", ");
                let near = did_you_mean(&name, wrong.fields.iter().map(String::as_str));
                let help = near.or_else(|| Some(format!("it has: {fields}")));
                (format!("`{id}` has no output field `{name}`"), help)
            }
            Why::IsList => {
                let help = Some("take one entry with `[0]`".to_owned());
                (format!("`{name}` is asked of a list in the output of `{id}`"), help)
            }
            Why::IsPlain => {
                (format!("`{name}` is asked of a value of `{id}` that has no such parts"), None)
            }
        };
        Unknown { help, ..unknown(Some(at + wrong.step), message) }
    })?;
    Ok(Target::Output { task, path })
}

fn step_text(step: &Json) -> String {
    step.as_str().map_or_else(|| format!("[{step}]"), str::to_owned)
}

fn all_tasks(draft: &Draft) -> impl Iterator<Item = (usize, &str)> {
    draft.tasks.iter().enumerate().map(|(at, task)| (at, task.id.value.as_str()))
}

fn all_phases(draft: &Draft) -> impl Iterator<Item = (usize, &str)> {
    draft.phases.iter().enumerate().map(|(at, phase)| (at, phase.id.value.as_str()))
}

fn find<'n>(names: impl Iterator<Item = (usize, &'n str)>, word: &str) -> Found {
    let mut prefixed = Vec::new();
    for (at, name) in names {
        if name == word {
            return Found::One { at, exact: true };
        }
        if name.strip_prefix(word).is_some_and(|rest| rest.starts_with('-')) {
            prefixed.push((at, name));
        }
    }
    match prefixed.as_slice() {
        [] => Found::None,
        [(at, _)] => Found::One { at: *at, exact: false },
        several => Found::Several(several.iter().map(|(_, name)| (*name).to_owned()).collect()),
    }
}

fn phase_at(draft: &Draft, word: &str, step: Option<usize>) -> Result<usize, Unknown> {
    match find(all_phases(draft), word) {
        Found::One { at, .. } => Ok(at),
        Found::Several(ids) => Err(ambiguous(word, &ids, step)),
        Found::None => Err(Unknown {
            help: did_you_mean(word, all_phases(draft).map(|(_, id)| id)),
            ..unknown(step, format!("there is no phase `{word}`"))
        }),
    }
}

fn task_in(draft: &Draft, phase: usize, word: &str, step: Option<usize>) -> Result<usize, Unknown> {
    let inside = || all_tasks(draft).filter(|(at, _)| draft.phases[phase].tasks.contains(at));
    match find(inside(), word) {
        Found::One { at, .. } => Ok(at),
        Found::Several(ids) => Err(ambiguous(word, &ids, step)),
        Found::None => {
            let elsewhere = all_tasks(draft).find(|(_, id)| *id == word).map(|(at, _)| {
                let home = &draft.phases[draft.tasks[at].phase].id.value;
                format!("it is in phase `{home}`")
            });
            let near = did_you_mean(word, inside().map(|(_, id)| id));
            let message = format!("phase `{}` has no task `{word}`", draft.phases[phase].id.value);
            Err(Unknown { help: elsewhere.or(near), ..unknown(step, message) })
        }
    }
}

/// `${word}`: what was meant depends on what there is of that name.
fn only_a_name(draft: &Draft, word: &str) -> Unknown {
    if draft.inputs.contains_key(word) {
        return Unknown {
            help: Some(format!("did you mean `${{input.{word}}}`?")),
            ..unknown(Some(0), format!("`{word}` is an input"))
        };
    }
    match (find(all_tasks(draft), word), find(all_phases(draft), word)) {
        (Found::One { at, .. }, _) => {
            let id = &draft.tasks[at].id.value;
            unknown(Some(0), format!("say what of `{id}`, such as `${{{id}.output}}`"))
        }
        (_, Found::One { at, .. }) => {
            let id = &draft.phases[at].id.value;
            unknown(Some(0), format!("say what of phase `{id}`, such as `${{{id}.*.output}}`"))
        }
        (_, _) => nobody(draft, word),
    }
}

fn nobody(draft: &Draft, word: &str) -> Unknown {
    let names = all_tasks(draft).chain(all_phases(draft)).map(|(_, id)| id);
    let is_variable =
        word.chars().all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit());
    let literal =
        || is_variable.then(|| format!("write `$${{{word}}}` for the text `${{{word}}}`"));
    let help = did_you_mean(word, names.chain(["input"])).or_else(literal);
    Unknown { help, ..unknown(Some(0), format!("there is no task or phase `{word}`")) }
}

fn ambiguous(word: &str, ids: &[String], step: Option<usize>) -> Unknown {
    let ids: Vec<String> = ids.iter().take(4).map(|id| format!("`{id}`")).collect();
    unknown(step, format!("`{word}` may be {}", ids.join(" or ")))
}
