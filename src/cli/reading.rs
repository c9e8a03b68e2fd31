//! Reads a plan and has it checked, against the configuration and the programs that are there.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::configuration::{self, read_text};
use super::desk::Desk;
use super::failure::{invalid, stops, unreadable, usage};
use super::shell::Shell;
use super::stock;
use crate::control::Failure;
use crate::daemon::Templates;
use crate::document::Source;
use crate::model::Severity;
use crate::plan::{self, Checked, Plan, Surroundings};
use crate::policy::Agent;

/// How a plan is looked at.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Values of its inputs.
    pub(crate) inputs: BTreeMap<String, String>,
    /// Demo agents stand in for all others.
    pub(crate) demo: bool,
    /// Instead of its own `max_parallel`.
    pub(crate) max_parallel: Option<u32>,
    /// Whether it is to be run: what is only missing here is an error then.
    pub(crate) to_run: bool,
}

/// A plan's file.
#[derive(Debug)]
pub(crate) struct PlanFile {
    /// Where it is, absolute.
    pub(crate) path: PathBuf,
    /// What it says.
    pub(crate) text: String,
    /// Whether it was found by its name, among the plans that are there.
    pub(crate) by_name: bool,
}

impl PlanFile {
    /// Reads it. What is no file may be the name of a plan that is there (feature E13).
    pub(crate) fn read(desk: &Desk, named: &Path) -> Result<Self, Failure> {
        let path = desk.shell.absolute(named);
        match read_text(&path) {
            Ok(text) => Ok(Self { path, text, by_name: false }),
            Err(error) if error.kind() == ErrorKind::NotFound && is_name(named) => {
                let (name, config) = (named.display().to_string(), desk.config()?.path);
                match stock::by_name(&config, &name)? {
                    Some((path, text)) => Ok(Self { path, text, by_name: true }),
                    None => Err(stock::unknown(&config, &name)?),
                }
            }
            Err(error) => {
                Err(unreadable(named, &error).hint("a plan is a TOML file; the README shows one"))
            }
        }
    }

    /// Checks it against the agents of the configuration.
    pub(crate) fn check(&self, desk: &Desk, named: &Path, look: &Look) -> Result<Checked, Failure> {
        let config_file = desk.config()?;
        let config = configuration::load(&config_file)?;
        let templates = Templates::beside(&config_file.path);
        let missing = if look.to_run { Severity::Error } else { Severity::Warning };
        let source = Source::new(named.display().to_string(), self.text.as_str());
        let read_file = |path: &str| {
            read_text(&desk.shell.absolute(Path::new(path))).map_err(|error| error.to_string())
        };
        let base_dir = self.path.parent().unwrap_or(Path::new("/"));
        Ok(plan::check(
            &source,
            &Surroundings {
                agents: &config.agents,
                inputs: &look.inputs,
                read_file: &read_file,
                has_program: &|agent| has_program(agent, &desk.shell),
                missing_program: missing,
                missing_input: missing,
                demo: look.demo,
                max_parallel: look.max_parallel,
                base_dir,
                template: &|name, set| templates.parts(name, set),
            },
        ))
    }

    /// Checks it, shows what is wrong, and gives the plan if nothing stops it.
    pub(crate) fn accept(&self, desk: &Desk, named: &Path, look: &Look) -> Result<Plan, Failure> {
        let Checked { plan, findings } = self.check(desk, named, look)?;
        let Some(plan) = plan.filter(|_| !stops(&findings)) else {
            return Err(invalid(&named.display().to_string(), findings)
                .hint("nothing was started; correct the plan and try again"));
        };
        desk.voice.findings(&findings);
        Ok(plan)
    }
}

/// Whether it can be the name of a plan: one word without folder or ending.
fn is_name(named: &Path) -> bool {
    named.extension().is_none() && named.components().count() == 1
}

/// Whether an agent's program is there and may be run: at its path, or in a directory of `PATH`.
fn has_program(agent: &Agent, shell: &Shell) -> bool {
    let Some(program) = agent.command.first() else { return false };
    let runs = |file: PathBuf| {
        fs::metadata(file)
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return runs(shell.absolute(Path::new(program)));
    }
    let own = agent.env.get("PATH").map(Path::new);
    let path = own.or_else(|| shell.get("PATH")).unwrap_or(Path::new("/usr/bin:/bin"));
    std::env::split_paths(path).any(|place| runs(place.join(program)))
}

/// Reads `k=v`.
pub(crate) fn input(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("an input has the form name=value")?;
    if name.is_empty() {
        return Err("an input needs a name before the `=`".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Inputs by name; one that is given twice is a mistake.
pub(crate) fn inputs(given: &[(String, String)]) -> Result<BTreeMap<String, String>, Failure> {
    let mut inputs = BTreeMap::new();
    for (name, value) in given {
        if inputs.insert(name.clone(), value.clone()).is_some() {
            return Err(usage(format!("the input `{name}` is given twice")));
        }
    }
    Ok(inputs)
}
