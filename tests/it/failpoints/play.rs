//! One play: a run of windowed, windowless, typed, failing and orphaned tasks beside an instance
//! that crashes once; a daemon killed by hand, a reload, a stop, the end. Whoever else dies in it,
//! a client starts the next daemon.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::stage::{Said, Stage, end, lives, pid_of};
use crate::wait::wait_for;

const CONFIG: &str = r#"
[daemon]
keep_window = "never"
[agent.keeper]
type = "service"
autostart = true
prompt = "none"
result = "none"
command = ["sh", "./keeper.sh"]
restart_delay = "20ms"
start_limit_burst = 0
cwd = "DESK"
"#;

/// Crashes in its first life, stays in its second, and complains when there are two of it.
const KEEPER: &str = r#"
exec 9>>keeper.lock
flock -n 9 || echo "keeper runs twice" >> violations
echo "keeper $MUXVISOR_ATTEMPT $MUXVISOR_TOKEN $$" >> started
if mkdir crashed 2>/dev/null; then exit 1; fi
exec sleep 1000
"#;

/// Everybody writes down that it was started: a token that stands there twice ran twice.
const AGENT: &str = r#"
echo "$TASK $MUXVISOR_ATTEMPT $MUXVISOR_TOKEN $$" >> started
case "$TASK" in
typed) read -r line ;;
*) cat > /dev/null ;;
esac
case "$TASK$MUXVISOR_ATTEMPT" in
stumbles1) exit 3 ;;
orphaned1) kill -9 "$PPID"; sleep 1000 ;;
esac
case "$TASK" in
typed)
    while [ ! -e go ]; do sleep 0.02; done
    echo "$TASK is done" > "$MUXVISOR_RESULT.part"
    mv "$MUXVISOR_RESULT.part" "$MUXVISOR_RESULT"
    exec sleep 1000 ;;
waits) while [ ! -e go ]; do sleep 0.02; done ;;
esac
echo "<result>$TASK is done</result>"
"#;

/// How often each task's result was accepted.
const ACCEPTED: &str = "SELECT json_extract(data, '$.task-succeeded.task'), count(*)
    FROM event WHERE kind = 'task-succeeded' GROUP BY 1 ORDER BY 1";
const OPEN: &str = "SELECT attempt_id, 1 FROM attempt WHERE outcome IS NULL";
const LOST: &str = "SELECT 'lost', count(*) FROM attempt WHERE outcome = 'lost'";
const RUNS: &str = "SELECT run_id, count(*) FROM run GROUP BY 1";

fn plan() -> String {
    let mut plan = String::from("plan = \"play\"\nmax_parallel = 8\napproval = \"none\"\n");
    let names = ["windowed", "waits", "stumbles", "orphaned", "typed", "last"];
    for name in names {
        let how = if name == "typed" {
            "prompt = \"type\"\nterminal = true\nresult = \"submit\""
        } else {
            "prompt = \"stdin\""
        };
        plan.push_str(&format!(
            "[agent.{name}]\ncommand = [\"sh\", \"./agent.sh\"]\n{how}\n\
             env = {{ TASK = \"{name}\" }}\n"
        ));
    }
    let more = "retries = 3\nretry_wait = { first = \"20ms\" }\n";
    let task = |name: &str| {
        format!(
            "[[phase.task]]\nid = \"{name}\"\nagent = \"{name}\"\ndescription = \"work\"\n{more}"
        )
    };
    plan.push_str("[[phase]]\nid = \"wide\"\nexecution_mode = \"parallel\"\n");
    names[..5].iter().for_each(|name| plan.push_str(&task(name)));
    plan.push_str(&format!(
        "[[phase.task]]\nid = \"counts\"\nkind = \"command\"\noutput = [\"string\"]\n{more}\
         run = [\"sh\", \"-c\", '''echo counts - $MUXVISOR_TOKEN $$ >> started; echo '[\"c\"]' ''']\n"
    ));
    plan.push_str("[[phase]]\nid = \"end\"\ndepends_on_phases = [\"wide\"]\n");
    plan.push_str(&task("last"));
    plan
}

/// A home in which one blow may fall.
pub(super) struct Play {
    stage: Stage,
    orders: String,
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
    pub(super) fn new(orders: &str) -> Self {
        let stage = Stage::new();
        stage.file("agent.sh", AGENT);
        stage.file("play.toml", &plan());
        stage.file("keeper.sh", KEEPER);
        stage.configure(&CONFIG.replace("DESK", &stage.desk().display().to_string()));
        Self { stage, orders: orders.to_owned() }
    }

