//! The server's life, seen from outside: found by its socket, or started, its socket restored
//! when somebody deleted it; and the forked `tmux` calls that need no connection.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::{sleep, timeout};

use super::control::Control;
use super::{Config, Error, KEEPER_SESSION, Scope, Version, launch, process, quote};
use crate::failpoint;
use crate::model::{ProcessMark, ServerMark};

/// How often something is looked for again, with a growing pause, before it is given up: 2 s.
const PAUSES_MS: [u64; 10] = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/// The keeper window's only process ends at once; its dead pane keeps the session.
const KEEPER_ARGV: [&str; 3] =
    ["sh", "-c", "echo 'muxvisor keeps this window so that its tmux server has one session.'"];

/// What tmux answered to a sequence.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The output of each command that was carried out.
    pub(super) outputs: Vec<Vec<u8>>,
    /// Why the next one was refused; those after it were dropped.
    pub(super) refused: Option<String>,
}

/// Which tmux, and where its server is.
pub(super) struct Host {
    pub(super) config: Config,
    pub(super) program: PathBuf,
    pub(super) version: Version,
}

/// A client's name, and its process if that still lives.
type ControlClient = (String, Option<ProcessMark>);

/// What a forked call left.
struct Said {
    good: bool,
    out: Vec<u8>,
    err: String,
}

impl Said {
    fn nobody_there(&self) -> bool {
        !self.good
            && ["no server running on", "error connecting to", "server exited", "lost server"]
                .iter()
                .any(|sign| self.err.contains(sign))
    }

    fn other_protocol(&self) -> bool {
        !self.good
            && ["protocol version mismatch", "server version is too old"]
                .iter()
                .any(|sign| self.err.contains(sign))
    }
}

impl Host {
    /// Finds the program and asks for its version.
    pub(super) async fn find(config: Config) -> Result<Self, Error> {
        let length = config.socket.as_os_str().len();
        if length > 107 {
            return Err(Error::SocketTooLong { socket: config.socket, length });
        }
        let missing = || Error::Missing { path: config.path().to_owned() };
        let program = launch::find("tmux", config.path().as_ref()).ok_or_else(missing)?;
        let mut host = Self { config, program, version: Version::least() };
        let said = host.call_bare(&["-V".to_owned()]).await?;
        host.version = Version::admit(&String::from_utf8_lossy(&said.out))?;
        if !host.version.reaches(3, 3) {
            let version = host.version.to_string();
            tracing::warn!(version, "tmux before 3.3 hides which signal ended a pane");
        }
        Ok(host)
    }

    /// The arguments that every call begins with. UTF-8 is asserted, because tmux replaces control
    /// characters in what it prints for other clients.
    pub(super) fn place(&self) -> Vec<String> {
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        let (socket, conf) = (text(&self.config.socket), text(&self.config.conf));
        ["-u", "-S", &socket, "-f", &conf].map(str::to_owned).to_vec()
    }

    /// The server behind the socket, or a new one.
    pub(super) async fn find_or_start(&self) -> Result<ServerMark, Error> {
        let mut found = self.find_server().await?;
        if found.is_none() {
            found = self.config.recorded_server().filter(process::lives);
        }
        if let Some(server) = found {
            self.restore_socket(&server).await?;
            failpoint::future("tmux.assert-options", self.assert_options()).await?;
            return Ok(server);
        }
        let said = failpoint::future("start.spawn-tmux", self.start_server()).await?;
        let failed = |said: String| Error::NotStarted { socket: self.config.socket.clone(), said };
        // A duplicate session is no failure: somebody else was faster.
        if !said.good && !said.err.contains("duplicate session") {
            return Err(failed(said.err));
        }
        self.find_server().await?.ok_or_else(|| failed("it ended at once".to_owned()))
    }

    /// Starts the server with its first session, in its scope if that can be had.
    async fn start_server(&self) -> Result<Said, Error> {
        if let Some(scope) = &self.config.scope {
            for wishes in [true, false] {
                match self.start_in(scope, wishes).await {
                    Ok(said) if said.good => return Ok(said),
                    Ok(said) => tracing::warn!(said = said.err, "no systemd scope for tmux"),
                    Err(error) => tracing::warn!(%error, "no systemd scope for tmux"),
                }
            }
        }
        self.call(&keeper_words()).await
    }

