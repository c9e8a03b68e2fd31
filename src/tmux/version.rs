//! Which tmux this is, and whether it will do. Pure.

use std::fmt;

use super::Error;

/// A tmux release: `3.3a`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    number: (u32, u32),
    letter: String,
}

impl Version {
    /// The oldest that works: client flags on `attach` came with 3.2, and 3.2 itself crashes.
    pub fn least() -> Self {
        Self { number: (3, 2), letter: "a".to_owned() }
    }

    /// Reads what `tmux -V` prints: `tmux 3.3a`, `tmux next-3.6`, `tmux master`.
    ///
    /// A development version counts as the release it leads to, `master` as newer than all.
    /// `None` when the text is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let word = text.trim().strip_prefix("tmux ")?;
        if word == "master" || word.starts_with("openbsd-") {
            return Some(Self { number: (u32::MAX, 0), letter: String::new() });
        }
        let word = word.strip_prefix("next-").unwrap_or(word);
        let (major, rest) = word.split_once('.')?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (minor, letter) = rest.split_at(digits);
        let number = (major.parse().ok()?, minor.parse().ok()?);
        Some(Self { number, letter: letter.to_owned() })
    }

    /// The gate.
    ///
    /// # Errors
    /// When `text`, the answer of `tmux -V`, names no version or one that is too old.
    pub fn admit(text: &str) -> Result<Self, Error> {
        let refused = || Error::TooOld {
            found: text.trim().trim_start_matches("tmux ").to_owned(),
            needed: Self::least(),
        };
        Self::parse(text).filter(|version| *version >= Self::least()).ok_or_else(refused)
    }

    /// Whether it is at least `major.minor`.
    pub fn reaches(&self, major: u32, minor: u32) -> bool {
        self.number >= (major, minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.number.0 == u32::MAX {
            return f.write_str("master");
        }
        write!(f, "{}.{}{}", self.number.0, self.number.1, self.letter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault 23: the gate.
    #[test]
    fn old_versions_are_refused_and_development_ones_are_not() {
        for good in
            ["tmux 3.2a\n", "tmux 3.3", "tmux 3.10", "tmux 4.0", "tmux next-3.6", "tmux master"]
        {
            assert!(Version::admit(good).is_ok(), "{good}");
        }
        for bad in ["tmux 3.2", "tmux 2.9a", "tmux 1.8", "tmux next-3.1", "", "tmux", "screen 4.9"]
        {
            assert!(matches!(Version::admit(bad), Err(Error::TooOld { .. })), "{bad}");
        }
    }

    #[test]
    fn features_go_by_number() {
        let old = Version::parse("tmux 3.2a").unwrap();
        assert!(old.reaches(3, 2) && !old.reaches(3, 3));
        assert!(Version::parse("tmux next-3.10").unwrap().reaches(3, 6));
        assert_eq!(old.to_string(), "3.2a");
    }
}
