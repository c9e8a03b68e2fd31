//! Scenes on the stage: what tests of promises to users say again and again. Plans are run to
//! their end, documents are read, and ends are waited for by pid.

use std::cell::Cell;
use std::fs::{self, File};
use std::ops::Deref;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use nix::sys::signal::{Signal, kill};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;

use crate::stage::Stage;

/// How long a call of the program may take on a busy machine.
const CALL_S: i64 = 60;

/// A stage with a play on it.
pub(crate) struct Scene {
    stage: Stage,
    calls: Cell<u32>,
}

/// What a call of the program left behind.
pub(crate) struct Answer {
    /// Its exit code; 128 and more for a signal.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// A call of the program that goes on.
pub(crate) struct Going {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Deref for Scene {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl Scene {
    /// An empty home.
    pub(crate) fn new() -> Self {
        Self { stage: Stage::new(), calls: Cell::new(0) }
    }

    /// Starts the program.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Going {
        self.begin_command(self.command(arguments))
    }

    /// Starts a prepared command.
    pub(crate) fn begin_command(&self, mut command: Command) -> Going {
        let n = self.calls.replace(self.calls.get() + 1);
        let file = |kind: &str| self.desk().with_file_name(format!("call{n}.{kind}"));
        let (stdout, stderr) = (file("out"), file("err"));
        command.stdout(File::create(&stdout).expect("made"));
        command.stderr(File::create(&stderr).expect("made"));
        Going { child: command.spawn().expect("the program starts"), stdout, stderr }
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn call(&self, arguments: &[&str]) -> Answer {
        self.begin(arguments).end()
    }

    /// Runs it to its end, and reads the document on its standard output.
    #[track_caller]
    pub(crate) fn read(&self, arguments: &[&str]) -> Value {
        self.call(arguments).document()
    }

    /// Runs a plan to its end: exit code, and the results without their envelope.
    #[track_caller]
    pub(crate) fn run(&self, plan: &str, arguments: &[&str]) -> (i32, Value) {
        let path = self.file("plan.toml", plan);
        let all = [&["run", path.to_str().expect("text"), "--json"], arguments].concat();
        let answer = self.call(&all);
        let mut document = answer.document();
        assert!(document.get("error").is_none(), "{answer:?}");
        let results = document["execution_results"].take();
        crate::schema::check(&results);
        (answer.code, results)
    }

    /// The attempts of `ps`.
    #[track_caller]
    pub(crate) fn live(&self) -> Vec<Value> {
        self.ps()["attempts"].as_array().expect("a list").clone()
    }

    /// What tmux says.
    pub(crate) fn ask_tmux(&self, arguments: &[&str]) -> String {
        self.tmux(arguments).out
    }

    /// The folders of all attempts of a task, the oldest first.
    pub(crate) fn attempts_of(&self, task: &str) -> Vec<PathBuf> {
        let folders = fs::read_dir(self.at("attempts")).into_iter().flatten().flatten();
        let mut found: Vec<(String, PathBuf)> = folders
            .filter_map(|folder| {
                let text = fs::read_to_string(folder.path().join("spec.json")).ok()?;
                let spec: Value = serde_json::from_str(&text).ok()?;
                let of = |name: &str| {
                    let all = spec["env"].as_array()?;
                    let entry = all.iter().find(|entry| entry[0] == name)?;
                    entry[1].as_str().map(str::to_owned)
                };
                (of("MUXVISOR_TASK")? == task)
                    .then(|| Some((of("MUXVISOR_ATTEMPT")?, folder.path())))?
            })
            .collect();
        found.sort();
        found.into_iter().map(|(_, folder)| folder).collect()
    }
}

impl Going {
    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Answer {
        let over = gone_within(i32::try_from(self.child.id()).expect("Linux pids fit"), CALL_S);
        if !over {
            let _ = self.child.kill();
        }
        let status = self.child.wait().expect("a child of ours");
        let read =
            |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        let (stdout, stderr) = (read(&self.stdout), read(&self.stderr));
        assert!(over, "a call did not end in {CALL_S} s; it printed\n{stdout}\n{stderr}");
        let code = status.code().or(status.signal().map(|n| n + 128)).expect("it ended");
        Answer { code, stdout, stderr }
    }
}

impl std::fmt::Debug for Answer {
    /// The last words; a plan that is shown may be long.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = |text: &str| {
            let from = text.char_indices().rev().nth(1500).map_or(0, |(at, _)| at);
            text[from..].to_owned()
        };
        write!(f, "code {}\n{}\n{}", self.code, end(&self.stdout), end(&self.stderr))
    }
}

impl Answer {
    /// The document on standard output, which stands there alone.
    #[track_caller]
    pub(crate) fn document(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no document alone on stdout ({error}): {self:?}"))
    }
}

/// Sends a signal to a process that the test started, directly or through the program.
pub(crate) fn send(pid: i32, signal: Signal) {
    // One that is gone already needs no signal.
    let _ = kill(nix::unistd::Pid::from_raw(pid), signal);
}

/// Waits for the end of a process; false when it goes on.
pub(crate) fn gone_within(pid: i32, seconds: i64) -> bool {
    let pid = Pid::from_raw(pid).expect("a pid is not zero");
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return true };
    let limit = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let mut fds = [PollFd::new(&handle, PollFlags::IN)];
    rustix::event::poll(&mut fds, Some(&limit)).expect("poll works") > 0
}

/// A task of a results document.
#[track_caller]
pub(crate) fn task<'a>(results: &'a Value, id: &str) -> &'a Value {
    let phases = results["phases"].as_array().expect("phases");
    let mut tasks = phases.iter().flat_map(|phase| phase["tasks"].as_array().expect("tasks"));
    tasks.find(|task| task["task_id"] == id).unwrap_or_else(|| panic!("no task {id}: {results}"))
}
