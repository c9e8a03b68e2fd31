//! Gives every running attempt a monitor, and does what that wishes.

use std::time::Duration;

use crate::health::{Monitor, ProbeNow, Sample, Sign, Ticket, Wish};
use crate::model::{
    AttemptId, AttemptRow, AttemptState, Care, Fact, Moment, Owner, Remedy, Report, StopCause,
};

use super::{Action, Attempt, Supervisor};

/// How an attempt is, beside its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Since when it is ready.
    pub ready: Option<Moment>,
    /// When its heartbeat must be heard at the latest.
    pub watchdog: Option<Moment>,
    /// Its probes, the startup probe first while it is not ready.
    pub probes: Vec<ProbeNow>,
}

impl Attempt {
    /// Its monitor, while there is something to watch.
    pub(super) fn watched(&self) -> Option<&Monitor> {
        self.monitor.as_ref().filter(|_| self.row.state == AttemptState::Running)
    }

    /// Gives it all of its time to start from now on.
    pub(super) fn start_anew(&mut self, now: Moment) {
        let start_ms = self.row.order.limits.start_ms;
        self.start_until = start_ms.map(|ms| now + Duration::from_millis(ms));
    }
}

impl Supervisor {
    /// How a live attempt is; `None` before it runs.
    pub fn health(&self, id: &AttemptId) -> Option<Health> {
        let attempt = self.attempts.get(id)?;
        let monitor = attempt.monitor.as_ref()?;
        Some(Health {
            ready: attempt.row.ready,
            watchdog: attempt.watched().and_then(Monitor::watchdog_deadline),
            probes: monitor.explain(),
        })
    }

    /// Begins to watch an attempt that runs; `known` when an earlier daemon knew that already.
    pub(super) fn watch(
        &mut self,
        now: Moment,
        id: &AttemptId,
        known: bool,
        out: &mut Vec<Action>,
    ) {
        let Some(attempt) = self.attempts.get(id) else { return };
        if attempt.monitor.is_some() || attempt.row.state != AttemptState::Running {
            return;
        }
        let (care, random) = (self.care(&attempt.row), spread(id));
        let monitor = match known {
            true => Monitor::adopted(&care, now, attempt.row.ready, random),
            false => Monitor::started(&care, now, random),
        };
        let opened = monitor.ready().is_some();
        let report = attempt.report.clone();
        if let Some(attempt) = self.attempts.get_mut(id) {
            attempt.monitor = Some(monitor);
        }
        match opened {
            true => self.ready(now, id, out),
            false => self.extend(now, id, known),
        }
        match report {
            Some(report) => self.tell_monitor(now, id, Sign::Reported(Box::new(report)), out),
            None => self.tell_monitor(now, id, Sign::Due, out),
        }
    }

    /// One that was not ready when its daemon died gets its time anew: nobody looked meanwhile.
    fn extend(&mut self, now: Moment, id: &AttemptId, known: bool) {
        if let Some(attempt) = self.attempts.get_mut(id).filter(|_| known) {
            attempt.start_anew(now);
        }
    }

    /// What watches an attempt: a task's was frozen with it, an instance's is what is configured.
    fn care(&self, row: &AttemptRow) -> Care {
        let configured = match &row.order.owner {
            Owner::Instance { .. } => self.agents.get(&row.order.agent),
            Owner::Task { .. } => None,
        };
        let care = configured.map_or(&row.order.care, |agent| &agent.policy.care);
        care.watched(self.at_its_prompt(row).as_ref())
    }

    /// What is done about one that waits at its prompt although a rule says that it is over. A
    /// standing agent for which nobody takes over is left alone: its session may be a person's.
    fn at_its_prompt(&self, row: &AttemptRow) -> Option<Remedy> {
        let goes_on = match &row.order.owner {
            Owner::Task { .. } => true,
            Owner::Instance { name } => {
                self.agents.get(name).is_some_and(|agent| agent.policy.failover.is_some())
            }
        };
        let remedy = if goes_on { Remedy::Restart } else { Remedy::Alarm };
        row.order.terminal.then_some(remedy)
    }

