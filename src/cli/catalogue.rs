//! `plan list` and `plan new`: the plans that are there by name, and new ones made of them
//! (features A25, E13).

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use super::desk::Desk;
use super::failure::{COMPLETED, stops, usage};
use super::reading::{Look, PlanFile};
use super::stock::{Known, all, unknown_among};
use crate::control::{Failure, FailureKind};
use crate::model::minutes;
use crate::plan;

/// What a new plan is made of, unless another one is named.
const USUAL: &str = "fan-out";
/// Where an editor finds the keys of plans.
const SCHEMA: &str = "plan.schema.json";

/// How to list them.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Print the document instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to make.
#[derive(Debug, clap::Args)]
pub(crate) struct New {
    /// The name of the new plan
    #[arg(value_name = "NAME")]
    name: String,
    /// What it is made of: a pattern, a composition, or a plan of yours
    #[arg(long, value_name = "PLAN", default_value = USUAL)]
    from: String,
    /// Where it is written, `-` for standard output [default: NAME.toml]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the document instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Serialize)]
struct Listed {
    name: String,
    pattern: Option<String>,
    goal: String,
    tasks: usize,
    estimated_ms: Option<u64>,
    max_parallel: u32,
    from: String,
    problems: usize,
}

/// `plan list`.
pub(crate) fn list(desk: &Desk) -> Result<u8, Failure> {
    let config = desk.config()?.path;
    let listed: Result<Vec<Listed>, Failure> =
        all(&config)?.into_iter().map(|known| look_at(known, desk)).collect();
    let listed = listed?;
    if desk.voice.json {
        desk.voice.document(&json!({ "plans": listed }))?;
        return Ok(COMPLETED);
    }
    let lines: Vec<String> = listed.iter().map(line).collect();
    desk.voice.data(lines.concat().as_bytes())?;
    Ok(COMPLETED)
}

fn look_at(known: Known, desk: &Desk) -> Result<Listed, Failure> {
    let from = known.path.as_ref().map_or("shipped".to_owned(), |path| path.display().to_string());
    let path = known.path.unwrap_or_else(|| PathBuf::from(format!("/{}.toml", known.name)));
    let file = PlanFile { path: path.clone(), text: known.text, by_name: true };
    let checked = file.check(desk, &path, &Look { demo: true, ..Look::default() })?;
    let problems = checked.findings.iter().filter(|it| stops(std::slice::from_ref(it))).count();
    let shown = checked.plan.as_ref().map(plan::show_json).unwrap_or_default();
    let plan = checked.plan;
    Ok(Listed {
        name: known.name,
        pattern: plan.as_ref().and_then(|plan| plan.pattern.clone()),
        goal: plan.as_ref().map(|plan| plan.goal.clone()).unwrap_or_default(),
        tasks: plan.as_ref().map_or(0, |plan| plan.tasks.len()),
        estimated_ms: shown["estimated_ms"].as_u64(),
        max_parallel: plan.as_ref().map_or(0, |plan| plan.max_parallel),
        from,
        problems,
    })
}

fn line(listed: &Listed) -> String {
    let pattern = listed.pattern.as_deref().unwrap_or("-");
    let took = listed.estimated_ms.map_or("?".to_owned(), minutes);
    let problems = match listed.problems {
        0 => String::new(),
        _ => format!("  ({} has problems: `muxvisor plan check` shows them)", listed.from),
    };
    let Listed { name, goal, tasks, .. } = listed;
    format!("{name:<20} {pattern:<15} {tasks:>2} tasks {took:>7}  {goal}{problems}\n")
}

/// `plan new`.
pub(crate) fn new(args: &New, desk: &Desk) -> Result<u8, Failure> {
    let config = desk.config()?.path;
    let known = all(&config)?;
    let Some(from) = known.iter().find(|known| known.name == args.from) else {
        let names = known.iter().map(|known| known.name.as_str()).collect();
        return Err(unknown_among("plan", &args.from, names));
    };
    let fits = |c: char| !c.is_control() && !matches!(c, '/' | '"' | '\\');
    if args.name.trim().is_empty() || !args.name.chars().all(fits) {
        return Err(usage(format!("`{}` cannot be the name of a plan", args.name)));
    }
    let to = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.toml", args.name)));
    let text = scaffold(from, &args.name, &to);
    if to == Path::new("-") {
        desk.voice.data(text.as_bytes())?;
        return Ok(COMPLETED);
    }
    write_new(&desk.shell.absolute(&to), &text)?;
    if desk.voice.json {
        desk.voice.document(&json!({ "file": to, "from": from.name }))?;
    } else {
        let to = to.display();
        desk.voice.say(&format!(
            "{to} is made of {}; now:\n  edit it\n  muxvisor plan check {to}\n  \
             muxvisor run {to} --demo     no agent is needed for a first look",
            from.name
        ));
    }
    Ok(COMPLETED)
}

/// Writes a file that must not be there yet.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        let message = format!("failed to write {}: {error}", path.display());
        Failure::new(FailureKind::Usage, message).hint("`--out FILE` names another file")
    })
}

/// The text under another name: what names the plan and its file follows, the rest stays.
fn scaffold(from: &Known, name: &str, to: &Path) -> String {
    let (file, old) = (to.display().to_string(), format!("{}.toml", from.name));
    let quoted = toml::Value::String(name.to_owned()).to_string();
    let mut text = String::new();
    if !from.text.starts_with("#:schema") {
        text += &format!("#:schema {SCHEMA}\n");
        text += &format!(
            "# Editors that heed the line above want: muxvisor plan schema > {SCHEMA}\n#\n"
        );
    }
    let mut named = false;
    for line in from.text.lines() {
        let key = line.split_once('=').map(|(key, _)| key);
        if let Some(key) = key.filter(|key| !named && key.trim() == "plan") {
            text += &format!("{key}= {quoted}\n");
            named = true;
            continue;
        }
        let line = line.replace(&format!("config/plans/{old}"), &old).replace(&old, &file);
        text += &format!("{line}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cli::stock::SHIPPED;

    /// How many of each pattern there are, for tests.
    fn patterns() -> BTreeMap<String, usize> {
        let mut patterns = BTreeMap::new();
        for (_, text) in SHIPPED {
            let table: toml::Table = text.parse().expect("a shipped plan is TOML");
            let pattern = table.get("pattern").and_then(toml::Value::as_str).unwrap_or("none");
            *patterns.entry(pattern.to_owned()).or_default() += 1;
        }
        patterns
    }

    /// Features C1, C5, C8, C10, C12, C15–C17, ruling Z21: every pattern has a plan that shows it.
    #[test]
    fn every_pattern_is_shipped() {
        let shipped = patterns();
        for pattern in [
            "fan-out",
            "pipeline",
            "supervisor",
            "expert-panel",
            "map-reduce",
            "scatter-gather",
            "fork-join",
            "event-driven",
            "cascade",
        ] {
            assert!(shipped.contains_key(pattern), "{pattern} is in none of {shipped:?}");
        }
    }

    #[test]
    fn a_scaffold_is_called_as_it_should_be() {
        let known = Known {
            name: "old".to_owned(),
            text: "# run config/plans/old.toml\n\nplan   = \"old\"\ngoal = \"plan = x\"\n"
                .to_owned(),
            path: None,
        };
        let text = scaffold(&known, "my new", Path::new("a/new.toml"));
        assert!(text.starts_with("#:schema plan.schema.json\n"), "{text}");
        assert!(
            text.ends_with("# run a/new.toml\n\nplan   = \"my new\"\ngoal = \"plan = x\"\n"),
            "{text}"
        );
    }
}
