//! The program in a window that the shim does not stand in: shows an agent through its shim's
//! socket, and types there what a person types here.
//!
//! ```text
//! terminal --keys, sizes--> viewer --frames--> shim
//! terminal <---output------ viewer <--output-- shim
//! ```
//! It ends when the agent does, with the code that the shim ends with. Its own terminal is given
//! back as it was, whichever way it ends.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::dialogue::Dialogue;
use super::message::{Reply, Request};
use super::screen::Screen;
use super::sockaddr::with_short;
use super::{frames, lock, mark};
use crate::failpoint;
use crate::model::{Exit, ServerMark, Spec, files};

/// Leaves a view that stands in no window of ours; the agent never sees it.
const LEAVE: u8 = 0x1c;
/// How long a shim may take to answer, and one that was only just started to listen.
const PATIENCE_MS: u16 = 5_000;
const LISTEN_TRIES: u32 = 250;
const LISTEN_AGAIN_MS: u8 = 20;
/// The longest answer to a request.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Typed bytes that wait for the shim at most; beyond that the keyboard waits.
const TYPED_BYTES_MAX: usize = 64 * 1024;

/// What a viewer was asked to show.
pub(super) struct Viewing<'a> {
    /// The attempt's directory.
    pub(super) dir: &'a Path,
    /// The tmux server of the window that it stands in, if that is one of ours.
    pub(super) server: Option<ServerMark>,
}

/// Why nothing can be shown, or no longer.
enum End {
    /// The connection ended: most likely because the agent did.
    Over,
    /// The window went away.
    HungUp,
    /// A signal, by its number.
    Signalled(i32),
    /// A person left.
    Left,
    /// For a person.
    Failed(String),
}

/// Shows the agent and returns the code to end with.
pub(super) fn view(viewing: &Viewing<'_>) -> i32 {
    let end = match prepare(viewing) {
        Ok(mut talk) => talk.run(),
        Err(end) => end,
    };
    match end {
        End::Over => over(viewing.dir),
        End::HungUp => 128 + libc::SIGHUP,
        End::Signalled(signal) => 128 + signal,
        End::Left => {
            tell("left; the agent goes on");
            0
        }
        End::Failed(why) => {
            tell(&why);
            1
        }
    }
}

/// The shim's own code, from the record that it left.
fn over(dir: &Path) -> i32 {
    let record = fs::read(dir.join(files::EXIT)).ok();
    let exit: Option<Exit> = record.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    match exit {
        Some(Exit { exec_failure: Some(failure), .. }) => {
            if failure.errno == Errno::ENOENT as i32 {
                127
            } else {
                126
            }
        }
        Some(exit) => exit.code.unwrap_or_else(|| 128 + exit.signal.unwrap_or(libc::SIGKILL)),
        None if matches!(lock::holder(dir), Ok(Some(_))) => {
            tell("the shim lets others look in this place; the agent goes on");
            1
        }
        None => {
            tell("the agent's shim is gone");
            128 + libc::SIGKILL
        }
    }
}

fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "[muxvisor: {text}]");
}

fn prepare(viewing: &Viewing<'_>) -> Result<Talk, End> {
    let spec = read_spec(viewing.dir)?;
    let all = SigSet::all();
    let signals = all
        .thread_block()
        .and_then(|()| SignalFd::with_flags(&all, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC))
        .map_err(|errno| End::Failed(format!("cannot take over signals: {errno}")))?;
    let screen = failpoint::io("view.open-screen", Screen::open)
        .map_err(|why| End::Failed(format!("no terminal: {why}")))?;
    let mut shim = failpoint::step("view.connect", || connect(viewing.dir, &spec.socket))?;
    let (columns, rows) = screen.size();
    let request = Request::View { columns, rows, server: viewing.server.clone() };
    let shown = failpoint::step("view.ask", || ask(&mut shim, &request))?;
    shim.set_nonblocking(true).map_err(|why| End::Failed(why.to_string()))?;
    let is_window = viewing.server.is_some();
    if !is_window {
        // The terminal is raw by now: a line feed alone would not go back to its left edge.
        let _ = write!(io::stderr(), "[muxvisor: {}; Ctrl-\\ leaves]\r\n", spec.label);
    }
    let (dialogue, unsent) = (Dialogue::default(), Vec::new());
    let mut talk = Talk { signals, screen, shim, dialogue, unshown: Vec::new(), unsent, is_window };
    talk.show(&shown);
    Ok(talk)
}

