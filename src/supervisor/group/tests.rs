//! OTP's own grid, who is left out of it, readiness, the limit, and daemons that die in the middle.

mod closing;
mod random;
mod reload;
mod removal;

use std::collections::BTreeMap;

use super::super::tests::clean_exit;
use super::super::{Action, Event, InstanceRequest, Remembered, Settings, Supervisor};
use crate::model::{
    AttemptFact, AttemptId, Ending, Exit, Extract, Fact, InstanceState, Mint, Moment, ProcessMark,
    ReadySign, Startup, StopStep, WallTime,
};
use crate::policy::{Agent, AgentType, Group, Restart, Strategy};

const MEMBERS: [&str; 3] = ["a", "b", "c"];

/// A supervisor, and which attempt of every member lives in the world.
struct Stage {
    supervisor: Supervisor,
    agents: Vec<Agent>,
    groups: Vec<Group>,
    now: Moment,
    live: BTreeMap<String, AttemptId>,
    /// Who was started and stopped, in order: `+a`, `-c`.
    did: Vec<String>,
    actions: Vec<Action>,
}

fn settings() -> Settings {
    Settings { keep_success: None, keep_failure: None }
}

fn group(strategy: Strategy, burst: u32) -> Group {
    Group {
        name: "crew".to_owned(),
        strategy,
        members: MEMBERS.map(str::to_owned).to_vec(),
        start_limit_burst: burst,
        start_limit_interval_ms: 600_000,
    }
}

fn service(name: &str, restart: Restart) -> Agent {
    let mut agent = Agent::new(name);
    agent.kind = AgentType::Service;
    agent.autostart = true;
    agent.command = vec![name.to_owned()];
    agent.settle();
    agent.command = vec![name.to_owned()];
    agent.policy.restart = restart;
    agent.policy.restart_jitter = 0.0;
    agent.policy.start_limit_burst = 0;
    agent
}

fn mark() -> ProcessMark {
    ProcessMark { pid: 10, start_ticks: 1, boot_id: "boot".to_owned() }
}

/// How an agent ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Success,
    Code,
    Killed,
    /// As it was told.
    Stopped,
}

fn ending(end: End) -> Ending {
    let step = StopStep { step: "requested".to_owned(), at_ms: 0, alive: 1 };
    let exit = Exit {
        code: match end {
            End::Success => Some(0),
            End::Code => Some(3),
            End::Killed | End::Stopped => None,
        },
        signal: matches!(end, End::Killed | End::Stopped).then_some(9),
        stop: if end == End::Stopped { vec![step] } else { Vec::new() },
        ..clean_exit()
    };
    Ending {
        exit: Some(exit),
        extract: Extract::Missing,
        tail: String::new(),
        log: "log".into(),
        screen: String::new(),
        read_at: WallTime::default(),
    }
}

impl Stage {
    fn new(groups: Vec<Group>, agents: Vec<Agent>) -> Self {
        let remembered = Remembered::default();
        let mint = Mint::new([1; 32]);
        let supervisor = Supervisor::recover(Moment(0), settings(), remembered, mint).unwrap();
        let (live, did, actions) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut stage = Self { supervisor, agents, groups, now: Moment(0), live, did, actions };
        stage.configure();
        stage
    }

    fn configure(&mut self) {
        let (agents, groups) = (self.agents.clone(), self.groups.clone());
        self.event(Event::Configured { agents, groups });
    }

    /// Time passes a little, and this happens.
    fn event(&mut self, event: Event) {
        self.now.0 += 1;
        let actions = self.supervisor.handle(self.now, event);
        for action in &actions {
            if let Action::Launch(order) = action {
                let name = order.agent.clone();
                self.did.push(format!("+{name}"));
                let before = self.live.insert(name, order.attempt.clone());
                assert_eq!(before, None, "a second copy of {}", order.agent);
            }
            if let Action::Stop { attempt } = action {
                let name = self.name(attempt);
                self.did.push(format!("-{name}"));
            }
        }
        self.actions.extend(actions);
    }

    fn name(&self, attempt: &AttemptId) -> String {
        let found = self.live.iter().find(|(_, id)| *id == attempt);
        found.expect("only what lives is stopped").0.clone()
    }

    fn starts(&mut self, name: &str) {
        let attempt = self.live[name].clone();
        let (shim, pane, window) = (mark(), None, None);
        self.event(Event::Launched { attempt: attempt.clone(), shim, pane, window });
        self.event(Event::Started { attempt, process: mark() });
    }

    fn ends(&mut self, name: &str, end: End) {
        let attempt = self.live.remove(name).expect("it lives");
        self.event(Event::Gone { attempt, ending: Box::new(ending(end)) });
    }

    fn asks(&mut self, name: &str, request: InstanceRequest) {
        self.event(Event::Asked { name: name.to_owned(), request });
    }

    fn asks_many(&mut self, names: &[&str], request: InstanceRequest) {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        self.event(Event::AskedMany { names, request });
    }

