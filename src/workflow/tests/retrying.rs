//! What follows a failed attempt.

use super::super::retry::{Next, after};
use super::*;
use crate::model::StartReason;

/// The attempts of a task that keeps ending like this: agent and reason of each.
fn attempts(keys: &str, outcome: Outcome, code: i32) -> Vec<String> {
    let mut bench = Bench::of(&one_task(keys));
    let mut made = Vec::new();
    while let Some(order) = bench.orders.get("a") {
        made.push(format!("{} {}", order.agent, order.reason));
        assert!(made.len() < 30, "this never ends: {made:?}");
        bench.end("a", outcome, Some(code), None);
        bench.pass(3_600_000);
    }
    assert!(bench.run().state.is_end());
    made
}

/// Features K1, K3, F2-F4, rulings Z1, Z8: retries with the same agent, then the fallbacks in
/// order, each with one attempt.
#[test]
fn retries_come_first_and_then_the_fallbacks_in_order() {
    let keys = "fallback = [\"codex\", \"gemini\"]";
    let all = ["claude first", "claude retry", "claude retry", "codex fallback", "gemini fallback"];
    for outcome in [Outcome::ExitCode, Outcome::Signal, Outcome::Malformed, Outcome::NoResult] {
        assert_eq!(attempts(keys, outcome, 1), all, "{outcome}");
    }
    assert_eq!(attempts("retries = 0", Outcome::ExitCode, 1), ["claude first"]);
}

/// Feature F4: when the fallbacks are used up too, a task that is optional is skipped, and the run
/// goes on; one that is not has failed.
#[test]
fn who_is_optional_is_skipped_when_nobody_is_left() {
    for (optional, state) in [(true, TaskState::Skipped), (false, TaskState::Failed)] {
        let keys = format!("retries = 0\nfallback = [\"codex\"]\noptional = {optional}");
        let after = "input_context = { a = \"${a.output ?? 'none'}\" }";
        let mut bench = Bench::of(&tasks("", &[("a", &keys), ("b", after)]));
        bench.fail("a", Outcome::ExitCode);
        bench.pass(1);
        assert_eq!(bench.orders["a"].agent, "codex");
        assert!(!bench.task("a").state.is_end());
        bench.fail("a", Outcome::ExitCode);
        bench.pass(1);
        assert_eq!(bench.task("a").state, state);
        let skipped = optional.then_some(SkipReason::Optional);
        assert_eq!(bench.task("a").skip, skipped);
        assert_eq!(bench.live(), "b", "the run goes on");
    }
}

/// Features K4, F5, ruling Z1: a timeout is retried once.
#[test]
fn timeouts_use_at_most_their_own_retries() {
    let once = ["claude first", "claude retry"];
    assert_eq!(attempts("", Outcome::Timeout, 1), once);
    let thrice = attempts("retries_on_timeout = 3\nretries = 3", Outcome::Timeout, 1);
    assert_eq!(thrice.len(), 4);
    let keys = "retries = 0\nretries_on_timeout = 0\nfallback = [\"codex\"]";
    assert_eq!(attempts(keys, Outcome::Timeout, 1), ["claude first", "codex fallback"]);
}

/// Three in a row are made again without using a retry, and then it is enough, although `lost` is
/// among the outcomes that are retried.
#[test]
fn lost_attempts_use_no_retry_and_do_not_go_on_for_ever() {
    let lost = ["claude first", "claude lost", "claude lost", "claude lost"];
    assert_eq!(attempts("", Outcome::Lost, 1), lost);
    let mut with_fallback = attempts("fallback = [\"codex\"]", Outcome::Lost, 1);
    assert_eq!(
        with_fallback.split_off(4),
        ["codex fallback", "codex lost", "codex lost", "codex lost"]
    );
    let mut bench = Bench::of(&one_task("retries = 1\nretry_wait = \"1ms\""));
    for outcome in [Outcome::Lost, Outcome::ExitCode, Outcome::Lost, Outcome::Lost, Outcome::Lost] {
        bench.fail("a", outcome);
        bench.pass(1_000);
    }
    bench.fail("a", Outcome::ExitCode);
    assert_eq!(bench.task("a").state, TaskState::Failed, "one retry was used, by the exit code");
    assert_eq!((bench.task("a").n, bench.task("a").counted()), (6, 2));
}

