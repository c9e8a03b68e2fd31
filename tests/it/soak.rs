//! Fault 79: a home under chaos for as long as a person wants. Services and runs go on while
//! agents, shims, daemons and the tmux server are killed, clients come and go, and the
//! configuration is read again. What a daemon holds must not grow; in the end everything is there
//! once. `scripts/soak` drives it; without being told to, it does not run.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod chaos;
mod samples;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use muxvisor::clock::Clock;
use nix::sys::signal::Signal;

use crate::stage::{Stage, end};
use crate::wait::{let_pass, wait_for};
use chaos::Chaos;
use samples::{Sample, Samples};

const PLAN: &str = r#"
plan = "soak"
approval = "none"
max_parallel = 8
[agent.worker]
command = ["sh", "./worker.sh"]
prompt = "stdin"
"#;

/// Takes a moment, says something, ends; once in a while badly.
const WORKER: &str = r#"
echo "$MUXVISOR_TOKEN" >> started
cat > /dev/null
sleep 0.$(( $$ % 10 ))
head -c 2000 /dev/zero | tr '\0' x
[ $(( $$ % 17 )) = 0 ] && exit 3
sleep 0.$(( $$ % 7 ))
echo "<result>done</result>"
"#;

fn config(services: usize, desk: &std::path::Path) -> String {
    let mut text = String::from("[daemon]\nkeep_window = \"never\"\nmax_parallel = 16\n");
    for n in 0..services {
        text.push_str(&format!(
            "[agent.s{n}]\ntype = \"service\"\nautostart = true\nprompt = \"none\"\n\
             result = \"none\"\nrestart = \"always\"\nrestart_delay = \"200ms\"\n\
             restart_max_delay = \"1s\"\nstart_limit_burst = 0\ncwd = \"{}\"\n\
             command = [\"sh\", \"-c\", \"echo $MUXVISOR_TOKEN >> started; exec 9>>lock.s{n}; \
             flock -n 9 || echo s{n} twice >> violations; while :; do echo alive; sleep 1; done\"]\n",
            desk.display()
        ));
    }
    text
}

fn plan() -> String {
    let mut plan = String::from(PLAN);
    plan.push_str("[[phase]]\nid = \"all\"\nexecution_mode = \"parallel\"\n");
    for n in 0..8 {
        plan.push_str(&format!(
            "[[phase.task]]\nid = \"t{n}\"\nagent = \"worker\"\ndescription = \"work\"\n\
             retries = 8\nretry_wait = {{ first = \"50ms\" }}\n"
        ));
    }
    plan
}

fn said(name: &str, otherwise: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a person chooses")]
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Everything that should live does, once, and nothing else.
fn assert_at_rest(stage: &Stage, services: usize) {
    wait_for("all services, once each", || {
        let ps = stage.ps();
        let instances = ps["instances"].as_array().cloned().unwrap_or_default();
        let up = instances.iter().filter(|one| one["state"] == "running").count();
        let sample = Sample::of(stage);
        up == services
            && ps["attempts"].as_array().is_some_and(Vec::is_empty)
            && sample.shims == services
            && sample.windows == services
            && sample.sockets == services
            && stage.agents().len() >= services
    });
}

fn assert_nothing_ran_twice(stage: &Stage) {
    let text = fs::read_to_string(stage.desk().join("started")).unwrap_or_default();
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    text.lines().for_each(|token| *times.entry(token).or_default() += 1);
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "attempts that ran twice: {twice:?}");
    let violations = fs::read_to_string(stage.desk().join("violations")).unwrap_or_default();
    assert_eq!(violations, "", "two of one service at a time");
    let accepted = "SELECT run || json_extract(data, '$.task-succeeded.task'), count(*) FROM event
        WHERE kind = 'task-succeeded' GROUP BY 1 HAVING count(*) > 1";
    assert_eq!(stage.counts(accepted), [], "results that were accepted twice");
    println!("{} attempts were started, none of them twice", times.len());
}

#[test]
#[ignore = "runs as long as it is told to: scripts/soak"]
fn chaos_leaves_nothing_behind() {
    let seconds = said("MUXVISOR_SECONDS", 60);
    let agents = usize::try_from(said("MUXVISOR_AGENTS", 50)).unwrap();
    let services = agents.saturating_sub(8).max(1);
    let stage = Stage::new();
    stage.configure(&config(services, &stage.desk()));
    stage.file("worker.sh", WORKER);
    stage.file("soak.toml", &plan());
    stage.start_daemon();
    let clock = Clock::start(None).unwrap();
    let began = clock.now();
    let mut chaos = Chaos::new(said("MUXVISOR_SEED", 1));
    let mut samples = Samples::default();
    let mut second = 0;
    while clock.now().since(began).as_secs() < seconds {
        second += 1;
        chaos.strike(&stage, second);
        if second % 5 == 0 {
            samples.take(&stage);
        }
        let_pass(Duration::from_millis(900));
    }
    println!("{chaos}");
    wait_for("a daemon", || stage.ask(&["runs"]).code == 0);
    for run in stage.json(&["runs", "--active"])["runs"].as_array().unwrap() {
        let run = run["run"].as_str().unwrap().to_owned();
        wait_for("the end of a run", || {
            matches!(stage.ask(&["wait", &run, "--timeout", "5s"]).code, 0 | 1 | 3)
        });
    }
    assert_at_rest(&stage, services);
    assert_nothing_ran_twice(&stage);
    print!("{samples}");
    samples.assert_flat();
    end(stage.daemon().unwrap(), Signal::SIGINT);
    wait_for("the end of everybody", || stage.processes().is_empty());
}
