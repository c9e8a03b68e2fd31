//! Reads when a usage limit is over from what an agent printed about it.
//!
//! Agents say it in seconds to wait, in seconds since 1970, as a date, or as the time of day of a
//! clock on somebody's wall. What is not understood is `None`, never a guess: the caller then
//! waits a while and asks again. Nor is a time believed that no usage limit can end at.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::fmt::rfc2822;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp, ToSpan as _};

use crate::model::WallTime;

/// A time of day may lie so far back and still mean today: clocks are shown without seconds, and a
/// text may be read a little late.
const GRACE_MS: i64 = 600_000;
/// What lies further ahead is no usage limit, but a number that means something else.
const AHEAD_MS_MAX: i64 = 60 * 86_400_000;
/// Numbers from here on are seconds since 1970; smaller ones are seconds from now.
const EPOCH_S_MIN: f64 = 1e9;
/// Numbers from here on are milliseconds since 1970.
const EPOCH_MS_MIN: f64 = 1e12;
/// A date without year that lies further back than this is one of next year.
const YEAR_BACK_MS: i64 = 180 * 86_400_000;

/// The moment in milliseconds since 1970 that `text` speaks of, said at `said`.
///
/// Times of day without a zone are in the zone of `said`. The answer may lie in the past, or
/// absurdly far ahead: [`left_ms`] judges that.
pub(super) fn reset_time(text: &str, said: WallTime) -> Option<i64> {
    let text = text.trim().trim_matches(['"', '\'', '`', '.']).trim();
    number(text, said)
        .or_else(|| date(text, said))
        .or_else(|| span(text, said))
        .or_else(|| clock(text, said))
}

/// How many milliseconds are left until a moment that [`reset_time`] found, or why it is not
/// believed to be the end of a usage limit.
pub(super) fn left_ms(reset_ms: i64, now: WallTime) -> Result<u64, String> {
    let left = reset_ms.saturating_sub(now.ms);
    let doubt = match left {
        ..=0 => "has passed".to_owned(),
        left if left > AHEAD_MS_MAX => {
            format!("is more than {} days away", AHEAD_MS_MAX / 86_400_000)
        }
        left => return Ok(left.unsigned_abs()),
    };
    let at = Timestamp::from_millisecond(reset_ms).map_or_else(
        |_| "a time beyond all calendars".to_owned(),
        |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    );
    Err(format!("which says that it is over at {at}, which is not believed, as that {doubt}"))
}

