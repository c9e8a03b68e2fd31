//! Real files, one private directory per test.

#![expect(
    clippy::disallowed_methods,
    reason = "a ledger that survives kill -9 needs a process that can be killed"
)]

mod again;
mod kept;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::writer::Job;
use super::*;
use crate::model::{
    AttemptEnd, AttemptFact, AttemptId, AttemptRow, AttemptState, ClockMark, Desired, Entry, Fact,
    InstanceRow, InstanceState, KillMode, Limits, Moment, Order, Outcome, Output, Owner,
    ProcessMark, PromptBy, ResultRule, RunFact, RunId, RunOutcome, RunState, SkipReason,
    StartReason, StopCause, StopSpec, Submission, TaskError, TaskId, TaskState, Token,
};

const WALL: i64 = 1_795_000_000_000;

fn run() -> RunId {
    RunId::of_day("2026-11-21", 1)
}

fn task(name: &str) -> TaskId {
    TaskId::new(name)
}

fn attempt(name: &str) -> AttemptId {
    AttemptId::new(name)
}

fn mark(at: u64) -> ClockMark {
    ClockMark { boot_id: "b".into(), boot_ms: at, wall_ms: WALL, moment: Moment(at) }
}

fn at(at: u64, fact: Fact) -> Entry {
    Entry { at: Moment(at), wall_ms: WALL + i64::try_from(at).unwrap(), fact }
}

fn of_run(moment: u64, fact: RunFact) -> Entry {
    at(moment, Fact::Run { run: run(), fact })
}

fn of_attempt(moment: u64, name: &str, fact: AttemptFact) -> Entry {
    at(moment, Fact::Attempt { attempt: attempt(name), fact })
}

fn note(moment: u64, about: &str, text: &str) -> Entry {
    at(moment, Fact::Noted { about: about.into(), text: text.into() })
}

fn submission() -> Submission {
    Submission {
        run: run(),
        name: "audit".into(),
        text: "plan = \"audit\"".into(),
        path: PathBuf::from("/p/audit.toml"),
        plan: json!({"schema": 1, "tasks": [{"id": "a"}, {"id": "b"}]}),
        cwd: PathBuf::from("/p"),
        env: vec![("SECRET".into(), "hush".into())],
        needs_approval: false,
        demo: false,
        parent: None,
    }
}

fn submitted() -> Entry {
    of_run(1, RunFact::Submitted(Box::new(submission())))
}

fn order(name: &str, owner: Owner) -> Order {
    Order {
        attempt: attempt(name),
        token: Token::new(format!("{name}-token")),
        owner,
        n: 1,
        reason: StartReason::First,
        agent: "claude".into(),
        label: format!("wf_{name}"),
        session: "s".into(),
        windowed: true,
        argv: vec!["claude".into(), "-p".into()],
        env: BTreeMap::from([("A".into(), "1".into())]),
        cwd: PathBuf::from("/p"),
        prompt: Some("do <it>\n".into()),
        prompt_by: PromptBy::Stdin,
        terminal: true,
        result: ResultRule::Tag,
        result_required: true,
        schema: Some(json!({"type": "object"})),
        env_filter: Default::default(),
        success_codes: vec![0],
        success_signals: vec![15],
        stop: StopSpec {
            keys: vec![],
            signal: "SIGTERM".into(),
            timeout_ms: 10_000,
            send_sighup: true,
            mode: KillMode::ControlGroup,
        },
        limits: Limits { start_ms: Some(1), run_ms: None, idle_ms: Some(3) },
        oom_score_adjust: 100,
        resources: Default::default(),
        care: Default::default(),
        handover: None,
        files: std::collections::BTreeMap::new(),
        model: None,
        usage: crate::model::UsageFormat::None,
        pools: Vec::new(),
    }
}

fn of_task(name: &str) -> Owner {
    Owner::Task { run: run(), task: task(name) }
}

fn of_instance(name: &str) -> Owner {
    Owner::Instance { name: name.into() }
}

fn output(value: serde_json::Value) -> Output {
    let digest = Sha256::digest(value.to_string().as_bytes());
    Output { sha: digest.iter().map(|byte| format!("{byte:02x}")).collect(), value }
}

fn process(pid: i32) -> ProcessMark {
    ProcessMark { pid, start_ticks: 7, boot_id: "b".into() }
}

