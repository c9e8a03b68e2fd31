//! Waits for file descriptors of our own with the runtime.
#![expect(unsafe_code, reason = "tokio asks for a promise about the descriptor's life")]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor whose readiness is waited for. It is closed with the returned value.
pub(super) fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` names the same open file until it is dropped, and it is moved into the
    // registration, which deregisters before it drops it.
    let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    registered.map_err(io::Error::from)
}
