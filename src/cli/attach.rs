//! `attach`: into the tmux window of something.

#![expect(clippy::disallowed_methods, reason = "the command becomes a tmux client")]

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::desk::Desk;
use super::failure::{COMPLETED, usage};
use crate::control::view::AttachReply;
use crate::control::{Failure, FailureKind, Request};
use crate::tmux;

/// Where to go.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An instance, a run or a task [default: what was started last]
    #[arg(value_name = "NAME|RUN|TASK")]
    target: Option<String>,
    /// Print the tmux command instead
    #[arg(long)]
    print: bool,
    /// Print the tmux command as a document instead
    #[arg(long)]
    pub(crate) json: bool,
}

/// Goes there. Returns only when that did not work, or with `--print`.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    let request = Request::Attach { target: args.target.clone() };
    let place: AttachReply = desk.ask(&request)?;
    let inside = is_inside(&place.socket, desk.shell.text("TMUX"));
    let words = command(&place, inside);
    let prints = args.json || args.print;
    if !prints && !inside && !desk.shell.stdin_is_terminal {
        return Err(usage("attach needs a terminal").hint("`muxvisor attach --print` says how"));
    }
    if (place.token.is_some() || !prints) && is_gone(&place, &words) {
        let what = args.target.as_deref().unwrap_or("it");
        return Err(usage(format!("the window of {what} is gone"))
            .hint(format!("`muxvisor logs {what}` shows what it wrote")));
    }
    if args.json {
        desk.voice.document(&json!({ "command": words, "place": place }))?;
        return Ok(COMPLETED);
    }
    if args.print {
        let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
        desk.voice.say(&quoted.join(" "));
        return Ok(COMPLETED);
    }
    let mut tmux = Command::new(&words[0]);
    if !inside {
        // Inside somebody's own tmux it would refuse to nest; here it is what was asked for.
        tmux.env_remove("TMUX").env_remove("TMUX_PANE");
    }
    let error = tmux.args(&words[1..]).exec();
    Err(Failure::new(FailureKind::Unreachable, format!("failed to start tmux: {error}"))
        .hint("is tmux installed? `muxvisor doctor` looks"))
}

/// Whether tmux knows no such window any more; windows of what went well are closed. After its server
/// died another window may have the same id: no key that is meant for one agent may reach another.
fn is_gone(place: &AttachReply, words: &[String]) -> bool {
    let target = words.last().map_or("", String::as_str);
    let mark = format!("#{{{}}}", tmux::MARK);
    let mut tmux = Command::new(&words[0]);
    let seen = tmux.args(&words[1..3]).args(["list-panes", "-t", target, "-F", &mark]).output();
    let is_other = |marks: &[u8]| {
        let marks = String::from_utf8_lossy(marks);
        place.token.as_ref().is_some_and(|token| marks.lines().all(|mark| mark != token.as_str()))
    };
    seen.is_ok_and(|seen| !seen.status.success() || is_other(&seen.stdout))
}

/// Whether we are in a pane of that very server.
fn is_inside(socket: &Path, tmux: Option<&str>) -> bool {
    let named = tmux.and_then(|value| value.split(',').next()).map(Path::new);
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    named.is_some_and(|named| real(named) == real(socket))
}

fn command(place: &AttachReply, inside: bool) -> Vec<String> {
    let verb = if inside { "switch-client" } else { "attach-session" };
    let window = place.window.as_deref().unwrap_or_default();
    let target = format!("={}:{window}", place.session);
    let socket = place.socket.display().to_string();
    ["tmux", "-S", &socket, verb, "-t", &target].map(str::to_owned).to_vec()
}

/// A word as a shell takes it.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_goes_to_the_window_and_survives_a_shell() {
        let place = AttachReply {
            socket: "/h/it's/tmux.sock".into(),
            session: "PLAN-2026-11-21-001".into(),
            window: Some("@7".into()),
            token: None,
        };
        let outside = command(&place, false);
        assert_eq!(outside[3..], ["attach-session", "-t", "=PLAN-2026-11-21-001:@7"]);
        assert_eq!(command(&place, true)[3], "switch-client");
        assert_eq!(quote(&outside[2]), r"'/h/it'\''s/tmux.sock'");
        assert!(is_inside(&place.socket, Some("/h/it's/tmux.sock,123,0")));
        assert!(!is_inside(&place.socket, Some("/tmp/tmux-0/default,123,0")));
        assert!(!is_inside(&place.socket, None));
    }
}
