//! A private home with its daemon, and what can be asked of it and seen of its processes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use muxvisor::control::{Client, Request, view::PsReply};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

use crate::floor::own;
use crate::rooms::private;
use crate::stamp::until;

/// A home whose processes end when it is dropped.
pub(crate) struct House {
    dir: PathBuf,
}

/// What a process costs.
pub(crate) struct Cost {
    /// Clock ticks of processor time.
    pub(crate) ticks: f64,
    /// How often each of its threads was put to sleep and woken, by thread.
    pub(crate) wakeups: BTreeMap<String, f64>,
    /// Resident memory, MiB.
    pub(crate) resident: f64,
    /// Of that, what no other process shares.
    pub(crate) private: f64,
}

impl House {
    pub(crate) fn new() -> Self {
        let house = Self { dir: private() };
        house.run(&["up"]);
        house
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A step that notes itself.
    pub(crate) fn step(&self) -> String {
        format!("[{:?}, \"stamp\", {:?}]", own(), self.path("stamps"))
    }

    /// The program with arguments, told to use this home.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muxvisor"));
        command.args(arguments).arg("--home").arg(self.path("h")).current_dir(&self.dir);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) {
        let status = self.command(arguments).status().unwrap();
        assert!(status.success(), "muxvisor {arguments:?}: {status}");
    }

    /// Writes a plan and gives its path.
    pub(crate) fn plan(&self, text: &str) -> String {
        let path = self.path("plan.toml");
        let head = "plan = \"bench\"\ngoal = \"measure\"\napproval = \"none\"\n";
        std::fs::write(&path, format!("{head}{text}")).unwrap();
        path.display().to_string()
    }

    /// Submits a plan without waiting for it, and gives the run's id.
    pub(crate) fn submit(&self, plan: &str) -> String {
        let mut command = self.command(&["run", plan, "--detach", "--json"]);
        let said = command.stdout(Stdio::piped()).output().unwrap();
        let said: Value = serde_json::from_slice(&said.stdout).unwrap();
        said["run"].as_str().unwrap().to_owned()
    }

    pub(crate) fn client(&self) -> Client {
        Client::at(self.path("h/run/daemon.sock"))
    }

    pub(crate) fn ps(&self) -> Option<PsReply> {
        self.client().ask_for(&Request::Ps).ok()
    }

    pub(crate) fn daemon(&self) -> i32 {
        self.ps().unwrap().daemon.unwrap().pid
    }

    /// Submits `count` agents that sleep, and waits until all run.
    pub(crate) fn sleepers(&self, count: usize) -> String {
        let tasks: String = (0..count).map(|n| agent_task(n, "sleeper", None)).collect();
        let plan = format!("max_parallel = {count}\n{SLEEPER}{tasks}");
        let run = self.submit(&self.plan(&plan));
        until("agents that sleep", || self.running().len() == count);
        run
    }

    /// The processes of all running agents.
    pub(crate) fn running(&self) -> Vec<i32> {
        let attempts = self.ps().map(|ps| ps.attempts).unwrap_or_default();
        let mut pids: Vec<i32> = attempts.iter().filter_map(|attempt| attempt.pid).collect();
        pids.sort_unstable();
        pids
    }

    /// The shims of this home.
    pub(crate) fn shims(&self) -> Vec<i32> {
        let home = self.path("h");
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| is_shim(*pid, &home)).collect()
    }
}

fn is_shim(pid: i32, home: &Path) -> bool {
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = line.split('\0').skip(1);
    words.next() == Some("shim") && words.next().is_some_and(|dir| Path::new(dir).starts_with(home))
}

impl Drop for House {
    fn drop(&mut self) {
        // An interrupted daemon stops every agent and its tmux server before it ends.
        let Some(daemon) = self.ps().and_then(|ps| ps.daemon) else { return };
        let pid = Pid::from_raw(daemon.pid).unwrap();
        let _ = kill_process(pid, Signal::INT);
        until("the end of the daemon", || test_kill_process(pid).is_err());
    }
}

const SLEEPER: &str =
    "[agent.sleeper]\ncommand = [\"sleep\", \"9000\"]\nprompt = \"none\"\nresult = \"none\"\n";

/// A task for an agent of the plan.
pub(crate) fn agent_task(n: usize, agent: &str, after: Option<usize>) -> String {
    format!(
        "[[task]]\nid = \"t{n}\"\nagent = \"{agent}\"\ndescription = \"step {n}\"\nretries = 0\n\
         timeout = \"infinity\"\n{}",
        waits(after)
    )
}

/// A task that is a program without window.
pub(crate) fn command_task(n: usize, run: &str, after: Option<usize>) -> String {
    format!("[[task]]\nid = \"t{n}\"\nkind = \"command\"\nrun = {run}\n{}", waits(after))
}

fn waits(after: Option<usize>) -> String {
    after.map_or(String::new(), |n| format!("depends_on = [\"t{n}\"]\n"))
}

/// What a process costs up to now.
pub(crate) fn cost(pid: i32) -> Cost {
    let read =
        |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let stat = read("stat");
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |n: usize| fields.get(n).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let wakeups = threads.map(|thread| {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        let name = thread.file_name().to_string_lossy().into_owned();
        (name, sum_of(&status, "voluntary_ctxt_switches:"))
    });
    let memory = read("smaps_rollup");
    Cost {
        ticks: field(11) + field(12),
        wakeups: wakeups.collect(),
        resident: sum_of(&memory, "Rss:") / 1024.0,
        private: (sum_of(&memory, "Private_Clean:") + sum_of(&memory, "Private_Dirty:")) / 1024.0,
    }
}

impl Cost {
    /// How often it was woken since then. Threads that are gone had nothing to do.
    pub(crate) fn woken_since(&self, before: &Cost) -> f64 {
        let count = |thread: &String| before.wakeups.get(thread).copied().unwrap_or(0.0);
        self.wakeups.iter().map(|(thread, now)| now - count(thread)).sum()
    }
}

/// The sum of the numbers on the lines that begin so.
fn sum_of(text: &str, name: &str) -> f64 {
    let lines = text.lines().filter_map(|line| line.strip_prefix(name));
    lines.filter_map(|rest| rest.split_whitespace().next()?.parse::<f64>().ok()).sum()
}
