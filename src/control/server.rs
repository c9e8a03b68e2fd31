//! The daemon's end: takes connections, reads one request from each, hands it over with a
//! [`Responder`], and writes what that is given.
//!
//! What a peer can cost is bounded: connections, time until its request, bytes, and events that
//! it does not read. The daemon's loop never waits for a peer.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::event::WatchEvent;
use super::frame::{self, Decoder, FrameError, REPLY_BYTES_MAX, REQUEST_BYTES_MAX};
use super::message::{Failure, FailureKind, Reply, Request};
use super::peer::{self, Peer};
use super::socket::{self, Place, SocketError};

/// How many peers are served at once.
pub const CONNECTIONS_MAX: usize = 64;
/// How many events may wait for a watcher before it is dropped.
pub const EVENTS_WAITING_MAX: usize = 4096;
/// How long a peer may take for its request.
const REQUEST_WITHIN: Duration = Duration::from_secs(60);
/// How long a peer may take to read one frame.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// How long no connection is taken after the system refused one (no file descriptors left).
const PAUSE: Duration = Duration::from_millis(100);
/// How long newcomers wait for a place before one is made at the cost of a silent connection, or
/// they are refused.
const FULL_WITHIN: Duration = Duration::from_secs(2);

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Call {
    /// Who asks.
    pub peer: Peer,
    /// What.
    pub request: Request,
    /// Where the answer goes.
    pub responder: Responder,
}

/// The peer is gone, or was dropped because it did not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client is gone")]
pub struct Gone;

/// Where the answer to one request goes. Nothing here waits.
#[derive(Debug)]
pub struct Responder {
    frames: mpsc::Sender<Outgoing>,
    cut: Option<oneshot::Sender<()>>,
}

#[derive(Debug)]
struct Outgoing {
    reply: Reply,
    written: Option<oneshot::Sender<()>>,
}

/// The other half of a responder: what it was given, and the order to cut the connection.
#[derive(Debug)]
struct Outbox {
    frames: mpsc::Receiver<Outgoing>,
    cut: oneshot::Receiver<()>,
}

fn responder() -> (Responder, Outbox) {
    let (send, frames) = mpsc::channel(EVENTS_WAITING_MAX);
    let (send_cut, cut) = oneshot::channel();
    (Responder { frames: send, cut: Some(send_cut) }, Outbox { frames, cut })
}

impl Responder {
    /// Sends an event. A watcher that is [`EVENTS_WAITING_MAX`] behind is cut off; it comes back
    /// and gets a new snapshot.
    ///
    /// # Errors
    /// When the peer is gone; then the responder is of no more use.
    pub fn event(&mut self, event: WatchEvent) -> Result<(), Gone> {
        self.push(Outgoing { reply: Reply::Event(Box::new(event)), written: None })
    }

    /// Sends the answer, the last thing on this connection. That the peer is gone changes nothing.
    pub fn reply(mut self, reply: impl Into<Reply>) {
        let _ = self.push(Outgoing { reply: reply.into(), written: None });
    }

    /// Sends the answer, and returns when the peer has it or is gone; for a daemon that ends.
    pub async fn reply_and_wait(mut self, reply: impl Into<Reply>) {
        let (done, written) = oneshot::channel();
        if self.push(Outgoing { reply: reply.into(), written: Some(done) }).is_ok() {
            let _ = written.await;
        }
    }

    /// Whether the peer is gone.
    pub fn is_gone(&self) -> bool {
        self.frames.is_closed()
    }

    fn push(&mut self, outgoing: Outgoing) -> Result<(), Gone> {
        self.frames.try_send(outgoing).map_err(|_| {
            if let Some(cut) = self.cut.take() {
                let _ = cut.send(());
            }
            Gone
        })
    }
}

/// The bound socket.
#[derive(Debug)]
pub struct Listener {
    socket: tokio::net::UnixListener,
    place: Place,
}

impl Listener {
    /// Binds the socket, mode 0600, in a directory that must be ours and private; a socket that is
    /// there is replaced in one step, so the caller must hold the daemon's lock. Needs a tokio
    /// runtime with IO and time.
    ///
    /// # Errors
    /// When the path is too long, the directory not private, or the system refuses.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let refused = |source| SocketError::Io { doing: "listen at", path: path.into(), source };
        let (socket, place) = socket::bind(path)?;
        socket.set_nonblocking(true).map_err(refused)?;
        let socket = tokio::net::UnixListener::from_std(socket).map_err(refused)?;
        Ok(Self { socket, place })
    }

    /// Whether clients still find this socket under its path.
    pub fn stands(&self) -> bool {
        self.place.stands()
    }

    /// Serves until `calls` is closed. Dropping the future closes every connection.
    pub async fn serve(&self, calls: mpsc::Sender<Call>) {
        let mut room = Room::default();
        loop {
            let full = room.is_full();
            room.waited &= full;
            tokio::select! {
                accepted = self.socket.accept(), if !full || room.waited => match accepted {
                    Ok((stream, _)) => room.admit(stream, &calls),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be taken");
                        sleep(PAUSE).await;
                    }
                },
                Some(_) = room.served.join_next() => {}
                () = sleep(FULL_WITHIN), if full && !room.waited => room.waited = true,
                () = calls.closed() => return,
            }
        }
    }
}

