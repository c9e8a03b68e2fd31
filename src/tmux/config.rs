//! Where the private server lives and how it is set up: the generated conf file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tmux_interface::{SetOption, TmuxCommand};

use super::{Error, Version, quote};
use crate::model::ServerMark;

/// The session that holds nothing but the keeper window; the control client is attached to it.
pub const KEEPER_SESSION: &str = "muxvisor";

/// Variables of the daemon's environment that the server may have; anything else could hold
/// secrets, and would be seen by every pane for as long as the server lives.
const HARMLESS: [&str; 8] =
    ["PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "USER", "LOGNAME"];

/// What the room needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's socket, in a directory that only its owner may enter.
    pub socket: PathBuf,
    /// The conf file; written by this room.
    pub conf: PathBuf,
    /// What the server may see of the daemon's environment.
    pub environment: Vec<(String, String)>,
    /// How long an answer may take before the connection counts as broken.
    pub patience: Duration,
    /// The systemd scope that the server is started in, if one is wanted.
    pub scope: Option<Scope>,
}

/// A systemd scope of its own for the server, so that what happens to the daemon's unit, or to the
/// login that it was started from, does not happen to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Its unit's name.
    pub unit: String,
    /// The variables by which the user's systemd is found; the server does not get them.
    pub manager: Vec<(String, String)>,
}

impl Scope {
    /// What is to be written before a command. Without its wishes about memory, which older
    /// versions of systemd do not know, it may still be had.
    pub(super) fn words(&self, wishes: bool) -> Vec<String> {
        let unit = format!("--unit={}", self.unit);
        let wished = ["--property=OOMPolicy=continue", "--property=ManagedOOMPreference=avoid"];
        let mut words = vec!["--user", "--scope", "--quiet", "--collect", &unit];
        words.extend(wished.iter().filter(|_| wishes));
        words.extend(["--", "env"]);
        let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        for (name, _) in &self.manager {
            words.extend(["-u".to_owned(), name.clone()]);
        }
        words
    }
}

impl Config {
    /// `tmux.sock` and `tmux.conf` in `directory`; of `environment` only harmless names are kept.
    pub fn new(directory: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut environment: Vec<(String, String)> =
            environment.into_iter().filter(|(name, _)| HARMLESS.contains(&name.as_str())).collect();
        environment.push(("TERM".to_owned(), "dumb".to_owned()));
        environment.push(("SHELL".to_owned(), "/bin/sh".to_owned()));
        Self {
            socket: directory.join("tmux.sock"),
            conf: directory.join("tmux.conf"),
            environment,
            patience: Duration::from_secs(15),
            scope: None,
        }
    }

    pub(super) fn path(&self) -> &str {
        let found = self.environment.iter().find(|(name, _)| name == "PATH");
        found.map_or("", |(_, value)| value.as_str())
    }

    /// The record of which process is the server, so that it can be told to make its socket again.
    fn mark_file(&self) -> PathBuf {
        self.conf.with_extension("server")
    }

    /// The server that was ours last, as far as it is known; it may be dead.
    pub fn recorded_server(&self) -> Option<ServerMark> {
        serde_json::from_slice(&fs::read(self.mark_file()).ok()?).ok()
    }

    pub(super) fn record_server(&self, mark: &ServerMark) -> Result<(), Error> {
        let text = serde_json::to_vec(mark).expect("a mark is plain text and numbers");
        write_whole(&self.mark_file(), &text)
            .map_err(|source| Error::Io { doing: "write down which tmux server is ours", source })
    }

    pub(super) fn write_conf(&self, version: &Version) -> Result<(), Error> {
        write_whole(&self.conf, &conf_text(version, &terminal())?)
            .map_err(|source| Error::Io { doing: "write tmux.conf", source })
    }
}

/// Replaces a file in one step; its mode is 0600.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let _ = fs::remove_file(&fresh);
    let mut file: File =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    fs::rename(&fresh, path)
}

fn conf_text(version: &Version, terminal: &str) -> Result<Vec<u8>, Error> {
    let mut text = b"# Written by muxvisor at every start; changes made here are lost.\n".to_vec();
    for command in options(version, terminal) {
        text.extend(quote::line(&quote::words(&[command])?));
    }
    Ok(text)
}

