//! Whatever happens in whatever order: there is never a second copy, a stopped member stays stopped,
//! the order holds, and so does the limit.

use std::collections::BTreeSet;

use proptest::prelude::{Just, ProptestConfig, any, prop, prop_assert, prop_oneof, proptest};
use proptest::strategy::Strategy as Generator;

use super::{End, MEMBERS, Stage, group, service};
use crate::model::{AttemptFact, Desired, Fact, InstanceState, Moment, StartReason};
use crate::policy::{Agent, Restart, Strategy};
use crate::supervisor::{Action, Answer, Event, InstanceRequest};

/// One thing of a random story.
#[derive(Clone, Debug)]
enum Deed {
    Ends(usize, End),
    Starts(usize),
    Stuck(usize),
    Asks(usize, InstanceRequest),
    AsksAll(InstanceRequest),
    Waits(u64),
    Crash,
    Reload(bool),
}

fn deed() -> impl Generator<Value = Deed> {
    let request = || {
        prop_oneof![
            Just(InstanceRequest::Start),
            Just(InstanceRequest::Stop),
            Just(InstanceRequest::Restart),
            Just(InstanceRequest::ResetFailed),
        ]
    };
    let end = prop_oneof![Just(End::Success), Just(End::Code), Just(End::Killed)];
    prop_oneof![
        8 => (0..3_usize, end).prop_map(|(who, end)| Deed::Ends(who, end)),
        12 => (0..3_usize).prop_map(Deed::Starts),
        8 => (0..3_usize).prop_map(|who| Deed::Ends(who, End::Stopped)),
        1 => (0..3_usize).prop_map(Deed::Stuck),
        3 => (0..3_usize, request()).prop_map(|(who, what)| Deed::Asks(who, what)),
        2 => request().prop_map(Deed::AsksAll),
        6 => (1..70_000_u64).prop_map(Deed::Waits),
        2 => Just(Deed::Crash),
        1 => any::<bool>().prop_map(Deed::Reload),
    ]
}

/// What must hold, besides that there is never a second copy.
#[derive(Default)]
struct Laws {
    down: BTreeSet<String>,
    restarts: Vec<Moment>,
}

impl Laws {
    fn look(&mut self, stage: &mut Stage, burst: u32) {
        for action in std::mem::take(&mut stage.actions) {
            let Action::Record(fact) = action else { continue };
            if let Fact::Instance(row) = &fact
                && row.state == InstanceState::Backoff
                && row.restarts > 0
                && row.not_before > Some(stage.now)
                && !stage.groups.is_empty()
            {
                self.decided(stage, burst);
            }
            let Fact::Attempt { fact: AttemptFact::Intended(order), .. } = fact else { continue };
            let name = &order.agent;
            assert!(!self.down.contains(name), "{name} was stopped by a person and is started");
            let in_order = matches!(order.reason, StartReason::First | StartReason::Group);
            if in_order && !stage.groups.is_empty() {
                self.follows(stage, name);
            }
        }
        for row in stage.supervisor.groups() {
            assert!(row.starts.len() <= burst as usize, "{row:?}");
            assert!(!row.failed || row.to_start.is_empty(), "{row:?}");
            for name in &row.to_start {
                assert!(!self.down.contains(name), "{name} was stopped and waits for its turn");
            }
        }
    }

    /// The policy decided to restart a member. One for one, that is a restart of the group.
    fn decided(&mut self, stage: &Stage, burst: u32) {
        if stage.groups.iter().any(|group| group.strategy == Strategy::OneForOne) {
            self.restarts.push(stage.now);
            let within = |at: &&Moment| at.0 + 600_000 > stage.now.0;
            let recent = self.restarts.iter().filter(within).count();
            assert!(recent <= burst as usize, "restarted {recent} times of {burst}");
        }
    }

    /// Who is started in turn finds everybody before it ready, or out of the way.
    fn follows(&self, stage: &Stage, name: &str) {
        for before in MEMBERS.iter().take_while(|member| **member != name) {
            let row = stage.supervisor.instances().find(|row| row.name == *before).unwrap();
            let ready = row.attempt.as_ref().and_then(|id| stage.supervisor.attempt(id));
            let ready = ready.is_some_and(|attempt| attempt.ready.is_some());
            let out = row.desired == Desired::Down
                || matches!(row.state, InstanceState::Stopped | InstanceState::Failed);
            assert!(ready || out, "{name} is started and {before} is {}", row.state);
        }
    }
}

