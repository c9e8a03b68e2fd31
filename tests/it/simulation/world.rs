//! The world: time, people, shims, a ledger, and a daemon that dies whenever it likes.

use std::collections::{BTreeMap, BTreeSet};

use muxvisor::daemon::{Core, Effect, Input, Turn};
use muxvisor::model::{AttemptId, Entry, Moment, Order, RunId};
use muxvisor::policy::{Agent, AgentType, Group};
use muxvisor::supervisor::{self, InstanceRequest};
use muxvisor::workflow;

use super::chance::Chance;
use super::laws::Laws;
use super::ledger::Ledger;
use super::plans::{self, Planned, deed};
use super::shims::Shims;
use crate::props;

/// After so many steps something goes in a circle.
const STEPS_MAX: u32 = 50_000;
/// People leave the services alone after this, in milliseconds, and stop them.
const HORIZON_MS: u64 = 1_800_000;

/// Something that happens outside the daemon, or reaches it.
#[derive(Debug)]
pub(super) enum Happening {
    /// A shim starts, launched by the daemon of that number.
    Launched {
        order: Box<Order>,
        by: u32,
    },
    AgentStarts(AttemptId),
    AgentEnds(AttemptId),
    ShimIsKilled(AttemptId),
    StopArrives {
        attempt: AttemptId,
        at_once: bool,
    },
    /// The fence of the daemon of that number looks for what is left of an agent.
    FenceLooks {
        attempt: AttemptId,
        by: u32,
    },
    /// Something that the daemon of that number was to hear.
    Report {
        to: u32,
        event: supervisor::Event,
    },
    Wish(Wish),
    DaemonStarts,
}

/// What a person wants.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    Submit,
    Approve,
    Cancel,
    /// Stop every agent, then end.
    Close,
    Ask(String, InstanceRequest),
    /// The same of several instances, or of a group.
    AskMany(Vec<String>, InstanceRequest),
}

/// How unkind the world is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Weather {
    /// Whether daemons die, launches fail and reports come late or twice.
    pub(super) faults: bool,
    /// How many of a hundred shims are killed.
    pub(super) kills: u64,
}

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) weather: Weather,
    pub(super) chance: Chance,
    pub(super) now: Moment,
    pub(super) agents: BTreeMap<String, Agent>,
    pub(super) groups: Vec<Group>,
    pub(super) planned: Planned,
    pub(super) ledger: Ledger,
    pub(super) shims: Shims,
    pub(super) core: Option<Core>,
    /// Counts daemons.
    pub(super) daemon: u32,
    /// The attempts that this daemon follows.
    pub(super) followed: BTreeSet<AttemptId>,
    laws: Laws,
    queue: BTreeMap<(Moment, u64), Happening>,
    queued: u64,
    /// Whether somebody cancels the run, and whether a yes is asked for first.
    pub(super) cancels: bool,
    asks: bool,
    /// Whether somebody ends the daemon with all its agents.
    closes: bool,
    crashes_left: u64,
    /// Whether this daemon ends as soon as no agent is left.
    closing: bool,
    /// What was decided and not committed.
    entries: Vec<Entry>,
    effects: Vec<Effect>,
    wished: Vec<Wish>,
}

pub(super) fn run_id() -> RunId {
    RunId::of_day("2026-11-21", 1)
}

impl World {
    pub(super) fn new(seed: u64, faults: bool) -> Self {
        // What is built is the same with and without faults.
        let mut chance = Chance::of(seed, "world");
        let agents = plans::agents(&mut chance);
        let groups = plans::groups(&mut chance, &agents);
        let planned = plans::plan(&mut chance, &agents);
        let (asks, cancels) = (chance.percent(20), chance.percent(12));
        let closes = chance.percent(15);
        let kills = *chance.pick(&[0, 0, 0, 0, 10, 30, 100]);
        let kills = if faults { kills } else { 0 };
        let mut world = Self {
            seed,
            weather: Weather { faults, kills },
            chance: Chance::of(seed, faults),
            now: Moment(0),
            agents,
            groups,
            planned,
            ledger: Ledger::default(),
            shims: Shims::default(),
            core: None,
            daemon: 0,
            followed: BTreeSet::new(),
            laws: Laws::default(),
            queue: BTreeMap::new(),
            queued: 0,
            cancels,
            asks,
            closes,
            crashes_left: if faults { chance.within(0, 8) } else { 0 },
            closing: false,
            entries: Vec::new(),
            effects: Vec::new(),
            wished: Vec::new(),
        };
        world.people(&mut chance);
        world
    }

