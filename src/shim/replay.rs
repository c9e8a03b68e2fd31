//! What a new window is shown of the past: the last screenful of the log, fit for a terminal that
//! has seen nothing before.
//!
//! Questions in it would be answered a second time and switches are known already, so of the
//! escape sequences only those stay that colour text or move the cursor.

const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;
/// Ends of the sequences that stay: cursor moves, erasures, inserted and deleted lines, colours.
const HARMLESS: &[u8] = b"@ABCDEFGHIJKLMPXZ`adefm";
/// Ways out of the alternate screen; what was drawn on it is gone by then.
const LEAVES: [&[u8]; 3] = [b"\x1b[?1049l", b"\x1b[?1047l", b"\x1b[?47l"];

/// The last `rows` lines of `tail`, the end of a log.
pub(super) fn screenful(tail: &[u8], rows: u16) -> Vec<u8> {
    let left =
        LEAVES.iter().filter_map(|way| memchr::memmem::rfind(tail, way).map(|at| at + way.len()));
    harmless(last_lines(&tail[left.max().unwrap_or(0)..], usize::from(rows)))
}

fn last_lines(text: &[u8], rows: usize) -> &[u8] {
    // The line that the cursor is in counts, even an empty one.
    let ends = memchr::memrchr_iter(b'\n', text);
    ends.skip(rows.saturating_sub(1)).map(|end| &text[end + 1..]).next().unwrap_or(text)
}

fn harmless(mut text: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len());
    // The beginning may lie within a character.
    while let [0x80..=0xbf, rest @ ..] = text {
        text = rest;
    }
    while let [byte, rest @ ..] = text {
        text = match (byte, rest) {
            (&ESCAPE, [b'[', after @ ..]) => take_control(after, &mut kept),
            (&ESCAPE, [b']' | b'P' | b'X' | b'^' | b'_', after @ ..]) => skip_string(after),
            (&ESCAPE, after) => skip_escape(after),
            (b'\n' | b'\r' | b'\t' | 0x08 | 0x20..=0x7e | 0x80.., after) => {
                kept.push(*byte);
                after
            }
            (_, after) => after,
        };
    }
    kept
}

/// Keeps a harmless control sequence; returns what follows it.
fn take_control<'a>(after: &'a [u8], kept: &mut Vec<u8>) -> &'a [u8] {
    let Some(end) = after.iter().position(|byte| !(0x20..=0x3f).contains(byte)) else {
        return &[];
    };
    let parameters = after[..end].iter().all(|byte| byte.is_ascii_digit() || b";:".contains(byte));
    if !(0x40..=0x7e).contains(&after[end]) {
        // It was cut short by something else.
        return &after[end..];
    }
    if parameters && HARMLESS.contains(&after[end]) {
        kept.extend_from_slice(b"\x1b[");
        kept.extend_from_slice(&after[..=end]);
    }
    &after[end + 1..]
}

/// What follows a string such as a title; one without an end reaches up to the end of its line.
fn skip_string(text: &[u8]) -> &[u8] {
    let Some(end) = text.iter().position(|byte| [BELL, ESCAPE, b'\n'].contains(byte)) else {
        return &[];
    };
    match &text[end..] {
        [ESCAPE, b'\\', after @ ..] | [BELL, after @ ..] => after,
        rest => rest,
    }
}

fn skip_escape(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| !(0x20..=0x2f).contains(byte));
    match end.map(|end| &text[end..]) {
        Some([0x30..=0x7e, after @ ..]) => after,
        Some(rest) => rest,
        None => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(tail: &[u8], rows: u16) -> String {
        String::from_utf8(screenful(tail, rows)).unwrap()
    }

    #[test]
    fn the_last_lines_are_shown() {
        assert_eq!(shown(b"one\r\ntwo\r\nthree", 2), "two\r\nthree");
        assert_eq!(shown(b"one\r\ntwo\r\nthree\r\n", 2), "three\r\n");
        assert_eq!(shown(b"one\r\n", 50), "one\r\n");
        assert_eq!(shown(b"", 50), "");
        assert_eq!(shown("\u{e4}b\n".as_bytes().get(1..).unwrap(), 9), "b\n");
    }

    #[test]
    fn questions_and_switches_are_left_out_and_colours_stay() {
        let dirt = b"a\x1b[c\x1b[6n\x1b[>q\x1b[?1049h\x1b]0;title\x07\x1b]11;?\x1b\\\x1bPq\x1b\\\
            \x1b(B\x05\x07\x1b7b\x1b[1;31mred\x1b[0m\x1b[2A\x1b[Kc\x1b[14t\x1b[?u";
        assert_eq!(shown(dirt, 9), "ab\x1b[1;31mred\x1b[0m\x1b[2A\x1b[Kc");
        assert_eq!(shown(b"a\x1b[3\nb\x1b]0;cut\nc\x1b", 9), "a\nb\nc");
        assert_eq!(shown(b"a\x1b[31", 9), "a");
    }

    #[test]
    fn what_was_drawn_on_the_alternate_screen_is_gone() {
        assert_eq!(shown(b"before\n\x1b[?1049hmenu\x1b[?1049lafter\n", 9), "after\n");
    }
}
