//! `doctor`: looks at everything the daemon stands on. Never starts one, never changes anything.

#![expect(clippy::disallowed_methods, reason = "it asks tmux for its version")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{AccessFlags, access, geteuid};
use serde_json::json;

use super::autostart::{answers, is_locked};
use super::columns::stamp;
use super::configuration;
use super::desk::Desk;
use super::examined::{Check, Verdict};
use super::failure::COMPLETED;
use super::ps::remarks;
use super::voice::{Colour, Voice};
use super::{ps, pulse, soundness};
use crate::control::view::{DaemonView, PsReply, TmuxView};
use crate::control::{self, Client, Failure, FailureKind, Request};
use crate::daemon::{Home, LastGood};
use crate::model::AttemptId;

/// The oldest tmux that has all we use.
const TMUX_MIN: (u32, u32) = (3, 2);
/// Fewer descriptors than this limit how many agents can run at once.
const DESCRIPTORS_MIN: u64 = 4096;
/// Fewer terminals than this limit how many agents can run at once.
const TERMINALS_MIN: u64 = 1024;

/// How to look.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print the document instead of lines
    #[arg(long)]
    pub(crate) json: bool,
}

/// How long a daemon may take to answer a doctor.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long a tmux server may take to answer a doctor; a healthy one needs milliseconds.
const TMUX_WITHIN: Duration = Duration::from_secs(2);

/// Looks, and tells. Exit code 1 when anything is broken.
pub(crate) fn run(_args: &Args, desk: &Desk) -> Result<u8, Failure> {
    let home = desk.place()?.home;
    let running = asked(&home).ask_for::<DaemonView>(&Request::Hello).ok();
    let checks = [
        tmux(),
        directory("home", home.state(), 0o022),
        directory("runtime", home.runtime(), 0o077),
        socket(&home),
        soundness::socket_mode(&home),
        lingering(&home),
        kernel(),
        descriptors(),
        terminals(),
        configuration(desk, &home),
        in_force(&home),
        daemon(&home),
        windows(&home),
        ledger(&home),
        soundness::limits(running.as_ref(), &desk.shell),
        soundness::company(running.as_ref(), &home),
        soundness::leftovers(&home),
    ];
    let well = checks.iter().all(|check| check.verdict != Verdict::Error);
    if desk.voice.json {
        let document =
            json!({ "ok": well, "version": env!("CARGO_PKG_VERSION"), "checks": checks });
        desk.voice.document(&document)?;
    } else {
        checks.iter().for_each(|check| desk.voice.say(&line(check, desk.voice)));
    }
    Ok(if well { COMPLETED } else { FailureKind::Failed.exit_code() })
}

fn line(check: &Check, voice: Voice) -> String {
    let sign = match check.verdict {
        Verdict::Ok => voice.paint(Colour::Green, "✔"),
        Verdict::Warning => voice.paint(Colour::Yellow, "!"),
        Verdict::Error => voice.paint(Colour::Red, "✘"),
    };
    let hint = check.hint.as_ref().map_or(String::new(), |hint| format!("\n    hint: {hint}"));
    format!("{sign} {}: {}{hint}", check.name, check.message)
}

fn tmux() -> Check {
    let said = Command::new("tmux").arg("-V").output();
    let Ok(said) = said else {
        return Check::new("tmux", Verdict::Error, "it cannot be started")
            .hint("install tmux 3.2a or newer");
    };
    let text = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    match tmux_version(&text) {
        Some(version) if version >= TMUX_MIN => Check::ok("tmux", text),
        Some(_) => Check::new("tmux", Verdict::Error, format!("{text} is too old"))
            .hint("install tmux 3.2a or newer"),
        None => Check::new("tmux", Verdict::Warning, format!("it says `{text}`, not its version")),
    }
}

