//! Tells whoever started the daemon as a service how far it is (`sd_notify`).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

/// Sends `READY=1` and the like. Without a socket there is nobody to tell.
pub(super) fn tell(socket: Option<&Path>, state: &str) {
    let Some(socket) = socket else { return };
    // A service manager that does not hear it gives up by itself, and the log says why.
    if let Err(error) = send(socket, state) {
        tracing::warn!("{} could not be told {state}: {error}", socket.display());
    }
}

fn send(socket: &Path, state: &str) -> std::io::Result<()> {
    let address = match socket.as_os_str().as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_sockets_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let hidden = format!("muxvisor-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&hidden).unwrap();
        let listeners =
            [UnixDatagram::bind(&path).unwrap(), UnixDatagram::bind_addr(&address).unwrap()];
        for (listener, name) in listeners.iter().zip([path, format!("@{hidden}").into()]) {
            tell(Some(&name), "READY=1");
            let mut said = [0; 64];
            let length = listener.recv(&mut said).unwrap();
            assert_eq!(&said[..length], b"READY=1");
        }
    }
}
