//! Spans of time as people write them: `15m`, `250ms`, `1h30m`, `infinity`.

/// Why a text is no span of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// There is nothing.
    #[error("is empty")]
    Empty,
    /// A number without unit.
    #[error("needs a unit: ms, s, m, h or d")]
    NoUnit,
    /// A unit that does not exist.
    #[error("has the unknown unit `{0}`; the units are ms, s, m, h and d")]
    UnknownUnit(String),
    /// A unit that is not smaller than the one before it.
    #[error("must name its units from the largest to the smallest, each once")]
    Order,
    /// A number with a fraction.
    #[error("has a fraction; write `1h30m` for an hour and a half")]
    Fraction,
    /// Something else.
    #[error("cannot be read")]
    Malformed,
    /// More than fits.
    #[error("is too long")]
    TooLong,
}

/// Units with their length in milliseconds, the largest first.
const UNITS: &[(&str, u64)] =
    &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The milliseconds of a span of time; `None` for `infinity` and `off`, which mean no limit.
///
/// # Errors
/// What is wrong with it, to be said after the quoted text.
pub fn parse_duration(text: &str) -> Result<Option<u64>, DurationError> {
    if matches!(text, "infinity" | "off") {
        return Ok(None);
    }
    if text.trim().is_empty() {
        return Err(DurationError::Empty);
    }
    let (mut rest, mut sum, mut above) = (text.trim(), 0u64, u64::MAX);
    while !rest.is_empty() {
        let (count, after) = split_while(rest, |c| c.is_ascii_digit());
        let (unit, after) = split_while(after.trim_start(), char::is_alphabetic);
        if !count.is_empty() && unit.is_empty() && after.starts_with(['.', ',']) {
            return Err(DurationError::Fraction);
        }
        let length = unit_length(count, unit)?;
        if length >= above {
            return Err(DurationError::Order);
        }
        let count: u64 = count.parse().map_err(|_| DurationError::TooLong)?;
        let part = count.checked_mul(length).ok_or(DurationError::TooLong)?;
        sum = sum.checked_add(part).ok_or(DurationError::TooLong)?;
        (rest, above) = (after.trim_start(), length);
    }
    Ok(Some(sum))
}

fn split_while(text: &str, accepted: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !accepted(c)).unwrap_or(text.len()))
}

fn unit_length(count: &str, unit: &str) -> Result<u64, DurationError> {
    if count.is_empty() {
        return Err(DurationError::Malformed);
    }
    if unit.is_empty() {
        return Err(DurationError::NoUnit);
    }
    let known = UNITS.iter().find(|(name, _)| *name == unit);
    known.map(|(_, length)| *length).ok_or_else(|| DurationError::UnknownUnit(unit.to_owned()))
}

/// Milliseconds as people write them; the opposite of [`parse_duration`].
pub fn show_duration(ms: u64) -> String {
    let mut rest = ms;
    let mut text = String::new();
    for (unit, length) in UNITS {
        if rest >= *length {
            text += &format!("{}{unit}", rest / length);
            rest %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}
