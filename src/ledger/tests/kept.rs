//! Results that later runs may take.

use super::*;
use crate::ledger::{open, schema};
use crate::model::{CacheEntry, CacheFact, CacheFound, CacheQuestion, CacheSource, WorkKey};

const GOOD_MS: u64 = 1_000;

fn second() -> RunId {
    RunId::of_day("2026-11-21", 2)
}

fn cache(moment: u64, fact: CacheFact) -> Entry {
    of_run(moment, RunFact::TaskCache { task: task("a"), fact })
}

fn work(prompt: &str) -> WorkKey {
    WorkKey::of([("prompt", prompt.to_owned())])
}

fn looked_up(moment: u64, prompt: &str) -> Entry {
    let (work, found) = (work(prompt), CacheFound::Nothing);
    cache(moment, CacheFact::LookedUp { work, good_ms: GOOD_MS, found })
}

fn source(run: RunId, id: &str) -> CacheSource {
    CacheSource { run, attempt: attempt(id), agent: "claude".to_owned() }
}

fn kept(moment: u64, prompt: &str, id: &str, value: &str, bound: bool) -> Entry {
    let (key, sha) = (work(prompt).key, output(json!(value)).sha);
    let source = source(run(), id);
    cache(moment, CacheFact::Kept { key, good_ms: GOOD_MS, source, sha, bound })
}

/// A run whose task `a` gave "A" at 5, which is kept.
fn done(ledger: &Ledger, bound: bool) {
    let entries = vec![
        submitted(),
        of_run(2, RunFact::Moved { state: RunState::Planning, why: None }),
        of_run(2, RunFact::Moved { state: RunState::Running, why: None }),
        looked_up(3, "do it"),
        starting(3, "a", "t1", 1),
        intended(3, "t1", of_task("a")),
        running(4, "a", "t1"),
        succeeded(5, "a", Some("t1"), json!("A")),
        kept(5, "do it", "t1", "A", bound),
        of_attempt(5, "t1", AttemptFact::Ended(end(Outcome::Success))),
        of_run(6, RunFact::CancelRequested),
        of_run(6, RunFact::Ended { outcome: RunOutcome::Completed, root_cause: None }),
    ];
    commit(ledger, entries).unwrap();
}

fn ask(ledger: &Ledger, prompt: &str) -> (Option<CacheEntry>, Option<(RunId, WorkKey)>) {
    let (plan, work) = ("audit".to_owned(), work(prompt));
    let asked = CacheQuestion { run: second(), plan, task: task("a"), work };
    let answer = ledger.reader().unwrap().look_up(asked).unwrap();
    assert_eq!((answer.run, answer.unread), (second(), None));
    (answer.entry, answer.last)
}

