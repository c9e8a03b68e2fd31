//! Reads a configuration file: the settings of the daemon, and agents.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::document::{Document, Findings, Source, Span, Spanned, Table, did_you_mean};
use crate::model::{Finding, words};

use super::agent::{Agent, Group, Policy};
use super::agents::{From, read_agents_from, read_defaults, read_max_parallel};
use super::amount::{bytes, finite, limit, out_of_range};
use super::contract::Contract;
use super::groups::read_groups;
use super::prices::{Price, read_price_file, read_prices};
use super::routing::{add_profiles, rank, read_routing};
use super::shipped;
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
    /// The agents of each capability, the first choice first.
    #[serde(default)]
    pub routing: BTreeMap<String, Vec<String>>,
    /// The agent on whose program those run that only a contract makes.
    #[serde(default)]
    pub default_agent: String,
    /// What contracts say, by agent.
    #[serde(default)]
    pub contracts: BTreeMap<String, Contract>,
    /// What tokens cost.
    #[serde(default)]
    pub prices: Vec<Price>,
}

/// What lies beside a configuration file.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// The files `skill_contracts/*.json`: each with its name without the ending.
    pub contracts: Vec<(String, Source)>,
    /// The file `prices.toml`.
    pub prices: Option<Source>,
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
    /// A configuration that says nothing.
    pub fn nothing() -> Self {
        Self {
            schema: SCHEMA,
            daemon: DaemonSettings::default(),
            agents: BTreeMap::new(),
            groups: BTreeMap::new(),
            routing: BTreeMap::new(),
            default_agent: String::new(),
            contracts: BTreeMap::new(),
            prices: Vec::new(),
        }
    }

    /// The configuration that is compiled in: `config/default.toml`, `config/skill_contracts/` and
    /// `config/prices.toml`.
    pub fn built_in() -> Self {
        static READ: LazyLock<Config> = LazyLock::new(Config::read_built_in);
        READ.clone()
    }

    fn read_built_in() -> Self {
        let source = Source::new("config/default.toml", BUILT_IN);
        let contract = |(name, text): &(&str, &str)| {
            let path = format!("config/skill_contracts/{name}.json");
            ((*name).to_owned(), Source::new(path, *text))
        };
        let beside = Beside {
            contracts: shipped::CONTRACTS.iter().map(contract).collect(),
            prices: Some(Source::new("config/prices.toml", shipped::PRICES)),
        };
        let (config, _) = Self::read_all(&source, &beside, Path::new("/"), &Self::nothing());
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
        Self::read_all(source, &Beside::default(), base_dir, defaults)
    }

    /// The same, with what lies beside the file.
    pub fn read_all(
        source: &Source,
        beside: &Beside,
        base_dir: &Path,
        defaults: &Config,
    ) -> (Option<Config>, Vec<Finding>) {
        let findings = Findings::new(source);
        let (mut contracts, mut prices) = (defaults.contracts.clone(), defaults.prices.clone());
        read_beside(beside, &mut contracts, &mut prices, &findings);
        let config = Document::parse(source, CODE, &findings).map(|document| {
            let mut ground =
                Ground { base_dir, defaults, contracts: &contracts, prices, nearer: None };
            // Where the file adjusts an agent that a contract made, what that one runs on may be
            // changed by the file too, so it is read twice.
            let named = |name: &String| source.text().contains(name.as_str());
            let unheard = Findings::new(source);
            let first = contracts
                .keys()
                .any(named)
                .then(|| read_root(&mut document.root(&unheard, CODE), &ground));
            ground.nearer = first.as_ref().map(|first| &first.agents);
            let mut root = document.root(&findings, CODE);
            let config = read_root(&mut root, &ground);
            root.finish();
            config
        });
        let config = config.filter(|_| !findings.has_errors());
        (config, findings.finish())
    }
}

/// What a file is read over.
struct Ground<'a> {
    base_dir: &'a Path,
    defaults: &'a Config,
    contracts: &'a BTreeMap<String, Contract>,
    prices: Vec<Price>,
    /// The agents as the file has them, once they are known.
    nearer: Option<&'a BTreeMap<String, Agent>>,
}

