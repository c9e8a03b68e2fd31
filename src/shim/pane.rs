//! What the window is shown: a bounded queue, written in batches, dropped when the window is slow.
//!
//! The cost of a window is tmux waking up, so output waits for the next multiple of a step on the
//! wall clock: the windows of a whole fleet wake tmux together. The log has every byte already, so
//! a window that does not keep up loses the oldest, with a visible marker, and never holds anybody.

/// Step of the batches while nobody looks.
const STEP_MS: u64 = 250;
/// Step while somebody looks.
const LOOK_STEP_MS: u64 = 20;
/// Bytes that wait for the window at most.
const QUEUE_BYTES_MAX: usize = 64 * 1024;
/// From here on bytes are offered to the window at once.
const QUEUE_BYTES_HIGH: usize = 16 * 1024;

/// The queue in front of one window.
#[derive(Default)]
pub(super) struct Pane {
    queue: Vec<u8>,
    /// Bytes dropped and not yet reported.
    dropped: u64,
    due_ms: Option<u64>,
    looking: bool,
    /// After typed input somebody looks for a while.
    looking_until_ms: u64,
    /// Whether the window refused bytes; then its readiness, not time, decides.
    stuck: bool,
    /// Set for agents on pipes, whose lines end in LF while the window is raw.
    add_returns: bool,
    last: u8,
}

impl Pane {
    /// An empty queue; `add_returns` makes CRLF of LF.
    pub(super) fn new(add_returns: bool) -> Self {
        Self { add_returns, ..Self::default() }
    }

    /// Somebody looks, or no longer.
    pub(super) fn look(&mut self, fast: bool) {
        self.looking = fast;
    }

    /// Somebody typed.
    pub(super) fn typed(&mut self, now_ms: u64) {
        self.looking_until_ms = now_ms + 5_000;
    }

    /// Queues output; `wall_ms` aligns the batch with those of other windows.
    pub(super) fn push(&mut self, now_ms: u64, wall_ms: i64, bytes: &[u8]) {
        for byte in bytes {
            if self.add_returns && *byte == b'\n' && self.last != b'\r' {
                self.queue.push(b'\r');
            }
            self.queue.push(*byte);
            self.last = *byte;
        }
        self.shorten();
        let step =
            if self.looking || now_ms < self.looking_until_ms { LOOK_STEP_MS } else { STEP_MS };
        let wait = step - wall_ms.unsigned_abs() % step;
        let due = *self.due_ms.get_or_insert(now_ms + wait);
        // A burst does not wait, and neither does what follows once somebody begins to look.
        let soonest = if self.queue.len() >= QUEUE_BYTES_HIGH { now_ms } else { now_ms + wait };
        self.due_ms = Some(due.min(soonest));
    }

    /// When the next batch is due; `None` with nothing to show or while the window is stuck.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.due_ms.filter(|_| !self.stuck)
    }

    /// Whether bytes wait for the window to become writable.
    pub(super) fn waits_for_window(&self) -> bool {
        self.stuck
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Offers what waits to `write`, which says how much the window took.
    pub(super) fn flush(&mut self, mut write: impl FnMut(&[u8]) -> usize) {
        self.report_drop();
        let taken = write(&self.queue).min(self.queue.len());
        self.queue.drain(..taken);
        self.stuck = !self.queue.is_empty();
        if !self.stuck {
            self.due_ms = None;
            // What one burst took is given back, so that an idle shim stays small.
            self.queue.shrink_to(QUEUE_BYTES_HIGH);
        }
    }

    /// Drops the older half of a full queue, up to the end of a line: a cut in the middle of an
    /// escape sequence would show as dirt.
    fn shorten(&mut self) {
        if self.queue.len() <= QUEUE_BYTES_MAX {
            return;
        }
        let half = self.queue.len() - QUEUE_BYTES_MAX / 2;
        let line = self.queue[half..].iter().take(4096).position(|b| *b == b'\n');
        let cut = line.map_or(half, |at| half + at + 1);
        self.queue.drain(..cut);
        self.dropped += cut as u64;
    }

    fn report_drop(&mut self) {
        if self.dropped > 0 {
            // CAN ends a sequence that was cut, SGR 0 its colours.
            let marker = format!("\x18\x1b[0m\r\n[muxvisor: {} bytes not shown]\r\n", self.dropped);
            self.queue.splice(0..0, marker.into_bytes());
            self.dropped = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pane: &mut Pane) -> Vec<u8> {
        let mut shown = Vec::new();
        pane.flush(|bytes| {
            shown.extend_from_slice(bytes);
            bytes.len()
        });
        shown
    }

    #[test]
    fn batches_fall_on_multiples_of_the_wall_clock() {
        let mut pane = Pane::new(false);
        pane.push(5000, 1_700_000_000_100, b"a");
        assert_eq!(pane.due_ms(), Some(5150));
        pane.push(5100, 1_700_000_000_200, b"b");
        assert_eq!(pane.due_ms(), Some(5150));
        assert_eq!(all(&mut pane), b"ab");
        assert_eq!(pane.due_ms(), None);
    }

    #[test]
    fn who_looks_or_types_waits_less() {
        let mut pane = Pane::new(false);
        pane.look(true);
        pane.push(0, 15, b"a");
        assert_eq!(pane.due_ms(), Some(5));
        pane.look(false);
        all(&mut pane);
        pane.typed(100);
        pane.push(100, 0, b"a");
        assert_eq!(pane.due_ms(), Some(120));
        all(&mut pane);
        pane.push(6000, 0, b"a");
        assert_eq!(pane.due_ms(), Some(6250));
    }

    /// Fault 66: a window that takes nothing costs a bounded queue, and says what is missing.
    #[test]
    fn a_stuck_window_loses_the_oldest_with_a_marker() {
        let mut pane = Pane::new(false);
        let line = [b'x'; 99].iter().copied().chain([b'\n']).collect::<Vec<u8>>();
        for _ in 0..10_000 {
            pane.push(0, 0, &line);
            pane.flush(|_| 0);
            assert!(pane.queue.len() <= QUEUE_BYTES_MAX + 200);
        }
        pane.push(0, 0, b"end\n");
        assert!(pane.waits_for_window() && pane.due_ms().is_none());
        let shown = String::from_utf8(all(&mut pane)).unwrap();
        assert!(shown.contains("bytes not shown]") && shown.ends_with("x\nend\n"), "{shown}");
        assert!(!pane.waits_for_window() && pane.is_empty());
    }

    #[test]
    fn lines_of_agents_on_pipes_get_returns() {
        let mut pane = Pane::new(true);
        pane.push(0, 0, b"a\nb\r");
        pane.push(0, 0, b"\nc");
        assert_eq!(all(&mut pane), b"a\r\nb\r\nc");
    }
}
