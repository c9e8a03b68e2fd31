//! A stage for tests of the whole program: a private home in a short directory, the real binary,
//! a cleared environment. What was started on it is gone when it is dropped.

#![expect(clippy::disallowed_methods, reason = "a stage starts the real program")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;

use super::wait::wait_for;

/// A private home and a directory to work in.
pub(crate) struct Stage {
    root: TempDir,
}

/// A client that runs beside the test.
pub(crate) struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

/// What a client that ended said.
#[derive(Debug)]
pub(crate) struct Said {
    /// Its exit code; -1 when a signal ended it.
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// One pane of the private tmux server.
#[derive(Debug)]
pub(crate) struct Pane {
    pub(crate) pid: i32,
    pub(crate) token: String,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("mv").tempdir_in("/tmp").unwrap();
        fs::create_dir(root.path().join("desk")).unwrap();
        fs::create_dir(root.path().join("h")).unwrap();
        fs::set_permissions(root.path().join("h"), fs::Permissions::from_mode(0o700)).unwrap();
        Self { root }
    }

    /// The directory of `--home`.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("h")
    }

    /// Something below the home.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.home().join(path)
    }

    /// Where clients stand.
    pub(crate) fn desk(&self) -> PathBuf {
        self.root.path().join("desk")
    }

    /// Writes a file onto the desk.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.desk().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes the home's configuration.
    pub(crate) fn configure(&self, text: &str) {
        fs::write(self.at("muxvisor.toml"), text).unwrap();
    }

    /// The program, with nothing in its environment but PATH and HOME.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muxvisor"));
        command.args(arguments).arg("--home").arg(self.home());
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/nonexistent");
        command.current_dir(self.desk()).stdin(Stdio::null());
        command
    }

    /// Runs a client to its end.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Said {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Said { code: code(status), out: text(stdout), err: text(stderr) }
    }

    /// Runs a client with `--json` to its end, which must be a good one.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let said = self.ask(&[arguments, &["--json"]].concat());
        assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
        serde_json::from_str(&said.out).unwrap()
    }

    /// Starts a client beside the test.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let named = |suffix| {
            let mut name = tempfile::Builder::new();
            let file = name.prefix("client").suffix(suffix).tempfile_in(self.root.path());
            file.unwrap().into_temp_path().keep().unwrap()
        };
        let (out, err) = (named(".out"), named(".err"));
        let mut command = self.command(arguments);
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        Running { child: command.spawn().unwrap(), out, err }
    }

    /// `ps --json`; the daemon is null when there is none.
    #[track_caller]
    pub(crate) fn ps(&self) -> Value {
        self.json(&["ps"])
    }

    /// The pid of the daemon that answers.
    #[track_caller]
    pub(crate) fn daemon(&self) -> Option<i32> {
        pid_of(&self.ps()["daemon"]["pid"])
    }

    /// The pid of a daemon that answers, from now on.
    #[track_caller]
    pub(crate) fn daemon_that_answers(&self) -> i32 {
        let mut found = None;
        wait_for("a daemon that answers", || {
            found = self.daemon();
            found.is_some()
        });
        found.unwrap()
    }

    /// Starts a daemon as any command would, and returns its pid.
    #[track_caller]
    pub(crate) fn start_daemon(&self) -> i32 {
        let said = self.ask(&["runs"]);
        assert_eq!(said.code, 0, "{said:?}");
        self.daemon().unwrap()
    }

    /// Kills the daemon that answers, and returns what its pid was.
    #[track_caller]
    pub(crate) fn kill_daemon(&self) -> i32 {
        let pid = self.daemon_that_answers();
        end(pid, Signal::SIGKILL);
        pid
    }

    /// The pid of the private tmux server, if one lives.
    pub(crate) fn tmux_server(&self) -> Option<i32> {
        let mark: Value =
            serde_json::from_slice(&fs::read(self.at("run/tmux.server")).ok()?).ok()?;
        pid_of(&mark["pid"]).filter(|pid| lives(*pid))
    }

    /// Asks the private tmux server.
    pub(crate) fn tmux(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new("tmux");
        command.arg("-u").arg("-S").arg(self.at("run/tmux.sock")).args(arguments);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Said { code: code(status), out: text(stdout), err: text(stderr) }
    }

    /// All panes that carry an attempt's mark.
    pub(crate) fn panes(&self) -> Vec<Pane> {
        let format = "#{pane_pid} #{@mv_attempt}";
        let said = self.tmux(&["list-panes", "-a", "-F", format]);
        let pane = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            let pid = words.next()?.parse().ok()?;
            let token = words.next().filter(|token| !token.is_empty())?;
            Some(Pane { pid, token })
        };
        said.out.lines().filter_map(pane).collect()
    }

    /// The ledger, to be looked at only.
    pub(crate) fn ledger(&self) -> Connection {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(self.at("ledger.db"), flags).unwrap()
    }

    /// Rows of a query for a text and a number.
    pub(crate) fn counts(&self, query: &str) -> Vec<(String, i64)> {
        let ledger = self.ledger();
        let mut query = ledger.prepare(query).unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// The daemon's log, to be shown when a test fails.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.at("daemon.log")).unwrap_or_default()
    }

    /// Shows what a person would look at when something went wrong.
    fn tell(&self) {
        eprintln!("daemon.log:\n{}", self.log());
        for entry in fs::read_dir(self.root.path()).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|end| end == "err") {
                eprintln!("a client:\n{}", fs::read_to_string(path).unwrap_or_default());
            }
        }
    }

    /// Agents and all their descendants: whoever carries a token of this home.
    pub(crate) fn agents(&self) -> Vec<i32> {
        let home = format!("MUXVISOR_HOME={}", self.home().display());
        let carries = |pid: &i32| {
            let environment = environment(*pid);
            environment.contains(&home)
                && environment.iter().any(|entry| entry.starts_with("MUXVISOR_TOKEN="))
        };
        all_processes().into_iter().filter(carries).collect()
    }

    /// Removes the control groups that killed shims left.
    fn remove_groups(&self) {
        for attempt in fs::read_dir(self.at("attempts")).into_iter().flatten().flatten() {
            let spec = fs::read(attempt.path().join("spec.json")).unwrap_or_default();
            let spec: Value = serde_json::from_slice(&spec).unwrap_or_default();
            let _ = spec["confinement"]["leaf"].as_str().map(fs::remove_dir);
        }
    }

    /// Every process that has to do with this home: daemon, tmux, shims, agents, clients.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let home = self.home().display().to_string();
        let variable = format!("MUXVISOR_HOME={home}");
        let ours =
            |pid: &i32| command_line(*pid).contains(&home) || environment(*pid).contains(&variable);
        all_processes().into_iter().filter(ours).collect()
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
        // A process may have forked while its parent was being killed, so it is looked again.
        for _ in 0..200 {
            let left = self.processes();
            if left.is_empty() {
                return self.remove_groups();
            }
            for pid in left {
                end(pid, Signal::SIGKILL);
            }
        }
    }
}

