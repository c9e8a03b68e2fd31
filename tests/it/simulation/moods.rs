//! How agents do while they run: when they are ready, whether their heart beats, what a probe sees
//! of them. What is unknown must never have consequences (fault 49).

use muxvisor::health::{Ask, Reading, Sample, Ticket, What};
use muxvisor::model::{AttemptId, Order, Owner};
use muxvisor::supervisor::Event;

use super::chance::Chance;
use super::world::{Happening, World};

/// Time between two heartbeats.
const BEAT_MS: u64 = 8_000;

/// What probes see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Well,
    /// It can never be looked at.
    Unknown,
    /// It is ill from the beginning.
    Ill,
    /// Well, ill and unknown, in turns.
    Flaps,
}

/// How an agent does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mood {
    /// How long after its start it is ready; never, when absent.
    pub(super) ready_ms: Option<u64>,
    /// After how long its heart stops beating; never, when absent.
    pub(super) beats_ms: Option<u64>,
    pub(super) look: Look,
}

impl Mood {
    pub(super) fn of(seed: u64, order: &Order) -> Self {
        let mut chance = Chance::of(seed, ("mood", &order.owner_name(), order.n));
        let looks = [Look::Well, Look::Well, Look::Unknown, Look::Unknown, Look::Ill, Look::Flaps];
        Self {
            ready_ms: *chance.pick(&[Some(0), Some(0), Some(400), Some(9_000), Some(70_000), None]),
            beats_ms: *chance.pick(&[None, None, None, Some(0), Some(60_000)]),
            look: *chance.pick(&looks),
        }
    }

    /// Whether it is ready long before anybody may lose patience.
    pub(super) fn is_ready_soon(self) -> bool {
        self.ready_ms.is_some_and(|ms| ms <= 9_000)
    }
}

/// What an order's agent is called in the world.
pub(super) trait OwnerName {
    fn owner_name(&self) -> String;
}

impl OwnerName for Order {
    fn owner_name(&self) -> String {
        match &self.owner {
            Owner::Task { task, .. } => task.to_string(),
            Owner::Instance { name } => name.clone(),
        }
    }
}

impl World {
    /// An agent that has just started begins to speak, if anybody listens.
    pub(super) fn begins_to_speak(&mut self, id: &AttemptId) {
        let Some(shim) = self.shims.get(id) else { return };
        let Owner::Instance { name } = &shim.order.owner else { return };
        let care = self.written.get(name).map(|agent| &agent.policy.care);
        if care.is_some_and(|care| care.startup.is_some() || care.watchdog_ms.is_some()) {
            let after = shim.deed.mood.ready_ms.map_or(BEAT_MS, |ms| ms.min(BEAT_MS));
            self.at(after, Happening::Speaks(id.clone()));
        }
    }

    pub(super) fn speaks(&mut self, id: &AttemptId) {
        let now = self.now;
        let Some(shim) = self.shims.living(id).filter(|shim| shim.agent_lives) else { return };
        let ran = now.0 - shim.started.map_or(now.0, |at| at.0);
        shim.said.ready = shim.deed.mood.ready_ms.is_some_and(|ms| ms <= ran);
        if shim.deed.mood.beats_ms.is_none_or(|until| ran < until) {
            shim.said.beats += 1;
        }
        self.tell_said(id);
        self.at(BEAT_MS, Happening::Speaks(id.clone()));
    }

    /// Whoever follows it hears what it says now.
    pub(super) fn tell_said(&mut self, id: &AttemptId) {
        let Some(shim) = self.shims.get(id).filter(|shim| shim.said.beats > 0 || shim.said.ready)
        else {
            return;
        };
        let said = Box::new(shim.said.clone());
        if self.followed.contains(id) && self.core.is_some() {
            self.report(&Event::Reported { attempt: id.clone(), report: said });
        }
    }

    /// Somebody looks.
    #[expect(clippy::wildcard_enum_match_arm, reason = "probes all see the same mood")]
    pub(super) fn sample(&mut self, attempt: AttemptId, probe: Ticket, ask: &Ask) {
        let flaps = *self.chance.pick(&[Look::Well, Look::Ill, Look::Unknown]);
        let now = self.now;
        let unknown = || Reading::Unknown { why: "nobody can look".to_owned() };
        let reading = match self.shims.living(&attempt).filter(|shim| shim.agent_lives) {
            None => unknown(),
            Some(shim) => {
                let ran = now.0 - shim.started.map_or(now.0, |at| at.0);
                let mood = shim.deed.mood;
                let look = match &ask.what {
                    What::Exec { command } if command[0] == "ready" => {
                        let ready = mood.ready_ms.is_some_and(|ms| ms <= ran);
                        if ready { Look::Well } else { Look::Ill }
                    }
                    _ if mood.look == Look::Flaps => flaps,
                    _ => mood.look,
                };
                match look {
                    Look::Well => Reading::Passed,
                    Look::Ill => Reading::Failed { why: "it is ill".to_owned() },
                    Look::Unknown | Look::Flaps => unknown(),
                }
            }
        };
        self.report(&Event::Sampled { attempt, probe, sample: Sample::of(reading) });
    }
}
