//! Durable records: complete under their final name, or not there at all. A record is published
//! first, because that is what everybody waits for, and synced then: only a power cut needs that.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::failpoint;
use crate::model::files;

/// Room set aside for `exit.json` while the disk still has some.
const RESERVED_BYTES: usize = 8192;

/// Writes `value` as `dir/name` at once: temporary file, rename, sync of both.
pub(super) fn write(dir: &Path, name: &str, value: &impl Serialize) -> io::Result<()> {
    let record = Reserved::open(dir, name)?;
    record.publish(value)?;
    record.sync()
}

/// A record whose space is taken before its content is known.
pub(super) struct Reserved {
    file: File,
    dir: PathBuf,
    name: String,
}

impl Reserved {
    /// A record without reserved space.
    pub(super) fn open(dir: &Path, name: &str) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(temporary(dir, name))?;
        Ok(Self { file, dir: dir.to_owned(), name: name.to_owned() })
    }

    /// Takes the space, so that a disk that fills up later cannot lose this record.
    pub(super) fn reserve(dir: &Path, name: &str) -> io::Result<Self> {
        let mut reserved = Self::open(dir, name)?;
        // Why blanks: JSON may end in them, so even a cut that failed leaves a readable record.
        let _ = reserved.file.write_all(&[b' '; RESERVED_BYTES]);
        Ok(reserved)
    }

    /// Fills the record and gives it its name.
    pub(super) fn publish(&self, value: &impl Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(value)?;
        bytes.push(b'\n');
        failpoint::io(self.filling(), || {
            self.file.write_all_at(&bytes, 0)?;
            self.file.set_len(bytes.len() as u64)
        })?;
        failpoint::io(self.naming(), || {
            fs::rename(temporary(&self.dir, &self.name), self.dir.join(&self.name))
        })
    }

    /// Makes it outlive a power cut.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()?;
        File::open(&self.dir)?.sync_all()
    }

    fn filling(&self) -> &'static str {
        if self.name == files::EXIT { "shim.fill-exit" } else { "shim.fill-started" }
    }

    fn naming(&self) -> &'static str {
        if self.name == files::EXIT { "shim.name-exit" } else { "shim.name-started" }
    }
}

fn temporary(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.tmp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_record_is_absent_until_published_and_then_exact() {
        let dir = tempfile::tempdir().unwrap();
        let reserved = Reserved::reserve(dir.path(), "exit.json").unwrap();
        assert!(!dir.path().join("exit.json").exists());
        reserved.publish(&vec![1, 2]).unwrap();
        reserved.sync().unwrap();
        assert_eq!(fs::read(dir.path().join("exit.json")).unwrap(), b"[1,2]\n");
        assert!(!dir.path().join("exit.json.tmp").exists());
    }

    /// Fault 9: what a crash left under the temporary name is no obstacle.
    #[test]
    fn a_stale_temporary_file_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.json.tmp"), "longer than what follows").unwrap();
        write(dir.path(), "a.json", &1).unwrap();
        assert_eq!(fs::read(dir.path().join("a.json")).unwrap(), b"1\n");
    }
}
