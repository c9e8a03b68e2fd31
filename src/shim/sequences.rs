//! Finds short escape sequences in a stream of output that may be cut anywhere.

/// Longer sequences are nothing this room looks for,
const BYTES_MAX: usize = 64;
/// but for reports of a program's status: 4096 bytes with their terminator, by their draft.
const REPORT_BYTES_MAX: usize = 4094;
/// How such a report begins.
const REPORT: &[u8] = b"\x1b]7501;";
const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;

/// A complete sequence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sequence<'a> {
    /// `ESC [`, then this.
    Control(&'a [u8]),
    /// `ESC ]`, then this, then BEL or `ESC \`.
    System(&'a [u8]),
    /// `ESC`, then this byte.
    Escape(u8),
}

/// Keeps the beginning of a sequence until its end arrives.
#[derive(Default)]
pub(super) struct Collector {
    /// Empty, or a sequence from its ESC on.
    partial: Vec<u8>,
}

impl Collector {
    /// Calls `found` for each sequence that ends in `output`, with the offset of its end.
    pub(super) fn watch(&mut self, output: &[u8], mut found: impl FnMut(usize, Sequence<'_>)) {
        let mut rest = output;
        loop {
            if self.partial.is_empty() {
                let Some(start) = memchr::memchr(ESCAPE, rest) else { return };
                rest = &rest[start..];
            }
            let Some((byte, after)) = rest.split_first() else { return };
            self.take(*byte, &mut |sequence| found(output.len() - after.len(), sequence));
            rest = after;
        }
    }

    fn take(&mut self, byte: u8, found: &mut impl FnMut(Sequence<'_>)) {
        match (self.partial.as_slice(), byte) {
            ([ESCAPE, b']', body @ ..], BELL) => found(Sequence::System(body)),
            ([ESCAPE, b']', body @ .., ESCAPE], b'\\') => found(Sequence::System(body)),
            // A string that was cut short by the next sequence.
            ([ESCAPE, b']', .., ESCAPE], b'[' | b']') => {
                self.partial.truncate(1);
                return self.partial.push(byte);
            }
            ([ESCAPE, b']', ..], ESCAPE) if self.partial.last() != Some(&ESCAPE) => {
                return self.partial.push(byte);
            }
            (_, ESCAPE) => {
                self.partial.clear();
                return self.partial.push(byte);
            }
            ([ESCAPE], b'[' | b']') => return self.partial.push(byte),
            // Without `ESC \\`, the end of a string that was too long.
            ([ESCAPE], 0x30..=0x5b | 0x5d..=0x7e) => found(Sequence::Escape(byte)),
            ([ESCAPE, b'[', ..], 0x40..=0x7e) => {
                self.partial.push(byte);
                found(Sequence::Control(&self.partial[2..]));
            }
            ([ESCAPE, b'[', ..], 0x20..=0x3f) | ([ESCAPE, b']', ..], 0x20..)
                if self.has_room() && self.partial.last() != Some(&ESCAPE) =>
            {
                return self.partial.push(byte);
            }
            (_, _) => {}
        }
        self.partial.clear();
    }

    /// Whether the sequence that is being collected may become longer.
    fn has_room(&self) -> bool {
        let length = self.partial.len();
        length < BYTES_MAX || (length < REPORT_BYTES_MAX && self.partial.starts_with(REPORT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &[u8], expected: &[&str]) {
        let mut found = Vec::new();
        Collector::default().watch(output, |end, sequence| {
            assert!(matches!(output[end - 1], BELL | 0x30..=0x7e));
            found.push(match sequence {
                Sequence::Control(body) => format!("[{}", String::from_utf8_lossy(body)),
                Sequence::System(body) => format!("]{}", String::from_utf8_lossy(body)),
                Sequence::Escape(byte) => char::from(byte).to_string(),
            });
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn sequences_are_found_between_text_and_dirt() {
        check(b"plain", &[]);
        check(b"\x1b[31mred\x1b[0m", &["[31m", "[0m"]);
        check(
            b"\x1b\x1b[c\x1b]0;title\x07\x1b]1;x\x1b\\\x1b[5n",
            &["[c", "]0;title", "]1;x", "[5n"],
        );
        check(b"\x1b]0;cut\x1b[c", &["[c"]);
        check(b"\x1b=\x1bcx\x1b(B", &["=", "c"]);
        check(b"\x1b[3\n1m\x1b(B\x1b[K", &["[K"]);
        let long = [b"\x1b]52;".as_slice(), &[b'x'; 200], b"\x07\x1b[6n"].concat();
        check(&long, &["[6n"]);
        check(b"a\x1bcb", &["c"]);
    }

    /// Only reports may be long, and nothing of one that is too long is kept.
    #[test]
    fn reports_may_have_four_kibibytes() {
        let body = |bytes: usize| [b"7501;".as_slice(), &vec![b'x'; bytes - 9]].concat();
        for (bytes, fits) in [(4096, true), (4097, false), (100_000, false)] {
            let output = [b"\x1b]".as_slice(), &body(bytes), b"\x1b\\\x1b[6n"].concat();
            let mut found = Vec::new();
            let mut collector = Collector::default();
            collector
                .watch(&output, |_, sequence| found.push(sequence == Sequence::Control(b"6n")));
            assert_eq!(found, if fits { vec![false, true] } else { vec![true] }, "{bytes}");
            assert!(collector.partial.capacity() <= 8192);
        }
    }
}