fn read_spec(dir: &Path) -> Result<Spec, End> {
    let path = dir.join(files::SPEC);
    let failed =
        |why: &dyn std::fmt::Display| End::Failed(format!("cannot read {}: {why}", path.display()));
    let text = fs::read(&path).map_err(|why| failed(&why))?;
    serde_json::from_slice(&text).map_err(|why| failed(&why))
}

/// Connects to a shim, waiting for one that does not listen yet.
fn connect(dir: &Path, socket: &Path) -> Result<UnixStream, End> {
    for _ in 0..LISTEN_TRIES {
        let connected = with_short(socket, |short| UnixStream::connect(short));
        let error = match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        if dir.join(files::EXIT).exists() || matches!(lock::holder(dir), Ok(None)) {
            return Err(End::Over);
        }
        if ![io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused].contains(&error.kind()) {
            return Err(End::Failed(format!("cannot reach the shim: {error}")));
        }
        let _ = poll(&mut [], PollTimeout::from(LISTEN_AGAIN_MS));
    }
    Err(End::Failed(format!("no shim listens on {}", socket.display())))
}

/// Asks to look on; returns the output that came right behind the answer.
fn ask(shim: &mut UnixStream, request: &Request) -> Result<Vec<u8>, End> {
    let failed = |why: String| End::Failed(format!("the shim gave no good answer: {why}"));
    let mut line = serde_json::to_vec(request).unwrap_or_default();
    line.push(b'\n');
    shim.write_all(&line).map_err(|why| failed(why.to_string()))?;
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    let end = loop {
        if let Some(end) = memchr::memchr(b'\n', &received) {
            break end;
        }
        let mut fds = [PollFd::new(shim.as_fd(), PollFlags::POLLIN)];
        if !poll(&mut fds, PollTimeout::from(PATIENCE_MS)).is_ok_and(|ready| ready > 0) {
            return Err(failed("it takes too long".to_owned()));
        }
        match shim.read(&mut buffer) {
            Ok(0) => return Err(End::Over),
            Ok(n) => received.extend_from_slice(&buffer[..n]),
            Err(why) => return Err(failed(why.to_string())),
        }
        if received.len() > ANSWER_BYTES_MAX {
            return Err(failed("it is too long".to_owned()));
        }
    };
    let shown = received.split_off(end + 1);
    match serde_json::from_slice(&received) {
        Ok(Reply::Done) => Ok(shown),
        Ok(Reply::Refused { message }) => Err(failed(message)),
        Ok(Reply::Status(_)) => Err(failed("it is not the answer to this".to_owned())),
        Err(why) => Err(failed(why.to_string())),
    }
}

/// A view under way.
struct Talk {
    signals: SignalFd,
    screen: Screen,
    shim: UnixStream,
    /// Knows which switches the output has set, to set them back.
    dialogue: Dialogue,
    unshown: Vec<u8>,
    unsent: Vec<u8>,
    /// Whether this is a window of ours, which stays as the agent left it.
    is_window: bool,
}

impl Talk {
    fn run(&mut self) -> End {
        let end = self.copy();
        if matches!(end, End::Over | End::Left) {
            self.finish_showing();
        }
        if !self.is_window && !matches!(end, End::HungUp) {
            let back = self.dialogue.modes().undo();
            self.unshown.extend_from_slice(&back);
            self.unshown.extend_from_slice(b"\r\n");
            self.finish_showing();
        }
        failpoint::step("view.restore-screen", || self.screen.restore());
        end
    }

    fn copy(&mut self) -> End {
        loop {
            let [signals, keyboard, room, shim] = self.wait();
            if signals && let Some(end) = self.take_signals() {
                return end;
            }
            if keyboard && let Some(end) = self.take_keys() {
                return end;
            }
            if room {
                self.flush_screen();
            }
            if shim && let Some(end) = self.take_output() {
                return end;
            }
        }
    }

