//! Words of an agent that are shown to people: untrusted, so what could move a cursor, turn the
//! direction of a text or hide in it is taken out.

/// Characters that are kept.
const CHARACTERS_MAX: usize = 256;

/// What may be shown of a text; `None` when that is nothing.
pub(super) fn plain(text: &str) -> Option<String> {
    let kept: String = text
        .chars()
        .filter(|c| !is_hidden(*c))
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .collect();
    let kept: String = kept.trim().chars().take(CHARACTERS_MAX).collect();
    (!kept.is_empty()).then_some(kept)
}

/// Marks of direction, joiners and spaces without width.
fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_seen_is_kept() {
        assert_eq!(plain(" a\u{1b}[31m\tb\u{202e}c\u{feff}\u{9b} ").unwrap(), "a [31m bc");
        assert_eq!(plain("\u{200b}\n \0"), None);
        assert_eq!(plain(&"é".repeat(300)).unwrap(), "é".repeat(256));
    }
}