fn starting(moment: u64, name: &str, id: &str, n: u32) -> Entry {
    let (agent, reason) = ("claude".to_owned(), StartReason::First);
    let (task, attempt) = (task(name), attempt(id));
    of_run(moment, RunFact::TaskStarting { task, attempt, n, agent, agent_index: 0, reason })
}

fn running(moment: u64, name: &str, id: &str) -> Entry {
    of_run(moment, RunFact::TaskRunning { task: task(name), attempt: attempt(id) })
}

fn succeeded(moment: u64, name: &str, id: Option<&str>, value: serde_json::Value) -> Entry {
    let attempt = id.map(attempt);
    of_run(moment, RunFact::TaskSucceeded { task: task(name), attempt, output: output(value) })
}

fn intended(moment: u64, name: &str, owner: Owner) -> Entry {
    of_attempt(moment, name, AttemptFact::Intended(Box::new(order(name, owner))))
}

fn task_error(outcome: Outcome) -> TaskError {
    TaskError {
        outcome,
        message: "it said no".into(),
        exit_code: Some(3),
        signal: None,
        tail: "…\n".into(),
        log: Some(PathBuf::from("/log")),
    }
}

fn end(outcome: Outcome) -> AttemptEnd {
    AttemptEnd {
        outcome,
        message: "done".into(),
        code: Some(0),
        signal: None,
        source: Some(crate::model::ResultSource::Tagged),
        at: Moment(9),
    }
}

fn instance(name: &str, state: InstanceState) -> InstanceRow {
    InstanceRow {
        name: name.into(),
        desired: Desired::Up,
        state,
        attempt: Some(attempt("i1")),
        attempts: 3,
        restarts: 2,
        streak: 1,
        starts: vec![Moment(1), Moment(2)],
        not_before: Some(Moment(5)),
        last_delay_ms: 100,
        serving: None,
        switches: vec![],
        handover: None,
        removal: None,
        outcome: Some(Outcome::Signal),
        why: "waits".into(),
    }
}

struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("ledger.db")
    }

    fn open(&self) -> (Ledger, Memory) {
        Ledger::open(&self.path()).unwrap()
    }

    /// Names and contents of everything in the directory.
    fn picture(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = std::fs::read_dir(self.dir.path()).unwrap().map(|file| file.unwrap().path());
        files.map(|file| (file.clone(), std::fs::read(file).unwrap())).collect()
    }
}

fn commit(ledger: &Ledger, entries: Vec<Entry>) -> Result<(), Error> {
    let clock = mark(entries.last().map_or(0, |entry| entry.at.0));
    ledger.commit_blocking(entries, clock)
}

fn pragma(ledger: &Ledger, text: &str) {
    let text = text.to_owned();
    ledger.send(|reply| Job::Pragma { text, reply }).blocking_recv().unwrap().unwrap();
}

/// One life of a run with every kind of fact in it.
fn every_run_fact() -> Vec<Entry> {
    let (a, b, c) = (task("a"), task("b"), task("c"));
    vec![
        submitted(),
        of_run(2, RunFact::Moved { state: RunState::Running, why: None }),
        of_run(3, RunFact::TaskQueued { task: a.clone() }),
        starting(4, "a", "x1", 1),
        running(5, "a", "x1"),
        of_run(
            6,
            RunFact::TaskRetrying {
                task: a,
                attempt: attempt("x1"),
                error: task_error(Outcome::ExitCode),
                not_before: Moment(99),
                agent_index: 1,
                reason: StartReason::Fallback,
            },
        ),
        starting(7, "a", "x2", 2),
        running(8, "a", "x2"),
        succeeded(9, "a", Some("x2"), json!({"n": [1, 2.5, "ä\n"]})),
        of_run(
            10,
            RunFact::TaskFailed { task: b, attempt: None, error: task_error(Outcome::Timeout) },
        ),
        of_run(11, RunFact::TaskSkipped { task: c, reason: SkipReason::Upstream }),
        of_run(12, RunFact::TaskCancelled { task: task("d"), reason: SkipReason::Stopped }),
        of_run(13, RunFact::CancelRequested),
        succeeded(14, "e", None, json!(null)),
    ]
}

