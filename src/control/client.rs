//! The client's end, blocking, for the command line and other small programs. Every request has a
//! connection of its own.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::event::WatchEvent;
use super::frame::{self, Decoder, FrameError, REPLY_BYTES_MAX, REQUEST_BYTES_MAX};
use super::message::{Failure, Reply, Request};
use super::socket::{self, SocketError};

/// How long the answer to a short request may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no daemon answers at {path}: {source}")]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The path is too long.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Somebody else's program listens.
    #[error("{path} is served by user {uid}, and we are another; nothing was sent")]
    Foreign {
        /// The socket.
        path: PathBuf,
        /// The user.
        uid: u32,
    },
    /// The daemon went away before it answered.
    #[error("the connection to the daemon was lost: {0}")]
    Lost(io::Error),
    /// The request does not fit, or the answer is none.
    #[error("the daemon and this client do not understand each other: {0}")]
    Frame(#[from] FrameError),
    /// It answered that it did not do it.
    #[error(transparent)]
    Refused(#[from] Failure),
}

/// What a watched run says next.
#[derive(Debug)]
pub enum Step {
    /// Something happened.
    Event(Box<WatchEvent>),
    /// The daemon has said all.
    Done(Value),
    /// The descriptor that was given to interrupt the wait is readable.
    Interrupted,
}

/// A daemon, by its socket.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
    /// The longest wait for the answer to a short request.
    within: Duration,
    /// After what silence who is told that the daemon of this pid has not answered yet.
    silence: Option<(Duration, fn(i32))>,
}

impl Client {
    /// The daemon at `path`; nothing is opened yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), within: ANSWER_WITHIN, silence: None }
    }

    /// The same for somebody who only looks, and wants to be told soon that nobody answers.
    #[must_use]
    pub fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    /// The same, which tells the pid of a daemon that has not answered a short request `after` so
    /// long, and goes on waiting.
    #[must_use]
    pub fn telling(self, after: Duration, tell: fn(i32)) -> Self {
        Self { silence: Some((after, tell)), ..self }
    }

    /// The socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// When nobody answers, or the answer is an error.
    pub fn ask(&self, request: &Request) -> Result<Value, ClientError> {
        let mut line = self.watch(request)?;
        loop {
            match line.next_step(None)? {
                Step::Done(value) => return Ok(value),
                Step::Event(_) | Step::Interrupted => {}
            }
        }
    }

    /// As [`Client::ask`], with the answer as the view that belongs to the request.
    ///
    /// # Errors
    /// As there, and when the answer is another.
    pub fn ask_for<T: DeserializeOwned>(&self, request: &Request) -> Result<T, ClientError> {
        let value = self.ask(request)?;
        Ok(serde_json::from_value(value).map_err(|e| FrameError::Content(e.to_string()))?)
    }

    /// Sends a request whose answer comes in steps.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn watch(&self, request: &Request) -> Result<Line, ClientError> {
        let (mut stream, pid) = self.connect()?;
        let bytes = frame::encode(request, REQUEST_BYTES_MAX)?;
        let patience = patience(request).map(|longest| longest.min(self.within));
        let silence = self.silence.filter(|(after, _)| patience.is_some_and(|it| it > *after));
        let silence = silence.map(|(after, tell)| Silence { after, tell, pid });
        let first = silence.as_ref().map(|silence| silence.after).or(patience);
        stream.set_read_timeout(first).map_err(ClientError::Lost)?;
        stream.set_write_timeout(Some(ANSWER_WITHIN)).map_err(ClientError::Lost)?;
        // A daemon that is full answers and closes before it reads; its answer is still there.
        let sent = stream.write_all(&bytes);
        let line = Line { stream, decoder: Decoder::new(REPLY_BYTES_MAX), patience, silence };
        match sent {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(ClientError::Lost(error))
            }
            Ok(()) | Err(_) => Ok(line),
        }
    }

    /// A connection, and the pid of who listens there.
    fn connect(&self) -> Result<(UnixStream, i32), ClientError> {
        socket::check_length(&self.path)?;
        let unreachable = |source| ClientError::Unreachable { path: self.path.clone(), source };
        let stream = UnixStream::connect(&self.path).map_err(unreachable)?;
        let peer =
            getsockopt(&stream, PeerCredentials).map_err(|errno| unreachable(errno.into()))?;
        let us = geteuid();
        if peer.uid() != us.as_raw() && !us.is_root() {
            return Err(ClientError::Foreign { path: self.path.clone(), uid: peer.uid() });
        }
        Ok((stream, peer.pid()))
    }
}

