//! The last words of a program, as people and the next attempt read them: without the echo of what
//! it was told, and from the screen where it draws on that, since what a program draws in any order
//! reads as garbage in the order in which it was sent.

use memchr::{memchr_iter, memrchr_iter};

use super::plain::last_lines;

const ESC: u8 = 0x1b;
/// So many letters in a row that stand in the prompt are no accident.
const ECHO_LETTERS_MIN: usize = 20;

/// Whether it moves about on its terminal: what it sent is then no text that goes from top to
/// bottom. Colours and the end of a line that is wiped are no moves.
pub fn is_drawn(bytes: &[u8]) -> bool {
    memchr_iter(ESC, bytes).any(|at| move_end(bytes, at).is_some())
}

/// What was sent behind the last move: text that goes from top to bottom, and that nothing was
/// drawn over.
pub fn since_moved(bytes: &[u8]) -> &[u8] {
    let end = memrchr_iter(ESC, bytes).find_map(|at| move_end(bytes, at));
    &bytes[end.unwrap_or(0)..]
}

/// Where the sequence that begins at `at` ends, if it is a move.
fn move_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes[at..].strip_prefix(b"\x1b[")?;
    let end = rest.iter().position(|byte| !(0x20..=0x3f).contains(byte))?;
    b"ABCDEFGHJdf".contains(&rest[end]).then_some(at + 2 + end + 1)
}

/// Whether a text stands on a screen, which may have wrapped and framed it.
pub fn shows(screen: &str, text: &str) -> bool {
    letters(screen).0.contains(&letters(text).0)
}

/// The last `lines` rows of a screen that say anything, with at most one blank row between them.
pub fn rows(screen: &str, prompt: Option<&str>, lines: usize) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for row in without_echo(screen, prompt).lines().map(str::trim_end) {
        if !row.is_empty() || kept.last().is_some_and(|row| !row.is_empty()) {
            kept.push(row);
        }
    }
    last_lines(&kept.join("\n"), lines).to_owned()
}

/// What a program said behind the last echo of its prompt. What stands before that is its banner,
/// which counts only when nothing else was said.
pub fn without_echo<'a>(text: &'a str, prompt: Option<&str>) -> &'a str {
    let Some((from, to)) = prompt.and_then(|prompt| echo(text, prompt)) else { return text };
    let behind = text[to..].trim_start_matches(['\r', '\n']);
    if behind.trim().is_empty() { &text[..from] } else { behind }
}

/// The lines of the last echo. Programs wrap it, frame it and take marks out of it, so only letters
/// and digits are compared. Its beginning may have been cut off; one that is neither whole nor cut
/// off is something that the program quotes.
fn echo(text: &str, prompt: &str) -> Option<(usize, usize)> {
    let (told, _) = letters(prompt);
    let (said, places) = letters(text);
    let whole = said.rfind(&told).map(|at| (at, at + told.len()));
    let cut = || {
        let mut ends = told.char_indices().map(|(at, _)| &told[at..]);
        ends.find(|end| said.starts_with(end)).map(|end| (0, end.len()))
    };
    let (from, to) = whole.or_else(cut).filter(|(from, to)| to - from >= ECHO_LETTERS_MIN)?;
    let (first, last) = (*places.get(from)?, *places.get(to - 1)?);
    let line = text[..first].rfind('\n').map_or(0, |at| at + 1);
    let end = text[last..].find('\n').map_or(text.len(), |at| last + at + 1);
    Some((line, end))
}

/// The letters and digits, and for each byte of them where its character begins in the text.
fn letters(text: &str) -> (String, Vec<usize>) {
    let mut found = (String::new(), Vec::new());
    for (at, c) in text.char_indices().filter(|(_, c)| c.is_alphanumeric()) {
        found.0.push(c);
        found.1.extend(std::iter::repeat_n(at, c.len_utf8()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMPT: &str = "## Task\n\nSay it.\n\n## Output Interface\n\nPrint it.\n";

    #[test]
    fn what_moves_the_cursor_is_drawn() {
        for drawn in ["\x1b[2J", "a\x1b[3;4Hb", "\x1b[1A", "x\x1b[12G", "\x1b[31m\x1b[5B"] {
            assert!(is_drawn(drawn.as_bytes()), "{drawn:?}");
        }
        for lines in
            ["", "plain", "\x1b[1;31mred\x1b[0m\r\n", "50%\r\x1b[K60%", "\x1b]0;A\x07", "\x1b["]
        {
            assert!(!is_drawn(lines.as_bytes()), "{lines:?}");
        }
    }

    #[test]
    fn behind_the_last_move_text_goes_from_top_to_bottom() {
        for (bytes, behind) in [
            ("plain", "plain"),
            ("a\x1b[2;3Hb\x1b[Jc\x1b[1mbold\r\n", "c\x1b[1mbold\r\n"),
            ("a\x1b[4A", ""),
            ("a\x1b[4Ab\x1b[3", "b\x1b[3"),
        ] {
            assert_eq!(since_moved(bytes.as_bytes()), behind.as_bytes(), "{bytes:?}");
        }
        assert!(shows("│ hit your │\n│ limit.  │", "hit your limit"));
        assert!(!shows("hit your", "hit your limit"));
        assert!(shows("", " \n"));
    }

    /// Feature K2: neither a banner nor the task that the next one is told anyway.
    #[test]
    fn an_echo_of_the_prompt_and_what_stands_before_are_left_out() {
        let banner = "OpenAI Codex v0.169.0\n--------\nuser\n";
        let said = format!("{banner}{PROMPT}\nERROR: You've hit your usage limit.\n");
        assert_eq!(without_echo(&said, Some(PROMPT)), "ERROR: You've hit your usage limit.\n");
        let only = format!("{banner}  ## Task\n  Say it.\n  ## Output Interface\n\n  Print it.");
        assert_eq!(without_echo(&only, Some(PROMPT)), banner);
        let drawn = format!(
            "{banner}❯ ## Task\n\n  Say\n  it.\n  `Output` Interface\n\n  Print it.\n\n● No.\n"
        );
        assert_eq!(without_echo(&drawn, Some(PROMPT)), "● No.\n");
        // Of a long one only the end is left.
        let cut = "Say it.\n## Output Interface\nPrint it.\nbroken\n";
        assert_eq!(without_echo(cut, Some(PROMPT)), "broken\n");
        for own in ["Print it.\nNo.", "I was told:\n## Output Interface\n\nPrint it.\nNo.", ""] {
            assert_eq!(without_echo(own, Some(PROMPT)), own);
            assert_eq!(without_echo(own, None), own);
        }
    }

    #[test]
    fn rows_are_tidied() {
        let screen = "\n\n● done   \n\n\n\n────\n❯ \n   \n";
        assert_eq!(rows(screen, None, 40), "● done\n\n────\n❯");
        assert_eq!(rows(screen, None, 2), "────\n❯");
        assert_eq!(rows("\n \n", None, 40), "");
    }
}
