//! Puts values in the place of references, once: text that comes from an agent is never read for
//! references again (features G1, G2).

use serde_json::{Map, Value};

use super::{Edge, InputValue, Template, TemplatePart};
use crate::model::TaskId;

/// Where the values of references come from.
pub trait Lookup {
    /// The accepted output of a task; `None` while there is none.
    fn output(&self, task: &TaskId) -> Option<Value>;
    /// The status word of a task.
    fn status(&self, task: &TaskId) -> Option<String>;
    /// The error message of a task; `None` when it has none.
    fn error(&self, task: &TaskId) -> Option<String>;
    /// The value of an input of the plan.
    fn input(&self, name: &str) -> Option<Value>;
    /// The outputs of the successful tasks of a phase, in the order of the file.
    fn phase_outputs(&self, phase: &str) -> Option<Vec<Value>>;
    /// Every item of a `for_each` task with its status.
    fn results(&self, task: &TaskId) -> Option<Vec<Value>>;
    /// The items of a `for_each` task that failed.
    fn failed(&self, task: &TaskId) -> Option<Vec<Value>>;
    /// The item that is worked on, and its position.
    fn item(&self) -> Option<(Value, usize)>;
    /// Something about the run.
    fn run(&self, field: &str) -> Option<String>;
    /// The data of the event that started it.
    fn event(&self) -> Option<Value>;
}

/// A value that a reference needs is not there, so its reader cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MissingField {
    /// The task that should have given it; `None` for an input or a phase.
    pub task: Option<TaskId>,
    /// The way into its value, `output.rows[0].x`.
    pub path: String,
    /// One sentence that names the producer.
    pub message: String,
}

/// The value of a template. One that is a single reference keeps the type of its value; in mixed
/// text, values that are no strings appear as JSON.
///
/// # Errors
/// When a reference without default points at nothing.
pub fn resolve(template: &Template, lookup: &dyn Lookup) -> Result<Value, MissingField> {
    if let [TemplatePart::Reference { to, default, .. }] = template.parts.as_slice() {
        return reference(to, default.as_deref(), lookup);
    }
    let mut text = String::new();
    for part in &template.parts {
        match part {
            TemplatePart::Text(plain) => text.push_str(plain),
            TemplatePart::Reference { to, default, .. } => {
                text.push_str(&as_text(&reference(to, default.as_deref(), lookup)?));
            }
        }
    }
    Ok(Value::String(text))
}

/// The value of a template as text, for a prompt, an argument or a variable.
///
/// # Errors
/// When a reference without default points at nothing.
pub fn resolve_text(template: &Template, lookup: &dyn Lookup) -> Result<String, MissingField> {
    resolve(template, lookup).map(|value| as_text(&value))
}

/// The value of an entry of `input_context`, with every template in it resolved.
///
/// # Errors
/// When a reference without default points at nothing.
pub fn resolve_input(value: &InputValue, lookup: &dyn Lookup) -> Result<Value, MissingField> {
    match value {
        InputValue::Text(template) => resolve(template, lookup),
        InputValue::Plain(plain) => Ok(plain.clone()),
        InputValue::List(items) => {
            items.iter().map(|item| resolve_input(item, lookup)).collect::<Result<_, _>>()
        }
        InputValue::Table(entries) => {
            let resolved = entries.iter().map(|(k, v)| Ok((k.clone(), resolve_input(v, lookup)?)));
            Ok(Value::Object(resolved.collect::<Result<Map<_, _>, MissingField>>()?))
        }
    }
}

/// A value as text: a string as it stands, everything else as JSON.
pub fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

/// With a default, `null` counts as not there, as `??` does elsewhere.
fn reference(
    edge: &Edge,
    default: Option<&str>,
    lookup: &dyn Lookup,
) -> Result<Value, MissingField> {
    match (find(edge, lookup), default) {
        (Ok(Value::Null) | Err(_), Some(default)) => Ok(Value::String(default.to_owned())),
        (found, _) => found,
    }
}

