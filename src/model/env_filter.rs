//! Which variables an agent inherits from its owner's environment.

use serde::{Deserialize, Serialize};

/// What every program needs to run at all; a list of allowed names need not repeat it.
const BASIC: &[&str] =
    &["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR"];

/// Names of variables, each perhaps with a `*` at its end. What an agent's own `env` adds is never
/// filtered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EnvFilter {
    /// Only these are inherited, and what every program needs; all when absent.
    pub allow: Option<Vec<String>>,
    /// These are not, whatever is allowed.
    pub deny: Vec<String>,
}

impl EnvFilter {
    /// Whether a variable of that name is inherited.
    pub fn keeps(&self, name: &str) -> bool {
        let one_of = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, name));
        let basic = || BASIC.iter().any(|pattern| fits(pattern, name));
        let allowed = self.allow.as_ref().is_none_or(|allow| one_of(allow) || basic());
        allowed && !one_of(&self.deny)
    }

    /// Whether it keeps everything.
    pub fn is_open(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_name_goes_whatever_is_allowed_and_the_basics_stay() {
        let names = |of: &[&str]| of.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let all = EnvFilter::default();
        assert!(all.is_open() && all.keeps("ANYTHING"));
        let some = EnvFilter { allow: Some(names(&["AI_*", "X"])), deny: names(&["AI_SECRET*"]) };
        for name in ["AI_KEY", "X", "PATH", "LC_ALL"] {
            assert!(some.keeps(name), "{name}");
        }
        for name in ["AI_SECRET", "AI_SECRET_2", "XY", "AI", "GITHUB_TOKEN"] {
            assert!(!some.keeps(name), "{name}");
        }
        let bare = EnvFilter { allow: None, deny: names(&["*"]) };
        assert!(!bare.keeps("PATH"));
    }
}
