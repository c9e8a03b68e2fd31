//! Shows how a living agent is, for `why`.

use crate::control::view::{HealthView, ProbeView};
use crate::health::ProbeNow;
use crate::model::{AttemptRow, Moment, Owner};

use super::engine::Engine;
use super::views::ms;

impl Engine {
    /// How the living agent of an instance, a task or `RUN/TASK` is.
    pub(super) fn health_view(&self, target: &str) -> Option<HealthView> {
        let named = |row: &&AttemptRow| match &row.order.owner {
            Owner::Instance { name } => name == target,
            Owner::Task { run, task } => {
                task.as_str() == target || format!("{run}/{task}") == target
            }
        };
        let supervisor = &self.core.supervisor;
        let row = supervisor.attempts().filter(named).max_by_key(|row| row.intended)?;
        let id = &row.order.attempt;
        let health = supervisor.health(id)?;
        let now = self.clock.now();
        let (activity, activity_source, since) = supervisor.activity(id);
        let ago = |at: Moment| ms(now.since(at));
        Some(HealthView {
            ready_ms: health.ready.map(ago),
            activity,
            activity_source,
            activity_ms: since.map(ago),
            heartbeat_in_ms: health.watchdog.map(|at| ms(at.since(now))),
            probes: health.probes.into_iter().map(|probe| probe_view(probe, now)).collect(),
        })
    }
}

fn probe_view(probe: ProbeNow, now: Moment) -> ProbeView {
    let ago = |at: &Moment| ms(now.since(*at));
    ProbeView {
        name: probe.name,
        state: probe.state.word().to_owned(),
        failures: probe.failures.0,
        failure_threshold: probe.failures.1,
        unknown_ms: probe.unknown.as_ref().map(|(at, _)| ago(at)),
        unknown_why: probe.unknown.map(|(_, why)| why),
        last_ms: probe.last.as_ref().map(|(at, _)| ago(at)),
        last: probe.last.map(|(_, text)| text),
        next_in_ms: probe.next.map(|at| ms(at.since(now))),
        suspended: probe.suspended,
    }
}
