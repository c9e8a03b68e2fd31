//! Which group this process is in, and where the kernel shows it as a directory.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// What a person wants of control groups (`MUXVISOR_CGROUP`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// Use what is there.
    #[default]
    Auto,
    /// Use none.
    Never,
    /// Use this directory, which was delegated to us.
    At(PathBuf),
}

impl Wish {
    /// Reads the variable's value: `none`, or a directory.
    pub fn read(value: Option<&Path>) -> Self {
        match value {
            None => Wish::Auto,
            Some(path) if path == Path::new("none") || path == Path::new("") => Wish::Never,
            Some(path) => Wish::At(path.to_owned()),
        }
    }
}

/// The group of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its directory.
    pub dir: PathBuf,
    /// How far it is below the topmost group that this process can see.
    pub depth: usize,
}

impl Place {
    /// Looks where this process is; `None` without a cgroup v2 hierarchy that is mounted.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of_this_process() -> io::Result<Option<Self>> {
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        Ok(Self::parse(&groups, &mounts))
    }

    /// Reads `/proc/self/cgroup` and `/proc/self/mountinfo`.
    pub fn parse(groups: &str, mounts: &str) -> Option<Self> {
        let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
        let (root, mount) = mounts.lines().find_map(unified)?;
        let below = Path::new(own).strip_prefix(root).ok()?;
        // A group outside of our namespace is shown as `/../other`.
        if below.components().any(|part| part == Component::ParentDir) {
            return None;
        }
        let depth = below.components().count();
        let dir = if depth == 0 { mount.to_owned() } else { mount.join(below) };
        Some(Self { dir, depth })
    }
}

/// The root within the hierarchy and the mount point, if the line is about cgroup v2.
fn unified(line: &str) -> Option<(&Path, &Path)> {
    let (before, after) = line.split_once(" - ")?;
    if after.split(' ').next() != Some("cgroup2") {
        return None;
    }
    let mut fields = before.split(' ').skip(3);
    Some((Path::new(fields.next()?), Path::new(fields.next()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
36 25 0:30 / /sys/fs/cgroup rw shared:9 - tmpfs tmpfs rw,mode=755
37 36 0:31 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory
38 36 0:32 / /sys/fs/cgroup/unified rw shared:11 - cgroup2 cgroup2 rw
";
    const UNIFIED: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";

    fn place(dir: &str, depth: usize) -> Option<Place> {
        Some(Place { dir: dir.into(), depth })
    }

    #[test]
    fn the_group_is_found_in_the_unified_hierarchy_only() {
        let groups = "9:name=systemd:/x\n4:memory:/y\n0::/\n";
        assert_eq!(Place::parse(groups, HYBRID), place("/sys/fs/cgroup/unified", 0));
        let unit = "0::/user.slice/user@1.service/app.slice/muxvisor.service/daemon\n";
        let dir = "/sys/fs/cgroup/user.slice/user@1.service/app.slice/muxvisor.service/daemon";
        assert_eq!(Place::parse(unit, UNIFIED), place(dir, 5));
    }

    #[test]
    fn what_cannot_be_seen_is_no_place() {
        assert_eq!(Place::parse("4:memory:/y\n", HYBRID), None);
        assert_eq!(Place::parse("0::/\n", "36 25 0:30 / /sys rw - tmpfs tmpfs rw\n"), None);
        assert_eq!(Place::parse("0::/../other\n", UNIFIED), None);
        let of_a_part = UNIFIED.replace(" / ", " /docker/ab ");
        assert_eq!(Place::parse("0::/docker/ab/c\n", &of_a_part), place("/sys/fs/cgroup/c", 1));
        assert_eq!(Place::parse("0::/elsewhere\n", &of_a_part), None);
    }

    #[test]
    fn the_variable_means_a_place_or_none() {
        assert_eq!(Wish::read(None), Wish::Auto);
        assert_eq!(Wish::read(Some(Path::new("none"))), Wish::Never);
        assert_eq!(Wish::read(Some(Path::new("/g"))), Wish::At("/g".into()));
    }
}