/// Each file has findings of its own, which then are told with those of the configuration.
fn read_beside(
    beside: &Beside,
    contracts: &mut BTreeMap<String, Contract>,
    prices: &mut Vec<Price>,
    findings: &Findings<'_>,
) {
    for (stem, source) in &beside.contracts {
        let own = Findings::new(source);
        if let Some(contract) = Contract::read(source, stem, &own) {
            contracts.insert(stem.clone(), contract);
        }
        own.finish().into_iter().for_each(|finding| findings.push(finding));
    }
    if let Some(source) = &beside.prices {
        let own = Findings::new(source);
        read_price_file(source, prices, &own);
        own.finish().into_iter().for_each(|finding| findings.push(finding));
    }
}

fn read_root(root: &mut Table<'_>, ground: &Ground<'_>) -> Config {
    let Ground { base_dir, defaults, contracts, prices, nearer } = ground;
    read_schema(root);
    let mut daemon = defaults.daemon.clone();
    if let Some(mut table) = root.table("daemon") {
        read_daemon(&mut table, &mut daemon);
        table.finish();
    }
    let mut blank = Agent::new("");
    let mut named = None;
    if let Some(mut table) = root.table("defaults") {
        read_defaults(&mut table, base_dir, &mut blank);
        named = table.text("agent");
        table.finish();
    }
    let mut inherited = defaults.agents.clone();
    hold_for(&mut inherited, &blank);
    let default_agent =
        named.as_ref().map_or_else(|| defaults.default_agent.clone(), |name| name.value.clone());
    if nearer.is_some() {
        add_profiles(&mut inherited, contracts, &default_agent, *nearer, &[]);
    }
    let written: Vec<String> = root.table("agent").map_or_else(Vec::new, |mut tables| {
        tables.entries().into_iter().map(|(name, _)| name.value).collect()
    });
    let from = From { inherited: &inherited, blank: &blank, contracts };
    let mut agents = read_agents_from(root, base_dir, from);
    add_profiles(&mut agents, contracts, &default_agent, None, &written);
    check_contracts(root, contracts, &default_agent, &agents);
    if let Some(name) = named {
        check_default(root, &name, &agents);
    }
    let routing = read_routing(root, &agents, &defaults.routing);
    rank(&mut agents, &routing);
    let groups = read_groups(root, &agents, &defaults.groups);
    let (contracts, mut prices) = ((*contracts).clone(), prices.clone());
    read_prices(root, &mut prices);
    Config { schema: SCHEMA, daemon, agents, groups, routing, default_agent, contracts, prices }
}

/// `[defaults]` holds for the built-in agents too, which say nothing about policies but what their
/// ends mean.
fn hold_for(inherited: &mut BTreeMap<String, Agent>, blank: &Agent) {
    for agent in inherited.values_mut() {
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
}

/// Whoever runs on another one's program needs that one.
fn check_contracts(
    root: &Table<'_>,
    contracts: &BTreeMap<String, Contract>,
    default: &str,
    agents: &BTreeMap<String, Agent>,
) {
    for contract in contracts.values().filter(|contract| !agents.contains_key(&contract.name)) {
        let base = contract.extends.as_deref().unwrap_or(default);
        let message = match agents.get(base) {
            Some(_) => format!(
                "the contract of `{}` extends `{base}`, which is itself made by a \
                 contract",
                contract.name
            ),
            None => format!(
                "the contract of `{}` extends `{base}`, which does not exist",
                contract.name
            ),
        };
        let help = did_you_mean(base, agents.keys().map(String::as_str));
        root.findings().error("C15", Span::default(), message).maybe_help(help);
    }
}

fn check_default(root: &Table<'_>, name: &Spanned<String>, agents: &BTreeMap<String, Agent>) {
    let message = match agents.get(&name.value) {
        None => format!("`[defaults] agent`: there is no agent `{}`", name.value),
        Some(agent) if agent.traits.profile => {
            format!("`[defaults] agent`: `{}` itself runs on the default agent", name.value)
        }
        Some(_) => return,
    };
    let help = did_you_mean(&name.value, agents.keys().map(String::as_str));
    root.findings().error("C15", name.span, message).maybe_help(help);
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
