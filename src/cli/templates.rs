//! `templates list` and `templates preview` (feature M1). Neither needs a daemon.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::configuration::read_text;
use super::desk::Desk;
use super::failure::{COMPLETED, unreadable, usage};
use super::reading::input;
use crate::control::{Failure, FailureKind};
use crate::daemon::library;
use crate::plan;
use crate::template::{self, Listed, Template, UnknownTemplate};

/// What to do with templates.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// List the templates of prompts, and what each asks for
    List(List),
    /// Print the prompt that a template makes of values
    Preview(Preview),
}

/// How to list them.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Print the document instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which one, with which values.
#[derive(Debug, clap::Args)]
pub(crate) struct Preview {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// A value for one of its variables
    #[arg(long = "set", value_name = "K=V", value_parser = input)]
    set: Vec<(String, String)>,
    /// Files whose text is the input of the task
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    files: Vec<PathBuf>,
    /// Print the document instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

impl Verb {
    /// Whether a document is asked for.
    pub(crate) const fn json(&self) -> bool {
        match self {
            Verb::List(args) => args.json,
            Verb::Preview(args) => args.json,
        }
    }
}

/// Does it.
pub(crate) fn run(verb: &Verb, desk: &Desk) -> Result<u8, Failure> {
    match verb {
        Verb::List(_) => list(desk),
        Verb::Preview(args) => preview(args, desk),
    }
}

fn list(desk: &Desk) -> Result<u8, Failure> {
    let listed = library(&desk.config()?.path)?.list();
    if desk.voice.json {
        desk.voice.document(&json!({ "templates": listed }))?;
        return Ok(COMPLETED);
    }
    let text: Vec<String> = listed.iter().map(told).collect();
    desk.voice.data(text.join("\n").as_bytes())?;
    Ok(COMPLETED)
}

fn told(listed: &Listed) -> String {
    let aliases = match listed.aliases.as_slice() {
        [] => String::new(),
        names => format!(" (also {})", names.join(", ")),
    };
    let from = if listed.from == "shipped" { String::new() } else { format!("  {}", listed.from) };
    let mut text = format!("{}{aliases}: {}{from}\n", listed.name, listed.description);
    for variable in &listed.variables {
        let default = match &variable.default {
            _ if variable.required => " (required)".to_owned(),
            None => String::new(),
            Some(Value::String(text)) if text.is_empty() => String::new(),
            Some(Value::String(text)) => format!(" [{text}]"),
            Some(value) => format!(" [{value}]"),
        };
        text += &format!("    {}: {}{default}\n", variable.name, variable.description);
    }
    text
}

fn preview(args: &Preview, desk: &Desk) -> Result<u8, Failure> {
    let templates = library(&desk.config()?.path)?;
    let template = templates.find(&args.name).map_err(unknown)?;
    let files = texts(&args.files, desk)?;
    let parts = template.render(&values(template, &args.set)?).map_err(unfit)?;
    let schema = parts.output.as_ref().map(plan::schema_of).transpose().map_err(usage)?;
    let prompt = template::prompt(&parts, &files, schema.as_ref());
    if desk.voice.json {
        let words = prompt.split_whitespace().count();
        let document = json!({
            "template": template.name, "prompt": prompt, "words": words, "parts": parts,
            "schema": schema,
        });
        desk.voice.document(&document)?;
    } else {
        desk.voice.data(prompt.as_bytes())?;
    }
    Ok(COMPLETED)
}

/// The values by name; one that is given twice is a mistake.
fn values(
    template: &Template,
    set: &[(String, String)],
) -> Result<BTreeMap<String, Value>, Failure> {
    let mut values = BTreeMap::new();
    for (name, text) in set {
        if values.insert(name.clone(), Value::String(text.clone())).is_some() {
            return Err(usage(format!("`{name}` of `{}` is set twice", template.name)));
        }
    }
    Ok(values)
}

/// The texts of files, which an agent might not be able to open (feature G8).
fn texts(paths: &[PathBuf], desk: &Desk) -> Result<Vec<(String, String)>, Failure> {
    let text = |path: &PathBuf| {
        let text = read_text(&desk.shell.absolute(path)).map_err(|error| unreadable(path, &error));
        Ok((path.display().to_string(), text?))
    };
    paths.iter().map(text).collect()
}

fn unknown(error: UnknownTemplate) -> Failure {
    let known = error.known.join(", ");
    usage(error.to_string()).hint(format!("there are: {known}"))
}

fn unfit(problems: Vec<template::Problem>) -> Failure {
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Failure::new(FailureKind::Usage, told.join("\n")).hint("`--set name=value`")
}