    /// What people will want, and when.
    fn people(&mut self, chance: &mut Chance) {
        self.at(0, Happening::DaemonStarts);
        self.at(10, Happening::Wish(Wish::Submit));
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
    }

    fn services(&self) -> Vec<String> {
        let services = self.agents.values().filter(|agent| agent.kind == AgentType::Service);
        services.map(|agent| agent.name.clone()).collect()
    }

    /// Whether how tasks end depends on nothing but the plan and its agents.
    pub(super) fn is_comparable(&self) -> bool {
        !self.cancels && !self.closes && !self.planned.aborts && self.weather.kills == 0
    }

    /// Lets something happen after so many milliseconds.
    pub(super) fn at(&mut self, ms: u64, happening: Happening) {
        self.queued += 1;
        self.queue.insert((Moment(self.now.0 + ms), self.queued), happening);
    }

    /// Lets something happen within so many milliseconds.
    pub(super) fn soon(&mut self, ms: u64, happening: Happening) {
        let after = self.chance.within(0, ms);
        self.at(after, happening);
    }

    /// A daemon hears of it, late and perhaps twice.
    pub(super) fn report(&mut self, event: &supervisor::Event) {
        let to = self.daemon;
        self.soon(50, Happening::Report { to, event: event.clone() });
        if self.weather.faults && self.chance.percent(10) {
            self.soon(5_000, Happening::Report { to, event: event.clone() });
        }
    }

    /// Goes on until nothing is left to be done.
    pub(super) fn go(&mut self) {
        let mut in_place = 0;
        for _ in 0..STEPS_MAX {
            let wakes = self.core.as_ref().and_then(Core::next_deadline);
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            let before = self.now;
            match (next, wakes) {
                (None, None) => return self.rests(),
                (Some(at), wakes) if wakes.is_none_or(|wakes| at <= wakes) => {
                    self.now = self.now.max(at);
                    let (_, happening) = self.queue.pop_first().expect("it was just seen");
                    self.happens(happening);
                    in_place = 0;
                }
                (_, wakes) => {
                    self.now = self.now.max(wakes.expect("one of them is there"));
                    in_place = if self.now == before { in_place + 1 } else { 0 };
                    assert!(in_place < 10, "the daemon turns in a circle at {:?}", self.now);
                    let now = self.now;
                    let turn = self.core().deadline_reached(now);
                    self.keep(turn);
                    self.settle();
                }
            }
        }
        panic!("this does not end");
    }

    pub(super) fn core(&mut self) -> &mut Core {
        self.core.as_mut().expect("a daemon lives")
    }

    /// Keeps what was decided for the next commit.
    pub(super) fn keep(&mut self, turn: Turn) {
        let at = self.now;
        let entry = |fact| Entry { at, wall_ms: 0, fact };
        self.entries.extend(turn.facts.into_iter().map(entry));
        self.effects.extend(turn.effects);
    }

    pub(super) fn decide(&mut self, input: Input) {
        let now = self.now;
        let turn = self.core().turn(now, input);
        self.keep(turn);
    }

    /// Commits, then acts; the daemon may die at every step.
    pub(super) fn settle(&mut self) {
        if self.dies() {
            return;
        }
        let entries = std::mem::take(&mut self.entries);
        self.ledger.commit(&entries);
        for wish in std::mem::take(&mut self.wished) {
            match wish {
                Wish::Ask(name, request) => {
                    let row = self.ledger.instances.get(&name);
                    self.laws.asked(self.now, &name, request, row);
                }
                Wish::AskMany(_, request) => {
                    self.laws.asked_many(self.now, request, &self.ledger);
                }
                Wish::Submit | Wish::Approve | Wish::Cancel | Wish::Close => {}
            }
        }
        let (agents, groups) = (&self.agents, &self.groups);
        self.laws.look(&entries, &self.ledger, &self.shims, agents, groups, &self.planned.plan);
        for effect in std::mem::take(&mut self.effects) {
            if self.dies() {
                return;
            }
            self.perform(effect);
        }
        if self.chance.percent(10) || self.core().workflow.runs().any(|run| run.state.is_end()) {
            self.ledger.agrees_with(self.core.as_ref().expect("a daemon lives"));
        }
        self.core().workflow.take_ended();
        if !self.dies() && self.closing && self.core().supervisor.attempts().next().is_none() {
            self.laws.closed(&self.ledger);
            self.ends();
        }
    }

