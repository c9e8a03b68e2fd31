//! Waits for children: the agent's end, its suspensions, and the proof that nobody is left.

use nix::libc;
use rustix::process::{WaitOptions, WaitStatus, wait};

use super::ending::Ended;
use super::now;
use super::supervise::Shim;

/// A leader that stops itself within this time of a typed Ctrl-Z did so because of it.
const SUSPEND_KEY_MS: u64 = 2_000;
/// Before a leader that stopped itself is continued.
const RESUME_MS: u64 = 50;

impl Shim {
    /// Collects whoever ended. Nobody left to wait for is the proof that the set is empty.
    pub(super) fn reap(&mut self) {
        loop {
            match wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
                Ok(Some((pid, status))) if pid.as_raw_pid() == self.parts.agent => {
                    self.take_status(status);
                }
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => return,
                Err(_) => {
                    self.empty_ms.get_or_insert_with(now::monotonic_ms);
                    return;
                }
            }
        }
    }

    pub(super) fn take_status(&mut self, status: WaitStatus) {
        const CORE_FLAG: i32 = 0x80;
        if let Some(signal) = status.stopping_signal() {
            return self.take_suspension(signal);
        }
        self.suspended = false;
        let signal = status.terminating_signal();
        self.ended = Some(Ended {
            code: status.exit_status(),
            signal,
            core: signal.is_some() && status.as_raw() & CORE_FLAG != 0,
            wall_ms: now::wall_ms(),
            monotonic_ms: now::monotonic_ms(),
        });
        self.resume_due_ms = None;
        self.outlive(now::monotonic_ms());
        if let Some(inner) = &mut self.parts.inner {
            inner.slave = None;
        }
    }

    /// A leader that suspended itself has no shell to come back to, so it is continued. SIGSTOP
    /// without a typed Ctrl-Z was sent by somebody who wants it to stand still.
    pub(super) fn take_suspension(&mut self, signal: i32) {
        let now_ms = now::monotonic_ms();
        let typed = self.suspend_key_ms.is_some_and(|at| now_ms < at + SUSPEND_KEY_MS);
        self.suspended = true;
        if signal != libc::SIGSTOP || typed {
            self.suspended = false;
            self.resume_due_ms = Some(now_ms + RESUME_MS);
        }
    }
}
