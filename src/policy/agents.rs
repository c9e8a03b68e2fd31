//! Reads the `[agent.NAME]` tables of a file: of a configuration, or of a plan that brings agents
//! of its own.
//!
//! An agent is made in layers. Its lowest is the one that it `extends`; without that, the agent of
//! the same name that was known before, as long as the table gives no `command` of its own, for
//! then it is another program; else an agent that says nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::document::{Span, Spanned, Table, did_you_mean};

use super::agent::{Agent, AgentMode, AgentType};
use super::amount::{out_of_range, set};
use super::around::Around;
use super::checks::{check_agent, check_name};
use super::contract::Contract;
use super::failover::{check_targets, read_failover};
use super::invocation::{beside, read_invocation};
use super::life::read_policy;
use super::rate::read_rate;
use super::traits::{capability, read_traits};
use super::unsupported;

/// An agent's table that was not read yet.
struct Written<'a> {
    span: Span,
    table: Table<'a>,
    extends: Option<Spanned<String>>,
}

/// Reads the `[agent.NAME]` tables of a file and gives all agents: these over the inherited.
///
/// An agent with problems is given as far as it could be read, so that others may refer to it;
/// whether there were problems is known to the table's findings. Relative programs and directories
/// are resolved against `base_dir`, which should be absolute.
pub fn read_agents(
    root: &mut Table<'_>,
    base_dir: &Path,
    inherited: &BTreeMap<String, Agent>,
) -> BTreeMap<String, Agent> {
    let blank = Agent::new("");
    let written: Vec<String> = root.table("agent").map_or_else(Vec::new, |mut tables| {
        tables.entries().into_iter().map(|(name, _)| name.value).collect()
    });
    let from = From { inherited, blank: &blank, contracts: &BTreeMap::new() };
    let mut agents = read_agents_from(root, base_dir, from);
    // For what the routing table knows, agents that come with a plan are the first choice.
    let routed: BTreeSet<String> =
        inherited.values().flat_map(|agent| agent.traits.ranks.keys().cloned()).collect();
    for name in written {
        let Some(agent) = agents.get_mut(&name) else { continue };
        let own = agent.capabilities.iter().map(|own| capability(own));
        agent.traits.ranks = own.filter(|own| routed.contains(own)).map(|own| (own, 0)).collect();
    }
    agents
}

/// What the agents of a file are made from.
#[derive(Clone, Copy)]
pub(super) struct From<'a> {
    /// Those that were known before.
    pub(super) inherited: &'a BTreeMap<String, Agent>,
    /// The one that those start from which build on no other.
    pub(super) blank: &'a Agent,
    /// What contracts say of them.
    pub(super) contracts: &'a BTreeMap<String, Contract>,
}

/// The same, for the agents of a configuration.
pub(super) fn read_agents_from(
    root: &mut Table<'_>,
    base_dir: &Path,
    from: From<'_>,
) -> BTreeMap<String, Agent> {
    let From { inherited, blank, contracts } = from;
    let mut agents = inherited.clone();
    let mut targets = Vec::new();
    let mut written = collect(root);
    let known: Vec<String> = written.keys().chain(inherited.keys()).cloned().collect();
    for name in in_order(&written, inherited) {
        let Some(Written { span, mut table, extends }) = written.remove(&name) else { continue };
        let mut agent = match &extends {
            Some(base) => extended(&table, base, &agents, &known, blank),
            None if table.has("command") => blank.clone(),
            None => inherited.get(&name).unwrap_or(blank).clone(),
        };
        agent.name.clone_from(&name);
        if let Some(contract) = contracts.get(&name) {
            contract.describe(&mut agent);
        }
        read_failover(&mut table, &mut agent, &mut targets);
        read_agent(&mut table, base_dir, &mut agent);
        check_agent(&table, span, &agent);
        table.finish();
        agents.insert(name, agent);
    }
    check_targets(&targets, &agents);
    agents
}

