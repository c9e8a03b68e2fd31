//! One control-mode client: a `tmux -C` process with a pipe to it and a pipe from it.

use std::io;
use std::path::Path;
use std::process::{Child, Stdio};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::parse::{Frame, Parser};
use super::{Config, Error, KEEPER_SESSION, launch};

/// The client and both ends of the conversation.
pub(super) struct Control {
    child: Child,
    /// From tmux.
    pub(super) reader: pipe::Receiver,
    /// To tmux.
    pub(super) writer: pipe::Sender,
    /// What was read so far.
    pub(super) parser: Parser,
}

impl Control {
    /// Attaches to the keeper session and waits until the server has taken the client in; `place`
    /// are the arguments that say where the server is.
    pub(super) async fn open(
        program: &Path,
        place: Vec<String>,
        config: &Config,
    ) -> Result<Self, Error> {
        let io = |source| Error::Io { doing: "start the control client of tmux", source };
        let mut control = Self::start(program, place, config).map_err(io)?;
        let hello = tokio::time::timeout(config.patience, control.hear_hello());
        match hello.await {
            Ok(done) => done.map_err(io).map(|()| control),
            Err(_) => Err(io(io::ErrorKind::TimedOut.into())),
        }
    }

    fn start(program: &Path, place: Vec<String>, config: &Config) -> io::Result<Self> {
        let (their_stdin, our_writer) = io::pipe()?;
        let (our_reader, their_stdout) = io::pipe()?;
        let mut arguments = vec!["-C".to_owned()];
        arguments.extend(place);
        // `no-output`: a client that gets output and reads it late stops the agents. No size of
        // its own: windows follow the people who look at them.
        arguments
            .extend(["attach-session", "-f", "no-output,ignore-size", "-t"].map(str::to_owned));
        arguments.push(format!("={KEEPER_SESSION}"));
        let streams = [Stdio::from(their_stdin), Stdio::from(their_stdout), Stdio::null()];
        let child = launch::start(program, &arguments, &config.environment, streams)?;
        let reader = pipe::Receiver::from_owned_fd(our_reader.into())?;
        let writer = pipe::Sender::from_owned_fd(our_writer.into())?;
        Ok(Self { child, reader, writer, parser: Parser::default() })
    }

    /// The attach is answered by a block that is not ours.
    async fn hear_hello(&mut self) -> io::Result<()> {
        let mut chunk = vec![0; 4096];
        loop {
            let length = self.reader.read(&mut chunk).await?;
            if length == 0 {
                return Err(io::Error::other("it left at once"));
            }
            for frame in self.parser.push(&chunk[..length]).map_err(io::Error::other)? {
                match frame {
                    Frame::Reply { good: true, .. } => return Ok(()),
                    Frame::Reply { good: false, body, .. } => {
                        return Err(io::Error::other(String::from_utf8_lossy(&body).into_owned()));
                    }
                    Frame::Notification(_) => {}
                }
            }
        }
    }
}

/// The client is useless once its pipes are closed, and would stay a zombie if nobody waited.
impl Drop for Control {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