/// Reads `tmux 3.5a`, `tmux next-3.6`.
fn tmux_version(text: &str) -> Option<(u32, u32)> {
    let number = text
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .find(|part| part.contains('.') && part.chars().any(|c| c.is_ascii_digit()))?;
    let (major, minor) = number.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// A directory that is not there yet: can it be made in the nearest one that is?
fn future(name: &'static str, path: &Path) -> Check {
    let shown = path.display();
    let nearest = path.ancestors().skip(1).find(|above| above.exists()).unwrap_or(Path::new("/"));
    let obstacle = if nearest.is_dir() {
        access(nearest, AccessFlags::W_OK | AccessFlags::X_OK).err().map(|error| error.desc())
    } else {
        Some("it is a file")
    };
    let Some(obstacle) = obstacle else {
        return Check::ok(name, format!("{shown} is made when it is needed"));
    };
    let message = format!("{shown} cannot be made in {}: {obstacle}", nearest.display());
    Check::new(name, Verdict::Error, message).hint("name another with --home DIR")
}

/// A directory of ours with none of the `forbidden` permissions.
fn directory(name: &'static str, path: &Path, forbidden: u32) -> Check {
    let shown = path.display();
    let Ok(found) = fs::metadata(path) else {
        return future(name, path);
    };
    if !found.is_dir() {
        return Check::new(name, Verdict::Error, format!("{shown} is no directory"))
            .hint("name another with --home DIR");
    }
    let mode = found.mode() & 0o777;
    if found.uid() != geteuid().as_raw() {
        let message = format!("{shown} belongs to user {}", found.uid());
        return Check::new(name, Verdict::Error, message).hint("name another with --home DIR");
    }
    if mode & forbidden != 0 {
        return Check::new(name, Verdict::Error, format!("{shown} is open to others: {mode:03o}"))
            .hint(format!("run `chmod 700 {shown}`"));
    }
    Check::ok(name, format!("{shown} is ours, mode {mode:03o}"))
}

fn socket(home: &Home) -> Check {
    let longest = home.notify_socket(&AttemptId::new("0123456789"));
    match control::check_length(&longest) {
        Ok(()) => Check::ok("socket", format!("{} fits", home.daemon_socket().display())),
        Err(error) => Check::new("socket", Verdict::Error, error.to_string()),
    }
}

/// Sockets below `/run/user` go away with the last login unless the user lingers.
fn lingering(home: &Home) -> Check {
    let usual = format!("/run/user/{}", geteuid());
    if !home.runtime().starts_with(&usual) {
        return Check::ok("lingering", "sockets do not depend on a login");
    }
    let user = nix::unistd::User::from_uid(geteuid()).ok().flatten().map(|user| user.name);
    if user.is_some_and(|name| Path::new("/var/lib/systemd/linger").join(name).exists()) {
        return Check::ok("lingering", "sockets outlive the last logout");
    }
    Check::new("lingering", Verdict::Warning, format!("{usual} goes away with your last logout"))
        .hint("run `loginctl enable-linger`, or use --home DIR")
}

fn kernel() -> Check {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    match rustix::process::pidfd_open(
        rustix::process::getpid(),
        rustix::process::PidfdFlags::empty(),
    ) {
        Ok(_) => Check::ok("kernel", format!("Linux {release} has pidfd")),
        Err(error) => {
            Check::new("kernel", Verdict::Error, format!("Linux {release} has no pidfd: {error}"))
                .hint("Linux 5.3 or newer is needed")
        }
    }
}

fn descriptors() -> Check {
    match getrlimit(Resource::RLIMIT_NOFILE) {
        // The daemon raises the soft limit by itself.
        Ok((_, hard)) if hard >= DESCRIPTORS_MIN => {
            Check::ok("descriptors", format!("up to {hard} open files"))
        }
        Ok((_, hard)) => Check::new(
            "descriptors",
            Verdict::Warning,
            format!("only {hard} open files are allowed"),
        )
        .hint(format!("raise it (`ulimit -Hn {DESCRIPTORS_MIN}`) to run many agents")),
        Err(error) => Check::new("descriptors", Verdict::Warning, error.to_string()),
    }
}

fn terminals() -> Check {
    let number = |name: &str| -> Option<u64> {
        fs::read_to_string(format!("/proc/sys/kernel/pty/{name}")).ok()?.trim().parse().ok()
    };
    match (number("max"), number("nr")) {
        (Some(max), used) if max >= TERMINALS_MIN => {
            Check::ok("terminals", format!("{} of {max} in use", used.unwrap_or(0)))
        }
        (Some(max), _) => {
            Check::new("terminals", Verdict::Warning, format!("only {max} terminals are allowed"))
                .hint(format!(
                    "an agent in a window takes two; `sysctl kernel.pty.max={TERMINALS_MIN}`"
                ))
        }
        (None, _) => Check::new("terminals", Verdict::Warning, "the limit cannot be read"),
    }
}

fn configuration(desk: &Desk, home: &Home) -> Check {
    match desk.config().and_then(|file| configuration::load(&file)) {
        Ok(config) => {
            Check::ok("configuration", format!("{} agents are known", config.agents.len()))
        }
        Err(failure) => {
            let good = desk.config().ok().and_then(|file| LastGood::read(home, &file.path));
            let instead = good.map_or(String::new(), |good| {
                format!("; meanwhile daemons start with that of {}", stamp(good.accepted_ms))
            });
            Check::new("configuration", Verdict::Error, failure.message)
                .hint(format!("run `muxvisor check`{instead}"))
        }
    }
}

/// Whether the daemon has taken up what the file says.
fn in_force(home: &Home) -> Check {
    let seen = asked(home).ask_for::<PsReply>(&Request::Ps).ok();
    let remarks: Vec<String> =
        seen.and_then(|seen| seen.configuration).iter().flat_map(remarks).collect();
    if remarks.is_empty() {
        return Check::ok("reload", "nothing waits for it");
    }
    Check::new("reload", Verdict::Warning, remarks.join("\n    "))
        .hint("mend the file, or run `muxvisor reload` where it is right")
}

/// The daemon, which is given little time: that it does not answer is what people come to hear.
fn asked(home: &Home) -> Client {
    Client::at(home.daemon_socket()).within(ANSWER_WITHIN)
}

fn daemon(home: &Home) -> Check {
    let client = asked(home);
    match answers(&client) {
        Ok(true) => match client.ask_for::<DaemonView>(&Request::Hello) {
            Ok(view) => Check::ok("daemon", format!("pid {}, version {}", view.pid, view.version)),
            Err(error) => Check::new("daemon", Verdict::Error, error.to_string()),
        },
        Ok(false) if is_locked(&home.daemon_lock()) => {
            let message = "one holds the lock and does not answer";
            Check::new("daemon", Verdict::Error, message).hint(format!(
                "look at {}; SIGUSR1 makes it renew its socket, SIGCONT wakes one that is stopped",
                home.log().display()
            ))
        }
        Ok(false) => Check::ok("daemon", "none runs; one is started when it is needed"),
        Err(failure) => Check::new("daemon", Verdict::Error, failure.message),
    }
}

/// The tmux server under a living daemon. One that died is told of, not counted as wrong: agents go
/// on, and have windows again.
fn windows(home: &Home) -> Check {
    let client = asked(home);
    let Some(view) = answers(&client)
        .ok()
        .filter(|answers| *answers)
        .and_then(|_| client.ask_for::<DaemonView>(&Request::Hello).ok())
    else {
        return Check::ok("windows", "no daemon has any");
    };
    let TmuxView { server, windows_lost, windows_given_back, .. } = view.tmux;
    let Some(server) = server else {
        let told = ps::outage(&view.tmux).unwrap_or_else(|| "there is no server".to_owned());
        return Check::new("windows", Verdict::Error, format!("tmux: {told}"))
            .hint(format!("agents go on; {} says why none can be had", home.log().display()));
    };
    if matches!(pulse::beats(&home.tmux_socket(), TMUX_WITHIN), Ok(false)) {
        return mute(server);
    }
    match ps::outage(&view.tmux) {
        None => Check::ok("windows", format!("in tmux server {server}")),
        Some(told) if windows_given_back < windows_lost => {
            Check::new("windows", Verdict::Warning, format!("tmux: {told}"))
                .hint("agents that ended meanwhile need none; `muxvisor ps` shows who has one")
        }
        Some(told) => Check::ok("windows", format!("tmux: {told}")),
    }
}

/// A server that takes questions and gives no answers: nothing gets a window, so nothing starts.
fn mute(server: i32) -> Check {
    let seconds = TMUX_WITHIN.as_secs();
    let message = format!("tmux server {server} does not answer within {seconds} s");
    Check::new("windows", Verdict::Warning, message).hint(format!(
        "agents go on, and none is started before it answers; `kill -CONT {server}` wakes one that \
         was stopped; `kill -KILL {server}` ends one that hangs, and every agent gets a window in \
         the next"
    ))
}

fn ledger(home: &Home) -> Check {
    let path = home.ledger();
    match fs::metadata(&path) {
        Ok(found) => Check::ok("ledger", format!("{}, {} KiB", path.display(), found.len() / 1024)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Check::ok("ledger", "there is none yet")
        }
        Err(error) => Check::new("ledger", Verdict::Error, format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tmux_versions_are_read_in_all_their_forms() {
        let forms = ["tmux 3.5a", "tmux next-3.6", "tmux 3.2", "tmux openbsd-7.4", "tmux master"];
        let read = forms.map(tmux_version);
        assert_eq!(read, [Some((3, 5)), Some((3, 6)), Some((3, 2)), Some((7, 4)), None]);
    }
}
