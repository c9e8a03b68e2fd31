//! `agents`: who can do what, how they stand, and taking over agents that others wrote down.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::columns::{columns, head, stamp};
use super::desk::Desk;
use super::failure::{COMPLETED, invalid, stops, unreadable, usage};
use super::{configuration, plan};
use crate::control::agent_view::{AgentView, AgentsReply};
use crate::control::{Failure, Request};
use crate::document::{Findings, Source, did_you_mean};
use crate::model::Finding;
use crate::policy::{Config, Contract};

/// What to do with agents.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// List all agents: what they can do and how they stand
    List(List),
    /// Show one agent with its contract
    Show(Show),
    /// List who has a capability, the first choice first
    Find(Find),
    /// Take over agents from Markdown (.claude/agents) and JSON contracts, as configuration
    Import(Import),
}

/// How to list them.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct List {
    /// Print the document instead of a table
    #[arg(long)]
    json: bool,
}

/// Which agent to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// Print the document instead of text
    #[arg(long)]
    json: bool,
}

/// What to find.
#[derive(Debug, clap::Args)]
pub(crate) struct Find {
    /// What it is to do: testing, "code review", …
    #[arg(long, value_name = "C")]
    capability: String,
    /// Print the document instead of a table
    #[arg(long)]
    json: bool,
}

/// What to take over.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// A directory with *.md or *.json, or one such file
    #[arg(value_name = "DIR")]
    from: PathBuf,
    /// Add those that are not there yet to the configuration, instead of printing them
    #[arg(long)]
    write: bool,
    /// Print the document instead of text
    #[arg(long)]
    json: bool,
}

/// What stands behind `agents`; without anything, the list.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: List,
}

impl Args {
    /// Whether a document is asked for.
    pub(crate) const fn json(&self) -> bool {
        match &self.verb {
            None => self.list.json,
            Some(Verb::List(args)) => args.json,
            Some(Verb::Show(args)) => args.json,
            Some(Verb::Find(args)) => args.json,
            Some(Verb::Import(args)) => args.json,
        }
    }
}

/// Does it.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    match &args.verb {
        None | Some(Verb::List(_)) => list(None, desk),
        Some(Verb::Find(args)) => list(Some(args.capability.clone()), desk),
        Some(Verb::Show(args)) => show(&args.name, desk),
        Some(Verb::Import(args)) => import(args, desk),
    }
}

fn list(capability: Option<String>, desk: &Desk) -> Result<u8, Failure> {
    let seen: AgentsReply = desk.ask(&Request::Agents { capability })?;
    if desk.voice.json {
        desk.voice.document(&seen)?;
    } else {
        let titles = ["agent", "state", "load", "success", "cost", "capabilities", "description"];
        let rows = seen.agents.iter().map(row);
        let rows: Vec<_> = std::iter::once(head(&titles)).chain(rows).collect();
        desk.voice.say(&columns(&rows));
    }
    Ok(COMPLETED)
}

fn row(one: &AgentView) -> Vec<String> {
    let most = one.max_parallel.map_or_else(String::new, |most| format!("/{most}"));
    vec![
        one.name.clone(),
        one.state.clone(),
        format!("{}{most}", one.running),
        ratio(one),
        one.cost.clone(),
        one.capabilities.join(", "),
        one.description.clone(),
    ]
}

fn ratio(one: &AgentView) -> String {
    one.success_ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.0} %", ratio * 100.0))
}

fn show(name: &str, desk: &Desk) -> Result<u8, Failure> {
    let seen: AgentsReply = desk.ask(&Request::Agents { capability: None })?;
    let Some(one) = seen.agents.iter().find(|one| one.name == name) else {
        let names = seen.agents.iter().map(|one| one.name.as_str());
        let hint = did_you_mean(name, names);
        let hint = hint.unwrap_or_else(|| "`muxvisor agents list` lists them".to_owned());
        return Err(usage(format!("there is no agent `{name}`")).hint(hint));
    };
    if desk.voice.json {
        desk.voice.document(one)?;
    } else {
        desk.voice.say(text(one, &seen).trim_end());
    }
    Ok(COMPLETED)
}