/// How long the answer may take; `None` for those that last as long as what they are about.
const fn patience(request: &Request) -> Option<Duration> {
    match request {
        Request::Watch { .. }
        | Request::Wait { .. }
        | Request::Down { .. }
        | Request::Stop { .. }
        | Request::Restart { .. }
        | Request::Cleanup { .. }
        | Request::Shutdown { .. } => None,
        // What is waited for inside of an agent is asked for again and again.
        Request::Inside(_)
        | Request::Items(_)
        | Request::Hello
        | Request::Ps
        | Request::Submit(_)
        | Request::Approve { .. }
        | Request::Cancel { .. }
        | Request::Pause { .. }
        | Request::Resume { .. }
        | Request::Answer { .. }
        | Request::Retry { .. }
        | Request::Emit { .. }
        | Request::Runs { .. }
        | Request::Show { .. }
        | Request::Results { .. }
        | Request::Up { .. }
        | Request::Start { .. }
        | Request::ResetFailed { .. }
        | Request::Why { .. }
        | Request::Attach { .. }
        | Request::Logs { .. }
        | Request::Reload { .. }
        | Request::Agents { .. }
        | Request::Cost { .. }
        | Request::History { .. } => Some(ANSWER_WITHIN),
    }
}

/// A connection whose request is sent.
#[derive(Debug)]
pub struct Line {
    stream: UnixStream,
    decoder: Decoder,
    /// How long the answer may take in all.
    patience: Option<Duration>,
    /// What is to be told when nothing has come for a while.
    silence: Option<Silence>,
}

/// Whom to tell what of a daemon that does not answer.
#[derive(Debug)]
struct Silence {
    after: Duration,
    tell: fn(i32),
    pid: i32,
}

impl Line {
    /// Waits for the next step, or until `interrupt` is readable.
    ///
    /// # Errors
    /// When the connection is lost, or the answer is an error.
    pub fn next_step(&mut self, interrupt: Option<BorrowedFd<'_>>) -> Result<Step, ClientError> {
        self.next_step_or(interrupt.as_slice())
    }

    /// The same with several that may interrupt it.
    ///
    /// # Errors
    /// As there.
    pub fn next_step_or(&mut self, interrupts: &[BorrowedFd<'_>]) -> Result<Step, ClientError> {
        loop {
            if let Some(content) = self.decoder.next_frame()? {
                return match frame::decode(&content)? {
                    Reply::Ok(value) => Ok(Step::Done(value)),
                    Reply::Error(failure) => Err(failure.into()),
                    Reply::Event(event) => Ok(Step::Event(event)),
                };
            }
            if !interrupts.is_empty() && self.interrupted_by(interrupts) {
                return Ok(Step::Interrupted);
            }
            self.read_more()?;
        }
    }

    fn interrupted_by(&self, interrupts: &[BorrowedFd<'_>]) -> bool {
        let watched = interrupts.iter().copied().chain([self.stream.as_fd()]);
        let mut ready: Vec<PollFd<'_>> =
            watched.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // A signal that has nothing to do with them ends the poll too.
        while poll(&mut ready, PollTimeout::NONE) == Err(Errno::EINTR) {}
        ready[..interrupts.len()].iter().any(|fd| fd.any().unwrap_or(false))
    }

    fn wait_up_to(&self, longest: Option<Duration>) -> Result<(), ClientError> {
        self.stream.set_read_timeout(longest).map_err(ClientError::Lost)
    }

    fn read_more(&mut self) -> Result<(), ClientError> {
        let mut bytes = [0; 16 << 10];
        match self.stream.read(&mut bytes) {
            Ok(0) => Err(ClientError::Lost(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => {
                self.decoder.feed(&bytes[..count]);
                match self.silence.take() {
                    Some(_) => self.wait_up_to(self.patience),
                    None => Ok(()),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if let Some(Silence { after, tell, pid }) = self.silence.take() {
                    tell(pid);
                    return self.wait_up_to(self.patience.map(|it| it.saturating_sub(after)));
                }
                let seconds = self.patience.unwrap_or(ANSWER_WITHIN).as_secs();
                let late = format!("no answer within {seconds} s");
                Err(ClientError::Lost(io::Error::new(io::ErrorKind::TimedOut, late)))
            }
            Err(error) => Err(ClientError::Lost(error)),
        }
    }
}
