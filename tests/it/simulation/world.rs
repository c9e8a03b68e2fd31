//! The world: time, people, shims, a ledger, and a daemon that dies whenever it likes.

use std::collections::{BTreeMap, BTreeSet};

use muxvisor::daemon::{Core, Effect, Input, Turn};
use muxvisor::model::{AttemptId, CacheQuestion, Entry, InstanceRow, Moment, Order, Owner, RunId};
use muxvisor::policy::{Agent, Group};
use muxvisor::supervisor::{self, InstanceRequest};
use muxvisor::workflow;

use super::chance::Chance;
use super::inside::{Say, team};
use super::laws::Laws;
use super::ledger::Ledger;
use super::plans::{self, Planned, deed};
use super::shims::Shims;
use crate::props;

/// After so many steps something goes in a circle.
const STEPS_MAX: u32 = 200_000;
/// People leave the services alone after this, in milliseconds, and stop them.
pub(super) const HORIZON_MS: u64 = 1_800_000;

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
    /// The daemon of that number learns what is kept of earlier runs.
    LookedUp {
        to: u32,
        asked: Vec<CacheQuestion>,
    },
    Wish(Wish),
    DaemonStarts,
    TmuxDies,
    TmuxBack,
    /// An attempt that a server died under wants a window of the next.
    WindowWanted(AttemptId),
    /// For so many milliseconds nothing can be written.
    DiskFills {
        ms: u64,
    },
    DiskFree,
    /// The machine is suspended for so many milliseconds.
    Sleeps {
        ms: u64,
    },
    /// The configuration is another one.
    Reload,
    /// An agent says something about itself.
    Speaks(AttemptId),
    /// Somebody looks whether anything waits for ever.
    Inspect,
    /// A person looks at the run, answers what it asks, and perhaps meddles.
    PersonLooks,
    /// The agent of a task wants something of the daemon.
    Inside(AttemptId, Say),
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

/// How a person steers the run, beside answering what it asks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meddles {
    /// Whether they do at all.
    pub(super) any: bool,
    /// How often they still pause it.
    pub(super) pauses: u64,
    /// How often they still have work done again that is over.
    pub(super) retries: u64,
    /// How often they still edit the plan.
    pub(super) edits: u64,
    /// How often they still emit an event that nobody may wait for.
    pub(super) emits: u64,
    /// How often they still answer `retry` after too many failures.
    pub(super) decisions: u64,
}

impl Meddles {
    fn of(chance: &mut Chance) -> Self {
        if !chance.percent(35) {
            return Self { decisions: chance.within(0, 2), ..Self::default() };
        }
        let (pauses, retries) = (chance.within(0, 4), chance.within(0, 2));
        let (edits, emits) = (chance.within(0, 3), chance.within(0, 3));
        Self { any: true, pauses, retries, edits, emits, decisions: chance.within(0, 3) }
    }
}