/// The connections that are served.
#[derive(Default)]
struct Room {
    served: JoinSet<()>,
    /// Whether it has been full so long that this is no burst of short requests.
    waited: bool,
    /// Those that may not have asked anything yet, the oldest first.
    silent: VecDeque<Silent>,
}

struct Silent {
    asked: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Room {
    fn is_full(&mut self) -> bool {
        while self.served.try_join_next().is_some() {}
        self.served.len() >= CONNECTIONS_MAX
    }

    fn admit(&mut self, stream: UnixStream, calls: &mpsc::Sender<Call>) {
        let Some(peer) = peer::of(&stream) else { return };
        if !peer.may_ask() {
            let (uid, pid) = (peer.uid, peer.pid);
            tracing::warn!(uid, pid, "a connection of another user was refused");
            return;
        }
        self.silent.retain(|one| !one.asked.load(Ordering::Relaxed) && !one.task.is_finished());
        if self.is_full() && !self.drop_oldest_silent() {
            refuse(&stream);
            return;
        }
        let asked = Arc::new(AtomicBool::new(false));
        let task = self.served.spawn(serve_one(stream, peer, calls.clone(), Arc::clone(&asked)));
        self.silent.push_back(Silent { asked, task });
    }

    /// Makes room at the cost of whoever has been silent longest, so that idle connections cannot
    /// lock a person out.
    fn drop_oldest_silent(&mut self) -> bool {
        self.silent.pop_front().is_some_and(|oldest| {
            oldest.task.abort();
            true
        })
    }
}

fn refuse(stream: &UnixStream) {
    let full = Failure::new(
        FailureKind::Unreachable,
        format!("the daemon already serves {CONNECTIONS_MAX} clients"),
    );
    let reply = Reply::from(full.hint("end some of them (run, wait, logs -f) and try again"));
    if let Ok(bytes) = frame::encode(&reply, REPLY_BYTES_MAX) {
        let _ = stream.try_write(&bytes);
    }
}

async fn serve_one(
    mut stream: UnixStream,
    peer: Peer,
    calls: mpsc::Sender<Call>,
    asked: Arc<AtomicBool>,
) {
    let request = match timeout(REQUEST_WITHIN, read_request(&mut stream)).await {
        Ok(Ok(Some(request))) => request,
        Ok(Err(error)) => return tell_off(&mut stream, &error).await,
        Ok(Ok(None)) | Err(_) => return,
    };
    asked.store(true, Ordering::Relaxed);
    let (responder, outbox) = responder();
    if calls.send(Call { peer, request, responder }).await.is_ok() {
        answer(&mut stream, outbox).await;
    }
}

/// The first request; `None` when the peer went away before it was complete.
async fn read_request(stream: &mut UnixStream) -> Result<Option<Request>, FrameError> {
    let mut decoder = Decoder::new(REQUEST_BYTES_MAX);
    let mut bytes = vec![0; 16 << 10];
    loop {
        if let Some(content) = decoder.next_frame()? {
            return frame::decode(&content).map(Some);
        }
        match stream.read(&mut bytes).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(count) => decoder.feed(&bytes[..count]),
        }
    }
}

async fn tell_off(stream: &mut UnixStream, error: &FrameError) {
    let failure = Failure::new(FailureKind::Usage, format!("the request is {error}"))
        .hint("is this client of the same version as the daemon? see `muxvisor doctor`");
    let _ = write(stream, &Reply::Error(failure)).await;
}

/// Writes what the responder is given, until the answer is out, the peer closes its end (or says
/// more than its one request), or the responder cuts it off.
async fn answer(stream: &mut UnixStream, outbox: Outbox) {
    let (mut reading, mut writing) = stream.split();
    let mut byte = [0; 1];
    tokio::select! {
        _ = reading.read(&mut byte) => {}
        Ok(()) = outbox.cut => {}
        () = write_all(&mut writing, outbox.frames) => {}
    }
}

async fn write_all(
    stream: &mut (impl AsyncWriteExt + Unpin),
    mut frames: mpsc::Receiver<Outgoing>,
) {
    loop {
        let Some(outgoing) = frames.recv().await else {
            let silent = Reply::error(FailureKind::Internal, "the daemon gave no answer");
            let _ = write(stream, &silent).await;
            return;
        };
        let last = !matches!(outgoing.reply, Reply::Event(_));
        let sent = write(stream, &outgoing.reply).await;
        drop(outgoing.written);
        if last || sent.is_err() {
            return;
        }
    }
}

async fn write(stream: &mut (impl AsyncWriteExt + Unpin), reply: &Reply) -> io::Result<()> {
    let bytes = frame::encode(reply, REPLY_BYTES_MAX).or_else(|error| {
        let failure = Failure::new(FailureKind::Internal, format!("the answer is {error}"));
        frame::encode(&Reply::Error(failure), REPLY_BYTES_MAX)
    });
    let bytes = bytes.map_err(io::Error::other)?;
    timeout(READ_WITHIN, stream.write_all(&bytes)).await.map_err(io::Error::other)?
}