fn collect<'a>(root: &mut Table<'a>) -> BTreeMap<String, Written<'a>> {
    let Some(mut tables) = root.table("agent") else { return BTreeMap::new() };
    let mut written = BTreeMap::new();
    for (name, value) in tables.entries() {
        check_name(&tables, "agent", &name);
        if let Some(mut table) = value.table() {
            let extends = table.text("extends");
            written.insert(name.value, Written { span: name.span, table, extends });
        }
    }
    written
}

/// The names of all written agents, each after the one it extends. A circle is reported and cut.
fn in_order(
    written: &BTreeMap<String, Written<'_>>,
    inherited: &BTreeMap<String, Agent>,
) -> Vec<String> {
    let mut names: Vec<_> = written.iter().collect();
    names.sort_by_key(|(_, agent)| agent.span);
    let mut order: Vec<String> = Vec::new();
    let mut done = std::collections::BTreeSet::new();
    for (name, _) in names {
        let mut path: Vec<&str> = Vec::new();
        let mut at = Some(name.as_str());
        while let Some(name) = at.filter(|name| !done.contains(name)) {
            let Some(agent) = written.get(name) else { break };
            if let Some(begin) = path.iter().position(|seen| *seen == name) {
                report_circle(written, &path[begin..]);
                break;
            }
            path.push(name);
            let base = agent.extends.as_ref().map(|base| base.value.as_str());
            // An agent that extends its own name adjusts the one that was known before.
            at = base.filter(|base| *base != name || !inherited.contains_key(name));
        }
        for name in path.into_iter().rev() {
            done.insert(name);
            order.push(name.to_owned());
        }
    }
    order
}

fn report_circle(written: &BTreeMap<String, Written<'_>>, circle: &[&str]) {
    let first = &written[circle[0]];
    let Some(extends) = &first.extends else { return };
    let path = [circle, &circle[..1]].concat().join(" -> ");
    let message = format!("`extends` goes in a circle: {path}");
    first.table.findings().error("C04", extends.span, message);
}

fn extended(
    table: &Table<'_>,
    base: &Spanned<String>,
    agents: &BTreeMap<String, Agent>,
    known: &[String],
    blank: &Agent,
) -> Agent {
    let Some(found) = agents.get(&base.value) else {
        // A known one that is not there yet is part of a circle, which has been told.
        if !known.contains(&base.value) {
            let message =
                format!("`{}` extends `{}`, which does not exist", table.label(), base.value);
            let help = did_you_mean(&base.value, known.iter().map(String::as_str));
            table.findings().error("C04", base.span, message).maybe_help(help);
        }
        return blank.clone();
    };
    let mut agent = found.clone();
    if table.label() != format!("agent.{}", base.value) {
        // That its base is started by the daemon says nothing about the one that extends it, and
        // the one that extends it may well be the one that takes over.
        agent.autostart = false;
        agent.policy.failover = None;
        agent.traits.profile = false;
    }
    agent
}

fn read_agent(table: &mut Table<'_>, base_dir: &Path, agent: &mut Agent) {
    set(&mut agent.kind, table.word("type", AgentType::ALL, AgentType::word).map(|w| w.value));
    set(&mut agent.mode, read_mode(table));
    read_modes(table, base_dir, agent);
    set(&mut agent.description, table.text("description").map(|text| text.value));
    set(&mut agent.capabilities, names(table, "capabilities"));
    set(&mut agent.inputs, names(table, "inputs"));
    set(&mut agent.outputs, names(table, "outputs"));
    set(&mut agent.downstream, names(table, "downstream"));
    set(&mut agent.require_result, table.flag("require_result").map(|flag| flag.value));
    set(&mut agent.autostart, table.flag("autostart").map(|flag| flag.value));
    set(&mut agent.max_parallel, read_max_parallel(table).map(Some));
    set(&mut agent.model, table.text("model").map(|text| Some(text.value)));
    set(&mut agent.rate, read_rate(table, "rate").map(Some));
    read_traits(table, &mut agent.traits);
    read_env(table, agent);
    read_env_filter(table, agent);
    read_cwd(table, base_dir, agent);
    let fails_over = agent.policy.failover.is_some();
    read_policy(table, Around { base_dir, fails_over }, &mut agent.policy);
    agent.settle();
}

