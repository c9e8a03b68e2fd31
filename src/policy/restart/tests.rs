//! When it is started again, how often, and after how long.

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
    let why = "usage limit; tries again after 1m".to_owned();
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
