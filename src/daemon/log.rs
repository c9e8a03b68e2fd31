//! The daemon's log file, which can be opened anew after somebody moved it away.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An open log. Clones write to the same file.
#[derive(Clone, Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

impl LogFile {
    /// Opens the log at its end, or makes it (mode 0600).
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let file = Arc::new(Mutex::new(append_to(&path)?));
        Ok(Self { path, file })
    }

    /// Opens the path again; the old file keeps what it has.
    pub(super) fn reopen(&self) -> io::Result<()> {
        *self.lock() = append_to(&self.path)?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().flush()
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_was_moved_away_is_opened_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("log"), dir.path().join("log.1"));
        let mut log = LogFile::open(path.clone()).unwrap();
        log.write_all(b"one").unwrap();
        std::fs::rename(&path, &moved).unwrap();
        log.reopen().unwrap();
        log.write_all(b"two").unwrap();
        assert_eq!(std::fs::read_to_string(moved).unwrap(), "one");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "two");
    }
}
