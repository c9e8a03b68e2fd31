//! Answers to what is asked on the shim's socket.

use super::message::{Reply, Request, Status};
use super::supervise::Shim;
use super::{family, keys, now};
use crate::failpoint;

/// Typed bytes that wait for the agent at most.
const TYPED_BYTES_MAX: usize = 8 * 1024 * 1024;

const NO_SIZE: &str = "a terminal has at least one column and one row";

impl Shim {
    /// Serves one client: every whole line gets one line back.
    pub(super) fn serve(&mut self, client: usize) {
        let Some(socket) = &mut self.parts.socket else { return };
        for line in socket.read(client) {
            let reply = match serde_json::from_slice(&line) {
                Ok(Request::View { columns, rows, server }) if columns > 0 && rows > 0 => {
                    let size = (columns, rows);
                    return failpoint::step("shim.admit", || self.admit(client, size, server));
                }
                Ok(request) => failpoint::step("shim.answer", || self.answer(request)),
                Err(error) => refuse(format!("not a request: {error}")),
            };
            let mut line = serde_json::to_vec(&reply).unwrap_or_default();
            line.push(b'\n');
            if let Some(socket) = &mut self.parts.socket {
                socket.reply(client, &line);
            }
        }
    }

    fn answer(&mut self, request: Request) -> Reply {
        let now_ms = now::monotonic_ms();
        match request {
            Request::Status => return Reply::Status(self.status()),
            Request::Stop { how } => self.stop(now_ms, how),
            Request::Kill => self.kill(now_ms),
            Request::Send { text, enter } => {
                return self.typing(text.len(), |shim| shim.type_text(&text, enter));
            }
            Request::Prompt { text } => {
                if self.prompted {
                    return Reply::Done;
                }
                let reply = self.typing(text.len(), |shim| shim.type_text(&text, true));
                self.prompted = reply == Reply::Done;
                return reply;
            }
            Request::Keys { keys } => {
                let bytes: Vec<u8> = keys.iter().flat_map(|key| keys::bytes_of(key)).collect();
                return self.typing(bytes.len(), |shim| shim.type_in(&bytes));
            }
            Request::Size { columns, rows } => {
                if columns == 0 || rows == 0 {
                    return refuse(NO_SIZE.to_owned());
                }
                return self.typing(0, |shim| shim.resize(columns, rows));
            }
            Request::View { .. } => return refuse(NO_SIZE.to_owned()),
            Request::Look { fast } => self.look(fast),
        }
        Reply::Done
    }

    /// Does what needs an inner terminal with room for `bytes` more typed bytes.
    fn typing(&mut self, bytes: usize, act: impl FnOnce(&mut Self)) -> Reply {
        if self.parts.inner.is_none() {
            return refuse("this agent has no terminal".to_owned());
        }
        if self.ended.is_some() {
            return refuse("this agent has ended".to_owned());
        }
        if self.typed_bytes() + bytes > TYPED_BYTES_MAX {
            return refuse("the agent does not read its input".to_owned());
        }
        // An Enter that is still to come belongs to what was sent before.
        self.press_enter(u64::MAX);
        act(self);
        Reply::Done
    }

    fn status(&self) -> Status {
        Status {
            started: self.parts.started.clone(),
            running: self.ended.is_none(),
            suspended: self.suspended,
            alive: family::count(),
            log_bytes: self.parts.log.bytes(),
            stopping: self.stopping,
            windowed: self.parts.window.is_some(),
            views: self.viewers.windows(),
            deciding: self.parts.server.as_ref().is_some_and(|server| server.due_ms().is_some()),
            size: self.size(),
        }
    }
}

fn refuse(message: String) -> Reply {
    Reply::Refused { message }
}
