//! Shows how a living agent is, for `why`.

use crate::control::view::{HealthMark, HealthView, ProbeView};
use crate::health::{ProbeNow, ProbeState};
use crate::model::{AttemptId, AttemptRow, Moment, Owner, ms};

use super::engine::Engine;

impl Engine {
    /// What the probes of a live attempt say; nothing when it has none.
    pub(super) fn health_mark(&self, attempt: &AttemptId) -> Option<HealthMark> {
        let health = self.core.supervisor.health(attempt)?;
        (!health.probes.is_empty()).then(|| mark(&health.probes))
    }

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
        let doing = self.activity_view(Some(id));
        let ago = |at: Moment| ms(now.since(at));
        Some(HealthView {
            ready_ms: health.ready.map(ago),
            activity: doing.word,
            activity_kind: doing.kind,
            activity_message: doing.message,
            activity_source: doing.source,
            activity_ms: doing.age_ms,
            heartbeat_in_ms: health.watchdog.map(|at| ms(at.since(now))),
            probes: health.probes.into_iter().map(|probe| probe_view(probe, now)).collect(),
        })
    }
}

/// What probes say, in short.
fn mark(probes: &[ProbeNow]) -> HealthMark {
    let fails = |probe: &&ProbeNow| matches!(probe.state, ProbeState::Failing | ProbeState::Over);
    let failing: Vec<&ProbeNow> = probes.iter().filter(fails).collect();
    let unknown = probes.iter().find_map(|probe| probe.unknown.as_ref());
    let waits = probes.iter().any(|probe| probe.state == ProbeState::Waiting);
    let (state, message) = match (failing.first(), unknown) {
        (Some(probe), _) => ("failing", probe.last.as_ref().map(|(_, text)| text.clone())),
        (None, Some((_, why))) => ("unknown", Some(why.clone())),
        (None, None) => (if waits { "waiting" } else { "passing" }, None),
    };
    let failing = failing.into_iter().map(|probe| probe.name.clone()).collect();
    HealthMark { state: state.to_owned(), failing, message }
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
