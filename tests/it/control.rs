//! The control socket against real peers, good and bad (design §3; faults 58 and 59).

#![expect(clippy::wildcard_enum_match_arm, reason = "a test's daemon knows two or three requests")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use muxvisor::control::frame::{self, Decoder, FrameError, REPLY_BYTES_MAX, REQUEST_BYTES_MAX};
use muxvisor::control::view::{DaemonView, WaitReply};
use muxvisor::control::{
    CONNECTIONS_MAX, Call, Client, ClientError, EVENTS_WAITING_MAX, Environment, FailureKind,
    Listener, PATH_BYTES_MAX, Reply, Request, Responder, SocketError, Step, Submit, WatchEvent,
};
use muxvisor::model::{RunId, TaskId};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::wait::wait_for;

/// A daemon that answers the way its test says, on a thread of its own.
pub(crate) struct Daemon {
    directory: TempDir,
    path: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    fn start(answer: impl FnMut(Call) + Send + 'static) -> Self {
        Self::start_in(private_directory(), "daemon.sock", answer)
    }

    /// One whose socket is at `name` in a directory.
    pub(crate) fn start_in(
        directory: TempDir,
        name: &str,
        mut answer: impl FnMut(Call) + Send + 'static,
    ) -> Self {
        let path = directory.path().join(name);
        let socket = path.clone();
        let thread = std::thread::spawn(move || {
            runtime().block_on(async {
                let listener = Listener::bind(&socket).unwrap();
                let (send, mut calls) = mpsc::channel::<Call>(16);
                let serving = listener.serve(send);
                let looping = async {
                    while let Some(call) = calls.recv().await {
                        if call.request == (Request::Shutdown { stop_agents: false }) {
                            return call.responder.reply_and_wait(Reply::done()).await;
                        }
                        answer(call);
                    }
                };
                tokio::select! { () = serving => {}, () = looping => {} }
            });
        });
        let daemon = Self { directory, path, thread: Some(thread) };
        wait_for("the socket", || daemon.path().exists());
        daemon
    }

    /// The directory that it was started in.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    fn client(&self) -> Client {
        Client::at(self.path())
    }

    fn is_well(&self) -> bool {
        self.client().ask_for::<DaemonView>(&Request::Hello).is_ok_and(|seen| seen == view())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        wait_for("the daemon to take its leave", || {
            let bye = Request::Shutdown { stop_agents: false };
            self.thread.as_ref().is_none_or(JoinHandle::is_finished)
                || self.client().ask(&bye).is_ok()
        });
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap()
}

pub(crate) fn private_directory() -> TempDir {
    tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o700)).tempdir().unwrap()
}

pub(crate) fn view() -> DaemonView {
    DaemonView {
        pid: 1,
        version: "0.1.0".into(),
        protocol: 1,
        started_at_ms: 2,
        home: "/home".into(),
        tmux: Default::default(),
        limits: None,
        ending: false,
        alarm: None,
    }
}

fn hello(call: Call) {
    call.responder.reply(Reply::ok(&view()));
}

fn queued(n: usize) -> WatchEvent {
    WatchEvent::TaskQueued { task: TaskId::new(format!("task-{n}")) }
}

fn run() -> RunId {
    RunId::of_day("2026-11-21", 1)
}

