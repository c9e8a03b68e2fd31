//! One liveness probe: how often in a row it may fail, and the ladder of what is done then.

use std::time::Duration;

use super::judge::{Judge, Judged};
use super::pulse::Pulse;
use super::sample::{Ask, ProbeNow, ProbeState, Ticket};
use crate::model::{Moment, Probe, Remedy};

/// A probe and what it has seen.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) probe: Probe,
    pub(super) pulse: Pulse,
    pub(super) judge: Judge,
    state: ProbeState,
    failures: u32,
    passes: u32,
    /// The next step of the ladder, and when the last one was done.
    step: usize,
    stepped: Option<Moment>,
    unknown: Option<(Moment, String)>,
    last: Option<(Moment, String)>,
    suspended: Option<String>,
}

/// What follows from a sample.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Something that a person may want to read.
    Tell(String),
    /// A step of the ladder, and why.
    Remedy(Remedy, String),
}

impl Watch {
    /// One that has seen nothing and does not look yet.
    pub(super) fn new(probe: Probe) -> Self {
        Self {
            pulse: Pulse::new(probe.period_ms),
            judge: Judge::of_probe(&probe.kind),
            probe,
            state: ProbeState::Waiting,
            failures: 0,
            passes: 0,
            step: 0,
            stepped: None,
            unknown: None,
            last: None,
            suspended: None,
        }
    }

    /// One that takes the place of another, whose answer may be under way.
    pub(super) fn after(probe: Probe, before: &Watch) -> Self {
        let fresh = Self::new(probe);
        Self { pulse: fresh.pulse.clone().after(&before.pulse), ..fresh }
    }

    /// What is asked, when it is due.
    pub(super) fn ask(&mut self, now: Moment, ticket: Ticket) -> Option<Ask> {
        self.pulse.due().filter(|due| *due <= now)?;
        if self.pulse.is_after_gap(now) {
            self.forget();
        }
        self.pulse.asked(now, ticket);
        let (probe, what) = (self.probe.name.clone(), self.judge.what());
        Some(Ask { probe, what, timeout_ms: self.probe.timeout_ms })
    }

    /// What was seen so far is too old to be counted.
    pub(super) fn forget(&mut self) {
        self.judge.forget();
        self.failures = 0;
        self.passes = 0;
    }

    /// Counts a sample. Not knowing is not counted at all. `attended` says why nothing may be done
    /// just now.
    pub(super) fn judged(
        &mut self,
        now: Moment,
        judged: Judged,
        attended: Option<&str>,
    ) -> Vec<Step> {
        match judged {
            Judged::Early => Vec::new(),
            Judged::Unknown(why) => {
                let first = self.unknown.is_none();
                let since = self.unknown.take().map_or(now, |(since, _)| since);
                let told = format!("probe `{}` cannot tell: {why}", self.probe.name);
                self.unknown = Some((since, why));
                if first { vec![Step::Tell(told)] } else { Vec::new() }
            }
            Judged::Passed(text) => {
                (self.unknown, self.last) = (None, Some((now, text)));
                self.passed()
            }
            Judged::Failed(text) => {
                (self.unknown, self.last) = (None, Some((now, text.clone())));
                self.failed(now, &text, attended)
            }
        }
    }

    fn passed(&mut self) -> Vec<Step> {
        self.failures = 0;
        self.passes = self.passes.saturating_add(1);
        if self.passes < self.probe.success_threshold || self.state == ProbeState::Passing {
            return Vec::new();
        }
        let was = std::mem::replace(&mut self.state, ProbeState::Passing);
        (self.step, self.stepped, self.suspended) = (0, None, None);
        match was {
            ProbeState::Failing => {
                vec![Step::Tell(format!("probe `{}` passes again", self.probe.name))]
            }
            ProbeState::Waiting | ProbeState::Passing | ProbeState::Over => Vec::new(),
        }
    }

    fn failed(&mut self, now: Moment, text: &str, attended: Option<&str>) -> Vec<Step> {
        self.passes = 0;
        self.failures = self.failures.saturating_add(1);
        if self.failures < self.probe.failure_threshold {
            return Vec::new();
        }
        let mut steps = Vec::new();
        if self.state != ProbeState::Failing {
            self.state = ProbeState::Failing;
            let name = &self.probe.name;
            steps.push(Step::Tell(format!(
                "probe `{name}` failed ({} in a row): {text}",
                self.failures
            )));
        }
        let waits = self.stepped.is_some_and(|at| now < at + self.gap());
        let Some(remedy) = self.probe.on_failure.get(self.step).filter(|_| !waits) else {
            return steps;
        };
        if let Some(why) = attended {
            let told = format!("nothing is done about probe `{}`: {why}", self.probe.name);
            if self.suspended.replace(why.to_owned()).is_none() {
                steps.push(Step::Tell(told));
            }
            return steps;
        }
        let why = format!("probe `{}`: {text}", self.probe.name);
        steps.push(Step::Remedy(remedy.clone(), why));
        (self.step, self.stepped, self.suspended) = (self.step + 1, Some(now), None);
        steps
    }

    fn gap(&self) -> Duration {
        Duration::from_millis(self.probe.remedy_gap_ms)
    }

    /// The agent is being ended for what was seen: nothing more is asked.
    pub(super) fn end(&mut self) {
        self.pulse.stop();
        if self.state == ProbeState::Failing {
            self.state = ProbeState::Over;
        }
    }

    pub(super) fn explain(&self) -> ProbeNow {
        ProbeNow {
            name: self.probe.name.clone(),
            state: self.state,
            failures: (self.failures, self.probe.failure_threshold),
            unknown: self.unknown.clone(),
            last: self.last.clone(),
            next: self.pulse.due(),
            suspended: self.suspended.clone(),
        }
    }
}
