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
/// delays that the checker accepts it is always reached by an agent that ends at once.
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
        let why = format!("usage limit; tries again in {}", show_duration(delay_ms));
        return Decision::After { delay_ms, counters: counters.clone(), why };
    }
    let mut counters = counters.clone();
    if ran_ms.is_some_and(|ran| ran >= reset_after_ms(policy, counters.last_delay_ms)) {
        counters.streak = 0;
    }
    let base = delay_ms(policy, counters.streak);
    let mut delay_ms = base.saturating_add(jitter_ms(policy, base, random));
    let mut why = format!("restarts in {}", about(delay_ms));
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
mod tests {
    use super::*;
    use crate::model::Mint;

    fn ended(outcome: Outcome) -> AttemptEnd {
        let (message, at) = (String::new(), Moment(0));
        AttemptEnd { outcome, message, code: None, signal: None, source: None, at }
    }

    fn calm() -> Policy {
        Policy { restart: Restart::Always, restart_jitter: 0.0, ..Policy::default() }
    }

    fn restarts(policy: &Policy, end: &AttemptEnd) -> bool {
        let none = RestartCounters::default();
        match decide(policy, &none, end, None, Moment(0), 0.0) {
            Decision::After { .. } => true,
            Decision::No { .. } => false,
            Decision::LimitHit { why } => panic!("nothing was started yet: {why}"),
        }
    }

    /// One row for each outcome, one column for each word of `restart`.
    #[test]
    fn whether_to_restart_is_the_table_of_systemd() {
        let columns = [
            Restart::No,
            Restart::OnSuccess,
            Restart::OnFailure,
            Restart::OnAbnormal,
            Restart::OnWatchdog,
            Restart::OnAbort,
            Restart::Always,
        ];
        let table = [
            (Outcome::Success, ".x....x"),
            (Outcome::ExitCode, "..x...x"),
            (Outcome::Signal, "..xx.xx"),
            (Outcome::CoreDump, "..xx.xx"),
            (Outcome::OomKill, "..xx..x"),
            (Outcome::ExecFailed, "..x...x"),
            (Outcome::StartTimeout, "..xx..x"),
            (Outcome::Timeout, "..xx..x"),
            (Outcome::IdleTimeout, "..xx..x"),
            (Outcome::Watchdog, "..xxx.x"),
            (Outcome::Probe, "..xx..x"),
            (Outcome::NoResult, "..x...x"),
            (Outcome::Malformed, "..x...x"),
            (Outcome::RateLimited, ".xxxxxx"),
            (Outcome::Auth, "..x...x"),
            (Outcome::Refused, "..x...x"),
            (Outcome::Hook, "..x...x"),
            (Outcome::Lost, "..xx..x"),
            (Outcome::Cancelled, "......."),
        ];
        assert_eq!(table.len(), Outcome::ALL.len());
        for (outcome, row) in table {
            for (restart, mark) in columns.into_iter().zip(row.chars()) {
                let policy = Policy { restart, ..calm() };
                assert_eq!(restarts(&policy, &ended(outcome)), mark == 'x', "{outcome} {restart}");
            }
        }
    }

    #[test]
    fn a_prevented_status_wins_over_always() {
        let policy =
            Policy { restart_prevent_codes: vec![2], restart_prevent_signals: vec![9], ..calm() };
        let code = AttemptEnd { code: Some(2), ..ended(Outcome::ExitCode) };
        let signal = AttemptEnd { signal: Some(9), ..ended(Outcome::Signal) };
        let other = AttemptEnd { code: Some(9), ..ended(Outcome::ExitCode) };
        assert!(!restarts(&policy, &code) && !restarts(&policy, &signal));
        assert!(restarts(&policy, &other), "9 is a signal there, not a code");
    }

    /// `restart_force_exit_status` beats `restart`, and loses to `restart_prevent_exit_status` and
    /// to a person.
    #[test]
    fn a_forced_status_restarts_what_would_stay_down() {
        let policy = Policy {
            restart: Restart::No,
            restart_force_codes: vec![0, 7, 8],
            restart_force_signals: vec![10, 12],
            restart_prevent_codes: vec![8],
            restart_prevent_signals: vec![12],
            ..calm()
        };
        let code = |code| AttemptEnd { code: Some(code), ..ended(Outcome::ExitCode) };
        let signal = |signal| AttemptEnd { signal: Some(signal), ..ended(Outcome::Signal) };
        let success = AttemptEnd { code: Some(0), ..ended(Outcome::Success) };
        let stopped = AttemptEnd { code: Some(7), ..ended(Outcome::Cancelled) };
        let table = [
            (code(7), true),
            (code(8), false),
            (code(10), false),
            (signal(10), true),
            (signal(12), false),
            (signal(7), false),
            (success, true),
            (stopped, false),
        ];
        for (end, expected) in table {
            assert_eq!(restarts(&policy, &end), expected, "{end:?}");
        }
    }

