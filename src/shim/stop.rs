//! How a stop escalates: a timetable of acts, without clock or processes.
//!
//! ```text
//! stop:       keys (one per 100 ms) -> signal -> ... timeout -> HUP -> 2 s -> KILL, KILL, ... -> give up
//! leftovers:  TERM -> 200 ms -> KILL, KILL, ... -> give up     (or KILL at once)
//! ```
//! Whoever performs the acts ends the escalation as soon as the set is empty.

use std::collections::VecDeque;

/// Between two keys, so that a terminal program reads `Escape` and what follows as two.
const KEY_GAP_MS: u64 = 100;
/// At most this long, and at most half the timeout, is given to keys before the signal.
const KEYS_MS_MAX: u64 = 5_000;
/// Between SIGHUP and SIGKILL.
const HANGUP_MS: u64 = 2_000;
/// What descendants of an ended main process get between SIGTERM and SIGKILL.
const LEFTOVER_GRACE_MS: u64 = 200;
/// Between two rounds of SIGKILL.
const KILL_GAP_MS: u64 = 20;
/// After this much killing, what is left cannot be killed.
const GIVE_UP_MS: u64 = 5_000;

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Type the key of this index.
    Type(usize),
    /// Send the stop signal and SIGCONT to all.
    Ask,
    /// Send SIGHUP to all.
    HangUp,
    /// Send SIGKILL to all; comes again until the set is empty.
    Kill,
    /// What is left cannot be killed.
    GiveUp,
}

/// One stop on its way.
#[derive(Debug)]
pub(super) struct Escalation {
    began_ms: u64,
    steps: VecDeque<(u64, Act)>,
    killing_since_ms: Option<u64>,
}

impl Escalation {
    /// A stop with `keys` keys that waits `timeout_ms` for the signal to work.
    pub(super) fn stop(now_ms: u64, keys: usize, timeout_ms: u64, send_sighup: bool) -> Self {
        let mut steps: VecDeque<(u64, Act)> =
            (0..keys).map(|i| (now_ms + KEY_GAP_MS * i as u64, Act::Type(i))).collect();
        let patience = if keys == 0 { 0 } else { (timeout_ms / 2).min(KEYS_MS_MAX) };
        steps.retain(|(at, _)| *at <= now_ms + patience);
        steps.push_back((now_ms + patience, Act::Ask));
        let mut end = now_ms.saturating_add(timeout_ms);
        if send_sighup {
            steps.push_back((end, Act::HangUp));
            end = end.saturating_add(HANGUP_MS);
        }
        steps.push_back((end, Act::Kill));
        Self { began_ms: now_ms, steps, killing_since_ms: None }
    }

    /// Ends the descendants that a main process left behind, asked first or not.
    pub(super) fn leftovers(now_ms: u64, asked: bool) -> Self {
        let asking = [(now_ms, Act::Ask), (now_ms + LEFTOVER_GRACE_MS, Act::Kill)];
        let steps = if asked { asking.into() } else { [(now_ms, Act::Kill)].into() };
        Self { began_ms: now_ms, steps, killing_since_ms: None }
    }

    /// Skips what is left before the kill.
    pub(super) fn kill_now(&mut self, now_ms: u64) {
        if self.killing_since_ms.is_none() {
            self.steps = [(now_ms, Act::Kill)].into();
        }
    }

    /// When it began.
    pub(super) fn began_ms(&self) -> u64 {
        self.began_ms
    }

    /// When the next act is due; `None` after giving up.
    pub(super) fn next_due_ms(&self) -> Option<u64> {
        self.steps.front().map(|(at, _)| *at)
    }

    /// The act that is due, if any; to be called until it says `None`.
    pub(super) fn step(&mut self, now_ms: u64) -> Option<Act> {
        let (_, act) = *self.steps.front().filter(|(at, _)| *at <= now_ms)?;
        self.steps.pop_front();
        if act == Act::Kill {
            let since = *self.killing_since_ms.get_or_insert(now_ms);
            let over = now_ms >= since.saturating_add(GIVE_UP_MS);
            let next = if over { Act::GiveUp } else { Act::Kill };
            self.steps.push_back((now_ms + KILL_GAP_MS, next));
        }
        Some(act)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the timetable and notes each act at the moment it is due; repeated kills once.
    fn trace(mut escalation: Escalation) -> Vec<(u64, Act)> {
        let mut acts: Vec<(u64, Act)> = Vec::new();
        while let Some(due) = escalation.next_due_ms() {
            while let Some(act) = escalation.step(due) {
                if acts.last().is_none_or(|(_, last)| *last != act) {
                    acts.push((due, act));
                }
            }
        }
        acts
    }

    #[test]
    fn a_stop_asks_then_kills_then_gives_up() {
        let acts = trace(Escalation::stop(1000, 0, 3000, false));
        let end = [(1000, Act::Ask), (4000, Act::Kill), (9020, Act::GiveUp)];
        assert_eq!(acts, end);
    }

    #[test]
    fn keys_come_first_and_hup_has_two_seconds() {
        let acts = trace(Escalation::stop(0, 2, 10_000, true));
        assert_eq!(acts[..2], [(0, Act::Type(0)), (100, Act::Type(1))]);
        let rest = [(5000, Act::Ask), (10_000, Act::HangUp), (12_000, Act::Kill)];
        assert_eq!(acts[2..5], rest);
    }

    #[test]
    fn keys_that_do_not_fit_into_half_the_timeout_are_left_out() {
        let acts = trace(Escalation::stop(0, 50, 400, false));
        let typed = acts.iter().filter(|(_, act)| matches!(act, Act::Type(_))).count();
        assert_eq!(typed, 3);
        assert!(acts.contains(&(200, Act::Ask)) && acts.contains(&(400, Act::Kill)));
    }

    #[test]
    fn leftovers_get_a_short_grace() {
        let acts = trace(Escalation::leftovers(0, true));
        assert_eq!(acts[..2], [(0, Act::Ask), (200, Act::Kill)]);
        assert_eq!(trace(Escalation::leftovers(0, false))[0], (0, Act::Kill));
    }

    /// A second SIGTERM: kill at once, and a third one does not prolong it.
    #[test]
    fn kill_now_skips_ahead_and_is_idempotent() {
        let mut escalation = Escalation::stop(0, 0, 60_000, true);
        assert_eq!(escalation.step(0), Some(Act::Ask));
        assert_eq!(escalation.step(0), None);
        escalation.kill_now(10);
        assert_eq!(escalation.step(10), Some(Act::Kill));
        escalation.kill_now(4000);
        assert_eq!(trace(escalation).last(), Some(&(5030, Act::GiveUp)));
    }
}
