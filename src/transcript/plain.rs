//! Output as people read it: without control sequences, with the last state of each line.

use super::escapes::Stripper;

/// The text without terminal control.
///
/// Of a line that was written over (a progress bar) the last version stays. Bytes that are no
/// UTF-8 become `U+FFFD`; control characters other than tab and newline are left out.
pub fn plain(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(bytes.len());
    let mut emit = |piece: &[u8]| text.extend_from_slice(piece);
    let mut stripper = Stripper::new(true);
    stripper.feed(bytes, &mut emit);
    stripper.finish(&mut emit);
    let lossy = String::from_utf8_lossy(&text);
    let mut plain = String::with_capacity(lossy.len());
    for line in lossy.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        plain.extend(last_version(line).chars().filter(|c| *c == '\t' || !c.is_control()));
        plain.push_str(end);
    }
    plain
}

/// The last `lines` lines of the text whose end this is, without blank lines behind them.
pub fn tail(bytes: &[u8], lines: usize) -> String {
    last_lines(&plain(bytes), lines).to_owned()
}

/// The same of plain text.
pub fn last_lines(text: &str, lines: usize) -> &str {
    let text = text.trim_end();
    let start = text.rmatch_indices('\n').nth(lines.saturating_sub(1)).map_or(0, |(at, _)| at + 1);
    if lines == 0 { "" } else { &text[start..] }
}

/// What stands behind the last carriage return that anything stands behind.
fn last_version(line: &str) -> &str {
    line.rsplit('\r').find(|version| !version.is_empty()).unwrap_or_default()
}
