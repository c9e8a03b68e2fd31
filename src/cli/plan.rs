//! `plan`: check, show, schema, list, new and draft. Only `draft` needs a daemon; one that runs is
//! asked by `show` for earlier runs.

use std::path::PathBuf;

use serde_json::json;

use super::catalogue;
use super::desk::Desk;
use super::drafting;
use super::failure::{COMPLETED, invalid, stops};
use super::history::History;
use super::reading::{Look, PlanFile, input, inputs};
use crate::control::{Failure, FailureKind};
use crate::document;
use crate::model::Finding;
use crate::plan;

/// What to do with a plan.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Print every problem of plans, with its place and what to do
    Check(Check),
    /// Print a plan as it would be approved: tasks, dependencies, order
    Show(Show),
    /// Print the JSON Schema of plan files, for editors
    Schema,
    /// List the plans that are there by name
    List(catalogue::List),
    /// Make a new plan of a pattern, a composition, or a plan of yours
    New(catalogue::New),
    /// Have an agent draft a plan for a goal; it is shown, and never run unasked
    Draft(drafting::Args),
}

/// Which plans to check.
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// Plan files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Check it as with demo agents
    #[arg(long)]
    demo: bool,
    /// Print the document instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which plan to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// A plan file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Show it with demo agents
    #[arg(long)]
    demo: bool,
    /// A value for one of its inputs
    #[arg(long = "input", value_name = "K=V", value_parser = input)]
    inputs: Vec<(String, String)>,
    /// Print the document instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

impl Verb {
    /// Whether a document is asked for.
    pub(crate) const fn json(&self) -> bool {
        match self {
            Verb::Check(args) => args.json,
            Verb::Show(args) => args.json,
            Verb::Schema => true,
            Verb::List(args) => args.json,
            Verb::New(args) => args.json,
            Verb::Draft(args) => args.json,
        }
    }
}

/// Does it.
pub(crate) fn run(verb: &Verb, desk: &Desk) -> Result<u8, Failure> {
    match verb {
        Verb::Check(args) => check(args, desk),
        Verb::Show(args) => show(args, desk),
        Verb::Schema => {
            desk.voice.document(&plan::editor_schema())?;
            Ok(COMPLETED)
        }
        Verb::List(_) => catalogue::list(desk),
        Verb::New(args) => catalogue::new(args, desk),
        Verb::Draft(args) => drafting::draft(args, desk),
    }
}

fn check(args: &Check, desk: &Desk) -> Result<u8, Failure> {
    let look = Look { demo: args.demo, ..Look::default() };
    let mut findings = Vec::new();
    for file in &args.files {
        findings.extend(PlanFile::read(desk, file)?.check(desk, file, &look)?.findings);
    }
    let names: Vec<String> = args.files.iter().map(|file| file.display().to_string()).collect();
    report(&names.join(", "), findings, desk)
}

/// Tells what was found in files; shared with `check`.
pub(crate) fn report(what: &str, findings: Vec<Finding>, desk: &Desk) -> Result<u8, Failure> {
    let stops = stops(&findings);
    if desk.voice.json && stops {
        return Err(invalid(what, findings));
    }
    if desk.voice.json {
        desk.voice.document(&json!({ "ok": true, "findings": findings }))?;
        return Ok(COMPLETED);
    }
    tell(&findings, |text| desk.voice.say(text));
    let tally =
        if findings.is_empty() { "no problems".to_owned() } else { document::tally(&findings) };
    desk.voice.say(&format!("{what}: {tally}"));
    Ok(if stops { FailureKind::Invalid.exit_code() } else { COMPLETED })
}

/// Tells each finding.
pub(crate) fn tell(findings: &[Finding], say: impl Fn(&str)) {
    for finding in findings {
        say(&format!("{}\n", document::render(finding)));
    }
}

fn show(args: &Show, desk: &Desk) -> Result<u8, Failure> {
    let look = Look { demo: args.demo, inputs: inputs(&args.inputs)?, ..Look::default() };
    let mut plan = PlanFile::read(desk, &args.file)?.accept(desk, &args.file, &look)?;
    let history = History::fill_in(desk, &mut plan);
    if desk.voice.json {
        let mut document = plan::show_json(&plan);
        history.iter().for_each(|history| history.add_to(&mut document));
        desk.voice.document(&document)?;
    } else {
        let below = history.map_or_else(String::new, |history| history.text());
        desk.voice.data(format!("{}{below}", plan::show(&plan)).as_bytes())?;
    }
    Ok(COMPLETED)
}
