//! The group of one agent, seen from outside: who is in it, the end of all of them, and what is
//! left of groups when everybody is gone.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// What the name of every such group begins with; the attempt's id follows.
pub const PREFIX: &str = "muxvisor-";

/// The group of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf(pub PathBuf);

impl Leaf {
    /// The pids in it, those of groups below it too; none when there is no such group.
    ///
    /// # Errors
    /// When it cannot be read, which proves nothing.
    pub fn members(&self) -> io::Result<Vec<i32>> {
        let mut found = Vec::new();
        collect(&self.0, &mut found)?;
        Ok(found)
    }

    /// Kills everybody in it at once, also those that are being forked just now (Linux 5.14).
    ///
    /// # Errors
    /// When there is no such group, or the kernel is too old.
    pub fn kill(&self) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(self.0.join("cgroup.kill"))?;
        file.write_all(b"1")
    }

    /// Removes it, if nobody is in it; whether it is gone. Whoever ends just now is still in it for
    /// a moment after nothing can be seen of it any more.
    pub fn remove(&self) -> bool {
        remove(&self.0);
        !self.0.exists()
    }
}

fn collect(dir: &Path, found: &mut Vec<i32>) -> io::Result<()> {
    let text = match fs::read_to_string(dir.join("cgroup.procs")) {
        Ok(text) => text,
        Err(error) if is_gone(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    found.extend(text.lines().filter_map(|line| line.trim().parse::<i32>().ok()));
    for below in subgroups(dir)? {
        collect(&below, found)?;
    }
    Ok(())
}

fn subgroups(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let entries = entries.filter_map(Result::ok);
    let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(dirs.map(|entry| entry.path()).collect())
}

/// A group may be removed between two looks; its files then say that there is no device.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ENODEV as i32)
}

/// The kernel refuses to remove a group with somebody in it, so nothing can be lost.
fn remove(dir: &Path) {
    for below in subgroups(dir).unwrap_or_default() {
        remove(&below);
    }
    let _ = fs::remove_dir(dir);
}

/// The id of the attempt in whose group a process is; the innermost one.
pub fn of_process(pid: i32) -> Option<String> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    path.rsplit('/').find_map(attempt_of).map(str::to_owned)
}

/// A unit of ours (`muxvisor-x.scope`) is no agent's group.
fn attempt_of(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX).filter(|id| !id.is_empty() && !id.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_groups_below_count_and_a_missing_group_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::write(dir.path().join("cgroup.procs"), "12\n13\n").unwrap();
        fs::write(inner.join("cgroup.procs"), "14\n").unwrap();
        assert_eq!(Leaf(dir.path().to_owned()).members().unwrap(), [12, 13, 14]);
        assert!(Leaf(dir.path().join("none")).members().unwrap().is_empty());
        assert!(Leaf(dir.path().join("none")).kill().is_err());
    }

    #[test]
    fn a_leaf_names_its_attempt() {
        assert_eq!(attempt_of("muxvisor-k3b7"), Some("k3b7"));
        assert_eq!(attempt_of("muxvisor-ab.scope"), None);
        assert_eq!(attempt_of("muxvisor.service"), None);
    }
}
