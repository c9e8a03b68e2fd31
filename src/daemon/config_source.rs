//! Where the daemon's configuration comes from: a file, how it is read, and how it is judged.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::control::Failure;
use crate::policy::Config;

type ReadText = dyn Fn() -> Result<Option<String>, Failure> + Send + Sync;
type Parse = dyn Fn(Option<String>) -> Result<Config, Failure> + Send + Sync;

/// What a text is recognised by.
pub(super) type Print = [u8; 32];

/// Reads the configuration again, from wherever it was read at start.
#[derive(Clone)]
pub struct ConfigSource {
    path: PathBuf,
    /// The text that the daemon found at its start.
    first: Option<String>,
    text: Arc<ReadText>,
    parse: Arc<Parse>,
}

impl ConfigSource {
    /// A source at `path` (absolute), which was `first` when the daemon was started.
    ///
    /// `text` reads it, `None` when there is no file and none is needed; `parse` judges that.
    pub fn new(
        path: PathBuf,
        first: Option<String>,
        text: impl Fn() -> Result<Option<String>, Failure> + Send + Sync + 'static,
        parse: impl Fn(Option<String>) -> Result<Config, Failure> + Send + Sync + 'static,
    ) -> Self {
        Self { path, first, text: Arc::new(text), parse: Arc::new(parse) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn first(&self) -> Option<&str> {
        self.first.as_deref()
    }

    pub(super) fn text(&self) -> Result<Option<String>, Failure> {
        (self.text)()
    }

    pub(super) fn parse(&self, text: Option<String>) -> Result<Config, Failure> {
        (self.parse)(text)
    }
}

impl fmt::Debug for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigSource({})", self.path.display())
    }
}

/// The print of a text.
pub(super) fn print(text: &str) -> Print {
    Sha256::digest(text).into()
}
