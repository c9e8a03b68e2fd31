//! Who takes over from whom, and how often.

use std::collections::BTreeMap;

use crate::model::Moment;

use super::agent::{Agent, Failover};

/// An agent and all that may take over from it, in the order in which they are tried: its targets,
/// each followed by targets of its own. Nobody is listed twice, and whoever is not configured is
/// left out.
pub fn chain(agents: &BTreeMap<String, Agent>, head: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect(agents, head, &mut found);
    found
}

fn collect(agents: &BTreeMap<String, Agent>, name: &str, found: &mut Vec<String>) {
    let Some(agent) = agents.get(name).filter(|_| !found.iter().any(|known| known == name)) else {
        return;
    };
    found.push(name.to_owned());
    for target in agent.policy.failover.iter().flat_map(|failover| &failover.targets) {
        collect(agents, target, found);
    }
}

impl Failover {
    /// How many of these switches lie within the interval that ends now.
    pub fn recent(&self, switches: &[Moment], now: Moment) -> u32 {
        let within = |at: &&Moment| at.0.saturating_add(self.interval_ms) > now.0;
        u32::try_from(switches.iter().filter(within).count()).unwrap_or(u32::MAX)
    }

    /// Whether there may be another switch after these.
    pub fn has_room(&self, switches: &[Moment], now: Moment) -> bool {
        self.recent(switches, now) < self.max_switches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Failback;

    fn failover(targets: &[&str]) -> Failover {
        let targets = targets.iter().map(|name| (*name).to_owned()).collect();
        Failover { targets, max_switches: 2, interval_ms: 1_000, failback: Failback::Manual }
    }

    fn agents(of: &[(&str, &[&str])]) -> BTreeMap<String, Agent> {
        let agent = |(name, targets): &(&str, &[&str])| {
            let mut agent = Agent::new(*name);
            agent.policy.failover = (!targets.is_empty()).then(|| failover(targets));
            ((*name).to_owned(), agent)
        };
        of.iter().map(agent).collect()
    }

    #[test]
    fn a_chain_goes_through_targets_of_targets_once() {
        let agents =
            agents(&[("a", &["b", "d", "gone"]), ("b", &["c", "a"]), ("c", &[]), ("d", &["c"])]);
        assert_eq!(chain(&agents, "a"), ["a", "b", "c", "d"]);
        assert_eq!(chain(&agents, "c"), ["c"]);
        assert_eq!(chain(&agents, "nobody"), [""; 0]);
    }

    #[test]
    fn the_budget_slides() {
        let failover = failover(&["b"]);
        let switches = [Moment(100), Moment(600)];
        assert!(failover.has_room(&switches[..1], Moment(600)));
        assert!(!failover.has_room(&switches, Moment(1_099)));
        assert!(failover.has_room(&switches, Moment(1_100)));
    }
}
