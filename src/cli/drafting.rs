//! `plan draft`: a planner agent makes a plan of a goal (features A1–A5, A10, I2). It runs like any
//! other agent, as the one task of a small plan; what it says is checked, sent back once with its
//! problems, shown, and never run unasked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::catalogue::write_new;
use super::configuration;
use super::deadline::Interrupt;
use super::desk::Desk;
use super::failure::{COMPLETED, INTERRUPTED, exit_code, stops, usage};
use super::follow::{End, Follower};
use super::prompt::confirm;
use super::reading::{Look, PlanFile};
use super::stock::unknown_among;
use super::{harvest::Harvest, run};
use crate::control::view::RunReply;
use crate::control::{Failure, FailureKind, Request, Submit};
use crate::daemon::library;
use crate::document;
use crate::model::{Finding, RunId, RunOutcome};
use crate::plan::{self, Plan};
use crate::policy::Agent;
use crate::template::Parts;

/// The plan that a draft is the work of; its agent, role and constraints are put in.
const PLAN: &str = include_str!("draft.toml");
/// A small plan that shows the form; `@agent@` stands for an agent that there is.
const EXAMPLE: &str = include_str!("draft_example.toml");
/// How often a planner is asked: once, and once more with what was wrong.
const ROUNDS: usize = 2;

/// What to draft.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the plan is for, in one sentence
    #[arg(value_name = "GOAL")]
    goal: String,
    /// The agent that drafts it
    #[arg(long, value_name = "NAME")]
    agent: String,
    /// Where it is written [default: the plan's name with .toml]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the document instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// A draft and what is wrong with it.
struct Draft {
    text: String,
    run: RunId,
    plan: Option<Plan>,
    findings: Vec<Finding>,
}

/// Has it drafted.
pub(crate) fn draft(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    if args.goal.trim().is_empty() {
        return Err(usage("a draft needs a goal"));
    }
    let config = desk.config()?;
    let agents = configuration::load(&config)?.agents;
    if !agents.contains_key(&args.agent) {
        let known = agents.keys().map(String::as_str).collect();
        return Err(unknown_among("agent", &args.agent, known));
    }
    let interrupt = || {
        Interrupt::catch().map_err(|error| {
            Failure::new(FailureKind::Internal, format!("Ctrl-C cannot be caught: {error}"))
        })
    };
    let mut last: Option<Draft> = None;
    for _ in 0..ROUNDS {
        let parts = prompt(args, &config.path, &agents, last.as_ref())?;
        let (run, text) = match have_done(args, desk, &parts, interrupt()?)? {
            Ok(done) => done,
            Err(code) => return Ok(code),
        };
        let draft = judge(run, text, args, desk)?;
        let good = draft.plan.is_some();
        last = Some(draft);
        if good {
            break;
        }
        desk.voice.note("the draft has problems");
    }
    let draft = last.expect("at least one round was made");
    keep(args, desk, &draft, &interrupt()?)
}

/// What the planner is told: the goal, how to choose a pattern, the form, and who there is.
fn prompt(
    args: &Args,
    config: &Path,
    agents: &BTreeMap<String, Agent>,
    last: Option<&Draft>,
) -> Result<Parts, Failure> {
    let templates = library(config)?;
    let template = templates.find("plan-draft").map_err(|error| usage(error.to_string()))?;
    let mut values = BTreeMap::from([
        ("goal".to_owned(), Value::from(args.goal.trim())),
        ("agents".to_owned(), Value::from(roster(agents))),
        ("example".to_owned(), Value::from(example(&args.agent))),
    ]);
    if let Some(draft) = last {
        let told: Vec<String> = draft.findings.iter().map(document::render).collect();
        values.insert("previous".to_owned(), Value::from(draft.text.as_str()));
        values.insert("findings".to_owned(), Value::from(told.join("\n")));
    }
    template.render(&values).map_err(|problems| {
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        usage(told.join("\n")).hint("the template `plan-draft` beside the configuration file")
    })
}

/// Those who do tasks, one line each.
fn roster(agents: &BTreeMap<String, Agent>) -> String {
    let line = |agent: &Agent| {
        let can = match agent.capabilities.as_slice() {
            [] => String::new(),
            all => format!("; can: {}", all.join(", ")),
        };
        let about = Some(agent.description.as_str())
            .filter(|it| !it.is_empty())
            .unwrap_or("no description");
        format!("- `{}`: {about}{can}", agent.name)
    };
    let lines: Vec<String> = agents.values().map(line).collect();
    lines.join("\n")
}

