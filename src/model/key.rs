//! The names of keys, as tmux spells them. A text that is none is typed as it is.

/// Keys that have a name of their own.
pub const KEYS: &[&str] = &[
    "Enter", "CR", "Escape", "Esc", "Tab", "BTab", "Space", "BSpace", "Up", "Down", "Right",
    "Left", "Home", "End", "IC", "Insert", "DC", "Delete", "PPage", "PageUp", "PgUp", "NPage",
    "PageDown", "PgDn", "F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "F9", "F10", "F11", "F12",
];

/// Whether a text names a key: one of [`KEYS`], `C-x`, `^x`, or `M-` with any of these or with one
/// character behind it.
pub fn is_key(text: &str) -> bool {
    if KEYS.contains(&text) {
        return true;
    }
    if let Some(rest) = text.strip_prefix("M-") {
        return rest.chars().count() == 1 || is_key(rest);
    }
    let control = text.strip_prefix("C-").or_else(|| text.strip_prefix('^'));
    control.is_some_and(|key| match key.as_bytes() {
        b"Space" => true,
        [byte] => matches!(byte.to_ascii_uppercase(), b'?' | b'@'..=b'_'),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_names() {
        for key in ["Enter", "C-c", "^C", "C-\\", "C-Space", "M-x", "M-Enter", "M-C-c", "F12"] {
            assert!(is_key(key), "{key}");
        }
        for text in ["Entr", "enter", "C-", "^", "M-", "C-more", "/exit", "y", ""] {
            assert!(!is_key(text), "{text}");
        }
    }
}
