//! A person at a terminal: a tmux of their own, in which the program runs; what the screen shows,
//! and what is typed.

#![expect(clippy::disallowed_methods, reason = "a person starts programs")]

use std::path::PathBuf;
use std::process::Command;

use crate::scene::Scene;
use crate::wait::wait_for;

/// What the shell around the program says when it has ended.
const ENDED: &str = "it ended with code ";

/// Somebody who looks at a screen and types.
pub(crate) struct Person {
    socket: PathBuf,
}

impl Person {
    /// Somebody who has just started the program.
    pub(crate) fn starts(scene: &Scene, arguments: &[&str]) -> Self {
        let person = Self { socket: scene.desk().join("person.sock") };
        let program = scene.command(arguments);
        // Ctrl-C is for the program alone.
        let script = format!("trap : INT; \"$@\"; echo \"{ENDED}$?\"; exec cat");
        let mut tmux = person.tmux();
        tmux.args(["-f", "/dev/null", "new-session", "-d", "-x", "110", "-y", "50"])
            .args(["sh", "-c", &script, "sh"])
            .arg(program.get_program())
            .args(program.get_args())
            .env("MUXVISOR_DEMO_PACE", "0")
            .current_dir(scene.desk());
        assert!(tmux.status().expect("tmux").success());
        person
    }

    fn tmux(&self) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.arg("-u").arg("-S").arg(&self.socket);
        tmux.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/nonexistent");
        tmux
    }

    /// What stands on the screen, and above it.
    pub(crate) fn screen(&self) -> String {
        let output = self.tmux().args(["capture-pane", "-p", "-J", "-S", "-"]).output();
        let text = String::from_utf8(output.expect("tmux").stdout).expect("UTF-8");
        text.trim_end().to_owned()
    }

    /// Waits until that is to be read; the screen.
    #[track_caller]
    pub(crate) fn reads(&self, words: &str) -> String {
        let mut screen = String::new();
        self.looks(words, |seen| {
            screen = seen.to_owned();
            seen.contains(words)
        });
        screen
    }

    /// Waits until the last line ends with that, where the next letter will stand.
    #[track_caller]
    pub(crate) fn is_asked(&self, words: &str) {
        self.looks(words, |seen| seen.lines().last().is_some_and(|line| line.ends_with(words)));
    }

    #[track_caller]
    fn looks(&self, words: &str, mut holds: impl FnMut(&str) -> bool) {
        let watched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(words, || holds(&self.screen()));
        }));
        assert!(watched.is_ok(), "`{words}` is not there:\n{}", self.screen());
    }

    /// Types a line.
    pub(crate) fn types(&self, line: &str) {
        if !line.is_empty() {
            self.presses_all(&["-l", line]);
        }
        self.presses("Enter");
    }

    /// Presses a key, as tmux names it.
    pub(crate) fn presses(&self, key: &str) {
        self.presses_all(&[key]);
    }

    fn presses_all(&self, keys: &[&str]) {
        assert!(self.tmux().arg("send-keys").args(keys).status().expect("tmux").success());
    }

    /// Waits until the program has ended; the screen.
    #[track_caller]
    pub(crate) fn sees_it_end(&self, code: i32) -> String {
        self.reads(&format!("{ENDED}{code}"))
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.tmux().arg("kill-server").status();
    }
}
