//! Decides whether an instance is started again when its process has ended, and when.
//!
//! A pure function of the policy, what is remembered of earlier restarts, how the process ended,
//! and one random number. The window of the start limit slides and is counted on the ledger's
//! clock, so that a burst never fits twice around a border and no wall clock moves it.

use crate::document::show_duration;
use crate::model::{AttemptEnd, InstanceRow, Moment, Outcome, signal_name};

use super::agent::{Delay, OnStartLimit, Policy, ResetAfter, Restart};

/// A life is long enough to forget earlier restarts after at least this, in milliseconds.
const RESET_MS_MIN: u64 = 60_000;

/// What is remembered of earlier restarts: a part of [`InstanceRow`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestartCounters {
    /// Restarts by policy since a person last started it.
    pub restarts: u32,
    /// Restarts in a row without a long enough life between.
    pub streak: u32,
    /// When the policy started it, within the start-limit window; in order.
    pub starts: Vec<Moment>,
    /// The delay served last, in milliseconds.
    pub last_delay_ms: u64,
}

/// What happens to an instance whose process has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is not started again.
    No {
        /// One sentence for a person.
        why: String,
    },
    /// It is started again.
    After {
        /// How long to wait, in milliseconds.
        delay_ms: u64,
        /// What to remember; the start to come is already in it.
        counters: RestartCounters,
        /// One sentence for a person.
        why: String,
    },
    /// It was started too often; a person must look at it.
    LimitHit {
        /// One sentence for a person.
        why: String,
    },
}

/// Decides about one end.
///
/// `ran_ms` is how long the process ran, counted from the moment it was ready, and `None` when it
/// never was. `random` is between 0 and 1; it spreads the delays of many instances. The start
/// limit is looked at when a process ends, not when the next would start: so did OTP, and with the
/// delays that the checker does not warn of it is always reached by an agent that ends at once.
pub fn decide(
    policy: &Policy,
    counters: &RestartCounters,
    end: &AttemptEnd,
    ran_ms: Option<u64>,
    now: Moment,
    random: f64,
) -> Decision {
    if let Some(why) = refused(policy, end) {
        return Decision::No { why };
    }
    if end.outcome == Outcome::RateLimited {
        // A usage limit is no failure: it neither uses up starts nor makes delays grow.
        let delay_ms = policy.restart_max_delay_ms;
        let why = format!("usage limit; tries again after {}", show_duration(delay_ms));
        return Decision::After { delay_ms, counters: counters.clone(), why };
    }
    let mut counters = counters.clone();
    if ran_ms.is_some_and(|ran| ran >= reset_after_ms(policy, counters.last_delay_ms)) {
        counters.streak = 0;
    }
    let base = delay_ms(policy, counters.streak);
    let mut delay_ms = base.saturating_add(jitter_ms(policy, base, random));
    let mut why = format!("restarts after {}", about(delay_ms));
    let (burst, interval_ms) = (policy.start_limit_burst, policy.start_limit_interval_ms);
    let room = room(burst, interval_ms, &mut counters.starts, now);
    if room > now {
        match policy.on_start_limit {
            OnStartLimit::Fail | OnStartLimit::Failover => {
                return Decision::LimitHit { why: limit_hit(burst, interval_ms) };
            }
            OnStartLimit::Delay => {
                delay_ms = delay_ms.max(room.0 - now.0);
                let hit = limit_hit(burst, interval_ms);
                why = format!("{hit}; waits {}", about(delay_ms));
            }
        }
    }
    counters.restarts = counters.restarts.saturating_add(1);
    counters.streak = counters.streak.saturating_add(1);
    counters.starts.push(Moment(now.0.saturating_add(delay_ms)));
    counters.last_delay_ms = delay_ms;
    Decision::After { delay_ms, counters, why }
}

/// The delay before a restart, without what is added at random; `streak` restarts were made in a
/// row before it.
pub fn delay_ms(policy: &Policy, streak: u32) -> u64 {
    let first = policy.restart_delay_ms;
    let factor = match policy.delay_function {
        Delay::Constant => 1,
        Delay::Exponential => 1_u64.checked_shl(streak).unwrap_or(u64::MAX),
        Delay::Fibonacci => fibonacci(streak),
    };
    first.saturating_mul(factor).min(policy.restart_max_delay_ms)
}

