//! A private attempt directory and the shim that runs in it.
#![expect(clippy::disallowed_methods, reason = "these tests start shims")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use muxvisor::model::{
    Exit, KillMode, Spec, Started, StdinFrom, StopSpec, TerminalSpec, files, signal_number,
};
use muxvisor::shim::{self, Reply, Request, Status};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::wait_for;

/// An attempt directory with its spec; whatever still runs is killed with it.
pub(crate) struct Bench {
    home: tempfile::TempDir,
    pub(crate) spec: Spec,
    shim: Option<Child>,
}

impl Bench {
    /// An attempt that runs `argv` on an inner terminal, without a window.
    pub(crate) fn new(argv: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("attempt")).unwrap();
        let spec = Spec {
            schema: 1,
            attempt: "attempt".to_owned(),
            token: "0123456789abcdef".to_owned(),
            label: "wf_test".to_owned(),
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            env: vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())],
            cwd: home.path().to_owned(),
            stdin: StdinFrom::Terminal,
            terminal: Some(TerminalSpec { columns: 90, rows: 30, echo: true }),
            windowed: false,
            server: None,
            stop: StopSpec {
                keys: Vec::new(),
                signal: "SIGTERM".to_owned(),
                timeout_ms: 300,
                send_sighup: false,
                mode: KillMode::ControlGroup,
            },
            socket: home.path().join("s.sock"),
            oom_score_adjust: 0,
            resources: Default::default(),
            confinement: Default::default(),
            drain_ms: 2_000,
        };
        Self { home, spec, shim: None }
    }

    /// An attempt that runs a shell script.
    pub(crate) fn script(text: &str) -> Self {
        Self::new(&["sh", "-c", text])
    }

    /// On pipes.
    pub(crate) fn piped(mut self) -> Self {
        self.spec.terminal = None;
        self
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.home.path().join("attempt")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    pub(crate) fn write_spec(&self) {
        fs::write(self.path(files::SPEC), serde_json::to_vec(&self.spec).unwrap()).unwrap();
    }

    /// Starts the shim without a window.
    pub(crate) fn start(&mut self) {
        self.write_spec();
        self.shim = Some(self.command().spawn().unwrap());
    }

    /// Starts the shim on the slave of a terminal that the test owns, as tmux would.
    pub(crate) fn start_on(&mut self, tty: &OwnedFd) {
        self.spec.windowed = true;
        self.write_spec();
        let end = || Stdio::from(tty.try_clone().unwrap());
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(env!("CARGO_BIN_EXE_muxvisor")).arg("shim").arg(self.dir());
        self.shim = Some(command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap());
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muxvisor"));
        command.arg("shim").arg(self.dir());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs the attempt to its end.
    pub(crate) fn run(&mut self) -> Exit {
        self.start();
        self.finish();
        self.exit()
    }

    /// Waits for the shim's end.
    pub(crate) fn finish(&mut self) -> ExitStatus {
        let mut shim = self.shim.take().expect("a shim was started");
        let mut status = None;
        wait_for("the shim to end", || {
            status = shim.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.shim.as_mut().is_none_or(|shim| shim.try_wait().unwrap().is_some())
    }

    pub(crate) fn started(&self) -> Started {
        wait_for("started.json", || self.path(files::STARTED).exists());
        serde_json::from_slice(&fs::read(self.path(files::STARTED)).unwrap()).unwrap()
    }

    pub(crate) fn exit(&self) -> Exit {
        serde_json::from_slice(&fs::read(self.path(files::EXIT)).unwrap()).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path(files::LOG)).unwrap_or_default()).into_owned()
    }

    pub(crate) fn wait_for_log(&self, text: &str) {
        wait_for(&format!("`{text}` in the log"), || self.log().contains(text));
    }

    pub(crate) fn ask(&self, request: &Request) -> Reply {
        wait_for("the socket", || self.spec.socket.exists());
        shim::ask(&self.spec.socket, request).unwrap()
    }

    pub(crate) fn status(&self) -> Status {
        match self.ask(&Request::Status) {
            Reply::Status(status) => status,
            other @ (Reply::Done | Reply::Refused { .. }) => panic!("{other:?}"),
        }
    }

    /// Signals the shim.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.started().shim.pid), signal).unwrap();
    }

    /// The pids that the script wrote into `name`, one per line, once there are `count`.
    pub(crate) fn pids(&self, name: &str, count: usize) -> Vec<i32> {
        let path = self.home.path().join(name);
        let read = || fs::read_to_string(&path).unwrap_or_default();
        wait_for("the pids", || read().ends_with('\n') && read().lines().count() >= count);
        read().lines().map(|line| line.trim().parse().unwrap()).collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(mut shim) = self.shim.take() {
            // Not reaped yet, so the number is still its own; a stopped agent is killed by it.
            let pid = Pid::from_raw(i32::try_from(shim.id()).unwrap());
            let _ = kill(pid, Signal::SIGTERM);
            let _ = kill(pid, Signal::SIGTERM);
            if !self.path(files::EXIT).exists() {
                let _ = shim::ask(&self.spec.socket, &Request::Kill);
            }
            let _ = shim.kill();
            let _ = shim.wait();
        }
    }
}

/// Whether a process can still run.
pub(crate) fn runs(pid: i32) -> bool {
    shim::mark_of(pid).is_some_and(|mark| shim::is_alive(&mark))
}

pub(crate) fn number(name: &str) -> i32 {
    signal_number(name).unwrap()
}