impl Running {
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// What it has said on standard error so far.
    pub(crate) fn err(&self) -> String {
        fs::read_to_string(&self.err).unwrap_or_default()
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Said {
        let err = self.err.clone();
        let mut over = None;
        let said = || fs::read_to_string(&err).unwrap_or_default();
        wait_for("the end of a client", || {
            over = self.child.try_wait().unwrap();
            over.is_some()
        });
        let out = fs::read_to_string(&self.out).unwrap();
        Said { code: code(over.unwrap()), out, err: said() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Said {
    /// Standard output as a document.
    #[track_caller]
    pub(crate) fn document(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Sends a signal that ends a process, and waits until it is gone.
#[track_caller]
pub(crate) fn end(pid: i32, signal: Signal) {
    if kill(Pid::from_raw(pid), signal).is_ok() {
        wait_for(&format!("the end of process {pid}"), || !lives(pid));
    }
}

/// Whether a process runs; a zombie does not.
pub(crate) fn lives(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

/// What the descriptors of a process lead to.
pub(crate) fn descriptors(pid: i32) -> Vec<PathBuf> {
    // One that has just ended holds nothing any more.
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).collect()
}

/// A number of a document.
pub(crate) fn pid_of(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|pid| i32::try_from(pid).ok())
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(-1)
}

fn all_processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn command_line(pid: i32) -> String {
    let bytes = fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline"));
    String::from_utf8_lossy(&bytes.unwrap_or_default()).replace('\0', " ")
}

fn environment(pid: i32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let entries = bytes.split(|byte| *byte == 0);
    entries.map(|entry| String::from_utf8_lossy(entry).into_owned()).collect()
}
