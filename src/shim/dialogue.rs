//! What the agent's program asks of its terminal: switches, and questions about itself.
//!
//! In a window tmux answers the questions. Without one nobody would, and a program that waits for
//! the answer hangs at its start; so the shim answers like a plain terminal.

use super::modes::Modes;
use super::sequences::{Collector, Sequence};

/// What is known of the program behind the output.
#[derive(Default)]
pub(super) struct Dialogue {
    collector: Collector,
    modes: Modes,
}

impl Dialogue {
    /// Looks through output, cut anywhere; returns the answers to the questions in it.
    pub(super) fn watch(&mut self, output: &[u8]) -> Vec<u8> {
        let mut answers = Vec::new();
        let modes = &mut self.modes;
        self.collector.watch(output, |sequence| match sequence {
            Sequence::Control(body) => {
                modes.control(body);
                answers.extend_from_slice(answer_control(body));
            }
            Sequence::System(body) => answers.extend_from_slice(answer_system(body)),
            Sequence::Escape(byte) => modes.escape(byte),
        });
        answers
    }

    /// What the program has switched.
    pub(super) fn modes(&self) -> Modes {
        self.modes
    }

    /// The bytes that deliver `text`. Control characters but tab and newline are left out: an
    /// escape in the text could end the paste early or press keys.
    pub(super) fn wrap(&self, text: &str) -> Vec<u8> {
        let kept: String =
            text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        if self.modes.marks_pastes() && !kept.is_empty() {
            return format!("\x1b[200~{kept}\x1b[201~").into_bytes();
        }
        kept.into_bytes()
    }
}

fn answer_control(body: &[u8]) -> &'static [u8] {
    match body {
        // Primary device attributes: a VT220 with colours.
        b"c" | b"0c" => b"\x1b[?62;22c",
        // Secondary device attributes.
        b">c" | b">0c" => b"\x1b[>0;0;0c",
        // "Are you well", and where the cursor is; the top left corner is never wrong for long.
        b"5n" => b"\x1b[0n",
        b"6n" => b"\x1b[1;1R",
        _ => b"",
    }
}

fn answer_system(body: &[u8]) -> &'static [u8] {
    match body {
        b"10;?" => b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\",
        b"11;?" => b"\x1b]11;rgb:0000/0000/0000\x1b\\",
        _ => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_bracketed_only_while_the_program_wants_it() {
        let mut dialogue = Dialogue::default();
        assert_eq!(dialogue.wrap("a"), b"a");
        dialogue.watch(b"\x1b[2Jhi\x1b[?25;20");
        dialogue.watch(b"04h");
        assert_eq!(dialogue.wrap("a\nb"), b"\x1b[200~a\nb\x1b[201~");
        dialogue.watch(b"\x1b[?2004l");
        assert_eq!(dialogue.wrap("a"), b"a");
    }

    #[test]
    fn a_text_cannot_end_its_own_paste() {
        let mut dialogue = Dialogue::default();
        dialogue.watch(b"\x1b[?2004h");
        assert_eq!(dialogue.wrap("x\x1b[201~\x03y"), b"\x1b[200~x[201~y\x1b[201~");
    }

    #[test]
    fn questions_are_answered_however_they_are_cut() {
        let asked = b"a\x1b[c\x1b]11;?\x07b\x1b]10;?\x1b\\\x1b[6n\x1b[2J";
        let expected = b"\x1b[?62;22c\x1b]11;rgb:0000/0000/0000\x1b\\\
            \x1b]10;rgb:ffff/ffff/ffff\x1b\\\x1b[1;1R";
        assert_eq!(Dialogue::default().watch(asked), expected);
        let mut dialogue = Dialogue::default();
        let answers: Vec<u8> = asked.iter().flat_map(|b| dialogue.watch(&[*b])).collect();
        assert_eq!(answers, expected);
    }
}
