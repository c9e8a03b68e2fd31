//! Takes terminal control sequences out of a stream of bytes, and undoes the terminal's CRLF.
//!
//! Everything else passes byte for byte, also what is no UTF-8. The states are those of
//! <https://vt100.net/emu/dec_ansi_parser>, as far as they decide where a sequence ends; a test
//! holds them against the `vte` crate. That crate itself replaces bytes, and keeps a control
//! string of any length in memory.
//!
//! ```text
//!          ESC            [                     0x40..0x7e
//! Ground -------> Escape ---> Control (CSI) ------------------> Ground
//!                   |    ] P X ^ _              BEL (OSC), ESC \
//!                   '-------------> String --------------------> Ground
//! ```

/// No control string is longer; one that is was never meant as one. The limit is tmux's.
const STRING_MAX: usize = 1 << 20;

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ground,
    /// After ESC and any number of intermediates.
    Escape {
        intermediate: bool,
    },
    Control,
    String {
        bell_ends: bool,
        length: usize,
    },
}

/// The state between two chunks.
#[derive(Clone, Debug)]
pub(super) struct Stripper {
    state: State,
    /// Whether CRLF becomes LF.
    undo_crlf: bool,
    /// A carriage return that may be half of a CRLF.
    held_return: bool,
}

impl Stripper {
    /// `undo_crlf` for what went through a terminal, which turns every LF into CRLF.
    pub(super) fn new(undo_crlf: bool) -> Self {
        Self { state: State::Ground, undo_crlf, held_return: false }
    }

    /// Hands the text of a chunk to `emit`, in pieces.
    pub(super) fn feed(&mut self, mut chunk: &[u8], emit: &mut impl FnMut(&[u8])) {
        while let Some(&first) = chunk.first() {
            if self.state == State::Ground && first != ESC && !self.return_matters(first) {
                let length = self.next_special(chunk).unwrap_or(chunk.len());
                emit(&chunk[..length]);
                chunk = &chunk[length..];
            } else {
                self.step(first, emit);
                chunk = &chunk[1..];
            }
        }
    }

    /// Hands out what was held back.
    pub(super) fn finish(&mut self, emit: &mut impl FnMut(&[u8])) {
        if std::mem::take(&mut self.held_return) {
            emit(b"\r");
        }
    }

    fn return_matters(&self, byte: u8) -> bool {
        self.held_return || (self.undo_crlf && byte == b'\r')
    }

    fn next_special(&self, chunk: &[u8]) -> Option<usize> {
        if self.undo_crlf { memchr::memchr2(ESC, b'\r', chunk) } else { memchr::memchr(ESC, chunk) }
    }

    fn step(&mut self, byte: u8, emit: &mut impl FnMut(&[u8])) {
        self.state = match (self.state, byte) {
            (_, ESC) => State::Escape { intermediate: false },
            (State::Ground, _) => {
                self.text(byte, emit);
                State::Ground
            }
            (_, CAN | SUB) => State::Ground,
            (State::Escape { intermediate }, _) => self.escape(byte, intermediate, emit),
            (State::Control, _) => self.control(byte, emit),
            (State::String { bell_ends, length }, _) => {
                let ends = (bell_ends && byte == BEL) || length >= STRING_MAX;
                if ends { State::Ground } else { State::String { bell_ends, length: length + 1 } }
            }
        };
    }

    fn escape(&mut self, byte: u8, intermediate: bool, emit: &mut impl FnMut(&[u8])) -> State {
        match byte {
            b'[' if !intermediate => State::Control,
            b']' if !intermediate => State::String { bell_ends: true, length: 0 },
            b'P' | b'X' | b'^' | b'_' if !intermediate => {
                State::String { bell_ends: false, length: 0 }
            }
            0x20..=0x2f => State::Escape { intermediate: true },
            0x30..=0x7e => State::Ground,
            0x7f => State::Escape { intermediate },
            0x00..=0x1f => {
                self.text(byte, emit);
                State::Escape { intermediate }
            }
            0x80..=0xff => {
                self.text(byte, emit);
                State::Ground
            }
        }
    }

    /// A control character inside a sequence takes effect there, as on a terminal.
    fn control(&mut self, byte: u8, emit: &mut impl FnMut(&[u8])) -> State {
        match byte {
            0x40..=0x7e => State::Ground,
            0x20..=0x3f | 0x7f => State::Control,
            0x00..=0x1f => {
                self.text(byte, emit);
                State::Control
            }
            0x80..=0xff => {
                self.text(byte, emit);
                State::Ground
            }
        }
    }

    /// Of a CRLF only the LF is text; the CR of the next pair may already be there.
    fn text(&mut self, byte: u8, emit: &mut impl FnMut(&[u8])) {
        let held = std::mem::take(&mut self.held_return);
        if held && byte != b'\n' {
            emit(b"\r");
        }
        if self.undo_crlf && byte == b'\r' {
            self.held_return = true;
        } else {
            emit(&[byte]);
        }
    }
}