fn number(text: &str, said: WallTime) -> Option<i64> {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let value: f64 = text.parse().ok().filter(|_| plain)?;
    match value {
        value if value >= EPOCH_MS_MIN => whole(value),
        value if value >= EPOCH_S_MIN => whole(value * 1_000.0),
        value => said.ms.checked_add(whole(value * 1_000.0)?),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it was just seen to fit")]
fn whole(value: f64) -> Option<i64> {
    (value.is_finite() && (0.0..9e15).contains(&value)).then_some(value.round() as i64)
}

/// `2026-11-21T15:00:00Z`, `2026-11-21 15:00`, `Sat, 21 Nov 2026 15:00:00 GMT`.
fn date(text: &str, said: WallTime) -> Option<i64> {
    if let Ok(stamp) = text.parse::<Timestamp>() {
        return Some(stamp.as_millisecond());
    }
    if let Ok(zoned) = rfc2822::parse(text) {
        return Some(zoned.timestamp().as_millisecond());
    }
    let local = text.parse::<DateTime>().ok();
    let local = local.or_else(|| Some(text.parse::<Date>().ok()?.to_datetime(Time::midnight())));
    in_zone(local?, &zone_of(said)?)
}

fn zone_of(said: WallTime) -> Option<TimeZone> {
    Offset::from_seconds(said.offset_s).ok().map(TimeZone::fixed)
}

fn in_zone(local: DateTime, zone: &TimeZone) -> Option<i64> {
    zone.to_timestamp(local).ok().map(Timestamp::as_millisecond)
}

/// `12 minutes`, `in 1h23m45s`, `2 days 3 hours`.
fn span(text: &str, said: WallTime) -> Option<i64> {
    let lower = text.to_lowercase();
    let from = lower.find(|c: char| c.is_ascii_digit())?;
    let mut rest = &lower[from..];
    let mut total: Option<i64> = None;
    while rest.starts_with(|c: char| c.is_ascii_digit()) {
        let (digits, behind) = cut(rest, |c| c.is_ascii_digit() || c == '.');
        let behind = behind.trim_start_matches([' ', '-']);
        let (word, behind) = cut(behind, |c| c.is_ascii_alphabetic());
        let Some(unit_ms) = unit_ms(word) else { break };
        let value: f64 = digits.trim_end_matches('.').parse().ok()?;
        total = Some(total.unwrap_or(0).checked_add(whole(value * unit_ms)?)?);
        rest = behind.trim_start_matches([' ', ',', '.']);
        rest = rest.strip_prefix("and ").unwrap_or(rest);
    }
    said.ms.checked_add(total?)
}

fn cut(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

fn unit_ms(word: &str) -> Option<f64> {
    Some(match word {
        "ms" | "msec" | "millisecond" | "milliseconds" => 1.0,
        "s" | "sec" | "secs" | "second" | "seconds" => 1e3,
        "m" | "min" | "mins" | "minute" | "minutes" => 6e4,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3.6e6,
        "d" | "day" | "days" => 8.64e7,
        "w" | "week" | "weeks" => 6.048e8,
        _ => return None,
    })
}

/// What the words of a clock's time say.
#[derive(Default)]
struct Said {
    time: Option<Time>,
    month: Option<i8>,
    day: Option<i8>,
    year: Option<i16>,
    weekday: Option<Weekday>,
    tomorrow: bool,
    zone: Option<TimeZone>,
}

/// `9:44am (UTC)`, `3pm`, `15:30`, `Nov 25, 2026 9:45 AM`, `Mon 12:00 AM`, `tomorrow at 9am`.
fn clock(text: &str, said: WallTime) -> Option<i64> {
    let words = read_words(text)?;
    let zone = words.zone.or_else(|| zone_of(said))?;
    let now = Timestamp::from_millisecond(said.ms).ok()?;
    let today = zone.to_datetime(now).date();
    let late = |ms: i64| ms < said.ms.saturating_sub(GRACE_MS);
    let at = |date: Date, time: Time| in_zone(date.to_datetime(time), &zone);
    if let (Some(month), Some(day)) = (words.month, words.day) {
        let time = words.time.unwrap_or(Time::midnight());
        let year = words.year.unwrap_or(today.year());
        let found = at(Date::new(year, month, day).ok()?, time)?;
        if words.year.is_none() && found < said.ms.saturating_sub(YEAR_BACK_MS) {
            return at(Date::new(year + 1, month, day).ok()?, time);
        }
        return Some(found);
    }
    let time = words.time?;
    let (first, again): (Date, Span) = match (words.weekday, words.tomorrow) {
        (Some(weekday), _) if today.weekday() == weekday => (today, 7.days()),
        (Some(weekday), _) => (today.nth_weekday(1, weekday).ok()?, 7.days()),
        (None, true) => return at(today.tomorrow().ok()?, time),
        (None, false) => (today, 1.day()),
    };
    let found = at(first, time)?;
    if late(found) { at(first.checked_add(again).ok()?, time) } else { Some(found) }
}

fn read_words(text: &str) -> Option<Said> {
    let lower = text.to_lowercase().replace("a.m", "am").replace("p.m", "pm");
    let split = |c: char| c.is_whitespace() || matches!(c, ',' | '(' | ')' | ';' | '·' | '"');
    let words: Vec<&str> =
        lower.split(split).map(|w| w.trim_matches('.')).filter(|w| !w.is_empty()).collect();
    let mut said = Said::default();
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).copied().unwrap_or_default();
        if said.time.is_none()
            && let Some(time) = time_of_day(word, next)
        {
            said.time = Some(time);
        } else if let Some(month) = place(MONTHS, word) {
            said.month = said.month.or(Some(month + 1));
        } else if let Some(day) = place(WEEKDAYS, word) {
            said.weekday = Weekday::from_monday_zero_offset(day).ok();
        } else if *word == "tomorrow" {
            said.tomorrow = true;
        } else if let Some(zone) = zone(word) {
            said.zone = Some(zone);
        } else if let Ok(number) = ordinal(word).parse::<i16>() {
            match number {
                1..=31 if said.day.is_none() => said.day = i8::try_from(number).ok(),
                2000..=2999 => said.year = Some(number),
                _ => {}
            }
        }
    }
    Some(said)
}

const MONTHS: &[&str] =
    &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: &[&str] = &["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The place of the name that `word` begins with, as `nov` and `november` do.
fn place(names: &[&str], word: &str) -> Option<i8> {
    let short: String = word.chars().take(3).collect();
    let letters = word.chars().all(|c| c.is_ascii_alphabetic());
    let at = names.iter().position(|name| *name == short && letters)?;
    i8::try_from(at).ok()
}

fn ordinal(word: &str) -> &str {
    let bare = ["st", "nd", "rd", "th"].iter().find_map(|end| word.strip_suffix(end));
    bare.unwrap_or(word)
}

/// A time needs a colon or `am`/`pm`: a bare number is a day or nothing.
fn time_of_day(word: &str, next: &str) -> Option<Time> {
    let half = |word: &str| match word {
        "am" => Some(0),
        "pm" => Some(12),
        _ => None,
    };
    let (digits, end) = cut(word, |c| c.is_ascii_digit() || c == ':');
    let half = match end {
        "" => half(next),
        end => Some(half(end)?),
    };
    if half.is_none() && !digits.contains(':') {
        return None;
    }
    let mut parts = digits.split(':').map(|part| part.parse::<i8>().ok());
    let hour = parts.next()??;
    let minute = parts.next().unwrap_or(Some(0))?;
    let second = parts.next().unwrap_or(Some(0))?;
    let hour = match half {
        Some(half) if (1..=12).contains(&hour) => hour % 12 + half,
        Some(_) => return None,
        None => hour,
    };
    Time::new(hour, minute, second, 0).ok().filter(|_| parts.next().is_none())
}

/// A zone as agents write it: an abbreviation, hours, or a place (`america/new_york`), whose rules
/// are compiled in, so that the answer is the same on every machine.
fn zone(word: &str) -> Option<TimeZone> {
    let place = || TimeZoneDatabase::bundled().get(word).ok().filter(|_| word.contains('/'));
    fixed_zone(word).map(TimeZone::fixed).or_else(place)
}

fn fixed_zone(word: &str) -> Option<Offset> {
    let hours = match word {
        "utc" | "gmt" | "z" => 0,
        "est" | "cdt" => -5,
        "edt" => -4,
        "cst" | "mdt" => -6,
        "mst" | "pdt" => -7,
        "pst" => -8,
        "bst" | "cet" => 1,
        "cest" => 2,
        other => return numeric_zone(other),
    };
    Offset::from_hours(hours).ok()
}

/// `+02:00`, `-0500`, `utc+2`.
fn numeric_zone(word: &str) -> Option<Offset> {
    let bare = word.strip_prefix("utc").or_else(|| word.strip_prefix("gmt")).unwrap_or(word);
    let sign = match bare.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let digits: String = bare[1..].chars().filter(|c| *c != ':').collect();
    let value: i32 = digits.parse().ok()?;
    let minutes = if digits.len() > 2 { value / 100 * 60 + value % 100 } else { value * 60 };
    Offset::from_seconds(sign * minutes * 60).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    /// Saturday, 07:30 in UTC and 09:30 on the wall of this machine.
    fn said() -> WallTime {
        WallTime { ms: ms("2026-11-21T07:30:00Z"), offset_s: 7_200 }
    }

    /// What agents were seen to print, and what people write.
    #[test]
    fn wordings_that_were_seen_are_understood() {
        let table = [
            ("9:44am (UTC)", "2026-11-21T09:44:00Z"),
            ("9:30am (UTC)", "2026-11-21T09:30:00Z"),
            ("7:25am (UTC)", "2026-11-21T07:25:00Z"),
            ("7:01am (UTC)", "2026-11-22T07:01:00Z"),
            ("9:44am", "2026-11-21T07:44:00Z"),
            ("3pm", "2026-11-21T13:00:00Z"),
            ("3 p.m.", "2026-11-21T13:00:00Z"),
            ("3pm (Europe/Berlin)", "2026-11-21T14:00:00Z"),
            ("1am (America/New_York)", "2026-11-22T06:00:00Z"),
            ("Jul 1, 3pm (America/New_York)", "2026-07-01T19:00:00Z"),
            ("3pm (Middle-earth/Shire)", "2026-11-21T13:00:00Z"),
            ("12am", "2026-11-21T22:00:00Z"),
            ("12:05 pm", "2026-11-21T10:05:00Z"),
            ("15:30", "2026-11-21T13:30:00Z"),
            ("9:45 AM.", "2026-11-21T07:45:00Z"),
            ("9am", "2026-11-22T07:00:00Z"),
            ("10am PST", "2026-11-21T18:00:00Z"),
            ("10:00 +05:30", "2026-11-22T04:30:00Z"),
            ("tomorrow at 9am", "2026-11-22T07:00:00Z"),
            ("Mon 12:00 AM", "2026-11-22T22:00:00Z"),
            ("Saturday 6am", "2026-11-28T04:00:00Z"),
            ("Nov 25, 9am (UTC)", "2026-11-25T09:00:00Z"),
            ("Nov 25th, 2026 9:45 AM", "2026-11-25T07:45:00Z"),
            ("Jan 2 at 3pm (UTC)", "2027-01-02T15:00:00Z"),
            ("Dec 1", "2026-11-30T22:00:00Z"),
            ("1795249800", "2026-11-21T08:30:00Z"),
            ("1795249800123", "2026-11-21T08:30:00.123Z"),
            ("3600", "2026-11-21T08:30:00Z"),
            ("0.5", "2026-11-21T07:30:00.5Z"),
            ("12 minutes", "2026-11-21T07:42:00Z"),
            ("in 12 minutes.", "2026-11-21T07:42:00Z"),
            ("in about 2 hours and 5 min", "2026-11-21T09:35:00Z"),
            ("1h23m45s", "2026-11-21T08:53:45Z"),
            ("2 days 3 hours 5 minutes or upgrade", "2026-11-23T10:35:00Z"),
            ("8s", "2026-11-21T07:30:08Z"),
            ("2026-11-21T15:00:00Z", "2026-11-21T15:00:00Z"),
            ("2026-11-21T15:00:00+01:00", "2026-11-21T14:00:00Z"),
            ("2026-11-21 15:00", "2026-11-21T13:00:00Z"),
            ("2026-11-22", "2026-11-21T22:00:00Z"),
            ("Sat, 21 Nov 2026 15:00:00 GMT", "2026-11-21T15:00:00Z"),
        ];
        for (text, expected) in table {
            let found = reset_time(text, said());
            let shown = found.map(|ms| Timestamp::from_millisecond(ms).unwrap().to_string());
            assert_eq!(found, Some(ms(expected)), "{text}: {shown:?}");
        }
    }

    #[test]
    fn what_says_no_time_is_not_guessed() {
        let table = [
            "",
            "soon",
            "later today",
            "25:00",
            "13pm",
            "9:99am",
            "the 25",
            "Feb 30 at 3pm",
            "-5",
            "1e9",
            "99999999999999999999",
        ];
        for text in table {
            assert_eq!(reset_time(text, said()), None, "{text}");
        }
    }

    /// What is said and cannot be meant is told with what is wrong about it.
    #[test]
    fn a_time_that_no_limit_ends_at_is_not_believed() {
        let table = [
            ("2020-01-01T00:00:00Z", "over at 2020-01-01 00:00 UTC", "that has passed"),
            ("0", "over at 2026-11-21 07:30 UTC", "that has passed"),
            ("1999999999", "over at 2033-05-18 03:33 UTC", "is more than 60 days away"),
            ("2031-01-01", "over at 2030-12-31 22:00 UTC", "is more than 60 days away"),
            ("100 days", "over at 2027-03-01 07:30 UTC", "is more than 60 days away"),
            ("8000000000000000", "over at a time beyond all calendars", "60 days away"),
        ];
        for (text, at, doubt) in table {
            let told = left_ms(reset_time(text, said()).unwrap(), said()).unwrap_err();
            assert!(told.contains(at) && told.ends_with(doubt), "{text}: {told}");
        }
        assert_eq!(left_ms(reset_time("59 days", said()).unwrap(), said()), Ok(59 * 86_400_000));
    }

    proptest! {
        /// Whatever an agent prints, nothing panics and nothing absurdly far ahead is believed.
        #[test]
        fn any_text_is_survived(text in ".{0,60}", ms in 0_i64..4_000_000_000_000, offset_s in -86_399..86_400) {
            let said = WallTime { ms, offset_s };
            if let Some(found) = reset_time(&text, said) {
                let left = left_ms(found, said);
                prop_assert!(left.is_err() || found > ms && found <= ms + AHEAD_MS_MAX);
            }
        }

        /// A time of day is the next one there is, or was just now.
        #[test]
        fn a_time_of_day_lies_within_a_day(hour in 0_i64..24, minute in 0_i64..60, ms in 0_i64..4_000_000_000_000, offset_h in -12..13) {
            let said = WallTime { ms, offset_s: offset_h * 3_600 };
            let found = reset_time(&format!("{hour:02}:{minute:02}"), said).unwrap();
            prop_assert!(found >= ms - GRACE_MS && found <= ms + 86_400_000, "{}", found - ms);
            let local = (found + i64::from(said.offset_s) * 1_000).rem_euclid(86_400_000);
            prop_assert_eq!(local, (hour * 60 + minute) * 60_000);
        }

        /// Spans are spans, however they are written.
        #[test]
        fn a_span_is_added(hours in 0_i64..48, minutes in 0_i64..60, ms in 0_i64..4_000_000_000_000) {
            let said = WallTime { ms, offset_s: 0 };
            let expected = Some(ms + (hours * 60 + minutes) * 60_000);
            for text in [format!("in {hours} hours {minutes} minutes"), format!("{hours}h{minutes}m")] {
                prop_assert_eq!(reset_time(&text, said), expected);
            }
        }
    }
}