    fn mark_path(&self) -> PathBuf {
        self.stage.desk().join("mark")
    }

    /// What the fail point wrote.
    pub(super) fn mark(&self) -> String {
        fs::read_to_string(self.mark_path()).unwrap_or_default()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.stage.command(arguments);
        command.env("MUXVISOR_FAILPOINT", &self.orders);
        command.env("MUXVISOR_FAILPOINT_MARK", self.mark_path());
        command
    }

    fn ask(&self, arguments: &[&str]) -> Said {
        let output = self.command(arguments).output().unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asks until it is done: the daemon may die in the midst of it.
    fn insist(&self, arguments: &[&str]) -> Said {
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

    fn has_started(&self, name: &str, times: usize) -> bool {
        self.started().iter().filter(|line| line[0] == name).count() >= times
    }

    /// The pid of a daemon that answers; one is started if need be.
    fn daemon(&self) -> i32 {
        let mut found = None;
        wait_for("a daemon", || {
            let said = self.ask(&["runs"]);
            found = (said.code == 0).then(|| pid_of(&self.stage.ps()["daemon"]["pid"])).flatten();
            found.is_some()
        });
        found.unwrap()
    }

    /// Starts a daemon if the last one died, and something is still waited for.
    fn nudge(&self, done: bool) {
        let written = fs::read_to_string(self.stage.at("run/daemon.lock")).unwrap_or_default();
        if !done && !written.trim().parse().is_ok_and(lives) {
            self.ask(&["runs"]);
        }
    }

    /// Plays it to the end.
    pub(super) fn perform(&self) -> Brought {
        let run = self.submit();
        wait_for("everybody at work", || {
            let ready = self.has_started("typed", 1)
                && self.has_started("waits", 1)
                && self.has_started("keeper", 2);
            self.nudge(ready);
            ready
        });
        // Whoever lives now lives on, under the same pid.
        end(self.daemon(), Signal::SIGKILL);
        self.daemon();
        self.stage.file("go", "");
        self.insist(&["wait", &run]);
        let results = self.insist(&["results", &run, "--json"]);
        // What is not changed is not applied.
        let config = CONFIG.replace("DESK", &self.stage.desk().display().to_string());
        self.stage.configure(&format!("{config}\n# changed\n"));
        for signal in [Signal::SIGHUP, Signal::SIGUSR1] {
            // One that dies by it is replaced by the next question.
            let _ = kill(Pid::from_raw(self.daemon()), signal);
            self.insist(&["runs"]);
        }
        self.insist(&["down", "keeper"]);
        self.insist(&["wait", "keeper", "--for", "stopped"]);
        let mut wrong = Vec::new();
        self.look(&mut wrong);
        self.leave();
        self.look_at_what_is_left(&mut wrong);
        Brought {
            results: essence(&results.document()),
            started: self.tokens(),
            wrong,
            lost: self.stage.counts(LOST).iter().map(|(_, times)| times).sum(),
        }
    }

    /// Submits the plan once, though its answer may be lost.
    fn submit(&self) -> String {
        let mut run = None;
        wait_for("a run", || {
            let said = self.ask(&["run", "play.toml", "--detach", "--json"]);
            let runs: Value = serde_json::from_str(&self.insist(&["runs", "--json"]).out).unwrap();
            run = runs["runs"][0]["run"].as_str().map(str::to_owned);
            assert!(run.is_some() || said.code != 0, "{said:?}");
            run.is_some()
        });
        run.unwrap()
    }

    fn look(&self, wrong: &mut Vec<String>) {
        // Windows close behind their attempts; a daemon that died meanwhile closes them later.
        wait_for("the end of all windows", || {
            let closed = self.stage.panes().is_empty();
            self.nudge(closed);
            closed
        });
        if self.stage.counts(RUNS).len() != 1 {
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
        for entry in fs::read_dir(self.stage.at("run/s")).into_iter().flatten().flatten() {
            wrong.push(format!("{} is left", entry.path().display()));
        }
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

/// What a run's document says, without ids, times and how often it took.
fn essence(document: &Value) -> Vec<String> {
    let results = &document["execution_results"];
    let mut essence =
        vec![results["status"].to_string(), results["summary"]["successful"].to_string()];
    for phase in results["phases"].as_array().unwrap() {
        for task in phase["tasks"].as_array().unwrap() {
            let parts = ["task_id", "status", "output"];
            essence.push(parts.map(|part| task[part].to_string()).join(" "));
        }
    }
    essence
}
