//! Reads the policy keys of an agent, and checks that they make sense together.

use crate::document::{Span, Table, show_duration as told};

use super::agent::{Delay, OnStartLimit, Policy, ResetAfter, Restart};
use super::restart::delay_ms;
use super::status::{signal, statuses};
use super::unsupported::{self, refuse};

/// The largest share of a delay that may be added at random.
const JITTER_MAX: f64 = 0.25;
/// How many steps a delay may grow.
const GROWTH_STEPS_MAX: u32 = 100;
/// Keys that decide whether the start limit can be reached, the most telling first.
const LIMIT_KEYS: &[&str] = &[
    "start_limit_interval",
    "start_limit_burst",
    "restart_delay",
    "restart_max_delay",
    "delay_function",
];

/// Reads the policy keys of a table over a policy; keys that are absent change nothing.
pub(super) fn read_policy(table: &mut Table<'_>, policy: &mut Policy) {
    read_restart(table, policy);
    read_limit(table, policy);
    read_statuses(table, policy);
    read_timeouts(table, policy);
    read_stop(table, policy);
    if let Some(value) = table.integer("oom_score_adjust") {
        match i32::try_from(value.value).ok().filter(|score| (-1000..=1000).contains(score)) {
            Some(score) => policy.oom_score_adjust = score,
            None => {
                out_of_range(table, value.span, "`oom_score_adjust` lies between -1000 and 1000")
            }
        }
    }
    refuse(table, unsupported::OF_AGENTS);
    check_delays(table, policy);
    check_limit(table, policy);
}

