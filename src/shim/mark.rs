//! Who a process is, read from `/proc`: pids are reused, start times within one boot are not.

use std::fs;

use crate::model::{ProcessMark, ProcessStat};

/// The mark of a process that exists.
pub fn mark_of(pid: i32) -> Option<ProcessMark> {
    let start_ticks = stat(pid)?.start_ticks;
    Some(ProcessMark { pid, start_ticks, boot_id: boot_id() })
}

/// Whether this very process runs; a zombie does not, and neither does one of an earlier boot.
pub fn is_alive(mark: &ProcessMark) -> bool {
    let same = |stat: &ProcessStat| stat.start_ticks == mark.start_ticks && stat.can_run();
    stat(mark.pid).as_ref().is_some_and(same) && mark.boot_id == boot_id()
}

/// What the kernel says of a process; `None` when there is none.
pub(super) fn stat(pid: i32) -> Option<ProcessStat> {
    ProcessStat::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault 11 and 30: a reused pid is another process.
    #[test]
    fn a_mark_fits_only_its_own_process() {
        let own = mark_of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(is_alive(&own));
        let reused = ProcessMark { start_ticks: own.start_ticks + 1, ..own.clone() };
        let other_boot = ProcessMark { boot_id: "x".to_owned(), ..own };
        assert!(!is_alive(&reused) && !is_alive(&other_boot));
    }
}