fn count(home: &Home, query: &str) -> i64 {
    let db = rusqlite::Connection::open(home.path()).unwrap();
    db.query_row(query, [], |row| row.get(0)).unwrap()
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

/// A result is found by its key, with its age and whose it is; other work by the same task is
/// compared with the last.
#[test]
fn a_kept_result_is_found() {
    let home = Home::new();
    let (ledger, _) = home.open();
    assert_eq!(ask(&ledger, "do it"), (None, None));
    done(&ledger, false);
    let entry =
        CacheEntry { source: source(run(), "t1"), at: Moment(5), output: output(json!("A")) };
    let last = Some((run(), work("do it")));
    assert_eq!(ask(&ledger, "do it"), (Some(entry), last.clone()));
    assert_eq!(ask(&ledger, "do that"), (None, last));
    // Nothing of the texts is in the file but the result.
    let held = "SELECT count(*) FROM work WHERE row LIKE '%do it%'";
    assert_eq!(count(&home, held), 0);
}

/// Only a result that the task has is kept.
#[test]
fn what_a_task_does_not_have_is_not_kept() {
    let home = Home::new();
    let (ledger, _) = home.open();
    done(&ledger, false);
    for wrong in [kept(7, "x", "t1", "B", false), kept(7, "x", "t2", "A", false)] {
        let refused = commit(&ledger, vec![wrong]);
        assert!(matches!(refused, Err(Error::Fenced { .. })), "{refused:?}");
    }
}

/// An entry owns its output and outlives its run; one that names a file of its run goes with it.
#[test]
fn an_entry_never_dangles() {
    for bound in [false, true] {
        let home = Home::new();
        let (ledger, _) = home.open();
        done(&ledger, bound);
        wait(ledger.forget(vec![run()])).unwrap();
        let found = ask(&ledger, "do it").0.map(|entry| entry.output.value);
        assert_eq!(found, (!bound).then(|| json!("A")));
        assert_eq!(count(&home, "SELECT count(*) FROM blob"), i64::from(!bound));
        wait(ledger.expire(Moment(5 + GOOD_MS))).unwrap();
        assert_eq!(count(&home, "SELECT count(*) FROM blob"), 0);
    }
}

/// What is too old goes with a cleanup, and what is dropped at once; outputs stay as long as a run
/// is read by them.
#[test]
fn what_is_too_old_is_taken_out() {
    let home = Home::new();
    let (ledger, _) = home.open();
    done(&ledger, false);
    let reader = ledger.reader().unwrap();
    assert_eq!(reader.expired(Moment(4 + GOOD_MS)).unwrap(), 0);
    wait(ledger.expire(Moment(4 + GOOD_MS))).unwrap();
    assert!(ask(&ledger, "do it").0.is_some());
    assert_eq!(reader.expired(Moment(5 + GOOD_MS)).unwrap(), 1);
    wait(ledger.expire(Moment(5 + GOOD_MS))).unwrap();
    assert_eq!(ask(&ledger, "do it"), (None, None));
    assert!(reader.run_log(&run()).unwrap().is_some(), "the run has its output");

    let (other, home) = (Home::new(), home);
    drop(home);
    let (ledger, _) = other.open();
    done(&ledger, false);
    let key = work("do it").key;
    commit(&ledger, vec![cache(8, CacheFact::Dropped { key })]).unwrap();
    assert_eq!(ask(&ledger, "do it").0, None);
    assert_eq!(ledger.reader().unwrap().expired(Moment(9)).unwrap(), 0, "nobody had it");
    wait(ledger.forget(vec![run()])).unwrap();
    wait(ledger.expire(Moment(9))).unwrap();
    assert_eq!(count(&other, "SELECT count(*) FROM blob"), 0);
}

/// Another run took a result and a hook turned it down: that run can be read when the first one
/// and the entry are gone.
#[test]
fn a_result_that_was_turned_down_may_be_gone() {
    let home = Home::new();
    let (ledger, _) = home.open();
    done(&ledger, false);
    let other = |moment, fact| at(moment, Fact::Run { run: second(), fact });
    let taken =
        RunFact::TaskSucceeded { task: task("a"), attempt: None, output: output(json!("A")) };
    let error = TaskError { outcome: Outcome::Hook, ..task_error(Outcome::Hook) };
    let dropped = CacheFact::Dropped { key: work("do it").key };
    let entries = vec![
        other(7, RunFact::Submitted(Box::new(Submission { run: second(), ..submission() }))),
        other(7, taken),
        other(8, RunFact::TaskFailed { task: task("a"), attempt: None, error }),
        other(8, RunFact::TaskCache { task: task("a"), fact: dropped }),
    ];
    commit(&ledger, entries).unwrap();
    wait(ledger.forget(vec![run()])).unwrap();
    wait(ledger.expire(Moment(9))).unwrap();
    let log = ledger.reader().unwrap().run_log(&second()).unwrap().unwrap();
    assert_eq!(log.entries.len(), 4);
}

/// A result that was done again takes the place of the one before.
#[test]
fn a_newer_result_takes_the_place() {
    let home = Home::new();
    let (ledger, _) = home.open();
    done(&ledger, false);
    let entries = vec![
        of_run(8, RunFact::Reopened),
        of_run(8, RunFact::TaskReset { task: task("a") }),
        starting(9, "a", "t2", 2),
        running(9, "a", "t2"),
        succeeded(10, "a", Some("t2"), json!("B")),
        kept(10, "do it", "t2", "B", false),
    ];
    commit(&ledger, entries).unwrap();
    let entry = ask(&ledger, "do it").0.unwrap();
    assert_eq!((entry.output.value, entry.at), (json!("B"), Moment(10)));
}

/// A version 3 is brought up to date: everything is where it was, results can be kept, and it is
/// known which runs were those of demo agents.
#[test]
fn a_ledger_of_version_3_is_taken_up() {
    let home = Home::new();
    let (ledger, _) = home.open();
    commit(&ledger, vec![submitted(), of_run(2, RunFact::CancelRequested)]).unwrap();
    drop(ledger);
    let db = rusqlite::Connection::open(home.path()).unwrap();
    let before = "DROP TABLE cache; DROP TABLE work;
                  DROP INDEX run_of_plan; ALTER TABLE run DROP COLUMN demo;
                  UPDATE run SET submission = json_set(submission, '$.demo', json('true'))";
    db.execute_batch(before).unwrap();
    db.pragma_update(None, "user_version", 3).unwrap();
    let tables = |db: &rusqlite::Connection| -> String {
        let text = "SELECT group_concat(sql, char(10)) FROM (SELECT sql FROM sqlite_schema
                    WHERE name NOT LIKE 'sqlite%' ORDER BY name)";
        db.query_row(text, [], |row| row.get(0)).unwrap()
    };
    // What is left is what the migrations up to version 3 make.
    let then = rusqlite::Connection::open_in_memory().unwrap();
    schema::MIGRATIONS[..3].iter().for_each(|step| then.execute_batch(step).unwrap());
    assert_eq!(tables(&db), tables(&then));
    drop(db);
    let (ledger, memory) = home.open();
    assert_eq!(memory.runs[0].entries.len(), 2);
    assert_eq!(count(&home, "PRAGMA user_version"), 5);
    assert_eq!(count(&home, "SELECT count(*) FROM run WHERE demo"), 1);
    commit(&ledger, vec![looked_up(3, "do it")]).unwrap();
    assert_eq!(ask(&ledger, "do it").1, Some((run(), work("do it"))));
    let db = open::reader(&home.path()).unwrap();
    open::check(&db, &home.path(), true).unwrap();
}
