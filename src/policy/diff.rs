//! What a new configuration changes, in sentences. Values are never told: they may hold secrets.

use crate::model::{Change, Holds, Subject};

use super::agent::{Agent, AgentType, Policy};
use super::config::{Config, DaemonSettings};

/// Everything that a new configuration changes: the daemon, then agents and groups by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes(pub Vec<Change>);

/// Compares two configurations.
pub fn diff(old: &Config, new: &Config) -> Changes {
    let mut changes = Vec::new();
    let daemon = daemon_keys(&old.daemon, &new.daemon);
    if !daemon.is_empty() {
        let text = format!("daemon: {} {} at once", list(&daemon), verb(&daemon));
        changes.push(change(Subject::Daemon, "", Holds::Live, text));
    }
    for name in names(old.agents.keys(), new.agents.keys()) {
        agent_changes(&name, old.agents.get(&name), new.agents.get(&name), &mut changes);
    }
    for name in names(old.groups.keys(), new.groups.keys()) {
        let (holds, what) = match (old.groups.get(&name), new.groups.get(&name)) {
            (None, Some(_)) => (Holds::New, "is new"),
            (Some(_), None) => (Holds::Removed, "is gone; its members live on, each for itself"),
            (Some(old), Some(new)) if old != new => (Holds::Live, "changes at once"),
            (Some(_), Some(_)) | (None, None) => continue,
        };
        changes.push(change(Subject::Group, &name, holds, format!("group `{name}` {what}")));
    }
    Changes(changes)
}

impl Changes {
    /// Names of agents that are gone, or that stand no longer: what a file watcher leaves to a
    /// person.
    pub fn removed_agents(&self) -> impl Iterator<Item = &str> {
        let removed = |it: &&Change| it.subject == Subject::Agent && it.holds == Holds::Removed;
        self.0.iter().filter(removed).map(|it| it.name.as_str())
    }
}

impl Config {
    /// The same with the agents of another one that it has no longer, and with those that stand no
    /// longer as they were: everything but the removals.
    #[must_use]
    pub fn keeping(mut self, old: &Config) -> Self {
        for (name, agent) in &old.agents {
            if is_removal(agent, self.agents.get(name)) {
                self.agents.insert(name.clone(), agent.clone());
            }
        }
        self
    }
}

/// A service that becomes a oneshot has no instance any more, which is as good as gone.
fn is_removal(old: &Agent, new: Option<&Agent>) -> bool {
    let stood = old.kind == AgentType::Service;
    new.is_none_or(|new| stood && new.kind == AgentType::Oneshot)
}

fn agent_changes(name: &str, old: Option<&Agent>, new: Option<&Agent>, out: &mut Vec<Change>) {
    let mut push = |holds, text| out.push(change(Subject::Agent, name, holds, text));
    let (old, new) = match (old, new) {
        (Some(old), new) if is_removal(old, new) => {
            return push(Holds::Removed, removal(name, old, new.is_some()));
        }
        (Some(old), Some(new)) => (old, new),
        (None, Some(new)) => return push(Holds::New, arrival(name, new)),
        (_, None) => return,
    };
    // What a contract made follows the agent that it runs on, of which it is told.
    let follows = old.traits.profile && new.traits.profile;
    let started = if follows { Vec::new() } else { process_keys(old, new) };
    let policies = if follows { Vec::new() } else { policy_keys(&old.policy, &new.policy) };
    let lived = [contract_keys(old, new), policies].concat();
    if new.kind == AgentType::Oneshot {
        let keys = [started, lived].concat();
        if !keys.is_empty() {
            let what = format!("{} {}", list(&keys), verb(&keys));
            let text = format!("agent `{name}`: {what} for runs that are submitted from now on");
            push(Holds::NextStart, text);
        }
        return;
    }
    if !lived.is_empty() {
        let text = format!("agent `{name}`: {} {} at once", list(&lived), verb(&lived));
        push(Holds::Live, text);
    }
    if !started.is_empty() {
        let what = format!("{} {}", list(&started), verb(&started));
        let text = format!("agent `{name}`: {what} with its next start; until then it is stale");
        push(Holds::NextStart, text);
    }
}

fn arrival(name: &str, new: &Agent) -> String {
    let then = match (new.kind, new.autostart) {
        (AgentType::Service, true) => "it is started",
        (AgentType::Service, false) => "it starts when it is asked to",
        (AgentType::Oneshot, _) => "it can be given tasks",
    };
    format!("agent `{name}` is new; {then}")
}

fn removal(name: &str, old: &Agent, still_there: bool) -> String {
    match (old.kind, still_there) {
        (AgentType::Oneshot, _) => {
            format!("agent `{name}` is gone; runs that were submitted before still have it")
        }
        (AgentType::Service, false) => {
            format!("agent `{name}` is gone; its instance is stopped")
        }
        (AgentType::Service, true) => {
            format!("agent `{name}` is no service any more; its instance is stopped")
        }
    }
}

