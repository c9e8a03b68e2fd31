//! One play: a plot, in which one blow may fall, and the end of everybody. Whoever dies in it, a
//! client starts the next daemon.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::stage::{Said, Stage, lives, pid_of};
use crate::wait::wait_for;

/// How often each task's result was accepted.
const ACCEPTED: &str = "SELECT json_extract(data, '$.task-succeeded.task'), count(*)
    FROM event WHERE kind = 'task-succeeded' GROUP BY 1 ORDER BY 1";
const OPEN: &str = "SELECT attempt_id, 1 FROM attempt WHERE outcome IS NULL";
const LOST: &str = "SELECT 'lost', count(*) FROM attempt WHERE outcome = 'lost'";
const ATTEMPTS: &str = "SELECT concat_ws(' ', agent, attempt_id, outcome, ending), intended_ms
    FROM attempt ORDER BY id";
const RUNS: &str = "SELECT run_id, count(*) FROM run GROUP BY 1";

/// A home in which one blow may fall.
pub(super) struct Play {
    pub(super) stage: Stage,
    orders: String,
    plot: &'static Plot,
}

/// What happens in a play.
#[derive(Debug)]
pub(super) struct Plot {
    /// For people.
    pub(super) name: &'static str,
    /// Sets the stage.
    pub(super) prepare: fn(&Stage),
    /// Plays, until nothing is left to run; says what it brought.
    pub(super) act: fn(&Play) -> Vec<String>,
}

/// What a play brought.
#[derive(Debug)]
pub(super) struct Brought {
    /// Status and output by task.
    results: Vec<String>,
    /// Name and token of everything that was started, and how often.
    started: BTreeMap<(String, String), usize>,
    wrong: Vec<String>,
    lost: i64,
}

impl Play {
    pub(super) fn new(plot: &'static Plot, orders: &str) -> Self {
        let stage = Stage::new();
        (plot.prepare)(&stage);
        // As a start leaves it that crashed.
        fs::write(stage.at("crashed-starts"), ".").unwrap();
        Self { stage, orders: orders.to_owned(), plot }
    }

    fn mark_path(&self) -> PathBuf {
        self.stage.desk().join("mark")
    }

    /// What the fail point wrote.
    pub(super) fn mark(&self) -> String {
        fs::read_to_string(self.mark_path()).unwrap_or_default()
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.stage.command(arguments);
        command.env("MUXVISOR_FAILPOINT", &self.orders);
        command.env("MUXVISOR_FAILPOINT_MARK", self.mark_path());
        command
    }

