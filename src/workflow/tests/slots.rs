//! Who gets a free slot.

use super::*;

fn order_of_start(head: &str, list: &[(&str, &str)]) -> Vec<String> {
    let mut bench = Bench::of(&tasks(&format!("max_parallel = 1\n{head}"), list));
    let mut started = Vec::new();
    while let Some(task) = bench.orders.keys().next().cloned() {
        assert_eq!(bench.orders.len(), 1, "one at a time");
        bench.succeed(&task, json!("done"));
        started.push(task);
    }
    started
}

/// Feature J1: larger priority first, then the longer way still to go, then the plan's order.
#[test]
fn priority_comes_before_the_longer_way_and_that_before_age() {
    assert_eq!(order_of_start("", &[("a", ""), ("b", "priority = 5"), ("c", "")]), ["b", "a", "c"]);
    let long = [
        ("a", "expected = \"1m\""),
        ("b", "expected = \"30s\""),
        ("c", "expected = \"5m\"\ndepends_on = [\"b\"]"),
    ];
    assert_eq!(order_of_start("", &long), ["b", "c", "a"]);
}

/// One point for each minute of waiting, so that nothing starves.
#[test]
fn what_waits_long_overtakes_what_is_more_important() {
    let mut bench = Bench::new(1);
    bench.submit(1, &tasks("", &[("first", ""), ("old", "")]));
    bench.now = Moment(bench.now.0 + 179_000);
    bench.submit(2, &tasks("", &[("new", "priority = 3")]));
    assert_eq!(bench.live(), "first");
    bench.now = Moment(bench.now.0 + 60_000);
    bench.succeed("first", json!("done"));
    assert_eq!(bench.live(), "new", "4 points: three minutes make 3, one more makes 3 + 1");
    let mut bench = Bench::new(1);
    bench.submit(1, &tasks("", &[("first", ""), ("old", "")]));
    bench.now = Moment(bench.now.0 + 240_000);
    bench.submit(2, &tasks("", &[("new", "priority = 3")]));
    bench.succeed("first", json!("done"));
    assert_eq!(bench.live(), "old");
}

/// Features A6, E17: the limits of run, agent and daemon, each by itself.
#[test]
fn no_limit_is_ever_exceeded() {
    let five = [("a", ""), ("b", ""), ("c", ""), ("d", ""), ("e", "agent = \"codex\"")];
    let five: Vec<(&str, &str)> = five[..4].to_vec();
    let mut bench = Bench::of(&tasks("max_parallel = 2", &five));
    assert_eq!(bench.live(), "a b");
    bench.succeed("b", json!("x"));
    assert_eq!(bench.live(), "a c");
    let text = tasks("[agent.claude]\nmax_parallel = 3\ncommand = [\"claude\"]", &five);
    let mut bench = Bench::of(&text);
    assert_eq!(bench.live(), "a b c");
    bench.submit(
        2,
        &tasks("[agent.claude]\nmax_parallel = 3\ncommand = [\"claude\"]", &[("z", "")]),
    );
    assert_eq!(bench.live(), "a b c", "an agent's limit holds over all runs");
    let mut bench = Bench::new(3);
    bench.submit(1, &tasks("", &five));
    bench.submit(2, &tasks("", &[("y", ""), ("z", "")]));
    assert_eq!(bench.live(), "a b c");
}

/// Retry waits hold no slot (research 5.5).
#[test]
fn a_task_that_waits_for_its_retry_lets_another_one_in() {
    let mut bench =
        Bench::of(&tasks("max_parallel = 1", &[("a", "retry_wait = \"10s\""), ("b", "")]));
    bench.fail("a", Outcome::ExitCode);
    assert_eq!(bench.live(), "b");
    bench.pass(20_000);
    assert_eq!(bench.live(), "b");
    bench.succeed("b", json!("x"));
    assert_eq!(bench.live(), "a");
}

/// A report that is heard twice, or comes from an attempt that nobody waits for.
#[test]
fn stale_reports_change_nothing() {
    let mut bench = Bench::of(&one_task(""));
    let order = bench.orders["a"].clone();
    let running = || Event::AttemptRunning { run: run_id(1), attempt: order.attempt.clone() };
    bench.hear(running());
    let facts = bench.facts.len();
    bench.hear(running());
    assert_eq!(bench.facts.len(), facts);
    bench.orders.insert("a".to_owned(), order.clone());
    bench.succeed("a", json!("x"));
    let facts = bench.facts.len();
    bench.orders.insert("a".to_owned(), order.clone());
    bench.fail("a", Outcome::ExitCode);
    bench.hear(running());
    assert_eq!(bench.facts.len(), facts + 1, "one note");
    assert_eq!(bench.task("a").state, TaskState::Success);
}

/// A reader that cannot be given what it asks for fails before anything is spawned, and what is
/// behind it in the queue does not start in a run that has to abort.
#[test]
fn a_missing_field_fails_the_reader_before_it_starts() {
    let text = "plan = \"p\"\ngoal = \"g\"\n[defaults]\nagent = \"claude\"\n\
        [[phase]]\nid = \"one\"\n[[phase.task]]\nid = \"a\"\ndescription = \"x\"\noutput = { rows = [\"string\"] }\n\
        [[phase]]\nid = \"two\"\ndepends_on_phases = [\"one\"]\non_partial_failure = \"abort\"\n\
        [[phase.task]]\nid = \"b\"\ndescription = \"${a.output.rows[3]}\"\npriority = 5\n\
        [[phase.task]]\nid = \"c\"\ndescription = \"x\"\n";
    let mut bench = Bench::of(text);
    bench.succeed("a", json!({ "rows": ["one"] }));
    assert_eq!(bench.live(), "");
    assert_eq!(bench.task("b").state, TaskState::Failed);
    assert!(
        bench.task("b").error.as_ref().unwrap().message.contains("rows"),
        "{:?}",
        bench.task("b").error
    );
    assert_eq!(bench.task("c").state, TaskState::Skipped);
    assert_eq!(bench.run().outcome, Some(crate::model::RunOutcome::Failed));
}