    async fn start_in(&self, scope: &Scope, wishes: bool) -> Result<Said, Error> {
        let path = self.config.path().to_owned();
        let program = launch::find("systemd-run", path.as_ref());
        let program =
            program.ok_or_else(|| Error::Unknown { command: "systemd-run".to_owned() })?;
        let mut words = scope.words(wishes);
        words.push(self.program.to_string_lossy().into_owned());
        words.extend(self.place());
        words.extend(keeper_words());
        let environment = [self.config.environment.clone(), scope.manager.clone()].concat();
        self.call_program(&program, &words, &environment).await
    }

    /// A server that was found may have been set up by an older muxvisor, or changed by hand.
    async fn assert_options(&self) -> Result<(), Error> {
        let conf = self.config.conf.to_string_lossy().into_owned();
        let said = self.call(&["source-file".to_owned(), conf]).await?;
        if !said.good {
            tracing::warn!(said = said.err, "tmux did not take all options of tmux.conf");
        }
        Ok(())
    }

    /// The server that answers on the socket, if one does.
    pub(super) async fn find_server(&self) -> Result<Option<ServerMark>, Error> {
        let words = ["display-message", "-p", "#{pid}"].map(str::to_owned).to_vec();
        let said = self.call(&words).await?;
        if said.nobody_there() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&said.out).trim().to_owned();
        match text.parse().ok().and_then(process::mark_of) {
            Some(mark) if said.good => Ok(Some(mark)),
            _ => Err(Error::Unreachable {
                socket: self.config.socket.clone(),
                said: format!("{text}{}", said.err),
            }),
        }
    }

    /// Makes a living server create its socket anew, when the file was deleted.
    pub(super) async fn restore_socket(&self, server: &ServerMark) -> Result<(), Error> {
        for pause in PAUSES_MS {
            match self.find_server().await? {
                Some(found) if found == *server => return self.put_on_record(server),
                Some(_) => break,
                None if process::signal(server, Signal::SIGUSR1) => {}
                None => return Err(Error::ServerGone { pid: server.pid }),
            }
            sleep(Duration::from_millis(pause)).await;
        }
        let said = format!("process {} lives, and its socket is lost", server.pid);
        Err(Error::Unreachable { socket: self.config.socket.clone(), said })
    }

    /// Whoever deleted the socket may have deleted the note of whose it is.
    fn put_on_record(&self, server: &ServerMark) -> Result<(), Error> {
        if self.config.recorded_server().as_ref() == Some(server) {
            return Ok(());
        }
        self.config.record_server(server)
    }

    /// A new control connection after one was lost.
    pub(super) async fn reopen_control(&self, server: &ServerMark) -> Result<Control, Error> {
        self.restore_socket(server).await?;
        let control = self.open_control().await?;
        // It may have died in between, and the client have found, or started, another one.
        match self.find_server().await? {
            Some(found) if found == *server => Ok(control),
            Some(_) | None => Err(Error::ServerGone { pid: server.pid }),
        }
    }

    /// A control connection; those that a dead daemon left are ended first, so that none of its
    /// half-sent commands can be carried out later.
    pub(super) async fn open_control(&self) -> Result<Control, Error> {
        failpoint::future("tmux.end-clients", self.end_leftovers()).await?;
        let opened = Control::open(&self.program, self.place(), &self.config);
        failpoint::future("tmux.open-control", opened).await
    }

    async fn end_leftovers(&self) -> Result<(), Error> {
        for pause in PAUSES_MS {
            let Some(left) = self.control_clients().await? else {
                // A person closed the keeper session, and its clients with it.
                return self.call(&keeper_words()).await.map(drop);
            };
            if left.is_empty() {
                break;
            }
            for (name, client) in left {
                self.call(&["detach-client", "-t", &name].map(str::to_owned)).await?;
                if pause > 500 {
                    // It does not read, so it cannot be told. Its process is only a client.
                    tracing::warn!(name, "killing a control client that does not leave");
                    client.map(|mark| process::signal(&mark, Signal::SIGKILL));
                }
            }
            sleep(Duration::from_millis(pause)).await;
        }
        Ok(())
    }

    /// The control clients on the keeper session, where nobody but a daemon has any business;
    /// `None` when there is no such session.
    async fn control_clients(&self) -> Result<Option<Vec<ControlClient>>, Error> {
        let keeper = format!("={KEEPER_SESSION}");
        let format = "#{client_control_mode} #{client_pid} #{client_name}";
        let words = ["list-clients", "-t", &keeper, "-F", format].map(str::to_owned);
        let said = self.call(&words).await?;
        if said.nobody_there() {
            let socket = self.config.socket.clone();
            return Err(Error::Unreachable { socket, said: said.err });
        }
        if !said.good {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&said.out).into_owned();
        let client = |line: &str| {
            let (pid, name) = line.strip_prefix("1 ")?.split_once(' ')?;
            Some((name.to_owned(), pid.parse().ok().and_then(process::mark_of)))
        };
        Ok(Some(text.lines().filter_map(client).collect()))
    }

    /// Runs a sequence without a connection. The same answer as over the connection, at a higher
    /// price, and of at most 16 KB.
    pub(super) async fn forked(&self, commands: &[Vec<String>]) -> Result<Answer, Error> {
        // A line of our own after each output shows where it ends, and how far tmux came.
        let border = format!("end-of-output-{}", std::process::id());
        let mut words = Vec::new();
        for command in commands {
            words.extend(command.iter().map(|word| quote::argument(word)));
            words.extend([";", "display-message", "-p", &border, ";"].map(str::to_owned));
        }
        words.pop();
        let unknown = || Error::Unknown { command: words.first().cloned().unwrap_or_default() };
        let said = match self.call(&words).await {
            Err(Error::Unreachable { .. }) => return Err(unknown()),
            Ok(said) if said.nobody_there() => return Err(unknown()),
            other => other?,
        };
        let mut outputs = split_outputs(&said.out, format!("{border}\n").as_bytes());
        outputs.truncate(commands.len());
        let refused = (!said.good || outputs.len() < commands.len()).then_some(said.err);
        Ok(Answer { outputs, refused })
    }

    async fn call(&self, words: &[String]) -> Result<Said, Error> {
        let words = [self.place(), words.to_vec()].concat();
        let said = failpoint::future("tmux.call", self.call_bare(&words)).await;
        let socket = || self.config.socket.clone();
        match said {
            Err(Error::Unknown { command }) => Err(Error::Unreachable {
                socket: socket(),
                said: format!("no answer to `{command}`"),
            }),
            Ok(said) if said.other_protocol() => {
                Err(Error::OtherProtocol { socket: socket(), said: said.err })
            }
            other => other,
        }
    }

    async fn call_bare(&self, arguments: &[String]) -> Result<Said, Error> {
        self.call_program(&self.program, arguments, &self.config.environment).await
    }

    async fn call_program(
        &self,
        program: &Path,
        arguments: &[String],
        environment: &[(String, String)],
    ) -> Result<Said, Error> {
        let io = |source| Error::Io { doing: "run tmux", source };
        let (mut out, their_out) = capture().map_err(io)?;
        let (mut err, their_err) = capture().map_err(io)?;
        let streams = [Stdio::null(), their_out, their_err];
        let mut child = launch::start(program, arguments, environment, streams).map_err(io)?;
        let (mut out_bytes, mut err_bytes) = (Vec::new(), Vec::new());
        let both = async {
            tokio::try_join!(out.read_to_end(&mut out_bytes), err.read_to_end(&mut err_bytes))
        };
        let Ok(read) = timeout(self.config.patience, both).await else {
            let _ = child.kill();
            let _ = child.wait();
            let command = arguments.get(5).or(arguments.first()).cloned().unwrap_or_default();
            return Err(Error::Unknown { command });
        };
        read.map_err(io)?;
        // Both streams are closed: it is ending, and waiting for it takes no time.
        let good = child.wait().map_err(io)?.success();
        let err = String::from_utf8_lossy(&err_bytes).trim().to_owned();
        Ok(Said { good, out: out_bytes, err })
    }
}

fn keeper_words() -> Vec<String> {
    let start = ["new-session", "-d", "-s", KEEPER_SESSION, "-n", "keeper", "--"];
    start.iter().chain(&KEEPER_ARGV).map(|word| (*word).to_owned()).collect()
}

fn capture() -> std::io::Result<(pipe::Receiver, Stdio)> {
    let (ours, theirs) = std::io::pipe()?;
    Ok((pipe::Receiver::from_owned_fd(ours.into())?, Stdio::from(theirs)))
}

/// The outputs before each border line.
fn split_outputs(mut out: &[u8], border: &[u8]) -> Vec<Vec<u8>> {
    let mut outputs = Vec::new();
    while let Some(end) = memchr::memmem::find(out, border) {
        outputs.push(out[..end].to_vec());
        out = &out[end + border.len()..];
    }
    outputs
}
