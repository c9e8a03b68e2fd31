//! What the whole set of processes under a shim uses, from `/proc`. Blocking.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};

use super::process;
use crate::health::Load;
use crate::model::ProcessMark;

/// Used and held by a shim's descendants; its own work, which is copying their output, left out.
///
/// # Errors
/// Why nobody can know, for people.
pub(super) fn under(shim: &ProcessMark, boot_id: &str) -> Result<Load, String> {
    if !matches!(process::open(shim, boot_id), Ok(Some(_))) {
        return Err("its shim is gone".to_owned());
    }
    let list = format!("/proc/{0}/task/{0}/children", shim.pid);
    if !fs::exists(&list).unwrap_or(false) {
        return Err("this kernel does not tell the children of a process".to_owned());
    }
    let mut found = Uses::of(shim.pid).map_or(Uses::default(), |uses| uses.of_children_only());
    let mut known = vec![shim.pid];
    let mut parents = vec![shim.pid];
    while let Some(parent) = parents.pop() {
        for pid in children(parent) {
            // Processes move while we look; nobody may be counted twice.
            if !known.contains(&pid) {
                known.push(pid);
                parents.push(pid);
                found = found.with(Uses::of(pid).unwrap_or_default());
            }
        }
    }
    Ok(found.load())
}

/// Every thread may fork, and the kernel lists children by thread.
fn children(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let all: Vec<String> = lists.collect();
    all.iter()
        .flat_map(|list| list.split_ascii_whitespace())
        .filter_map(|p| p.parse().ok())
        .collect()
}

/// Ticks of processor time and pages of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Uses {
    own_ticks: u64,
    /// Of children that were waited for, so that the sum does not shrink when they end.
    children_ticks: u64,
    pages: u64,
}

impl Uses {
    fn of(pid: i32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name in field 2 may hold anything, so the fields are counted from its end.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().rposition(|b| *b == b')')?;
        let rest = std::str::from_utf8(bytes.get(end + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Field 3, the state, is the first one here.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            own_ticks: number(14)? + number(15)?,
            children_ticks: number(16)? + number(17)?,
            pages: number(24)?,
        })
    }

    fn of_children_only(self) -> Self {
        Self { own_ticks: 0, pages: 0, ..self }
    }

    fn with(self, other: Self) -> Self {
        Self {
            own_ticks: self.own_ticks + other.own_ticks,
            children_ticks: self.children_ticks + other.children_ticks,
            pages: self.pages + other.pages,
        }
    }

    fn load(self) -> Load {
        let ticks = self.own_ticks + self.children_ticks;
        Load {
            cpu_ms: ticks * 1000 / clock_ticks_per_second().max(1),
            memory_bytes: self.pages * page_size() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_from_behind_its_name() {
        let line = b"7 (a) b) S 3 7 7 34816 7 4194304 1 2 3 4 11 22 33 44 20 0 1 0 4711 9000 55 6";
        let uses = Uses { own_ticks: 33, children_ticks: 77, pages: 55 };
        assert_eq!(Uses::parse(line), Some(uses));
        assert_eq!(Uses::parse(b"7 (a) S 3"), None);
    }

    #[test]
    fn a_process_has_used_something() {
        let own = Uses::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(own.load().memory_bytes > 100_000, "{own:?}");
    }
}
