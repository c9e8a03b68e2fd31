//! Reads keys that are to be pressed. What is no key's name is typed as it is, so that a slip in a
//! name would be typed too: what looks like a name and is none is a finding.

use strsim::osa_distance;

use crate::document::Value;
use crate::model::{KEYS, is_key};

/// The shortest text that is taken for a slip in a name; answers such as `y` or `no` are shorter.
const SLIP_CHARS_MIN: usize = 3;
const LONG_CHARS: usize = 6;
const AS_TMUX: &str = "keys are called as tmux calls them: Enter, Escape, C-c, M-x, F5";

/// Finds fault with a key that `value` holds; whether there is none.
pub(super) fn check_key(value: &Value<'_>, key: &str) -> bool {
    if is_key(key) {
        return true;
    }
    if let Some(name) = spelt_otherwise(key) {
        let message = format!("`{}`: there is no key `{key}`", value.label());
        let problem = value.findings().error("C12", value.span(), message);
        problem.help(format!("did you mean `{name}`?")).note(AS_TMUX);
        return false;
    }
    let modified = ["C-", "M-"].iter().any(|prefix| key.starts_with(prefix));
    let meant = meant(if modified { &key[2..] } else { key });
    if !modified && meant.is_none() {
        return true;
    }
    let message = format!("`{}`: there is no key `{key}`", value.label());
    let problem = value.findings().error("C12", value.span(), message);
    let help = match meant {
        Some(name) if modified => format!("did you mean `{}{name}`?", &key[..2]),
        Some(name) => format!("did you mean `{name}`?"),
        None => "write it like `C-c` or `M-x`".to_owned(),
    };
    problem.help(help).note(AS_TMUX);
    false
}

/// The key that others call by this name: `Ctrl-C`, `alt+x`, `Return`.
fn spelt_otherwise(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    if lower == "return" {
        return Some("Enter".to_owned());
    }
    let named = [("ctrl", "C-"), ("control", "C-"), ("alt", "M-"), ("meta", "M-")];
    named.into_iter().find_map(|(name, prefix)| {
        let rest = lower.strip_prefix(name)?.strip_prefix(['-', '+'])?;
        let as_written = &text[text.len() - rest.len()..];
        let meant = [rest, as_written].map(|rest| format!("{prefix}{rest}"));
        meant.into_iter().find(|key| is_key(key))
    })
}

/// The key whose name was most likely meant. One slip, or two in a long name: a word such as `done`
/// is near to a name too, and is meant to be typed.
fn meant(text: &str) -> Option<&'static str> {
    let slips = if text.len() < LONG_CHARS { 1 } else { 2 };
    let word = text.chars().all(|c| c.is_ascii_alphanumeric());
    let near = |name: &&&str| osa_distance(&text.to_lowercase(), &name.to_lowercase()) <= slips;
    let name = KEYS.iter().filter(|_| word && text.len() >= SLIP_CHARS_MIN).find(near);
    name.copied()
}
