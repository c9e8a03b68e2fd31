//! The command line against a daemon that says what its test wants: following a run, exit codes,
//! logs, attach.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test's daemon knows two or three requests")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Stdio};

use muxvisor::control::frame;
use muxvisor::control::steer::{SteeringView, WaitingView};
use muxvisor::control::view::{
    Answer, AttachReply, AttemptPlace, LogsReply, RunReply, RunView, TaskView, UnitReply,
    UnitsReply, WaitReply,
};
use muxvisor::control::{Call, FailureKind, Reply, Request, Responder, WatchEvent};
use muxvisor::model::{
    AttemptId, AttemptState, InstanceState, Outcome, RunId, RunOutcome, RunState, StartReason,
    TaskError, TaskId, TaskState,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::cli::{code, document, err, home_with_plan, muxvisor, out, say};
use crate::control::{Daemon, view};
use crate::wait::wait_for;

/// Nobody has run the plan before.
fn no_history() -> Reply {
    let none: [u32; 0] = [];
    Reply::ok(&serde_json::json!({
        "runs": 0, "completion_rate": null, "avg_ms": null, "tasks": none,
    }))
}

/// A daemon in a home with a plan; it knows who it is.
fn daemon(mut answer: impl FnMut(Call) + Send + 'static) -> Daemon {
    Daemon::start_in(home_with_plan(), "run/daemon.sock", move |call| match &call.request {
        Request::Hello => call.responder.reply(Reply::ok(&view())),
        Request::History { .. } => call.responder.reply(no_history()),
        _ => answer(call),
    })
}

fn run() -> RunId {
    RunId::of_day("2026-11-21", 1)
}

fn one() -> TaskId {
    TaskId::new("one")
}

fn snapshot(state: RunState, task: TaskState) -> RunView {
    let task = TaskView {
        task: one(),
        phase: "only".into(),
        description: "Say hello.".into(),
        state: task,
        agent: Some("reader".into()),
        attempt: None,
        attempts: 1,
        attempts_counted: Some(1),
        attempts_max: 3,
        label: None,
        window: None,
        pid: None,
        error: None,
        skip_reason: None,
        started_at_ms: None,
        elapsed_ms: Some(1250),
        expected_ms: None,
        retry_in_ms: None,
        needs: Vec::new(),
        waiting: WaitingView::default(),
        cached: None,
    };
    RunView {
        run: run(),
        name: "small".into(),
        goal: "A small thing".into(),
        state,
        why: None,
        outcome: None,
        root_cause: None,
        started_at_ms: 0,
        elapsed_ms: 0,
        max_parallel: 3,
        path: "/small.toml".into(),
        phases: vec!["only".into()],
        tasks: vec![task],
        finals: vec![one()],
        steering: SteeringView::default(),
    }
}

fn results(outcome: RunOutcome) -> Value {
    let cancelled = outcome == RunOutcome::Cancelled;
    let status = if cancelled { RunOutcome::Failed } else { outcome };
    json!({"execution_results": {
        "plan_id": run(), "status": status, "cancelled": cancelled, "duration_ms": 1300,
        "phases": [{"phase_id": "only", "status": "completed", "tasks": [
            {"task_id": "one", "status": "success", "plugin_used": "reader", "attempt_number": 2,
             "duration_ms": 1250, "output": "hello from one", "error": null}]}],
        "summary": {"total_tasks": 1, "successful": 1, "failed": 0, "skipped": 0}}})
}

fn started(n: u32) -> WatchEvent {
    WatchEvent::TaskStarted {
        task: one(),
        attempt: AttemptId::new("k7f3"),
        n,
        agent: "reader".into(),
        label: "wf_one".into(),
        window: None,
        reason: StartReason::First,
    }
}

fn failed_once() -> WatchEvent {
    let error = TaskError {
        outcome: Outcome::ExitCode,
        message: "exited with code 75".into(),
        exit_code: Some(75),
        signal: None,
        tail: String::new(),
        log: None,
    };
    WatchEvent::TaskRetrying {
        task: one(),
        error,
        reason: StartReason::Retry,
        agent: "reader".into(),
        in_ms: 500,
    }
}

fn succeeded() -> WatchEvent {
    WatchEvent::TaskSucceeded {
        task: one(),
        agent: "reader".into(),
        attempts: 2,
        elapsed_ms: 1250,
        cached: None,
    }
}

fn begin(responder: &mut Responder, state: RunState, task: TaskState) {
    let run = Box::new(snapshot(state, task));
    responder.event(WatchEvent::Snapshot { run }).unwrap();
}

fn end(mut responder: Responder, outcome: RunOutcome) {
    responder.event(WatchEvent::Ended { outcome, results: results(outcome) }).unwrap();
    responder.reply(Reply::done());
}

/// Answers all of `run` but the watching.
fn accept(call: Call) {
    let reply = match &call.request {
        Request::Submit(submit) => {
            assert!(submit.path.is_absolute() && submit.text.contains("plan ="));
            assert!(submit.env.0.iter().any(|(name, _)| name == "PATH"));
            let state = if submit.yes { RunState::Running } else { RunState::AwaitingApproval };
            Reply::ok(&RunReply { run: run(), state })
        }
        Request::Show { .. } => Reply::ok(&snapshot(RunState::Completed, TaskState::Success)),
        other => panic!("{other:?} was not expected"),
    };
    call.responder.reply(reply);
}

/// Features L9, O5-O7, K11: what a person sees of a run that goes well at the second attempt.
#[test]
fn a_run_is_shown_from_plan_to_result() {
    let daemon = daemon(|mut call| match call.request {
        Request::Watch { .. } => {
            begin(&mut call.responder, RunState::Running, TaskState::Ready);
            for event in [started(1), failed_once(), started(2), succeeded()] {
                call.responder.event(event).unwrap();
            }
            end(call.responder, RunOutcome::Completed);
        }
        _ => accept(call),
    });
    let seen = say(daemon.directory(), "run small.toml --yes");
    assert_eq!(code(&seen), 0, "{}", err(&seen));
    let text = out(&seen);
    let lines: Vec<&str> = text.lines().skip_while(|line| !line.contains("submitted")).collect();
    assert_eq!(
        lines,
        [
            "PLAN-2026-11-21-001 is submitted",
            "▸ one (reader)",
            "↻ one: exit-code: exited with code 75; trying again in 0.5s",
            "▸ one (reader, attempt 2)",
            "✔ one (reader, 1.2s, 2 attempts)",
            "",
            "hello from one",
            "",
            "1 of 1 tasks completed.",
            "PLAN-2026-11-21-001 completed in 1.3s; retried: 1. More: muxvisor show \
             PLAN-2026-11-21-001",
        ]
    );
    assert!(text.starts_with("Session: small"), "{text}");
    assert!(!text.contains('\x1b'), "no colours but on a terminal");
    let seen = say(daemon.directory(), "run small.toml --yes --json");
    assert_eq!(document(&seen), results(RunOutcome::Completed), "alone on standard output");
    assert!(err(&seen).contains("✔ one"), "people read standard error then");
}

/// Design §11: the exit code of `run` and of `wait` is the outcome's.
#[test]
fn the_exit_code_is_that_of_the_run() {
    for (outcome, expected) in [
        (RunOutcome::Completed, 0),
        (RunOutcome::Failed, 1),
        (RunOutcome::Partial, 3),
        (RunOutcome::Cancelled, 4),
    ] {
        let daemon = daemon(move |mut call| match call.request {
            Request::Watch { .. } => {
                begin(&mut call.responder, RunState::Running, TaskState::Ready);
                end(call.responder, outcome);
            }
            Request::Wait { target, .. } => call.responder.reply(Reply::ok(&WaitReply {
                target,
                state: outcome.to_string(),
                outcome: Some(outcome),
                reached: true,
            })),
            _ => accept(call),
        });
        let seen = say(daemon.directory(), "run small.toml --yes");
        assert_eq!(code(&seen), expected, "{outcome}: {}", err(&seen));
        assert_eq!(code(&say(daemon.directory(), &format!("wait {}", run()))), expected);
        // `partial` is an outcome; the state of such a run is `completed`.
        let state = if outcome == RunOutcome::Partial { "completed" } else { outcome.word() };
        let seen = say(daemon.directory(), &format!("wait {} --for {state}", run()));
        assert_eq!(code(&seen), 0, "the state was reached: {}", err(&seen));
    }
}

/// Features A10, A11: without a terminal nobody is asked, and the run waits.
#[test]
fn a_run_that_waits_for_a_person_says_so() {
    let daemon = daemon(|mut call| match call.request {
        Request::Watch { .. } => {
            begin(&mut call.responder, RunState::AwaitingApproval, TaskState::Blocked);
        }
        _ => accept(call),
    });
    let seen = say(daemon.directory(), "run small.toml");
    assert_eq!(code(&seen), 5);
    assert!(err(&seen).contains("hint: muxvisor approve PLAN-2026-11-21-001"), "{}", err(&seen));
    let seen = document(&say(daemon.directory(), "run small.toml --json"));
    assert_eq!(seen["error"]["kind"], "waiting");
    let seen = say(daemon.directory(), "run small.toml --detach --json");
    assert_eq!((code(&seen), out(&seen).trim()), (0, r#"{"run":"PLAN-2026-11-21-001"}"#));
    assert!(err(&seen).contains("muxvisor approve"), "{}", err(&seen));
}

/// A daemon that dies whenever it has said its piece: each connection gets its frames, and ends
/// without a word when the last of them is an event.
fn mortal_daemon(home: &Path, mut say: impl FnMut(&Request) -> Vec<Reply> + Send + 'static) {
    let run = home.join("run");
    fs::create_dir(&run).unwrap();
    fs::set_permissions(&run, PermissionsExt::from_mode(0o700)).unwrap();
    let listener = UnixListener::bind(run.join("daemon.sock")).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut length = [0; 4];
            stream.read_exact(&mut length).unwrap();
            let mut content = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut content).unwrap();
            for reply in say(&frame::decode(&content).unwrap()) {
                // A client that has heard the end does not stay for the last word.
                let _ = stream.write_all(&frame::encode(&reply, frame::REPLY_BYTES_MAX).unwrap());
            }
        }
    });
}

