//! Frames: four bytes of length, most significant first, then so many bytes of JSON.
//!
//! Pure. The decoder never holds more than the limit and one read, whatever length is announced,
//! and an error is final: there is no way back into step.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest frame from a client, in bytes.
pub const REQUEST_BYTES_MAX: usize = 4 << 20;
/// The longest frame to a client, in bytes.
pub const REPLY_BYTES_MAX: usize = 64 << 20;

const HEAD: usize = 4;

/// Why bytes are no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// More than the limit.
    #[error("a message of {bytes} bytes is longer than the {limit} bytes that may be sent")]
    TooLong {
        /// Its length, as announced or as built.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Announced with no bytes at all; no JSON value is that short.
    #[error("an empty message")]
    Empty,
    /// Not the JSON that was expected.
    #[error("not a message: {0}")]
    Content(String),
}

/// Puts bytes together to frames.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    bytes: Vec<u8>,
    failed: Option<FrameError>,
}

impl Decoder {
    /// A decoder that refuses frames longer than `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self { limit, bytes: Vec::new(), failed: None }
    }

    /// Takes bytes as they come. After an error they are thrown away.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// The next frame's content, or `None` while it is not complete.
    ///
    /// # Errors
    /// When the announced length is 0 or over the limit; then for ever.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let Some(head) = self.bytes.first_chunk::<HEAD>() else { return Ok(None) };
        let length = u32::from_be_bytes(*head) as usize;
        if length == 0 {
            return Err(self.fail(FrameError::Empty));
        }
        if length > self.limit {
            return Err(self.fail(FrameError::TooLong { bytes: length, limit: self.limit }));
        }
        if self.bytes.len() < HEAD + length {
            return Ok(None);
        }
        let rest = self.bytes.split_off(HEAD + length);
        let mut frame = std::mem::replace(&mut self.bytes, rest);
        frame.drain(..HEAD);
        Ok(Some(frame))
    }

    /// How many bytes wait for the rest of their frame.
    pub fn pending(&self) -> usize {
        self.bytes.len()
    }

    fn fail(&mut self, error: FrameError) -> FrameError {
        self.bytes = Vec::new();
        self.failed = Some(error.clone());
        error
    }
}

/// The frame of a value.
///
/// # Errors
/// When it is longer than `limit` bytes, or cannot be written as JSON.
pub fn encode(value: &impl Serialize, limit: usize) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0; HEAD];
    serde_json::to_writer(&mut bytes, value).map_err(|e| FrameError::Content(e.to_string()))?;
    let length = bytes.len() - HEAD;
    let head = u32::try_from(length).ok().filter(|_| length <= limit);
    let head = head.ok_or(FrameError::TooLong { bytes: length, limit })?;
    bytes[..HEAD].copy_from_slice(&head.to_be_bytes());
    Ok(bytes)
}

/// The value of a frame's content.
///
/// # Errors
/// When it is not the JSON of such a value.
pub fn decode<T: DeserializeOwned>(content: &[u8]) -> Result<T, FrameError> {
    serde_json::from_slice(content).map_err(|e| FrameError::Content(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_survives_any_cut() {
        let frame = encode(&"hello", 100).unwrap();
        assert_eq!(frame, b"\0\0\0\x07\"hello\"");
        for cut in 0..frame.len() {
            let mut decoder = Decoder::new(100);
            decoder.feed(&frame[..cut]);
            assert_eq!(decoder.next_frame(), Ok(None), "cut at {cut}");
            decoder.feed(&frame[cut..]);
            assert_eq!(decoder.next_frame(), Ok(Some(b"\"hello\"".to_vec())), "cut at {cut}");
            assert_eq!(decoder.pending(), 0);
        }
    }

    #[test]
    fn a_length_over_the_limit_is_final_and_holds_nothing() {
        let mut decoder = Decoder::new(10);
        decoder.feed(&[0xff; 64]);
        let error = FrameError::TooLong { bytes: 0xffff_ffff, limit: 10 };
        assert_eq!(decoder.next_frame(), Err(error.clone()));
        decoder.feed(&encode(&1, 10).unwrap());
        assert_eq!(decoder.next_frame(), Err(error));
        assert_eq!(decoder.pending(), 0);
    }

    #[test]
    fn empty_and_oversized_messages_are_refused() {
        let mut decoder = Decoder::new(10);
        decoder.feed(&[0; 4]);
        assert_eq!(decoder.next_frame(), Err(FrameError::Empty));
        let long = encode(&"twelve bytes", 10);
        assert_eq!(long, Err(FrameError::TooLong { bytes: 14, limit: 10 }));
    }
}
