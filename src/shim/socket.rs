//! The listening side of the shim's socket: bytes in, whole lines out, nobody waited for.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;

use super::sockaddr::with_short;
use crate::failpoint;

/// Clients served at a time; the oldest makes room for a new one.
const CLIENTS_MAX: usize = 8;
/// Longest request line.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Replies that wait for a client at most.
const REPLY_BYTES_MAX: usize = 64 * 1024;

/// The socket and whoever is connected.
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    clients: Vec<Client>,
}

struct Client {
    stream: UnixStream,
    received: Vec<u8>,
    unsent: Vec<u8>,
    gone: bool,
}

impl Socket {
    /// Listens on `path`, which only this user may use; a stale socket is replaced. It appears
    /// there only when it listens, so that nobody who finds it is refused.
    pub(super) fn listen(path: &Path) -> io::Result<Self> {
        let fresh = path.with_extension("new");
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let before = umask(Mode::from_bits_truncate(0o177));
        let bound = with_short(&fresh, |short| UnixListener::bind(short));
        umask(before);
        let listener = bound?;
        listener.set_nonblocking(true)?;
        failpoint::io("shim.name-socket", || fs::rename(&fresh, path))?;
        Ok(Self { listener, path: path.to_owned(), clients: Vec::new() })
    }

    /// The descriptor that tells of new clients.
    pub(super) fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Descriptors of the clients, and whether each waits for room to be written to.
    pub(super) fn clients(&self) -> impl Iterator<Item = (BorrowedFd<'_>, bool)> {
        self.clients.iter().map(|c| (c.stream.as_fd(), !c.unsent.is_empty()))
    }

    /// Lets new clients in.
    pub(super) fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            if !is_ours(&stream) || stream.set_nonblocking(true).is_err() {
                continue;
            }
            if self.clients.len() >= CLIENTS_MAX {
                self.clients.remove(0);
            }
            let (received, unsent) = (Vec::new(), Vec::new());
            self.clients.push(Client { stream, received, unsent, gone: false });
        }
    }

    /// Reads what the client of this index sent; returns its complete lines.
    pub(super) fn read(&mut self, index: usize) -> Vec<Vec<u8>> {
        let Some(client) = self.clients.get_mut(index) else { return Vec::new() };
        client.flush();
        client.fill();
        client.lines()
    }

    /// Queues a reply line for the client of this index, and sends what it takes.
    pub(super) fn reply(&mut self, index: usize, line: &[u8]) {
        let Some(client) = self.clients.get_mut(index) else { return };
        client.unsent.extend_from_slice(line);
        client.flush();
        client.gone |= client.unsent.len() > REPLY_BYTES_MAX;
    }

    /// Hands over the stream of the client of this index, and what it sent beyond its last line.
    pub(super) fn take(&mut self, index: usize) -> Option<(UnixStream, Vec<u8>)> {
        let client = self.clients.get_mut(index)?;
        // It leaves its place with the next sweep: other places must not move before.
        client.gone = true;
        let stream = client.stream.try_clone().ok()?;
        Some((stream, std::mem::take(&mut client.received)))
    }

    /// Forgets clients that have gone.
    pub(super) fn sweep(&mut self) {
        self.clients.retain(|c| !c.gone);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Client {
    fn fill(&mut self) {
        let mut buffer = [0; 4096];
        // Why bounded: a client that never stops talking gets its turn, not the shim.
        for _ in 0..16 {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.gone = true,
                Ok(n) => {
                    self.received.extend_from_slice(&buffer[..n]);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.gone = true,
            }
            return;
        }
    }

    fn lines(&mut self) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        while let Some(end) = memchr::memchr(b'\n', &self.received) {
            let mut line: Vec<u8> = self.received.drain(..=end).collect();
            line.pop();
            lines.push(line);
        }
        if self.received.is_empty() {
            self.received.shrink_to(4096);
        }
        self.gone |= self.received.len() > LINE_BYTES_MAX;
        lines
    }

    fn flush(&mut self) {
        if self.unsent.is_empty() {
            return;
        }
        match self.stream.write(&self.unsent) {
            Ok(taken) => drop(self.unsent.drain(..taken)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.gone = true,
        }
    }
}

/// The directory's mode already keeps others out; this holds should it ever be wrong.
fn is_ours(stream: &UnixStream) -> bool {
    let own = geteuid().as_raw();
    getsockopt(stream, PeerCredentials).is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}
