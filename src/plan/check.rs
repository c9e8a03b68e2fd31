//! Checks a plan: reads it, looks at it from every side, and puts it together if it stands. A plan
//! that it starts is checked in the same way.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use super::draft::{Draft, DraftSubPlan, InputKind};
use super::nested::{Nest, Nested, NestedPlans};
use super::reader::Reader;
use super::reference::Piece;
use super::surroundings::Surroundings;
use super::text::InputText;
use super::{
    Plan, advice, assemble, compare, counsel, depend, ids, outside, passed, pattern, read,
    shapes_of, staff, stock, values,
};
use crate::document::{Document, Findings, Source, did_you_mean};
use crate::model::Finding;

/// What came of a check.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The plan; `None` when anything stops the work.
    pub plan: Option<Plan>,
    /// All problems, in the order of the file.
    pub findings: Vec<Finding>,
}

/// Checks a plan.
pub fn check(source: &Source, surroundings: &Surroundings<'_>) -> Checked {
    let findings = Findings::new(source);
    let file = Path::new(source.name()).file_name().unwrap_or_default();
    let nest = Nest::new(&surroundings.base_dir.join(file));
    let (plan, _) = compile(source, surroundings, &findings, &nest);
    let plan = plan.filter(|_| !findings.has_errors());
    Checked { plan, findings: findings.finish() }
}

/// The inputs of a plan, and whether each must be given.
type Inputs = BTreeMap<String, (InputKind, bool)>;

/// Everything is looked at, whatever was found before, so that all is told at once.
fn compile(
    source: &Source,
    surroundings: &Surroundings<'_>,
    findings: &Findings<'_>,
    nest: &Nest,
) -> (Option<Plan>, Option<Inputs>) {
    let Some(document) = Document::parse(source, "E01", findings) else { return (None, None) };
    let reader = Reader { findings, surroundings, is_inner: nest.is_inner() };
    let mut draft = read::plan(document.root(findings, "E01"), &reader);
    shapes_of::settle(&mut draft);
    ids::check(&draft, findings);
    let dependencies = depend::collect(&draft, findings);
    outside::check(&draft, findings);
    compare::check(&draft, findings);
    stock::check(&draft, findings);
    let has_shape = pattern::check(&draft, &dependencies.phases, findings);
    let staff = staff::check(&draft, surroundings, findings);
    passed::check(&draft, &staff, surroundings, findings);
    let inputs = values::of_inputs(&draft, &reader);
    let nested = nested(&draft, surroundings, findings, nest);
    advice::give(&draft, &dependencies, findings);
    counsel::give(&draft, &inputs, findings);
    if has_shape {
        counsel::about_pattern(&draft, &dependencies, findings);
    }
    let declared = draft.inputs.iter().map(|(name, input)| {
        let must = input.required && input.default.is_none();
        (name.clone(), (input.kind, must))
    });
    let declared = Some(declared.collect());
    if findings.has_errors() {
        return (None, declared);
    }
    let plan = assemble::plan(&draft, &dependencies, staff, inputs, &nested, surroundings);
    (Some(plan), declared)
}

/// The plans that this one starts, by the path as it is written.
fn nested(
    draft: &Draft,
    surroundings: &Surroundings<'_>,
    findings: &Findings<'_>,
    nest: &Nest,
) -> NestedPlans {
    let of_tasks = draft.tasks.iter().filter_map(|task| task.doing.sub_plan());
    let mut found = BTreeMap::new();
    let mut bytes = 0;
    for plan in of_tasks.chain(draft.triggers.iter().map(|trigger| &trigger.start)) {
        let file = surroundings.base_dir.join(&plan.file.value);
        let inner = match nest.known(&file) {
            Some(known) => Some(known),
            None => look_into(plan, &file, surroundings, findings, nest),
        };
        let Some(inner) = inner else { continue };
        given(plan, &inner, findings);
        bytes += inner.bytes;
        if Nest::is_too_large(bytes) {
            findings.error("E01", plan.file.span, "the plans in this plan are too large together");
            break;
        }
        found.insert(plan.file.value.clone(), (file, inner));
    }
    found
}

/// Reads and checks a plan that this one starts.
fn look_into(
    plan: &DraftSubPlan,
    file: &Path,
    surroundings: &Surroundings<'_>,
    findings: &Findings<'_>,
    nest: &Nest,
) -> Option<Rc<Nested>> {
    let inner_nest = match nest.enter(file) {
        Ok(nest) => nest,
        Err(why) => {
            findings.error("E04", plan.file.span, why);
            return None;
        }
    };
    let text = match (surroundings.read_file)(&file.to_string_lossy()) {
        Ok(text) => text,
        Err(why) => {
            let message = format!("`{}` cannot be read: {why}", plan.file.value);
            findings.error("E01", plan.file.span, message);
            return None;
        }
    };
    let beside = Path::new(findings.source().name()).parent().unwrap_or(Path::new(""));
    let source = Source::new(beside.join(&plan.file.value).to_string_lossy(), text);
    let inner_findings = Findings::new(&source);
    let none = BTreeMap::new();
    let around = Surroundings {
        inputs: &none,
        max_parallel: None,
        base_dir: file.parent().unwrap_or(Path::new("/")),
        ..*surroundings
    };
    let (compiled, inputs) = compile(&source, &around, &inner_findings, &inner_nest);
    let compiled = compiled.filter(|_| !inner_findings.has_errors());
    inner_findings.finish().into_iter().for_each(|finding| findings.push(finding));
    let plan = compiled.and_then(|plan| serde_json::to_value(plan).ok());
    let bytes = plan.as_ref().map_or(0, |plan| plan.to_string().len());
    let text = source.text().to_owned();
    Some(nest.keep(file, Nested { text, plan, inputs, bytes }))
}

/// Whether a plan is given the inputs that it declares.
fn given(plan: &DraftSubPlan, inner: &Nested, findings: &Findings<'_>) {
    let Some(declared) = &inner.inputs else { return };
    let file = &plan.file.value;
    for (name, value) in &plan.inputs {
        match declared.get(&name.value) {
            None => {
                findings
                    .error("E03", name.span, format!("`{file}` has no input `{}`", name.value))
                    .maybe_help(did_you_mean(&name.value, declared.keys().map(String::as_str)));
            }
            Some((kind, _)) => {
                if let Some(value) = literal(value).filter(|value| !kind.fits(value)) {
                    let message = format!(
                        "input `{}` of `{file}` is a {}, not {value}",
                        name.value,
                        kind.word()
                    );
                    findings.error("E01", name.span, message);
                }
            }
        }
    }
    for (name, _) in declared.iter().filter(|(_, (_, must))| *must) {
        if plan.inputs.iter().all(|(given, _)| given.value != *name) {
            findings
                .error("E03", plan.file.span, format!("`{file}` requires the input `{name}`"))
                .help(format!("add `inputs = {{ {name} = … }}`"));
        }
    }
}

/// A value without references.
fn literal(value: &InputText) -> Option<serde_json::Value> {
    match value {
        InputText::Plain(value) => Some(value.clone()),
        InputText::Text(text) => match text.pieces.as_slice() {
            [] => Some("".into()),
            [Piece::Text(text)] => Some(text.as_str().into()),
            _ => None,
        },
        InputText::List(_) | InputText::Table(_) => None,
    }
}