fn example(agent: &str) -> String {
    EXAMPLE.replace("\"@agent@\"", &quoted(agent)).trim_end().to_owned()
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Runs the planner; what it said, or the exit code with which the watching ended.
fn have_done(
    args: &Args,
    desk: &Desk,
    parts: &Parts,
    interrupt: Interrupt,
) -> Result<Result<(RunId, String), u8>, Failure> {
    let rules: Vec<String> = parts.constraints.iter().map(|rule| quoted(&literal(rule))).collect();
    let role = parts.role.as_deref().unwrap_or("You are a planner");
    let text = PLAN
        .replace("\"@agent@\"", &quoted(&args.agent))
        .replace("\"@role@\"", &quoted(&literal(role)))
        .replace("\"@rules@\"", &rules.join(", "));
    let submit = Submit {
        text,
        path: desk.shell.cwd.join("draft.toml"),
        cwd: desk.shell.cwd.clone(),
        env: desk.shell.environment(),
        inputs: BTreeMap::from([("task".to_owned(), parts.description())]),
        yes: true,
        demo: false,
        max_parallel: None,
    };
    let daemon = desk.daemon()?;
    let reply: RunReply = daemon.ask_for(&Request::Submit(Box::new(submit)))?;
    let run = reply.run;
    desk.voice.note(&format!("{run}: {} drafts a plan", args.agent));
    let results = match Follower::new(desk, run.clone(), interrupt).follow(daemon)? {
        End::Over { results } => results,
        End::Waiting | End::Interrupted => return Ok(Err(INTERRUPTED)),
    };
    let outcome = Harvest::of(&results)?.outcome();
    let task = &results["execution_results"]["phases"][0]["tasks"][0];
    match (outcome, task["output"].as_str()) {
        (RunOutcome::Completed, Some(text)) => Ok(Ok((run, unfenced(text)))),
        _ => {
            let why = task["error"]["message"].as_str().unwrap_or("it gave no result");
            desk.voice.note(&format!("{} could not draft a plan: {why}", args.agent));
            desk.voice.note(&format!("  hint: muxvisor logs {run}/draft"));
            Ok(Err(exit_code(outcome).max(1)))
        }
    }
}

/// A text in which nothing is a reference.
fn literal(text: &str) -> String {
    text.replace("${", "$${")
}

/// A text without the fence that many models put around it.
fn unfenced(text: &str) -> String {
    let text = text.trim();
    let inner = text.strip_prefix("```").and_then(|rest| {
        let (_, rest) = rest.split_once('\n')?;
        rest.trim_end().strip_suffix("```")
    });
    format!("{}\n", inner.unwrap_or(text).trim_end())
}

fn judge(run: RunId, text: String, args: &Args, desk: &Desk) -> Result<Draft, Failure> {
    let path = args.out.clone().unwrap_or_else(|| PathBuf::from("draft.toml"));
    let file = PlanFile { path: desk.shell.absolute(&path), text, by_name: false };
    let checked = file.check(desk, &path, &Look::default())?;
    let plan = checked.plan.filter(|_| !stops(&checked.findings));
    Ok(Draft { text: file.text, run, plan, findings: checked.findings })
}

/// Writes it, shows it, and asks whether it is to be run where somebody can answer.
fn keep(args: &Args, desk: &Desk, draft: &Draft, interrupt: &Interrupt) -> Result<u8, Failure> {
    let named = draft.plan.as_ref().map_or("draft", |plan| plan.name.as_str());
    let slug: String =
        named.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '-' }).collect();
    let file = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{slug}.toml")));
    write_new(&desk.shell.absolute(&file), &draft.text)?;
    let code = if draft.plan.is_some() { COMPLETED } else { FailureKind::Invalid.exit_code() };
    if desk.voice.json {
        desk.voice.document(&json!({
            "run": draft.run, "file": file, "ok": draft.plan.is_some(),
            "findings": draft.findings, "plan": draft.plan.as_ref().map(plan::show_json),
        }))?;
        return Ok(code);
    }
    desk.voice.findings(&draft.findings);
    let file_shown = file.display();
    let Some(plan) = &draft.plan else {
        desk.voice.say(&format!("{file_shown} holds the last draft; it cannot be run as it is"));
        return Ok(code);
    };
    desk.voice.say(&plan::show(plan));
    desk.voice.say(&format!("{file_shown} holds it; `muxvisor run {file_shown}` runs it"));
    let answerable = desk.shell.stdin_is_terminal && desk.shell.stderr_is_terminal;
    if answerable && confirm("Run it now?", interrupt) == Some(true) {
        return run::run(&run::Args::approved(file), desk);
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_around_a_draft_is_taken_off() {
        for text in ["plan = 1", "```toml\nplan = 1\n```", "```\nplan = 1\n\n```\n", " plan = 1 "] {
            assert_eq!(unfenced(text), "plan = 1\n", "{text}");
        }
    }

    #[test]
    fn names_and_rules_are_put_in_as_text() {
        assert_eq!(literal("a ${b}"), "a $${b}");
        assert!(example("a\"b@c").contains(r#"agent       = 'a"b@c'"#), "{}", example("a\"b@c"));
    }
}
