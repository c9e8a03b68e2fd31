//! `daemon`: becomes the daemon, in the foreground, or detached when a client started it.

use std::fs;
use std::path::Path;

use super::autostart::{YIELDED, program};
use super::columns::stamp;
use super::configuration::{self, InForce};
use super::desk::Desk;
use super::failure::COMPLETED;
use crate::cgroup;
use crate::control::{Failure, FailureKind};
use crate::daemon::{self, ConfigSource, Kept, Settings};

/// How to be the daemon.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave the terminal of whoever started us; what is said goes to the log
    #[arg(long, hide = true)]
    detached: bool,
}

/// Runs until it is told to end.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    let place = desk.place()?;
    let file = desk.config()?;
    let InForce { config, text, kept } = configuration::in_force(&place.home, &file)?;
    if let Some(Kept { failure, accepted_ms }) = &kept {
        let of = stamp(*accepted_ms);
        desk.voice.note(&format!("{failure}; the last good one, of {of}, is in use"));
    }
    if args.detached {
        detach();
    }
    let settings = Settings {
        home: place.home,
        config,
        config_source: ConfigSource::new(
            file.path.clone(),
            text,
            {
                let file = file.clone();
                move || configuration::text(&file)
            },
            move |text| configuration::judge(&file, text),
        ),
        kept,
        program: program(),
        env: instances_environment(desk),
        cwd: desk.shell.cwd.clone(),
        herald: desk.shell.get("NOTIFY_SOCKET").map(Path::to_owned),
        cgroup: cgroup::Wish::read(desk.shell.get("MUXVISOR_CGROUP")),
    };
    match daemon::run(settings) {
        Ok(()) => Ok(COMPLETED),
        // The client that started us waits for the other one, or for its end.
        Err(error @ daemon::Error::AlreadyRunning { .. }) if args.detached => {
            desk.voice.note(&error.to_string());
            Ok(YIELDED)
        }
        Err(error) => Err(failure(error)),
    }
}

/// What a service manager says to the daemon is not for its agents: they would speak in its name.
fn instances_environment(desk: &Desk) -> Vec<(String, String)> {
    const OF_THE_SERVICE: [&str; 7] = [
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "MAINPID",
        "LISTEN_FDS",
        "LISTEN_PID",
        "LISTEN_FDNAMES",
    ];
    let mut variables = desk.shell.environment().0;
    variables.retain(|(name, _)| !OF_THE_SERVICE.contains(&name.as_str()));
    variables
}

/// Cuts the ties to the client: its session, and descriptors that it left open for us by mistake
/// (a pipe of its caller would never see its end).
fn detach() {
    // Fails only for the leader of a group, which has no ties to cut.
    let _ = nix::unistd::setsid();
    let Ok(open) = fs::read_dir("/proc/self/fd") else { return };
    let numbers: Vec<i32> =
        open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        let _ = nix::unistd::close(number);
    }
}

/// What a daemon's failure means to whoever started it.
fn failure(error: daemon::Error) -> Failure {
    let kind = match error {
        daemon::Error::Home(_) | daemon::Error::Socket(_) => FailureKind::Usage,
        daemon::Error::AlreadyRunning { .. } | daemon::Error::Ledger(_) => FailureKind::Failed,
        daemon::Error::Tmux(_) => FailureKind::Unreachable,
        daemon::Error::Ledgered(_)
        | daemon::Error::System { .. }
        | daemon::Error::Contradiction(_) => FailureKind::Internal,
    };
    Failure::new(kind, error.to_string())
}
