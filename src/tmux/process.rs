//! Looks at processes: who a pid is, whether it still lives, and signals that cannot hit another.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::model::{ProcessMark, ProcessStat};

/// The mark of a living process; `None` when there is none (a zombie counts as none).
pub(super) fn mark_of(pid: i32) -> Option<ProcessMark> {
    let stat = ProcessStat::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)?;
    if matches!(stat.state, 'Z' | 'X') {
        return None;
    }
    let start_ticks = stat.start_ticks;
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
    Some(ProcessMark { pid, start_ticks, boot_id })
}

/// Whether the marked process still lives.
pub(super) fn lives(mark: &ProcessMark) -> bool {
    mark_of(mark.pid).as_ref() == Some(mark)
}

/// Sends a signal to the marked process and to no other; false when it is gone.
pub(super) fn signal(mark: &ProcessMark, signal: Signal) -> bool {
    lives(mark) && kill(Pid::from_raw(mark.pid), signal).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_itself_and_not_its_double() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let mark = mark_of(pid).unwrap();
        assert!(lives(&mark));
        let double = ProcessMark { start_ticks: mark.start_ticks + 1, ..mark };
        assert!(!lives(&double));
        assert!(!signal(&double, Signal::SIGKILL));
    }
}