fn run_facts(entries: &[Entry]) -> Vec<(Moment, RunFact)> {
    let facts = entries.iter().filter_map(|entry| match &entry.fact {
        Fact::Run { fact, .. } => Some((entry.at, fact.clone())),
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
    });
    facts.collect()
}

#[test]
fn every_fact_of_a_run_comes_back_as_it_was() {
    let home = Home::new();
    let facts = every_run_fact();
    {
        let (ledger, memory) = home.open();
        assert_eq!((memory.clock, memory.runs, memory.recovering), (None, vec![], 0));
        commit(&ledger, facts.clone()).unwrap();
    }
    let (ledger, memory) = home.open();
    assert_eq!(memory.clock, Some(mark(14)));
    assert_eq!(memory.runs, [RunLog { run: run(), entries: run_facts(&facts) }]);

    let row = ledger.reader().unwrap().run_rows(true).unwrap().remove(0);
    assert_eq!((row.name.as_str(), row.state, row.outcome), ("audit", RunState::Running, None));
    assert_eq!((row.created_ms, row.started_ms, row.ended_ms), (WALL + 1, Some(WALL + 2), None));
    let expected = [
        (TaskState::Success, 2),
        (TaskState::Timeout, 1),
        (TaskState::Skipped, 1),
        (TaskState::Cancelled, 1),
    ];
    assert_eq!(row.tasks, expected);

    let ended = RunFact::Ended { outcome: RunOutcome::Partial, root_cause: Some("b".into()) };
    commit(&ledger, vec![of_run(15, ended)]).unwrap();
    drop(ledger);
    let (ledger, memory) = home.open();
    assert_eq!(memory.runs, [], "an ended run is not recovered");
    let reader = ledger.reader().unwrap();
    assert_eq!(reader.run_rows(true).unwrap(), []);
    let row = reader.run_rows(false).unwrap().remove(0);
    assert_eq!((row.state, row.outcome), (RunState::Completed, Some(RunOutcome::Partial)));
    assert_eq!((row.root_cause.as_deref(), row.ended_ms), (Some("b"), Some(WALL + 15)));
    assert_eq!(reader.run_log(&run()).unwrap().unwrap().entries.len(), facts.len() + 1);
    assert_eq!(reader.run_log(&RunId::of_day("2026-11-21", 2)).unwrap(), None);
    assert_eq!(reader.next_run_number("2026-11-21").unwrap(), 2);
    assert_eq!(reader.next_run_number("2026-11-22").unwrap(), 1);
    reader.check().unwrap();
}

#[test]
fn attempts_are_rows_that_follow_their_facts() {
    let home = Home::new();
    let (ledger, _) = home.open();
    commit(
        &ledger,
        vec![submitted(), intended(2, "x1", of_task("a")), intended(3, "i1", of_instance("bot"))],
    )
    .unwrap();
    let launched = AttemptFact::Launched {
        shim: process(10),
        pane: Some("%1".into()),
        window: Some("@1".into()),
    };
    let facts = [
        (4, "x1", launched),
        (5, "x1", AttemptFact::Started { process: process(11) }),
        (6, "x1", AttemptFact::Stopping { cause: StopCause::Timeout }),
        (7, "i1", AttemptFact::Ended(end(Outcome::Lost))),
    ];
    commit(&ledger, facts.iter().cloned().map(|(m, id, fact)| of_attempt(m, id, fact)).collect())
        .unwrap();
    drop(ledger);

    let (ledger, memory) = home.open();
    let mut expected = AttemptRow::intended(order("x1", of_task("a")), Moment(2));
    expected.state = AttemptState::Stopping;
    (expected.launched, expected.started) = (Some(Moment(4)), Some(Moment(5)));
    (expected.shim, expected.process) = (Some(process(10)), Some(process(11)));
    (expected.pane, expected.window) = (Some("%1".into()), Some("@1".into()));
    expected.stopping = Some(StopCause::Timeout);
    assert_eq!(memory.attempts, [expected.clone()], "ended attempts are not recovered");

    let reader = ledger.reader().unwrap();
    assert_eq!(reader.attempts_of_run(&run()).unwrap()[0].row, expected);
    let record = reader.attempts_of_instance("bot", 5).unwrap().remove(0);
    assert_eq!(record.row.end, Some(end(Outcome::Lost)));
    assert_eq!((record.intended_ms, record.ended_ms), (WALL + 3, Some(WALL + 7)));
    assert_eq!(reader.attempt(&attempt("i1")).unwrap(), Some(record));
    assert_eq!(reader.attempt(&attempt("zz")).unwrap(), None);

    let again = of_attempt(8, "i1", AttemptFact::Ended(end(Outcome::Success)));
    let refused = commit(&ledger, vec![again]);
    assert!(matches!(refused, Err(Error::Fenced { .. })), "an attempt ends once: {refused:?}");
}