/// What an agent's `[defaults]` may hold beside policies.
pub(super) fn read_defaults(table: &mut Table<'_>, base_dir: &Path, blank: &mut Agent) {
    set(&mut blank.kind, table.word("type", AgentType::ALL, AgentType::word).map(|w| w.value));
    set(&mut blank.require_result, table.flag("require_result").map(|flag| flag.value));
    read_env_filter(table, blank);
    // Whoever has nobody to fail over to is given up instead.
    read_policy(table, Around { base_dir, fails_over: true }, &mut blank.policy);
}

/// A number of processes: at least one.
pub(super) fn read_max_parallel(table: &mut Table<'_>) -> Option<u32> {
    let count = table.count("max_parallel")?;
    if count.value == 0 {
        out_of_range(table, count.span, "`max_parallel` is at least 1");
        return None;
    }
    Some(count.value)
}

fn names(table: &mut Table<'_>, key: &str) -> Option<Vec<String>> {
    Some(table.texts(key)?.into_iter().map(|name| name.value).collect())
}

fn read_mode(table: &mut Table<'_>) -> Option<AgentMode> {
    let value = table.value("mode")?;
    if value.is_text("acp") {
        unsupported::report(table, value.span(), "mode = \"acp\"");
        return None;
    }
    value.word(AgentMode::ALL, AgentMode::word).map(|word| word.value)
}

/// Keys of the agent's own table hold for both modes; those in the table of a mode are nearer.
fn read_modes(table: &mut Table<'_>, base_dir: &Path, agent: &mut Agent) {
    let both = read_invocation(table, base_dir);
    for (mode, written) in [("headless", &mut agent.modes.headless), ("tui", &mut agent.modes.tui)]
    {
        let mut own = both.clone();
        if let Some(mut table) = table.table(mode) {
            own.overlay(&read_invocation(&mut table, base_dir));
            table.finish();
        }
        written.adjust(&own);
    }
}

fn read_env(table: &mut Table<'_>, agent: &mut Agent) {
    let Some(mut env) = table.table("env") else { return };
    for (name, value) in env.entries() {
        if name.value.is_empty() || name.value.contains(['=', '\0']) {
            let message = format!("`{}` is no name of a variable", name.value);
            env.findings().error("C08", name.span, message);
        } else if let Some(text) = value.text() {
            if text.value.contains('\0') {
                env.findings().error("C08", text.span, "a variable cannot hold a zero byte");
                continue;
            }
            agent.env.insert(name.value, text.value);
        }
    }
}

fn read_env_filter(table: &mut Table<'_>, agent: &mut Agent) {
    set(&mut agent.env_filter.allow, read_env_names(table, "env_allow").map(Some));
    set(&mut agent.env_filter.deny, read_env_names(table, "env_deny"));
}

/// Names of variables, each perhaps with a `*` at its end.
fn read_env_names(table: &mut Table<'_>, key: &str) -> Option<Vec<String>> {
    let names = table.texts(key)?;
    for name in &names {
        let bare = name.value.strip_suffix('*').unwrap_or(&name.value);
        if name.value.is_empty() || bare.contains(['=', '\0', '*']) {
            let message = format!("`{key}`: `{}` is no name of a variable", name.value);
            let problem = table.findings().error("C08", name.span, message);
            problem.help("a `*` may stand at its end only, as in \"AWS_*\"");
        }
    }
    Some(names.into_iter().map(|name| name.value).collect())
}

fn read_cwd(table: &mut Table<'_>, base_dir: &Path, agent: &mut Agent) {
    let Some(cwd) = table.text("cwd") else { return };
    if cwd.value == "~" || cwd.value.starts_with("~/") {
        out_of_range(table, cwd.span, "`cwd`: `~` is not expanded, write the whole path");
    } else {
        agent.cwd = Some(beside(base_dir, &cwd.value));
    }
}
