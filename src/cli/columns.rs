//! Text in columns, and times as people read them.

use console::{Term, measure_text_width, truncate_str};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Lines whose cells stand below each other; the first is the head. On a terminal a line that is
/// too long ends in `…`, because a table that wraps cannot be read.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    fit(rows, width())
}

/// Cells in a line, when standard output is a terminal.
pub(crate) fn width() -> Option<usize> {
    Term::stdout().size_checked().map(|(_, width)| usize::from(width))
}

/// A line that is too long for the terminal ends in `…`.
pub(crate) fn clip(line: &str) -> String {
    match width() {
        Some(most) => truncate_str(line, most, "…").into_owned(),
        None => line.to_owned(),
    }
}

fn fit(rows: &[Vec<String>], most: Option<usize>) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| measure_text_width(cell)).max()
    };
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            line.push_str(cell);
            let gap = width(column).unwrap_or(0) + 2 - measure_text_width(cell);
            line.push_str(&" ".repeat(gap));
        }
        match most {
            Some(most) => truncate_str(line.trim_end(), most, "…").into_owned(),
            None => line.trim_end().to_owned(),
        }
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A head line of columns.
pub(crate) fn head(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_uppercase()).collect()
}

/// A cell that may be empty.
pub(crate) fn cell<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(|| "-".to_owned(), T::to_string)
}

/// A span of time: `0.4s`, `12s`, `3m 4s`, `2h 5m`, `3d 4h`.
pub(crate) fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..10 => format!("{}.{}s", seconds, ms % 1000 / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A moment of the wall clock, in local time.
pub(crate) fn stamp(wall_ms: i64) -> String {
    let local = Timestamp::from_millisecond(wall_ms).map(|at| at.to_zoned(TimeZone::system()));
    local.map_or_else(|_| "?".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_below_each_other() {
        let rows = [head(&["name", "state"]), vec!["ä".into(), "running".into()]];
        assert_eq!(fit(&rows, None), "NAME  STATE\nä     running");
        let wide = [head(&["name", "state"]), vec!["日本".into(), "running".into()]];
        assert_eq!(fit(&wide, Some(10)), "NAME  STA…\n日本  run…");
    }

    #[test]
    fn spans_have_the_precision_that_fits() {
        let shown = [450, 9_990, 12_400, 184_000, 7_500_000, 273_600_000].map(span);
        assert_eq!(shown, ["0.4s", "9.9s", "12s", "3m 4s", "2h 5m", "3d 4h"]);
    }
}