/// What a process gets at its start and keeps.
fn process_keys(old: &Agent, new: &Agent) -> Vec<&'static str> {
    differing(&[
        ("type", old.kind != new.kind),
        ("command", old.command != new.command),
        ("prompt", old.prompt != new.prompt),
        ("terminal", old.terminal != new.terminal),
        ("result", old.result != new.result),
        ("model", old.model != new.model && old.passes_model()),
        ("model_args", old.model_args != new.model_args && new.model.is_some()),
        ("tools", old.traits.tools != new.traits.tools && old.passes_tools()),
        ("tools_args", old.tools_args != new.tools_args && !new.traits.tools.is_empty()),
        ("env", old.env != new.env),
        ("env_allow", old.env_filter.allow != new.env_filter.allow),
        ("env_deny", old.env_filter.deny != new.env_filter.deny),
        ("cwd", old.cwd != new.cwd),
        ("oom_score_adjust", old.policy.oom_score_adjust != new.policy.oom_score_adjust),
        ("memory_max", old.policy.resources.memory_max != new.policy.resources.memory_max),
        ("tasks_max", old.policy.resources.tasks_max != new.policy.resources.tasks_max),
        ("cpu_quota", old.policy.resources.cpu_quota != new.policy.resources.cpu_quota),
        ("limits", old.policy.resources.best_effort != new.policy.resources.best_effort),
    ])
}

fn contract_keys(old: &Agent, new: &Agent) -> Vec<&'static str> {
    differing(&[
        ("description", old.description != new.description),
        ("require_result", old.require_result != new.require_result),
        ("capabilities", old.capabilities != new.capabilities),
        ("inputs", old.inputs != new.inputs),
        ("outputs", old.outputs != new.outputs),
        ("downstream", old.downstream != new.downstream),
        ("risk", old.traits.risk != new.traits.risk),
        ("cost", old.traits.cost != new.traits.cost),
        ("tags", old.traits.tags != new.traits.tags),
        ("tools", old.traits.tools != new.traits.tools && !old.passes_tools()),
        ("color", old.traits.color != new.traits.color),
        ("intent", old.traits.intent != new.traits.intent),
        ("instructions", old.traits.instructions != new.traits.instructions),
        ("routing", old.traits.ranks != new.traits.ranks),
        ("rate", old.rate != new.rate),
        ("usage", old.usage != new.usage),
        ("max_parallel", old.max_parallel != new.max_parallel),
        ("autostart", old.autostart != new.autostart),
    ])
}

fn policy_keys(old: &Policy, new: &Policy) -> Vec<&'static str> {
    let success =
        old.success_codes != new.success_codes || old.success_signals != new.success_signals;
    let prevent = old.restart_prevent_codes != new.restart_prevent_codes
        || old.restart_prevent_signals != new.restart_prevent_signals;
    let force = old.restart_force_codes != new.restart_force_codes
        || old.restart_force_signals != new.restart_force_signals;
    differing(&[
        ("restart", old.restart != new.restart),
        ("restart_delay", old.restart_delay_ms != new.restart_delay_ms),
        ("restart_max_delay", old.restart_max_delay_ms != new.restart_max_delay_ms),
        ("delay_function", old.delay_function != new.delay_function),
        ("restart_jitter", old.restart_jitter != new.restart_jitter),
        ("restart_reset_after", old.restart_reset_after != new.restart_reset_after),
        ("start_limit_burst", old.start_limit_burst != new.start_limit_burst),
        ("start_limit_interval", old.start_limit_interval_ms != new.start_limit_interval_ms),
        ("on_start_limit", old.on_start_limit != new.on_start_limit),
        ("success_exit_status", success),
        ("restart_prevent_exit_status", prevent),
        ("restart_force_exit_status", force),
        ("start_timeout", old.start_timeout_ms != new.start_timeout_ms),
        ("timeout", old.timeout_ms != new.timeout_ms),
        ("idle_timeout", old.idle_timeout_ms != new.idle_timeout_ms),
        ("stop_keys", old.stop.keys != new.stop.keys),
        ("stop_signal", old.stop.signal != new.stop.signal),
        ("stop_timeout", old.stop.timeout_ms != new.stop.timeout_ms),
        ("send_sighup", old.stop.send_sighup != new.stop.send_sighup),
        ("kill_mode", old.stop.mode != new.stop.mode),
        ("startup", old.care.startup != new.care.startup),
        ("probe", old.care.probes != new.care.probes),
        ("watchdog", old.care.watchdog_ms != new.care.watchdog_ms),
        ("on", old.care.rules != new.care.rules),
        ("failover", old.failover != new.failover),
    ])
}

