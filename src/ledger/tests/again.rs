//! Runs that are taken up again, edited and forgotten, and events that wait.

use super::*;
use crate::model::Signal;

fn other(moment: u64, fact: RunFact) -> Entry {
    at(moment, Fact::Run { run: RunId::of_day("2026-11-21", 2), fact })
}

fn done(value: &str) -> RunFact {
    RunFact::TaskSucceeded { task: task("a"), attempt: None, output: output(json!(value)) }
}

fn moved(state: RunState) -> RunFact {
    RunFact::Moved { state, why: None }
}

fn ended(outcome: RunOutcome) -> RunFact {
    RunFact::Ended { outcome, root_cause: Some("a: no".into()) }
}

/// Feature K17: a reset is the only thing that opens a task again; a run that is taken up again is
/// live, and its old result may go with another run that had the same.
#[test]
fn a_run_can_be_taken_up_again() {
    let home = Home::new();
    let (ledger, _) = home.open();
    commit(
        &ledger,
        vec![
            submitted(),
            of_run(2, moved(RunState::Planning)),
            of_run(3, moved(RunState::Running)),
            of_run(4, done("same")),
            of_run(5, RunFact::CancelRequested),
            of_run(6, ended(RunOutcome::Cancelled)),
        ],
    )
    .unwrap();
    let twice = commit(&ledger, vec![of_run(7, done("twice"))]);
    assert!(matches!(twice, Err(Error::Fenced { .. })), "{twice:?}");
    commit(
        &ledger,
        vec![
            of_run(8, RunFact::Reopened),
            of_run(9, RunFact::TaskReset { task: task("a") }),
            of_run(10, done("better")),
        ],
    )
    .unwrap();
    let second = Submission { run: RunId::of_day("2026-11-21", 2), ..submission() };
    commit(
        &ledger,
        vec![
            other(11, RunFact::Submitted(Box::new(second))),
            other(12, done("same")),
            other(13, ended(RunOutcome::Failed)),
        ],
    )
    .unwrap();
    let forget = ledger.forget(vec![RunId::of_day("2026-11-21", 2)]);
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(forget).unwrap();
    drop(ledger);
    let (ledger, memory) = home.open();
    let log = &memory.runs[0];
    assert_eq!(log.run, run(), "it is live");
    let last = log.entries.iter().rev().find_map(|(_, fact)| {
        let RunFact::TaskSucceeded { output, .. } = fact else { return None };
        Some(output.value.clone())
    });
    assert_eq!(last, Some(json!("better")));
    let row = ledger.reader().unwrap().run_row(&run()).unwrap().unwrap();
    assert_eq!((row.state, row.outcome, row.root_cause), (RunState::Running, None, None));
}

/// An edited plan has the rows of its tasks, and no others.
#[test]
fn an_edited_plan_has_its_own_tasks() {
    let home = Home::new();
    let (ledger, _) = home.open();
    let plan = json!({"schema": 1, "tasks": [{"id": "a"}, {"id": "new"}]});
    let adjusted = RunFact::Adjusted { text: "plan".into(), plan };
    commit(&ledger, vec![submitted(), of_run(2, done("x")), of_run(3, adjusted)]).unwrap();
    let row = ledger.reader().unwrap().run_row(&run()).unwrap().unwrap();
    assert_eq!(row.tasks, [(TaskState::Blocked, 1), (TaskState::Success, 1)]);
}

/// Feature C17: an event waits until it is taken; its key is remembered.
#[test]
fn an_event_waits_and_its_key_is_remembered() {
    let home = Home::new();
    let (ledger, _) = home.open();
    let signal = |number, dedup: Option<&str>| Signal {
        number,
        name: "deployed".into(),
        data: json!({ "n": number }),
        dedup: dedup.map(str::to_owned),
        depth: 0,
        taken: false,
    };
    let emitted = |number, dedup| at(number, Fact::Emitted(signal(number, dedup)));
    let taken = |number| at(9, Fact::SignalTaken { number });
    let facts = vec![emitted(1, None), emitted(2, None), emitted(3, Some("k")), taken(2), taken(3)];
    commit(&ledger, facts).unwrap();
    drop(ledger);
    let (_ledger, memory) = home.open();
    let keyed = Signal { taken: true, ..signal(3, Some("k")) };
    assert_eq!(memory.signals, [signal(1, None), keyed]);
}

/// Feature L5: only what ended long enough ago is named.
#[test]
fn runs_that_ended_before_are_named() {
    let home = Home::new();
    let (ledger, _) = home.open();
    commit(&ledger, vec![submitted(), of_run(5, ended(RunOutcome::Failed))]).unwrap();
    let reader = ledger.reader().unwrap();
    assert_eq!(reader.ended_before(WALL + 5).unwrap(), []);
    assert_eq!(reader.ended_before(WALL + 6).unwrap(), [run()]);
}