    /// The daemon is gone, and comes back a little later.
    fn ends(&mut self) {
        self.core = None;
        self.closing = false;
        self.daemon += 1;
        self.followed.clear();
        self.soon(2_000, Happening::DaemonStarts);
    }

    /// Whether the daemon dies here. What it had not committed is gone, and people who got no
    /// answer ask again.
    fn dies(&mut self) -> bool {
        if self.crashes_left == 0 || !self.chance.percent(4) {
            return false;
        }
        self.crashes_left -= 1;
        self.entries.clear();
        self.effects.clear();
        for wish in std::mem::take(&mut self.wished) {
            self.soon(1_000, Happening::Wish(wish));
        }
        self.ends();
        true
    }

    /// A person wants something; without a daemon a moment later.
    pub(super) fn wish(&mut self, wish: Wish) {
        use workflow::Event as W;
        let submitted = self.ledger.runs.contains_key(&run_id());
        let waits = match wish {
            Wish::Submit => self.closing,
            Wish::Approve | Wish::Cancel => !submitted,
            Wish::Close | Wish::Ask(..) | Wish::AskMany(..) => false,
        };
        if self.core.is_none() || waits {
            return self.soon(500, Happening::Wish(wish));
        }
        let input = match &wish {
            Wish::Submit => {
                let submission = props::submission(run_id(), &self.planned.plan, self.asks);
                Input::Workflow(W::Submitted(Box::new(submission)))
            }
            Wish::Approve => Input::Workflow(W::Approved { run: run_id(), yes: true }),
            Wish::Cancel => Input::Workflow(W::CancelAsked { run: run_id() }),
            Wish::Close => {
                self.decide(Input::Workflow(W::CancelAsked { run: run_id() }));
                self.closing = true;
                Input::Supervisor(supervisor::Event::Closing)
            }
            Wish::Ask(name, request) => {
                let (name, request) = (name.clone(), *request);
                Input::Supervisor(supervisor::Event::Asked { name, request })
            }
            Wish::AskMany(names, request) => {
                let (names, request) = (names.clone(), *request);
                Input::Supervisor(supervisor::Event::AskedMany { names, request })
            }
        };
        self.wished.push(wish);
        self.decide(input);
        self.settle();
    }

    /// A launch by the present daemon, which may be answered by nobody.
    pub(super) fn launch(&mut self, order: Box<Order>) {
        assert!(!self.closing, "a daemon that ends launches {order:?}");
        if self.weather.faults && self.chance.percent(8) {
            let (attempt, message) = (order.attempt.clone(), "no tmux".to_owned());
            return self.report(&supervisor::Event::LaunchFailed { attempt, message });
        }
        let by = self.daemon;
        self.soon(30, Happening::Launched { order, by });
    }

    /// What the agent of an order does in this world.
    pub(super) fn deed(&self, order: &Order) -> plans::Deed {
        deed(self.seed, order)
    }

    /// At the end nothing lives and nothing is open.
    fn rests(&mut self) {
        let ledger = &self.ledger;
        assert!(self.core.is_some(), "a daemon lives at the end");
        assert_eq!(self.shims.agents(|_| true), 0, "agents live on");
        assert_eq!(ledger.unended(), [], "attempts are open");
        assert_eq!(ledger.live_runs().count(), 0, "the run is not over");
        for task in &self.planned.plan.tasks {
            let end = ledger.ends.get(&(run_id(), task.id.clone()));
            assert!(end.is_some(), "{} did not end", task.id);
        }
    }
}
