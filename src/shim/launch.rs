//! From an attempt directory to a running agent: lock, spec, streams, fork, record, go.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{pipe2, setsid};

use super::leaf::{self, Leaf};
use super::lock::{self, REFUSED};
use super::log::Log;
use super::notify::{self, Notify};
use super::record::Reserved;
use super::report::Reporter;
use super::socket::Socket;
use super::spawn::{self, Held, Streams, failure};
use super::streams::{Inner, Source};
use super::supervise::{Parts, Shim};
use super::window::{Server, Window};
use super::{ending, mark, now, pty};
use crate::failpoint;
use crate::model::{ExecFailure, ProcessMark, Spec, Started, StdinFrom, files};

/// Where a shim notes its own troubles, in the attempt's directory; absent when it had none.
pub const COMPLAINTS: &str = "shim.log";

/// The agent's ends of the streams, and ours.
struct Ends {
    agent: Streams,
    sources: Vec<Source>,
    inner: Option<Inner>,
}

/// Starts the agent of `dir`, or says with which code the shim ends.
pub(super) fn launch(dir: &Path) -> Result<Shim, i32> {
    let lock = match failpoint::io("shim.take-lock", || lock::take(dir)) {
        Ok(Some(lock)) if !has_run(dir) => lock,
        Ok(_) => return Err(REFUSED),
        Err(error) => {
            tell(&format!("muxvisor: cannot open {}: {error}\n", dir.join(files::SPEC).display()));
            return Err(66);
        }
    };
    let read = failpoint::step("shim.read-spec", || read_spec(dir, &lock));
    let mut spec = read.map_err(|why| give_up(dir, &why.0, why.1))?;
    // While tmux is away an attempt starts without the window that it will be shown in later.
    spec.windowed &= io::stdin().is_terminal();
    let signals = take_signals(&spec).map_err(|failed| give_up(dir, &spec, failed))?;
    start(dir, &spec, lock, signals).map_err(|failed| give_up(dir, &spec, failed))
}

fn has_run(dir: &Path) -> bool {
    [files::STARTED, files::EXIT].iter().any(|name| dir.join(name).exists())
}

/// Reads the spec through the locked file: opening it again would drop the lock.
fn read_spec(dir: &Path, lock: &File) -> Result<Spec, Box<(Spec, ExecFailure)>> {
    let read = io::read_to_string(lock).and_then(|text| Ok(serde_json::from_str::<Spec>(&text)?));
    read.map_err(|error| {
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let message = format!("cannot read {}: {error}", dir.join(files::SPEC).display());
        let errno = error.raw_os_error().unwrap_or(Errno::EINVAL as i32);
        Box::new((ending::nameless(name), ExecFailure { step: "spec".to_owned(), errno, message }))
    })
}

