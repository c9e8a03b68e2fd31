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