    pub(super) fn ask(&self, arguments: &[&str]) -> Said {
        let output = self.command(arguments).output().unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asks until it is done: the daemon may die in the midst of it.
    pub(super) fn insist(&self, arguments: &[&str]) -> Said {
        let mut said = None;
        wait_for(&format!("{arguments:?}"), || {
            let answer = self.ask(arguments);
            let done = answer.code == 0;
            said = Some(answer);
            done
        });
        said.unwrap()
    }

    fn started(&self) -> Vec<Vec<String>> {
        let text = fs::read_to_string(self.stage.desk().join("started")).unwrap_or_default();
        text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
    }

    pub(super) fn has_started(&self, name: &str, times: usize) -> bool {
        self.started().iter().filter(|line| line[0] == name).count() >= times
    }

    /// The pid of a daemon that answers; one is started if need be.
    pub(super) fn daemon(&self) -> i32 {
        let mut found = None;
        wait_for("a daemon", || {
            let said = self.ask(&["runs"]);
            if said.code == 0 {
                found = pid_of(&self.ps()["daemon"]["pid"]);
            }
            found.is_some()
        });
        found.unwrap()
    }

    /// What lives; null when nobody answers.
    pub(super) fn ps(&self) -> Value {
        serde_json::from_str(&self.ask(&["ps", "--json"]).out).unwrap_or_default()
    }

    /// Starts a daemon if the last one died, and something is still waited for.
    pub(super) fn nudge(&self, done: bool) {
        let written = fs::read_to_string(self.stage.at("run/daemon.lock")).unwrap_or_default();
        if !done && !written.trim().parse().is_ok_and(lives) {
            self.ask(&["runs"]);
        }
    }

    /// Plays it to the end.
    pub(super) fn perform(&self) -> Brought {
        let results = (self.plot.act)(self);
        let mut wrong = Vec::new();
        self.look(&mut wrong);
        self.leave();
        self.look_at_what_is_left(&mut wrong);
        Brought {
            results,
            started: self.tokens(),
            wrong,
            lost: self.stage.counts(LOST).iter().map(|(_, times)| times).sum(),
        }
    }

    fn look(&self, wrong: &mut Vec<String>) {
        // Windows close behind their attempts; a daemon that died meanwhile closes them later.
        wait_for("the end of all windows", || {
            let closed = self.stage.panes().is_empty();
            self.nudge(closed);
            closed
        });
        if self.stage.counts(RUNS).len() > 1 {
            wrong.push("the plan runs twice".to_owned());
        }
        for (task, times) in self.stage.counts(ACCEPTED) {
            if times != 1 {
                wrong.push(format!("the result of {task} was accepted {times} times"));
            }
        }
        for (attempt, _) in self.stage.counts(OPEN) {
            wrong.push(format!("attempt {attempt} has no end"));
        }
        if let Ok(said) = fs::read_to_string(self.stage.desk().join("violations")) {
            wrong.push(said);
        }
    }

    /// Has everything stopped, by as many daemons as it takes.
    fn leave(&self) {
        let mut told = 0;
        wait_for("the end of everybody", || {
            let left = self.stage.processes();
            if left.is_empty() {
                return true;
            }
            if told == 0 || !lives(told) {
                told = self.daemon();
                let _ = kill(Pid::from_raw(told), Signal::SIGINT);
            }
            false
        });
    }

    fn look_at_what_is_left(&self, wrong: &mut Vec<String>) {
        const STAYS: [&str; 7] = [
            "daemon.lock",
            "daemon.sock",
            "s",
            "start.lock",
            "tmux.conf",
            "tmux.server",
            "tmux.sock",
        ];
        let sockets = entries(&self.stage.at("run/s"));
        let others = entries(&self.stage.at("run"));
        let others = others.into_iter().filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            !STAYS.contains(&&*name)
        });
        for path in sockets.into_iter().chain(others) {
            wrong.push(format!("{} is left", path.display()));
        }
        for attempt in entries(&self.stage.at("attempts")) {
            let spec = fs::read(attempt.join("spec.json")).unwrap_or_default();
            let spec: Value = serde_json::from_slice(&spec).unwrap_or_default();
            let group = spec["confinement"]["leaf"].as_str().map(PathBuf::from);
            if let Some(group) = group.filter(|group| group.exists()) {
                wrong.push(format!("the control group {} is left", group.display()));
            }
        }
    }

    /// What happened, for whoever must find out why.
    pub(super) fn evidence(&self) -> String {
        let attempts = self.stage.counts(ATTEMPTS);
        let attempts = attempts.iter().map(|(attempt, ms)| format!("{ms} {attempt}\n"));
        let started = self.started().into_iter().map(|line| line.join(" ") + "\n");
        let left = entries(&self.stage.at("attempts")).into_iter().map(|folder| left_in(&folder));
        let parts: [String; 3] = [attempts.collect(), started.collect(), left.collect()];
        format!("{}{}", parts.join("\n"), self.stage.log())
    }

    fn tokens(&self) -> BTreeMap<(String, String), usize> {
        let mut tokens = BTreeMap::new();
        for line in self.started() {
            *tokens.entry((line[0].clone(), line[2].clone())).or_default() += 1;
        }
        tokens
    }
}

impl Brought {
    /// Whether nothing ran twice and nothing is left.
    pub(super) fn is_sound(&self) -> Result<(), String> {
        let twice = self.started.iter().filter(|(_, times)| **times > 1);
        let mut wrong: Vec<String> = twice
            .map(|((name, _), times)| format!("an attempt of {name} ran {times} times"))
            .collect();
        wrong.extend(self.wrong.iter().cloned());
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }

    /// Whether it is what an undisturbed play brings; a shim's death costs one attempt more.
    pub(super) fn compare(&self, expected: &Self, shim: bool) -> Result<(), String> {
        self.is_sound()?;
        if self.results != expected.results {
            return Err(format!("{:?} instead of {:?}", self.results, expected.results));
        }
        let more = usize::from(shim);
        let (ours, theirs) = (self.names(), expected.names());
        let all: usize = ours.values().sum();
        let plain: usize = theirs.values().sum();
        if !(plain..=plain + more).contains(&all) || (!shim && ours != theirs) {
            return Err(format!("{ours:?} were started instead of {theirs:?}"));
        }
        let spare = i64::from(shim);
        if !(expected.lost..=expected.lost + spare).contains(&self.lost) {
            return Err(format!("{} attempts were lost", self.lost));
        }
        Ok(())
    }

    fn names(&self) -> BTreeMap<&str, usize> {
        let mut names = BTreeMap::new();
        for ((name, _), times) in &self.started {
            *names.entry(name.as_str()).or_default() += times;
        }
        names
    }
}

/// The records and the last words of an attempt.
fn left_in(folder: &Path) -> String {
    let text = |name: &str| {
        let bytes = fs::read(folder.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(2000)..]).trim_end().to_owned()
    };
    let parts = ["exit.json", "output.idx", "output.log", "shim.log"];
    let parts = parts.map(|name| format!("  {name}: {:?}\n", text(name)));
    format!("{}\n{}", folder.display(), parts.concat())
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