    /// Starts whoever is launched and ends whoever is told, until nobody is; waits for delays.
    fn settle(&mut self) {
        for _ in 0..100 {
            let rows: Vec<_> = self.supervisor.attempts().cloned().collect();
            let told = rows.iter().find(|row| row.stopping.is_some());
            let fresh = rows.iter().find(|row| row.started.is_none());
            match (told, fresh, self.supervisor.next_deadline()) {
                (Some(row), _, _) => self.ends(&row.order.agent, End::Stopped),
                (None, Some(row), _) => self.starts(&row.order.agent),
                (None, None, Some(at)) => {
                    self.now = self.now.max(at);
                    self.event(Event::DeadlineReached);
                }
                (None, None, None) => return,
            }
        }
        panic!("this does not settle: {:?}", self.did);
    }

    fn state(&self, name: &str) -> InstanceState {
        self.supervisor.instances().find(|row| row.name == name).unwrap().state
    }

    fn took(&mut self) -> String {
        std::mem::take(&mut self.did).join(" ")
    }
}

/// The whole stage of three members with this policy, all up.
fn up(strategy: Strategy, burst: u32, restart: Restart) -> Stage {
    let agents = MEMBERS.map(|name| service(name, restart)).to_vec();
    let mut stage = Stage::new(vec![group(strategy, burst)], agents);
    stage.settle();
    assert_eq!(stage.took(), "+a +b +c");
    stage
}

/// OTP's supervisor_SUITE: strategy × restart type × reason × which member. `permanent` is
/// `always`, `transient` is `on-failure`, `temporary` is `no`.
#[test]
fn the_strategies_are_those_of_otp() {
    use Restart::{Always, No, OnFailure};
    use Strategy::{OneForAll, OneForOne, RestForOne};
    let restarted = |strategy, member: &str| match (strategy, member) {
        (OneForOne, _) => format!("+{member}"),
        (RestForOne, "a") | (OneForAll, "a") => "-c -b +a +b +c".to_owned(),
        (RestForOne, "b") => "-c +b +c".to_owned(),
        (RestForOne, _) => "+c".to_owned(),
        (OneForAll, "b") => "-c -a +a +b +c".to_owned(),
        (OneForAll, _) => "-b -a +a +b +c".to_owned(),
    };
    for strategy in [OneForOne, RestForOne, OneForAll] {
        for member in MEMBERS {
            for end in [End::Success, End::Code, End::Killed] {
                for restart in [Always, OnFailure, No] {
                    let mut stage = up(strategy, 5, restart);
                    stage.ends(member, end);
                    stage.settle();
                    let comes_back =
                        restart == Always || (restart == OnFailure && end != End::Success);
                    let expected =
                        if comes_back { restarted(strategy, member) } else { String::new() };
                    assert_eq!(stage.took(), expected, "{strategy} {restart} {member} {end:?}");
                }
            }
        }
    }
}

/// A temporary member is stopped with the others and stays so; a transient one that had ended with
/// success is started again with them; what a person stopped stays out.
#[test]
fn who_is_left_out_of_a_restart() {
    let agents = [("a", Restart::OnFailure), ("b", Restart::No), ("c", Restart::OnFailure)];
    let agents = agents.map(|(name, restart)| service(name, restart)).to_vec();
    let mut stage = Stage::new(vec![group(Strategy::OneForAll, 5)], agents);
    stage.settle();
    stage.ends("c", End::Success);
    stage.took();
    stage.ends("a", End::Code);
    stage.settle();
    assert_eq!(stage.took(), "-b +a +c");
    assert_eq!(stage.state("b"), InstanceState::Stopped);
    stage.asks("c", InstanceRequest::Stop);
    stage.settle();
    stage.took();
    stage.ends("a", End::Code);
    stage.settle();
    assert_eq!(stage.took(), "+a");
    assert_eq!(stage.state("c"), InstanceState::Stopped);
}

#[test]
fn what_a_person_does_to_one_member_restarts_nobody_else() {
    for strategy in [Strategy::RestForOne, Strategy::OneForAll] {
        let mut stage = up(strategy, 1, Restart::Always);
        for _ in 0..5 {
            stage.asks("a", InstanceRequest::Restart);
            stage.settle();
            assert_eq!(stage.took(), "-a +a");
            stage.asks("b", InstanceRequest::Stop);
            stage.settle();
            stage.asks("b", InstanceRequest::Start);
            stage.settle();
            assert_eq!(stage.took(), "-b +b");
        }
        assert!(stage.supervisor.groups().all(|row| row.starts.is_empty() && !row.failed));
    }
}

