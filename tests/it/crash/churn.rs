//! The daemon is killed again and again, at moments that nobody chose, while agents come and go.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{ENDS, assert_done_once, assert_one_window_each, assert_tmux_holds_nothing_of_ours};
use crate::stage::{Stage, lives};
use crate::wait::{let_pass, wait_for};

/// Kills of both stages together.
const KILLS: u32 = 50;
/// Between two kills at most; a start takes a good part of it.
const BETWEEN_MS: u64 = 300;

/// Every attempt writes a line when it starts: more lines than attempts are work done twice.
const AGENT: &str = r#"
echo "$TASK $MUXVISOR_ATTEMPT" >> "$PWD/started"
cat > /dev/null
sleep 0.1
echo "<result>$TASK begins"
sleep 0.1
[ "$TASK$MUXVISOR_ATTEMPT" = stumbles1 ] && exit 3
echo "$TASK ends</result>"
sleep 0.05
"#;

fn plan() -> String {
    let mut plan = String::from("plan = \"churn\"\nmax_parallel = 4\napproval = \"none\"\n");
    let agent = |name: &str| {
        format!(
            "[agent.{name}]\ncommand = [\"sh\", \"./agent.sh\"]\nprompt = \"stdin\"\n\
             env = {{ TASK = \"{name}\" }}\n"
        )
    };
    let task = |name: &str, more: &str| {
        format!(
            "[[phase.task]]\nid = \"{name}\"\nagent = \"{name}\"\ndescription = \"work\"\n{more}\n"
        )
    };
    let command = |name: &str| {
        format!(
            r#"
[[phase.task]]
id = "{name}"
kind = "command"
output = ["string"]
run = ["sh", "-c", '''echo {name} 1 >> started; sleep 0.2; echo '["{name}"]' ''']
"#
        )
    };
    for name in ["first", "second", "third", "stumbles", "last"] {
        plan.push_str(&agent(name));
    }
    let retries = "retries = 2\nretry_wait = { first = \"100ms\" }";
    plan.push_str("[[phase]]\nid = \"wide\"\nexecution_mode = \"parallel\"\n");
    for name in ["first", "second", "third"] {
        plan.push_str(&task(name, ""));
    }
    plan.push_str(&task("stumbles", retries));
    plan.push_str(&command("counts"));
    plan.push_str("[[phase]]\nid = \"narrow\"\ndepends_on_phases = [\"wide\"]\n");
    plan.push_str(&command("sums"));
    plan.push_str("[[phase]]\nid = \"end\"\ndepends_on_phases = [\"narrow\"]\n");
    let reads =
        "input_context = { a = \"${wide.stumbles.output}\", b = \"${narrow.sums.output}\" }";
    plan.push_str(&task("last", reads));
    plan
}

fn staged() -> Stage {
    let stage = Stage::new();
    stage.file("agent.sh", AGENT);
    stage.file("churn.toml", &plan());
    stage
}

/// What a run's document says, without ids and times.
fn essence(document: &Value) -> Vec<String> {
    let results = &document["execution_results"];
    let mut essence = vec![results["status"].to_string(), results["summary"].to_string()];
    for phase in results["phases"].as_array().unwrap() {
        for task in phase["tasks"].as_array().unwrap() {
            let parts = ["task_id", "status", "output", "attempt_number", "error"];
            essence.push(parts.map(|part| task[part].to_string()).join(" "));
        }
    }
    essence
}

/// What was started, and how often.
fn started(stage: &Stage) -> BTreeMap<String, usize> {
    let text = fs::read_to_string(stage.desk().join("started")).unwrap_or_default();
    let mut times = BTreeMap::new();
    text.lines().for_each(|line| *times.entry(line.to_owned()).or_default() += 1);
    times
}

struct Moments(u64);

impl Moments {
    /// SplitMix64.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// Kills whoever has written itself into the lock file, in the midst of its start too; sometimes it
/// is only told to leave.
fn strike(stage: &Stage, moments: &mut Moments) -> bool {
    let leave = [Signal::SIGTERM, Signal::SIGQUIT];
    let signal = *leave.get(moments.below(10) as usize).unwrap_or(&Signal::SIGKILL);
    let written = fs::read_to_string(stage.at("run/daemon.lock")).unwrap_or_default();
    let Ok(pid) = written.trim().parse::<i32>() else { return false };
    stage.processes().contains(&pid) && lives(pid) && kill(Pid::from_raw(pid), signal).is_ok()
}

/// Runs the plan until it was struck often enough; returns what each run brought.
fn churn(stage: &Stage, kills: u32, moments: &mut Moments) -> Vec<Vec<String>> {
    let mut struck = 0;
    let mut brought = Vec::new();
    while struck < kills {
        let mut client = stage.start(&["run", "churn.toml", "--json"]);
        while !client.is_over() {
            let_pass(Duration::from_millis(moments.below(BETWEEN_MS)));
            // Whether a plan was taken is not known to a client whose daemon dies in that moment.
            let submitted = client.err().contains("is submitted");
            struck += u32::from(submitted && struck < kills && strike(stage, moments));
        }
        let said = client.end();
        assert_eq!(said.code, 0, "{said:?}");
        brought.push(essence(&said.document()));
    }
    brought
}

/// Faults 2 and 5: 50 kills, in two homes at once. Every run brings what an undisturbed one brings.
#[test]
fn fifty_kills_at_random_moments_change_nothing() {
    let seed = RandomState::new().hash_one("churn");
    println!("seed {seed}");
    let undisturbed = staged();
    let said = undisturbed.ask(&["run", "churn.toml", "--json"]);
    assert_eq!(said.code, 0, "{said:?}");
    let (expected, once) = (essence(&said.document()), started(&undisturbed));
    assert_eq!(once.values().sum::<usize>(), 8, "{once:?}");
    drop(undisturbed);
    std::thread::scope(|scope| {
        for half in 0..2 {
            let (expected, once) = (&expected, &once);
            scope.spawn(move || {
                let stage = staged();
                if half == 1 {
                    stage.configure("[daemon]\nkeep_window = \"never\"\n");
                }
                let runs = churn(&stage, KILLS / 2, &mut Moments(seed ^ half));
                for brought in &runs {
                    assert_eq!(brought, expected);
                }
                let times: BTreeMap<_, _> =
                    once.iter().map(|(line, n)| (line.clone(), n * runs.len())).collect();
                assert_eq!(started(&stage), times);
                assert!(stage.counts(ENDS).iter().all(|(end, _)| !end.contains("lost")));
                assert_done_once(&stage);
                assert_one_window_each(&stage);
                assert_tmux_holds_nothing_of_ours(&stage);
                // The last blow may have come after the last client's end, hence the question.
                wait_for("the end of all but daemon, tmux and the connection between", || {
                    stage.ask(&["runs"]).code == 0 && stage.processes().len() == 3
                });
                if half == 1 {
                    wait_for("the end of all windows", || stage.panes().is_empty());
                }
                assert_eq!(fs::read_dir(stage.at("run/s")).unwrap().count(), 0);
            });
        }
    });
}
