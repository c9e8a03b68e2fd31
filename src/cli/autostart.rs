//! Starts the daemon for whoever needs it, like a tmux server: several clients at once end with
//! one daemon, and one that cannot start says why.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::configuration;
use super::deadline::{Deadline, Notice};
use super::failure::unreadable;
use super::home::{ConfigFile, Place};
use super::scope;
use crate::control::message::PROTOCOL;
use crate::control::view::DaemonView;
use crate::control::{Client, ClientError, Failure, FailureKind, Request};

/// How long a daemon may take until it answers.
const WITHIN: Duration = Duration::from_secs(10);
/// How often is looked without a notice.
const EVERY: Duration = Duration::from_millis(20);
/// How much of its log is shown when it does not.
const LOG_BYTES_SHOWN: u64 = 4096;
const LOG_LINES_SHOWN: usize = 12;
/// What a detached daemon ends with when another one serves the home (`EX_TEMPFAIL`).
pub(crate) const YIELDED: u8 = 75;
/// What an agent's environment holds of its attempt.
const OF_ATTEMPTS: [&str; 7] = [
    "MUXVISOR_RUN",
    "MUXVISOR_TASK",
    "MUXVISOR_ATTEMPT",
    "MUXVISOR_ATTEMPT_ID",
    "MUXVISOR_TOKEN",
    "MUXVISOR_RESULT",
    "MUXVISOR_EXAMPLE",
];

/// The client of the home's daemon, which answers; it was started if it had to be.
pub(crate) fn ensure(
    place: &Place,
    config: &ConfigFile,
    client: Client,
) -> Result<Client, Failure> {
    if answers(&client)? {
        return Ok(client);
    }
    // Better told here, with its place, than by a daemon that ends at once.
    configuration::in_force(&place.home, config)?;
    place.prepare()?;
    let deadline = Deadline::after(Some(WITHIN));
    // Held until the daemon answers: whoever comes meanwhile waits here and then finds it.
    let _starting = turn(&place.start_lock(), &deadline)?;
    if answers(&client)? {
        return Ok(client);
    }
    let log = open_log(&place.home.log())?;
    let said_before = log.metadata().map_or(0, |found| found.len());
    let child = spawn(place, config, log)?;
    let mut start = Start { place, config, said_before, child, yielded: false };
    start.wait(&client, &deadline)?;
    // Reaped, lest it stay a zombie when it dies before us.
    std::thread::spawn(move || start.child.wait().map(drop));
    Ok(client)
}

