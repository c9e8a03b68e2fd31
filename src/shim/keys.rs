//! Key names, as tmux spells them, to the bytes a terminal sends.

/// The bytes of one key: a name (`Escape`, `C-c`, `M-x`, `F5`), or the literal text.
pub(super) fn bytes_of(key: &str) -> Vec<u8> {
    if let Some(bytes) = named(key) {
        return bytes.to_vec();
    }
    if let Some(rest) = key.strip_prefix("M-").filter(|rest| !rest.is_empty()) {
        return [vec![0x1b], bytes_of(rest)].concat();
    }
    if let Some(byte) = key.strip_prefix("C-").or_else(|| key.strip_prefix('^')).and_then(control) {
        return vec![byte];
    }
    key.as_bytes().to_vec()
}

fn control(key: &str) -> Option<u8> {
    if key == "Space" {
        return Some(0);
    }
    let &[byte] = key.as_bytes() else { return None };
    match byte.to_ascii_uppercase() {
        b'?' => Some(0x7f),
        upper @ b'@'..=b'_' => Some(upper & 0x1f),
        _ => None,
    }
}

fn named(key: &str) -> Option<&'static [u8]> {
    Some(match key {
        "Enter" | "CR" => b"\r",
        "Escape" | "Esc" => b"\x1b",
        "Tab" => b"\t",
        "BTab" => b"\x1b[Z",
        "Space" => b" ",
        "BSpace" => b"\x7f",
        "Up" => b"\x1b[A",
        "Down" => b"\x1b[B",
        "Right" => b"\x1b[C",
        "Left" => b"\x1b[D",
        "Home" => b"\x1b[1~",
        "End" => b"\x1b[4~",
        "IC" | "Insert" => b"\x1b[2~",
        "DC" | "Delete" => b"\x1b[3~",
        "PPage" | "PageUp" | "PgUp" => b"\x1b[5~",
        "NPage" | "PageDown" | "PgDn" => b"\x1b[6~",
        "F1" => b"\x1bOP",
        "F2" => b"\x1bOQ",
        "F3" => b"\x1bOR",
        "F4" => b"\x1bOS",
        "F5" => b"\x1b[15~",
        "F6" => b"\x1b[17~",
        "F7" => b"\x1b[18~",
        "F8" => b"\x1b[19~",
        "F9" => b"\x1b[20~",
        "F10" => b"\x1b[21~",
        "F11" => b"\x1b[23~",
        "F12" => b"\x1b[24~",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is configured by its name is sent as a key.
    #[test]
    fn every_key_with_a_name_has_bytes() {
        for key in crate::model::KEYS {
            assert!(named(key).is_some(), "{key}");
        }
    }

    #[test]
    fn names_become_bytes_and_the_rest_is_literal() {
        let cases: [(&str, &[u8]); 12] = [
            ("C-c", b"\x03"),
            ("^C", b"\x03"),
            ("C-\\", b"\x1c"),
            ("C-Space", b"\0"),
            ("Escape", b"\x1b"),
            ("Enter", b"\r"),
            ("M-x", b"\x1bx"),
            ("M-Enter", b"\x1b\r"),
            ("/exit", b"/exit"),
            ("C-", b"C-"),
            ("^", b"^"),
            ("C-more", b"C-more"),
        ];
        for (key, bytes) in cases {
            assert_eq!(bytes_of(key), bytes, "{key}");
        }
    }
}