    fn wait(&self) -> [bool; 4] {
        let on = |wanted: bool, flag: PollFlags| if wanted { flag } else { PollFlags::empty() };
        let keys = on(self.unsent.len() < TYPED_BYTES_MAX, PollFlags::POLLIN);
        let room = on(!self.unshown.is_empty(), PollFlags::POLLOUT);
        // While the terminal takes nothing, the shim keeps the output and shortens it.
        let output = on(self.unshown.is_empty(), PollFlags::POLLIN);
        let send = on(!self.unsent.is_empty(), PollFlags::POLLOUT);
        let mut fds = [
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.screen.keyboard(), keys),
            PollFd::new(self.screen.output(), room),
            PollFd::new(self.shim.as_fd(), output | send),
        ];
        if poll(&mut fds, PollTimeout::NONE).is_err() {
            return [false; 4];
        }
        fds.map(|fd| fd.revents().is_some_and(|events| !events.is_empty()))
    }

    fn take_signals(&mut self) -> Option<End> {
        while let Ok(Some(info)) = self.signals.read_signal() {
            match info.ssi_signo.cast_signed() {
                libc::SIGWINCH | libc::SIGCONT => {
                    self.screen.make_raw();
                    let (columns, rows) = self.screen.size();
                    self.send(&frames::size(columns, rows));
                }
                libc::SIGHUP => return Some(self.hang_up()),
                // Suspending would leave the shim with a viewer that does not read.
                signal @ (libc::SIGTERM | libc::SIGINT | libc::SIGQUIT) => {
                    return Some(End::Signalled(signal));
                }
                _ => {}
            }
        }
        None
    }

    fn take_keys(&mut self) -> Option<End> {
        let Some(typed) = self.screen.typed() else { return Some(self.hang_up()) };
        if !self.is_window && typed.contains(&LEAVE) {
            return Some(End::Left);
        }
        self.send(&frames::input(&typed));
        None
    }

    /// Says that the window went away; whether that is a stop, the shim finds out.
    fn hang_up(&mut self) -> End {
        if self.is_window {
            let _ = self.shim.set_nonblocking(false);
            self.unsent.extend_from_slice(&frames::hangup());
            let _ = failpoint::io("view.hang-up", || self.shim.write_all(&self.unsent));
        }
        End::HungUp
    }

    fn take_output(&mut self) -> Option<End> {
        self.send(&[]);
        if !self.unshown.is_empty() {
            return None;
        }
        let mut buffer = [0; 16 * 1024];
        match self.shim.read(&mut buffer) {
            Ok(0) => return Some(End::Over),
            Ok(n) => self.show(&buffer[..n]),
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Some(End::Over),
        }
        None
    }

    fn show(&mut self, output: &[u8]) {
        // Its answers are nobody's business here: the terminal gives its own.
        let _ = self.dialogue.watch(0, output, false, 0);
        self.unshown.extend_from_slice(output);
        self.flush_screen();
    }

    fn flush_screen(&mut self) {
        let taken = failpoint::step("view.show", || self.screen.write(&self.unshown));
        self.unshown.drain(..taken);
    }

    /// Shows what is left, as long as the terminal takes anything.
    fn finish_showing(&mut self) {
        self.flush_screen();
        while !self.unshown.is_empty() {
            let mut fds = [PollFd::new(self.screen.output(), PollFlags::POLLOUT)];
            if !poll(&mut fds, PollTimeout::from(250u8)).is_ok_and(|ready| ready > 0) {
                return;
            }
            self.flush_screen();
        }
    }

    /// Sends what waits and this.
    fn send(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
        let wrote = failpoint::io("view.send", || self.shim.write(&self.unsent));
        if let Ok(taken) = wrote {
            self.unsent.drain(..taken);
        }
    }
}

/// Reads `PID:TICKS`, as the daemon writes it into the command of a window.
pub(super) fn server_of(text: &str) -> Option<ServerMark> {
    let (pid, start_ticks) = text.split_once(':')?;
    let boot_id = mark::mark_of(std::process::id().cast_signed())?.boot_id;
    Some(ServerMark { pid: pid.parse().ok()?, start_ticks: start_ticks.parse().ok()?, boot_id })
}
