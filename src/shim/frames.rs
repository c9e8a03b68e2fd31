//! What a viewer tells a shim once it looks on: small frames, because its input and the size of
//! its terminal share one stream. The other way goes plain output.
//!
//! ```text
//! kind (1 byte)  length (2 bytes, big endian)  payload
//! 'i' typed bytes      's' columns and rows, 2 bytes each      'h' the window is gone, empty
//! ```

/// A payload is never longer.
const PAYLOAD_BYTES_MAX: usize = 4096;
const HEAD_BYTES: usize = 3;

/// One thing that a viewer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// This was typed.
    Input(Vec<u8>),
    /// The terminal has this size now.
    Size {
        /// Width in cells.
        columns: u16,
        /// Height in cells.
        rows: u16,
    },
    /// The window that the viewer stands in went away.
    Hangup,
}

/// The bytes of what was typed, in as many frames as that takes.
pub(super) fn input(typed: &[u8]) -> Vec<u8> {
    typed.chunks(PAYLOAD_BYTES_MAX).flat_map(|piece| frame(b'i', piece)).collect()
}

/// The bytes of a new size.
pub(super) fn size(columns: u16, rows: u16) -> Vec<u8> {
    frame(b's', &[columns.to_be_bytes(), rows.to_be_bytes()].concat())
}

/// The bytes of a hang-up.
pub(super) fn hangup() -> Vec<u8> {
    frame(b'h', &[])
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("a payload is at most 4096 bytes long");
    [&[kind], &length.to_be_bytes()[..], payload].concat()
}

/// Puts frames together from bytes that arrive cut anywhere.
#[derive(Default)]
pub(super) struct Decoder {
    received: Vec<u8>,
}

/// What cannot have come from a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Garbage;

impl Decoder {
    /// A decoder that has these bytes already.
    pub(super) fn with(received: Vec<u8>) -> Self {
        Self { received }
    }

    /// Takes more bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// The next complete frame.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, Garbage> {
        let [kind, high, low, rest @ ..] = self.received.as_slice() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length > PAYLOAD_BYTES_MAX {
            return Err(Garbage);
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let frame = match (kind, payload) {
            (b'i', typed) => Frame::Input(typed.to_vec()),
            (b's', [c1, c2, r1, r2]) => Frame::Size {
                columns: u16::from_be_bytes([*c1, *c2]),
                rows: u16::from_be_bytes([*r1, *r2]),
            },
            (b'h', []) => Frame::Hangup,
            (_, _) => return Err(Garbage),
        };
        self.received.drain(..HEAD_BYTES + length);
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_arrive_however_they_are_cut() {
        let typed = vec![b'x'; PAYLOAD_BYTES_MAX + 1];
        let said = [input(&typed), size(200, 50), hangup()].concat();
        let mut decoder = Decoder::default();
        let mut heard = Vec::new();
        for byte in said {
            decoder.push(&[byte]);
            heard.extend(decoder.next().unwrap());
        }
        let expected = [
            Frame::Input(typed[1..].to_vec()),
            Frame::Input(b"x".to_vec()),
            Frame::Size { columns: 200, rows: 50 },
            Frame::Hangup,
        ];
        assert_eq!(heard, expected);
        assert_eq!(input(b""), b"");
    }

    #[test]
    fn what_is_no_frame_is_known_at_once() {
        let cases: [&[u8]; 5] =
            [b"x\0\0", b"s\0\x02ab", b"h\0\x01a", b"i\xff\xff", b"GET / HTTP/1.1\r\n"];
        for bytes in cases {
            assert_eq!(Decoder::with(bytes.to_vec()).next(), Err(Garbage), "{bytes:?}");
        }
    }
}