/// The trust test's client half: a lost connection is taken up again, and nothing is told twice.
#[test]
fn a_lost_daemon_is_found_again_and_nothing_is_told_twice() {
    let home = home_with_plan();
    let event = |event: WatchEvent| Reply::Event(Box::new(event));
    let begin =
        move |state, task| event(WatchEvent::Snapshot { run: Box::new(snapshot(state, task)) });
    let outcome = RunOutcome::Completed;
    let ended = WatchEvent::Ended { outcome, results: results(outcome) };
    let mut lives = vec![
        vec![begin(RunState::Completing, TaskState::Success), event(ended), Reply::done()],
        vec![begin(RunState::Running, TaskState::Success)],
        vec![begin(RunState::Running, TaskState::Running), event(succeeded())],
        vec![begin(RunState::Running, TaskState::Running)],
        vec![begin(RunState::Running, TaskState::Ready), event(started(1))],
        vec![],
    ];
    mortal_daemon(home.path(), move |request| match request {
        Request::Hello => vec![Reply::ok(&view())],
        Request::History { .. } => vec![no_history()],
        Request::Watch { .. } => lives.pop().unwrap(),
        Request::Submit(_) => vec![Reply::ok(&RunReply { run: run(), state: RunState::Running })],
        Request::Show { .. } => vec![Reply::ok(&snapshot(RunState::Completed, TaskState::Success))],
        other => panic!("{other:?}"),
    });
    let seen = say(home.path(), "run small.toml --yes");
    assert_eq!(code(&seen), 0, "{}", err(&seen));
    let count = |what: &str| out(&seen).matches(what).count();
    assert_eq!(count("lost the daemon"), 5, "{}", out(&seen));
    assert_eq!(count("▸ one (reader)"), 1, "{}", out(&seen));
    assert_eq!(count("✔ one"), 1, "{}", out(&seen));
    assert_eq!(count("hello from one"), 1, "{}", out(&seen));
}

