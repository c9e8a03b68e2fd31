//! The startup probe: until it passes, the attempt is not ready, and no other probe looks.

use std::time::Duration;

use super::judge::{Judge, Judged};
use super::pulse::Pulse;
use super::sample::{Ask, ProbeNow, ProbeState, Reading, Ticket};
use crate::model::{Moment, ReadySign, Startup};

/// The name under which it is shown.
pub(super) const NAME: &str = "startup";
/// How long one look may take at most.
const LOOK_MS_MAX: u64 = 5_000;

/// An attempt that is not ready yet.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    pub(super) startup: Startup,
    pub(super) pulse: Pulse,
    judge: Option<Judge>,
    /// When it must have passed; without one of its own, whoever started it knows.
    pub(super) deadline: Option<Moment>,
    last: Option<(Moment, String)>,
    unknown: Option<(Moment, String)>,
}

impl Gate {
    /// It must pass within its time from now on.
    pub(super) fn new(startup: &Startup, now: Moment) -> Self {
        let judge = Judge::of_startup(&startup.sign);
        let mut pulse = Pulse::new(startup.period_ms);
        if judge.is_some() {
            pulse.begin(now);
        }
        let deadline = startup.timeout_ms.map(|ms| now + Duration::from_millis(ms));
        Self { startup: startup.clone(), pulse, judge, deadline, last: None, unknown: None }
    }

    /// One that takes the place of another, whose answer may be under way.
    pub(super) fn after(startup: &Startup, now: Moment, before: &Gate) -> Self {
        let fresh = Self::new(startup, now);
        Self { pulse: fresh.pulse.clone().after(&before.pulse), ..fresh }
    }

    /// What is asked, when it is due.
    pub(super) fn ask(&mut self, now: Moment, ticket: Ticket) -> Option<Ask> {
        self.pulse.due().filter(|due| *due <= now)?;
        let what = self.judge.as_ref()?.what();
        self.pulse.asked(now, ticket);
        Some(Ask { probe: NAME.to_owned(), what, timeout_ms: LOOK_MS_MAX })
    }

    /// Whether a sample says that it is ready.
    pub(super) fn passes(&mut self, now: Moment, reading: &Reading) -> bool {
        let Some(judge) = &mut self.judge else { return false };
        let (text, passed) = match judge.judge(now, reading, None).0 {
            Judged::Passed(text) => (text, true),
            Judged::Failed(text) => (text, false),
            Judged::Early => return false,
            Judged::Unknown(why) => {
                let since = self.unknown.take().map_or(now, |(since, _)| since);
                self.unknown = Some((since, why));
                return false;
            }
        };
        (self.unknown, self.last) = (None, Some((now, text)));
        passed
    }

    /// Why it is not ready, for the verdict.
    pub(super) fn why(&self) -> String {
        let time = self.startup.timeout_ms.map(|ms| format!(" in {} s", ms as f64 / 1000.0));
        format!("was not ready{}{}", time.unwrap_or_default(), self.seen())
    }

    /// What it saw last, as the end of a sentence.
    pub(super) fn seen(&self) -> String {
        match (&self.unknown, &self.last, &self.startup.sign) {
            (Some((_, why)), _, _) => format!(": {why}"),
            (None, Some((_, text)), _) => format!(": {text}"),
            (None, None, ReadySign::Notify) => ": it never said READY=1".to_owned(),
            (None, None, ReadySign::Screen { .. } | ReadySign::Exec { .. }) => String::new(),
        }
    }

    pub(super) fn explain(&self) -> ProbeNow {
        ProbeNow {
            name: NAME.to_owned(),
            state: ProbeState::Waiting,
            failures: (0, 0),
            unknown: self.unknown.clone(),
            last: self.last.clone(),
            next: self.pulse.due(),
            suspended: None,
        }
    }
}
