//! The control group of the agent, made before it runs and removed when everybody is gone. The
//! shim itself stays outside, so that no limit of the agent is one of its supervisor.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::model::{Confinement, ExecFailure, Spec};

/// The agent's group.
pub(super) struct Leaf {
    dir: PathBuf,
    /// Whether the agent must not run outside of it.
    needed: bool,
    /// How many were killed for want of memory before this agent came.
    killed_before: u64,
}

/// Makes the group that the spec names and sets its limits. Where no limit is wanted, and where
/// trying is enough, there may be none.
pub(super) fn make(spec: &Spec) -> Result<Option<Leaf>, ExecFailure> {
    let (dir, settings) = match &spec.confinement {
        Confinement::Nowhere => return Ok(None),
        Confinement::Refused { message } => {
            let (step, errno) = ("limits".to_owned(), Errno::ENOTSUP as i32);
            return Err(ExecFailure { step, errno, message: message.clone() });
        }
        Confinement::Cgroup { leaf, settings } => (leaf, settings),
    };
    let needed = !settings.is_empty() && !spec.resources.best_effort;
    match limited(dir, settings, needed) {
        Ok(()) => Ok(Some(Leaf { dir: dir.clone(), needed, killed_before: killed(dir) })),
        Err(_) if !needed => Ok(None),
        Err(error) => {
            let _ = fs::remove_dir(dir);
            Err(not_limited(dir, &error))
        }
    }
}

fn limited(dir: &Path, settings: &[(String, String)], needed: bool) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    for (name, value) in settings {
        match write(&dir.join(name), value) {
            Err(error) if needed => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn not_limited(dir: &Path, error: &io::Error) -> ExecFailure {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(Errno::EIO as i32));
    let group = dir.display();
    let message = format!("cannot limit the agent by the control group {group}: {}", errno.desc());
    ExecFailure { step: "limits".to_owned(), errno: errno as i32, message }
}

impl Leaf {
    /// A handle on it, to be born into.
    pub(super) fn open(&self) -> Option<OwnedFd> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(nix::libc::O_DIRECTORY);
        options.open(&self.dir).ok().map(OwnedFd::from)
    }

    /// Moves the agent into it, which is held and has run nothing yet. Being born into it is a
    /// hundred times faster, where the kernel can do that.
    pub(super) fn admit(&self, agent: i32) -> Result<(), ExecFailure> {
        match write(&self.dir.join("cgroup.procs"), &agent.to_string()) {
            Err(error) if self.needed => {
                self.remove();
                Err(not_limited(&self.dir, &error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Kills everybody in it at once. On kernels that cannot, the family tree has to do.
    pub(super) fn kill(&self) {
        let _ = write(&self.dir.join("cgroup.kill"), "1");
    }

    /// Whether the kernel killed somebody in it because memory ended.
    pub(super) fn starved(&self) -> bool {
        killed(&self.dir) > self.killed_before
    }

    /// Removes it; the kernel refuses while somebody is in it.
    pub(super) fn remove(&self) {
        let _ = fs::remove_dir(&self.dir);
    }
}

/// How many processes of a group were ever killed because memory ended, by its own limit or the
/// machine's.
fn killed(dir: &Path) -> u64 {
    let events = fs::read_to_string(dir.join("memory.events")).unwrap_or_default();
    let count = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// The kernel makes these files; one that is missing is not made.
fn write(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Resources;

    /// A spec whose leaf is a directory that looks like a group with these files.
    fn spec(dir: &Path, files: &[&str], settings: &[(&str, &str)]) -> Spec {
        for name in files {
            fs::write(dir.join(name), "").unwrap();
        }
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let confinement =
            Confinement::Cgroup { leaf: dir.to_owned(), settings: settings.collect() };
        Spec { confinement, ..super::super::ending::nameless("a".to_owned()) }
    }

    fn read(dir: &Path, name: &str) -> String {
        fs::read_to_string(dir.join(name)).unwrap()
    }

    #[test]
    fn an_agent_is_limited_before_it_is_let_in() {
        let dir = tempfile::tempdir().unwrap();
        let files = ["cgroup.procs", "memory.max", "pids.max", "cgroup.kill"];
        let spec = spec(dir.path(), &files, &[("memory.max", "1000"), ("pids.max", "5")]);
        let leaf = make(&spec).unwrap().unwrap();
        assert_eq!(read(dir.path(), "memory.max"), "1000");
        assert_eq!(read(dir.path(), "pids.max"), "5");
        leaf.admit(4711).unwrap();
        assert_eq!(read(dir.path(), "cgroup.procs"), "4711");
        leaf.kill();
        assert_eq!(read(dir.path(), "cgroup.kill"), "1");
    }

    #[test]
    fn a_limit_that_is_not_taken_refuses_the_start_unless_trying_is_enough() {
        let dir = tempfile::tempdir().unwrap();
        let mut spec = spec(dir.path(), &["cgroup.procs"], &[("memory.max", "1000")]);
        let failed = make(&spec).err().unwrap();
        assert_eq!(failed.step, "limits");
        assert!(failed.message.contains("cannot limit the agent"), "{}", failed.message);
        spec.resources = Resources { best_effort: true, ..Resources::default() };
        make(&spec).unwrap().unwrap().admit(4711).unwrap();
        assert_eq!(read(dir.path(), "cgroup.procs"), "4711");
    }

    #[test]
    fn without_limits_a_group_is_welcome_and_not_needed() {
        let spec = spec(Path::new("/no/such/group"), &[], &[]);
        assert!(make(&spec).unwrap().is_none());
    }

    #[test]
    fn what_was_refused_by_the_daemon_is_told_in_its_words() {
        let message = "memory_max cannot be enforced here".to_owned();
        let confinement = Confinement::Refused { message: message.clone() };
        let spec = Spec { confinement, ..super::super::ending::nameless("a".to_owned()) };
        let failed = make(&spec).err().unwrap();
        assert_eq!((failed.step.as_str(), failed.message), ("limits", message));
    }

    /// Fault 65: only kills that happened since this agent came are its own.
    #[test]
    fn starvation_is_what_came_on_top() {
        let dir = tempfile::tempdir().unwrap();
        let spec = spec(dir.path(), &["cgroup.procs"], &[]);
        let events =
            |n: u32| format!("low 0\nhigh 0\nmax 9\noom {n}\noom_kill {n}\noom_group_kill 0\n");
        fs::write(dir.path().join("memory.events"), events(2)).unwrap();
        let leaf = make(&spec).unwrap().unwrap();
        assert!(!leaf.starved());
        fs::write(dir.path().join("memory.events"), events(3)).unwrap();
        assert!(leaf.starved());
    }
}