fn daemon_keys(old: &DaemonSettings, new: &DaemonSettings) -> Vec<&'static str> {
    differing(&[
        ("on_term", old.on_term != new.on_term),
        ("max_parallel", old.max_parallel != new.max_parallel),
        ("keep_window", old.keep_window != new.keep_window),
        ("keep_for", old.keep_for_ms != new.keep_for_ms),
        ("agent_api", old.agent_api != new.agent_api),
        ("log_max_bytes", old.log_max_bytes != new.log_max_bytes),
        ("log_backups", old.log_backups != new.log_backups),
    ])
}

fn differing(keys: &[(&'static str, bool)]) -> Vec<&'static str> {
    keys.iter().filter(|(_, differs)| *differs).map(|(key, _)| *key).collect()
}

fn names<'n>(
    old: impl Iterator<Item = &'n String>,
    new: impl Iterator<Item = &'n String>,
) -> std::collections::BTreeSet<String> {
    old.chain(new).cloned().collect()
}

fn change(subject: Subject, name: &str, holds: Holds, text: String) -> Change {
    Change { subject, name: name.to_owned(), holds, text }
}

fn list(keys: &[&str]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

fn verb(keys: &[&str]) -> &'static str {
    if keys.len() == 1 { "changes" } else { "change" }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::document::Source;

    fn config(text: &str) -> Config {
        let text = format!("schema = 1\n{text}");
        let source = Source::new("m.toml", text);
        let (config, findings) = Config::read(&source, Path::new("/"), &Config::built_in());
        config.unwrap_or_else(|| panic!("{findings:?}"))
    }

    fn told(old: &str, new: &str) -> Vec<String> {
        let changes = diff(&config(old), &config(new)).0;
        changes.into_iter().map(|it| format!("{}: {}", it.holds, it.text)).collect()
    }

    const A: &str = "[agent.a]\ntype = 'service'\ncommand = ['x']\n";

    #[test]
    fn nothing_changes_nothing() {
        let text = format!("{A}restart_delay = '2s'\n[group.g]\nmembers = ['a']\n");
        assert_eq!(told(&text, &format!("# another comment\n{text}")), Vec::<String>::new());
    }

    /// Fault 56: a policy holds at once, a command from the next start, and each is told.
    #[test]
    fn policies_change_at_once_and_commands_with_the_next_start() {
        let more = "restart_delay = '2s'\nwatchdog = '1m'\nenv = { KEY = 'secret' }\ncwd = '/'\n";
        assert_eq!(
            told(A, &format!("{A}{more}")),
            [
                "live: agent `a`: `restart_delay`, `watchdog` change at once",
                "next-start: agent `a`: `env`, `cwd` change with its next start; until then it is \
                 stale",
            ]
        );
        let limits = "memory_max = '1GiB'\n";
        assert_eq!(
            told(A, &format!("{A}{limits}")),
            ["next-start: agent `a`: `memory_max` changes with its next start; until then it is \
              stale"]
        );
    }

    #[test]
    fn agents_come_and_go() {
        let b = "[agent.b]\ntype = 'service'\nautostart = true\ncommand = ['y']\n";
        let c = "[agent.c]\ncommand = ['z']\n";
        assert_eq!(
            told(A, &format!("{b}{c}")),
            [
                "removed: agent `a` is gone; its instance is stopped",
                "new: agent `b` is new; it is started",
                "new: agent `c` is new; it can be given tasks",
            ]
        );
        assert_eq!(
            told(c, "[agent.c]\ncommand = ['zz']\ntimeout = '1m'\n"),
            [
                "next-start: agent `c`: `command`, `timeout` change for runs that are submitted from \
              now on"
            ]
        );
        assert_eq!(
            told(A, "[agent.a]\ncommand = ['x']\n"),
            ["removed: agent `a` is no service any more; its instance is stopped"]
        );
    }

    #[test]
    fn the_daemon_and_groups_change_at_once() {
        let group = |more: &str| format!("{A}[group.g]\nmembers = ['a']\n{more}");
        assert_eq!(
            told(A, &format!("[daemon]\nmax_parallel = 2\non_term = 'stop'\n{}", group(""))),
            ["live: daemon: `on_term`, `max_parallel` change at once", "new: group `g` is new"]
        );
        assert_eq!(
            told(&group(""), &group("start_limit_burst = 3\n")),
            ["live: group `g` changes at once"]
        );
        assert_eq!(
            told(&group(""), A),
            ["removed: group `g` is gone; its members live on, each for itself"]
        );
    }

    #[test]
    fn what_is_removed_can_be_kept() {
        let (old, new) = (config(A), config("[agent.b]\ncommand = ['y']\n"));
        let kept = new.clone().keeping(&old);
        assert!(kept.agents.contains_key("a") && kept.agents.contains_key("b"));
        assert_eq!(diff(&kept, &new).removed_agents().collect::<Vec<_>>(), ["a"]);
        assert_eq!(diff(&old, &kept).removed_agents().count(), 0);
        let (service, oneshot) = (config(A), config("[agent.a]\ncommand = ['x']\n"));
        assert_eq!(oneshot.keeping(&service).agents, service.agents);
    }
}
