//! Where what the agent says goes: its output to log and window, its answers to its keyboard, and
//! what it says of itself to the record.

use super::now;
use super::streams::read_some;
use super::supervise::Shim;

/// Answers that an agent leaves unread at most; a program that asks and does not listen gets none.
const UNREAD_BYTES_MAX: usize = 64 * 1024;
/// The most that a pipe or a terminal keeps for who reads it (pipe(7): 1 MiB for users).
const PIPE_BYTES_MAX: usize = 1 << 20;

impl Shim {
    /// Reads what lies in open outputs when nobody is waited for any more: a shim that stood still
    /// meanwhile has not looked since. As much as a pipe holds at most, because a stranger may
    /// write on.
    pub(super) fn drain_rest(&mut self) {
        for index in 0..self.parts.sources.len() {
            let mut left = PIPE_BYTES_MAX;
            while left > 0 {
                let filled = self.drain(index);
                left = if filled == 0 { 0 } else { left.saturating_sub(filled) };
            }
        }
    }

    /// Log first, then the window; how many bytes there were.
    pub(super) fn drain(&mut self, index: usize) -> usize {
        let Some(source) = self.parts.sources.get_mut(index) else { return 0 };
        let Some(fd) = &source.fd else { return 0 };
        let (filled, over) = read_some(fd, &mut self.chunk);
        let (stream, now_ms, wall_ms) = (source.stream, now::monotonic_ms(), now::wall_ms());
        if over {
            source.fd = None;
        }
        if filled == 0 {
            return 0;
        }
        let alone = !self.is_shown();
        let bytes = &self.chunk[..filled];
        self.parts.log.append(now_ms, stream, bytes);
        let heard = self.dialogue.watch(index, bytes, alone, wall_ms);
        let own = self.parts.window.iter_mut().map(|window| &mut window.pane);
        for pane in own.chain(self.viewers.iter_mut().map(|viewer| &mut viewer.pane)) {
            // Right behind a report a bell cannot cut another sequence.
            let (before, after) = bytes.split_at(heard.bell.unwrap_or(filled));
            pane.push(now_ms, wall_ms, before);
            if heard.bell.is_some() {
                pane.push(now_ms, wall_ms, b"\x07");
                pane.push(now_ms, wall_ms, after);
            }
        }
        if heard.reported {
            self.parts.reporter.see(now_ms, self.dialogue.doing());
        }
        if self.typed_bytes() < UNREAD_BYTES_MAX {
            self.type_in(&heard.answers);
        }
        filled
    }

    /// Takes what was said on the agent's own socket.
    pub(super) fn hear(&mut self) {
        if let Some(notify) = &self.parts.notify {
            let words = notify.hear();
            self.parts.reporter.hear(now::monotonic_ms(), now::wall_ms(), words);
        }
    }

    /// Takes and writes down the last words.
    pub(super) fn hear_out(&mut self) {
        self.hear();
        self.parts.reporter.close(now::monotonic_ms());
    }
}