fn spawn(daemon: &Daemon, words: &str) -> Child {
    let mut command = muxvisor(daemon.directory());
    command.args(words.split(' ')).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Ctrl-C ends the watching, not the run.
#[test]
fn an_interrupted_watcher_leaves_the_run_alone() {
    let mut watching = Vec::new();
    let daemon = daemon(move |mut call| match call.request {
        Request::Watch { .. } => {
            begin(&mut call.responder, RunState::Running, TaskState::Running);
            watching.push(call.responder);
        }
        _ => accept(call),
    });
    let mut child = spawn(&daemon, "run small.toml --yes");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().starts_with('▸')).unwrap().unwrap();
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let seen = child.wait_with_output().unwrap();
    assert_eq!(code(&seen), 130);
    assert!(err(&seen).contains("goes on"), "{}", err(&seen));
    assert!(err(&seen).contains("muxvisor cancel PLAN-2026-11-21-001"), "{}", err(&seen));
}

#[test]
fn an_answer_of_the_daemon_becomes_an_exit_code() {
    let daemon = daemon(|call| match call.request {
        Request::Show { .. } => {
            call.responder.reply(Reply::error(FailureKind::Usage, "there is no such run"));
        }
        Request::Results { .. } => {
            call.responder.reply(Reply::error(FailureKind::Waiting, "it is not over"));
        }
        Request::Start { names } => call.responder.reply(Reply::ok(&UnitsReply {
            units: vec![UnitReply {
                name: names[0].clone(),
                answer: Answer::Denied,
                state: InstanceState::Blocked,
                why: "what ran before is not proven dead".into(),
            }],
        })),
        other => panic!("{other:?}"),
    });
    let seen = say(daemon.directory(), "show PLAN-2026-11-21-009");
    assert_eq!((code(&seen), err(&seen).trim()), (2, "muxvisor: there is no such run"));
    assert_eq!(code(&say(daemon.directory(), "results PLAN-2026-11-21-001")), 5);
    let seen = say(daemon.directory(), "start watcher");
    assert_eq!(code(&seen), 1);
    assert!(out(&seen).contains("denied"), "{}", out(&seen));
}

