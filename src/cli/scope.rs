//! A daemon that is started on demand gets a systemd scope of its own where the user has a systemd:
//! a control group in which it may give its agents groups of their own, and that lives on when the
//! login or the terminal it was started from is cleaned up.

#![expect(clippy::disallowed_methods, reason = "the command line starts the daemon")]

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::shell::Shell;
use crate::cgroup::{Place, Way, Wish, find};

/// Whether a scope would help: the user's systemd runs, and nobody said where groups are made.
pub(crate) fn is_offered(shell: &Shell) -> bool {
    let manager = shell.get("XDG_RUNTIME_DIR").map(|dir| dir.join("systemd/private"));
    shell.get("MUXVISOR_CGROUP").is_none() && manager.is_some_and(|socket| is_socket(&socket))
}

fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

/// The program, to be started in a scope of its own if one can be had, with the same pid and
/// environment.
pub(crate) fn command(program: &Path, offered: bool) -> Command {
    let place = Place::of_this_process().ok().flatten();
    let given = matches!(find(&Wish::Auto, place.as_ref()), Way::Cgroup(_));
    if offered && !given && can_be_had() {
        let mut command = Command::new("systemd-run");
        command.args(words("muxvisor")).arg(program);
        return command;
    }
    Command::new(program)
}

/// Tried with a program that does nothing, so that a daemon that fails is not mistaken for a
/// systemd that does.
fn can_be_had() -> bool {
    let mut command = Command::new("systemd-run");
    command.args(words("muxvisor-try")).arg("true");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn words(unit: &str) -> Vec<String> {
    let unit = format!("--unit={unit}-{}", std::process::id());
    let fixed =
        ["--user", "--scope", "--quiet", "--collect", "--property=Delegate=yes", &unit, "--"];
    fixed.map(str::to_owned).to_vec()
}
