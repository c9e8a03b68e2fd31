//! The log and its index: every byte the agent wrote, and when. Written before anything is shown.
//!
//! A full or broken disk never stops the agent: what cannot be written is dropped, the gap is
//! marked in the index as soon as it takes a line again, and every chunk tries anew.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use crate::failpoint;
use crate::model::files;

/// Output closer together than this shares an index line.
const INDEX_STEP_MS: u64 = 10;

/// `output.log` and `output.idx`.
pub(super) struct Log {
    log: File,
    index: File,
    log_length: u64,
    index_length: u64,
    started_ms: u64,
    /// Time and stream of the last index line.
    last: Option<(u64, char)>,
    gap: bool,
    gap_unmarked: bool,
}

impl Log {
    /// Opens both files for appending; `started_ms` is the index's zero on the monotonic clock.
    pub(super) fn open(dir: &Path, started_ms: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let (log, index) =
            (options.open(dir.join(files::LOG))?, options.open(dir.join(files::INDEX))?);
        let (log_length, index_length) = (log.metadata()?.len(), index.metadata()?.len());
        let (last, gap, gap_unmarked) = (None, false, false);
        Ok(Self { log, index, log_length, index_length, started_ms, last, gap, gap_unmarked })
    }

    /// Appends what `stream` (`t`, `o` or `e`) said.
    pub(super) fn append(&mut self, now_ms: u64, stream: char, bytes: &[u8]) {
        let offset = self.log_length;
        let written = write_most(&mut self.log, bytes);
        self.log_length += written as u64;
        if self.gap_unmarked && written > 0 {
            self.gap_unmarked = !self.note(now_ms, offset, 'g');
        }
        if written > 0 && self.is_due(now_ms, stream) && self.note(now_ms, offset, stream) {
            self.last = Some((now_ms, stream));
        }
        if written < bytes.len() {
            (self.gap, self.gap_unmarked, self.last) = (true, true, None);
        }
    }

    /// Bytes in the log.
    pub(super) fn bytes(&self) -> u64 {
        self.log_length
    }

    /// The last bytes of the log, at most `most`; nothing when they cannot be read.
    pub(super) fn tail(&self, most: usize) -> Vec<u8> {
        let from = self.log_length.saturating_sub(most as u64);
        let mut bytes = vec![0; usize::try_from(self.log_length - from).unwrap_or(0)];
        let read = self.log.read_exact_at(&mut bytes, from);
        read.map(|()| bytes).unwrap_or_default()
    }

    /// Whether output was lost.
    pub(super) fn has_gap(&self) -> bool {
        self.gap
    }

    /// Marks a gap that no later output has marked.
    pub(super) fn close(&mut self, now_ms: u64) {
        if self.gap_unmarked {
            self.gap_unmarked = !self.note(now_ms, self.log_length, 'g');
        }
    }

    fn is_due(&self, now_ms: u64, stream: char) -> bool {
        self.last.is_none_or(|(at, of)| of != stream || now_ms >= at + INDEX_STEP_MS)
    }

    /// Writes one index line; a line that fits only in part is taken back.
    fn note(&mut self, now_ms: u64, offset: u64, stream: char) -> bool {
        let line = format!("{} {offset} {stream}\n", now_ms.saturating_sub(self.started_ms));
        let written = write_most(&mut self.index, line.as_bytes());
        if written < line.len() {
            let _ = self.index.set_len(self.index_length);
            return false;
        }
        self.index_length += written as u64;
        true
    }
}

/// Writes until the first error and says how far it came.
fn write_most(file: &mut File, bytes: &[u8]) -> usize {
    let mut done = 0;
    while done < bytes.len() {
        match failpoint::io("shim.write-log", || file.write(&bytes[done..])) {
            Ok(0) => break,
            Ok(more) => done += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(dir: &Path, name: &str) -> String {
        std::fs::read_to_string(dir.join(name)).unwrap()
    }

    #[test]
    fn streams_and_pauses_get_index_lines_and_bursts_share_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), 1000).unwrap();
        log.append(1000, 'o', b"ab");
        log.append(1004, 'o', b"cd");
        log.append(1005, 'e', b"!");
        log.append(1500, 'e', b"?");
        assert_eq!(text(dir.path(), files::LOG), "abcd!?");
        assert_eq!(text(dir.path(), files::INDEX), "0 0 o\n5 4 e\n500 5 e\n");
        assert!(!log.has_gap());
    }

    /// Fault 62: a full disk is a marked gap, not a stop.
    #[test]
    fn a_full_disk_is_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", dir.path().join(files::LOG)).unwrap();
        let mut log = Log::open(dir.path(), 0).unwrap();
        log.append(1, 't', b"lost");
        log.close(2);
        assert!(log.has_gap());
        assert_eq!(log.bytes(), 0);
        assert_eq!(text(dir.path(), files::INDEX), "2 0 g\n");
    }

    /// Fault 62: when space returns, the gap is marked where it lies and the log goes on.
    #[test]
    fn output_after_a_gap_is_kept_and_the_gap_is_marked_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), 0).unwrap();
        log.append(1, 't', b"abc");
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let disk = std::mem::replace(&mut log.log, full);
        log.append(2, 't', b"lost");
        log.append(3, 't', b"lost too");
        log.log = disk;
        log.append(4, 't', b"def");
        assert_eq!(text(dir.path(), files::LOG), "abcdef");
        assert_eq!(text(dir.path(), files::INDEX), "1 0 t\n4 3 g\n4 3 t\n");
        assert!(log.has_gap() && log.bytes() == 6);
    }
}
