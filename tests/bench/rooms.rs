//! Private directories, kept until everything is measured: where many files have just been deleted,
//! some file systems make new ones slowly, and what comes next would pay for it.

use std::path::PathBuf;
use std::sync::Mutex;

use tempfile::TempDir;

static ROOMS: Mutex<Vec<TempDir>> = Mutex::new(Vec::new());

/// A private directory with a short name, for sockets.
pub(crate) fn private() -> PathBuf {
    let room = tempfile::Builder::new().prefix("mvb").tempdir_in("/tmp").unwrap();
    let path = room.path().to_owned();
    ROOMS.lock().unwrap().push(room);
    path
}

/// Deletes all of them when it is dropped.
pub(crate) struct Sweep;

impl Drop for Sweep {
    fn drop(&mut self) {
        ROOMS.lock().unwrap().clear();
    }
}
