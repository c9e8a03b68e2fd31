//! What people will want, and when; and which faults the world has in store for a rough life.

use muxvisor::policy::AgentType;
use muxvisor::supervisor::InstanceRequest;

use super::chance::Chance;
use super::world::{HORIZON_MS, Happening, Wish, World};

/// Faults of the world end here, so that what they did can come to rest.
const CALM_MS: u64 = HORIZON_MS / 10 * 6;

impl World {
    /// What people will want, and when.
    pub(super) fn people(&mut self, chance: &mut Chance) {
        self.at(0, Happening::DaemonStarts);
        self.at(10, Happening::Wish(Wish::Submit));
        self.at(200, Happening::PersonLooks);
        if self.asks {
            self.at(chance.within(20, 5_000), Happening::Wish(Wish::Approve));
        }
        if self.cancels {
            self.at(chance.within(20, 20_000), Happening::Wish(Wish::Cancel));
        }
        let closes_at = self.closes.then(|| chance.within(20, HORIZON_MS / 4));
        if let Some(at) = closes_at {
            self.at(at, Happening::Wish(Wish::Close));
            if chance.percent(50) {
                self.at(at + chance.within(1, 500), Happening::Wish(Wish::Close));
            }
        }
        let services: Vec<String> = self.services();
        let requests = [
            InstanceRequest::Start,
            InstanceRequest::Stop,
            InstanceRequest::Restart,
            InstanceRequest::ResetFailed,
        ];
        for _ in 0..chance.within(0, if services.is_empty() { 0 } else { 5 }) {
            let whole = self.groups.iter().find(|_| chance.percent(70));
            let names = whole.map_or(services.clone(), |group| vec![group.name.clone()]);
            let wish = Wish::AskMany(names, *chance.pick(&requests));
            self.at(chance.within(1, HORIZON_MS), Happening::Wish(wish));
        }
        for name in services {
            if let Some(at) = closes_at {
                let after = at + chance.within(0, 400);
                let start = Wish::Ask(name.clone(), InstanceRequest::Start);
                self.at(after, Happening::Wish(start));
            }
            for _ in 0..chance.within(0, 8) {
                let request = *chance.pick(&requests);
                let at = chance.within(1, HORIZON_MS);
                self.at(at, Happening::Wish(Wish::Ask(name.clone(), request)));
            }
            self.at(HORIZON_MS, Happening::Wish(Wish::Ask(name, InstanceRequest::Stop)));
        }
        self.at(HORIZON_MS / 10 * 7, Happening::Inspect);
        self.at(HORIZON_MS - 1, Happening::Inspect);
    }

    fn services(&self) -> Vec<String> {
        let services = self.agents.values().filter(|agent| agent.kind == AgentType::Service);
        services.map(|agent| agent.name.clone()).collect()
    }

    /// What goes wrong in a rough world, beside what always may. Early or late, often or never.
    pub(super) fn misfortunes(&mut self, chance: &mut Chance) {
        if !self.weather.rough {
            return;
        }
        for _ in 0..chance.within(0, 3) {
            self.at(when(chance), Happening::TmuxDies);
        }
        for _ in 0..chance.within(0, 3) {
            let ms = *chance.pick(&[500, 5_000, 45_000, 300_000]);
            self.at(when(chance), Happening::DiskFills { ms });
        }
        for _ in 0..chance.within(0, 2) {
            let ms = *chance.pick(&[2_000, 40_000, 28_800_000]);
            self.at(when(chance), Happening::Sleeps { ms });
        }
        for _ in 0..chance.within(0, 4) {
            self.at(when(chance), Happening::Reload);
        }
    }
}

/// Half of it while the plan runs.
fn when(chance: &mut Chance) -> u64 {
    let within = if chance.percent(50) { 20_000 } else { CALM_MS };
    chance.within(1, within)
}
