//! What happens in the world: shims start and end, fences look, daemons die and come back.

use std::time::Duration;

use muxvisor::daemon::{Core, Effect, Input};
use muxvisor::model::{
    AttemptId, AttemptRow, AttemptState, CacheAnswer, CacheEntry, CacheQuestion, CacheSource, Mint,
    Moment, Order, Owner, RunId, TaskId,
};
use muxvisor::plan::Task;
use muxvisor::supervisor::{Event, Remembered, Settings, Supervisor};
use muxvisor::workflow::{self, Workflow};

use super::chance::Chance;
use super::plans::kept_output;
use super::world::{Happening, World};
use crate::props;

/// How many attempts of tasks may live at once, over all runs.
const LIVE_MAX: usize = 4;
/// How many slots the pool of all plans has.
const POOL: usize = 2;

impl World {
    pub(super) fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Launched { order, by } => self.launched(&order, by),
            Happening::AgentStarts(id) => self.agent_starts(&id),
            Happening::AgentEnds(id) => {
                let heeds = self.chance.percent(70);
                self.shims.ends(&id, heeds);
                self.tell_end(&id);
            }
            Happening::ShimIsKilled(id) => {
                if self.shims.is_killed(&id) {
                    self.tell_end(&id);
                }
            }
            Happening::StopArrives { attempt, at_once } => {
                let Some(shim) = self.shims.living(&attempt) else { return };
                shim.told = true;
                let patience = *self.chance.pick(&[1, 400, 12_000]);
                self.soon(if at_once { 1 } else { patience }, Happening::AgentEnds(attempt));
            }
            Happening::FenceLooks { attempt, by } => self.fence_looks(attempt, by),
            Happening::Report { to, event } => {
                if to == self.daemon
                    && self.core.is_some()
                    && let Some(event) = self.as_heard(event)
                {
                    self.tell_daemon(event);
                }
            }
            Happening::LookedUp { to, asked } => self.looked_up(to, asked),
            Happening::Wish(wish) => self.wish(wish),
            Happening::DaemonStarts => self.daemon_starts(),
            Happening::TmuxDies => self.tmux_dies(),
            Happening::TmuxBack => self.tmux_back(),
            Happening::WindowWanted(id) => self.window_wanted(&id),
            Happening::DiskFills { ms } => self.disk_fills(ms),
            Happening::DiskFree => self.disk_free(),
            Happening::Sleeps { ms } => self.sleeps(ms),
            Happening::Reload => self.reload(),
            Happening::Speaks(id) => self.speaks(&id),
            Happening::Inspect => self.inspect(),
            Happening::PersonLooks => self.person_looks(),
            Happening::Inside(id, say) => self.inside(&id, say),
        }
    }

    pub(super) fn perform(&mut self, effect: Effect) {
        let has_shim = |world: &mut Self, id: &AttemptId| {
            world.core().supervisor.attempt(id).is_some_and(|row| row.shim.is_some())
        };
        match effect {
            Effect::Launch(order) => self.launch(order),
            // Without a shim there is nobody to be told.
            Effect::Stop(attempt) if has_shim(self, &attempt) => {
                self.soon(5, Happening::StopArrives { attempt, at_once: false });
            }
            Effect::Kill(attempt) if has_shim(self, &attempt) => {
                self.soon(5, Happening::StopArrives { attempt, at_once: true });
            }
            Effect::Stop(_)
            | Effect::Kill(_)
            | Effect::TypePrompt { .. }
            | Effect::Press { .. } => {}
            Effect::Sample { attempt, probe, ask } => self.sample(attempt, probe, &ask),
            Effect::AskQuiet(attempt) => {
                let now = self.now;
                let shim = self.shims.living(&attempt);
                let silent = shim.filter(|shim| shim.deed.runs_ms.is_none());
                let since = silent.and_then(|shim| shim.started);
                let quiet_ms = since.map_or(0, |since| now.0 - since.0);
                self.report(&Event::Heard { attempt, quiet_ms });
            }
            Effect::LookUp(asked) => {
                let to = self.daemon;
                self.soon(50, Happening::LookedUp { to, asked });
            }
            Effect::CloseWindow { window, success } => {
                if self.chance.percent(10) {
                    self.report(&Event::WindowLeft { window, success });
                }
            }
        }
    }

    /// Of some tasks an earlier run left a result, which is the same in every life of this seed.
    fn looked_up(&mut self, to: u32, asked: Vec<CacheQuestion>) {
        if to != self.daemon || self.core.is_none() {
            return;
        }
        if self.stuck {
            return self.soon(500, Happening::LookedUp { to, asked });
        }
        let seed = self.seed;
        let entry = |task: &TaskId| {
            let run = RunId::of_day("2026-11-20", 1);
            let (attempt, agent) = (AttemptId::new("earlier"), "alpha".to_owned());
            let source = CacheSource { run, attempt, agent };
            let output = kept_output();
            let has = Chance::of(seed, ("kept", task.as_str())).percent(40);
            has.then_some(CacheEntry { source, at: Moment(0), output })
        };
        let answers = asked.into_iter().map(|asked| CacheAnswer {
            entry: entry(&asked.task),
            ..CacheAnswer::nothing(asked, None)
        });
        let event = workflow::Event::LookedUp(answers.collect());
        self.decide(Input::Workflow(event));
        self.settle();
    }

    fn launched(&mut self, order: &Order, by: u32) {
        let mine = by == self.daemon;
        if !mine && self.chance.percent(50) {
            // It died with the daemon that wanted it.
            return;
        }
        let (id, deed) = (order.attempt.clone(), self.deed(order));
        let never_runs = deed.ending.exit.as_ref().is_some_and(|exit| exit.exec_failure.is_some());
        if self.shims.launch(order, deed) {
            match never_runs {
                true => self.soon(20, Happening::AgentEnds(id.clone())),
                false => self.soon(20, Happening::AgentStarts(id.clone())),
            }
            if self.chance.percent(self.weather.kills) {
                let within = *self.chance.pick(&[30, 300, 6_000]);
                self.soon(within, Happening::ShimIsKilled(id.clone()));
            }
        }
        if mine && self.core.is_some() {
            self.tell_launched(order);
            self.follow(&id);
        }
    }

    fn tell_launched(&mut self, order: &Order) {
        let window = self.window_of(&order.attempt, order.windowed);
        let shim = props::mark(i32::try_from(self.chance.within(2, 9_999)).expect("a pid"));
        let attempt = order.attempt.clone();
        self.report(&Event::Launched { attempt, shim, pane: window.clone(), window });
    }

    fn agent_starts(&mut self, id: &AttemptId) {
        let Some(shim) = self.shims.living(id) else { return };
        if shim.told {
            return;
        }
        let runs_ms = shim.deed.runs_ms;
        let (order, now) = (shim.order.clone(), self.now);
        self.shims.agent_starts(id, now);
        self.limits_hold(&order);
        self.begins_to_speak(id);
        self.has_to_say(&order);
        if let Some(ms) = runs_ms {
            self.at(ms, Happening::AgentEnds(id.clone()));
        }
        if self.followed.contains(id) {
            self.tell_start(id);
        }
    }

    /// The limits of daemon, run, phase, agent and pool hold for living processes, not only for
    /// records. A lead that has workers may be one more of each.
    fn limits_hold(&self, order: &Order) {
        let Owner::Task { run, task } = &order.owner else { return };
        let bonds = &self.ledger.bonds;
        let counts = |other: &Order| match &other.owner {
            Owner::Task { run, task } => {
                (!bonds.is_leading(run, task)).then(|| (run.clone(), bonds.task(run, task)))
            }
            Owner::Instance { .. } => None,
        };
        let live = |like: &dyn Fn(&Order, &RunId, Option<&Task>) -> bool| {
            self.shims.agents(|other| {
                counts(other).is_some_and(|(run, definition)| like(other, &run, definition))
            })
        };
        let at_most = |what: &str, number: usize, most: usize| {
            assert!(number <= most, "{number} agents at once in {what}, {most} may be");
        };
        at_most("all", live(&|_, _, _| true), LIVE_MAX);
        let plan = &bonds.plans[run];
        at_most(run.as_str(), live(&|_, of, _| of == run), plan.max_parallel as usize);
        if let Some(most) = plan.agents.get(&order.agent).and_then(|agent| agent.max_parallel) {
            let number = live(&|other, _, _| other.agent == order.agent);
            at_most(&order.agent, number, most as usize);
        }
        let phase = plan.task(task).and_then(|task| plan.phase(&task.phase));
        if let Some((phase, most)) = phase.and_then(|it| Some((it, it.max_parallel?))) {
            let within = |it: Option<&Task>| it.is_some_and(|it| it.phase == phase.id);
            at_most(&phase.id, live(&|_, of, it| of == run && within(it)), most as usize);
        }
        let taken = std::cell::Cell::new(0);
        self.shims.agents(|other| {
            let uses = counts(other).and_then(|(_, definition)| definition?.uses.get("pool"));
            taken.set(taken.get() + uses.copied().unwrap_or(0));
            true
        });
        at_most("the pool", taken.get() as usize, POOL);
    }

    fn tell_start(&mut self, id: &AttemptId) {
        self.report(&Event::Started { attempt: id.clone(), process: props::mark(77) });
    }

    /// Whoever follows it learns that it is over; a fence comes first when it left no record.
    fn tell_end(&mut self, id: &AttemptId) {
        if !self.followed.contains(id) {
            return;
        }
        let Some(shim) = self.shims.get(id) else { return };
        let Some(ending) = shim.over.clone() else { return };
        if shim.was_killed() {
            let by = self.daemon;
            return self.soon(100, Happening::FenceLooks { attempt: id.clone(), by });
        }
        self.report(&Event::Gone { attempt: id.clone(), ending: Box::new(ending) });
    }

    fn fence_looks(&mut self, attempt: AttemptId, by: u32) {
        if by != self.daemon || self.core.is_none() {
            return;
        }
        if self.chance.percent(20) {
            let message = "unkillable: processes 7 do not go away".to_owned();
            self.report(&Event::Stuck { attempt: attempt.clone(), message });
            return self.at(1_000, Happening::FenceLooks { attempt, by });
        }
        self.shims.fenced(&attempt);
        let ending = self.shims.get(&attempt).and_then(|shim| shim.over.clone());
        let ending = Box::new(ending.expect("a fence looks after what is over"));
        self.report(&Event::Gone { attempt, ending });
    }

    fn follow(&mut self, id: &AttemptId) {
        self.followed.insert(id.clone());
        if self.shims.get(id).is_some_and(|shim| shim.started.is_some()) {
            self.tell_start(id);
            self.tell_said(id);
        }
        self.tell_end(id);
    }

    /// As `daemon::start` does it: read, compare with what is there, wake what is due.
    fn daemon_starts(&mut self) {
        let seed = |of: u8| {
            let mut seed = [of; 32];
            seed[..8].copy_from_slice(&(self.seed ^ u64::from(self.daemon)).to_le_bytes());
            Mint::new(seed)
        };
        let settings = Settings {
            keep_success: Some(Duration::ZERO),
            keep_failure: Some(Duration::from_secs(60)),
        };
        let left = self.ledger.unended();
        let instances = self.ledger.instances();
        let (attempts, groups) = (left.clone(), self.ledger.groups());
        let parked = self.ledger.parked();
        let remembered = Remembered { attempts, instances, groups, parked };
        let supervisor = Supervisor::recover(self.now, settings, remembered, seed(1));
        let mut workflow = Workflow::new(LIVE_MAX, seed(2));
        for parking in self.ledger.parked() {
            let (agent, until) = (parking.agent, parking.until);
            workflow.handle(self.now, workflow::Event::AgentParked { agent, until });
        }
        for signal in self.ledger.signals() {
            workflow.keep_event(signal);
        }
        for (run, facts) in self.ledger.live_runs() {
            workflow.adopt(Workflow::replay(run, facts).unwrap_or_else(|error| panic!("{error}")));
        }
        let supervisor = supervisor.unwrap_or_else(|error| panic!("{error}"));
        let core = Core { supervisor, workflow };
        self.ledger.agrees_with(&core);
        self.core = Some(core);
        self.told_server = self.server;
        let agents = self.agents.values().cloned().collect();
        let groups = self.groups.clone();
        self.decide(Input::Supervisor(Event::Configured { agents, groups }));
        left.iter().for_each(|row| self.adopt(row));
        let now = self.now;
        let turn = self.core().deadline_reached(now);
        self.keep(turn);
        self.settle();
    }

    /// As `daemon::adopt` does it: what became of an attempt while nobody looked.
    fn adopt(&mut self, row: &AttemptRow) {
        let attempt = row.order.attempt.clone();
        let early = matches!(row.state, AttemptState::Intended | AttemptState::Stopping);
        match self.shims.get(&attempt) {
            None => {
                assert!(early, "{attempt} is {} and has no shim", row.state);
                self.decide(Input::Supervisor(Event::NeverLaunched { attempt }));
            }
            // Killed before it started anything, without a window that would tell.
            Some(shim)
                if shim.was_killed() && shim.started.is_none() && early && !row.order.windowed =>
            {
                self.decide(Input::Supervisor(Event::NeverLaunched { attempt }));
            }
            Some(shim) if shim.over.is_some() => {
                let window = self.window_of(&attempt, row.order.windowed);
                if let Some(shim) = row.shim.clone().filter(|_| row.window != window) {
                    let (attempt, pane) = (attempt.clone(), window.clone());
                    self.decide(Input::Supervisor(Event::Launched { attempt, shim, pane, window }));
                }
                self.follow(&attempt);
            }
            Some(_) => {
                let window = self.window_of(&attempt, row.order.windowed);
                let (shim, pane) = (props::mark(10), window.clone());
                let id = attempt.clone();
                self.decide(Input::Supervisor(Event::Launched { attempt, shim, pane, window }));
                self.follow(&id);
            }
        }
    }
}

/// A report about nothing, which only brings about a commit.
pub(super) fn nothing() -> Event {
    Event::NeverLaunched { attempt: AttemptId::new("nothing") }
}
