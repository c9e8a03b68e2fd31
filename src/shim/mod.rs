//! The shim: the process that stands in an attempt's window (or runs windowless) and holds one
//! agent. conmon for terminals.
//!
//! It depends neither on the daemon nor on tmux: it owns the agent's terminal or pipes, keeps the
//! log, knows the exact end, stops the whole descendant set, and leaves records behind that any
//! later daemon reads. One thread, one `poll`, no runtime, so that a thousand of them cost little.
//!
//! ```text
//! spec.json -> lock -> fork (held) -> started.json -> exec -> watch -> drained, set empty -> exit.json
//! ```
//! The agent executes nothing before `started.json` is on disk, and `exit.json` is not written
//! before the last descendant is gone: between the two, the lock on `spec.json` says who lives.

mod client;
mod dialogue;
mod ending;
mod escalate;
mod family;
mod frames;
mod hearing;
mod keys;
mod launch;
mod leaf;
mod lock;
mod log;
mod mark;
mod message;
mod modes;
mod notify;
mod now;
mod os;
mod osc;
mod pane;
mod plain;
mod pty;
mod reap;
mod record;
mod replay;
mod report;
mod requests;
mod screen;
mod sequences;
mod showing;
mod sockaddr;
mod socket;
mod spawn;
mod stop;
mod streams;
mod supervise;
mod typing;
mod view;
mod viewer;
mod window;

use std::path::Path;

pub use client::{AskError, ask};
pub use dialogue::overheard;
pub use launch::COMPLAINTS;
pub use lock::{REFUSED, holder};
pub use mark::{is_alive, mark_of};
pub use message::{Reply, Request, Status};

/// Shows the agent of the attempt directory `dir` in the terminal on standard input and output,
/// until it ends; returns the code that its shim ends with, or 1 with a word for a person on
/// standard error.
///
/// `server` is the tmux server, as `PID:TICKS`, whose window this is: when the window is closed
/// while that server lives, the agent is stopped. Without it Ctrl-\ leaves.
///
/// Must be called before any thread exists.
pub fn view(dir: &Path, server: Option<&str>) -> i32 {
    viewer::view(&viewer::Viewing { dir, server: server.and_then(viewer::server_of) })
}

/// Runs the agent of `dir` to its end and returns the code for the shim's own exit: the agent's
/// code, 128 + its signal, 127 or 126 when it could not be started, [`REFUSED`] for a second shim,
/// 66 without a spec, 74 when the records cannot be written.
///
/// Must be called before any thread exists and before any file is opened: it closes inherited
/// descriptors and forks.
pub fn run(dir: &Path) -> i32 {
    os::close_inherited();
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    match launch::launch(&dir) {
        Ok(mut shim) => {
            shim.watch();
            shim.finish()
        }
        Err(code) => code,
    }
}
