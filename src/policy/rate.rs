//! How often something may start, `"30/min"`.

use serde::{Deserialize, Serialize};

use crate::document::{Table, parse_duration};

/// Words for spans that are written without a number.
const UNITS: &[(&str, u64)] = &[
    ("s", 1_000),
    ("sec", 1_000),
    ("second", 1_000),
    ("m", 60_000),
    ("min", 60_000),
    ("minute", 60_000),
    ("h", 3_600_000),
    ("hour", 3_600_000),
    ("d", 86_400_000),
    ("day", 86_400_000),
];

/// So many in a span of time, `"30/min"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how long, in milliseconds.
    pub per_ms: u64,
}

impl Rate {
    /// Reads `"30/min"`, `"5/s"`, `"100/h"` or `"3/10s"`.
    ///
    /// # Errors
    /// Why it is none, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (count, span) = text.split_once('/').ok_or("is not of the form \"30/min\"")?;
        let count: u32 = count.trim().parse().map_err(|_| "does not begin with a whole number")?;
        let span = span.trim();
        let word = UNITS.iter().find(|(word, _)| *word == span).map(|(_, ms)| *ms);
        let written = || parse_duration(span).ok().flatten();
        let per_ms = word.or_else(written).ok_or("has no span of time that is known")?;
        if count == 0 || per_ms == 0 {
            return Err("is nothing, and nothing would ever start");
        }
        Ok(Self { count, per_ms })
    }
}

/// The rate at a key of a table.
pub(super) fn read_rate(table: &mut Table<'_>, key: &str) -> Option<Rate> {
    let text = table.text(key)?;
    match Rate::parse(&text.value) {
        Ok(rate) => Some(rate),
        Err(why) => {
            let message = format!("`{key}`: `{}` {why}", text.value);
            let problem = table.findings().error("C08", text.span, message);
            problem.help("write it like \"30/min\", \"5/s\" or \"100/h\"");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Research 5.5: rates are so many in a span of time.
    #[test]
    fn rates_are_counts_in_a_span() {
        let table = [("30/min", 30, 60_000), ("5/s", 5, 1_000), ("100 / h", 100, 3_600_000)];
        for (text, count, per_ms) in table {
            assert_eq!(Rate::parse(text), Ok(Rate { count, per_ms }), "{text}");
        }
        assert_eq!(Rate::parse("3/10s"), Ok(Rate { count: 3, per_ms: 10_000 }));
        for text in ["", "30", "/min", "0/min", "1.5/min", "30/fortnight", "-1/s", "3/0s"] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }
}