#[test]
fn attach_prints_a_command_for_a_shell() {
    let daemon = daemon(|call| {
        assert_eq!(call.request, Request::Attach { target: Some("one".into()) });
        let (session, window) = ("PLAN-2026-11-21-001".into(), Some("@7".into()));
        let socket = "/h/run/tmux.sock".into();
        let place = AttachReply { socket, session, window, token: None };
        call.responder.reply(Reply::ok(&place));
    });
    let seen = say(daemon.directory(), "attach one --print");
    let expected = "tmux -S /h/run/tmux.sock attach-session -t '=PLAN-2026-11-21-001:@7'";
    assert_eq!(out(&seen).trim(), expected);
    let seen = say(daemon.directory(), "attach one");
    assert_eq!(code(&seen), 2, "there is no terminal here");
    assert!(err(&seen).contains("--print"), "{}", err(&seen));
}

fn logs_of(daemon: &Daemon, state: AttemptState) -> LogsReply {
    let dir = daemon.directory().join("attempts/k7f3");
    fs::create_dir_all(&dir).unwrap();
    let attempt = AttemptId::new("k7f3");
    let (label, agent) = ("wf_one_k7f3".into(), "reader".into());
    LogsReply {
        attempts: vec![AttemptPlace { attempt, n: 1, label, agent, state, outcome: None, dir }],
    }
}

/// A daemon whose `logs` say the same each time.
fn logging_daemon(state: AttemptState) -> Daemon {
    let (send, told) = std::sync::mpsc::channel::<LogsReply>();
    let mut reply = None;
    let daemon = daemon(move |call| {
        let reply = reply.get_or_insert_with(|| told.recv().unwrap());
        call.responder.reply(Reply::ok(reply));
    });
    send.send(logs_of(&daemon, state)).unwrap();
    daemon
}

/// Design §5: `logs` keeps colours, `--plain` strips them.
#[test]
fn logs_are_printed_raw_or_plain() {
    let daemon = logging_daemon(AttemptState::Ended);
    let dir = daemon.directory().join("attempts/k7f3");
    let seen = say(daemon.directory(), "logs one");
    assert_eq!((code(&seen), out(&seen).as_str()), (0, ""), "nothing was written");
    fs::write(dir.join("output.log"), "\x1b[31mred\x1b[0m\r\n1%\r99%\r\nend").unwrap();
    assert_eq!(out(&say(daemon.directory(), "logs one")), "\x1b[31mred\x1b[0m\r\n1%\r99%\r\nend");
    assert_eq!(out(&say(daemon.directory(), "logs one --plain")), "red\n99%\nend");
    let seen = document(&say(daemon.directory(), "logs one --json"));
    assert_eq!(seen["attempts"][0]["n"], 1);
}

/// `-f` prints what comes, and ends with the attempt.
#[test]
fn following_logs_ends_with_the_attempt() {
    let daemon = logging_daemon(AttemptState::Running);
    let dir = daemon.directory().join("attempts/k7f3");
    let log = dir.join("output.log");
    fs::write(&log, "first\n").unwrap();
    let mut child = spawn(&daemon, "logs one -f");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "first");
    fs::write(&log, "first\nsecond\n").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "second");
    fs::write(&log, "first\nsecond\nlast\n").unwrap();
    fs::write(dir.join("exit.json"), "{}").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "last");
    assert!(lines.next().is_none());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// `logs -f | head`: a reader that has seen enough ends it.
#[test]
fn following_logs_ends_with_its_reader() {
    let daemon = logging_daemon(AttemptState::Running);
    let log = daemon.directory().join("attempts/k7f3/output.log");
    fs::write(&log, "first\n").unwrap();
    let mut child = spawn(&daemon, "logs one -f");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "first");
    drop(lines);
    wait_for("the follower to end", || child.try_wait().unwrap().is_some());
}
