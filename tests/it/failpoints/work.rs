//! The first plot: a run of windowed, windowless, typed, failing and orphaned tasks beside an
//! instance that crashes once; a daemon killed by hand, a reload, a stop.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::play::{Play, Plot};
use crate::stage::{Stage, end};
use crate::wait::wait_for;

/// It.
pub(super) const WORK: Plot = Plot { name: "work", prepare, act };

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
orphaned1) setsid sleep 1000 & kill -9 "$PPID"; sleep 1000 ;;
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
        "[[phase.task]]\nid = \"counts\"\nkind = \"command\"\noutput = [\"string\"]\ncache = \"1d\"\n{more}\
         run = [\"sh\", \"-c\", '''echo counts - $MUXVISOR_TOKEN $$ >> started; echo '[\"c\"]' ''']\n"
    ));
    plan.push_str("[[phase]]\nid = \"end\"\ndepends_on_phases = [\"wide\"]\n");
    plan.push_str(&task("last"));
    plan
}

fn config(stage: &Stage) -> String {
    CONFIG.replace("DESK", &stage.desk().display().to_string())
}

fn prepare(stage: &Stage) {
    stage.file("agent.sh", AGENT);
    stage.file("play.toml", &plan());
    stage.file("keeper.sh", KEEPER);
    stage.configure(&config(stage));
}

fn act(play: &Play) -> Vec<String> {
    let run = submit(play);
    wait_for("everybody at work", || {
        let ready = play.has_started("typed", 1)
            && play.has_started("waits", 1)
            && play.has_started("keeper", 2);
        play.nudge(ready);
        ready
    });
    // Whoever lives now lives on, under the same pid.
    end(play.daemon(), Signal::SIGKILL);
    play.daemon();
    play.stage.file("go", "");
    play.insist(&["wait", &run]);
    let results = play.insist(&["results", &run, "--json"]);
    // What is not changed is not applied.
    play.stage.configure(&format!("{}\n# changed\n", config(&play.stage)));
    for signal in [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2] {
        // One that dies by it is replaced by the next question.
        let _ = kill(Pid::from_raw(play.daemon()), signal);
        play.insist(&["runs"]);
    }
    play.insist(&["down", "keeper"]);
    play.insist(&["wait", "keeper", "--for", "stopped"]);
    essence(&results.document())
}

/// Submits the plan once, though its answer may be lost.
fn submit(play: &Play) -> String {
    let mut run = None;
    wait_for("a run", || {
        let said = play.ask(&["run", "play.toml", "--detach", "--json"]);
        let runs: Value = serde_json::from_str(&play.insist(&["runs", "--json"]).out).unwrap();
        run = runs["runs"][0]["run"].as_str().map(str::to_owned);
        assert!(run.is_some() || said.code != 0, "{said:?}");
        run.is_some()
    });
    run.unwrap()
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