/// Fault case 42 for groups: the window slides and is exact.
#[test]
fn the_group_limit_is_exact() {
    for (wait, fails) in [(599_999, true), (600_000, false)] {
        let mut stage = up(Strategy::OneForOne, 2, Restart::Always);
        stage.ends("a", End::Code);
        let first = stage.now;
        stage.settle();
        stage.ends("b", End::Code);
        stage.settle();
        assert_eq!(stage.took(), "+a +b");
        stage.now = Moment(first.0 + wait - 1);
        stage.ends("c", End::Code);
        stage.settle();
        let row = stage.supervisor.groups().next().unwrap().clone();
        assert_eq!(row.failed, fails, "{}", row.why);
        assert_eq!(stage.took(), if fails { "-b -a" } else { "+c" });
        if fails {
            assert!(MEMBERS.iter().all(|name| stage.state(name) == InstanceState::Failed));
            assert!(row.why.contains("restarted 2 times within 10m"), "{}", row.why);
            stage.asks("crew", InstanceRequest::Start);
        }
    }
}

/// Failures that one restart answers are counted once.
#[test]
fn members_that_fail_together_are_one_restart() {
    for strategy in [Strategy::RestForOne, Strategy::OneForAll] {
        let mut stage = up(strategy, 1, Restart::Always);
        for name in ["c", "b", "a"] {
            stage.ends(name, End::Killed);
        }
        stage.settle();
        // One for all had told the others before they failed by themselves.
        let told = if strategy == Strategy::OneForAll { "-b -a " } else { "" };
        assert_eq!(stage.took(), format!("{told}+a +b +c"), "{strategy}");
        assert_eq!(stage.supervisor.groups().next().unwrap().starts.len(), 1);
    }
}

/// The next member waits for readiness, not for a process.
#[test]
fn a_member_waits_until_those_before_it_are_ready() {
    let mut agents = MEMBERS.map(|name| service(name, Restart::Always)).to_vec();
    let sign = ReadySign::Notify;
    agents[0].policy.care.startup = Some(Startup { sign, period_ms: 100, timeout_ms: Some(1_000) });
    let mut stage = Stage::new(vec![group(Strategy::RestForOne, 5)], agents);
    stage.starts("a");
    assert_eq!(stage.took(), "+a", "it runs and is not ready");
    let (attempt, mut out) = (stage.live["a"].clone(), Vec::new());
    stage.supervisor.ready(stage.now, &attempt, &mut out);
    stage.event(Event::DeadlineReached);
    assert_eq!(stage.took(), "+b");
    // A group restart before it is ready starts with it again, and nobody else was up.
    let ready = AttemptFact::Ready;
    assert!(out.contains(&Action::Record(Fact::Attempt { attempt, fact: ready })));
}

/// Fault cases 3 and 74 for groups: whatever was committed, the next daemon finishes the restart
/// in the same order, from every point of it.
#[test]
fn a_restart_goes_on_in_the_next_daemon_from_everywhere() {
    let steps = |crash_at: Option<usize>| {
        let mut stage = up(Strategy::OneForAll, 5, Restart::Always);
        stage.ends("b", End::Code);
        let mut number = 0;
        while !MEMBERS.iter().all(|name| stage.state(name) == InstanceState::Running) {
            if crash_at == Some(number) {
                stage.crash(u8::try_from(number).unwrap() + 2);
            }
            number += 1;
            stage.one_step();
        }
        (stage.took(), number)
    };
    let (calm, count) = steps(None);
    assert_eq!(calm, "-c -a +a +b +c");
    for at in 0..count {
        let (did, _) = steps(Some(at));
        let mut seen = did.split(' ').collect::<Vec<_>>();
        // The next daemon says a stop again; that is harmless.
        seen.dedup();
        assert_eq!(seen.join(" "), calm, "crashed before step {at}");
    }
}

impl Stage {
    /// The daemon is killed; the next one reads the rows, and finds out who lives.
    fn crash(&mut self, number: u8) {
        let known = &self.supervisor;
        let remembered = Remembered {
            attempts: known.attempts().cloned().collect(),
            instances: known.instances().cloned().collect(),
            groups: known.groups().cloned().collect(),
            parked: Vec::new(),
        };
        let left = remembered.attempts.clone();
        let mint = Mint::new([number; 32]);
        self.supervisor = Supervisor::recover(self.now, settings(), remembered, mint).unwrap();
        self.configure();
        for row in left {
            let (attempt, shim, pane, window) = (row.order.attempt, mark(), None, None);
            match row.shim {
                // Launching twice is harmless, so it counts as one.
                None => {
                    self.live.remove(&row.order.agent);
                    let did = self.did.len();
                    self.event(Event::NeverLaunched { attempt });
                    self.did.truncate(did);
                }
                Some(_) => self.event(Event::Launched { attempt, shim, pane, window }),
            }
        }
        self.event(Event::DeadlineReached);
    }

    /// The next thing that happens by itself.
    fn one_step(&mut self) {
        let rows: Vec<_> = self.supervisor.attempts().cloned().collect();
        let told = rows.iter().find(|row| row.stopping.is_some());
        let fresh = rows.iter().find(|row| row.started.is_none());
        match (told, fresh) {
            (Some(row), _) => self.ends(&row.order.agent, End::Stopped),
            (None, Some(row)) => self.starts(&row.order.agent),
            (None, None) => {
                let at = self.supervisor.next_deadline().expect("something is to come");
                self.now = self.now.max(at);
                self.event(Event::DeadlineReached);
            }
        }
    }
}
