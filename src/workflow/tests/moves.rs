//! Which fact a run and its tasks take where they stand, and that replaying the facts of a run
//! gives the run.

use super::*;
use crate::model::{RunOutcome, StartReason};

fn attempt(id: &str) -> AttemptId {
    AttemptId::new(id)
}

fn error(outcome: Outcome) -> TaskError {
    TaskError {
        outcome,
        message: "m".to_owned(),
        exit_code: None,
        signal: None,
        tail: String::new(),
        log: None,
    }
}

/// Every fact about a task, by a short name. `!` is one from an attempt that nobody waits for.
fn task_fact(name: &str) -> RunFact {
    let task = TaskId::new("a");
    let (mine, other) = (attempt("mine"), attempt("other"));
    let by = |name: &str| if name.ends_with('!') { other.clone() } else { mine.clone() };
    match name.trim_end_matches('!') {
        "queued" => RunFact::TaskQueued { task },
        "starting" => RunFact::TaskStarting {
            task,
            attempt: mine,
            n: 1,
            agent: "claude".to_owned(),
            agent_index: 0,
            reason: StartReason::First,
        },
        "running" => RunFact::TaskRunning { task, attempt: by(name) },
        "success" => {
            let output = Output::of(json!("x"));
            RunFact::TaskSucceeded { task, attempt: Some(by(name)), output }
        }
        "retry" => RunFact::TaskRetrying {
            task,
            attempt: by(name),
            error: error(Outcome::ExitCode),
            not_before: Moment(99),
            agent_index: 0,
            reason: StartReason::Retry,
        },
        "failed" => {
            let error = error(Outcome::ExitCode);
            RunFact::TaskFailed { task, attempt: Some(by(name)), error }
        }
        "skipped" => RunFact::TaskSkipped { task, reason: SkipReason::Upstream },
        "cancelled" => RunFact::TaskCancelled { task, reason: SkipReason::Cancelled },
        other => panic!("{other}"),
    }
}

fn moved(state: RunState) -> RunFact {
    RunFact::Moved { state, why: None }
}

fn new_run() -> Run {
    Run::submitted(Moment(1), submission(1, &plan(&one_task("")))).unwrap()
}

fn with(mut run: Run, facts: &[RunFact]) -> Run {
    for fact in facts {
        run.apply(Moment(2), fact).unwrap();
    }
    run
}

/// A running run whose task has taken these facts.
fn task_in(way: &str) -> Run {
    let run = with(new_run(), &[moved(RunState::Planning), moved(RunState::Running)]);
    with(run, &way.split_whitespace().map(task_fact).collect::<Vec<_>>())
}

fn same(a: &Run, b: &Run) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

/// The whole table of a task: one row per fact, one column per state.
#[test]
fn a_task_takes_a_fact_only_where_it_fits() {
    let ways = [
        ("", 'B'),
        ("queued", 'Q'),
        ("queued starting", 'S'),
        ("queued starting running", 'R'),
        ("queued starting retry", 'W'),
        ("queued starting success", '+'),
        ("queued starting failed", 'F'),
        ("skipped", 'K'),
        ("cancelled", 'C'),
    ];
    let table = [
        ("queued", "Q---Q----"),
        ("starting", "-S-------"),
        ("running", "--R------"),
        ("running!", "---------"),
        ("success", "--++-----"),
        ("success!", "---------"),
        ("retry", "--WW-----"),
        ("retry!", "---------"),
        ("failed", "--FF-----"),
        ("failed!", "---------"),
        ("skipped", "KK--K----"),
        ("cancelled", "CCCCC----"),
    ];
    let letter = |run: &Run| match run.task(&TaskId::new("a")).unwrap().state {
        TaskState::Blocked => 'B',
        TaskState::Queued => 'Q',
        TaskState::Starting => 'S',
        TaskState::Running => 'R',
        TaskState::RetryWait => 'W',
        TaskState::Success => '+',
        TaskState::Failed => 'F',
        TaskState::Skipped => 'K',
        TaskState::Cancelled => 'C',
        TaskState::Timeout | TaskState::Ready | TaskState::Waiting => '?',
    };
    for (name, expected) in table {
        for ((way, from), to) in ways.iter().zip(expected.chars()) {
            let before = task_in(way);
            assert_eq!(letter(&before), *from);
            let mut after = before.clone();
            let result = after.apply(Moment(5), &task_fact(name));
            if to == '-' {
                assert!(result.is_err() && same(&before, &after), "{from} must refuse {name}");
            } else {
                assert!(result.is_ok(), "{from} must take {name}");
                assert_eq!(letter(&after), to, "{from} after {name}");
            }
        }
    }
    let mut run = task_in("queued");
    let before_any = RunFact::TaskFailed {
        task: TaskId::new("a"),
        attempt: None,
        error: error(Outcome::Timeout),
    };
    run.apply(Moment(3), &before_any).unwrap();
    assert_eq!(run.task(&TaskId::new("a")).unwrap().state, TaskState::Timeout);
}

