//! A template, and what becomes of it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::engine::{self, FillError};
use crate::document::did_you_mean;

/// A template of a task's prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// Other names for it.
    pub aliases: Vec<String>,
    /// What it is for, in one sentence.
    pub description: String,
    /// What it asks for, in the order of the file.
    pub variables: Vec<Variable>,
    /// The shape of the output, in the short form of plans.
    pub output: Option<Json>,
    pub(super) sections: Sections<String>,
}

/// Something that a template asks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What it means.
    pub description: String,
    /// What it is when it is not given.
    pub default: Option<Json>,
    /// Whether it must be given.
    pub required: bool,
}

/// One text for each section (feature M2).
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sections<T> {
    pub(super) role: T,
    pub(super) task: T,
    pub(super) constraints: T,
    pub(super) output_format: T,
    pub(super) output_interface: T,
}

/// A template whose variables are filled in: what a task says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Parts {
    /// Who does it, in one sentence.
    pub role: Option<String>,
    /// What to do.
    pub task: String,
    /// What not to do, one sentence each.
    pub constraints: Vec<String>,
    /// What the answer says, in words.
    pub output_format: Option<String>,
    /// What there is to know about handing it in, beside what every task is told.
    pub output_interface: Option<String>,
    /// The shape of the output, in the short form of plans.
    pub output: Option<Json>,
}

/// Why a template cannot be used with the values that were given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A value that the template does not ask for.
    #[error("the template `{template}` has no variable `{name}`{}", hint.as_deref().map(|hint| format!("; {hint}")).unwrap_or_default())]
    Unknown {
        /// The template.
        template: String,
        /// The value's name.
        name: String,
        /// Which one was probably meant, or which there are.
        hint: Option<String>,
    },
    /// A value that it cannot do without.
    #[error("the template `{template}` needs `{name}`: {description}")]
    Missing {
        /// The template.
        template: String,
        /// The variable.
        name: String,
        /// What it means.
        description: String,
    },
    /// A section that cannot be filled in.
    #[error("the section `{section}` of the template `{template}`: {error}")]
    Section {
        /// The template.
        template: String,
        /// The section.
        section: &'static str,
        /// Why.
        error: FillError,
    },
}

impl<T> Sections<T> {
    /// Every section with its heading, in the order of a prompt.
    pub(super) fn all(&self) -> [(&'static str, &T); 5] {
        [
            ("Role", &self.role),
            ("Task", &self.task),
            ("Constraints", &self.constraints),
            ("Output Format", &self.output_format),
            ("Output Interface", &self.output_interface),
        ]
    }

    /// The section under a heading.
    pub(super) fn under(&mut self, heading: &str) -> Option<&mut T> {
        Some(match heading {
            "Role" => &mut self.role,
            "Task" => &mut self.task,
            "Constraints" => &mut self.constraints,
            "Output Format" => &mut self.output_format,
            "Output Interface" => &mut self.output_interface,
            _ => return None,
        })
    }
}

impl Template {
    /// Fills it in.
    ///
    /// # Errors
    /// Everything that stands against it.
    pub fn render(&self, given: &BTreeMap<String, Json>) -> Result<Parts, Vec<Problem>> {
        let mut problems = self.unfit(given);
        if !problems.is_empty() {
            return Err(problems);
        }
        let values = self.values(given);
        let mut texts = Sections::<String>::default();
        for (section, text) in self.sections.all() {
            match engine::fill(text, &values) {
                Ok(filled) => {
                    let place = texts.under(section).expect("both have the same sections");
                    filled.trim().clone_into(place);
                }
                Err(error) => {
                    let template = self.name.clone();
                    problems.push(Problem::Section { template, section, error });
                }
            }
        }
        if problems.is_empty() { Ok(self.parts(texts)) } else { Err(problems) }
    }

    /// Values that it does not know, or misses.
    fn unfit(&self, given: &BTreeMap<String, Json>) -> Vec<Problem> {
        let known = || self.variables.iter().map(|variable| variable.name.as_str());
        let unknown = given.keys().filter(|name| !known().any(|known| known == *name));
        let unknown = unknown.map(|name| Problem::Unknown {
            template: self.name.clone(),
            name: name.clone(),
            hint: did_you_mean(name, known()).or_else(|| listed(known())),
        });
        let missing = self.variables.iter().filter(|variable| {
            variable.required && given.get(&variable.name).is_none_or(Json::is_null)
        });
        let missing = missing.map(|variable| Problem::Missing {
            template: self.name.clone(),
            name: variable.name.clone(),
            description: variable.description.clone(),
        });
        unknown.chain(missing).collect()
    }

    fn values(&self, given: &BTreeMap<String, Json>) -> Json {
        let value = |variable: &Variable| {
            let value = given.get(&variable.name).or(variable.default.as_ref()).cloned();
            (variable.name.clone(), value.unwrap_or(Json::String(String::new())))
        };
        Json::Object(self.variables.iter().map(value).collect::<Map<_, _>>())
    }

    fn parts(&self, texts: Sections<String>) -> Parts {
        let said = |text: String| Some(text).filter(|text| !text.is_empty());
        Parts {
            role: said(texts.role),
            task: texts.task,
            constraints: points(&texts.constraints),
            output_format: said(texts.output_format),
            output_interface: said(texts.output_interface),
            output: self.output.clone(),
        }
    }
}

impl Parts {
    /// What a task's `description` is, where the prompt's other sections are written by whoever
    /// runs it: the task, and what the template says about the answer.
    pub fn description(&self) -> String {
        let texts = [Some(&self.task), self.output_format.as_ref(), self.output_interface.as_ref()];
        let texts: Vec<&str> = texts.into_iter().flatten().map(String::as_str).collect();
        texts.join("\n\n")
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.collect();
    (!names.is_empty()).then(|| format!("it has {}", names.join(", ")))
}

/// The points of a list, each on one line; text without a dash goes on from the line before.
fn points(text: &str) -> Vec<String> {
    let mut points: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match (line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")), points.last_mut()) {
            (Some(point), _) => points.push(point.trim().to_owned()),
            (None, Some(last)) if line != "-" => {
                last.push(' ');
                last.push_str(line);
            }
            (None, None) if line != "-" => points.push(line.to_owned()),
            (None, _) => {}
        }
    }
    points
}
