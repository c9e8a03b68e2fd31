//! Where everything of one daemon lives (design §3, fixed).

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::model::AttemptId;

/// The longest path that a unix socket can have, in bytes.
const SOCKET_PATH_MAX: usize = 107;

/// A home: its state and its runtime directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    state: PathBuf,
    runtime: PathBuf,
}

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// A directory cannot be made or looked at.
    #[error("failed to prepare {path}: {source}")]
    Prepare {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory is open to others.
    #[error(
        "{path} must be a directory of yours with mode 0700, it is {found}; fix it with `chmod 700 {path}`"
    )]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// The socket's path does not fit.
    #[error(
        "the socket path {path} has {bytes} bytes, at most {SOCKET_PATH_MAX} are possible; \
         choose a shorter home with --home"
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
}

impl Home {
    /// Everything under one directory (`--home`, `MUXVISOR_HOME`).
    pub fn under(root: &Path) -> Self {
        Self { state: root.to_owned(), runtime: root.join("run") }
    }

    /// The default: state and runtime directories of XDG.
    pub fn split(state: PathBuf, runtime: PathBuf) -> Self {
        Self { state, runtime }
    }

    /// The directory of lasting state.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The directory of sockets and locks.
    pub fn runtime(&self) -> &Path {
        &self.runtime
    }

    /// The ledger.
    pub fn ledger(&self) -> PathBuf {
        self.state.join("ledger.db")
    }

    /// The daemon's log.
    pub fn log(&self) -> PathBuf {
        self.state.join("daemon.log")
    }

    /// The last configuration that was right.
    pub fn last_good(&self) -> PathBuf {
        self.state.join("config.good")
    }

    /// The control socket.
    pub fn daemon_socket(&self) -> PathBuf {
        self.runtime.join("daemon.sock")
    }

    /// The lock of the daemon; never unlinked. It lies with the state that it protects, because
    /// two logins may have different runtime directories.
    pub fn daemon_lock(&self) -> PathBuf {
        self.state.join("run").join("daemon.lock")
    }

    /// The private tmux server's socket.
    pub fn tmux_socket(&self) -> PathBuf {
        self.runtime.join("tmux.sock")
    }

    /// The private tmux server's generated configuration.
    pub fn tmux_conf(&self) -> PathBuf {
        self.runtime.join("tmux.conf")
    }

    /// The directories of all attempts.
    pub fn attempts(&self) -> PathBuf {
        self.state.join("attempts")
    }

    /// The directory of an attempt.
    pub fn attempt(&self, attempt: &AttemptId) -> PathBuf {
        self.attempts().join(attempt.as_str())
    }

    /// The socket of an attempt's shim.
    pub fn shim_socket(&self, attempt: &AttemptId) -> PathBuf {
        self.runtime.join("s").join(format!("{attempt}.sock"))
    }

    /// The socket on which an attempt's agent may say how it is; its shim makes it beside its own.
    pub fn notify_socket(&self, attempt: &AttemptId) -> PathBuf {
        self.shim_socket(attempt).with_extension("notify")
    }

    /// Makes the directories, private to the user, and checks the length of socket paths.
    ///
    /// # Errors
    /// When one cannot be made, belongs to somebody else or is open to others, or when the path
    /// is too long for sockets.
    pub fn prepare(&self) -> Result<(), HomeError> {
        let longest = self.notify_socket(&AttemptId::new("0123456789"));
        let bytes = longest.as_os_str().len();
        if bytes > SOCKET_PATH_MAX {
            return Err(HomeError::TooLong { path: longest, bytes });
        }
        // The root may be a directory that a person made, or a link of theirs to one; what is in it
        // is private all the same, and nothing in it may lead elsewhere.
        make_private(&self.state, 0o022, Links::OfOurs)?;
        let (locks, sockets) = (self.state.join("run"), self.runtime.join("s"));
        for dir in [&locks, &self.runtime, &sockets, &self.attempts()] {
            make_private(dir, 0o077, Links::None)?;
        }
        Ok(())
    }
}

/// Which symbolic links may stand in the place of a directory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    /// None.
    None,
    /// Those that we or root made.
    OfOurs,
}

/// Makes a directory with mode 0700. One that is there must be ours, with none of the `forbidden`
/// permissions (fault 58).
fn make_private(dir: &Path, forbidden: u32, links: Links) -> Result<(), HomeError> {
    let prepare = |source| HomeError::Prepare { path: dir.to_owned(), source };
    let us = nix::unistd::geteuid().as_raw();
    let refuse = |found: String| Err(HomeError::Unsafe { path: dir.to_owned(), found });
    // Looked at before anything is made, so that nothing is made behind a stranger's link.
    if let Ok(link) = fs::symlink_metadata(dir)
        && link.is_symlink()
    {
        let trusted = links == Links::OfOurs && [us, 0].contains(&link.uid());
        if !trusted {
            return refuse(format!("a symbolic link of user {}", link.uid()));
        }
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(prepare)?;
    let found = match links {
        Links::None => fs::symlink_metadata(dir),
        Links::OfOurs => fs::metadata(dir),
    };
    let found = found.map_err(prepare)?;
    let mode = found.mode() & 0o777;
    if found.is_dir() && found.uid() == us && mode & forbidden == 0 {
        return Ok(());
    }
    refuse(format!("mode {mode:04o} of user {}", found.uid()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// Fault 58: what others could get at, or lead elsewhere, is refused with what to do.
    #[test]
    fn a_home_that_is_open_or_leads_elsewhere_is_refused() {
        for part in ["run", "run/s", "attempts"] {
            let root = tempfile::Builder::new().prefix("mv").tempdir_in("/tmp").unwrap();
            let home = Home::under(root.path());
            home.prepare().unwrap();
            let dir = root.path().join(part);
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o770)).unwrap();
            let said = home.prepare().unwrap_err().to_string();
            assert!(said.contains("mode 0770") && said.contains("chmod 700"), "{said}");
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
            let elsewhere = root.path().join("elsewhere");
            fs::rename(&dir, &elsewhere).unwrap();
            symlink(&elsewhere, &dir).unwrap();
            let said = home.prepare().unwrap_err().to_string();
            assert!(said.contains("symbolic link"), "{part}: {said}");
        }
    }

    /// Others may see the names in a home that was there before, never what is in it, and never
    /// write to it. One that is made is seen by nobody else.
    #[test]
    fn a_home_that_was_there_keeps_its_mode_and_its_secrets() {
        let root = tempfile::Builder::new().prefix("mv").tempdir_in("/tmp").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        let set = |mode| fs::set_permissions(root.path(), fs::Permissions::from_mode(mode));
        set(0o755).unwrap();
        Home::under(root.path()).prepare().unwrap();
        assert_eq!(mode(root.path()), 0o755);
        for part in ["run", "run/s", "attempts"] {
            assert_eq!(mode(&root.path().join(part)), 0o700, "{part}");
        }
        Home::under(&root.path().join("made")).prepare().unwrap();
        assert_eq!(mode(&root.path().join("made")), 0o700);
        set(0o775).unwrap();
        let said = Home::under(root.path()).prepare().unwrap_err().to_string();
        assert!(said.contains("mode 0775"), "{said}");
    }

    #[test]
    fn the_home_itself_may_be_a_link_of_ours() {
        let root = tempfile::Builder::new().prefix("mv").tempdir_in("/tmp").unwrap();
        fs::create_dir(root.path().join("disk")).unwrap();
        symlink(root.path().join("disk"), root.path().join("h")).unwrap();
        Home::under(&root.path().join("h")).prepare().unwrap();
        assert!(root.path().join("disk/run/s").is_dir());
    }
}
