//! What a plan is checked against: everything that the file itself does not say.

use std::collections::BTreeMap;
use std::path::Path;

use super::template_parts::TemplateParts;
use crate::model::Severity;
use crate::policy::Agent;

/// A template by its name and the values of its variables; the error is why not.
pub type TemplateSource<'a> =
    &'a dyn Fn(&str, &BTreeMap<String, String>) -> Result<TemplateParts, String>;

/// What a plan is checked against.
pub struct Surroundings<'a> {
    /// The agents of the configuration.
    pub agents: &'a BTreeMap<String, Agent>,
    /// Values of inputs as they were typed: `--input k=v`.
    pub inputs: &'a BTreeMap<String, String>,
    /// Reads a text file; the error is why not, without the path.
    pub read_file: &'a dyn Fn(&str) -> Result<String, String>,
    /// Whether the program of an agent can be found.
    pub has_program: &'a dyn Fn(&Agent) -> bool,
    /// What a program that cannot be found is: an error when the plan is to be run.
    pub missing_program: Severity,
    /// What a required input that was not given is: an error when the plan is to be run.
    pub missing_input: Severity,
    /// Whether the agent `demo` stands in for every other, under the other's name.
    pub demo: bool,
    /// Overrides the plan's own `max_parallel`.
    pub max_parallel: Option<u32>,
    /// The directory of the plan: files that it names are relative to it.
    pub base_dir: &'a Path,
    /// Makes the prompt of a task that names a template.
    pub template: TemplateSource<'a>,
}

/// The source of templates where there are none.
///
/// # Errors
/// Always.
pub fn no_templates(_: &str, _: &BTreeMap<String, String>) -> Result<TemplateParts, String> {
    Err("there are no templates here yet".to_owned())
}
