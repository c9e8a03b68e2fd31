//! Agents that leave the configuration and come back before their instance has ended.

use super::{
    Agent, End, Event, InstanceRequest, InstanceState, Restart, Stage, Strategy, group, service,
};

fn both() -> Vec<Agent> {
    ["k", "s"].map(|name| service(name, Restart::Always)).to_vec()
}

/// Two agents that stand by themselves and run.
fn standing() -> Stage {
    let mut stage = Stage::new(Vec::new(), both());
    stage.settle();
    assert_eq!(stage.took(), "+k +s");
    stage
}

impl Stage {
    /// As a person's reload does it.
    fn reloads(&mut self, agents: Vec<Agent>) {
        let stays = |name: &str| agents.iter().any(|agent| agent.name == name);
        let gone: Vec<String> =
            self.agents.iter().map(|it| it.name.clone()).filter(|name| !stays(name)).collect();
        self.agents = agents;
        for name in gone {
            self.event(Event::Removed { name });
        }
        self.configure();
    }

    fn leaves_s(&mut self) {
        let agents = both().into_iter().filter(|agent| agent.name != "s").collect();
        self.reloads(agents);
    }

    fn why(&self, name: &str) -> &str {
        &self.supervisor.instances().find(|row| row.name == name).unwrap().why
    }
}

/// Removed and back before its end: the old one ends, then the new one starts, over any number of
/// reloads and daemons.
#[test]
fn an_agent_that_comes_back_too_early_is_started_when_the_old_one_has_ended() {
    for crashes in [false, true] {
        let mut stage = standing();
        let mut daemon = 10;
        let mut crash = |stage: &mut Stage| {
            daemon += 1;
            if crashes {
                stage.crash(daemon);
            }
        };
        for _ in 0..2 {
            stage.leaves_s();
            assert!(stage.why("s").contains("gone from the configuration"), "{}", stage.why("s"));
            crash(&mut stage);
            stage.reloads(both());
            assert!(stage.why("s").contains("starts when the removed one"), "{}", stage.why("s"));
            crash(&mut stage);
            stage.configure();
        }
        assert_eq!(stage.state("s"), InstanceState::Stopping);
        assert!(stage.took().split(' ').all(|did| did == "-s"), "nobody starts beside the old one");
        stage.ends("s", End::Stopped);
        assert_eq!((stage.took().as_str(), stage.why("s")), ("+s", "starting (first)"));
        stage.settle();
        assert_eq!(stage.state("s"), InstanceState::Running);
        assert_eq!(stage.took(), "");
        let row = stage.supervisor.instances().find(|row| row.name == "s").unwrap();
        assert_eq!(row.attempts, 2, "no two lives have one number");
    }
}

/// It is a new one, so `autostart` decides, and nothing that a person wanted before; what a person
/// wants of the new one holds.
#[test]
fn what_is_wanted_of_the_new_one_counts() {
    use InstanceRequest::{Start, Stop};
    let cases: [(&[InstanceRequest], bool, &[InstanceRequest], &str); 6] = [
        (&[], true, &[], "+s"),
        (&[Stop], true, &[], "+s"),
        (&[], false, &[], ""),
        (&[Stop], false, &[], ""),
        (&[], true, &[Stop], ""),
        (&[], false, &[Start], "+s"),
    ];
    for (before, autostart, after, expected) in cases {
        let mut stage = standing();
        before.iter().for_each(|request| stage.asks("s", *request));
        stage.leaves_s();
        let mut agents = both();
        agents[1].autostart = autostart;
        stage.reloads(agents);
        after.iter().for_each(|request| stage.asks("s", *request));
        stage.configure();
        stage.took();
        stage.ends("s", End::Stopped);
        stage.settle();
        assert_eq!(stage.took(), expected, "{before:?} {autostart} {after:?}");
        let told = stage.why("s").contains("on request");
        assert_eq!(told, after == [Stop], "{before:?}: {}", stage.why("s"));
    }
}

/// A member waits for its turn: those after it are started when it is ready again.
#[test]
fn a_member_that_comes_back_keeps_the_order() {
    let mut crew = group(Strategy::OneForAll, 5);
    crew.members = vec!["k".to_owned(), "s".to_owned()];
    let mut stage = standing();
    stage.leaves_s();
    stage.groups = vec![crew];
    stage.reloads(both());
    stage.asks("k", InstanceRequest::Restart);
    stage.took();
    stage.ends("s", End::Stopped);
    stage.settle();
    assert_eq!(stage.took(), "+k +s");
}

/// One that only the file of a later daemon lacks was never told to stop: it goes on.
#[test]
fn what_was_never_told_to_stop_goes_on_when_it_comes_back() {
    let mut stage = standing();
    stage.agents.pop();
    stage.configure();
    assert_eq!(stage.state("s"), InstanceState::Running);
    stage.reloads(both());
    assert_eq!((stage.took(), stage.state("s")), (String::new(), InstanceState::Running));
    stage.asks("s", InstanceRequest::Stop);
    stage.settle();
    assert_eq!((stage.took().as_str(), stage.why("s")), ("-s", "stopped on request"));
}

/// Gone for good is forgotten, also when its end comes by itself.
#[test]
fn what_does_not_come_back_is_forgotten() {
    for end in [End::Stopped, End::Code] {
        let mut stage = standing();
        stage.leaves_s();
        stage.ends("s", end);
        assert!(stage.supervisor.instances().all(|row| row.name == "k"), "{end:?}");
    }
}