#[test]
fn instances_keep_their_latest_row() {
    let home = Home::new();
    let (ledger, _) = home.open();
    let stand = |name, state| at(2, Fact::Instance(instance(name, state)));
    let first = vec![stand("bot", InstanceState::Running), stand("old", InstanceState::Stopped)];
    commit(&ledger, first).unwrap();
    let gone = at(3, Fact::InstanceRemoved { name: "old".into() });
    commit(&ledger, vec![stand("bot", InstanceState::Backoff), gone]).unwrap();
    drop(ledger);
    assert_eq!(home.open().1.instances, [instance("bot", InstanceState::Backoff)]);
}

#[test]
fn evidence_about_an_instance_includes_its_attempts() {
    let home = Home::new();
    let (ledger, _) = home.open();
    let facts = vec![
        note(1, "bot", "one"),
        intended(2, "i1", of_instance("bot")),
        note(3, "i1", "a stale report"),
        note(4, "tmux", "gone"),
        of_attempt(5, "i1", AttemptFact::Ended(end(Outcome::Signal))),
    ];
    commit(&ledger, facts.clone()).unwrap();
    let reader = ledger.reader().unwrap();
    let about_bot = [4, 2, 1, 0].map(|i: usize| facts[i].clone());
    assert_eq!(reader.notes_about("bot", 10).unwrap(), about_bot);
    assert_eq!(reader.notes_about("bot", 1).unwrap(), [facts[4].clone()]);
    assert_eq!(reader.notes_about("tmux", 10).unwrap(), [facts[3].clone()]);
}

/// Exactly one accepted result per task, and only from the attempt that it waits for.
#[test]
fn a_result_is_accepted_once_and_only_from_the_current_attempt() {
    let home = Home::new();
    let (ledger, _) = home.open();
    let fenced = |entries: Vec<Entry>| match commit(&ledger, entries) {
        Err(Error::Fenced { .. }) => {}
        other => panic!("expected the fence, got {other:?}"),
    };
    fenced(vec![of_run(1, RunFact::CancelRequested)]);
    commit(&ledger, vec![submitted()]).unwrap();
    fenced(vec![succeeded(2, "a", Some("x1"), json!(1))]);
    commit(&ledger, vec![starting(3, "a", "x1", 1), starting(4, "a", "x2", 2)]).unwrap();
    fenced(vec![note(5, "bot", "must not stay"), succeeded(5, "a", Some("x1"), json!(1))]);
    fenced(vec![running(5, "a", "x1")]);
    let wrong_name = Output { sha: "0".repeat(64), value: json!(1) };
    let (task, attempt) = (task("a"), Some(attempt("x2")));
    fenced(vec![of_run(5, RunFact::TaskSucceeded { task, attempt, output: wrong_name })]);
    commit(&ledger, vec![succeeded(6, "a", Some("x2"), json!(2))]).unwrap();
    fenced(vec![succeeded(7, "a", Some("x2"), json!(2))]);
    fenced(vec![succeeded(7, "a", None, json!(2))]);
    fenced(vec![starting(8, "a", "x3", 3)]);
    fenced(vec![submitted()]);

    let reader = ledger.reader().unwrap();
    assert_eq!(reader.notes_about("bot", 10).unwrap(), [], "a refused batch leaves nothing");
    let log = reader.run_log(&run()).unwrap().unwrap();
    let results = log.entries.iter().filter(|(_, f)| matches!(f, RunFact::TaskSucceeded { .. }));
    assert_eq!(results.count(), 1);
}