/// Reports a value that is out of range.
pub(super) fn out_of_range(table: &Table<'_>, span: Span, message: &str) {
    table.findings().error("C08", span, message);
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn read_restart(table: &mut Table<'_>, policy: &mut Policy) {
    set(&mut policy.restart, table.word("restart", Restart::ALL, Restart::word).map(|w| w.value));
    set(&mut policy.restart_delay_ms, finite(table, "restart_delay"));
    set(&mut policy.restart_max_delay_ms, finite(table, "restart_max_delay"));
    let function = table.word("delay_function", Delay::ALL, Delay::word);
    set(&mut policy.delay_function, function.map(|word| word.value));
    if let Some(share) = table.number("restart_jitter") {
        if (0.0..=JITTER_MAX).contains(&share.value) {
            policy.restart_jitter = share.value;
        } else {
            let message = format!("`restart_jitter` lies between 0 and {JITTER_MAX}");
            out_of_range(table, share.span, &message);
        }
    }
    set(&mut policy.restart_reset_after, reset_after(table));
}

fn reset_after(table: &mut Table<'_>) -> Option<ResetAfter> {
    let key = "restart_reset_after";
    if table.value(key)?.is_text("auto") {
        return Some(ResetAfter::Auto);
    }
    finite(table, key).map(ResetAfter::Ms)
}

fn read_limit(table: &mut Table<'_>, policy: &mut Policy) {
    let burst = table.count("start_limit_burst").map(|count| count.value);
    set(&mut policy.start_limit_burst, burst);
    set(&mut policy.start_limit_interval_ms, positive(table, "start_limit_interval"));
    if let Some(value) = table.value("on_start_limit") {
        if value.is_text("failover") {
            unsupported::report(table, value.span(), "on_start_limit = \"failover\"");
            return;
        }
        let word = value.word(OnStartLimit::ALL, OnStartLimit::word);
        set(&mut policy.on_start_limit, word.map(|word| word.value));
    }
}

fn read_statuses(table: &mut Table<'_>, policy: &mut Policy) {
    if let Some(mut success) = statuses(table, "success_exit_status") {
        // As in systemd, the list adds to 0, which is success in any case.
        if !success.codes.contains(&0) {
            success.codes.insert(0, 0);
        }
        policy.success_codes = success.codes;
        policy.success_signals = success.signals;
    }
    if let Some(prevent) = statuses(table, "restart_prevent_exit_status") {
        policy.restart_prevent_codes = prevent.codes;
        policy.restart_prevent_signals = prevent.signals;
    }
}

fn read_timeouts(table: &mut Table<'_>, policy: &mut Policy) {
    set(&mut policy.start_timeout_ms, time_limit(table, "start_timeout"));
    set(&mut policy.timeout_ms, time_limit(table, "timeout"));
    set(&mut policy.idle_timeout_ms, time_limit(table, "idle_timeout"));
}

fn read_stop(table: &mut Table<'_>, policy: &mut Policy) {
    let keys = table.texts("stop_keys");
    set(&mut policy.stop.keys, keys.map(|keys| keys.into_iter().map(|key| key.value).collect()));
    set(&mut policy.stop.signal, signal(table, "stop_signal"));
    set(&mut policy.stop.timeout_ms, finite(table, "stop_timeout"));
    set(&mut policy.stop.send_sighup, table.flag("send_sighup").map(|flag| flag.value));
}

/// A span of time that has an end.
pub(super) fn finite(table: &mut Table<'_>, key: &str) -> Option<u64> {
    let span = table.duration(key)?;
    if span.value.is_none() {
        out_of_range(table, span.span, &format!("`{key}` needs a span of time that ends"));
    }
    span.value
}

/// A span of time that has an end and is not nothing.
fn positive(table: &mut Table<'_>, key: &str) -> Option<u64> {
    let at = table.duration(key)?;
    let ms = at.value.filter(|ms| *ms > 0);
    if ms.is_none() {
        let message = format!("`{key}` needs a span of time that ends and is not zero");
        let problem = table.findings().error("C08", at.span, message);
        problem.help("`start_limit_burst = 0` turns the limit off");
    }
    ms
}

/// A time limit; the inner `None` is none.
fn time_limit(table: &mut Table<'_>, key: &str) -> Option<Option<u64>> {
    let limit = table.duration(key)?;
    if limit.value == Some(0) {
        let message = format!("`{key}` of nothing leaves no time at all");
        table.findings().error("C08", limit.span, message).help("write \"off\" for no limit");
        return None;
    }
    Some(limit.value)
}

fn check_delays(table: &Table<'_>, policy: &Policy) {
    let (first, most) = (policy.restart_delay_ms, policy.restart_max_delay_ms);
    if first <= most {
        return;
    }
    let (key, other) = match table.has("restart_max_delay") {
        true => ("restart_max_delay", "restart_delay"),
        false => ("restart_delay", "restart_max_delay"),
    };
    if !table.has(key) {
        return;
    }
    let (first, most) = (told(first), told(most));
    let message = format!("`restart_max_delay` ({most}) is less than `restart_delay` ({first})");
    let problem = table.findings().error("C07", table.value_span(key), message);
    if !table.has(other) {
        problem.note(format!("`{other}` is not given here; the value is its default"));
    }
}

/// A limit that the delays alone keep out of reach would let an agent restart for ever.
fn check_limit(table: &Table<'_>, policy: &Policy) {
    let Some(key) = LIMIT_KEYS.iter().find(|key| table.has(key)) else { return };
    let burst = policy.start_limit_burst;
    let interval = policy.start_limit_interval_ms;
    let sum = sum_of_delays(policy, burst);
    if burst == 0 || sum < interval {
        return;
    }
    let (sum, interval) = (told(sum), told(interval));
    let message = format!(
        "the start limit cannot be reached: the delays before {burst} restarts take {sum}, \
         `start_limit_interval` is {interval}"
    );
    let problem = table.findings().error("C07", table.value_span(key), message);
    problem.help("make the interval longer, or the delays or the burst smaller");
}

/// The sum of the first delays. After [`GROWTH_STEPS_MAX`] steps every function has reached what
/// fits in 64 bits, so that the others are all the same.
fn sum_of_delays(policy: &Policy, count: u32) -> u64 {
    let growing = (0..count.min(GROWTH_STEPS_MAX)).map(|streak| delay_ms(policy, streak));
    let last = delay_ms(policy, GROWTH_STEPS_MAX);
    let others = last.saturating_mul(u64::from(count.saturating_sub(GROWTH_STEPS_MAX)));
    growing.fold(others, u64::saturating_add)
}
