//! The only room that speaks to tmux: it starts the private server, holds the one control-mode
//! connection, and opens, lists, watches and closes windows. It decides nothing about agents.
//!
//! ```text
//! windows  what the daemon asks for        attach   how a person gets in
//!    |
//! link     the connection: one question, one answer; lost and found again
//!    |
//! host     the server's life: found, started, its socket restored; forked calls
//!    |
//! launch  process  config  version  quote  parse
//! ```
//!
//! Objects are addressed by `%pane` and `@window` ids once they exist. An answer that did not come
//! is [`Error::Unknown`]: nothing is ever sent twice.

mod attach;
mod config;
mod control;
mod host;
mod last_screen;
mod launch;
mod link;
pub mod parse;
mod process;
mod quote;
mod screen;
mod version;
mod windows;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tmux_interface::TmuxCommand;
use tokio::sync::{Semaphore, mpsc, oneshot};

pub use attach::{Looker, attach_argv};
pub use config::{Config, KEEPER_SESSION, Scope};
pub use screen::Looked;
pub use version::Version;
pub use windows::{Death, MARK, OpenWindow, Opened, PaneSeen};

use self::host::{Answer, Host};
use self::link::{Ask, Message, Outcome};
use crate::failpoint;
use crate::model::ServerMark;

/// More than two creations at once gain nothing: tmux has one thread and answers a batch late.
const CREATIONS_AT_ONCE: usize = 2;

/// How many servers in a row may die while they are being connected to.
const SERVERS_MAX: usize = 5;

/// What went wrong with tmux.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no tmux.
    #[error(
        "tmux was not found in PATH ({path}); install it: `apt-get install tmux` (Debian, Ubuntu) \
         or `brew install tmux` (macOS)"
    )]
    Missing {
        /// The PATH that was searched.
        path: String,
    },
    /// tmux is there, and will not do.
    #[error(
        "tmux {needed} or newer is needed, PATH has `{found}`; upgrade it: `apt-get install tmux` \
         or `brew upgrade tmux`"
    )]
    TooOld {
        /// What `tmux -V` says.
        found: String,
        /// The least.
        needed: Version,
    },
    /// The server was started by a tmux that speaks another protocol: an upgrade, most likely.
    #[error(
        "the tmux server on {socket} was started by another version of tmux and refuses this one \
         ({said}); it still holds the running agents: put the old tmux first in PATH, or let the \
         agents end and stop that server"
    )]
    OtherProtocol {
        /// The server's socket.
        socket: PathBuf,
        /// tmux's own words.
        said: String,
    },
    /// The server is there and does not answer. Not the same as dead.
    #[error(
        "the tmux server on {socket} does not answer; it may be stopped or overloaded ({said})"
    )]
    Unreachable {
        /// Its socket.
        socket: PathBuf,
        /// What was seen.
        said: String,
    },
    /// No server could be started.
    #[error("no tmux server could be started on {socket}: {said}")]
    NotStarted {
        /// The socket it should have.
        socket: PathBuf,
        /// tmux's own words.
        said: String,
    },
    /// The path of the socket does not fit into a socket address.
    #[error(
        "the path {socket} is too long for a socket ({length} bytes, at most 107); use a shorter \
         home"
    )]
    SocketTooLong {
        /// The path.
        socket: PathBuf,
        /// Its length in bytes.
        length: usize,
    },
    /// The server has ended, and all windows with it.
    #[error("the tmux server (pid {pid}) is gone")]
    ServerGone {
        /// Its process id.
        pid: i32,
    },
    /// The command was sent, and no answer came or a strange one: it may have been carried out or
    /// not.
    #[error("tmux gave no good answer to `{command}`; whether it was carried out is unknown")]
    Unknown {
        /// Its name.
        command: String,
    },
    /// tmux said no.
    #[error("tmux refused `{command}`: {said}")]
    Refused {
        /// The name of the first command of the sequence.
        command: String,
        /// tmux's own words.
        said: String,
    },
    /// A text that tmux cannot take.
    #[error("`{text}` cannot be given to tmux: {why}")]
    Text {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The operating system said no.
    #[error("failed to {doing}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Why it did not work.
        source: io::Error,
    },
}

/// What the daemon hears without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The connection was lost and is back; what happened in between has to be listed.
    Reconnected,
    /// The server's process is gone. Nothing comes after this; connect again for a new server.
    ServerGone,
    /// A window is gone.
    WindowClosed {
        /// Its id, `@7`.
        window: String,
    },
    /// Who looks at which window may have changed.
    WatchersChanged,
}

