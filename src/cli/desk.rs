//! What every command has at hand.

use std::path::PathBuf;

use serde::de::DeserializeOwned;

use super::autostart;
use super::home::{ConfigFile, Place};
use super::shell::Shell;
use super::voice::Voice;
use crate::control::{Client, ClientError, Failure, Request};
use crate::model::RunId;

/// How many daemons in a row are asked the same; beyond that something is wrong with all of them.
const DAEMONS_ASKED_MAX: u32 = 5;

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
        Ok(Client::at(self.place()?.home.daemon_socket()))
    }

    /// The daemon, which runs from here on.
    pub(crate) fn daemon(&self) -> Result<Client, Failure> {
        autostart::ensure(&self.place()?, &self.config()?)
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

/// Reads a run's id.
pub(crate) fn run_id(text: &str) -> Result<RunId, String> {
    RunId::parse(text).map_err(|error| error.to_string())
}
