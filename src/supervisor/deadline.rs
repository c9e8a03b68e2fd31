//! What happens by itself when time passes: limits that strike, launches that are tried again,
//! silence that is asked about, windows that are closed. Deadlines are data; the daemon waits for
//! the earliest and then asks.

use std::time::Duration;

use crate::health::{Monitor, Sign};
use crate::model::{AttemptId, AttemptState, Moment, StartReason, StopCause};

use super::{Action, Attempt, Supervisor};

/// How long a window that somebody looks at is left alone at least, before the next look.
const WINDOW_AGAIN: Duration = Duration::from_secs(1);

impl Attempt {
    /// When a time limit strikes, and which.
    pub(super) fn limit_deadline(&self) -> Option<(Moment, StopCause)> {
        let after = |from: Option<Moment>, ms: Option<u64>, cause| {
            Some((from? + Duration::from_millis(ms?), cause))
        };
        let limits = &self.row.order.limits;
        let start = after(self.row.launched, limits.start_ms, StopCause::StartTimeout)
            .map(|(at, cause)| (at + self.slip, cause))
            .map(|(at, cause)| (self.start_until.map_or(at, |until| at.max(until)), cause));
        match self.row.state {
            AttemptState::Starting => start,
            AttemptState::Running => {
                let run = after(self.row.started, limits.run_ms, StopCause::Timeout);
                // A startup probe with a time of its own keeps it itself.
                let gated = self.watched().is_some_and(|it| it.startup_deadline().is_some());
                let start = start.filter(|_| self.row.ready.is_none() && !gated);
                [start, run].into_iter().flatten().min_by_key(|(at, _)| *at)
            }
            AttemptState::Intended | AttemptState::Stopping | AttemptState::Ended => None,
        }
    }

    /// What is said of one that runs and is not ready when its time to start is over.
    fn unready_in(&self) -> Option<String> {
        let ms = self.row.order.limits.start_ms.filter(|_| self.row.started.is_some())?;
        let seen = self.watched().map(Monitor::startup_seen).unwrap_or_default();
        Some(format!("was not ready {} s after its launch{seen}", ms as f64 / 1000.0))
    }

    fn next_deadline(&self) -> Option<Moment> {
        let limit = self.limit_deadline().map(|(at, _)| at);
        let watch = self.watched().and_then(Monitor::next_deadline);
        [limit, self.launch_again, self.ask_quiet, watch].into_iter().flatten().min()
    }
}

impl Supervisor {
    /// The next moment at which [`super::Event::DeadlineReached`] is wanted.
    pub fn next_deadline(&self) -> Option<Moment> {
        let attempts = self.attempts.values().filter_map(Attempt::next_deadline);
        let windows = self.windows.values().map(|(at, _)| *at);
        let instances = self.delays().map(|(_, at)| at);
        let parked = self.parked.values().map(|parking| parking.until);
        let (groups, failback) = (self.group_deadlines(), self.failback_deadline());
        let agents = parked.chain(failback);
        attempts.chain(windows).chain(instances).chain(groups).chain(agents).min()
    }

    /// Takes the answer to [`Action::AskQuiet`].
    pub(super) fn heard(
        &mut self,
        now: Moment,
        id: &AttemptId,
        quiet_ms: u64,
        out: &mut Vec<Action>,
    ) {
        self.printed(now, id, quiet_ms);
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        let Some(idle_ms) = attempt.row.order.limits.idle_ms else { return };
        if attempt.row.state != AttemptState::Running {
            return;
        }
        if quiet_ms >= idle_ms {
            return self.stop(now, id, StopCause::IdleTimeout, out);
        }
        attempt.ask_quiet = Some(now + Duration::from_millis(idle_ms - quiet_ms));
    }

    /// A window that is still there is looked at again, after its time or at least a moment.
    pub(super) fn window_left(&mut self, now: Moment, window: String, success: bool) {
        // Seen again, it stays no longer than was decided.
        if !self.windows.contains_key(&window) {
            self.keep_window(now + WINDOW_AGAIN, window, success);
        }
    }

    /// Remembers when the window of an ended attempt is to be closed.
    pub(super) fn keep_window(&mut self, now: Moment, window: String, success: bool) {
        let keep = if success { self.settings.keep_success } else { self.settings.keep_failure };
        if let Some(keep) = keep {
            self.windows.insert(window, (now + keep, success));
        }
    }

    pub(super) fn deadline_reached(&mut self, now: Moment, out: &mut Vec<Action>) {
        self.settled = true;
        let due: Vec<AttemptId> = self
            .attempts
            .iter()
            .filter(|(_, attempt)| attempt.next_deadline().is_some_and(|at| at <= now))
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            self.attempt_due(now, &id, out);
        }
        let windows: Vec<String> = self
            .windows
            .iter()
            .filter(|(_, (at, _))| *at <= now)
            .map(|(window, _)| window.clone())
            .collect();
        for window in windows {
            let (_, success) = self.windows.remove(&window).expect("it was just listed");
            out.push(Action::CloseWindow { window, success });
        }
        self.parkings_over(now, out);
        self.backoffs_over(now, out);
        self.failbacks_due(now, out);
    }

    /// Starts every instance whose restart delay is over, but for those that wait for their turn.
    fn backoffs_over(&mut self, now: Moment, out: &mut Vec<Action>) {
        let due: Vec<String> =
            self.delays().filter(|(_, at)| *at <= now).map(|(name, _)| name.to_owned()).collect();
        for name in due {
            self.take_delay(now, &name);
            self.start_instance(now, &name, StartReason::Restart, out);
        }
    }

    /// The restart delays that end by themselves in a start.
    fn delays(&self) -> impl Iterator<Item = (&str, Moment)> {
        let waiting = self.in_turn();
        let rows = self.instances.values().filter(|_| !self.closing);
        rows.filter(move |row| !waiting.contains(row.name.as_str()))
            .filter_map(|row| Some((row.name.as_str(), row.not_before?)))
    }

    /// An instance is started now; whether that was planned as a restart by its policy.
    pub(super) fn take_delay(&mut self, now: Moment, name: &str) -> bool {
        let Some(row) = self.instances.get_mut(name) else { return false };
        let planned = row.not_before.take();
        // A daemon that was away starts late, and the window counts from the real start.
        if let Some(start) = row.starts.last_mut().filter(|start| planned == Some(**start)) {
            *start = now;
        }
        planned.is_some()
    }

    fn attempt_due(&mut self, now: Moment, id: &AttemptId, out: &mut Vec<Action>) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        if let Some((at, cause)) = attempt.limit_deadline()
            && at <= now
        {
            return match attempt.unready_in() {
                Some(why) if cause == StopCause::StartTimeout => {
                    self.condemn(now, id, cause, why, out);
                }
                Some(_) | None => self.stop(now, id, cause, out),
            };
        }
        if attempt.launch_again.is_some_and(|at| at <= now) {
            return self.launch_now(now, id, out);
        }
        if attempt.ask_quiet.is_some_and(|at| at <= now) {
            attempt.ask_quiet = None;
            out.push(Action::AskQuiet { attempt: id.clone() });
        }
        self.tell_monitor(now, id, Sign::Due, out);
    }
}