/// Whether a daemon answers; an error when something does that we cannot use.
pub(crate) fn answers(client: &Client) -> Result<bool, Failure> {
    match client.ask_for::<DaemonView>(&Request::Hello) {
        Ok(view) if view.protocol == PROTOCOL => Ok(true),
        Ok(view) => Err(Failure::new(
            FailureKind::Unreachable,
            format!(
                "the daemon (pid {}) is of version {}, this client of {}",
                view.pid,
                view.version,
                env!("CARGO_PKG_VERSION")
            ),
        )
        .hint("end it with `kill PID`: its agents live on, and the next command starts a new one")),
        Err(ClientError::Unreachable { .. } | ClientError::Lost(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn turn(path: &Path, deadline: &Deadline) -> Result<File, Failure> {
    let options = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    let lock = options.map_err(|error| unreadable(path, &error))?;
    let pause = Notice::on(path.parent().unwrap_or(path));
    while lock.try_lock().is_err() {
        if deadline.passed() {
            let late = format!("another command has been starting the daemon for {WITHIN:?}");
            return Err(Failure::new(FailureKind::Unreachable, late)
                .hint("look at daemon.log with `muxvisor doctor`"));
        }
        pause.wait(EVERY);
    }
    Ok(lock)
}

fn open_log(path: &Path) -> Result<File, Failure> {
    let options = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    options.map_err(|error| unreadable(path, &error))
}

/// Our own program, also after its file was taken away. It is named by our pid, because tmux starts
/// it too, and calls something else its own.
pub(crate) fn program() -> PathBuf {
    std::env::current_exe()
        .ok()
        .filter(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from(format!("/proc/{}/exe", std::process::id())))
}

fn spawn(place: &Place, config: &ConfigFile, log: File) -> Result<Child, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(FailureKind::Unreachable, format!("failed to start the daemon: {error}"))
    };
    let mut command = scope::command(&program(), place.scoped);
    command.args(["daemon", "--detached"]);
    if place.named {
        command.arg("--home").arg(place.home.state());
    }
    if config.named {
        command.arg("--config").arg(&config.path);
    }
    // An agent may be who needs it: the daemon must not pass for a process of that agent.
    for name in OF_ATTEMPTS {
        command.env_remove(name);
    }
    command.current_dir("/").stdin(Stdio::null());
    command.stdout(log.try_clone().map_err(failed)?).stderr(log);
    command.spawn().map_err(failed)
}

struct Start<'p> {
    place: &'p Place,
    config: &'p ConfigFile,
    said_before: u64,
    child: Child,
    /// Whether ours ended because another one held the lock.
    yielded: bool,
}

/// Whether this signal comes from somebody else rather than from a fault of one's own.
fn is_asked_for(signal: i32) -> bool {
    [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGQUIT, Signal::SIGINT, Signal::SIGHUP]
        .iter()
        .any(|asks| *asks as i32 == signal)
}

/// How far a start has come.
enum Standing {
    /// Ours, or another one that was faster, is on its way.
    Starting,
    /// Ours has ended, and nobody else is there.
    Ended,
    /// Ours was told to end or killed, or made way for another one that has died since.
    Widowed,
}

impl Start<'_> {
    fn wait(&mut self, client: &Client, deadline: &Deadline) -> Result<(), Failure> {
        let notice = Notice::on(self.place.home.runtime());
        while !answers(client)? {
            match self.stands() {
                Standing::Starting => {}
                // It may have bound, and ended for another's sake, between the two looks.
                Standing::Ended if answers(client)? => return Ok(()),
                Standing::Ended => return Err(self.failure("it ended")),
                Standing::Widowed => {
                    self.child = spawn(self.place, self.config, open_log(&self.place.home.log())?)?;
                    self.yielded = false;
                }
            }
            if deadline.passed() {
                return Err(self.failure(&format!("it did not answer within {WITHIN:?}")));
            }
            notice.wait(EVERY);
        }
        Ok(())
    }

    fn stands(&mut self) -> Standing {
        let Ok(Some(ended)) = self.child.try_wait() else { return Standing::Starting };
        self.yielded |= ended.code() == Some(i32::from(YIELDED));
        if is_locked(&self.place.home.daemon_lock()) {
            self.yielded = true;
            return Standing::Starting;
        }
        let told_to = ended.success() || ended.signal().is_some_and(is_asked_for);
        if self.yielded || told_to { Standing::Widowed } else { Standing::Ended }
    }

    fn failure(&self, what: &str) -> Failure {
        let log = self.place.home.log();
        let said = last_lines(&log, self.said_before);
        let said = if said.is_empty() { String::new() } else { format!("; it said:\n{said}") };
        Failure::new(
            FailureKind::Unreachable,
            format!("the daemon could not be started: {what}{said}"),
        )
        .hint(format!("its log is {}; `muxvisor doctor` looks for the reason", log.display()))
    }
}

/// Whether anybody holds a lock on a file. It only looks: to try would get in the way of a daemon
/// that starts.
pub(crate) fn is_locked(path: &Path) -> bool {
    let Ok(found) = fs::metadata(path) else { return false };
    let inode = format!(":{} ", found.ino());
    fs::read_to_string("/proc/locks").is_ok_and(|locks| {
        locks.lines().any(|line| line.contains("FLOCK") && line.contains(&inode))
    })
}

fn last_lines(path: &Path, from: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let start = file.metadata()?.len().saturating_sub(LOG_BYTES_SHOWN).max(from);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
    shown.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
