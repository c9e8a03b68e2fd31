//! What a rule sees of a screen: its last rows, because what stands above them is history.

use regex::{Regex, RegexBuilder};

/// The longest quotation from a screen, in characters.
const QUOTE_CHARS_MAX: usize = 120;

/// A regular expression on the rows of a screen; `^` and `$` are the borders of a row.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// `None` for a text that is no expression: it was checked when it was read, so only another
    /// version of this program can have let it through.
    regex: Option<Regex>,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Self { regex: RegexBuilder::new(text).multi_line(true).build().ok() }
    }

    /// The text that matches; `Err` when there is no expression to match with.
    ///
    /// A screen is told without the blanks at the end of its rows, which a pattern for a prompt
    /// may well ask for, so a row is also tried with one.
    pub(super) fn find(&self, rows: &str) -> Result<Option<String>, String> {
        let regex = self.regex.as_ref().ok_or("its pattern is no regular expression")?;
        let quoted = |found: regex::Match<'_>| quote(found.as_str());
        if let Some(found) = regex.find(rows) {
            return Ok(Some(quoted(found)));
        }
        let padded: String = rows.lines().map(|row| format!("{row} \n")).collect();
        Ok(regex.find(&padded).map(quoted))
    }

    /// The rows without what matches.
    pub(super) fn without(&self, rows: &str) -> String {
        match &self.regex {
            Some(regex) => regex.replace_all(rows, "").into_owned(),
            None => rows.to_owned(),
        }
    }
}

/// The last rows of a screen; blank ones below the last text do not count.
pub(super) fn bottom(screen: &str, rows: u16) -> String {
    let lines: Vec<&str> = screen.trim_end().lines().collect();
    let from = lines.len().saturating_sub(usize::from(rows));
    lines[from..].join("\n")
}

/// The first line of a text from a screen, as it may be shown.
fn quote(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let clean = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(QUOTE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bottom_is_counted_from_the_last_text() {
        assert_eq!(bottom("a\nb\nc\n\n  \n", 2), "b\nc");
        assert_eq!(bottom("a", 5), "a");
        assert_eq!(bottom("\n\n", 5), "");
        assert_eq!(bottom("a\n\nb", 2), "\nb");
    }

    #[test]
    fn a_prompt_may_end_in_a_blank_that_the_screen_does_not_tell() {
        let prompt = Pattern::new("^> $");
        assert_eq!(prompt.find("welcome\n>"), Ok(Some(">".to_owned())));
        assert_eq!(prompt.find("> x"), Ok(None));
        assert!(Pattern::new("(").find("(").is_err());
    }
}