/// A usage limit uses no attempt: what is counted never exceeds what a task may have.
#[test]
fn a_limit_is_not_counted() {
    let mut bench = Bench::of(&one_task("retries = 1\nretry_wait = \"1ms\""));
    for n in 1..=4 {
        assert_eq!((bench.task("a").n, bench.task("a").counted()), (n, 1), "the one that runs");
        bench.fail("a", Outcome::RateLimited);
        bench.pass(1_000);
    }
    bench.fail("a", Outcome::ExitCode);
    bench.pass(1_000);
    bench.fail("a", Outcome::ExitCode);
    assert_eq!((bench.task("a").n, bench.task("a").counted()), (6, 2));
    assert_eq!(bench.task("a").state, TaskState::Failed);
    bench.again(None, false);
    assert_eq!((bench.task("a").n, bench.task("a").counted()), (7, 1), "done again from the first");
}

#[test]
fn some_exit_codes_and_outcomes_are_not_worth_a_retry() {
    let keys = "no_retry_exit = [2, 64]\nfallback = [\"codex\"]";
    assert_eq!(attempts(keys, Outcome::ExitCode, 64), ["claude first", "codex fallback"]);
    assert_eq!(attempts(keys, Outcome::ExitCode, 1).len(), 4);
    assert_eq!(attempts("retry_on = [\"timeout\"]", Outcome::ExitCode, 1), ["claude first"]);
    assert_eq!(attempts("retry_on = [\"timeout\"]", Outcome::Timeout, 1).len(), 2);
}

/// Ruling Z5: the task ends `timeout` only when its last attempt did.
#[test]
fn the_last_attempt_names_the_end() {
    for (outcomes, state) in [
        ([Outcome::Timeout, Outcome::ExitCode], TaskState::Failed),
        ([Outcome::ExitCode, Outcome::Timeout], TaskState::Timeout),
    ] {
        let mut bench = Bench::of(&one_task("retries = 1"));
        for outcome in outcomes {
            bench.fail("a", outcome);
            bench.pass(60_000);
        }
        assert_eq!(bench.task("a").state, state);
    }
}

#[test]
fn waits_grow_up_to_their_cap_and_jitter_only_adds() {
    let plan = plan(&one_task(
        "retries = 9\nretry_wait = { first = \"1s\", factor = 2.0, max = \"5s\", jitter = true }",
    ));
    let mut task = Bench::of(&one_task("")).task("a").clone();
    for (used, least) in [(0, 1_000), (1, 2_000), (2, 4_000), (3, 5_000), (8, 5_000)] {
        task.used = used;
        for (random, most) in [(0, least), (999, least * 5 / 4)] {
            let next = after(&plan.tasks[0], &task, Outcome::ExitCode, Some(1), random);
            let Next::Again { wait, reason, .. } = next else { panic!("{next:?}") };
            let ms = u64::try_from(wait.as_millis()).unwrap();
            assert!(least <= ms && ms <= most, "{ms} after {used}");
            assert_eq!(reason, StartReason::Retry);
        }
    }
}

/// A wait that will not end in an attempt wakes nobody: the daemon would turn in a circle.
#[test]
fn a_wait_that_was_given_up_is_no_deadline() {
    let text = "plan = \"p\"\ngoal = \"g\"\n[defaults]\nagent = \"claude\"\n[[phase]]\nid = \"one\"\non_partial_failure = \"abort\"\n\
        [[phase.task]]\nid = \"a\"\ndescription = \"x\"\nretry_wait = \"10s\"\n\
        [[phase.task]]\nid = \"b\"\ndescription = \"x\"\nretries = 0\n\
        [[phase.task]]\nid = \"c\"\ndescription = \"x\"\n";
    let mut bench = Bench::of(text);
    bench.fail("a", Outcome::ExitCode);
    assert!(bench.workflow.next_deadline().is_some());
    bench.fail("b", Outcome::ExitCode);
    assert_eq!(bench.task("a").state, TaskState::Skipped);
    assert_eq!(bench.stops, 1, "the third still has to go");
    assert_eq!(bench.workflow.next_deadline(), None);
}

/// Features O5, K12: a reader that may do without what it refers to, and did, is not done again by
/// a plain `retry`; that is told, and its result counts as stale until it is.
#[test]
fn a_reader_that_ran_without_is_stale() {
    let reads = "input_context = { a = \"${a.output ?? 'none'}\" }";
    let text = tasks("", &[("a", "retries = 0"), ("b", reads), ("c", "")]);
    let mut bench = Bench::of(&text);
    bench.fail("a", Outcome::ExitCode);
    bench.succeed("b", json!("without a"));
    bench.pass(10);
    let stale = Stale { task: TaskId::new("b"), read: TaskId::new("a") };
    let again = what_again(bench.run(), None, false).unwrap();
    assert_eq!(again, [TaskId::new("a")]);
    assert_eq!(left_behind(bench.run(), &again), [stale]);
    let both = what_again(bench.run(), None, true).unwrap();
    assert_eq!((both.len(), left_behind(bench.run(), &both)), (2, Vec::new()));
    bench.hear(Event::AgainAsked { run: run_id(1), tasks: again });
    bench.succeed("a", json!("x"));
    bench.succeed("c", json!("x"));
    let run = bench.run();
    assert_eq!(run.outcome, Some(crate::model::RunOutcome::Partial));
    let document = document(run, None, bench.now);
    let gaps = document["execution_results"]["summary"]["gaps"].clone();
    assert_eq!(gaps, json!([{ "task": "b", "reason": "made without `a`, which was done later" }]));
    bench.pass(10);
    let again = what_again(bench.run(), None, false).unwrap();
    assert_eq!(again, [TaskId::new("b")], "what is stale has not come out as it should");
    bench.hear(Event::AgainAsked { run: run_id(1), tasks: again });
    bench.succeed("b", json!("with a"));
    assert_eq!(bench.run().outcome, Some(crate::model::RunOutcome::Completed));
}

