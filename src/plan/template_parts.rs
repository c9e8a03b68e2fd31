//! What a template gives a task, as whoever has the checker look at a plan hands it over.

use serde_json::Value as Json;

/// What a template gives a task. All texts may hold references, and are read as if the task said
/// them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TemplateParts {
    /// One sentence: who does it.
    pub role: Option<String>,
    /// What to do.
    pub description: String,
    /// What not to touch, and the like.
    pub constraints: Vec<String>,
    /// What the output looks like, if it says.
    pub output: Option<TemplateOutput>,
}

/// The shape of an output, as a template says it.
#[derive(Clone, Debug, PartialEq)]
pub enum TemplateOutput {
    /// In the short form of a plan: `"markdown"`, `{ verdict = "go|no-go" }`, as JSON.
    Short(Json),
    /// As JSON Schema.
    Schema(Json),
}
