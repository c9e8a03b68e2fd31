//! The `tmux` room against a real tmux: every test has a server of its own, in a directory of its
//! own, and ends it by its pid.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod faults;
mod scope;
mod start;
mod windows;

use std::fs;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use muxvisor::model::{ProcessMark, Token};
use muxvisor::tmux::{Config, Notice, OpenWindow, PaneSeen, Tmux};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tmux_interface::TmuxCommand;
use tokio::sync::mpsc::UnboundedReceiver;

/// A directory for one server; dropping it ends the server that the room wrote down there.
struct Home {
    dir: TempDir,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn config(&self) -> Config {
        self.config_with_path("/usr/local/bin:/usr/bin:/bin")
    }

    fn config_with_path(&self, path: &str) -> Config {
        let environment = [("PATH", path), ("HOME", "/nonexistent"), ("LANG", "C.UTF-8")];
        Config::new(self.path(), environment.map(|(k, v)| (k.to_owned(), v.to_owned())))
    }

    /// A `tmux` script that stands before the real one in PATH.
    fn fake_tmux(&self, script: &str) -> Config {
        let bin = self.path().join("bin");
        fs::create_dir_all(&bin).unwrap();
        let tmux = bin.join("tmux");
        fs::write(&tmux, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&tmux, fs::Permissions::from_mode(0o755)).unwrap();
        self.config_with_path(&format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()))
    }

    /// A tmux that refuses to be a control client.
    fn without_control(&self) -> Config {
        let real = ["/usr/local/bin/tmux", "/usr/bin/tmux", "/bin/tmux"];
        let real = real.iter().find(|path| Path::new(path).exists()).unwrap();
        self.fake_tmux(&format!("[ \"$1\" = -C ] && exit 1\nexec {real} \"$@\""))
    }

    fn server(&self) -> Option<ProcessMark> {
        serde_json::from_slice(&fs::read(self.path().join("tmux.server")).ok()?).ok()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(server) =
            self.server().filter(|mark| start_ticks(mark.pid) == Some(mark.start_ticks))
        {
            let _ = kill(Pid::from_raw(server.pid), Signal::SIGKILL);
        }
    }
}

/// Field 22 of `/proc/PID/stat`; `None` when the process is gone or a zombie.
fn start_ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    if rest.starts_with('Z') {
        return None;
    }
    rest.split(' ').nth(19)?.parse().ok()
}

async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let polled = async {
        while !holds().await {
            looks.tick().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), polled).await;
    assert!(in_time.is_ok(), "waited 20 s for: {what}");
}

async fn heard(notices: &mut UnboundedReceiver<Notice>, wanted: &Notice) {
    let found = async {
        while let Some(notice) = notices.recv().await {
            if notice == *wanted {
                return;
            }
        }
        panic!("the notices ended without {wanted:?}");
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), found).await;
    assert!(in_time.is_ok(), "waited 20 s for {wanted:?}");
}

fn window(session: &str, name: &str, argv: &[&str]) -> OpenWindow {
    OpenWindow {
        session: session.to_owned(),
        name: name.to_owned(),
        token: Token::new(format!("token-of-{name}")),
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        cwd: PathBuf::from("/"),
    }
}

fn command(words: &[&str]) -> TmuxCommand<'static> {
    let mut command = TmuxCommand::with_name(words[0].to_owned());
    for word in &words[1..] {
        command.push_param((*word).to_owned());
    }
    command
}

async fn ask(tmux: &Tmux, words: &[&str]) -> String {
    let output = tmux.run(&[command(words)]).await.unwrap().pop().unwrap();
    String::from_utf8(output).unwrap().trim_end_matches('\n').to_owned()
}

async fn pane(tmux: &Tmux, id: &str) -> PaneSeen {
    tmux.list().await.unwrap().into_iter().find(|pane| pane.pane == id).unwrap()
}

async fn control_client(tmux: &Tmux) -> Vec<i32> {
    let text = ask(tmux, &["list-clients", "-t", "=muxvisor", "-F", "#{client_pid}"]).await;
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// A person's terminal, 91 columns wide; dropping it ends what runs in it.
struct Terminal {
    child: std::process::Child,
    _master: std::os::fd::OwnedFd,
}

impl Terminal {
    #[expect(clippy::disallowed_methods, reason = "a person starts programs")]
    fn open(argv: &[String]) -> Self {
        let size = nix::pty::Winsize { ws_row: 31, ws_col: 91, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = nix::pty::openpty(Some(&size), None).unwrap();
        let child = std::process::Command::new(&argv[0])
            .args(&argv[1..])
            .env("TERM", "xterm")
            .env_remove("TMUX")
            .stdin(pair.slave.try_clone().unwrap())
            .stdout(pair.slave.try_clone().unwrap())
            .stderr(pair.slave)
            .spawn()
            .unwrap();
        Self { child, _master: pair.master }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