fn find(edge: &Edge, lookup: &dyn Lookup) -> Result<Value, MissingField> {
    match edge {
        Edge::Output { task, path } => {
            let found = lookup.output(task).and_then(|value| walk(value, path));
            found.ok_or_else(|| missing_from_task(task, &written_path("output", path)))
        }
        Edge::Status { task } => {
            lookup.status(task).map(Value::String).ok_or_else(|| missing_from_task(task, "status"))
        }
        Edge::Error { task } => Ok(Value::String(lookup.error(task).unwrap_or_default())),
        Edge::PhaseOutputs { phase } => {
            lookup.phase_outputs(phase).map(Value::Array).ok_or_else(|| MissingField {
                task: None,
                path: format!("{phase}.*.output"),
                message: format!("phase `{phase}` has no outputs"),
            })
        }
        Edge::Results { task } => {
            lookup.results(task).map(Value::Array).ok_or_else(|| missing_from_task(task, "results"))
        }
        Edge::Failed { task } => {
            lookup.failed(task).map(Value::Array).ok_or_else(|| missing_from_task(task, "failed"))
        }
        Edge::Item { path } => {
            let found = lookup.item().and_then(|(value, _)| walk(value, path));
            found.ok_or_else(|| missing_here(written_path("item", path)))
        }
        Edge::Index => {
            let found = lookup.item().map(|(_, index)| Value::from(index));
            found.ok_or_else(|| missing_here("index".to_owned()))
        }
        Edge::Run { field } => {
            let found = lookup.run(field).map(Value::String);
            found.ok_or_else(|| missing_here(format!("run.{field}")))
        }
        Edge::Event { path } => {
            let found = lookup.event().and_then(|value| walk(value, path));
            found.ok_or_else(|| missing_here(written_path("event", path)))
        }
        Edge::Input { name, path } => {
            let found = lookup.input(name).and_then(|value| walk(value, path));
            found.ok_or_else(|| missing_here(written_path(&format!("input.{name}"), path)))
        }
    }
}

fn missing_here(path: String) -> MissingField {
    MissingField { task: None, message: format!("there is no `{path}`"), path }
}

fn missing_from_task(task: &TaskId, path: &str) -> MissingField {
    MissingField {
        task: Some(task.clone()),
        path: path.to_owned(),
        message: format!("task `{task}` gave no `{path}`"),
    }
}

fn walk(value: Value, path: &[Value]) -> Option<Value> {
    let mut here = value;
    for step in path {
        here = match (here, step) {
            (Value::Object(mut entries), Value::String(key)) => entries.remove(key)?,
            (Value::Array(mut items), Value::Number(index)) => {
                let index = usize::try_from(index.as_u64()?).ok()?;
                if index >= items.len() {
                    return None;
                }
                items.swap_remove(index)
            }
            (_, _) => return None,
        };
    }
    Some(here)
}

