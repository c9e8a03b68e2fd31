//! The control group in which the tests of one machine may make their own, if there is one.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use muxvisor::cgroup::{Can, Place, Way, Wish, settle};

/// Where groups can be made here and what can be limited, or why not: a test that cannot be done
/// says so, aloud and in a file that `scripts/check` prints.
pub(crate) fn ground(test: &str) -> Option<(PathBuf, Can)> {
    let named = std::env::vars_os().find(|(name, _)| name == "MUXVISOR_CGROUP");
    let wish = Wish::read(named.as_ref().map(|(_, value)| value.as_ref()));
    let place = Place::of_this_process().unwrap();
    match settle(&wish, place.as_ref()) {
        Way::Cgroup(ground) => Some((ground.base, ground.can)),
        Way::Nowhere { why } => {
            skipped(test, &why);
            None
        }
    }
}

/// Tells that a test was not done.
pub(crate) fn skipped(test: &str, why: &str) {
    let line = format!("NOT TESTED: {test}: {why}\n");
    eprint!("{line}");
    let list = concat!(env!("CARGO_TARGET_TMPDIR"), "/not-tested.txt");
    let mut file = OpenOptions::new().create(true).append(true).open(list).unwrap();
    file.write_all(line.as_bytes()).unwrap();
}

/// The group of a process.
pub(crate) fn of(pid: i32) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    text.lines().find_map(|line| line.strip_prefix("0::")).unwrap().to_owned()
}
