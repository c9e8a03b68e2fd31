//! Tells when a file appears in an attempt's directory: one inotify instance for all of them,
//! because the kernel allows a user only a few.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use super::readable::readable;

/// All watched directories.
#[derive(Clone)]
pub(super) struct Notices {
    inotify: Arc<Inotify>,
    waiting: Arc<Mutex<HashMap<WatchDescriptor, Arc<Notify>>>>,
}

/// One watched directory; forgotten when dropped.
pub(super) struct Notice {
    notices: Notices,
    descriptor: WatchDescriptor,
    arrived: Arc<Notify>,
}

impl Notices {
    /// Starts the one task that reads the kernel's events.
    pub(super) fn start() -> io::Result<Self> {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        let inotify = Inotify::init(flags)?;
        let events = readable(inotify.as_fd().try_clone_to_owned()?)?;
        let notices = Self { inotify: Arc::new(inotify), waiting: Arc::default() };
        tokio::spawn(notices.clone().pump(events));
        Ok(notices)
    }

    /// Watches for files that are moved into `dir`, which is how complete records appear.
    pub(super) fn watch(&self, dir: &Path) -> io::Result<Notice> {
        self.watch_for(dir, AddWatchFlags::IN_MOVED_TO)
    }

    /// Watches for files that are deleted from `dir` or moved out of it, and for its own end; `None`
    /// when this very directory is watched already.
    pub(super) fn watch_removals(&self, dir: &Path) -> io::Result<Option<Notice>> {
        let what = AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM;
        let descriptor = self.inotify.add_watch(dir, what)?;
        if self.lock().contains_key(&descriptor) {
            return Ok(None);
        }
        Ok(Some(self.notice(descriptor)))
    }

    fn watch_for(&self, dir: &Path, what: AddWatchFlags) -> io::Result<Notice> {
        Ok(self.notice(self.inotify.add_watch(dir, what)?))
    }

    fn notice(&self, descriptor: WatchDescriptor) -> Notice {
        let arrived = Arc::new(Notify::new());
        self.lock().insert(descriptor, arrived.clone());
        Notice { notices: self.clone(), descriptor, arrived }
    }

    /// Has everybody who waits look again, as if something had arrived.
    pub(super) fn look_again(&self) {
        self.lock().values().for_each(|notify| notify.notify_one());
    }

    async fn pump(self, events: AsyncFd<OwnedFd>) {
        while let Ok(mut ready) = events.readable().await {
            match self.inotify.read_events() {
                Ok(events) => {
                    let waiting = self.lock();
                    if events.iter().any(|event| event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW))
                    {
                        // The kernel dropped some, and nobody knows whose.
                        waiting.values().for_each(|notify| notify.notify_one());
                    }
                    let arrived = events.iter().filter_map(|event| waiting.get(&event.wd));
                    arrived.for_each(|notify| notify.notify_one());
                }
                Err(_) => ready.clear_ready(),
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<WatchDescriptor, Arc<Notify>>> {
        self.waiting.lock().expect("no holder of this lock panics")
    }
}

impl Notice {
    /// Waits until something has arrived since the last call.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        self.notices.lock().remove(&self.descriptor);
        // The directory may be gone, and its watch with it.
        let _ = self.notices.inotify.rm_watch(self.descriptor);
    }
}