fn run_in(state: RunState) -> Run {
    use RunState as S;
    let ended = |outcome| RunFact::Ended { outcome, root_cause: None };
    let way = match state {
        S::Initializing => vec![],
        S::Planning => vec![moved(S::Planning)],
        S::AwaitingApproval => vec![moved(S::Planning), moved(S::AwaitingApproval)],
        S::Running => vec![moved(S::Planning), moved(S::Running)],
        S::Paused => vec![moved(S::Planning), moved(S::Running), moved(S::Paused)],
        S::Completing | S::Completed | S::Failed | S::Cancelled => {
            vec![moved(S::Planning), moved(S::Running), task_fact("skipped"), moved(S::Completing)]
        }
    };
    let end = match state {
        S::Completed => vec![ended(RunOutcome::Partial)],
        S::Failed => vec![ended(RunOutcome::Failed)],
        S::Cancelled => vec![RunFact::CancelRequested, ended(RunOutcome::Cancelled)],
        S::Initializing
        | S::Planning
        | S::AwaitingApproval
        | S::Running
        | S::Paused
        | S::Completing => vec![],
    };
    let run = with(with(new_run(), &way), &end);
    assert_eq!(run.state, state);
    run
}

/// Features E1, E2: the whole table of a run.
#[test]
fn a_run_takes_a_fact_only_where_it_fits() {
    use RunState as S;
    let ended = RunFact::Ended { outcome: RunOutcome::Completed, root_cause: None };
    let table = [
        (moved(S::Initializing), "---------"),
        (moved(S::Planning), "x--------"),
        (moved(S::AwaitingApproval), "-x-------"),
        (moved(S::Running), "-xx-x----"),
        (moved(S::Paused), "---xx----"),
        (moved(S::Completing), "---xx----"),
        (moved(S::Completed), "---------"),
        (moved(S::Failed), "---------"),
        (moved(S::Cancelled), "---------"),
        (RunFact::CancelRequested, "xxxxxx---"),
        (ended, "-----x---"),
        (RunFact::Submitted(Box::new(submission(1, &plan(&one_task(""))))), "---------"),
        (task_fact("queued"), "---x-----"),
    ];
    for (fact, expected) in table {
        for (state, mark) in S::ALL.iter().zip(expected.chars()) {
            let before = run_in(*state);
            let mut after = before.clone();
            let result = after.apply(Moment(5), &fact);
            assert_eq!(result.is_ok(), mark == 'x', "{state} and {fact:?}");
            assert!(result.is_ok() || same(&before, &after), "a refused fact changes nothing");
        }
    }
}

#[test]
fn a_run_is_not_over_while_a_task_is_not() {
    let mut run = with(task_in("queued starting"), &[RunFact::CancelRequested]);
    let ended = RunFact::Ended { outcome: RunOutcome::Cancelled, root_cause: None };
    assert!(run.apply(Moment(3), &ended).is_err());
    assert!(run.apply(Moment(3), &RunFact::TaskQueued { task: TaskId::new("zz") }).is_err());
    let facts = [(Moment(1), RunFact::CancelRequested)];
    assert!(Workflow::replay(&run_id(1), &facts).is_err(), "the first fact is the submission");
}

/// Live decisions and replay are one function: the facts of a run give the run (design §6).
#[test]
fn a_run_is_what_its_facts_say() {
    let mut bench =
        Bench::of(&tasks("", &[("a", "retries = 1"), ("b", ""), ("c", "depends_on = [\"a\"]")]));
    bench.fail("a", Outcome::ExitCode);
    bench.succeed("b", json!({ "deep": [1, 2] }));
    bench.pass(600_000);
    bench.fail("a", Outcome::Lost);
    bench.fail("a", Outcome::Timeout);
    let facts: Vec<(Moment, RunFact)> = bench
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Run { fact, .. } => Some((bench.now, fact.clone())),
            Fact::Attempt { .. }
            | Fact::Instance(_)
            | Fact::InstanceRemoved { .. }
            | Fact::Group(_)
            | Fact::GroupRemoved { .. }
            | Fact::Parked(_)
            | Fact::Unparked { .. }
            | Fact::Emitted(_)
            | Fact::SignalTaken { .. }
            | Fact::Noted { .. } => None,
        })
        .collect();
    let replayed = Workflow::replay(&run_id(1), &facts).unwrap();
    assert!(bench.run().state.is_end());
    assert_eq!(replayed.state, bench.run().state);
    for (plan, task) in bench.run().tasks() {
        let other = replayed.task(&plan.id).unwrap();
        assert_eq!(
            (task.state, task.n, &task.output, &task.error, task.skip),
            (other.state, other.n, &other.output, &other.error, other.skip)
        );
    }
}

/// Feature A11: nothing starts before a person has said yes.
#[test]
fn nothing_starts_before_the_yes() {
    for (yes, state) in [(true, RunState::Running), (false, RunState::Cancelled)] {
        let mut bench = Bench::new(9);
        let plan = plan(&one_task(""));
        let submission = Submission { needs_approval: true, ..submission(1, &plan) };
        bench.hear(Event::Submitted(Box::new(submission)));
        assert_eq!((bench.run().state, bench.live().as_str()), (RunState::AwaitingApproval, ""));
        bench.hear(Event::Approved { run: run_id(1), yes });
        bench.hear(Event::Approved { run: run_id(1), yes: !yes });
        assert_eq!(bench.run().state, state);
        assert_eq!(bench.live(), if yes { "a" } else { "" });
    }
}
