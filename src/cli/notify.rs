//! `notify`: an agent, or a hook of it, says how it is. Needs no daemon: the agent's shim listens.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::desk::Desk;
use super::failure::{COMPLETED, usage};
use super::inside::SANDBOXED;
use crate::control::{Failure, FailureKind};
use crate::model::BlockKind;

/// The longest message that is listened to.
const BYTES_MAX: usize = 4096;

/// What to say.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// READY=1, STATUS=TEXT, WATCHDOG=1, EXTEND_TIMEOUT_USEC=N, STOPPING=1
    #[arg(value_name = "NAME=VALUE", required_unless_present = "activity")]
    words: Vec<String>,
    /// What the agent does: working, idle, blocked, blocked:KIND with permission, question, auth
    /// or setup as KIND; unknown takes it back
    #[arg(long, value_name = "WORD", value_parser = activity)]
    activity: Option<String>,
}

/// Says it, and nothing else: what a hook prints may be read by the program it is a hook of.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    let message = message(args)?;
    let socket = desk.shell.get("NOTIFY_SOCKET").ok_or_else(|| {
        usage("nobody to notify: NOTIFY_SOCKET is not set")
            .hint("`muxvisor notify` works inside an agent that muxvisor started")
    })?;
    send(socket, &message).map_err(|error| unheard(socket, &error))?;
    Ok(COMPLETED)
}

fn unheard(socket: &Path, error: &io::Error) -> Failure {
    let message = format!("failed to notify {}: {error}", socket.display());
    let hint = match error.kind() == io::ErrorKind::PermissionDenied {
        true => SANDBOXED,
        false => "the agent that this is a part of has ended, or never had a listening shim",
    };
    Failure::new(FailureKind::Unreachable, message).hint(hint)
}

fn send(socket: &Path, message: &str) -> io::Result<()> {
    UnixDatagram::unbound()?.send_to(message.as_bytes(), socket).map(drop)
}

/// One message, so that all of it is heard at once.
fn message(args: &Args) -> Result<String, Failure> {
    for word in &args.words {
        let name = word.split_once('=').map(|(name, _)| name);
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b"_".contains(&b))
        };
        if !name.is_some_and(is_name) {
            return Err(usage(format!("`{word}` is not NAME=VALUE")).hint("for example READY=1"));
        }
    }
    // A line is an assignment; a text of several lines is said as one.
    let mut lines: Vec<String> = args.words.iter().map(|word| word.replace('\n', " ")).collect();
    lines.extend(args.activity.as_ref().map(|word| format!("X_MUXVISOR_ACTIVITY={word}")));
    let message = lines.join("\n");
    if message.len() > BYTES_MAX {
        return Err(usage(format!("a message has at most {BYTES_MAX} bytes")));
    }
    Ok(message)
}

fn activity(word: &str) -> Result<String, String> {
    let known = match word.split_once(':') {
        Some(("blocked", kind)) => BlockKind::of_word(kind).is_some(),
        Some(_) => false,
        None => ["working", "idle", "blocked", "unknown"].contains(&word),
    };
    let words = "working, idle, blocked, blocked:permission, blocked:question, blocked:auth, \
                 blocked:setup or unknown";
    known.then(|| word.to_owned()).ok_or_else(|| format!("it is {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[&str], activity: Option<&str>) -> Result<String, String> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let args = Args { words, activity: activity.map(str::to_owned) };
        message(&args).map_err(|failure| failure.message)
    }

    #[test]
    fn a_message_is_lines_of_assignments() {
        let expected = "READY=1\nSTATUS=a b=c\nX_MUXVISOR_ACTIVITY=idle";
        assert_eq!(said(&["READY=1", "STATUS=a\nb=c"], Some("idle")).unwrap(), expected);
        assert_eq!(said(&["ready"], None).unwrap_err(), "`ready` is not NAME=VALUE");
        assert!(said(&["=1"], None).is_err());
        assert!(said(&[&format!("STATUS={}", "x".repeat(4096))], None).is_err());
    }

    #[test]
    fn whoever_is_not_heard_is_told_why() {
        let told = |code| {
            let error = io::Error::from_raw_os_error(code);
            unheard(Path::new("/h/run/s/a.notify"), &error).hint.unwrap_or_default()
        };
        assert!(told(1).contains("sandbox") && told(2).contains("has ended"));
    }

    #[test]
    fn activities_are_checked() {
        for good in ["working", "idle", "blocked", "blocked:question", "unknown"] {
            assert_eq!(activity(good).unwrap(), good);
        }
        for bad in ["", "asleep", "blocked:x", "idle:auth", "working:"] {
            assert!(activity(bad).is_err(), "{bad}");
        }
    }
}