/// The private tmux server. Clones share one connection; dropping the last one leaves tmux alone.
#[derive(Clone)]
pub struct Tmux {
    shared: Arc<Shared>,
}

struct Shared {
    host: Arc<Host>,
    server: ServerMark,
    link: mpsc::UnboundedSender<Message>,
    creations: Semaphore,
}

impl Tmux {
    /// Finds the private server, or starts it, and connects to it.
    ///
    /// When only the control connection cannot be had, commands go through forked `tmux` calls
    /// while the connection is tried again. The notices are few and unbounded: reading them late
    /// never blocks an answer. One daemon per server: a second connection sends the first away.
    ///
    /// # Errors
    /// When tmux is missing, too old, of another protocol than the server, or does not start.
    pub async fn connect(config: Config) -> Result<(Self, mpsc::UnboundedReceiver<Notice>), Error> {
        let host = failpoint::future("tmux.find-program", Host::find(config)).await?;
        let host = Arc::new(host);
        failpoint::step("tmux.write-conf", || host.config.write_conf(&host.version))?;
        let mut server = host.find_or_start().await?;
        let mut control = host.open_control().await;
        for _ in 0..SERVERS_MAX {
            // It may have died in between, and the client have found, or started, another one.
            match host.find_server().await? {
                Some(found) if found != server => server = found,
                Some(_) | None => break,
            }
            control = host.open_control().await;
        }
        failpoint::step("start.record-tmux", || host.config.record_server(&server))?;
        if let Err(error) = &control {
            tracing::warn!(%error, "no control connection to tmux, forking a client per command");
        }
        let (link, messages) = mpsc::unbounded_channel();
        let (notify, notices) = mpsc::unbounded_channel();
        let keeper = link::Keeper { host: host.clone(), server: server.clone(), messages, notify };
        tokio::spawn(keeper.serve(control.ok()));
        let creations = Semaphore::new(CREATIONS_AT_ONCE);
        Ok((Self { shared: Arc::new(Shared { host, server, link, creations }) }, notices))
    }

    /// Which process the server is.
    pub fn server(&self) -> &ServerMark {
        &self.shared.server
    }

    /// The release of the `tmux` program in PATH.
    pub fn version(&self) -> &Version {
        &self.shared.host.version
    }

    /// Runs a sequence of commands as one line and returns the output of each, one LF after each
    /// line. A refusal drops the rest of the sequence. Commands that run others (`source-file`,
    /// `if-shell`, `run-shell`) are not for here: tmux gives a reply for each of those too.
    ///
    /// # Errors
    /// [`Error::Refused`] when tmux said no, [`Error::Unknown`] when no answer came.
    pub async fn run(&self, commands: &[TmuxCommand<'_>]) -> Result<Vec<Vec<u8>>, Error> {
        let (name, answer) = self.ask(commands).await?;
        match answer.refused {
            Some(said) => Err(Error::Refused { command: name, said }),
            None => Ok(answer.outputs),
        }
    }

    /// Like [`Self::run`], but a refusal comes with the outputs before it; also the first name.
    async fn ask(&self, commands: &[TmuxCommand<'_>]) -> Result<(String, Answer), Error> {
        let words = quote::words(commands)?;
        let name = words.first().and_then(|w| w.first()).cloned().unwrap_or_default();
        let answer = match failpoint::future("tmux.ask", self.ask_link(&words)).await {
            Outcome::Answered(answer) => Ok(answer),
            Outcome::NotSent => self.shared.host.forked(&words).await,
            Outcome::Broken => Err(Error::Unknown { command: name.clone() }),
            Outcome::ServerGone => Err(Error::ServerGone { pid: self.shared.server.pid }),
        };
        Ok((name, answer?))
    }

    /// An answer that belongs to another question, as it seems: no more questions this way.
    fn distrust(&self, command: &str, said: &[u8]) {
        let said = String::from_utf8_lossy(said);
        tracing::warn!(command, %said, "a strange answer, connecting to tmux anew");
        let _ = self.shared.link.send(Message::Hang);
    }

    async fn ask_link(&self, words: &[Vec<String>]) -> Outcome {
        let (answer, answered) = oneshot::channel();
        let ask = Ask { line: quote::line(words), replies: words.len(), answer };
        if self.shared.link.send(Message::Ask(ask)).is_err() {
            return Outcome::NotSent;
        }
        let patience = self.shared.host.config.patience;
        match tokio::time::timeout(patience, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Outcome::Broken,
            Err(_) => {
                // A connection that owes an answer cannot be trusted with the next question.
                let _ = self.shared.link.send(Message::Hang);
                Outcome::Broken
            }
        }
    }
}
