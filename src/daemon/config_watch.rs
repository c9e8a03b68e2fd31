//! Tells when the configuration file may have changed, however that was done: written in place,
//! renamed over, removed, or by another symbolic link on the way to it. Directories are watched,
//! because editors replace the file itself.
//!
//! It has an inotify instance of its own: a directory may be watched for something else as well,
//! and the kernel keeps one set of wishes for each.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tokio::io::unix::AsyncFd;

use super::readable::readable;

/// As many links in a row as Linux follows.
const LINKS_MAX: u32 = 40;
/// How often watches are set anew because the way to the file changed meanwhile.
const ARM_TRIES: u32 = 8;

/// Directories, and the names in each whose change matters.
type Places = BTreeMap<PathBuf, BTreeSet<OsString>>;

/// Watches the way to one file.
pub(super) struct ConfigWatch {
    path: PathBuf,
    inotify: Inotify,
    events: AsyncFd<OwnedFd>,
    watched: HashMap<WatchDescriptor, BTreeSet<OsString>>,
}

impl ConfigWatch {
    /// Begins to watch. The path is absolute; neither file nor directory need exist.
    pub(super) fn start(path: PathBuf) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let events = readable(inotify.as_fd().try_clone_to_owned()?)?;
        let mut watch = Self { path, inotify, events, watched: HashMap::new() };
        watch.arm();
        Ok(watch)
    }

    /// Waits until the file may have changed. `false` when nothing more can be told.
    pub(super) async fn touched(&mut self) -> bool {
        loop {
            let Ok(mut ready) = self.events.readable().await else { return false };
            let Ok(events) = self.inotify.read_events() else {
                ready.clear_ready();
                continue;
            };
            if events.iter().any(|event| self.matters(event)) {
                self.arm();
                return true;
            }
        }
    }

    fn matters(&self, event: &InotifyEvent) -> bool {
        let lost = AddWatchFlags::IN_Q_OVERFLOW
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_UNMOUNT;
        let names = self.watched.get(&event.wd);
        let named =
            || event.name.as_ref().is_some_and(|name| names.is_some_and(|n| n.contains(name)));
        event.mask.intersects(lost) || named()
    }

    /// Watches every directory on the way in which something can lead to another file. What
    /// changes while watches are set is seen by looking again.
    fn arm(&mut self) {
        let mut places = places(&self.path);
        for _ in 0..ARM_TRIES {
            self.watch(&places);
            let now = self::places(&self.path);
            if now == places {
                return;
            }
            places = now;
        }
    }

    fn watch(&mut self, places: &Places) {
        let what = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        let before = std::mem::take(&mut self.watched);
        for (directory, names) in places {
            match self.inotify.add_watch(directory, what) {
                // Two ways may lead to one directory.
                Ok(descriptor) => {
                    self.watched.entry(descriptor).or_default().extend(names.iter().cloned());
                }
                Err(error) => {
                    let shown = directory.display();
                    tracing::warn!("{shown} cannot be watched for the configuration: {error}");
                }
            }
        }
        for descriptor in before.into_keys().filter(|it| !self.watched.contains_key(it)) {
            // It may be gone with its directory.
            let _ = self.inotify.rm_watch(descriptor);
        }
    }
}

/// Walks to a file as the kernel does, and notes every place where a change would lead elsewhere:
/// the links, the file itself, and the first part that is missing.
fn places(path: &Path) -> Places {
    let mut found = Places::new();
    let mut at = PathBuf::from("/");
    let mut rest = parts(path);
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            at.pop();
            continue;
        }
        let here = at.join(&part);
        let Ok(seen) = fs::symlink_metadata(&here) else {
            found.entry(at).or_default().insert(part);
            break;
        };
        if !seen.is_symlink() {
            if rest.is_empty() {
                found.entry(at.clone()).or_default().insert(part);
            }
            at = here;
            continue;
        }
        found.entry(at.clone()).or_default().insert(part);
        links += 1;
        let Ok(target) = fs::read_link(&here) else { break };
        if links > LINKS_MAX {
            break;
        }
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        let mut way = parts(&target);
        way.append(&mut rest);
        rest = way;
    }
    found
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn told(root: &Path, path: &str) -> Vec<String> {
        let below =
            |path: &Path| path.strip_prefix(root).ok().map(|path| path.display().to_string());
        let shown = |(directory, names): (&PathBuf, &BTreeSet<OsString>)| {
            let names: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
            below(directory).map(|directory| format!("{directory}: {}", names.join(" ")))
        };
        places(&root.join(path)).iter().filter_map(shown).collect()
    }

    #[test]
    fn every_place_that_can_lead_elsewhere_is_watched() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("conf/v1")).unwrap();
        fs::write(root.join("conf/v1/m.toml"), "x").unwrap();
        assert_eq!(told(&root, "conf/v1/m.toml"), ["conf/v1: m.toml"]);
        assert_eq!(told(&root, "conf/v1/n.toml"), ["conf/v1: n.toml"], "not there yet");
        assert_eq!(told(&root, "conf/no/such/m.toml"), ["conf: no"], "nor its directory");
        symlink("v1", root.join("conf/now")).unwrap();
        symlink("now/m.toml", root.join("conf/m.toml")).unwrap();
        assert_eq!(told(&root, "conf/m.toml"), ["conf: m.toml now", "conf/v1: m.toml"]);
        symlink(root.join("gone"), root.join("conf/broken")).unwrap();
        assert_eq!(told(&root, "conf/broken"), [": gone", "conf: broken"]);
        symlink("round", root.join("round")).unwrap();
        assert_eq!(told(&root, "round"), [": round"]);
    }
}
