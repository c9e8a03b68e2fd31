//! Checks a plan: reads it, looks at it from every side, and puts it together if it stands.

use super::assemble;
use super::reader::Reader;
use super::surroundings::Surroundings;
use super::{Plan, advice, depend, ids, pattern, read, staff, values};
use crate::document::{Document, Findings, Source};
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
    let plan = compile(source, surroundings, &findings);
    let plan = plan.filter(|_| !findings.has_errors());
    Checked { plan, findings: findings.finish() }
}

/// Everything is looked at, whatever was found before, so that all is told at once.
fn compile(
    source: &Source,
    surroundings: &Surroundings<'_>,
    findings: &Findings<'_>,
) -> Option<Plan> {
    let document = Document::parse(source, "E01", findings)?;
    let reader = Reader { findings, surroundings };
    let draft = read::plan(document.root(findings, "E01"), &reader);
    ids::check(&draft, findings);
    let dependencies = depend::collect(&draft, findings);
    pattern::check(&draft, &dependencies.phases, findings);
    let agents = staff::check(&draft, surroundings, findings);
    let inputs = values::of_inputs(&draft, &reader);
    advice::give(&draft, &dependencies, findings);
    if findings.has_errors() {
        return None;
    }
    Some(assemble::plan(&draft, &dependencies, agents, inputs, surroundings))
}
