//! Reads amounts: spans of time, bytes, shares of a processor, rows, and limits that may be
//! `"infinity"`.

use crate::document::{Kind, Span, Table, Value};

/// How many rows of the screen are looked at when nothing is said: a footer fits, old text does
/// not.
const ROWS: u16 = 8;
/// More rows than any screen has that we open.
const ROWS_MAX: u32 = 500;

/// Units of memory, the longest first.
const UNITS: &[(&str, u64)] = &[
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// A limit: `None` when it is not there, the inner `None` for `"infinity"` and `"off"`.
pub(super) fn limit<'a, T>(
    table: &mut Table<'a>,
    key: &str,
    read: impl Fn(&Value<'a>) -> Option<T>,
) -> Option<Option<T>> {
    let value = table.value(key)?;
    if value.is_text("infinity") || value.is_text("off") {
        return Some(None);
    }
    read(&value).map(Some)
}

/// A number of bytes, as `"512MiB"`; at least one.
pub(super) fn bytes(value: &Value<'_>) -> Option<u64> {
    const HELP: &str = "write it like \"512MiB\" or \"2GiB\"";
    if let Kind::Integer | Kind::Float = value.kind() {
        value.wrong_kind("a size such as \"512MiB\"").help(HELP);
        return None;
    }
    let text = value.text()?.value;
    let complaint = match parse_bytes(&text) {
        Ok(0) => "is nothing",
        Ok(bytes) => return Some(bytes),
        Err(complaint) => complaint,
    };
    let message = format!("`{}`: the size `{text}` {complaint}", value.label());
    value.findings().error("C08", value.span(), message).help(HELP);
    None
}

fn parse_bytes(text: &str) -> Result<u64, &'static str> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = (&text[..digits], text[digits..].trim_start());
    if count.is_empty() {
        return Err("does not begin with a number");
    }
    if unit.starts_with(['.', ',']) {
        return Err("has a fraction");
    }
    if unit.is_empty() {
        return Err("needs a unit: B, KiB, MiB, GiB or TiB");
    }
    let (_, length) = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or("has an unknown unit; the units are B, KiB, MiB, GiB and TiB")?;
    let count: u64 = count.parse().map_err(|_| "is too large")?;
    count.checked_mul(*length).ok_or("is too large")
}

/// A share of one core, in percent: a number, or `"150%"`. Above zero.
pub(super) fn percent(value: &Value<'_>) -> Option<f64> {
    let share = match value.kind() {
        Kind::String => {
            let text = value.text()?.value;
            let number = text.trim().strip_suffix('%').and_then(|share| share.trim().parse().ok());
            let Some(share) = number else {
                let message = format!("`{}`: `{text}` is no percentage", value.label());
                let problem = value.findings().error("C08", value.span(), message);
                problem.help("write it like \"150%\", which is one core and a half");
                return None;
            };
            share
        }
        Kind::Integer | Kind::Float | Kind::Boolean | Kind::Date | Kind::Array | Kind::Table => {
            value.number()?.value
        }
    };
    if !share.is_finite() || share <= 0.0 {
        let message = format!("`{}` is more than 0 percent", value.label());
        value.findings().error("C08", value.span(), message);
        return None;
    }
    Some(share)
}

/// A whole number that is at least one.
pub(super) fn at_least_one(value: &Value<'_>) -> Option<u32> {
    let count = value.count()?.value;
    if count == 0 {
        let message = format!("`{}` is at least 1", value.label());
        value.findings().error("C08", value.span(), message);
        return None;
    }
    Some(count)
}

/// Reports a value that is out of range.
pub(super) fn out_of_range(table: &Table<'_>, span: Span, message: &str) {
    table.findings().error("C08", span, message);
}

/// Takes over a value that was read.
pub(super) fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
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
pub(super) fn span_of_time(table: &mut Table<'_>, key: &str) -> Option<u64> {
    let at = table.duration(key)?;
    let ms = at.value.filter(|ms| *ms > 0);
    if ms.is_none() {
        let message = format!("`{key}` needs a span of time that ends and is not zero");
        out_of_range(table, at.span, &message);
    }
    ms
}

/// The same for the window of a start limit.
pub(super) fn positive(table: &mut Table<'_>, key: &str) -> Option<u64> {
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
pub(super) fn time_limit(table: &mut Table<'_>, key: &str) -> Option<Option<u64>> {
    let limit = table.duration(key)?;
    if limit.value == Some(0) {
        let message = format!("`{key}` of nothing leaves no time at all");
        table.findings().error("C08", limit.span, message).help("write \"off\" for no limit");
        return None;
    }
    Some(limit.value)
}

/// A number of rows from the bottom of the screen.
pub(super) fn read_rows(table: &mut Table<'_>) -> u16 {
    let Some(count) = table.count("rows") else { return ROWS };
    match u16::try_from(count.value).ok().filter(|_| (1..=ROWS_MAX).contains(&count.value)) {
        Some(rows) => rows,
        None => {
            out_of_range(table, count.span, &format!("`rows` lies between 1 and {ROWS_MAX}"));
            ROWS
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in
            [("1B", 1), ("512MiB", 512 << 20), (" 2 GiB ", 2 << 30), ("10MB", 10_000_000)]
        {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "GiB", "12", "1.5GiB", "1G", "99999999999TiB", "-1B"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
