//! The lock on `spec.json`: at most one shim per attempt, and a way to ask who.
//!
//! A POSIX record lock, because it can be asked about without being taken (a question never makes
//! a starting shim fail), names its holder, and is not inherited by a fork. It would be dropped if
//! this process closed any descriptor of the same file, so the file is opened exactly once.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::model::files;

/// Exit code of a second shim for a directory that already has, or had, one (`EX_TEMPFAIL`).
pub const REFUSED: i32 = 75;

/// The pid of the shim that lives for this attempt directory, if one does.
///
/// It may be 0 when the shim lives in a pid namespace that we cannot see into.
///
/// # Errors
/// When that cannot be known just now, such as without a free file descriptor.
pub fn holder(dir: &Path) -> io::Result<Option<i32>> {
    let file = match File::open(dir.join(files::SPEC)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut lock = whole_file();
    fcntl(&file, FcntlArg::F_GETLK(&mut lock))?;
    Ok((i32::from(lock.l_type) != libc::F_UNLCK).then_some(lock.l_pid))
}

/// Takes the lock; `None` when another process has it.
pub(super) fn take(dir: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().read(true).write(true).open(dir.join(files::SPEC))?;
    match fcntl(&file, FcntlArg::F_SETLK(&whole_file())) {
        Ok(_) => Ok(Some(file)),
        Err(Errno::EACCES | Errno::EAGAIN) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}
