//! The last configuration that was right, kept in the home: a daemon that starts while the file is
//! wrong goes on with it, so that nobody who lives is without supervision for a typing mistake.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Home;
use crate::control::Failure;
use crate::failpoint;

/// A configuration file that was right.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastGood {
    /// Where it was read.
    pub path: PathBuf,
    /// What it said. It may hold secrets, and is never shown.
    pub text: String,
    /// When it was taken up first, wall clock in milliseconds since 1970.
    pub accepted_ms: i64,
}

/// That a daemon is started with the last good configuration, because the file is wrong.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What is wrong with the file.
    pub failure: Failure,
    /// When what is used instead was taken up.
    pub accepted_ms: i64,
}

impl LastGood {
    /// The one that a home holds for the file at `path`; none when there is none, or when it was
    /// another file.
    pub fn read(home: &Home, path: &Path) -> Option<Self> {
        let good: Self = serde_json::from_slice(&fs::read(home.last_good()).ok()?).ok()?;
        (good.path == path).then_some(good)
    }

    /// Keeps what the file at `path` says now, on disk before this returns; returns since when it
    /// says that.
    ///
    /// # Errors
    /// When it cannot be written; what was there stays.
    pub(super) fn keep(home: &Home, path: &Path, text: &str, wall_ms: i64) -> io::Result<i64> {
        if let Some(there) = Self::read(home, path).filter(|there| there.text == text) {
            return Ok(there.accepted_ms);
        }
        let good = Self { path: path.to_owned(), text: text.to_owned(), accepted_ms: wall_ms };
        replace(&home.last_good(), &serde_json::to_vec(&good)?)?;
        Ok(wall_ms)
    }

    /// Forgets it: no file is right too.
    pub(super) fn forget(home: &Home) {
        // Without one there is nothing to forget.
        let _ = fs::remove_file(home.last_good());
    }
}

/// Replaces a file in one step, readable by its owner only.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    failpoint::io("config.write-good", || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()
    })?;
    failpoint::io("config.name-good", || {
        fs::rename(&fresh, path)?;
        File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_last_good_one_is_private_whole_and_of_its_own_file() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::under(dir.path());
        let path = Path::new("/x/muxvisor.toml");
        assert!(LastGood::read(&home, path).is_none());
        assert_eq!(LastGood::keep(&home, path, "a", 5).unwrap(), 5);
        // The same text is as old as it was.
        assert_eq!(LastGood::keep(&home, path, "a", 7).unwrap(), 5);
        assert_eq!(LastGood::keep(&home, path, "b", 9).unwrap(), 9);
        let good = LastGood::read(&home, path).unwrap();
        assert_eq!((good.text.as_str(), good.accepted_ms), ("b", 9));
        assert!(LastGood::read(&home, Path::new("/y/muxvisor.toml")).is_none());
        let mode = fs::metadata(home.last_good()).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        // What a crash left under the other name is in nobody's way; what is torn is none.
        fs::write(home.last_good().with_extension("new"), "{").unwrap();
        LastGood::keep(&home, path, "c", 11).unwrap();
        assert_eq!(LastGood::read(&home, path).unwrap().text, "c");
        fs::write(home.last_good(), "{").unwrap();
        assert!(LastGood::read(&home, path).is_none());
        LastGood::forget(&home);
        assert!(!home.last_good().exists());
    }
}
