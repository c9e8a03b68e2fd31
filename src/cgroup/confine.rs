//! From the limits of an attempt to the group that its agent is put into. Pure.

use super::ground::{Can, Ground, Way};
use super::leaf::PREFIX;
use crate::model::{AttemptId, Confinement, Resources};

/// The span over which processor time is measured out, in microseconds.
const CPU_PERIOD_US: f64 = 100_000.0;
/// The kernel's least share of it.
const CPU_SHARE_US_MIN: f64 = 1_000.0;

/// Where the agent of `attempt` is put, and which limits hold there. A limit that cannot be
/// enforced refuses the start, unless `resources` say that trying is enough.
pub fn confine(way: &Way, resources: &Resources, attempt: &AttemptId) -> Confinement {
    let Sorted { settings, missed, why } = sort(way, resources);
    if !missed.is_empty() && !resources.best_effort {
        return Confinement::Refused { message: refusal(&missed, why) };
    }
    let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    match way {
        Way::Cgroup(ground) => leaf(ground, attempt, settings),
        Way::Nowhere { .. } => Confinement::Nowhere,
    }
}

/// Tells which limits do not hold for an agent that is started all the same.
pub fn waived(way: &Way, resources: &Resources) -> Option<String> {
    let Sorted { missed, why, .. } = sort(way, resources);
    let waived = resources.best_effort && !missed.is_empty();
    waived.then(|| format!("runs without {}, which cannot be enforced here: {why}", list(&missed)))
}

/// The limits that can be enforced, as settings of a group; those that cannot, and why not.
struct Sorted<'a> {
    settings: Vec<(&'static str, String)>,
    missed: Vec<&'static str>,
    why: &'a str,
}

fn sort<'a>(way: &'a Way, resources: &Resources) -> Sorted<'a> {
    let (can, why) = match way {
        Way::Cgroup(ground) => (ground.can, ground.lacks.as_deref().unwrap_or_default()),
        Way::Nowhere { why } => (Can::default(), why.as_str()),
    };
    let mut settings = Vec::new();
    let mut missed = Vec::new();
    if let Some(bytes) = resources.memory_max {
        match can.memory {
            // All of it dies together: half an agent is of no use, and nobody would notice.
            true => settings
                .extend([("memory.max", bytes.to_string()), ("memory.oom.group", "1".to_owned())]),
            false => missed.push("memory_max"),
        }
    }
    if let Some(tasks) = resources.tasks_max {
        match can.tasks {
            true => settings.push(("pids.max", tasks.to_string())),
            false => missed.push("tasks_max"),
        }
    }
    if let Some(percent) = resources.cpu_quota {
        match can.cpu {
            true => settings.push(("cpu.max", share(percent))),
            false => missed.push("cpu_quota"),
        }
    }
    Sorted { settings, missed, why }
}

fn leaf(ground: &Ground, attempt: &AttemptId, settings: Vec<(String, String)>) -> Confinement {
    Confinement::Cgroup { leaf: ground.base.join(format!("{PREFIX}{attempt}")), settings }
}

fn share(percent: f64) -> String {
    let share = (percent / 100.0 * CPU_PERIOD_US).max(CPU_SHARE_US_MIN);
    format!("{share:.0} {CPU_PERIOD_US:.0}")
}

fn refusal(missed: &[&str], why: &str) -> String {
    format!(
        "{} cannot be enforced here: {why}; give muxvisor a control group (run it as the systemd \
         unit config/systemd/muxvisor.service, or name one with MUXVISOR_CGROUP), or let the agent \
         run without with `limits = \"best-effort\"`",
        list(missed)
    )
}

fn list(missed: &[&str]) -> String {
    missed.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(can: Can) -> Way {
        let lacks = Some("the controllers are not given to it".to_owned());
        Way::Cgroup(Ground { base: "/g".into(), can, lacks })
    }

    fn all() -> Resources {
        Resources {
            memory_max: Some(1 << 30),
            tasks_max: Some(64),
            cpu_quota: Some(150.0),
            best_effort: false,
        }
    }

    const EVERYTHING: Can = Can { memory: true, tasks: true, cpu: true };

    #[test]
    fn limits_become_settings_of_a_leaf_of_its_own() {
        let id = AttemptId::new("k3b7x9");
        let confined = confine(&way(EVERYTHING), &all(), &id);
        let Confinement::Cgroup { leaf, settings } = confined else { panic!("{confined:?}") };
        assert_eq!(leaf, std::path::Path::new("/g/muxvisor-k3b7x9"));
        let expected = [
            ("memory.max", "1073741824"),
            ("memory.oom.group", "1"),
            ("pids.max", "64"),
            ("cpu.max", "150000 100000"),
        ];
        let seen: Vec<(&str, &str)> =
            settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(seen, expected);
        assert_eq!(share(0.1), "1000 100000", "the kernel takes no less");
    }

    /// What is not limited is still put into a group, so that nobody in it can hide.
    #[test]
    fn without_limits_a_leaf_is_used_where_there_is_one() {
        let id = AttemptId::new("a");
        let free = Resources::default();
        let confined = confine(&way(Can::default()), &free, &id);
        let leaf = "/g/muxvisor-a".into();
        assert_eq!(confined, Confinement::Cgroup { leaf, settings: Vec::new() });
        let nowhere = Way::Nowhere { why: "x".to_owned() };
        assert_eq!(confine(&nowhere, &free, &id), Confinement::Nowhere);
    }

    #[test]
    fn a_limit_that_cannot_hold_refuses_unless_trying_is_enough() {
        let id = AttemptId::new("a");
        let nowhere = Way::Nowhere { why: "there is no cgroup v2".to_owned() };
        let refused = confine(&nowhere, &all(), &id);
        let Confinement::Refused { message } = refused else { panic!("{refused:?}") };
        for part in ["memory_max and tasks_max and cpu_quota", "no cgroup v2", "best-effort"] {
            assert!(message.contains(part), "{message}");
        }
        let only_memory = Can { memory: true, ..Can::default() };
        let refused = confine(&way(only_memory), &all(), &id);
        let Confinement::Refused { message } = refused else { panic!("{refused:?}") };
        assert!(message.starts_with("tasks_max and cpu_quota cannot"), "{message}");
        let tried = Resources { best_effort: true, ..all() };
        assert_eq!(confine(&nowhere, &tried, &id), Confinement::Nowhere);
        let confined = confine(&way(only_memory), &tried, &id);
        let Confinement::Cgroup { settings, .. } = confined else { panic!("{confined:?}") };
        assert_eq!(settings.len(), 2, "what can be limited is");
        let told = waived(&way(only_memory), &tried).unwrap();
        assert!(told.starts_with("runs without tasks_max and cpu_quota, which"), "{told}");
        assert_eq!(waived(&way(EVERYTHING), &tried), None);
        assert_eq!(waived(&nowhere, &all()), None, "it is refused");
    }
}