/// Every signal becomes something to read, and every orphan below becomes ours.
fn take_signals(spec: &Spec) -> Result<SignalFd, ExecFailure> {
    let failed = |errno| failure("fork", errno, "cannot take over signals");
    if !spec.windowed {
        // Fails for a process that leads a group already, which is as good.
        let _ = setsid();
    }
    set_child_subreaper(true).map_err(failed)?;
    let all = SigSet::all();
    all.thread_block().map_err(failed)?;
    SignalFd::with_flags(&all, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map_err(failed)
}

fn start(dir: &Path, spec: &Spec, lock: File, signals: SignalFd) -> Result<Shim, ExecFailure> {
    let window = Window::open(spec);
    let server = spec.server.clone().filter(|_| window.is_some()).map(Server::watch);
    let size = window.as_ref().and_then(Window::size);
    let ends = failpoint::step("shim.open-streams", || open_ends(dir, spec, size))?;
    let began_ms = now::monotonic_ms();
    let log = failpoint::io("shim.open-log", || Log::open(dir, began_ms))
        .map_err(|e| io_failure("spec", &e, "cannot open the log"))?;
    let exit = failpoint::io("shim.reserve-exit", || Reserved::reserve(dir, files::EXIT))
        .map_err(|e| io_failure("spec", &e, "cannot write to the attempt's directory"))?;
    let own = spec.socket.with_extension(notify::EXTENSION);
    let notify = failpoint::io("shim.bind-notify", || Notify::listen(&own));
    let notify = notify.map_err(|e| complain(dir, &own, &e, "the agent has no NOTIFY_SOCKET")).ok();
    // What cannot run is never on record as started, so that nobody takes it for ready.
    spawn::preflight(spec)?;
    let leaf = failpoint::step("shim.make-group", || leaf::make(spec))?;
    let path = notify.as_ref().map(Notify::path);
    let held =
        failpoint::step("shim.fork", || spawn::fork_held(spec, ends.agent, leaf.as_ref(), path))?;
    let (started, record) = note_start(dir, spec, &held)?;
    let socket = failpoint::io("shim.bind-socket", || Socket::listen(&spec.socket));
    let socket = socket.map_err(|e| complain(dir, &spec.socket, &e, "stop it by SIGTERM")).ok();
    let agent = held.pid;
    failpoint::step("shim.release", || held.release(spec))
        .inspect_err(|_| leaf.iter().for_each(Leaf::remove))?;
    // The agent does not wait for the disk. After a power cut that came before this, the next daemon
    // takes what it finds unlaunched of an earlier boot for lost.
    let _ = failpoint::io("shim.sync-started", || record.sync());
    Ok(Shim::new(Parts {
        spec: spec.clone(),
        lock,
        signals,
        window,
        server,
        sources: ends.sources,
        inner: ends.inner,
        log,
        exit,
        started,
        socket,
        notify,
        reporter: Reporter::new(dir, spec),
        agent,
        leaf,
        began_ms,
    }))
}

/// Puts the agent on record; it has not executed anything yet.
fn note_start(dir: &Path, spec: &Spec, held: &Held) -> Result<(Started, Reserved), ExecFailure> {
    failpoint::step("shim.adjust-oom", || adjust_oom(held.pid, spec.oom_score_adjust));
    let gone = || failure("fork", Errno::ESRCH, "cannot see the new process in /proc");
    let marked =
        |pid: i32| -> Result<ProcessMark, ExecFailure> { mark::mark_of(pid).ok_or_else(gone) };
    let started = Started {
        attempt: spec.attempt.clone(),
        token: spec.token.clone(),
        agent: marked(held.pid)?,
        shim: marked(std::process::id().cast_signed())?,
        at_ms: now::wall_ms(),
    };
    let written = failpoint::io("shim.write-started", || {
        let record = Reserved::open(dir, files::STARTED)?;
        record.publish(&started)?;
        Ok(record)
    });
    let record = written.map_err(|e| io_failure("spec", &e, "cannot write started.json"))?;
    Ok((started, record))
}

fn open_ends(dir: &Path, spec: &Spec, size: Option<(u16, u16)>) -> Result<Ends, ExecFailure> {
    match &spec.terminal {
        Some(terminal) => {
            let failed = |errno| failure("terminal", errno, "cannot open a terminal");
            let pair = pty::open(terminal, size).map_err(failed)?;
            let copy = |fd: &OwnedFd| {
                fd.try_clone().map_err(|e| io_failure("terminal", &e, "cannot open a terminal"))
            };
            let stdin = match &spec.stdin {
                StdinFrom::Terminal => copy(&pair.slave)?,
                StdinFrom::Null => null()?,
                StdinFrom::File(path) => open_stdin(&dir.join(path))?,
            };
            let (stdout, stderr) = (copy(&pair.slave)?, copy(&pair.slave)?);
            let agent = Streams { stdin, stdout, stderr, terminal: Some(copy(&pair.slave)?) };
            let sources = vec![Source::new(copy(&pair.master)?, 't')];
            Ok(Ends { agent, sources, inner: Some(Inner::new(pair)) })
        }
        None => {
            let failed = |errno| failure("fork", errno, "cannot open pipes");
            let stdin = match &spec.stdin {
                StdinFrom::Terminal | StdinFrom::Null => null()?,
                StdinFrom::File(path) => open_stdin(&dir.join(path))?,
            };
            let (out, stdout) = pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
            let (err, stderr) = pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
            pty::set_nonblocking(&out).and_then(|()| pty::set_nonblocking(&err)).map_err(failed)?;
            let agent = Streams { stdin, stdout, stderr, terminal: None };
            Ok(Ends {
                agent,
                sources: vec![Source::new(out, 'o'), Source::new(err, 'e')],
                inner: None,
            })
        }
    }
}

fn null() -> Result<OwnedFd, ExecFailure> {
    open_stdin(Path::new("/dev/null"))
}

fn open_stdin(path: &Path) -> Result<OwnedFd, ExecFailure> {
    File::open(path)
        .map(OwnedFd::from)
        .map_err(|e| io_failure("stdin", &e, &format!("cannot open `{}`", path.display())))
}

fn io_failure(step: &str, error: &io::Error, what: &str) -> ExecFailure {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(Errno::EIO as i32));
    failure(step, errno, what)
}

/// Makes the kernel prefer the agent to the shim when memory ends. Best effort.
fn adjust_oom(pid: i32, by: i32) {
    let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    let own: i32 = own.trim().parse().unwrap_or(0);
    let _ =
        fs::write(format!("/proc/{pid}/oom_score_adj"), (own + by).clamp(-1000, 1000).to_string());
}

/// A shim without sockets still runs its agent and obeys SIGTERM; a person is told where they look.
fn complain(dir: &Path, socket: &Path, error: &io::Error, so: &str) {
    let text = format!("[muxvisor: cannot listen on {}: {error}; {so}]\r\n", socket.display());
    tell(&text);
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    if let Ok(mut file) = options.open(dir.join(COMPLAINTS)) {
        let _ = io::Write::write_all(&mut file, text.as_bytes());
    }
}

/// The agent never ran: says so in `exit.json` and in the window.
fn give_up(dir: &Path, spec: &Spec, failed: ExecFailure) -> i32 {
    tell(&format!("[muxvisor: {}]\r\n", failed.message));
    ending::never_ran(dir, spec, failed)
}

/// Writes where a person may see it, and does not mind when nobody can.
fn tell(text: &str) {
    let _ = io::Write::write_all(&mut io::stderr(), text.as_bytes());
}