/// What the daemon says to raw bytes before it closes the connection; `None` without an answer.
fn say(path: &Path, bytes: &[u8]) -> Option<Reply> {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let _ = stream.write_all(bytes);
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    let mut decoder = Decoder::new(REPLY_BYTES_MAX);
    decoder.feed(&answer);
    let frame = decoder.next_frame().unwrap()?;
    assert_eq!(decoder.pending(), 0, "one answer, then the end");
    Some(frame::decode(&frame).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Any bytes in any pieces: no panic, no more than they are, and the same as in one piece.
    #[test]
    fn the_decoder_takes_anything_in_any_pieces(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        cuts in prop::collection::vec(0usize..200, 0..8),
    ) {
        let frames = |pieces: &[&[u8]]| {
            let mut decoder = Decoder::new(64);
            let mut seen = Vec::new();
            for piece in pieces {
                decoder.feed(piece);
                assert!(decoder.pending() <= bytes.len());
                while let Ok(Some(frame)) = decoder.next_frame() {
                    assert!(frame.len() <= 64);
                    seen.push(frame);
                }
            }
            (seen, decoder.next_frame())
        };
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
        prop_assert_eq!(frames(&pieces), frames(&[&bytes]));
    }

    /// What was encoded comes out, one by one, however it was cut.
    #[test]
    fn frames_come_out_as_they_went_in(
        texts in prop::collection::vec(".{0,40}", 1..6),
        piece in 1usize..20,
    ) {
        let mut decoder = Decoder::new(4096);
        let mut seen = Vec::new();
        let bytes: Vec<u8> =
            texts.iter().flat_map(|text| frame::encode(text, 4096).unwrap()).collect();
        for bytes in bytes.chunks(piece) {
            decoder.feed(bytes);
            while let Some(frame) = decoder.next_frame().unwrap() {
                seen.push(frame::decode::<String>(&frame).unwrap());
            }
        }
        prop_assert_eq!(seen, texts);
    }

    /// No bytes make the reading of a request panic.
    #[test]
    fn no_content_is_too_odd_for_the_request_reader(
        bytes in prop::collection::vec(any::<u8>(), 0..100),
        verb in "(ps|submit|watch|wait|up|why|logs)",
        rest in "[\\[\\]{}:,\"a-z0-9]{0,30}",
    ) {
        let _ = frame::decode::<Request>(&bytes);
        let _ = frame::decode::<Request>(format!(r#"{{"do":"{verb}",{rest}}}"#).as_bytes());
    }
}

/// The words on the wire are a contract between versions.
#[test]
fn requests_and_replies_have_these_words() {
    let text = |request: &Request| serde_json::to_value(request).unwrap();
    assert_eq!(text(&Request::Ps), json!({"do": "ps"}));
    assert_eq!(
        text(&Request::ResetFailed { name: "a".into() }),
        json!({"do": "reset-failed", "name": "a"})
    );
    assert_eq!(frame::decode::<Request>(br#"{"do":"up"}"#), Ok(Request::Up { names: Vec::new() }));
    let submit = Request::Submit(Box::new(Submit {
        text: "plan = 'x'".into(),
        path: "/p.toml".into(),
        cwd: "/".into(),
        env: Environment(vec![("KEY".into(), "secret".into())]),
        inputs: [("a".to_owned(), "b".to_owned())].into(),
        yes: true,
        demo: false,
        max_parallel: Some(3),
    }));
    let bytes = frame::encode(&submit, REQUEST_BYTES_MAX).unwrap();
    assert_eq!(frame::decode::<Request>(&bytes[4..]), Ok(submit.clone()));
    assert!(!format!("{submit:?}").contains("secret"), "logs never show an environment");
    assert_eq!(serde_json::to_value(Reply::ok(&1)).unwrap(), json!({"ok": 1}));
    let event = serde_json::to_value(Reply::Event(Box::new(queued(1)))).unwrap();
    assert_eq!(event, json!({"event": {"event": "task-queued", "task": "task-1"}}));
    let error = serde_json::to_value(Reply::error(FailureKind::Waiting, "no")).unwrap();
    assert_eq!(
        error,
        json!({"error": {"kind": "waiting", "message": "no", "hint": null, "findings": []}})
    );
}

#[test]
fn a_request_gets_its_answer_and_the_peer_is_known() {
    let daemon = Daemon::start(|call| {
        assert_eq!(call.peer.pid, Some(i32::try_from(std::process::id()).unwrap()));
        match call.request {
            Request::Hello => hello(call),
            _ => call.responder.reply(Reply::error(FailureKind::Usage, "no such thing")),
        }
    });
    assert!(daemon.is_well());
    let refused = daemon.client().ask(&Request::Ps).unwrap_err();
    let ClientError::Refused(failure) = refused else { panic!("{refused}") };
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Usage, "no such thing"));
    assert_eq!(failure.kind.exit_code(), 2);
}

#[test]
fn a_daemon_that_forgets_to_answer_is_an_internal_failure() {
    let daemon = Daemon::start(drop);
    let error = daemon.client().ask(&Request::Ps).unwrap_err();
    assert!(matches!(error, ClientError::Refused(f) if f.kind == FailureKind::Internal));
}

#[test]
fn nobody_at_the_socket_is_told_as_such() {
    let directory = private_directory();
    let path = directory.path().join("daemon.sock");
    let ask = || Client::at(&path).ask(&Request::Ps).unwrap_err();
    assert!(matches!(ask(), ClientError::Unreachable { .. }));
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a socket that a dead daemon left");
    assert!(matches!(ask(), ClientError::Unreachable { .. }));
}

/// Bad peers: each is told off or dropped, and the daemon serves the next one.
#[test]
fn garbage_and_half_frames_are_bounded() {
    let daemon = Daemon::start(hello);
    let huge = u32::MAX.to_be_bytes();
    let over = u32::try_from(REQUEST_BYTES_MAX + 1).unwrap().to_be_bytes();
    let garbage = [&[0, 0, 0, 5], b"{{{{{".as_slice()].concat();
    let unknown = frame::encode(&json!({"do": "dance"}), 100).unwrap();
    let deep = [&100_000u32.to_be_bytes()[..], &[b'['; 100_000]].concat();
    for bytes in [&huge[..], &over, &[0; 4], &garbage, &unknown, &deep, b"GET / HTTP/1.1\r\n\r\n"] {
        let Some(Reply::Error(failure)) = say(&daemon.path(), bytes) else {
            panic!("{bytes:?} must be refused")
        };
        assert_eq!(failure.kind, FailureKind::Usage, "{failure}");
        assert!(daemon.is_well());
    }
    for half in [&[][..], &[0], &[0, 0, 0, 9], &[0, 0, 0, 9, b'{']] {
        assert_eq!(say(&daemon.path(), half), None);
        assert!(daemon.is_well());
    }
}

#[test]
fn a_request_of_the_largest_size_passes() {
    let daemon = Daemon::start(|call| match &call.request {
        Request::Why { target } => {
            let length = target.len();
            call.responder.reply(Reply::ok(&length));
        }
        _ => hello(call),
    });
    let envelope = frame::encode(&Request::Why { target: String::new() }, 100).unwrap().len() - 4;
    let target = "x".repeat(REQUEST_BYTES_MAX - envelope);
    let length = daemon.client().ask_for::<usize>(&Request::Why { target: target.clone() });
    assert_eq!(length.unwrap(), target.len());
    let longer = daemon.client().ask(&Request::Why { target: target + "x" }).unwrap_err();
    assert!(matches!(longer, ClientError::Frame(FrameError::TooLong { .. })), "{longer}");
}

/// A thousand connections that never say anything lock nobody out.
#[test]
fn a_thousand_silent_connections_lock_nobody_out() {
    let daemon = Daemon::start(hello);
    let silent: Vec<UnixStream> = (0..1000)
        .map(|n| {
            let mut stream = UnixStream::connect(daemon.path()).unwrap();
            let _ = stream.write_all(&[0, 0, 0, 9][..n % 5]);
            stream
        })
        .collect();
    wait_for("an answer among silent connections", || daemon.is_well());
    drop(silent);
    assert!(daemon.is_well());
}

/// More clients than places, all at once and all with short requests: every one is served.
#[test]
fn a_burst_of_short_requests_is_served_whole() {
    let daemon = Daemon::start(hello);
    std::thread::scope(|scope| {
        for _ in 0..3 * CONNECTIONS_MAX {
            scope.spawn(|| daemon.client().ask(&Request::Hello).unwrap());
        }
    });
}

/// When every place is taken by somebody who waits for an answer, the next is told so.
#[test]
fn a_full_house_is_told_as_such() {
    let mut held: Vec<Responder> = Vec::new();
    let daemon = Daemon::start(move |call| match call.request {
        Request::Wait { .. } => held.push(call.responder),
        Request::Runs { .. } => {
            call.responder.reply(Reply::ok(&held.iter().filter(|r| !r.is_gone()).count()));
        }
        _ => hello(call),
    });
    let wait = Request::Wait { target: "a".into(), for_state: None, timeout_ms: None };
    let count = || daemon.client().ask_for::<usize>(&Request::Runs { active: true });
    let mut waiting = Vec::new();
    for n in 1..CONNECTIONS_MAX {
        waiting.push(daemon.client().watch(&wait).unwrap());
        wait_for("the next one to wait", || count().is_ok_and(|seen| seen == n));
    }
    waiting.push(daemon.client().watch(&wait).unwrap());
    let error = daemon.client().ask(&Request::Hello).unwrap_err();
    let ClientError::Refused(failure) = error else { panic!("{error}") };
    assert_eq!(failure.kind, FailureKind::Unreachable);
    assert!(failure.message.contains("64 clients"), "{failure}");
    drop(waiting);
    wait_for("the places to be free again", || count().is_ok_and(|seen| seen == 0));
}

/// Feature L9: a watcher gets every event in order, then the end.
#[test]
fn a_watcher_gets_all_events_in_order() {
    let daemon = Daemon::start(|mut call| match call.request {
        Request::Watch { .. } => {
            for n in 0..EVENTS_WAITING_MAX / 2 {
                call.responder.event(queued(n)).unwrap();
            }
            call.responder.reply(Reply::ok(&"end"));
        }
        _ => hello(call),
    });
    let mut line = daemon.client().watch(&Request::Watch { run: run() }).unwrap();
    for n in 0..EVENTS_WAITING_MAX / 2 {
        let Step::Event(event) = line.next_step(None).unwrap() else { panic!("{n}") };
        assert_eq!(*event, queued(n));
    }
    assert!(matches!(line.next_step(None).unwrap(), Step::Done(value) if value == "end"));
}

/// A watcher that does not read is cut off; the daemon never waits for it.
#[test]
fn a_slow_watcher_is_dropped_and_nobody_waits() {
    let daemon = Daemon::start(|mut call| match call.request {
        Request::Watch { .. } => {
            let mut sent = 0;
            while call.responder.event(queued(sent)).is_ok() {
                sent += 1;
            }
            assert!(sent >= EVENTS_WAITING_MAX);
            assert!(call.responder.event(queued(0)).is_err(), "once cut, always cut");
        }
        _ => hello(call),
    });
    let mut line = daemon.client().watch(&Request::Watch { run: run() }).unwrap();
    assert!(daemon.is_well());
    let end = std::iter::repeat_with(|| line.next_step(None)).find_map(Result::err).unwrap();
    assert!(matches!(end, ClientError::Lost(_)), "{end}");
}

#[test]
fn the_daemon_learns_that_a_waiting_client_went_away() {
    let (gone, went) = std::sync::mpsc::channel();
    let mut held: Vec<Responder> = Vec::new();
    let daemon = Daemon::start(move |call| match call.request {
        Request::Wait { .. } => held.push(call.responder),
        _ => {
            gone.send(held.iter().filter(|one| one.is_gone()).count()).unwrap();
            hello(call);
        }
    });
    let wait = Request::Wait { target: "a".into(), for_state: None, timeout_ms: None };
    let line = daemon.client().watch(&wait).unwrap();
    assert!(daemon.is_well());
    assert_eq!(went.recv().unwrap(), 0);
    drop(line);
    wait_for("the responder to be gone", || daemon.is_well() && went.recv().unwrap() == 1);
}

#[test]
fn a_wait_is_interrupted_by_another_descriptor() {
    let mut held = Vec::new();
    let daemon = Daemon::start(move |call| match call.request {
        Request::Wait { .. } => held.push(call.responder),
        Request::Ps => {
            let done = WaitReply {
                target: "a".into(),
                state: "running".into(),
                outcome: None,
                reached: true,
            };
            held.drain(..).for_each(|one: Responder| one.reply(Reply::ok(&done)));
            hello(call);
        }
        _ => hello(call),
    });
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let wait = Request::Wait { target: "a".into(), for_state: None, timeout_ms: None };
    let mut line = daemon.client().watch(&wait).unwrap();
    theirs.write_all(b"!").unwrap();
    let interrupt = Some(std::os::fd::AsFd::as_fd(&ours));
    assert!(matches!(line.next_step(interrupt).unwrap(), Step::Interrupted));
    wait_for("the wait to be known", || daemon.is_well());
    daemon.client().ask(&Request::Ps).unwrap();
    assert!(matches!(line.next_step(None).unwrap(), Step::Done(_)));
}

/// Fault A11: a stale socket is replaced without manual cleanup; A file of another kind is kept.
#[test]
fn binding_replaces_a_stale_socket_and_nothing_else() {
    let _runtime = runtime();
    let _inside = _runtime.enter();
    let directory = private_directory();
    let path = directory.path().join("daemon.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let first = Listener::bind(&path).unwrap();
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    assert_eq!(directory.path().read_dir().unwrap().count(), 1, "no temporary name is left");
    let second = Listener::bind(&path).unwrap();
    assert!(!first.stands() && second.stands());
    drop(first);
    assert!(path.exists(), "the name belongs to the second");
    std::fs::remove_file(&path).unwrap();
    assert!(!second.stands(), "so that SIGUSR1 can make it anew");
    std::fs::write(&path, "kept").unwrap();
    drop(second);
    assert!(matches!(Listener::bind(&path).unwrap_err(), SocketError::Occupied(_)));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept");
}

/// Design §3: the directory is ours alone; links are not followed.
#[test]
fn a_directory_that_others_may_enter_is_refused() {
    let _runtime = runtime();
    let _inside = _runtime.enter();
    let directory = private_directory();
    let open = directory.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o750)).unwrap();
    let link = directory.path().join("link");
    symlink(directory.path(), &link).unwrap();
    for wrong in [open, link] {
        let error = Listener::bind(&wrong.join("daemon.sock")).unwrap_err();
        assert!(matches!(error, SocketError::NotPrivate { .. }), "{error}");
    }
    let made = directory.path().join("a/b");
    let listener = Listener::bind(&made.join("daemon.sock")).unwrap();
    assert_eq!(made.metadata().unwrap().mode() & 0o777, 0o700);
    drop(listener);
}

/// Design §3: never a truncation.
#[test]
fn a_path_that_does_not_fit_is_an_error_that_says_so() {
    let _runtime = runtime();
    let _inside = _runtime.enter();
    let directory = private_directory();
    let room = PATH_BYTES_MAX - directory.path().as_os_str().len() - "/daemon.sock".len() - 1;
    let fits = directory.path().join("d".repeat(room)).join("daemon.sock");
    assert_eq!(fits.as_os_str().len(), PATH_BYTES_MAX);
    drop(Listener::bind(&fits).unwrap());
    let long = directory.path().join("d".repeat(room + 1)).join("daemon.sock");
    let error = Listener::bind(&long).unwrap_err();
    assert!(error.to_string().contains("108 bytes"), "{error}");
    let error = Client::at(&long).ask(&Request::Ps).unwrap_err();
    assert!(error.to_string().contains("use a shorter --home"), "{error}");
}
