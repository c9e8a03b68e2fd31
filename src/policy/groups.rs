//! Reads `[group.NAME]`: services that stand and fall together.

use std::collections::BTreeMap;

use crate::document::{Spanned, Table, did_you_mean, show_duration};

use super::agent::{Agent, AgentType, Group, Strategy};
use super::amount::{positive, set};
use super::checks::check_name;
use super::life::restarts_within;

/// The code of what is wrong with the members.
const CODE: &str = "C14";
/// Restarts of all members that fit in the window: OTP's advice is five to ten.
const BURST: u32 = 10;
/// The window, in milliseconds.
const INTERVAL_MS: u64 = 600_000;

/// Reads the groups of a file over those that are known.
pub(super) fn read_groups(
    root: &mut Table<'_>,
    agents: &BTreeMap<String, Agent>,
    known: &BTreeMap<String, Group>,
) -> BTreeMap<String, Group> {
    let mut groups = known.clone();
    let Some(mut tables) = root.table("group") else { return groups };
    // The group of each member that was seen in this file.
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in tables.entries() {
        check_name(&tables, "group", &name);
        let Some(mut table) = value.table() else { continue };
        let group = read_group(&mut table, &name, agents, &mut taken);
        table.finish();
        groups.insert(name.value, group);
    }
    groups
}

fn read_group(
    table: &mut Table<'_>,
    name: &Spanned<String>,
    agents: &BTreeMap<String, Agent>,
    taken: &mut BTreeMap<String, String>,
) -> Group {
    let mut group = Group {
        name: name.value.clone(),
        strategy: Strategy::OneForOne,
        members: Vec::new(),
        start_limit_burst: BURST,
        start_limit_interval_ms: INTERVAL_MS,
    };
    let strategy = table.word("strategy", Strategy::ALL, Strategy::word);
    set(&mut group.strategy, strategy.map(|word| word.value));
    set(&mut group.start_limit_burst, table.count("start_limit_burst").map(|count| count.value));
    set(&mut group.start_limit_interval_ms, positive(table, "start_limit_interval"));
    let members = table.texts("members");
    if members.as_ref().is_some_and(Vec::is_empty) || !table.has("members") {
        let message = format!("group `{}` has no members", group.name);
        let span = if table.has("members") { table.value_span("members") } else { name.span };
        let problem = table.findings().error(CODE, span, message);
        problem.help("add `members = [\"...\"]`, in the order they are started");
    }
    for member in members.into_iter().flatten() {
        if check_member(table, &group, &member, agents, taken) {
            group.members.push(member.value);
        }
    }
    check_limit(table, name, &group, agents);
    group
}

fn check_member(
    table: &Table<'_>,
    group: &Group,
    member: &Spanned<String>,
    agents: &BTreeMap<String, Agent>,
    taken: &mut BTreeMap<String, String>,
) -> bool {
    let name = &member.value;
    let report = |message: String| table.findings().error(CODE, member.span, message);
    let Some(agent) = agents.get(name) else {
        let help = did_you_mean(name, agents.keys().map(String::as_str));
        report(format!("there is no agent `{name}`")).maybe_help(help);
        return false;
    };
    match taken.insert(name.clone(), group.name.clone()) {
        Some(other) if other == group.name => {
            report(format!("`{name}` is named twice"));
            return false;
        }
        Some(other) => {
            report(format!("`{name}` belongs to the group `{other}` already"));
            return false;
        }
        None => {}
    }
    if agent.kind == AgentType::Oneshot {
        let message = format!("`{name}` is a oneshot, and groups are made of services");
        report(message).help("add `type = \"service\"` to the agent");
    }
    true
}

/// A group's limit is reached soonest when all members fail at once, again and again; when even
/// then the delays of the members alone keep it out of reach, it is no limit.
fn check_limit(
    table: &Table<'_>,
    name: &Spanned<String>,
    group: &Group,
    agents: &BTreeMap<String, Agent>,
) {
    let (burst, interval) = (group.start_limit_burst, group.start_limit_interval_ms);
    let members = group.members.iter().filter_map(|member| agents.get(member));
    let most: u64 = members
        .map(|agent| u64::from(restarts_within(&agent.policy, interval, burst)))
        .fold(0, u64::saturating_add);
    if burst == 0 || group.members.is_empty() || most >= u64::from(burst) {
        return;
    }
    let key = ["start_limit_interval", "start_limit_burst"].into_iter().find(|key| table.has(key));
    let span = key.map_or(name.span, |key| table.value_span(key));
    let message = format!(
        "the start limit of group `{}` cannot be reached: the delays of its members leave room for \
         {most} restarts in {}, and `start_limit_burst` is {burst}",
        group.name,
        show_duration(interval)
    );
    let problem = table.findings().error("C07", span, message);
    problem.help("make the interval longer, or the members' delays or the burst smaller");
}
