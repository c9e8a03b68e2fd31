//! Reads the policy keys of an agent, and checks that they make sense together.

use crate::document::{Kind, Table, show_duration as told};
use crate::model::{KillMode, signal_name};

use super::agent::{Delay, OnStartLimit, Policy, ResetAfter, Restart};
use super::amount::{
    at_least_one, bytes, finite, limit, out_of_range, percent, positive, set, time_limit,
};
use super::around::Around;
use super::care::read_care;
use super::keys::check_key;
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
pub(super) fn read_policy(table: &mut Table<'_>, around: Around<'_>, policy: &mut Policy) {
    read_restart(table, policy);
    read_limit(table, around, policy);
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
    read_resources(table, policy);
    read_care(table, around, policy);
    refuse(table, unsupported::OF_AGENTS);
    check_delays(table, policy);
    check_limit(table, policy);
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

fn read_limit(table: &mut Table<'_>, around: Around<'_>, policy: &mut Policy) {
    let burst = table.count("start_limit_burst").map(|count| count.value);
    set(&mut policy.start_limit_burst, burst);
    set(&mut policy.start_limit_interval_ms, positive(table, "start_limit_interval"));
    let word = table.word("on_start_limit", OnStartLimit::ALL, OnStartLimit::word);
    if word.as_ref().is_some_and(|word| word.value == OnStartLimit::Failover) {
        around.check_failover(table, "on_start_limit", "`on_start_limit = \"failover\"`");
    }
    set(&mut policy.on_start_limit, word.map(|word| word.value));
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
    if let Some(force) = statuses(table, "restart_force_exit_status") {
        policy.restart_force_codes = force.codes;
        policy.restart_force_signals = force.signals;
    }
    check_statuses(table, policy);
}

/// What is forced and prevented at once is prevented, which the one who wrote both cannot mean.
fn check_statuses(table: &Table<'_>, policy: &Policy) {
    let keys = ["restart_force_exit_status", "restart_prevent_exit_status"];
    let Some(key) = keys.into_iter().find(|key| table.has(key)) else { return };
    let code = policy.restart_force_codes.iter().find(|c| policy.restart_prevent_codes.contains(c));
    let signal =
        policy.restart_force_signals.iter().find(|s| policy.restart_prevent_signals.contains(s));
    let both = code.map(ToString::to_string).or_else(|| signal.map(|s| signal_name(*s)));
    if let Some(both) = both {
        let message = format!("a restart after {both} is both forced and prevented");
        table.findings().error("C06", table.value_span(key), message);
    }
}

fn read_timeouts(table: &mut Table<'_>, policy: &mut Policy) {
    set(&mut policy.start_timeout_ms, time_limit(table, "start_timeout"));
    set(&mut policy.timeout_ms, time_limit(table, "timeout"));
    set(&mut policy.idle_timeout_ms, time_limit(table, "idle_timeout"));
}

fn read_stop(table: &mut Table<'_>, policy: &mut Policy) {
    let keys = table.texts("stop_keys");
    if let Some(value) = table.value("stop_keys").filter(|value| value.kind() == Kind::Array) {
        for item in value.items().unwrap_or_default() {
            // What is no text was found already.
            if item.kind() == Kind::String
                && let Some(key) = item.text()
            {
                check_key(&item, &key.value);
            }
        }
    }
    set(&mut policy.stop.keys, keys.map(|keys| keys.into_iter().map(|key| key.value).collect()));
    set(&mut policy.stop.signal, signal(table, "stop_signal"));
    set(&mut policy.stop.timeout_ms, finite(table, "stop_timeout"));
    set(&mut policy.stop.send_sighup, table.flag("send_sighup").map(|flag| flag.value));
    let mode = table.word("kill_mode", KillMode::ALL, KillMode::word);
    set(&mut policy.stop.mode, mode.map(|word| word.value));
}

fn read_resources(table: &mut Table<'_>, policy: &mut Policy) {
    let resources = &mut policy.resources;
    set(&mut resources.memory_max, limit(table, "memory_max", bytes));
    let tasks = limit(table, "tasks_max", at_least_one);
    set(&mut resources.tasks_max, tasks.map(|tasks| tasks.map(u64::from)));
    set(&mut resources.cpu_quota, limit(table, "cpu_quota", percent));
    let word = |best_effort| if best_effort { "best-effort" } else { "enforce" };
    let best_effort = table.word("limits", &[false, true], word);
    set(&mut resources.best_effort, best_effort.map(|word| word.value));
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
    if burst == 0 {
        return check_hurry(table, key, policy);
    }
    if sum < interval {
        return check_luck(table, key, policy, sum);
    }
    let (sum, interval) = (told(sum), told(interval));
    let message = format!(
        "the start limit cannot be reached: the delays before {burst} restarts take {sum}, \
         `start_limit_interval` is {interval}"
    );
    let problem = table.findings().error("C07", table.value_span(key), message);
    problem.help("make the interval longer, or the delays or the burst smaller");
}

/// Without a limit and a delay, what ends at once is started as often as the machine can.
fn check_hurry(table: &Table<'_>, key: &str, policy: &Policy) {
    if policy.restart_delay_ms > 0 || policy.restart == Restart::No {
        return;
    }
    let message =
        "nothing slows its restarts down: there is no start limit, and `restart_delay` is 0";
    let problem = table.findings().warning("C07", table.value_span(key), message.to_owned());
    problem.help("give `restart_delay` a second, or `start_limit_burst` a number");
}

/// A limit that the delays reach without their jitter, and not with it, is reached by luck.
fn check_luck(table: &Table<'_>, key: &str, policy: &Policy, sum: u64) {
    let most = sum.saturating_add((sum as f64 * policy.restart_jitter) as u64);
    let (burst, interval) = (policy.start_limit_burst, policy.start_limit_interval_ms);
    if most < interval {
        return;
    }
    let (most, interval) = (told(most), told(interval));
    let message = format!(
        "the start limit is reached by luck only: with `restart_jitter` the delays before {burst} \
         restarts take up to {most}, `start_limit_interval` is {interval}"
    );
    let problem = table.findings().warning("C07", table.value_span(key), message);
    problem.help("make the interval longer, or the delays, the burst or the jitter smaller");
}

/// How many restarts the delays leave room for in a window, counted up to `most`.
pub(super) fn restarts_within(policy: &Policy, window_ms: u64, most: u32) -> u32 {
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if sum_of_delays(policy, middle) < window_ms { low = middle } else { high = middle - 1 }
    }
    low
}

/// The sum of the first delays. After [`GROWTH_STEPS_MAX`] steps every function has reached what
/// fits in 64 bits, so that the others are all the same.
fn sum_of_delays(policy: &Policy, count: u32) -> u64 {
    let growing = (0..count.min(GROWTH_STEPS_MAX)).map(|streak| delay_ms(policy, streak));
    let last = delay_ms(policy, GROWTH_STEPS_MAX);
    let others = last.saturating_mul(u64::from(count.saturating_sub(GROWTH_STEPS_MAX)));
    growing.fold(others, u64::saturating_add)
}
