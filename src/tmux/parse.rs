//! Reads the control-mode stream: bytes in, frames out, whatever the chunking. Pure.
//!
//! ```text
//! %begin 1795256032 271 1      the tag: time, number, flags
//! any bytes, even %lines       the body, one LF after each line
//! %end 1795256032 271 1        exactly the same tag, or %error
//! %window-add @3               outside a block: a notification
//! ```

use std::mem::take;

/// The longest block or notification that is read; far above any reply we ask for.
const FRAME_MAX_BYTES: usize = 64 << 20;

/// What one `%begin … %end` or one notification said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The reply to one command.
    Reply {
        /// Whether the command came from this client: the server starts blocks of its own.
        ours: bool,
        /// `%end` (true) or `%error` (false).
        good: bool,
        /// The output, one LF after each line.
        body: Vec<u8>,
    },
    /// A line outside any block, without its LF: `%window-close @3`.
    Notification(Vec<u8>),
}

/// The stream holds a frame that is longer than 64 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of the control stream is longer than {FRAME_MAX_BYTES} bytes")]
pub struct Overflow;

/// The state between two chunks.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    block: Option<Block>,
}

#[derive(Debug)]
struct Block {
    tag: Vec<u8>,
    body: Vec<u8>,
}

impl Parser {
    /// Takes the next bytes of the stream and returns the frames they complete.
    ///
    /// # Errors
    /// When a frame is longer than any honest one; the stream is of no use after that.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<Frame>, Overflow> {
        let mut frames = Vec::new();
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.line.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let line = take(&mut self.line);
            frames.extend(self.take_line(line));
        }
        self.line.extend_from_slice(bytes);
        let held = self.line.len() + self.block.as_ref().map_or(0, |block| block.body.len());
        if held > FRAME_MAX_BYTES { Err(Overflow) } else { Ok(frames) }
    }

    fn take_line(&mut self, line: Vec<u8>) -> Option<Frame> {
        let Some(block) = &mut self.block else { return self.take_outside(line) };
        // Only the exact tag ends a block: a body may hold lines that look like an end.
        if let Some(good) = block.ended_by(&line) {
            let ours = block.tag.rsplit(|b| *b == b' ').next() == Some(b"1");
            let body = take(&mut block.body);
            self.block = None;
            return Some(Frame::Reply { ours, good, body });
        }
        block.body.extend_from_slice(&line);
        block.body.push(b'\n');
        None
    }

    fn take_outside(&mut self, line: Vec<u8>) -> Option<Frame> {
        let Some(tag) = line.strip_prefix(b"%begin ") else {
            return Some(Frame::Notification(line));
        };
        self.block = Some(Block { tag: tag.to_vec(), body: Vec::new() });
        None
    }
}

impl Block {
    fn ended_by(&self, line: &[u8]) -> Option<bool> {
        let (good, tag) = line
            .strip_prefix(b"%end ")
            .map(|tag| (true, tag))
            .or_else(|| line.strip_prefix(b"%error ").map(|tag| (false, tag)))?;
        (tag == self.tag).then_some(good)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(bytes: &[u8]) -> Vec<Frame> {
        Parser::default().push(bytes).unwrap()
    }

    fn reply(body: &[u8]) -> Frame {
        Frame::Reply { ours: true, good: true, body: body.to_vec() }
    }

    #[test]
    fn replies_and_notifications_are_told_apart() {
        let frames = parse(
            b"%begin 1 7 0\n%end 1 7 0\n%session-changed $0 x\n%begin 1 8 1\none\n\ntwo\n%end 1 8 1\n\
              %begin 1 9 1\nno such\n%error 1 9 1\n",
        );
        assert_eq!(
            frames,
            [
                Frame::Reply { ours: false, good: true, body: vec![] },
                Frame::Notification(b"%session-changed $0 x".to_vec()),
                reply(b"one\n\ntwo\n"),
                Frame::Reply { ours: true, good: false, body: b"no such\n".to_vec() },
            ]
        );
    }

    #[test]
    fn only_the_exact_tag_ends_a_block() {
        let body =
            b"%end 1 8 0\n%end 1 80 1\n%end 1 8 1 \n%error 1 7 1\n%begin 1 8 1\n %end 1 8 1\n";
        let stream = [&b"%begin 1 8 1\n"[..], body, b"%end 1 8 1\n"].concat();
        assert_eq!(parse(&stream), [reply(body)]);
    }

    #[test]
    fn empty_bodies_and_empty_lines_differ() {
        assert_eq!(parse(b"%begin 1 8 1\n%end 1 8 1\n"), [reply(b"")]);
        assert_eq!(parse(b"%begin 1 8 1\n\n%end 1 8 1\n"), [reply(b"\n")]);
    }

    /// Fault 22: a line longer than any reader's default buffer.
    #[test]
    fn long_lines_arrive_whole() {
        let long = [vec![b'x'; 1 << 20], vec![b'\n']].concat();
        let stream = [&b"%begin 1 8 1\n"[..], &long, b"%end 1 8 1\n"].concat();
        assert_eq!(parse(&stream), [reply(&long)]);
    }

    #[test]
    fn a_frame_without_end_is_refused() {
        let mut parser = Parser::default();
        let chunk = vec![b'x'; 1 << 20];
        let full = (0..=64).find_map(|_| parser.push(&chunk).err());
        assert_eq!(full, Some(Overflow));
    }

    /// Lines that come close to the real grammar, mixed with arbitrary bytes.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            (0..3u8, 0..2u8).prop_map(|(n, f)| format!("%begin 1 {n} {f}\n").into_bytes()),
            (0..3u8, 0..2u8).prop_map(|(n, f)| format!("%end 1 {n} {f}\n").into_bytes()),
            (0..3u8, 0..2u8).prop_map(|(n, f)| format!("%error 1 {n} {f}\n").into_bytes()),
            Just(b"%window-close @3\n".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..20),
        ];
        proptest::collection::vec(line, 0..30).prop_map(|lines| lines.concat())
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_frames(
            bytes in stream(),
            cuts in proptest::collection::vec(1..9usize, 1..50),
        ) {
            let mut parser = Parser::default();
            let (mut rest, mut frames) = (&bytes[..], Vec::new());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (chunk, more) = rest.split_at((*cut).min(rest.len()));
                frames.extend(parser.push(chunk).unwrap());
                rest = more;
            }
            prop_assert_eq!(frames, parse(&bytes));
        }
    }
}
