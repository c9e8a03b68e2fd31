//! Gathers events from the edges, asks the two deciding rooms, and performs what they ask for.
//!
//! One owner, one loop: wait for the first of {event, deadline, signal, request}, read the time
//! once, decide, commit the facts, then act. It decides nothing itself.

mod adopt;
mod agents;
mod archive;
mod asker;
mod asks;
mod bound;
mod cached;
mod callers;
mod calls;
mod cleanup;
mod config_source;
mod config_watch;
mod core;
mod cost;
mod crashes;
mod door;
mod ears;
mod ending;
mod engine;
mod fence;
mod giving;
mod health_view;
mod herald;
mod home;
mod inside;
mod item_view;
mod items;
mod last_good;
mod launch;
mod leftovers;
mod lessons;
mod load;
mod lock;
mod log;
mod lookup;
mod notices;
mod now;
mod outage;
mod perform;
mod process;
mod publish;
mod readable;
mod refusal;
mod reload;
mod said;
mod sample;
mod scope;
mod screen;
mod server_death;
mod shelf;
mod signalled;
mod skill;
mod standing;
mod start;
mod status;
mod steer;
mod submit;
mod summaries;
mod update;
mod views;
mod waiter;
mod watch;
mod why;
mod windows;

use std::io;
use std::path::PathBuf;

use tokio::sync::mpsc;

pub use self::config_source::ConfigSource;
pub use self::core::{Core, Effect, Input, Turn};
pub use self::home::{Home, HomeError};
pub use self::last_good::{Kept, LastGood};
pub use self::shelf::{Templates, library, shelf};
use crate::failpoint;
use crate::model::{CacheAnswer, Ending, Order, Spent};
use crate::policy::Config;
use crate::signals::Signal;
use crate::tmux::{self, Tmux};
use crate::{cgroup, control, ledger, supervisor};

/// What a daemon is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where everything of it lives.
    pub home: Home,
    /// The configuration as read at start.
    pub config: Config,
    /// How it is read again.
    pub config_source: ConfigSource,
    /// Why it is not what the file says, if that is so.
    pub kept: Option<Kept>,
    /// This program, to be started as shim.
    pub program: PathBuf,
    /// The daemon's environment, which instances inherit.
    pub env: Vec<(String, String)>,
    /// The daemon's directory, for instances that name none.
    pub cwd: PathBuf,
    /// What is wanted of control groups.
    pub cgroup: cgroup::Wish,
    /// Where a service manager wants to be told that the daemon serves.
    pub herald: Option<PathBuf>,
}

/// Why a daemon could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The home cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Another daemon serves this home.
    #[error("another daemon{} already serves {}", .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default(), .home.display())]
    AlreadyRunning {
        /// Its pid, if it wrote it down.
        pid: Option<i32>,
        /// The home.
        home: PathBuf,
    },
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// tmux cannot be used.
    #[error(transparent)]
    Tmux(#[from] tmux::Error),
    /// The control socket cannot be used.
    #[error(transparent)]
    Socket(#[from] control::SocketError),
    /// The ledger holds rows that this program cannot have written.
    #[error("the ledger cannot be taken up: {0}")]
    Ledgered(#[from] supervisor::IllegalFact),
    /// The system refused something.
    #[error("failed to {doing}: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The ledger contradicts what the daemon decided: it ends, and the next one starts from what
    /// is written.
    #[error("the ledger refused a decision: {0}")]
    Contradiction(String),
}

/// Threads for what blocks: files, answers of shims, questions to the ledger. With the loop itself,
/// `signals` and `ledger` a daemon has 19 at most, however many agents there are.
const BLOCKING_THREADS_MAX: usize = 16;

/// Serves a home until a signal or request ends it.
///
/// # Errors
/// When it cannot start; nothing was touched then, except that missing directories were made.
pub fn run(settings: Settings) -> Result<(), Error> {
    process::raise_descriptor_limit();
    failpoint::step("start.prepare-home", || settings.home.prepare())?;
    let _lock = failpoint::step("start.take-lock", || lock::take(&settings.home))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Enough that shims which do not answer hold up nobody else; idle threads cost memory, and
        // end by themselves after ten seconds.
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("blocking")
        .build()
        .map_err(|source| Error::System { doing: "start the runtime", source })?;
    let result = runtime.block_on(start::serve(settings));
    // A blocking read that still runs must not hold up the end.
    runtime.shutdown_background();
    result
}

/// What reaches the loop.
enum Incoming {
    /// Something about attempts and instances.
    Supervisor(supervisor::Event),
    /// A shim and its whole set are gone; what could be seen last may still be in its window.
    Over {
        /// What was ordered.
        order: Box<Order>,
        /// What is known.
        ending: Box<Ending>,
        /// What it used, as far as it said.
        spent: Vec<Spent>,
    },
    /// A signal.
    Signal(Signal),
    /// Something about the tmux server.
    Tmux(tmux::Notice),
    /// A new connection to a new tmux server, or why there is none.
    TmuxConnected(Result<Connected, tmux::Error>),
    /// Something about windows.
    Windows(windows::WindowNews),
    /// The configuration file may have changed.
    ConfigTouched,
    /// A cleanup goes on.
    Cleanup(Box<cleanup::Cleanup>),
    /// A file vanished from the runtime directory.
    Removal,
    /// What there is of kept results that were asked for.
    LookedUp(Vec<CacheAnswer>),
    /// Something that must not happen did, without harm.
    Fault(String),
}

/// A tmux server and what it says without being asked.
type Connected = (Tmux, mpsc::UnboundedReceiver<tmux::Notice>);

/// Where edges put what they found.
#[derive(Clone)]
struct Inbox(mpsc::UnboundedSender<Incoming>);

impl Inbox {
    fn put(&self, incoming: Incoming) {
        // A loop that has ended wants nothing any more.
        let _ = self.0.send(incoming);
    }
}
