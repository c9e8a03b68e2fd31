//! The control socket as the daemon holds it: served by a task of its own, and made anew when its
//! file was deleted.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::control::{Call, Listener, SocketError};

/// The bound socket and the task that serves it.
pub(super) struct Door {
    path: PathBuf,
    calls: mpsc::Sender<Call>,
    listener: Arc<Listener>,
    serving: JoinHandle<()>,
}

impl Door {
    /// Binds the socket and passes on what is asked there.
    pub(super) fn open(path: PathBuf, calls: mpsc::Sender<Call>) -> Result<Self, SocketError> {
        let listener = Arc::new(Listener::bind(&path)?);
        let serving = serve(listener.clone(), calls.clone());
        Ok(Self { path, calls, listener, serving })
    }

    /// Whether clients find it.
    pub(super) fn stands(&self) -> bool {
        self.listener.stands()
    }

    /// Binds it again if clients do not find it any more; true when that was needed. Connections
    /// of the old one are closed, and their clients come back.
    pub(super) fn mend(&mut self) -> Result<bool, SocketError> {
        if self.stands() {
            return Ok(false);
        }
        let mended = Self::open(self.path.clone(), self.calls.clone())?;
        self.serving.abort();
        *self = mended;
        Ok(true)
    }
}

fn serve(listener: Arc<Listener>, calls: mpsc::Sender<Call>) -> JoinHandle<()> {
    tokio::spawn(async move { listener.serve(calls).await })
}
