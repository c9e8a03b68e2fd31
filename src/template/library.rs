//! The templates there are: those that are compiled in, and over them those of a person.

use std::collections::BTreeMap;

use serde::Serialize;

use super::read;
use super::shape::{Template, Variable};
use crate::document::{Source, nearest};
use crate::model::Finding;

/// The shipped templates, by name.
const SHIPPED: &[(&str, &str)] = &[
    ("code_review", include_str!("../../config/templates/code_review.md")),
    ("consensus-check", include_str!("../../config/templates/consensus-check.md")),
    ("document", include_str!("../../config/templates/document.md")),
    ("fix", include_str!("../../config/templates/fix.md")),
    ("implement", include_str!("../../config/templates/implement.md")),
    ("plan-draft", include_str!("../../config/templates/plan-draft.md")),
    ("research", include_str!("../../config/templates/research.md")),
    ("security-review", include_str!("../../config/templates/security-review.md")),
    ("summarize", include_str!("../../config/templates/summarize.md")),
    ("test", include_str!("../../config/templates/test.md")),
];

/// The templates by name.
#[derive(Clone, Debug, Default)]
pub struct Library {
    templates: BTreeMap<String, (Template, String)>,
}

/// A template as `templates list` shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Other names for it.
    pub aliases: Vec<String>,
    /// What it is for.
    pub description: String,
    /// What it asks for.
    pub variables: Vec<Variable>,
    /// Where it comes from: `shipped`, or its file.
    pub from: String,
}

/// There is no such template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no template `{name}`{}", near.as_deref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
pub struct UnknownTemplate {
    /// The name.
    pub name: String,
    /// The one that was probably meant.
    pub near: Option<String>,
    /// All that there are.
    pub known: Vec<String>,
}

impl Library {
    /// The compiled-in ones.
    pub fn shipped() -> Self {
        let mut library = Self::default();
        for (name, text) in SHIPPED {
            let source = Source::new(format!("{name}.md"), *text);
            let (template, findings) = read(name, &source);
            let template = template.filter(|_| findings.is_empty());
            let template = template.expect("a test reads every shipped template");
            library.templates.insert((*name).to_owned(), (template, "shipped".to_owned()));
        }
        library
    }

    /// Adds a person's template, over a shipped one of that name. What is wrong with it is told,
    /// and then the others stay as they are.
    pub fn add(&mut self, name: &str, source: &Source) -> Vec<Finding> {
        let (template, findings) = read(name, source);
        if let Some(template) = template {
            self.templates.retain(|known, _| plain(known) != plain(name));
            self.templates.insert(name.to_owned(), (template, source.name().to_owned()));
        }
        findings
    }

    /// The template of that name, or with that alias; `-` and `_` are the same.
    ///
    /// # Errors
    /// There is none.
    pub fn find(&self, name: &str) -> Result<&Template, UnknownTemplate> {
        let wanted = plain(name);
        let by_name = self.templates.iter().find(|(known, _)| plain(known) == wanted);
        let by_alias = || {
            let has = |template: &Template| template.aliases.iter().any(|it| plain(it) == wanted);
            self.templates.iter().find(|(_, (template, _))| has(template))
        };
        by_name.or_else(by_alias).map(|(_, (template, _))| template).ok_or_else(|| {
            let known: Vec<String> = self.templates.keys().cloned().collect();
            let near = nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
            UnknownTemplate { name: name.to_owned(), near, known }
        })
    }

    /// All of them, by name.
    pub fn list(&self) -> Vec<Listed> {
        let listed = |(template, from): &(Template, String)| Listed {
            name: template.name.clone(),
            aliases: template.aliases.clone(),
            description: template.description.clone(),
            variables: template.variables.clone(),
            from: from.clone(),
        };
        self.templates.values().map(listed).collect()
    }
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}
