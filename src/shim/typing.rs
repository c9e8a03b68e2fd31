//! What is typed for the agent, by a person in the window or through the socket, and the size of
//! what they type into.

use nix::libc;

use super::supervise::Shim;
use super::{now, os};

/// Between text and the Enter after it: programs take an Enter glued to a paste for a line of it.
const ENTER_MS: u64 = 60;

impl Shim {
    pub(super) fn take_typed(&mut self) {
        let now_ms = now::monotonic_ms();
        let Some(window) = &mut self.parts.window else { return };
        let Some(bytes) = window.typed() else { return self.lose_window(now_ms) };
        window.pane.typed(now_ms);
        self.take_keys(&bytes);
    }

    /// Presses keys that a person typed somewhere.
    pub(super) fn take_keys(&mut self, bytes: &[u8]) {
        if self.parts.inner.is_some() {
            return self.type_in(bytes);
        }
        // Without a terminal of its own the agent still hears the two keys that mean "end".
        for (byte, signal) in [(0x03, libc::SIGINT), (0x1c, libc::SIGQUIT)] {
            if bytes.contains(&byte) && self.ended.is_none() {
                let _ = os::send(-self.parts.agent, signal);
            }
        }
    }

    /// Types bytes into the inner terminal, if there is one.
    pub(super) fn type_in(&mut self, bytes: &[u8]) {
        const CTRL_Z: u8 = 0x1a;
        if bytes.contains(&CTRL_Z) {
            self.suspend_key_ms = Some(now::monotonic_ms());
        }
        if let Some(inner) = &mut self.parts.inner {
            inner.typed.extend(bytes);
            inner.push();
        }
    }

    /// Types text as the agent's program wants it, and Enter a moment later.
    pub(super) fn type_text(&mut self, text: &str, enter: bool) {
        let bytes = self.dialogue.wrap(text);
        self.type_in(&bytes);
        if let Some(inner) = self.parts.inner.as_mut().filter(|_| enter) {
            inner.enter_due_ms = Some(now::monotonic_ms() + ENTER_MS);
        }
    }

    pub(super) fn press_enter(&mut self, now_ms: u64) {
        if let Some(inner) = &mut self.parts.inner
            && inner.enter_due_ms.is_some_and(|due| due <= now_ms)
        {
            inner.enter_due_ms = None;
            self.type_in(b"\r");
        }
    }

    /// Typed bytes that the agent has not read.
    pub(super) fn typed_bytes(&self) -> usize {
        self.parts.inner.as_ref().map_or(0, |inner| inner.typed.len())
    }

    /// Columns and rows of the inner terminal.
    pub(super) fn size(&self) -> Option<(u16, u16)> {
        self.parts.inner.as_ref().and_then(|inner| os::window_size(&inner.master))
    }

    /// Sets the size of the inner terminal.
    pub(super) fn resize(&mut self, columns: u16, rows: u16) {
        if let Some(inner) = &self.parts.inner {
            let _ = os::set_window_size(&inner.master, columns, rows);
        }
    }

    /// The window is gone; whether that is a stop, the server's life decides.
    pub(super) fn lose_window(&mut self, now_ms: u64) {
        if self.parts.window.take().is_some()
            && let Some(server) = &mut self.parts.server
        {
            server.suspect(now_ms);
        }
    }
}
