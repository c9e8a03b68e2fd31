//! Where the socket may stand: in a private directory of ours, under a path that fits, put in
//! place in one step.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::failpoint;

/// The longest path that fits in `sockaddr_un` (108 bytes with the closing zero).
pub const PATH_BYTES_MAX: usize = 107;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Longer than the system allows.
    #[error(
        "the socket path {path} has {bytes} bytes and the system allows {PATH_BYTES_MAX}; \
         use a shorter --home"
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
    /// Another user could get at it.
    #[error("{path} is not private: {why}")]
    NotPrivate {
        /// The directory.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// Something else stands there.
    #[error("{0} is there already and is no socket; move it away")]
    Occupied(PathBuf),
    /// The system refused.
    #[error("failed to {doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> SocketError + 'a {
    move |source| SocketError::Io { doing, path: path.to_owned(), source }
}

/// Makes sure that `path` is a directory of ours that nobody else may enter; makes it (and its
/// parents) when it is missing.
///
/// # Errors
/// When it is a link, not a directory, not ours, or open to others.
pub fn private_directory(path: &Path) -> Result<(), SocketError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(failed("make the directory", path))?;
    check_private(path)
}

/// Looks whether `path` is a directory of ours that nobody else may enter. Links are not followed.
///
/// # Errors
/// When it is not.
pub fn check_private(path: &Path) -> Result<(), SocketError> {
    let found = fs::symlink_metadata(path).map_err(failed("look at", path))?;
    let refuse = |why: String| Err(SocketError::NotPrivate { path: path.to_owned(), why });
    if !found.is_dir() {
        return refuse("it is not a directory".to_owned());
    }
    let (owner, us) = (found.uid(), geteuid().as_raw());
    if owner != us {
        return refuse(format!("it belongs to user {owner}, and we are user {us}"));
    }
    let mode = found.mode() & 0o777;
    if mode & 0o077 != 0 {
        return refuse(format!("its mode is {mode:03o}; run `chmod 700 {}`", path.display()));
    }
    Ok(())
}

/// Looks whether a socket can have this path.
///
/// # Errors
/// When it is too long.
pub fn check_length(path: &Path) -> Result<(), SocketError> {
    let bytes = path.as_os_str().as_bytes().len();
    if bytes > PATH_BYTES_MAX {
        return Err(SocketError::TooLong { path: path.to_owned(), bytes });
    }
    Ok(())
}

/// A bound socket that takes its name away when it is dropped, unless another took it over.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    mark: (u64, u64),
}

/// Binds a listener of mode 0600 at `path`, replacing a socket that a dead daemon left. The caller
/// holds the lock that says there is no living one.
pub(super) fn bind(path: &Path) -> Result<(UnixListener, Place), SocketError> {
    check_length(path)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    private_directory(directory)?;
    if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        return Err(SocketError::Occupied(path.to_owned()));
    }
    // Whoever connects finds either the old socket or one that is ready, never a gap.
    // One name for all, so that what a daemon left that died in between is in nobody's way.
    let temporary = path.with_extension("new");
    check_length(&temporary)?;
    let _ = fs::remove_file(&temporary);
    let listener = UnixListener::bind(&temporary).map_err(failed("bind", &temporary))?;
    let private = Permissions::from_mode(0o600);
    fs::set_permissions(&temporary, private).map_err(failed("set the mode of", &temporary))?;
    failpoint::io("start.name-socket", || fs::rename(&temporary, path))
        .map_err(failed("put in place", path))?;
    let mark = mark(path).map_err(failed("look at", path))?;
    Ok((listener, Place { path: path.to_owned(), mark }))
}

fn mark(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

impl Place {
    /// Whether the name still leads to this socket; false after somebody removed the file.
    pub(super) fn stands(&self) -> bool {
        mark(&self.path).is_ok_and(|found| found == self.mark)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.stands() {
            let _ = failpoint::io("leave.remove-socket", || fs::remove_file(&self.path));
        }
    }
}
