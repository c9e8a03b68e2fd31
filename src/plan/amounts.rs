//! Reads amounts: budgets, pools and rates, what is taken of them, and how many must succeed.

use std::collections::BTreeMap;

use super::{Budget, MinSuccess, OnExceed, Partition, Pool, Rate};
use crate::document::{Kind, Spanned, Table, Value, parse_duration};

/// What is taken of pools, by name.
pub(crate) type Uses = Vec<(Spanned<String>, u32)>;

/// A hundred years, for what has no limit and needs a number.
const FOREVER_MS: u64 = 100 * 366 * 86_400_000;

/// `budget = { cost_usd = 12.0, tokens = 3_000_000, on_exceed = "pause" }`.
pub(crate) fn budget(table: &mut Table<'_>) -> Option<Spanned<Budget>> {
    let place = table.key_span("budget");
    let mut inner = table.table("budget")?;
    let findings = inner.findings();
    let cost = inner.number("cost_usd");
    if let Some(cost) = cost.as_ref().filter(|cost| cost.value <= 0.0) {
        findings.error("E01", cost.span, "`cost_usd` must be more than nothing");
    }
    let tokens = inner.integer("tokens");
    if let Some(tokens) = tokens.as_ref().filter(|tokens| tokens.value <= 0) {
        findings.error("E01", tokens.span, "`tokens` must be more than nothing");
    }
    let all = [OnExceed::Pause, OnExceed::Stop, OnExceed::Warn];
    let on_exceed = inner.word("on_exceed", &all, on_exceed_word);
    if !inner.has("cost_usd") && !inner.has("tokens") {
        findings
            .error("E01", place, "a budget without an amount limits nothing")
            .help("add `cost_usd` or `tokens`");
    }
    inner.finish();
    let budget = Budget {
        cost_usd: cost.map(|cost| cost.value),
        tokens: tokens.and_then(|tokens| u64::try_from(tokens.value).ok()),
        on_exceed: on_exceed.map(|word| word.value).unwrap_or_default(),
    };
    Some(Spanned::new(budget, place))
}

const fn on_exceed_word(word: OnExceed) -> &'static str {
    match word {
        OnExceed::Pause => "pause",
        OnExceed::Stop => "stop",
        OnExceed::Warn => "warn",
    }
}

/// `[limits]`.
pub(crate) fn limits(root: &mut Table<'_>) -> BTreeMap<String, Pool> {
    let entries = root.table("limits").map(|mut table| table.entries()).unwrap_or_default();
    entries.into_iter().filter_map(|(name, value)| Some((name.value, pool(&value)?))).collect()
}

fn pool(value: &Value<'_>) -> Option<Pool> {
    let mut table = value.table()?;
    let slots = table.count("slots");
    if let Some(slots) = slots.as_ref().filter(|slots| slots.value == 0) {
        table.findings().error("E01", slots.span, "a pool without slots lets nothing run");
    }
    let rate = table.text("rate").and_then(|text| {
        let read = rate(&text.value);
        if read.is_none() {
            let message = format!("`rate`: `{}` is no rate", text.value);
            table
                .findings()
                .error("E01", text.span, message)
                .help("write it like \"30/min\", \"2/s\" or \"5/10s\"");
        }
        read
    });
    if !table.has("slots") && !table.has("rate") {
        value
            .error(format!("the pool `{}` limits nothing", value.label()))
            .help("add `slots = 2` or `rate = \"30/min\"`");
    }
    table.finish();
    Some(Pool { slots: slots.map(|slots| slots.value), rate })
}

/// `30/min`, `2/s`, `5/10s`.
fn rate(text: &str) -> Option<Rate> {
    let (count, per) = text.split_once('/')?;
    let count: u32 = count.trim().parse().ok().filter(|count| *count > 0)?;
    let per_ms = match per.trim() {
        "s" | "sec" | "second" => 1_000,
        "m" | "min" | "minute" => 60_000,
        "h" | "hour" => 3_600_000,
        "d" | "day" => 86_400_000,
        span => parse_duration(span).ok().flatten().filter(|ms| *ms > 0)?,
    };
    Some(Rate { count, per_ms })
}

/// `uses = { crm = 1 }`.
pub(crate) fn uses(table: &mut Table<'_>) -> Option<Uses> {
    let entries = table.table("uses")?.entries();
    let read = entries.into_iter().filter_map(|(name, value)| {
        let count = value.count()?;
        if count.value == 0 {
            value.error(format!("`{}` takes nothing", value.label())).help("leave it out");
        }
        Some((name, count.value))
    });
    Some(read.collect())
}

/// `min_success = 2`, or a share such as `0.8`.
pub(crate) fn min_success(table: &mut Table<'_>) -> Option<Spanned<MinSuccess>> {
    let value = table.value("min_success")?;
    match value.kind() {
        Kind::Integer => value.count().map(|count| count.map(MinSuccess::Count)),
        Kind::Float => {
            let share = value.number()?;
            if !(0.0..=1.0).contains(&share.value) {
                value
                    .error(format!("a share is between 0 and 1, not {}", share.value))
                    .help("write a whole number for how many");
                return None;
            }
            Some(share.map(MinSuccess::Share))
        }
        Kind::String | Kind::Boolean | Kind::Date | Kind::Array | Kind::Table => {
            value.wrong_kind("how many, or a share such as 0.8");
            None
        }
    }
}

/// `partition = { parts = 5 }` or `{ size = 10 }`.
pub(crate) fn partition(table: &mut Table<'_>) -> Option<Partition> {
    let place = table.key_span("partition");
    let mut inner = table.table("partition")?;
    let findings = inner.findings();
    let (parts, size) = (inner.count("parts"), inner.count("size"));
    for count in parts.iter().chain(&size).filter(|count| count.value == 0) {
        findings.error("E01", count.span, "a partition of nothing has no parts");
    }
    let both = inner.has("parts") == inner.has("size");
    inner.finish();
    if both {
        findings
            .error("E01", place, "a partition says either how many parts or how large they are")
            .help("write `{ parts = 5 }` or `{ size = 10 }`");
        return None;
    }
    parts.map(|n| Partition::Parts(n.value)).or(size.map(|n| Partition::Size(n.value)))
}

/// A span of time without end for `infinity`; `off` and `false` are none.
pub(crate) fn cache(table: &mut Table<'_>) -> Option<Option<u64>> {
    let value = table.value("cache")?;
    if value.kind() == Kind::Boolean {
        let on = value.flag()?.value;
        if on {
            value
                .error("`cache` says for how long a result is good")
                .help("write a span of time such as \"7d\"");
        }
        return Some(None);
    }
    if value.is_text("off") {
        return Some(None);
    }
    let span = value.duration()?.value;
    if span == Some(0) {
        value.error("`cache` must be longer than nothing").help("write \"off\" for no cache");
    }
    Some(Some(span.unwrap_or(FOREVER_MS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_counts_in_a_span() {
        for (text, expected) in [
            ("30/min", Some((30, 60_000))),
            ("2/s", Some((2, 1_000))),
            ("5 / 10s", Some((5, 10_000))),
            ("1/day", Some((1, 86_400_000))),
            ("0/s", None),
            ("30", None),
            ("x/min", None),
            ("3/fortnight", None),
            ("3/infinity", None),
            ("3/0s", None),
        ] {
            let read = rate(text).map(|rate| (rate.count, rate.per_ms));
            assert_eq!(read, expected, "{text}");
        }
    }
}
