//! What the shell gave us: variables, directory, terminals. Read once, here and nowhere else.

#![expect(clippy::disallowed_methods, reason = "this is where the command line reads variables")]

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use crate::control::Environment;

/// The surroundings of one call of the program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shell {
    /// Variables that muxvisor knows, when they are set and not empty.
    known: BTreeMap<&'static str, PathBuf>,
    /// Where we were called.
    pub(crate) cwd: PathBuf,
    /// Whether somebody can answer a question.
    pub(crate) stdin_is_terminal: bool,
    /// Whether somebody sees standard output.
    pub(crate) stdout_is_terminal: bool,
    /// Whether somebody sees standard error.
    pub(crate) stderr_is_terminal: bool,
}

const KNOWN: &[&str] = &[
    "DBUS_SESSION_BUS_ADDRESS",
    "HOME",
    "MUXVISOR_CGROUP",
    "MUXVISOR_CONFIG",
    "MUXVISOR_HOME",
    "MUXVISOR_RESULT",
    "MUXVISOR_TOKEN",
    "NOTIFY_SOCKET",
    "NO_COLOR",
    "PATH",
    "TERM",
    "TMUX",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
];

impl Shell {
    /// The real ones.
    pub(crate) fn read() -> Self {
        let value = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            known: KNOWN
                .iter()
                .filter_map(|name| Some((*name, PathBuf::from(value(*name)?))))
                .collect(),
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            stdin_is_terminal: std::io::stdin().is_terminal(),
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
        }
    }

    /// A variable.
    pub(crate) fn get(&self, name: &str) -> Option<&Path> {
        self.known.get(name).map(PathBuf::as_path)
    }

    /// A variable as text, when it is UTF-8.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str()
    }

    /// A path as seen from where we were called.
    pub(crate) fn absolute(&self, path: &Path) -> PathBuf {
        self.cwd.join(path)
    }

    /// All variables, for the agents of a run. Those that are not UTF-8 cannot be sent and are
    /// left out.
    pub(crate) fn environment(&self) -> Environment {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Environment(std::env::vars_os().filter_map(text).collect())
    }

    /// Whether colours are wanted on a stream that is a terminal.
    pub(crate) fn wants_colour(&self) -> bool {
        self.get("NO_COLOR").is_none() && self.text("TERM") != Some("dumb")
    }

    #[cfg(test)]
    pub(crate) fn of(variables: &[(&'static str, &str)]) -> Self {
        let known = variables.iter().map(|(name, value)| (*name, PathBuf::from(value))).collect();
        Self { known, cwd: PathBuf::from("/here"), ..Self::default() }
    }
}
