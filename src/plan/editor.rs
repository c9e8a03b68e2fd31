//! The JSON Schema of a plan's file, for editors. It is written down once, beside the readers; a
//! test holds the two together, key by key.

use serde_json::Value;

/// What is written down. The keys of `settings` are those that tasks, stages and `[defaults]`
/// have in common.
const WRITTEN: &str = include_str!("plan.schema.json");

/// The JSON Schema (2020-12) of a plan's file.
pub fn editor_schema() -> Value {
    let mut schema: Value = serde_json::from_str(WRITTEN).unwrap_or_default();
    let settings = schema["$defs"]["settings"]["properties"].take();
    if let Some(definitions) = schema["$defs"].as_object_mut() {
        definitions.remove("settings");
    }
    for place in ["/properties/defaults", "/$defs/task", "/$defs/stage"] {
        let table = schema.pointer_mut(place).and_then(|table| table["properties"].as_object_mut());
        if let (Some(table), Some(settings)) = (table, settings.as_object()) {
            table.extend(settings.clone());
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use super::*;
    use crate::document::{Source, asked};
    use crate::model::Severity;
    use crate::plan::{Surroundings, check, no_templates};

    /// Has every table that a plan can have.
    const EVERYTHING: &str = r#"
        plan = "x"
        budget = {}
        limits = { p = {} }
        inputs = { i = {} }
        defaults = { budget = {}, retry_wait = {}, hook = [{}] }
        on = [{}]
        on_finish = {}
        [[phase]]
        hook = [{}]
        [[phase.task]]
        entry_point = {}
        partition = {}
        lead = {}
        kind = "reduce"
        reducer = "vote"
        veto = {}
        budget = {}
        retry_wait = {}
        hook = [{}]
        [[task]]
        lead = {}
    "#;

    fn read(text: &str) {
        let (agents, inputs) = (BTreeMap::new(), BTreeMap::new());
        let surroundings = Surroundings {
            agents: &agents,
            inputs: &inputs,
            read_file: &|_| Err("there are no files here".to_owned()),
            has_program: &|_| true,
            missing_program: Severity::Error,
            missing_input: Severity::Error,
            demo: false,
            max_parallel: None,
            base_dir: Path::new("."),
            template: &no_templates,
        };
        let _ = check(&Source::new("plan.toml", text), &surroundings);
    }

    /// The tables that stand at a place of a plan, `phase.task.hook`.
    fn tables<'s>(schema: &'s Value, here: &'s Value, way: &[&str]) -> Vec<&'s Value> {
        if let Some(name) = here["$ref"].as_str() {
            let there = schema.pointer(name.trim_start_matches('#')).expect("a reference leads on");
            return tables(schema, there, way);
        }
        let several = here["anyOf"].as_array().into_iter().flatten();
        let mut found: Vec<&Value> = several.flat_map(|one| tables(schema, one, way)).collect();
        match way {
            _ if here.get("items").is_some() => found.extend(tables(schema, &here["items"], way)),
            [] if here["properties"].is_object() => found.push(here),
            [] => {}
            [first, rest @ ..] => {
                let next = here["properties"].get(*first).or(here.get("additionalProperties"));
                found.extend(next.into_iter().flat_map(|next| tables(schema, next, rest)));
            }
        }
        found
    }

    /// Design §11: `plan schema` knows the keys that the reader knows, no more and no less.
    #[test]
    fn the_schema_and_the_reader_know_the_same_keys() {
        read(EVERYTHING);
        let mut asked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        read("plan = \"x\"\nstages = [{ budget = {}, retry_wait = {}, hook = [{}] }]\n");
        for (label, keys) in asked::taken() {
            let plain: String = label.split(['[', ']']).step_by(2).collect();
            asked.entry(plain).or_default().extend(keys);
        }
        let schema = editor_schema();
        let mut seen = 0;
        for (label, keys) in asked {
            let way: Vec<&str> = label.split('.').filter(|part| !part.is_empty()).collect();
            let mut found = tables(&schema, &schema, &way);
            // One table and a list of them lead to the same definition.
            found.dedup_by(|one, other| std::ptr::eq(*one, *other));
            assert_eq!(found.len(), 1, "`{label}` in the schema: {found:?}");
            let known: BTreeSet<String> =
                found[0]["properties"].as_object().expect("it has keys").keys().cloned().collect();
            assert_eq!(keys, known, "the keys of `{label}`: reader, schema");
            assert_eq!(found[0]["additionalProperties"], false, "`{label}` takes any key");
            seen += 1;
        }
        assert!(seen >= 22, "only {seen} tables were compared");
    }

    /// Every key says what it is for.
    #[test]
    fn every_key_is_described() {
        fn visit(schema: &Value, here: &Value) {
            for (key, value) in here["properties"].as_object().into_iter().flatten() {
                let other = value["$ref"].as_str().and_then(|it| schema.pointer(&it[1..]));
                let said = value.get("description").or_else(|| other?.get("description"));
                assert!(said.is_some(), "`{key}` is not described");
                visit(schema, value);
            }
            for part in here["anyOf"].as_array().into_iter().flatten() {
                visit(schema, part);
            }
        }
        let schema = editor_schema();
        visit(&schema, &schema);
        for definition in schema["$defs"].as_object().expect("there are definitions").values() {
            visit(&schema, definition);
        }
    }
}
