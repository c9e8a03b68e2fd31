//! Groups whose configuration changes.

use super::{End, InstanceRequest, InstanceState, Restart, Strategy, service, up};

/// A group that gave up stays so over a reload that brings in a member: only a person starts it.
#[test]
fn a_reload_starts_nobody_of_a_group_that_gave_up() {
    let mut stage = up(Strategy::OneForAll, 1, Restart::Always);
    for _ in 0..2 {
        stage.ends("b", End::Code);
        stage.settle();
    }
    assert_eq!(stage.state("b"), InstanceState::Failed);
    stage.took();
    stage.agents.push(service("d", Restart::Always));
    stage.groups[0].members.push("d".to_owned());
    stage.configure();
    stage.settle();
    assert_eq!((stage.took(), stage.state("d")), (String::new(), InstanceState::Failed));
    stage.asks_many(&["a", "b", "c", "d"], InstanceRequest::Start);
    stage.settle();
    assert_eq!(stage.took(), "+a +b +c +d");
}

/// A person starts one of a group that gave up: why the others are down is still to be read.
#[test]
fn a_group_goes_on_saying_what_made_it_fail() {
    let mut stage = up(Strategy::OneForAll, 1, Restart::Always);
    for _ in 0..2 {
        stage.ends("b", End::Code);
        stage.settle();
    }
    let before = stage.supervisor.explain("crew", stage.now).unwrap();
    assert!(before.why.contains("gave up"), "{}", before.why);
    stage.asks("b", InstanceRequest::Start);
    stage.settle();
    assert_eq!(stage.state("b"), InstanceState::Running);
    let after = stage.supervisor.explain("crew", stage.now).unwrap();
    let reason = |why: &str| why.split(" (one_for_all").next().unwrap().to_owned();
    assert_eq!(reason(&after.why), reason(&before.why));
}