fn does(stage: &mut Stage, laws: &mut Laws, deed: Deed, crashes: &mut u8) {
    match deed {
        Deed::Ends(who, end) => {
            let name = MEMBERS[who];
            let told = stage.live.get(name).and_then(|id| stage.supervisor.attempt(id));
            let told = told.map(|row| (row.stopping.is_some(), row.shim.is_some()));
            match told {
                Some((true, true)) if end == End::Stopped => stage.ends(name, end),
                Some((_, true)) if end != End::Stopped => stage.ends(name, end),
                Some(_) | None => {}
            }
        }
        Deed::Starts(who) => {
            let fresh = stage.live.get(MEMBERS[who]).and_then(|id| stage.supervisor.attempt(id));
            if fresh.is_some_and(|row| row.started.is_none()) {
                stage.starts(MEMBERS[who]);
            }
        }
        Deed::Stuck(who) => {
            let told = stage.live.get(MEMBERS[who]).and_then(|id| stage.supervisor.attempt(id));
            if let Some(row) = told.filter(|row| row.stopping.is_some()) {
                let attempt = row.order.attempt.clone();
                stage.event(Event::Stuck { attempt, message: "unkillable".to_owned() });
            }
        }
        Deed::Asks(who, what) => {
            laws.asked(&[MEMBERS[who]], what);
            stage.asks(MEMBERS[who], what);
            laws.denied(stage, &[MEMBERS[who]]);
        }
        Deed::AsksAll(what) => {
            match stage.groups.is_empty() {
                true => stage.asks_many(&MEMBERS, what),
                false => stage.asks_many(&["crew"], what),
            }
            laws.asked_all(stage, what);
        }
        Deed::Waits(ms) => {
            let until = stage.now.0 + ms;
            while let Some(at) = stage.supervisor.next_deadline().filter(|at| at.0 <= until) {
                stage.now = stage.now.max(at);
                stage.event(Event::DeadlineReached);
                laws.look(stage, 3);
            }
            stage.now = Moment(stage.now.0.max(until));
        }
        Deed::Crash => {
            *crashes += 1;
            stage.crash(*crashes + 1);
        }
        Deed::Reload(with) => {
            let strategy = stage.groups.first().map_or(Strategy::OneForOne, |it| it.strategy);
            stage.groups = if with { vec![group(strategy, 3)] } else { Vec::new() };
            // Without a group nobody counts, so what was counted says nothing any more.
            laws.restarts.clear();
            stage.configure();
        }
    }
}

impl Laws {
    fn asked(&mut self, names: &[&str], what: InstanceRequest) {
        for name in names {
            match what {
                InstanceRequest::Stop => drop(self.down.insert((*name).to_owned())),
                InstanceRequest::Start | InstanceRequest::Restart => drop(self.down.remove(*name)),
                InstanceRequest::ResetFailed => {}
            }
        }
        if what != InstanceRequest::Stop {
            self.restarts.clear();
        }
    }

    /// A start that was denied leaves a stop in force.
    fn denied(&mut self, stage: &Stage, names: &[&str]) {
        let denied = |action: &Action| matches!(action, Action::Reply(Answer::Denied(_)));
        if stage.actions.iter().any(denied) {
            self.down_as_rows_say(stage, names);
        }
    }

    fn asked_all(&mut self, stage: &Stage, what: InstanceRequest) {
        self.asked(&[], what);
        self.down_as_rows_say(stage, &MEMBERS);
    }

    fn down_as_rows_say(&mut self, stage: &Stage, names: &[&str]) {
        for row in stage.supervisor.instances().filter(|row| names.contains(&row.name.as_str())) {
            match row.desired {
                Desired::Down => drop(self.down.insert(row.name.clone())),
                Desired::Up => drop(self.down.remove(&row.name)),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn whatever_happens_the_order_and_the_limit_hold(
        strategy in 0..3_usize,
        restarts in prop::array::uniform3(0..3_usize),
        deeds in prop::collection::vec(deed(), 1..120),
    ) {
        let words = [Restart::Always, Restart::OnFailure, Restart::No];
        let agents: Vec<Agent> = MEMBERS
            .iter()
            .zip(restarts)
            .map(|(name, restart)| service(name, words[restart]))
            .collect();
        let mut stage = Stage::new(vec![group(Strategy::ALL[strategy], 3)], agents);
        let (mut laws, mut crashes) = (Laws::default(), 0);
        laws.look(&mut stage, 3);
        for deed in deeds {
            does(&mut stage, &mut laws, deed, &mut crashes);
            laws.look(&mut stage, 3);
        }
        // Left alone, everything comes to rest: nobody waits for a turn that never comes.
        stage.rests();
        let stuck = stage.supervisor.instances().any(|row| row.state == InstanceState::Blocked);
        for row in stage.supervisor.instances() {
            let rests = matches!(
                row.state,
                InstanceState::Running | InstanceState::Stopped | InstanceState::Failed
            );
            prop_assert!(rests || stuck, "{:?}\n{:?}", row, stage.supervisor.group_rows);
        }
    }
}

impl Stage {
    /// Whoever is told ends, whoever is launched starts, and time passes.
    fn rests(&mut self) {
        for _ in 0..200 {
            let rows: Vec<_> = self.supervisor.attempts().cloned().collect();
            let busy = rows.iter().any(|row| row.stopping.is_some() || row.started.is_none());
            if !busy && self.supervisor.next_deadline().is_none() {
                return;
            }
            self.one_step();
        }
        panic!("this does not come to rest: {:?}", self.supervisor.instances);
    }
}
