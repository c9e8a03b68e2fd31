//! Performs a stop: what `stop` says is due is done, to the agent's whole set or to its main process
//! alone (`kill_mode`), and noted.

use nix::libc;

use super::stop::{Act, Escalation};
use super::supervise::Shim;
use super::{family, keys};
use crate::failpoint;
use crate::model::{KillMode, StopSpec, StopStep, signal_name, signal_number};

impl Shim {
    /// Begins to end what the main process left, once its output ended or had its time.
    pub(super) fn end_leftovers(&mut self, now_ms: u64) {
        let Some(ended) = self.ended else { return };
        if self.empty_ms.is_some() || self.escalation.is_some() {
            return;
        }
        let silent = self.parts.sources.iter().all(|source| source.fd.is_none());
        if silent || now_ms >= ended.monotonic_ms + self.parts.spec.drain_ms {
            self.escalation = match self.how.mode {
                KillMode::ControlGroup => Some(Escalation::leftovers(now_ms, true)),
                KillMode::Mixed => Some(Escalation::leftovers(now_ms, false)),
                KillMode::Process => None,
            };
        }
    }

    /// The main process is gone: what a stop still does depends on whom it is about.
    pub(super) fn outlive(&mut self, now_ms: u64) {
        match self.how.mode {
            KillMode::ControlGroup => {}
            // The others were never asked, so there is nothing to wait for.
            KillMode::Mixed => self.escalation.iter_mut().for_each(|e| e.kill_now(now_ms)),
            KillMode::Process => self.escalation = None,
        }
    }

    /// Whether whoever is left is none of our business, and may outlive us.
    pub(super) fn lets_go(&self, now_ms: u64, drained: bool) -> bool {
        let Some(ended) = self.ended.filter(|_| self.how.mode == KillMode::Process) else {
            return false;
        };
        drained || now_ms >= ended.monotonic_ms + self.parts.spec.drain_ms
    }

    /// Signals whom the polite steps of a stop are for.
    fn ask(&self, signal: i32) {
        let signals = [signal, libc::SIGCONT];
        match self.how.mode {
            KillMode::ControlGroup => family::signal(&signals),
            KillMode::Mixed | KillMode::Process => self.signal_main(&signals),
        }
    }

    /// Kills whom the last step of a stop is for.
    fn kill_now(&self) {
        match self.how.mode {
            KillMode::ControlGroup | KillMode::Mixed => {
                // At once for all of it, so that no fork outruns the walk down the family.
                let leaf = self.parts.leaf.iter();
                leaf.for_each(|leaf| failpoint::step("shim.kill-group", || leaf.kill()));
                family::kill();
            }
            KillMode::Process => self.signal_main(&[libc::SIGKILL]),
        }
    }

    /// Signals the main process, unless it has ended: until then its number is its own.
    fn signal_main(&self, signals: &[i32]) {
        if self.ended.is_none() {
            family::signal_child(self.parts.agent, signals);
        }
    }

    pub(super) fn escalate(&mut self, now_ms: u64) {
        while self.empty_ms.is_none()
            && let Some(act) = self.escalation.as_mut().and_then(|e| e.step(now_ms))
        {
            failpoint::step("shim.stop", || self.perform(act, now_ms));
            self.reap();
        }
    }

    pub(super) fn perform(&mut self, act: Act, now_ms: u64) {
        let asking = if self.stopping { self.how.signal.as_str() } else { "SIGTERM" };
        let asking = signal_number(asking).unwrap_or(libc::SIGTERM);
        match act {
            Act::Type(index) => {
                self.note("keys", now_ms);
                let key = self.how.keys.get(index).map(|key| keys::bytes_of(key));
                self.type_in(&key.unwrap_or_default());
            }
            Act::Ask => {
                self.note(&signal_name(asking), now_ms);
                self.ask(asking);
            }
            Act::HangUp => {
                self.note("SIGHUP", now_ms);
                self.ask(libc::SIGHUP);
            }
            Act::Kill => {
                self.note("SIGKILL", now_ms);
                self.kill_now();
            }
            Act::GiveUp => {
                self.unkillable = Some(match self.how.mode {
                    KillMode::ControlGroup | KillMode::Mixed => family::living(),
                    KillMode::Process => vec![self.parts.agent],
                });
            }
        }
    }

    /// Notes a step of a stop that somebody asked for; repetitions are one step.
    pub(super) fn note(&mut self, step: &str, now_ms: u64) {
        if self.stopping && self.steps.last().is_none_or(|last| last.step != step) {
            let began = self.escalation.as_ref().map_or(now_ms, Escalation::began_ms);
            let at_ms = now_ms.saturating_sub(began);
            self.steps.push(StopStep { step: step.to_owned(), at_ms, alive: family::count() });
        }
    }

    /// Begins a stop; a stop that is on its way goes on as it is.
    pub(super) fn stop(&mut self, now_ms: u64, how: Option<StopSpec>) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        self.note("requested", now_ms);
        if self.ended.is_some() && self.escalation.is_some() {
            return;
        }
        self.how = how.unwrap_or_else(|| self.parts.spec.stop.clone());
        let keys = if self.parts.inner.is_some() { self.how.keys.len() } else { 0 };
        let (timeout_ms, send_sighup) = (self.how.timeout_ms, self.how.send_sighup);
        self.escalation = Some(Escalation::stop(now_ms, keys, timeout_ms, send_sighup));
        if self.ended.is_some() {
            self.outlive(now_ms);
        }
    }

    /// Kills at once.
    pub(super) fn kill(&mut self, now_ms: u64) {
        self.stop(now_ms, None);
        if let Some(escalation) = &mut self.escalation {
            escalation.kill_now(now_ms);
        }
    }
}