fn written_path(start: &str, path: &[Value]) -> String {
    let mut text = start.to_owned();
    for step in path {
        match step.as_str() {
            Some(key) => text.push_str(&format!(".{key}")),
            None => text.push_str(&format!("[{step}]")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct World;

    impl Lookup for World {
        fn output(&self, task: &TaskId) -> Option<Value> {
            match task.as_str() {
                "spec" => Some(json!({ "path": "/auth", "rows": [{ "x": 1 }], "note": null })),
                "sly" => Some(json!("${spec.output.path} $${x}")),
                _ => None,
            }
        }
        fn status(&self, task: &TaskId) -> Option<String> {
            (task.as_str() == "spec").then(|| "success".to_owned())
        }
        fn error(&self, _: &TaskId) -> Option<String> {
            None
        }
        fn input(&self, name: &str) -> Option<Value> {
            (name == "count").then(|| json!(3))
        }
        fn phase_outputs(&self, phase: &str) -> Option<Vec<Value>> {
            (phase == "panel").then(|| vec![json!("a"), json!(2)])
        }

        fn results(&self, _task: &TaskId) -> Option<Vec<Value>> {
            None
        }

        fn failed(&self, _task: &TaskId) -> Option<Vec<Value>> {
            None
        }

        fn item(&self) -> Option<(Value, usize)> {
            None
        }

        fn run(&self, _field: &str) -> Option<String> {
            None
        }

        fn event(&self) -> Option<Value> {
            None
        }
    }

    fn output(task: &str, path: &[Value]) -> TemplatePart {
        let to = Edge::Output { task: TaskId::new(task), path: path.to_vec() };
        TemplatePart::Reference { written: format!("${{{task}.output}}"), to, default: None }
    }

    fn or(part: TemplatePart, text: &str) -> TemplatePart {
        match part {
            TemplatePart::Reference { written, to, .. } => {
                TemplatePart::Reference { written, to, default: Some(text.to_owned()) }
            }
            TemplatePart::Text(_) => part,
        }
    }

    fn value(parts: Vec<TemplatePart>) -> Result<Value, MissingField> {
        resolve(&Template { parts }, &World)
    }

    /// Feature G1: a single reference keeps its type, mixed text does not.
    #[test]
    fn a_single_reference_keeps_its_type_and_mixed_text_holds_json() {
        let rows = output("spec", &[json!("rows")]);
        assert_eq!(value(vec![rows.clone()]), Ok(json!([{ "x": 1 }])));
        assert_eq!(
            value(vec![TemplatePart::Text("rows: ".into()), rows]),
            Ok(json!("rows: [{\"x\":1}]"))
        );
        assert_eq!(
            value(vec![output("spec", &[json!("rows"), json!(0), json!("x")])]),
            Ok(json!(1))
        );
    }

    /// Feature G2: what an agent wrote is data, even if it looks like a reference.
    #[test]
    fn nothing_is_expanded_twice() {
        assert_eq!(value(vec![output("sly", &[])]), Ok(json!("${spec.output.path} $${x}")));
        assert_eq!(
            value(vec![TemplatePart::Text("it says ".into()), output("sly", &[])]),
            Ok(json!("it says ${spec.output.path} $${x}"))
        );
    }

    #[test]
    fn a_missing_field_names_the_producer_unless_there_is_a_default() {
        let missing = value(vec![output("spec", &[json!("rows"), json!(7)])]).unwrap_err();
        assert_eq!(missing.task, Some(TaskId::new("spec")));
        assert_eq!(missing.to_string(), "task `spec` gave no `output.rows[7]`");
        assert_eq!(value(vec![or(output("gone", &[]), "none")]), Ok(json!("none")));
        assert_eq!(value(vec![or(output("spec", &[json!("note")]), "none")]), Ok(json!("none")));
        assert_eq!(value(vec![output("spec", &[json!("note")])]), Ok(Value::Null));
        assert!(value(vec![output("spec", &[json!("path"), json!("deep")])]).is_err());
    }

    #[test]
    fn statuses_errors_inputs_and_phases_are_found() {
        let of =
            |to| value(vec![TemplatePart::Reference { written: String::new(), to, default: None }]);
        assert_eq!(of(Edge::Status { task: TaskId::new("spec") }), Ok(json!("success")));
        assert_eq!(of(Edge::Error { task: TaskId::new("spec") }), Ok(json!("")));
        assert_eq!(of(Edge::Input { name: "count".into(), path: vec![] }), Ok(json!(3)));
        assert_eq!(of(Edge::PhaseOutputs { phase: "panel".into() }), Ok(json!(["a", 2])));
        assert!(of(Edge::Input { name: "other".into(), path: vec![] }).is_err());
    }

    #[test]
    fn nested_inputs_are_resolved_throughout() {
        let text = InputValue::Text(Template { parts: vec![output("spec", &[json!("path")])] });
        let list = InputValue::List(vec![text, InputValue::Plain(json!(1.5))]);
        let table = InputValue::Table([("a".to_owned(), list)].into());
        assert_eq!(resolve_input(&table, &World), Ok(json!({ "a": ["/auth", 1.5] })));
    }
}