/// Feature K6: what was optional is the cause of a failed run only where nothing else failed.
#[test]
fn an_optional_failure_is_the_cause_of_nothing_else() {
    let text = "plan = \"p\"\ngoal = \"g\"\n[defaults]\nagent = \"claude\"\nretries = 0\n\
        [[phase]]\nid = \"one\"\n\
        [[phase.task]]\nid = \"o\"\ndescription = \"x\"\noptional = true\n\
        [[phase.task]]\nid = \"s1\"\ndescription = \"x\"\n\
        [[phase]]\nid = \"two\"\ndepends_on_phases = [\"one\"]\non_partial_failure = \"abort\"\n\
        [[phase.task]]\nid = \"s2\"\ndescription = \"x\"\n";
    let mut bench = Bench::of(text);
    bench.fail("o", Outcome::ExitCode);
    bench.succeed("s1", json!("x"));
    bench.fail("s2", Outcome::Signal);
    assert_eq!(bench.run().outcome, Some(crate::model::RunOutcome::Failed));
    assert_eq!(bench.run().root_cause.as_deref(), Some("s2: ended as signal"));
    let mut bench = Bench::of(&one_task("retries = 0\noptional = true"));
    bench.fail("a", Outcome::ExitCode);
    assert_eq!(bench.run().root_cause.as_deref(), Some("a: ended as exit-code"));
}

/// Features I13, I14, research 5.5: that a process is there does not say that its program can be
/// executed, so an agent that never can be rests after three starts and its fallback is taken.
#[test]
fn an_agent_that_cannot_be_executed_rests() {
    let keys = "retries = 0\nfallback = [\"codex\"]";
    let list = ["a", "b", "c", "d", "e"].map(|id| (id, keys));
    let mut bench = Bench::of(&tasks("max_parallel = 1", &list));
    let mut failed = 0;
    while let Some((task, order)) = bench.orders.first_key_value() {
        let (task, order) = (task.clone(), order.clone());
        bench.hear(Event::AttemptRunning { run: run_id(1), attempt: order.attempt.clone() });
        if order.agent == "claude" {
            failed += 1;
            bench.fail(&task, Outcome::ExecFailed);
        } else {
            bench.succeed(&task, json!("x"));
        }
    }
    assert_eq!(failed, 3);
    assert_eq!(bench.run().outcome, Some(crate::model::RunOutcome::Completed));
}

/// Feature K12: a task that waits for its start, or for its next attempt, when what it needs is done
/// again, waits for that first, and is shown the new result.
#[test]
fn nothing_starts_while_what_it_needs_is_done_again() {
    let reads = "priority = 9\ninput_context = { a = \"${a.output}\" }";
    let text = tasks("max_parallel = 1", &[("a", ""), ("b", reads), ("c", "priority = 5")]);
    for tried in [false, true] {
        let mut bench = Bench::of(&text);
        bench.succeed("c", json!("x"));
        bench.again(Some("c"), false);
        bench.succeed("a", json!("old"));
        assert_eq!(bench.live(), "b");
        bench.fail("b", Outcome::ExitCode);
        assert_eq!((bench.live(), bench.task("b").state), ("c".to_owned(), TaskState::RetryWait));
        if !tried {
            bench.pass(3_600_000);
            assert_eq!(bench.task("b").state, TaskState::Queued);
        }
        bench.again(Some("a"), false);
        bench.succeed("c", json!("x"));
        bench.pass(3_600_000);
        assert_eq!(bench.live(), "a", "b waits");
        bench.succeed("a", json!("new"));
        assert_eq!(bench.live(), "b");
        let shown = bench.orders["b"].prompt.clone().unwrap_or_default();
        assert!(shown.contains("new") && !shown.contains("old"), "{shown}");
    }
}
