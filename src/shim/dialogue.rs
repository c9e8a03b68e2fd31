//! What the agent's program says to its terminal: switches, questions about the terminal, and
//! reports of its own status.
//!
//! In a window tmux answers the questions. Without one nobody would, and a program that waits for
//! the answer hangs at its start; so the shim answers like a plain terminal. Reports are for the
//! shim alone, which answers for them in a window too: tmux drops them.

use super::modes::Modes;
use super::osc::{self, Records, Said};
use super::sequences::{Collector, Sequence};
use crate::model::{Activity, Doing};

/// What a program that wrote this to its terminal, in pieces of that size, is answered, and what
/// it says it is doing. For whoever attacks the parsers with any bytes.
pub fn overheard(output: &[u8], piece: usize) -> (Vec<u8>, Option<Doing>) {
    let mut dialogue = Dialogue::default();
    let mut answers = Vec::new();
    for piece in output.chunks(piece.max(1)) {
        answers.extend(dialogue.watch(0, piece, true, 0).answers);
    }
    (answers, dialogue.doing())
}

/// What is known of the program behind the output.
#[derive(Default)]
pub(super) struct Dialogue {
    /// One for each stream, because a sequence is not cut by what another stream says.
    collectors: [Collector; 2],
    modes: Modes,
    records: Records,
}

/// What a piece of output asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// To be typed.
    pub(super) answers: Vec<u8>,
    /// Whether what the program is doing may have changed.
    pub(super) reported: bool,
    /// Where in the output a bell is due: behind a report that somebody should look.
    pub(super) bell: Option<usize>,
}

impl Dialogue {
    /// Looks through output of a stream, cut anywhere. Questions about the terminal itself are
    /// answered only when the shim is `alone`, which is when nobody else would.
    pub(super) fn watch(&mut self, stream: usize, output: &[u8], alone: bool, at_ms: i64) -> Heard {
        let mut heard = Heard::default();
        let Self { collectors, modes, records } = self;
        let collector = &mut collectors[stream.min(1)];
        collector.watch(output, |end, sequence| match sequence {
            Sequence::Control(body) => {
                modes.control(body);
                heard.answers.extend_from_slice(if alone { answer_control(body) } else { b"" });
            }
            Sequence::System(body) => match body.strip_prefix(b"7501;") {
                Some(report) => take_report(records, report, at_ms, end, &mut heard),
                None if body == b"133;A" || body.starts_with(b"133;A;") => {
                    records.forget_active();
                    heard.reported = true;
                }
                None => {
                    heard.answers.extend_from_slice(if alone { answer_system(body) } else { b"" })
                }
            },
            Sequence::Escape(byte) => {
                modes.escape(byte);
                // `ESC c`: the terminal forgets everything.
                if byte == b'c' {
                    records.forget();
                    heard.reported = true;
                }
            }
        });
        heard
    }