    /// Lets monitors go on with what is configured now.
    pub(super) fn revise_monitors(&mut self, now: Moment, out: &mut Vec<Action>) {
        let live: Vec<AttemptId> = self.attempts.keys().cloned().collect();
        for id in live {
            let Some(attempt) = self.attempts.get(&id) else { continue };
            let care = self.care(&attempt.row);
            let Some(attempt) = self.attempts.get_mut(&id) else { continue };
            let Some(monitor) = &mut attempt.monitor else { continue };
            let wishes = monitor.revise(&care, now);
            self.grant(now, &id, wishes, out);
        }
    }

    /// Takes a sample.
    pub(super) fn sampled(
        &mut self,
        now: Moment,
        id: &AttemptId,
        probe: Ticket,
        sample: Sample,
        out: &mut Vec<Action>,
    ) {
        self.tell_monitor(now, id, Sign::Sampled { ticket: probe, sample }, out);
    }

    /// The daemon stood still: time in which nobody could look is held against nobody.
    pub(super) fn woke(&mut self, now: Moment, gap_ms: u64, out: &mut Vec<Action>) {
        let live: Vec<AttemptId> = self.attempts.keys().cloned().collect();
        for id in live {
            if let Some(attempt) = self.attempts.get_mut(&id) {
                let gap = Duration::from_millis(gap_ms);
                attempt.slip += gap;
                attempt.start_until = attempt.start_until.map(|until| until + gap);
            }
            self.tell_monitor(now, &id, Sign::Woke { gap_ms }, out);
        }
    }

    /// Takes what an agent says about itself, as far as it matters here.
    pub(super) fn heed(
        &mut self,
        now: Moment,
        id: &AttemptId,
        before: Option<&Report>,
        report: Report,
        out: &mut Vec<Action>,
    ) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        let (count, ms) = report.extended;
        if count != before.map_or(0, |before| before.extended.0) {
            let until = now + Duration::from_millis(ms);
            attempt.start_until = attempt.start_until.max(Some(until));
        }
        self.tell_monitor(now, id, Sign::Reported(Box::new(report)), out);
    }

    /// Tells an attempt's monitor something, and grants what it wishes.
    pub(super) fn tell_monitor(
        &mut self,
        now: Moment,
        id: &AttemptId,
        sign: Sign,
        out: &mut Vec<Action>,
    ) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        if attempt.row.state != AttemptState::Running {
            return;
        }
        let Some(monitor) = &mut attempt.monitor else { return };
        let wishes = monitor.handle(now, sign);
        self.grant(now, id, wishes, out);
    }

    fn grant(&mut self, now: Moment, id: &AttemptId, wishes: Vec<Wish>, out: &mut Vec<Action>) {
        for wish in wishes {
            match wish {
                Wish::Sample { ticket, ask } => {
                    out.push(Action::Sample { attempt: id.clone(), probe: ticket, ask });
                }
                Wish::Ready => self.ready(now, id, out),
                Wish::Tell(text) => self.tell(id, text, out),
                Wish::Press { keys, why } => {
                    self.tell(id, format!("{why}; pressing {}", keys.join(" ")), out);
                    out.push(Action::Press { attempt: id.clone(), keys });
                }
                Wish::StartTimeout { why } => {
                    self.condemn(now, id, StopCause::StartTimeout, why, out);
                }
                Wish::WatchdogMissed { why } => {
                    self.condemn(now, id, StopCause::Watchdog, why, out);
                }
                Wish::Restart { why } => self.condemn(now, id, StopCause::Probe, why, out),
                Wish::Failover { why } => match self.can_fail_over(id) {
                    Some(name) => self.fail_over(now, &name, &why, out),
                    None => self.condemn(now, id, StopCause::Probe, why, out),
                },
            }
        }
    }

    fn tell(&self, id: &AttemptId, text: String, out: &mut Vec<Action>) {
        out.push(Action::Record(Fact::Noted { about: id.to_string(), text }));
    }

    /// Ends an attempt for what was seen of it.
    pub(super) fn condemn(
        &mut self,
        now: Moment,
        id: &AttemptId,
        cause: StopCause,
        why: String,
        out: &mut Vec<Action>,
    ) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        if attempt.row.state == AttemptState::Stopping {
            return;
        }
        attempt.condemned = Some((cause, why.clone()));
        self.tell(id, why, out);
        self.stop(now, id, cause, out);
    }
}

/// A number that differs between attempts: their ids are random.
fn spread(id: &AttemptId) -> u64 {
    let bytes = id.as_str().bytes();
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}