fn text(one: &AgentView, seen: &AgentsReply) -> String {
    let mut out = one.name.clone();
    if !one.description.is_empty() {
        out += &format!(": {}", one.description);
    }
    out.push('\n');
    let mut line = |name: &str, text: String| {
        if !text.is_empty() {
            writeln!(out, "{:<14}{text}", format!("{name}:")).expect("a String takes all text");
        }
    };
    let state =
        if one.why.is_empty() { one.state.clone() } else { format!("{}: {}", one.state, one.why) };
    line("state", state);
    line("until", one.until_ms.map(stamp).unwrap_or_default());
    line("load", format!("{} running, {} waiting", one.running, one.queued));
    line(
        "success",
        match one.success_ratio {
            Some(_) => format!("{} of the last {} attempts", ratio(one), one.attempts),
            None => "no attempts yet".to_owned(),
        },
    );
    line("intent", one.intent.clone().unwrap_or_default());
    line("capabilities", one.capabilities.join(", "));
    let places = seen.routing.iter().filter_map(|(capability, names)| {
        let place = names.iter().position(|name| *name == one.name)?;
        Some(format!("{capability} (choice {})", place + 1))
    });
    line("routed", places.collect::<Vec<_>>().join(", "));
    line("inputs", one.inputs.join(", "));
    line("outputs", one.outputs.join(", "));
    line("downstream", one.downstream.join(", "));
    line("risk", one.risk.clone());
    line("cost", one.cost.clone());
    line("model", one.model.clone().unwrap_or_default());
    line("tools", one.tools.join(", "));
    line("tags", one.tags.join(", "));
    line("max parallel", one.max_parallel.map(|most| most.to_string()).unwrap_or_default());
    line("command", one.command.first().cloned().unwrap_or_default());
    out
}

fn import(args: &Import, desk: &Desk) -> Result<u8, Failure> {
    let from = desk.shell.absolute(&args.from);
    let (contracts, findings) = read_all(&from)?;
    if stops(&findings) {
        return Err(invalid(&from.display().to_string(), findings));
    }
    if contracts.is_empty() {
        let message = format!("{} holds no agents", from.display());
        return Err(usage(message).hint("agents are *.md with front matter, or *.json contracts"));
    }
    let file = desk.config()?;
    let config = configuration::load(&file)?;
    let built_in = Config::built_in();
    // One that is built in may be written down anew; one that a person wrote never is.
    let taken = |contract: &&Contract| {
        let known = config.agents.get(&contract.name);
        known.is_some() && known != built_in.agents.get(&contract.name)
    };
    let (there, new): (Vec<_>, Vec<_>) = contracts.iter().partition(taken);
    let tables: Vec<String> = new.iter().map(|it| it.to_toml(&config.default_agent)).collect();
    let toml = tables.join("\n");
    if args.write && !new.is_empty() {
        append(&file.path, &toml)?;
    }
    let names = |list: &[&Contract]| list.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
    let (there, new) = (names(&there), names(&new));
    if desk.voice.json {
        desk.voice.document(&json!({
            "imported": new, "already_there": there, "written": args.write, "path": file.path,
            "toml": toml, "findings": findings,
        }))?;
        return Ok(COMPLETED);
    }
    if !findings.is_empty() {
        plan::tell(&findings, |text| desk.voice.note(text));
    }
    if !there.is_empty() {
        desk.voice.note(&format!("left as they are, being configured: {}", there.join(", ")));
    }
    if args.write {
        desk.voice.say(&format!(
            "{}: {} added: {}",
            file.path.display(),
            new.len(),
            new.join(", ")
        ));
    } else {
        desk.voice.data(toml.as_bytes())?;
    }
    Ok(COMPLETED)
}

/// The contracts of a directory or file, by name of file, and what is to be said about them.
fn read_all(from: &Path) -> Result<(Vec<Contract>, Vec<Finding>), Failure> {
    let mut paths = vec![from.to_owned()];
    if from.is_dir() {
        let entries = fs::read_dir(from).map_err(|error| unreadable(from, &error))?;
        paths = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|it| it == "md" || it == "json"));
        paths.sort();
    }
    let (mut contracts, mut told): (Vec<Contract>, Vec<Finding>) = (Vec::new(), Vec::new());
    for path in paths {
        let text = configuration::read_text(&path).map_err(|error| unreadable(&path, &error))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let source = Source::new(path.display().to_string(), text);
        let findings = Findings::new(&source);
        let json = path.extension().is_some_and(|ending| ending == "json");
        let read = if json { Contract::read } else { Contract::from_markdown };
        contracts.extend(read(&source, &stem, &findings));
        told.extend(findings.finish());
    }
    Ok((contracts, told))
}

/// Adds to a file, which may not be there yet.
fn append(path: &Path, text: &str) -> Result<(), Failure> {
    let write = || {
        let fresh = !path.exists();
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
        let head = if fresh { "schema = 1\n" } else { "" };
        file.write_all(format!("{head}\n{text}").as_bytes())
    };
    write().map_err(|error| usage(format!("failed to write {}: {error}", path.display())))
}