#[tokio::test]
async fn a_refused_batch_leaves_its_group_alone() {
    let home = Home::new();
    let (ledger, _) = home.open();
    let batches = (0..200).map(|i| match i % 3 {
        0 => vec![note(i, "bot", &i.to_string()), succeeded(i, "a", Some("x1"), json!(1))],
        _ => vec![note(i, "bot", &i.to_string())],
    });
    let answers: Vec<_> = batches.map(|batch| ledger.commit(batch, mark(1))).collect();
    for (i, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.await.is_err(), i % 3 == 0, "batch {i}");
    }
    let notes = ledger.reader().unwrap().notes_about("bot", 1000).unwrap();
    assert_eq!(notes.len(), 133);
    assert!(notes.is_sorted_by(|a, b| a.at > b.at), "in the order of the calls");
}

#[tokio::test]
async fn an_ended_run_can_be_forgotten_without_trace() {
    let home = Home::new();
    let (ledger, _) = home.open();
    let send = |entries| ledger.commit(entries, mark(1));
    let mut facts = every_run_fact();
    facts.extend([intended(2, "x1", of_task("a")), intended(2, "i1", of_instance("bot"))]);
    send(facts).await.unwrap();
    assert!(matches!(ledger.forget(vec![run()]).await, Err(Error::Fenced { .. })), "it goes on");
    let outcome = RunOutcome::Completed;
    send(vec![of_run(20, RunFact::Ended { outcome, root_cause: None })]).await.unwrap();
    ledger.forget(vec![run()]).await.unwrap();
    drop(ledger);
    let db = rusqlite::Connection::open(home.path()).unwrap();
    let count = |table: &str| {
        db.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get::<_, i64>(0)).unwrap()
    };
    let counts = ["run", "task", "blob", "attempt", "event"].map(count);
    assert_eq!(counts, [0, 0, 0, 1, 1], "what belongs to the instance stays");
    drop(db);
    drop(home.open());
}

#[tokio::test]
async fn recoveries_that_do_not_finish_are_counted() {
    let home = Home::new();
    for unfinished in 0..3 {
        assert_eq!(home.open().1.recovering, unfinished);
    }
    let (ledger, _) = home.open();
    ledger.recovered().await.unwrap();
    drop(ledger);
    assert_eq!(home.open().1.recovering, 0);
}

#[test]
fn the_file_is_for_its_owner_and_an_empty_one_is_a_new_one() {
    let home = Home::new();
    drop(home.open());
    assert_eq!(std::fs::metadata(home.path()).unwrap().permissions().mode() & 0o777, 0o600);
    let other = Home::new();
    std::fs::write(other.path(), b"").unwrap();
    drop(other.open());
}

fn refused(home: &Home) -> Error {
    let before = home.picture();
    let error = Ledger::open(&home.path()).unwrap_err();
    assert_eq!(home.picture(), before, "a refused file and its directory stay as they are");
    assert!(error.to_string().contains(&home.path().display().to_string()), "{error}");
    error
}

/// Fault 8. A file that a newer program wrote is never guessed at.
#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let home = Home::new();
    drop(home.open());
    let db = rusqlite::Connection::open(home.path()).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    assert!(matches!(refused(&home), Error::Newer { found: 99, known: 5, .. }));
}

/// Fault 8.
#[test]
fn a_damaged_file_is_refused_and_left_alone() {
    let home = Home::new();
    for garbage in [&[0; 8192][..], b"no", b"SQLite format 3\0 and then nothing", &[0xff; 200]] {
        std::fs::write(home.path(), garbage).unwrap();
        assert!(matches!(refused(&home), Error::Damaged { .. }), "{garbage:?}");
    }
}

#[test]
fn a_torn_page_is_found_at_the_start() {
    let home = Home::new();
    let (ledger, _) = home.open();
    let notes = (0..2000).map(|i| note(i, "bot", "0123456789012345678901234567890123456789"));
    commit(&ledger, notes.collect()).unwrap();
    drop(ledger);
    let mut bytes = std::fs::read(home.path()).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0x5a);
    std::fs::write(home.path(), bytes).unwrap();
    assert!(matches!(refused(&home), Error::Damaged { .. }));
}

#[test]
fn a_file_of_another_program_is_refused_and_left_alone() {
    let home = Home::new();
    let db = rusqlite::Connection::open(home.path()).unwrap();
    db.execute_batch("CREATE TABLE theirs (x)").unwrap();
    drop(db);
    assert!(matches!(refused(&home), Error::Damaged { .. }));
}

