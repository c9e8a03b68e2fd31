//! One daemon per home: locks that the kernel gives back when their holder dies, so that nothing
//! stale is ever in the way. The file is never unlinked by us, because a lock on an unlinked file
//! locks nobody out; people do unlink it, so the folder of the state is locked too, which nobody
//! removes who wants to keep anything.
#![expect(
    clippy::disallowed_methods,
    reason = "a dying holder is waited for before there is a loop"
)]

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::{Error, Home, process};

/// How often a lock is tried whose holder is dying: for two seconds, and a process that was killed
/// takes milliseconds to give back what it held.
const TRIES: u32 = 1000;
const PAUSE: Duration = Duration::from_millis(2);

/// The locks of a home.
#[derive(Debug)]
pub(super) struct Held {
    _file: Flock<File>,
    /// Absent where folders cannot be locked, as on some network file systems.
    _folder: Option<Flock<File>>,
}

/// Takes the locks, for as long as the returned value lives. Rust opens files with `O_CLOEXEC`, so
/// that neither tmux nor an agent inherits them.
pub(super) fn take(home: &Home) -> Result<Held, Error> {
    let system = |doing| move |source| Error::System { doing, source };
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(home.daemon_lock())
        .map_err(system("open the lock file"))?;
    let file = lock_when_free(file, home)?;
    let folder = File::open(home.state()).map_err(system("open the home"))?;
    let folder = match lock_when_free(folder, home) {
        Ok(folder) => Some(folder),
        Err(Error::System { .. }) => None,
        Err(other) => return Err(other),
    };
    // Over what is there, because a full disk has no room for a file that was emptied. The lock
    // holds without it: the pid is for people.
    let _ = file.write_all_at(format!("{:<10}\n", std::process::id()).as_bytes(), 0);
    Ok(Held { _file: file, _folder: folder })
}

/// The lock; an error only when its holder lives. One that was killed is still seen to hold it for
/// a moment, after its sockets have closed and clients have started its successor.
fn lock_when_free(mut file: File, home: &Home) -> Result<Flock<File>, Error> {
    let mut pid = None;
    for _ in 0..TRIES {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((file, Errno::EWOULDBLOCK)) => file,
            Err((_, errno)) => {
                return Err(Error::System { doing: "lock the home", source: errno.into() });
            }
        };
        pid = written_pid(&mut file);
        if pid.is_some_and(process::lives) {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    Err(Error::AlreadyRunning { pid, home: home.state().to_owned() })
}

/// Who wrote itself down last: the holder, or for a moment the one before it.
fn written_pid(file: &mut File) -> Option<i32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
