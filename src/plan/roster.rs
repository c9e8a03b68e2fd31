//! Who may work on a task, in order: the agents that the plan names, then those that take over
//! from the first of them when it cannot go on.

use crate::policy::{Failover, chain};

use super::compiled::{Plan, Task};

impl Plan {
    /// The names of all who may work on a task; none for one without agent. The first are those
    /// that the plan names, to which retries and fallbacks keep.
    pub fn roster<'a>(&'a self, task: &'a Task) -> Vec<&'a str> {
        let mut names: Vec<&str> = named(task).collect();
        let Some(head) = names.first().copied() else { return names };
        if self.failover(task).is_some() {
            for name in chain(&self.agents, head) {
                let known = self.agents.get_key_value(&name).map(|(name, _)| name.as_str());
                names.extend(known.filter(|name| !named(task).any(|other| other == *name)));
            }
        }
        names
    }

    /// The name of the agent at that place of the roster; none for a task without agent.
    pub fn agent_at<'a>(&'a self, task: &'a Task, index: usize) -> Option<&'a str> {
        let named = named(task).nth(index);
        named.or_else(|| self.roster(task).get(index).copied())
    }

    /// How the first agent of a task fails over, if it does.
    pub fn failover(&self, task: &Task) -> Option<&Failover> {
        self.agents.get(named(task).next()?)?.policy.failover.as_ref()
    }
}

fn named(task: &Task) -> impl Iterator<Item = &str> {
    task.work.agents().iter().map(|agent| agent.name.as_str())
}
