//! Reads a configuration file: the settings of the daemon, and agents.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::document::{Document, Findings, Source, Table};
use crate::model::{Finding, words};

use super::agent::{Agent, Group, Policy};
use super::agents::{read_agents_from, read_defaults, read_max_parallel};
use super::amount::{bytes, finite, limit, out_of_range};
use super::groups::read_groups;
use super::unsupported::{self, refuse};

/// The code of most findings.
const CODE: &str = "C01";
/// The version of the format.
const SCHEMA: u32 = 1;
/// More old logs are an archive, which is somebody else's work.
const LOG_BACKUPS_MAX: u32 = 100;
/// The configuration that every other one lies over.
const BUILT_IN: &str = include_str!("../../config/default.toml");

words! {
    /// What SIGTERM does to agents.
    OnTerm {
        /// They live on, and the next daemon adopts them.
        Detach = "detach",
        /// They are stopped.
        Stop = "stop",
    }
}

words! {
    /// What a caller inside of an agent may ask of the daemon.
    AgentApi {
        /// Nothing.
        None = "none",
        /// What concerns itself: results, notes, its own state.
        Own = "self",
        /// Everything that a person may.
        Full = "full",
    }
}

words! {
    /// Which windows stay when their agent has ended.
    KeepWindow {
        /// None.
        Never = "never",
        /// Those of failures.
        OnFailure = "on-failure",
        /// All.
        Always = "always",
    }
}

/// Settings of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonSettings {
    /// What SIGTERM does to agents.
    pub on_term: OnTerm,
    /// How many attempts of all runs may live at once.
    pub max_parallel: u32,
    /// Which windows stay.
    pub keep_window: KeepWindow,
    /// How long they stay, in milliseconds.
    pub keep_for_ms: u64,
    /// What agents may ask of the daemon.
    pub agent_api: AgentApi,
    /// How long the daemon's log may grow, in bytes, before it is moved away; `None` is no limit.
    pub log_max_bytes: Option<u64>,
    /// How many old logs are kept.
    pub log_backups: u32,
}

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Version of the format: 1.
    pub schema: u32,
    /// Settings of the daemon.
    pub daemon: DaemonSettings,
    /// Every agent by its name, the built-in ones too.
    pub agents: BTreeMap<String, Agent>,
    /// Groups of services, by name.
    pub groups: BTreeMap<String, Group>,
}

impl Default for DaemonSettings {
    fn default() -> Self {
        Self {
            on_term: OnTerm::Detach,
            max_parallel: 128,
            keep_window: KeepWindow::OnFailure,
            keep_for_ms: 3_600_000,
            agent_api: AgentApi::Own,
            log_max_bytes: Some(10 << 20),
            log_backups: 5,
        }
    }
}

impl Config {
    /// The configuration that is compiled in: `config/default.toml`.
    pub fn built_in() -> Self {
        let source = Source::new("config/default.toml", BUILT_IN);
        let nothing = Self {
            schema: SCHEMA,
            daemon: DaemonSettings::default(),
            agents: BTreeMap::new(),
            groups: BTreeMap::new(),
        };
        let (config, _) = Self::read(&source, Path::new("/"), &nothing);
        config.expect("a unit test reads the compiled-in configuration")
    }

    /// Reads a file over other settings; no configuration when there is an error.
    ///
    /// Relative paths in it are resolved against `base_dir`, the directory of the file, which
    /// should be absolute. The findings are all problems at once, in the order of the file.
    pub fn read(
        source: &Source,
        base_dir: &Path,
        defaults: &Config,
    ) -> (Option<Config>, Vec<Finding>) {
        let findings = Findings::new(source);
        let config = Document::parse(source, CODE, &findings).map(|document| {
            let mut root = document.root(&findings, CODE);
            let config = read_root(&mut root, base_dir, defaults);
            root.finish();
            config
        });
        let config = config.filter(|_| !findings.has_errors());
        (config, findings.finish())
    }
}

fn read_root(root: &mut Table<'_>, base_dir: &Path, defaults: &Config) -> Config {
    read_schema(root);
    let mut daemon = defaults.daemon.clone();
    if let Some(mut table) = root.table("daemon") {
        read_daemon(&mut table, &mut daemon);
        table.finish();
    }
    let mut blank = Agent::new("");
    if let Some(mut table) = root.table("defaults") {
        read_defaults(&mut table, base_dir, &mut blank);
        table.finish();
    }
    let mut inherited = defaults.agents.clone();
    for agent in inherited.values_mut() {
        // The built-in agents say nothing about policies but what their ends mean, so `[defaults]`
        // holds for them too.
        let rules = std::mem::take(&mut agent.policy.care.rules);
        let unsaid = agent.policy == Policy::default();
        agent.policy.care.rules = rules.clone();
        if !unsaid {
            continue;
        }
        agent.policy = blank.policy.clone();
        agent.policy.care.rules.extend(rules);
        agent.env_filter = blank.env_filter.clone();
    }
    let agents = read_agents_from(root, base_dir, &inherited, &blank);
    let groups = read_groups(root, &agents, &defaults.groups);
    Config { schema: SCHEMA, daemon, agents, groups }
}

fn read_schema(root: &mut Table<'_>) {
    if let Some(schema) = root.count("schema").filter(|schema| schema.value != SCHEMA) {
        let message = format!("`schema` is {SCHEMA}, this file says {}", schema.value);
        root.findings().error("C08", schema.span, message);
    }
}

fn read_daemon(table: &mut Table<'_>, daemon: &mut DaemonSettings) {
    if let Some(word) = table.word("on_term", OnTerm::ALL, OnTerm::word) {
        daemon.on_term = word.value;
    }
    if let Some(count) = read_max_parallel(table) {
        daemon.max_parallel = count;
    }
    if let Some(word) = table.word("keep_window", KeepWindow::ALL, KeepWindow::word) {
        daemon.keep_window = word.value;
    }
    if let Some(ms) = finite(table, "keep_for") {
        daemon.keep_for_ms = ms;
    }
    if let Some(word) = table.word("agent_api", AgentApi::ALL, AgentApi::word) {
        daemon.agent_api = word.value;
    }
    if let Some(most) = limit(table, "log_max_bytes", bytes) {
        daemon.log_max_bytes = most;
    }
    if let Some(count) = table.count("log_backups") {
        if count.value <= LOG_BACKUPS_MAX {
            daemon.log_backups = count.value;
        } else {
            let message = format!("`log_backups` lies between 0 and {LOG_BACKUPS_MAX}");
            out_of_range(table, count.span, &message);
        }
    }
    refuse(table, unsupported::OF_THE_DAEMON);
}
