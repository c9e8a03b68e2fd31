//! Asking a shim: connect, one line there, one line back.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::message::{Reply, Request};
use super::sockaddr::with_short;

/// A shim answers at once unless it is starved.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a shim did not answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens: the shim has ended, or never started.
    #[error("no shim listens on `{}`", .0.display())]
    Gone(PathBuf),
    /// It listens but did not answer in time.
    #[error("the shim on `{}` did not answer within 5 seconds", .0.display())]
    Slow(PathBuf),
    /// Anything else.
    #[error("failed to ask the shim on `{}`", .socket.display())]
    Io {
        /// Whom.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Asks the shim behind `socket` and waits for its reply, at most five seconds for each step.
///
/// # Errors
/// When nobody listens, the answer takes too long, or it is not a reply.
pub fn ask(socket: &Path, request: &Request) -> Result<Reply, AskError> {
    let connected = with_short(socket, |short| UnixStream::connect(short));
    connected.and_then(|stream| exchange(stream, request)).map_err(|source| {
        let socket = socket.to_owned();
        use io::ErrorKind as Kind;
        let kind = source.kind();
        let gone = [
            Kind::NotFound,
            Kind::ConnectionRefused,
            Kind::ConnectionReset,
            Kind::BrokenPipe,
            Kind::UnexpectedEof,
        ];
        if gone.contains(&kind) {
            AskError::Gone(socket)
        } else if [Kind::WouldBlock, Kind::TimedOut].contains(&kind) {
            AskError::Slow(socket)
        } else {
            AskError::Io { socket, source }
        }
    })
}

fn exchange(mut stream: UnixStream, request: &Request) -> io::Result<Reply> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    if BufReader::new(stream).read_line(&mut answer)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&answer)?)
}