/// Fault 62. A full disk refuses what does not fit, and nothing else, until there is room again.
#[test]
fn a_full_disk_is_an_error_that_passes() {
    let home = Home::new();
    let (ledger, _) = home.open();
    commit(&ledger, vec![submitted(), starting(2, "a", "x1", 1)]).unwrap();
    pragma(&ledger, "PRAGMA max_page_count = 40");
    let large = json!("x".repeat(1 << 20));
    let result =
        commit(&ledger, vec![note(3, "bot", "lost"), succeeded(3, "a", Some("x1"), large.clone())]);
    assert!(matches!(result, Err(Error::Disk { .. })), "{result:?}");
    commit(&ledger, vec![note(4, "bot", "small")]).unwrap();
    pragma(&ledger, "PRAGMA max_page_count = 1000000");
    commit(&ledger, vec![succeeded(5, "a", Some("x1"), large)]).unwrap();
    let notes = ledger.reader().unwrap().notes_about("bot", 10).unwrap();
    assert_eq!(notes, [note(4, "bot", "small")]);
}

#[test]
fn a_large_batch_on_a_full_disk_does_not_fail_its_neighbours() {
    let home = Home::new();
    let (ledger, _) = home.open();
    pragma(&ledger, "PRAGMA max_page_count = 60");
    let send = |text: &str| {
        let entries = vec![note(1, "bot", text)];
        ledger.send(|reply| Job::Commit { entries, clock: mark(1), reply })
    };
    let answers: Vec<_> = ["a", &"x".repeat(1 << 20), "b"].map(send).into_iter().collect();
    let results = answers.into_iter().map(|answer| answer.blocking_recv().unwrap().is_ok());
    assert_eq!(results.collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn readers_see_whole_batches_while_the_writer_writes() {
    let home = Home::new();
    let (ledger, _) = home.open();
    let reader = ledger.reader().unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for i in 0..100 {
                commit(&ledger, vec![note(i, "bot", "first"), note(i, "bot", "second")]).unwrap();
            }
        });
        let mut seen = 0;
        while seen < 200 {
            let finished = writer.is_finished();
            let count = reader.notes_about("bot", 1000).unwrap().len();
            assert!(count >= seen && count % 2 == 0, "{count} after {seen}");
            assert!(!finished || count == 200, "{count} of 200 when all is written");
            seen = count;
        }
    });
}

/// The process that the next test kills; does nothing elsewhere.
#[test]
#[ignore = "run by the_ledger_survives_kill_9"]
fn writes_until_it_is_killed() {
    if !Path::new("this-is-the-child").exists() {
        return;
    }
    let (ledger, _) = Ledger::open(Path::new("ledger.db")).unwrap();
    for first in (0..).step_by(4) {
        let answers: Vec<_> = (first..first + 4)
            .map(|i| {
                let entries = vec![note(i, "bot", &i.to_string()), note(i, "bot", "twin")];
                (i, ledger.send(|reply| Job::Commit { entries, clock: mark(i), reply }))
            })
            .collect();
        for (i, answer) in answers {
            answer.blocking_recv().unwrap().unwrap();
            println!("\nacknowledged {i}");
        }
    }
}

/// Fault 2. Nothing that was acknowledged is lost, and nothing is there by halves.
#[test]
fn the_ledger_survives_kill_9() {
    let home = Home::new();
    std::fs::write(home.dir.path().join("this-is-the-child"), b"").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ledger::tests::writes_until_it_is_killed", "--ignored", "--nocapture"])
        .current_dir(home.dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some(number) = line.strip_prefix("acknowledged ") else { continue };
        acknowledged.push(number.to_owned());
        if acknowledged.len() == 100 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= 100, "the child wrote {acknowledged:?}");

    let (ledger, memory) = home.open();
    assert!(memory.clock.is_some());
    let notes = ledger.reader().unwrap().notes_about("bot", u32::MAX).unwrap();
    assert_eq!(notes.len() % 2, 0);
    for number in acknowledged {
        let fact = Fact::Noted { about: "bot".into(), text: number };
        assert!(notes.iter().any(|entry| entry.fact == fact), "{fact:?} is lost");
    }
}
