//! Fencing: when a shim was killed, nobody holds its agent any more. Before anything is retried,
//! every process that carries the attempt's token in its environment is killed, and the set is
//! looked at again until it is empty (design §3). An agent that cleared its environment escapes
//! this; catching that needs a cgroup.

use std::fs;
use std::io;

use crate::model::{ProcessMark, Token};

use super::process::{self, Signal};

/// Kills what is left of an attempt. Returns the processes that were still there at the last look;
/// none means proven gone.
///
/// # Errors
/// When nobody could look, which proves nothing.
pub(super) fn sweep(token: &Token, boot_id: &str) -> io::Result<Vec<ProcessMark>> {
    for _ in 0..100 {
        let left = carriers(token, boot_id)?;
        if left.is_empty() {
            return Ok(left);
        }
        for mark in &left {
            process::signal(mark, boot_id, Signal::KILL);
            // A process that dies is waited for by its own handle, so the next look is not idle.
            process::gone_within(mark, boot_id, 100);
        }
    }
    carriers(token, boot_id)
}

fn carriers(token: &Token, boot_id: &str) -> io::Result<Vec<ProcessMark>> {
    let needle = format!("MUXVISOR_TOKEN={}", token.as_str());
    // We carry a token ourselves when an agent's command started us.
    let own = i32::try_from(std::process::id()).ok();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        if Some(pid) != own && carries(pid, needle.as_bytes())? {
            let mark = process::mark(pid, boot_id);
            if process::open(&mark, boot_id)?.is_some() {
                found.push(mark);
            }
        }
    }
    Ok(found)
}

/// Processes of other users cannot be read, and are none of ours; nor are those that are gone.
fn carries(pid: i32, needle: &[u8]) -> io::Result<bool> {
    match fs::read(format!("/proc/{pid}/environ")) {
        Ok(environ) => Ok(environ.split(|byte| *byte == 0).any(|entry| entry == needle)),
        Err(error) if is_shortage(&error) => Err(error),
        Err(_) => Ok(false),
    }
}

fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