/// Why there is no restart, if there is none.
fn refused(policy: &Policy, end: &AttemptEnd) -> Option<String> {
    if end.outcome == Outcome::Cancelled {
        return Some("a person stopped it".to_owned());
    }
    if let Some(code) = end.code.filter(|code| policy.restart_prevent_codes.contains(code)) {
        return Some(format!("exit code {code} is in `restart_prevent_exit_status`"));
    }
    if let Some(signal) = end.signal.filter(|s| policy.restart_prevent_signals.contains(s)) {
        return Some(format!("{} is in `restart_prevent_exit_status`", signal_name(signal)));
    }
    let forced = end.code.is_some_and(|code| policy.restart_force_codes.contains(&code))
        || end.signal.is_some_and(|signal| policy.restart_force_signals.contains(&signal));
    let wanted = forced || restarts_after(policy.restart, end.outcome);
    (!wanted).then(|| format!("{}; `restart` is \"{}\"", end.outcome, policy.restart))
}

/// The table of systemd.service(5) over our outcomes.
fn restarts_after(restart: Restart, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Success => matches!(restart, Restart::OnSuccess | Restart::Always),
        // The program said no by itself, or cannot be started; systemd sees an exit code in both.
        Outcome::ExitCode
        | Outcome::ExecFailed
        | Outcome::NoResult
        | Outcome::Malformed
        | Outcome::Auth
        | Outcome::Refused
        | Outcome::Hook => matches!(restart, Restart::OnFailure | Restart::Always),
        Outcome::Signal | Outcome::CoreDump => {
            matches!(restart, Restart::OnAbort) || abnormal(restart)
        }
        Outcome::Watchdog => matches!(restart, Restart::OnWatchdog) || abnormal(restart),
        Outcome::OomKill
        | Outcome::StartTimeout
        | Outcome::Timeout
        | Outcome::IdleTimeout
        | Outcome::Probe
        | Outcome::Lost => abnormal(restart),
        // It is no failure, and passes by itself: whoever is restarted at all goes on.
        Outcome::RateLimited => restart != Restart::No,
        Outcome::Cancelled => false,
    }
}

fn abnormal(restart: Restart) -> bool {
    matches!(restart, Restart::OnFailure | Restart::OnAbnormal | Restart::Always)
}

/// How long a life must be for earlier restarts to be forgotten.
fn reset_after_ms(policy: &Policy, last_delay_ms: u64) -> u64 {
    match policy.restart_reset_after {
        ResetAfter::Auto => RESET_MS_MIN.max(last_delay_ms.saturating_mul(2)),
        ResetAfter::Ms(ms) => ms,
    }
}

fn fibonacci(streak: u32) -> u64 {
    // The 93rd number is the last that fits in 64 bits.
    let pairs = (0..streak.min(92)).fold((1_u64, 1_u64), |(a, b), _| (b, a.saturating_add(b)));
    pairs.0
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a share of a delay, which is far below 53 bits and not negative"
)]
fn jitter_ms(policy: &Policy, delay_ms: u64, random: f64) -> u64 {
    (delay_ms as f64 * policy.restart_jitter * random.clamp(0.0, 1.0)) as u64
}

/// Forgets the starts that have left a window of `interval_ms` that holds `burst` of them (0 is no
/// limit), and tells from when on there is room for another: `now`, or a moment to come.
pub fn room(burst: u32, interval_ms: u64, starts: &mut Vec<Moment>, now: Moment) -> Moment {
    let burst = burst as usize;
    starts.retain(|start| start.0.saturating_add(interval_ms) > now.0);
    // More than the burst are never asked for, however many a policy without limit makes.
    starts.drain(..starts.len().saturating_sub(burst));
    match starts.first() {
        Some(oldest) if starts.len() == burst => Moment(oldest.0.saturating_add(interval_ms)),
        Some(_) | None => now,
    }
}

/// A wait as people say it: jitter makes odd milliseconds, and nobody counts those.
pub fn about(delay_ms: u64) -> String {
    let step = if delay_ms < 10_000 { 100 } else { 1_000 };
    if delay_ms < 10_000 && !delay_ms.is_multiple_of(1_000) {
        return format!("{:.1}s", delay_ms.next_multiple_of(step) as f64 / 1_000.0);
    }
    show_duration(delay_ms.next_multiple_of(step))
}

/// How a hit start limit is told.
pub fn limit_hit(burst: u32, interval_ms: u64) -> String {
    let times = if burst == 1 { "once".to_owned() } else { format!("{burst} times") };
    format!("restarted {times} within {}", show_duration(interval_ms))
}

impl RestartCounters {
    /// What an instance's row remembers.
    pub fn of(row: &InstanceRow) -> Self {
        Self {
            restarts: row.restarts,
            streak: row.streak,
            starts: row.starts.clone(),
            last_delay_ms: row.last_delay_ms,
        }
    }

    /// Writes them into the row.
    pub fn keep(self, row: &mut InstanceRow) {
        row.restarts = self.restarts;
        row.streak = self.streak;
        row.starts = self.starts;
        row.last_delay_ms = self.last_delay_ms;
    }
}

#[cfg(test)]
mod tests;
