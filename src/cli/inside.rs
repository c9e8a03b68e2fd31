//! How a command that runs inside an agent asks the daemon. It never starts one: a daemon below an
//! agent would end with it. When the daemon dies meanwhile, its successor is waited for and asked.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::deadline::{Deadline, Notice};
use super::desk::Desk;
use super::failure::{unreadable, usage};
use crate::control::{ClientError, Failure, FailureKind, Inside, Request};
use crate::document::parse_duration;

/// What to do where sockets are refused.
pub(crate) const SANDBOXED: &str = "a sandbox keeps this command from sockets; give the agent one that allows them, or let its \
     output be its result";
/// How long a daemon that is gone is waited for: somebody's next command starts it.
const GONE_MAX: Duration = Duration::from_secs(600);
/// How often it is looked for without a notice.
const EVERY: Duration = Duration::from_millis(250);
/// How long one answer is waited for, before the same is asked again.
const ROUND: Duration = Duration::from_secs(30);
/// The longest text that is handed over.
const TEXT_MAX: u64 = 1 << 20;

/// Asks something that may be asked twice.
pub(crate) fn ask<T: DeserializeOwned>(desk: &Desk, inside: Inside) -> Result<T, Failure> {
    let client = desk.client()?;
    let request = Request::Inside(Box::new(inside));
    let deadline = Deadline::after(Some(GONE_MAX));
    let socket = client.path().to_owned();
    let notice = Notice::on(socket.parent().unwrap_or(&socket));
    loop {
        match client.ask_for(&request) {
            Err(error @ (ClientError::Lost(_) | ClientError::Unreachable { .. }))
                if is_inside(desk) && !is_forbidden(&error) && !deadline.passed() =>
            {
                notice.wait(EVERY);
            }
            Err(error @ (ClientError::Unreachable { .. } | ClientError::Lost(_))) => {
                return Err(unreachable(&error));
            }
            answered => return Ok(answered?),
        }
    }
}

/// Asks something that must not be asked twice.
pub(crate) fn ask_once<T: DeserializeOwned>(desk: &Desk, inside: Inside) -> Result<T, Failure> {
    match desk.client()?.ask_for(&Request::Inside(Box::new(inside))) {
        Err(ClientError::Lost(error)) => {
            let message = format!("the daemon was lost before it answered: {error}");
            Err(Failure::new(FailureKind::Unreachable, message)
                .hint("whether it was recorded is not known; `muxvisor items show` tells"))
        }
        Err(error @ ClientError::Unreachable { .. }) => Err(unreachable(&error)),
        answered => Ok(answered?),
    }
}

fn is_inside(desk: &Desk) -> bool {
    desk.shell.get("MUXVISOR_TOKEN").is_some()
}

/// Whether no daemon could ever be asked from here, so that waiting for one would be in vain.
fn is_forbidden(error: &ClientError) -> bool {
    let ClientError::Unreachable { source, .. } = error else { return false };
    source.kind() == io::ErrorKind::PermissionDenied
}

fn unreachable(error: &ClientError) -> Failure {
    let hint = match is_forbidden(error) {
        true => SANDBOXED,
        false => {
            "this works inside an agent that muxvisor runs, whose daemon any command outside starts"
        }
    };
    Failure::new(FailureKind::Unreachable, error.to_string()).hint(hint)
}

/// How long the next answer may take, in milliseconds; nothing when it is not waited for.
pub(crate) fn round_ms(deadline: &Deadline) -> u64 {
    let left = deadline.left().unwrap_or(ROUND).min(ROUND);
    u64::try_from(left.as_millis()).unwrap_or(0)
}

/// A key that no other call has, so that the same call is known when it is heard twice.
pub(crate) fn key() -> String {
    let random = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    format!("{}-{}", std::process::id(), random.trim())
}

/// A text that stands in an argument, in a file, or on standard input (`-`).
pub(crate) fn text(
    desk: &Desk,
    given: Option<&str>,
    file: Option<&Path>,
    what: &str,
) -> Result<String, Failure> {
    let read = |from: &mut dyn Read| -> io::Result<String> {
        let mut text = String::new();
        from.take(TEXT_MAX + 1).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = match (given, file) {
        (None | Some("-"), Some(file)) if file != Path::new("-") => {
            let opened = fs::File::open(desk.shell.absolute(file));
            let text = opened.and_then(|mut opened| read(&mut opened));
            text.map_err(|error| unreadable(file, &error))?
        }
        (Some("-"), None) | (None, Some(_)) => read(&mut io::stdin().lock())
            .map_err(|error| usage(format!("failed to read standard input: {error}")))?,
        (Some(text), None) => text.to_owned(),
        (Some(_), Some(_)) => return Err(usage(format!("{what} is given twice"))),
        (None, None) => return Err(usage(format!("{what} is missing"))),
    };
    if text.len() as u64 > TEXT_MAX {
        return Err(usage(format!("{what} has more than {TEXT_MAX} bytes"))
            .hint("write it to a file, and name the file's path"));
    }
    Ok(text)
}

/// A span of time on the command line, in milliseconds.
pub(crate) fn span(text: &str) -> Result<u64, String> {
    let read = parse_duration(text).map_err(|error| format!("{error}; write it like 90s or 5m"))?;
    read.ok_or_else(|| "it has to have an end".to_owned())
}

/// `K=V` on the command line.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it is NAME=VALUE")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(fits) {
        return Err("its name has letters, digits, `-` and `_`".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sandbox never goes away, so the next daemon is not waited for in it.
    #[test]
    fn a_sandbox_is_not_waited_for() {
        let of = |code: i32| ClientError::Unreachable {
            path: "/h/run/daemon.sock".into(),
            source: io::Error::from_raw_os_error(code),
        };
        for (code, forbidden) in [(1, true), (13, true), (2, false), (111, false)] {
            let error = of(code);
            assert_eq!(is_forbidden(&error), forbidden, "{error}");
            let told = unreachable(&error).hint.unwrap_or_default();
            assert_eq!(told.contains("sandbox"), forbidden, "{told}");
        }
        assert!(!is_forbidden(&ClientError::Lost(io::Error::from_raw_os_error(1))));
    }
}
