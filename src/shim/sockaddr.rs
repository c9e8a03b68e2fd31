//! Socket paths of any length: the kernel takes 107 bytes, so a longer one is named through a
//! descriptor of its directory.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Bytes that fit into a socket address.
const PATH_BYTES_MAX: usize = 107;

/// Calls `with` with a path for `socket` that is short enough.
pub(super) fn with_short<T>(
    socket: &Path,
    with: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<T> {
    if socket.as_os_str().len() <= PATH_BYTES_MAX {
        return with(socket);
    }
    let (Some(dir), Some(name)) = (socket.parent(), socket.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let dir = File::open(dir)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name);
    with(&short)
}