/// `window-size manual` must never be among them: the next new window kills tmux 3.3 to 3.6.
fn options(version: &Version, terminal: &str) -> Vec<TmuxCommand<'static>> {
    let server = |name: &'static str, value: &str| {
        SetOption::new().server().option(name).value(value.to_owned()).build()
    };
    let global = |name: &'static str, value: &str| {
        SetOption::new().global().option(name).value(value.to_owned()).build()
    };
    let mut options = vec![
        // The server lives until it is told to end, whoever attaches or leaves.
        server("exit-empty", "off"),
        server("exit-unattached", "off"),
        global("destroy-unattached", "off"),
        // An ended attempt stays to be looked at, under the name and number it had.
        global("remain-on-exit", "on"),
        global("renumber-windows", "off"),
        global("automatic-rename", "off"),
        global("allow-rename", "off"),
        // Nobody's terminal title, focus or environment is to leak into an agent.
        global("set-titles", "off"),
        server("focus-events", "off"),
        global("update-environment", ""),
        global("default-terminal", terminal),
        global("default-size", "200x50"),
        global("window-size", "latest"),
        // The log is the record; history is for the eye, and costs a kilobyte per line.
        global("history-limit", "5000"),
        server("escape-time", "10"),
        global("mouse", "on"),
        // The default status line lists all windows, which makes every new one cost 20 ms when
        // there are a thousand, and it is redrawn every 15 s.
        global("status-interval", "0"),
        global(
            "status-format[0]",
            // A window of a run has the run's id in its name already.
            "#[align=left] #{?#{m:wf_*,#{window_name}},,#{session_name}  }#{window_name}\
             #{?pane_dead, (ended),}#[align=right]  #{session_windows} windows, #{prefix} d leaves ",
        ),
    ];
    if version.reaches(3, 3) {
        options.push(global("remain-on-exit-format", ""));
    }
    options
}

/// The best terminal description that is installed.
fn terminal() -> String {
    const ROOTS: [&str; 5] = [
        "/usr/share/terminfo",
        "/lib/terminfo",
        "/etc/terminfo",
        "/usr/lib/terminfo",
        "/usr/local/share/terminfo",
    ];
    let installed = |name: &&str| {
        let first = name.as_bytes()[0];
        // macOS names the directories by the letter's code.
        let places = [format!("{}/{name}", char::from(first)), format!("{first:x}/{name}")];
        ROOTS.iter().any(|root| places.iter().any(|place| Path::new(root).join(place).exists()))
    };
    let known = ["tmux-256color", "screen-256color"];
    (*known.iter().find(|name| installed(name)).unwrap_or(&"screen")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conf_holds_what_keeps_agents_alive() {
        let version = Version::parse("tmux 3.3a").unwrap();
        let text = String::from_utf8(conf_text(&version, "screen").unwrap()).unwrap();
        for line in [
            "set-option -s \"exit-empty\" \"off\"",
            "set-option -g \"remain-on-exit\" \"on\"",
            "set-option -g \"destroy-unattached\" \"off\"",
            "set-option -g \"remain-on-exit-format\" \"\"",
        ] {
            let bare = text.replace("\"-s\"", "-s").replace("\"-g\"", "-g");
            assert!(bare.lines().any(|l| l == line), "{line} is missing in\n{bare}");
        }
        assert!(!text.contains("manual") && !text.contains("#{W:"));
        let old = conf_text(&Version::least(), "screen").unwrap();
        assert!(!String::from_utf8(old).unwrap().contains("remain-on-exit-format"));
    }

    #[test]
    fn only_harmless_variables_reach_the_server() {
        let given = [("PATH", "/bin"), ("API_KEY", "x"), ("TMUX", "y")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()));
        let config = Config::new(Path::new("/x"), given);
        let names: Vec<&str> = config.environment.iter().map(|(k, _)| k.as_str()).collect();
        assert_eq!(names, ["PATH", "TERM", "SHELL"]);
    }

    #[test]
    fn a_file_is_replaced_whole_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tmux.conf");
        fs::write(&path, "old").unwrap();
        fs::write(path.with_extension("new"), "left by a crash").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
