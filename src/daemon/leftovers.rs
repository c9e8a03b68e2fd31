//! Removes the sockets of shims that were killed after their attempt had ended, while no daemon
//! lived that would have done it. What an unended attempt may still need is never touched.

use std::fs::{self, DirEntry};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use crate::failpoint;
use crate::ledger::Reader;
use crate::model::{AttemptId, AttemptState};

/// Looks through the sockets of a runtime directory.
pub(super) fn sweep(runtime: &Path, ledger: &Reader) {
    let entries = fs::read_dir(runtime.join("s")).into_iter().flatten().flatten();
    let stale = entries.filter(|entry| is_over(entry, ledger) && nobody_listens(entry));
    for entry in stale {
        let path = entry.path();
        match failpoint::io("start.remove-socket", || fs::remove_file(&path)) {
            Ok(()) => {
                tracing::info!("removed the socket {}, on which nobody listens", path.display())
            }
            Err(error) => tracing::warn!("{} cannot be removed: {error}", path.display()),
        }
    }
}

/// Whether its attempt has ended, or is none that we know. A ledger that cannot be read does not
/// say so.
fn is_over(entry: &DirEntry, ledger: &Reader) -> bool {
    let path = entry.path();
    let Some(id) = path.file_stem().and_then(|stem| stem.to_str()) else { return false };
    match ledger.attempt(&AttemptId::new(id)) {
        Ok(found) => found.is_none_or(|record| record.row.state == AttemptState::Ended),
        Err(_) => false,
    }
}

/// Only a refusal says that nobody listens; nothing here waits for a listener that is busy.
fn nobody_listens(entry: &DirEntry) -> bool {
    if !entry.file_type().is_ok_and(|kind| kind.is_socket()) {
        return false;
    }
    let path = entry.path();
    let kind = match path.extension().and_then(|end| end.to_str()) {
        // `new` is a socket that was never renamed to its place.
        Some("sock" | "new") => SockType::Stream,
        Some("notify") => SockType::Datagram,
        Some(_) | None => return false,
    };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let (Ok(ours), Ok(address)) =
        (socket(AddressFamily::Unix, kind, flags, None), UnixAddr::new(&path))
    else {
        return false;
    };
    connect(ours.as_raw_fd(), &address) == Err(Errno::ECONNREFUSED)
}