/// How unkind the world is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Weather {
    /// Whether daemons die, launches fail and reports come late or twice.
    pub(super) faults: bool,
    /// How many of a hundred shims are killed.
    pub(super) kills: u64,
    /// Whether the machine has faults too: its clock, its disk, its tmux server, its configuration.
    pub(super) rough: bool,
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
    pub(super) laws: Laws,
    pub(super) queue: BTreeMap<(Moment, u64), Happening>,
    queued: u64,
    /// Whether somebody cancels the run, and whether a yes is asked for first.
    pub(super) cancels: bool,
    pub(super) asks: bool,
    /// Whether somebody ends the daemon with all its agents.
    pub(super) closes: bool,
    crashes_left: u64,
    /// What a person will still meddle with.
    pub(super) meddles: Meddles,
    /// Whether this daemon ends as soon as no agent is left.
    pub(super) closing: bool,
    /// What was decided and not committed.
    entries: Vec<Entry>,
    effects: Vec<Effect>,
    wished: Vec<Wish>,
    /// The agents as they were at first; reloads change them.
    pub(super) written: BTreeMap<String, Agent>,
    /// Counts tmux servers.
    pub(super) server: u32,
    pub(super) server_lives: bool,
    /// The server that the daemon knows of.
    pub(super) told_server: u32,
    /// How many causes there are why nothing can be written.
    pub(super) disk_full: u32,
    /// Whether the daemon waits for its disk, since when, and what it heard meanwhile.
    pub(super) stuck: bool,
    pub(super) stuck_since: Moment,
    pub(super) held: Vec<supervisor::Event>,
    /// The instances as they were when somebody looked.
    pub(super) inspected: Vec<InstanceRow>,
    /// The number of the last run.
    last_run: u32,
    /// The workers that were answered for, by the attempt of their lead and number.
    pub(super) answered: BTreeSet<(AttemptId, u64)>,
    /// How much has happened.
    pub(super) steps: u64,
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
        let meddles = Meddles::of(&mut chance);
        let kills = *chance.pick(&[0, 0, 0, 0, 10, 30, 100]);
        let kills = if faults { kills } else { 0 };
        let rough = chance.percent(50) && faults;
        let mut world = Self {
            seed,
            weather: Weather { faults, kills, rough },
            chance: Chance::of(seed, faults),
            now: Moment(0),
            written: agents.clone(),
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
            meddles,
            asks,
            closes,
            crashes_left: if faults { chance.within(0, 8) } else { 0 },
            closing: false,
            entries: Vec::new(),
            effects: Vec::new(),
            wished: Vec::new(),
            server: 0,
            server_lives: true,
            told_server: 0,
            disk_full: 0,
            stuck: false,
            stuck_since: Moment(0),
            held: Vec::new(),
            inspected: Vec::new(),
            last_run: 1,
            answered: BTreeSet::new(),
            steps: 0,
        };
        world.people(&mut chance);
        world.misfortunes(&mut chance);
        world
    }

    /// Whether how tasks end depends on nothing but the plan and its agents.
    pub(super) fn is_comparable(&self) -> bool {
        !self.cancels
            && !self.closes
            && !self.planned.aborts
            && !self.planned.breaks
            && !self.planned.races
            && self.planned.plan.tasks.iter().all(|task| task.total_timeout_ms.is_none())
            && !self.impatient()
            && !self.meddles.any
            && self.weather.kills == 0
            && !self.weather.rough
    }

    /// Whether a lead does not wait for its workers, or may not have as many as it may want.
    fn impatient(&self) -> bool {
        let mut leads = self.planned.plan.tasks.iter().filter(|task| task.lead.is_some());
        leads.any(|task| {
            let (wants, patient) = team(self.seed, &task.id);
            // Who is refused depends on who asks first.
            !patient || wants > 0 && task.lead.as_ref().is_some_and(|lead| lead.max_workers < 40)
        })
    }

    /// Whether all that was decided is committed.
    pub(super) fn is_settled(&self) -> bool {
        self.entries.is_empty() && self.effects.is_empty()
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
            self.steps += 1;
            let wakes = self.core.as_ref().filter(|_| !self.stuck).and_then(Core::next_deadline);
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
        let core = self.core.as_ref();
        for run in core.iter().flat_map(|core| core.workflow.runs()) {
            let open = run.tasks().filter(|(_, task)| !task.state.is_end());
            let open: Vec<_> = open.map(|(plan, task)| (&plan.id, task.state)).collect();
            eprintln!("{} is {} ({:?}), and these wait: {open:?}", run.id, run.state, run.why);
        }
        let next: Vec<_> = self.queue.iter().take(5).collect();
        panic!("this does not end: {:?} {next:?}", self.now);
    }

    pub(super) fn core(&mut self) -> &mut Core {
        self.core.as_mut().expect("a daemon lives")
    }

    /// Keeps what was decided for the next commit.
    pub(super) fn keep(&mut self, turn: Turn) {
        for effect in &turn.effects {
            if let Effect::CloseWindow { window, .. } = effect {
                let server = window.rsplit('.').next().and_then(|text| text.parse::<u32>().ok());
                let told = self.told_server;
                assert!(server.is_none_or(|it| it >= told), "{window} is of a server that died");
            }
        }
        let at = self.now;
        let entry = |fact| Entry { at, wall_ms: 0, fact };
        self.entries.extend(turn.facts.into_iter().map(entry));
        self.effects.extend(turn.effects);
        for submission in turn.submits {
            // As `daemon::steer` gives them their ids.
            self.last_run += 1;
            let run = RunId::of_day("2026-11-21", self.last_run);
            let submission = muxvisor::model::Submission { run, ..submission };
            self.decide(Input::Workflow(workflow::Event::Submitted(Box::new(submission))));
        }
    }

    pub(super) fn decide(&mut self, input: Input) {
        let now = self.now;
        if input == Input::Supervisor(supervisor::Event::WindowsLost) {
            self.told_server = self.server;
        }
        let turn = self.core().turn(now, input);
        self.keep(turn);
    }

    /// Commits, then acts; the daemon may die at every step.
    pub(super) fn settle(&mut self) {
        if self.dies() || self.stuck {
            return;
        }
        if self.disk_full > 0 && !self.entries.is_empty() {
            (self.stuck, self.stuck_since) = (true, self.now);
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
        self.laws.look(&entries, &self.ledger, &self.shims, agents, groups);
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
            self.ends();
        }
    }

    /// The daemon is gone, and comes back a little later.
    fn ends(&mut self) {
        self.core = None;
        (self.closing, self.stuck) = (false, false);
        self.held.clear();
        self.daemon += 1;
        self.followed.clear();
        self.soon(2_000, Happening::DaemonStarts);
    }

    /// Whether the daemon dies here. What it had not committed is gone, and people who got no
    /// answer ask again.
    pub(super) fn dies(&mut self) -> bool {
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
        if self.core.is_none() || waits || self.stuck {
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
                self.decide(Input::Workflow(W::Closing));
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
        let mut deed = deed(self.seed, order);
        let Owner::Task { run, task } = &order.owner else { return deed };
        let leads = self.ledger.bonds.task(run, task).is_some_and(|task| task.lead.is_some());
        if leads && team(self.seed, task).1 {
            // It ends when its workers do.
            deed.runs_ms = None;
        }
        deed
    }

    /// At the end nothing lives and nothing is open.
    fn rests(&mut self) {
        let ledger = &self.ledger;
        assert!(self.core.is_some(), "a daemon lives at the end");
        assert_eq!(self.shims.agents(|_| true), 0, "agents live on");
        assert_eq!(ledger.unended(), [], "attempts are open");
        let live = self.core.iter().flat_map(|core| core.workflow.runs()).next();
        if let Some(run) = live {
            let open = run.tasks().filter(|(_, task)| !task.state.is_end());
            let open: Vec<_> = open.map(|(plan, task)| (&plan.id, task.state)).collect();
            panic!("{} is {} ({:?}), and these wait: {open:?}", run.id, run.state, run.why);
        }
        assert_eq!(ledger.live_runs().count(), 0, "the run is not over");
        for (run, plan) in &ledger.bonds.plans {
            for task in &plan.tasks {
                let end = ledger.ends.get(&(run.clone(), task.id.clone()));
                assert!(end.is_some(), "{} of {run} did not end", task.id);
            }
        }
        self.all_is_paid();
    }
}