    /// What the program says it is doing.
    pub(super) fn doing(&self) -> Option<Doing> {
        self.records.doing()
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

fn take_report(records: &mut Records, report: &[u8], at_ms: i64, end: usize, heard: &mut Heard) {
    match osc::parse(report) {
        Some(Said::Query) => heard.answers.extend_from_slice(osc::ANSWER),
        Some(said) => {
            let before = records.doing();
            records.take(said, at_ms);
            heard.reported = true;
            if is_worth_a_bell(before.as_ref(), records.doing().as_ref()) {
                heard.bell = Some(end);
            }
        }
        None => {}
    }
}

/// Whether a person wants to know: it waits for one, or has ended what it was doing.
fn is_worth_a_bell(before: Option<&Doing>, after: Option<&Doing>) -> bool {
    let was = before.map(|doing| doing.activity);
    match after.map(|doing| doing.activity) {
        Some(Activity::Blocked) => was != Some(Activity::Blocked),
        Some(Activity::Idle) => matches!(was, Some(Activity::Working | Activity::Blocked)),
        Some(Activity::Working | Activity::RateLimited | Activity::Unknown) | None => false,
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
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::model::BlockKind;

    /// As a terminal without window says it.
    fn say(dialogue: &mut Dialogue, output: &[u8]) -> Vec<u8> {
        dialogue.watch(0, output, true, 0).answers
    }

    #[test]
    fn text_is_bracketed_only_while_the_program_wants_it() {
        let mut dialogue = Dialogue::default();
        assert_eq!(dialogue.wrap("a"), b"a");
        say(&mut dialogue, b"\x1b[2Jhi\x1b[?25;20");
        say(&mut dialogue, b"04h");
        assert_eq!(dialogue.wrap("a\nb"), b"\x1b[200~a\nb\x1b[201~");
        say(&mut dialogue, b"\x1b[?2004l");
        assert_eq!(dialogue.wrap("a"), b"a");
    }

    #[test]
    fn a_text_cannot_end_its_own_paste() {
        let mut dialogue = Dialogue::default();
        say(&mut dialogue, b"\x1b[?2004h");
        assert_eq!(dialogue.wrap("x\x1b[201~\x03y"), b"\x1b[200~x[201~y\x1b[201~");
    }

    #[test]
    fn questions_are_answered_however_they_are_cut() {
        let asked = b"a\x1b[c\x1b]11;?\x07b\x1b]10;?\x1b\\\x1b[6n\x1b[2J";
        let expected = b"\x1b[?62;22c\x1b]11;rgb:0000/0000/0000\x1b\\\
            \x1b]10;rgb:ffff/ffff/ffff\x1b\\\x1b[1;1R";
        assert_eq!(say(&mut Dialogue::default(), asked), expected);
        let mut dialogue = Dialogue::default();
        let answers: Vec<u8> = asked.iter().flat_map(|b| say(&mut dialogue, &[*b])).collect();
        assert_eq!(answers, expected);
    }

    /// The question about reports is answered before the one that asks who answers at all, which
    /// programs send behind it; in a window that one is for tmux.
    #[test]
    fn the_question_about_reports_is_always_answered() {
        let asked = b"\x1b]7501;?\x1b\\\x1b[c\x1b]7501;?\x07";
        let alone = [osc::ANSWER, b"\x1b[?62;22c", osc::ANSWER].concat();
        assert_eq!(say(&mut Dialogue::default(), asked), alone);
        let heard = Dialogue::default().watch(0, asked, false, 0);
        assert_eq!(heard, Heard { answers: osc::ANSWER.repeat(2), ..Heard::default() });
    }

    #[test]
    fn a_bell_is_due_when_a_person_is_wanted() {
        let mut dialogue = Dialogue::default();
        let mut bell = |state: &str| {
            let output = format!("text\x1b]7501;state={state}\x07more");
            let heard = dialogue.watch(0, output.as_bytes(), false, 0);
            assert!(heard.answers.is_empty() && heard.reported);
            assert!(heard.bell.is_none_or(|at| at == output.len() - "more".len()));
            heard.bell.is_some()
        };
        let all = ["idle", "working", "blocked", "blocked:progress=2", "working", "done", "error"];
        assert_eq!(all.map(&mut bell), [false, false, true, false, false, true, false]);
        assert!(!bell("working") && bell("error"));
    }

    #[test]
    fn streams_do_not_cut_each_other_and_resets_forget() {
        let mut dialogue = Dialogue::default();
        dialogue.watch(0, b"\x1b]7501;state=blo", true, 0);
        dialogue.watch(1, b"error: \x1b[31mred", true, 0);
        dialogue.watch(0, b"cked:kind=auth\x1b\\", true, 7);
        let doing = dialogue.doing().unwrap();
        assert_eq!((doing.activity, doing.kind), (Activity::Blocked, Some(BlockKind::Auth)));
        assert_eq!(doing.at_ms, 7);
        dialogue.watch(0, b"\x1b]133;A\x07", true, 8);
        assert_eq!(dialogue.doing(), None);
        dialogue.watch(0, b"\x1b]7501;state=done\x07", true, 9);
        assert!(dialogue.doing().is_some() && dialogue.watch(0, b"\x1bc", true, 9).reported);
        assert_eq!(dialogue.doing(), None);
    }

    proptest! {
        /// Split reads: however the output is cut, the same is heard.
        #[test]
        fn any_cut_hears_the_same(
            pieces in vec(prop_oneof![
                Just(b"\x1b]7501;?\x1b\\".to_vec()),
                Just(b"\x1b]7501;?\x07".to_vec()),
                Just(b"\x1b]7501;state=working\x1b\\".to_vec()),
                Just(b"\x1b]7501;state=blocked:kind=question:msg=SGk=\x07".to_vec()),
                Just(b"\x1b]7501;state=done:id=a:msg=!!\x07".to_vec()),
                Just(b"\x1b]7501;state=idle".to_vec()),
                Just([b"\x1b]7501;state=error:msg=".as_slice(), &[b'A'; 4200], b"\x07"].concat()),
                Just(b"\x1b[c\x1b]11;?\x07\x1b[?2004h".to_vec()),
                Just(b"\x1bc".to_vec()),
                Just(b"\x1b]133;A\x07".to_vec()),
                vec(any::<u8>(), 0..12),
            ], 0..12),
            cuts in vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let output = pieces.concat();
            let mut whole = Dialogue::default();
            let expected = say(&mut whole, &output);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(output.len() + 1)).collect();
            cuts.extend([0, output.len()]);
            cuts.sort_unstable();
            let mut parts = Dialogue::default();
            let heard: Vec<u8> =
                cuts.windows(2).flat_map(|w| say(&mut parts, &output[w[0]..w[1]])).collect();
            prop_assert_eq!(heard, expected);
            prop_assert_eq!(parts.doing(), whole.doing());
        }
    }
}
