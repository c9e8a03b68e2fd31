//! The switches of a terminal that a program has set and a new terminal must be told of: the
//! alternate screen, the mouse, the cursor, marked pastes, application keys.

/// DEC private modes that last, with what a terminal starts with. The alternate screen comes first,
/// because entering it changes where the rest is seen.
const KNOWN: [(u16, bool); 18] = [
    (47, false),
    (1047, false),
    (1049, false),
    (1, false),
    (5, false),
    (6, false),
    (7, true),
    (9, false),
    (25, true),
    (1000, false),
    (1002, false),
    (1003, false),
    (1004, false),
    (1005, false),
    (1006, false),
    (1015, false),
    (1016, false),
    (2004, false),
];
/// How many of them are the alternate screen.
const ALTERNATE: usize = 3;

/// What is switched from what a terminal starts with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Modes {
    /// One bit for each known mode that is not as at the start.
    switched: u32,
    /// Application keypad.
    keypad: bool,
}

impl Modes {
    /// Takes note of a control sequence, given without `ESC [`.
    pub(super) fn control(&mut self, body: &[u8]) {
        match body {
            [b'?', modes @ .., b'h'] => self.switch(modes, true),
            [b'?', modes @ .., b'l'] => self.switch(modes, false),
            // A soft reset leaves the screen and the mouse as they are.
            b"!p" => {
                self.keypad = false;
                self.switch(b"1;6", false);
                self.switch(b"7;25", true);
            }
            _ => {}
        }
    }

    /// Takes note of a sequence of `ESC` and one byte.
    pub(super) fn escape(&mut self, byte: u8) {
        match byte {
            b'=' => self.keypad = true,
            b'>' => self.keypad = false,
            b'c' => *self = Self::default(),
            _ => {}
        }
    }

    /// Whether the program draws on the alternate screen.
    pub(super) fn is_alternate(self) -> bool {
        (0..ALTERNATE).any(|index| self.is_switched(index))
    }

    /// Whether the program wants pastes marked.
    pub(super) fn marks_pastes(self) -> bool {
        KNOWN.iter().position(|(mode, _)| *mode == 2004).is_some_and(|i| self.is_switched(i))
    }

    /// What puts a fresh terminal into these modes.
    pub(super) fn replay(self) -> Vec<u8> {
        let keypad: &[u8] = if self.keypad { b"\x1b=" } else { b"" };
        [self.sequences(false).into_bytes(), keypad.to_vec()].concat()
    }

    /// What puts a terminal in these modes back into those it starts with.
    pub(super) fn undo(self) -> Vec<u8> {
        let keypad: &[u8] = if self.keypad { b"\x1b>" } else { b"" };
        [b"\x18\x1b[0m", keypad, self.sequences(true).as_bytes()].concat()
    }

    fn sequences(self, back: bool) -> String {
        let switched = KNOWN.iter().enumerate().filter(|(index, _)| self.is_switched(*index));
        let sequence = |(_, (mode, normal)): (usize, &(u16, bool))| {
            format!("\x1b[?{mode}{}", if *normal == back { 'h' } else { 'l' })
        };
        switched.map(sequence).collect()
    }

    fn switch(&mut self, modes: &[u8], on: bool) {
        for mode in modes.split(|byte| *byte == b';') {
            let number = std::str::from_utf8(mode).ok().and_then(|text| text.parse::<u16>().ok());
            let known = KNOWN.iter().position(|(mode, _)| number == Some(*mode));
            if let Some(index) = known {
                let bit = 1 << index;
                if on == KNOWN[index].1 {
                    self.switched &= !bit;
                } else {
                    self.switched |= bit;
                }
            }
        }
    }

    fn is_switched(self, index: usize) -> bool {
        self.switched & (1 << index) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_switched_is_replayed_and_undone() {
        let mut modes = Modes::default();
        assert_eq!(modes.replay(), b"");
        modes.control(b"?1049;2004h");
        modes.control(b"?25l");
        modes.control(b"?9999h");
        modes.control(b"31m");
        modes.escape(b'=');
        assert!(modes.is_alternate() && modes.marks_pastes());
        assert_eq!(modes.replay(), b"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b=");
        assert_eq!(modes.undo(), b"\x18\x1b[0m\x1b>\x1b[?1049l\x1b[?25h\x1b[?2004l");
        modes.control(b"?1049;2004l");
        modes.control(b"?25h");
        modes.escape(b'>');
        assert_eq!(modes, Modes::default());
    }

    #[test]
    fn resets_are_known() {
        let mut modes = Modes::default();
        modes.control(b"?1;1000h");
        modes.control(b"?25l");
        modes.control(b"!p");
        assert_eq!(modes.replay(), b"\x1b[?1000h");
        modes.escape(b'c');
        assert_eq!(modes, Modes::default());
    }
}
