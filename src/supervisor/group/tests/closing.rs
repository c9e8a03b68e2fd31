//! What is shown of instances while the daemon is ending.

use super::{
    End, Event, InstanceRequest, InstanceState, MEMBERS, Restart, Stage, Strategy, group, service,
};

impl Stage {
    fn shown(&self, name: &str) -> (InstanceState, String) {
        let row = self.supervisor.instances().find(|row| row.name == name).unwrap();
        let shown = self.supervisor.shown(row);
        let told = self.supervisor.explain(name, self.now).unwrap();
        assert_eq!(told.state, shown.0.to_string());
        assert!(told.why.starts_with(&shown.1), "{} against {}", told.why, shown.1);
        shown
    }
}

/// What is being stopped says so, what will not be started too, and neither changes what the next
/// daemon goes on from.
#[test]
fn a_daemon_that_ends_does_not_promise_what_it_will_not_do() {
    let names = [&MEMBERS[..], &["d", "e", "f"]].concat();
    let agents = names.iter().map(|name| service(name, Restart::Always)).collect();
    let mut stage = Stage::new(vec![group(Strategy::OneForAll, 5)], agents);
    stage.settle();
    stage.ends("e", End::Code);
    stage.asks("f", InstanceRequest::Stop);
    stage.ends("f", End::Stopped);
    let rows: Vec<_> = stage.supervisor.instances().cloned().collect();
    assert!(stage.supervisor.explain("e", stage.now).unwrap().next.is_some());
    for row in &rows {
        assert_eq!(stage.shown(&row.name), (row.state, row.why.clone()), "nothing ends yet");
    }
    stage.event(Event::Closing);
    let after: Vec<_> = stage.supervisor.instances().cloned().collect();
    assert_eq!(after, rows, "the next daemon starts the same");
    let table = [
        ("a", InstanceState::Stopping, "in its turn: the daemon is ending"),
        ("b", InstanceState::Stopping, "in its turn: the daemon is ending"),
        ("c", InstanceState::Stopping, "stopping: the daemon is ending; comes back"),
        ("d", InstanceState::Stopping, "stopping: the daemon is ending; comes back"),
        ("e", InstanceState::Backoff, "not started: the daemon is ending; comes back"),
        ("f", InstanceState::Stopped, "stopped on request"),
    ];
    for (name, state, why) in table {
        let shown = stage.shown(name);
        assert!(shown.0 == state && shown.1.contains(why), "{name}: {shown:?}");
        assert_eq!(stage.supervisor.explain(name, stage.now).unwrap().next, None, "{name}");
    }
    let crew = stage.supervisor.explain("crew", stage.now).unwrap();
    assert!(crew.state == "stopping" && crew.why.contains("the daemon is ending"), "{crew:?}");
    stage.ends("d", End::Stopped);
    assert_eq!(stage.shown("d").1, "down with the daemon; comes back with it");
}