    #[test]
    fn delays_grow_up_to_their_cap() {
        let cases = [
            (Delay::Constant, [1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000]),
            (Delay::Exponential, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]),
            (Delay::Fibonacci, [1_000, 1_000, 2_000, 3_000, 5_000, 8_000, 13_000, 21_000]),
        ];
        for (delay_function, expected) in cases {
            let policy = Policy { delay_function, ..calm() };
            let delays: Vec<_> = (0..8).map(|streak| delay_ms(&policy, streak)).collect();
            assert_eq!(delays, expected, "{delay_function}");
            let last = delay_ms(&policy, u32::MAX);
            assert!(last == 60_000 || delay_function == Delay::Constant);
        }
    }

    #[test]
    fn jitter_adds_up_to_a_quarter_and_never_takes_away() {
        let policy = Policy { restart_jitter: 0.25, restart_delay_ms: 4_000, ..calm() };
        for (random, expected) in [(0.0, 4_000), (0.5, 4_500), (1.0, 5_000), (7.0, 5_000)] {
            let end = ended(Outcome::Signal);
            let none = RestartCounters::default();
            let decision = decide(&policy, &none, &end, None, Moment(0), random);
            assert!(matches!(decision, Decision::After { delay_ms, .. } if delay_ms == expected));
        }
    }

    /// Fault case 46: fifty agents that crash together do not come back together.
    #[test]
    fn jitter_spreads_a_common_crash() {
        let policy = Policy { restart_jitter: 0.25, restart_delay_ms: 4_000, ..calm() };
        let mut mint = Mint::new([9; 32]);
        let delay = |_| {
            let random = (mint.number() >> 11) as f64 / (1_u64 << 53) as f64;
            let none = RestartCounters::default();
            match decide(&policy, &none, &ended(Outcome::ExitCode), None, Moment(0), random) {
                Decision::After { delay_ms, .. } => delay_ms,
                Decision::No { why } | Decision::LimitHit { why } => panic!("{why}"),
            }
        };
        let delays: Vec<u64> = (0..50).map(delay).collect();
        assert!(delays.iter().all(|delay| (4_000..=5_000).contains(delay)), "{delays:?}");
        for tenth in 0..10 {
            let from = 4_000 + tenth * 100;
            let here = delays.iter().filter(|delay| (from..from + 100).contains(*delay)).count();
            assert!((1..=12).contains(&here), "{here} of 50 come back at {from}: {delays:?}");
        }
    }

    /// The delay after a life of that length, with three restarts behind it.
    fn delay_after(policy: &Policy, last_delay_ms: u64, ran_ms: Option<u64>) -> u64 {
        let counters = RestartCounters { streak: 3, last_delay_ms, ..Default::default() };
        let end = ended(Outcome::ExitCode);
        match decide(policy, &counters, &end, ran_ms, Moment(1_000_000), 0.0) {
            Decision::After { delay_ms, .. } => delay_ms,
            Decision::No { why } | Decision::LimitHit { why } => panic!("{why}"),
        }
    }

    #[test]
    fn a_long_enough_life_forgets_the_streak() {
        let auto = calm();
        let fixed = Policy { restart_reset_after: ResetAfter::Ms(5_000), ..calm() };
        assert_eq!(delay_after(&auto, 4_000, Some(59_999)), 8_000);
        assert_eq!(delay_after(&auto, 4_000, Some(60_000)), 1_000);
        assert_eq!(delay_after(&auto, 40_000, Some(79_999)), 8_000, "twice the last delay");
        assert_eq!(delay_after(&auto, 40_000, Some(80_000)), 1_000);
        assert_eq!(delay_after(&fixed, 40_000, Some(4_999)), 8_000);
        assert_eq!(delay_after(&fixed, 40_000, Some(5_000)), 1_000);
        assert_eq!(delay_after(&auto, 4_000, None), 8_000, "it never was ready");
    }

    /// Five starts, one each second; the first was at 1 s.
    fn five_starts() -> RestartCounters {
        let starts = (1..=5).map(|second| Moment(second * 1_000)).collect();
        RestartCounters { starts, restarts: 5, ..Default::default() }
    }

    #[test]
    fn the_sixth_start_within_the_window_is_one_too_many() {
        let policy = calm();
        let end = ended(Outcome::ExitCode);
        let at = |ms| decide(&policy, &five_starts(), &end, None, Moment(ms), 0.0);
        let why = "restarted 5 times within 10m".to_owned();
        assert_eq!(at(5_500), Decision::LimitHit { why: why.clone() });
        assert_eq!(at(600_999), Decision::LimitHit { why }, "the first is still in the window");
        let Decision::After { counters, delay_ms, .. } = at(601_000) else {
            panic!("the first start left the window a moment ago")
        };
        assert_eq!(delay_ms, 1_000);
        let starts: Vec<_> = counters.starts.iter().map(|start| start.0).collect();
        assert_eq!(starts, [2_000, 3_000, 4_000, 5_000, 602_000]);
        assert_eq!((counters.restarts, counters.streak, counters.last_delay_ms), (6, 1, 1_000));
    }

    #[test]
    fn with_delay_the_sixth_start_waits_for_room() {
        let policy = Policy { on_start_limit: OnStartLimit::Delay, ..calm() };
        let end = ended(Outcome::ExitCode);
        let decision = decide(&policy, &five_starts(), &end, None, Moment(6_000), 0.0);
        let Decision::After { delay_ms, counters, why } = decision else {
            panic!("it waits: {decision:?}")
        };
        assert_eq!(delay_ms, 595_000, "the first start leaves the window at 601 s");
        assert_eq!(counters.starts.last(), Some(&Moment(601_000)));
        assert_eq!(why, "restarted 5 times within 10m; waits 9m55s");
    }

    #[test]
    fn without_a_burst_there_is_no_limit_and_nothing_is_remembered() {
        let policy = Policy { start_limit_burst: 0, restart_delay_ms: 0, ..calm() };
        let mut counters = five_starts();
        for n in 0..100 {
            let end = ended(Outcome::ExitCode);
            match decide(&policy, &counters, &end, None, Moment(6_000 + n), 0.0) {
                Decision::After { counters: next, .. } => counters = next,
                Decision::No { why } | Decision::LimitHit { why } => panic!("{why}"),
            }
        }
        assert_eq!(counters.starts.len(), 1);
        assert_eq!(counters.restarts, 105);
    }

    #[test]
    fn a_usage_limit_counts_nothing_even_at_the_limit() {
        let end = ended(Outcome::RateLimited);
        let decision = decide(&calm(), &five_starts(), &end, None, Moment(6_000), 0.0);
        let why = "usage limit; tries again in 1m".to_owned();
        let expected = Decision::After { delay_ms: 60_000, counters: five_starts(), why };
        assert_eq!(decision, expected);
    }

    proptest::proptest! {
        /// What the checker of configurations promises (C07), for every shape of delays.
        #[test]
        fn an_agent_that_ends_at_once_reaches_its_limit(
            first in 0_u64..5_000, more in 0_u64..50_000, burst in 1_u32..12, function in 0_usize..3,
        ) {
            let mut policy = Policy {
                restart_delay_ms: first,
                restart_max_delay_ms: first + more,
                delay_function: Delay::ALL[function],
                start_limit_burst: burst,
                ..calm()
            };
            let delays: u64 = (0..burst).map(|streak| delay_ms(&policy, streak)).sum();
            policy.start_limit_interval_ms = delays + 1;
            let (mut counters, mut now) = (RestartCounters::default(), Moment(7));
            for _ in 0..burst {
                let end = ended(Outcome::ExitCode);
                let decision = decide(&policy, &counters, &end, Some(0), now, 0.0);
                let Decision::After { delay_ms, counters: next, .. } = decision else {
                    panic!("too early: {decision:?}")
                };
                (counters, now) = (next, Moment(now.0 + delay_ms));
            }
            let last = decide(&policy, &counters, &ended(Outcome::ExitCode), Some(0), now, 0.0);
            let hit = matches!(last, Decision::LimitHit { .. });
            proptest::prop_assert!(hit, "{:?}", last);
        }
    }
}
