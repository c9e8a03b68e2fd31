//! The daemon's log file, which can be opened anew after somebody moved it away, and which makes
//! room by itself when it has grown too long.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An open log. Clones write to the same file.
#[derive(Clone, Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
    bytes_max: Option<u64>,
    backups: u32,
}

impl LogFile {
    /// Opens the log at its end, or makes it (mode 0600). When it would grow longer than
    /// `bytes_max`, it is moved to `daemon.log.1` and so on; `backups` old ones are kept.
    pub(super) fn open(path: PathBuf, bytes_max: Option<u64>, backups: u32) -> io::Result<Self> {
        let (file, bytes) = append_to(&path)?;
        let open = Arc::new(Mutex::new(Open { file, bytes, bytes_max, backups }));
        Ok(Self { path, open })
    }

    /// Opens the path again; the old file keeps what it has.
    pub(super) fn reopen(&self) -> io::Result<()> {
        let mut open = self.lock();
        (open.file, open.bytes) = append_to(&self.path)?;
        Ok(())
    }

    /// How long it may grow, and how many old ones are kept, from now on.
    pub(super) fn limit(&self, bytes_max: Option<u64>, backups: u32) {
        let mut open = self.lock();
        (open.bytes_max, open.backups) = (bytes_max, backups);
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the log away, and begins another one.
    fn make_room(&self, open: &mut Open) -> io::Result<()> {
        if open.backups == 0 {
            open.file.set_len(0)?;
            open.bytes = 0;
            return Ok(());
        }
        for n in (1..open.backups).rev() {
            // One that is missing leaves a gap, no more.
            let _ = fs::rename(numbered(&self.path, n), numbered(&self.path, n + 1));
        }
        match fs::rename(&self.path, numbered(&self.path, 1)) {
            // Somebody moved it away already.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) | Ok(()) => {}
        }
        (open.file, open.bytes) = append_to(&self.path)?;
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut open = self.lock();
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let full = open.bytes_max.is_some_and(|most| open.bytes.saturating_add(length) > most);
        if full && open.bytes > 0 && self.make_room(&mut open).is_err() {
            // A log that is too long is better than none; it is tried again after as much more.
            open.bytes = 0;
        }
        let written = open.file.write(bytes)?;
        open.bytes += u64::try_from(written).unwrap_or(0);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().file.flush()
    }
}

fn numbered(path: &Path, n: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}

/// A file to append to, and how long it is.
fn append_to(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_was_moved_away_is_opened_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("log"), dir.path().join("log.1"));
        let mut log = LogFile::open(path.clone(), None, 5).unwrap();
        log.write_all(b"one").unwrap();
        fs::rename(&path, &moved).unwrap();
        log.reopen().unwrap();
        log.write_all(b"two").unwrap();
        assert_eq!(fs::read_to_string(moved).unwrap(), "one");
        assert_eq!(fs::read_to_string(path).unwrap(), "two");
    }

    #[test]
    fn a_log_that_is_full_makes_room_and_keeps_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = LogFile::open(path.clone(), Some(6), 2).unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        let text = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap_or_default();
        assert_eq!([text("log"), text("log.1"), text("log.2")], ["four\n", "three\n", "two\n"]);
        assert_eq!(text("log.3"), "");
        log.limit(Some(8), 0);
        log.write_all(b"five\n").unwrap();
        assert_eq!([text("log"), text("log.1")], ["five\n", "three\n"]);
        // What is there already counts when it is opened.
        let mut log = LogFile::open(path, Some(6), 1).unwrap();
        log.write_all(b"a line that is too long\n").unwrap();
        assert_eq!([text("log").as_str(), &text("log.1")], ["a line that is too long\n", "five\n"]);
    }
}
