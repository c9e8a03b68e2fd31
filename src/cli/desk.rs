//! What every command has at hand.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::autostart;
use super::failure::usage;
use super::home::{ConfigFile, Place};
use super::shell::Shell;
use super::voice::{self, Voice};
use crate::control::view::{ConfigurationView, PsReply};
use crate::control::{Client, ClientError, Failure, Request};
use crate::model::RunId;

/// How many daemons in a row are asked the same; beyond that something is wrong with all of them.
const DAEMONS_ASKED_MAX: u32 = 5;

/// From when on a person is told that the daemon has not answered yet.
const SILENT: Duration = Duration::from_secs(2);

/// Flags that stand before or after any verb.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Places {
    /// Keep everything under this directory [default: $MUXVISOR_HOME, then the XDG directories]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Where")]
    home: Option<PathBuf>,
    /// The configuration file [default: $MUXVISOR_CONFIG, then muxvisor.toml of the home]
    #[arg(
        long = "config",
        global = true,
        value_name = "FILE",
        id = "config-file",
        help_heading = "Where"
    )]
    config: Option<PathBuf>,
}

/// The surroundings of one command.
#[derive(Debug)]
pub(crate) struct Desk {
    places: Places,
    /// What the shell gave us.
    pub(crate) shell: Shell,
    /// How to speak.
    pub(crate) voice: Voice,
}

impl Desk {
    /// The desk of a command.
    pub(crate) fn new(places: Places, shell: Shell, voice: Voice) -> Self {
        Self { places, shell, voice }
    }

    /// The home that is meant.
    pub(crate) fn place(&self) -> Result<Place, Failure> {
        Place::resolve(self.places.home.as_deref(), &self.shell)
    }

    /// The configuration file that is meant.
    pub(crate) fn config(&self) -> Result<ConfigFile, Failure> {
        ConfigFile::resolve(self.places.config.as_deref(), &self.place()?, &self.shell)
    }

    /// The daemon, whether it runs or not.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let home = self.place()?.home;
        is_folder(home.state())?;
        Ok(Client::at(home.daemon_socket()).telling(SILENT, voice::tell_silence))
    }

    /// The daemon, which runs from here on.
    pub(crate) fn daemon(&self) -> Result<Client, Failure> {
        let client = autostart::ensure(&self.place()?, &self.config()?, self.client()?)?;
        if self.places.config.is_some() {
            // Whether it is lost is for whoever asks it next to find out.
            let seen = client.ask_for::<PsReply>(&Request::Ps).ok();
            self.agree(seen.and_then(|seen| seen.configuration).as_ref())?;
        }
        Ok(client)
    }

    /// Refuses to go on with a daemon that runs with another file than `--config` names: what it
    /// says would be silently ignored.
    pub(crate) fn agree(&self, running: Option<&ConfigurationView>) -> Result<(), Failure> {
        let (Some(_), Some(running)) = (&self.places.config, running) else { return Ok(()) };
        let wanted = self.config()?.path;
        if is_same(&wanted, &running.path) {
            return Ok(());
        }
        let (theirs, wanted) = (running.path.display(), wanted.display());
        let message = format!("the daemon of this home runs with {theirs}, not with {wanted}");
        Err(usage(message).hint(
            "leave `--config` out, or name another home with `--home DIR`: a file of its own needs \
             a daemon of its own",
        ))
    }

    /// Asks the daemon something that changes nothing. When it dies meanwhile, its successor is
    /// asked.
    pub(crate) fn ask<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Failure> {
        for _ in 1..DAEMONS_ASKED_MAX {
            match self.daemon()?.ask_for(request) {
                Err(ClientError::Lost(_) | ClientError::Unreachable { .. }) => {}
                answered => return Ok(answered?),
            }
        }
        Ok(self.daemon()?.ask_for(request)?)
    }
}

/// Refuses a home that is something else. Nothing at all is well: it is made when it is needed.
fn is_folder(home: &Path) -> Result<(), Failure> {
    let what = match fs::metadata(home) {
        Ok(found) if !found.is_dir() => String::new(),
        Err(error) if error.kind() == ErrorKind::NotADirectory => format!(": {error}"),
        Ok(_) | Err(_) => return Ok(()),
    };
    Err(usage(format!("the home {} is no folder{what}", home.display()))
        .hint("`--home DIR` or MUXVISOR_HOME names another home"))
}

/// Whether two paths lead to one file.
fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path| fs::canonicalize(path).ok();
    one == other || real(one).is_some_and(|one| real(other) == Some(one))
}

/// Reads a run's id.
pub(crate) fn run_id(text: &str) -> Result<RunId, String> {
    RunId::parse(text).map_err(|error| error.to_string())
}
