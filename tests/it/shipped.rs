//! Every plan under `config/plans/` is played to the end that its head promises, with the commands
//! that stand there: once undisturbed, and once with daemons that are killed at any moment.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::architecture::tree;
use crate::scene::{Scene, task};
use crate::stage::{Stage, end, pid_of};
use crate::wait::{let_pass, wait_for};

/// How many plans are played at once, each in a home of its own.
const AT_ONCE: usize = 4;
/// How often daemons are killed during one plan.
const KILLS: u32 = 3;
/// The longest time between two of them.
const CALM_MS: u64 = 350;

/// A shipped plan, and what its head says of it.
struct Shipped {
    name: String,
    path: String,
    /// What stands behind the file in the command.
    arguments: Vec<String>,
    /// What a person types on the way.
    steps: Vec<Vec<String>>,
    /// The end: `completed, 3 successful, 1 skipped`.
    ends: String,
}

fn shipped() -> Vec<Shipped> {
    let files = tree::texts().into_iter();
    let plans =
        files.filter(|(path, _)| path.starts_with("config/plans/") && path.ends_with(".toml"));
    plans.map(|(path, text)| read(&path, &text)).collect()
}

/// Reads the head of a plan.
fn read(path: &str, text: &str) -> Shipped {
    let head: Vec<&str> = text.lines().map_while(|line| line.strip_prefix('#')).collect();
    let typed = |line: &&str| line.trim().strip_prefix("muxvisor ").map(words);
    let mut commands: Vec<Vec<String>> = head.iter().filter_map(typed).collect();
    let cargo = "cargo run --release -- ";
    commands.extend(head.iter().filter_map(|line| line.trim().strip_prefix(cargo).map(words)));
    assert!(!commands.is_empty(), "{path} does not say how it is run");
    let run = commands.remove(0);
    assert_eq!(run[..2], ["run".to_owned(), path.to_owned()], "{path} says how it is run");
    let ends = head.iter().find_map(|line| line.trim().strip_prefix("Ends: "));
    let ends = ends.unwrap_or_else(|| panic!("{path} does not say how it ends"));
    Shipped {
        name: path.rsplit('/').next().unwrap().trim_end_matches(".toml").to_owned(),
        path: tree::root().join(path).display().to_string(),
        arguments: run[2..].to_vec(),
        steps: commands,
        ends: ends.trim_end_matches('.').to_owned(),
    }
}

/// The words of a command as a shell sees them: quotes keep a word together.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.trim().chars() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (' ', None) => words.push(String::new()),
            (c, _) => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A home with a design on the desk.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.file("DESIGN.md", "# Design\n\nOne queue, two workers.\n");
    scene
}

/// Plays a plan to its end; what is killed meanwhile is the caller's.
fn play(scene: &Scene, plan: &Shipped) -> Value {
    let always = ["--demo", "--yes", "--detach", "--json"].map(str::to_owned);
    let mut arguments = vec!["run".to_owned(), plan.path.clone()];
    arguments.extend(plan.arguments.clone());
    let missing = always.into_iter().filter(|word| !plan.arguments.contains(word));
    arguments.extend(missing);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = &submitted(scene, plan, &arguments);
    // Whoever waits has a dead daemon replaced.
    let waiting = scene.begin(&["wait", run, "--timeout", "50s"]);
    plan.steps.iter().for_each(|step| take(scene, step, run));
    waiting.end();
    let mut results = Value::Null;
    wait_for("results", || {
        let said = scene.ask(&["results", run, "--json"]);
        results = serde_json::from_str(&said.out).unwrap_or_default();
        results["execution_results"].is_object()
    });
    results
}

/// Submits a plan once. A daemon that dies before it answers leaves it open whether it has the plan;
/// then `runs` tells, as the error says.
fn submitted(scene: &Scene, plan: &Shipped, arguments: &[&str]) -> String {
    let submit = || {
        let mut command = scene.command(arguments);
        command.env("MUXVISOR_DEMO_PACE", "0");
        scene.begin_command(command).end().document()
    };
    // Runs that it has started since are parts of it.
    let there = || {
        let said = scene.ask(&["runs", "--json"]);
        let runs: Value = serde_json::from_str(&said.out).ok()?;
        let runs = runs["runs"].as_array()?.iter();
        Some(runs.filter(|run| run["parent"].is_null()).cloned().collect::<Vec<_>>())
    };
    let mut document = submit();
    while document["error"]["kind"] == "unreachable" {
        let mut runs = None;
        wait_for("a daemon that knows", || {
            runs = there();
            runs.is_some()
        });
        document = match runs.unwrap().pop() {
            Some(run) => run,
            None => submit(),
        };
    }
    document["run"].as_str().unwrap_or_else(|| panic!("{}: {document}", plan.name)).to_owned()
}

/// Types what a person types on the way, until it has its effect. An event has a key, so that it
/// comes once however often the daemon dies.
fn take(scene: &Scene, step: &[String], run: &str) {
    let mut step: Vec<&str> = step.iter().map(String::as_str).collect();
    if step[0] == "emit" {
        step.extend(["--key", "once"]);
    }
    wait_for(&format!("{step:?}"), || {
        let over = || !scene.ask(&["runs", "--active"]).out.contains(run);
        scene.ask(&step).code == 0 || over()
    });
}

/// What must not depend on who died: the status of the run, and the end of every task.
fn essence(results: &Value) -> Value {
    let results = &results["execution_results"];
    let phases = results["phases"].as_array().unwrap();
    let tasks = phases.iter().flat_map(|phase| phase["tasks"].as_array().unwrap());
    let of = |task: &Value| {
        let mut output = task["output"].clone();
        if let Some(report) = output.as_object_mut() {
            // Where a command's log lies.
            report.remove("log");
        }
        json!([task["task_id"], task["item_key"], task["status"], task["skip_reason"], output])
    };
    let mut tasks: Vec<Value> = tasks.map(of).collect();
    tasks.sort_by_key(ToString::to_string);
    json!({ "status": results["status"], "summary": counts(results), "tasks": tasks })
}

/// `completed, 5 of 5 tasks`, or what is left when not all of them succeeded.
fn counts(results: &Value) -> String {
    let summary = &results["summary"];
    let count = |name: &str| summary[name].as_u64().unwrap();
    let status = results["status"].as_str().unwrap();
    let (all, good) = (count("total_tasks"), count("successful"));
    if all == good {
        return format!("{status}, {good} of {all} tasks");
    }
    let told = |name: &str| (count(name) > 0).then(|| format!(", {} {name}", count(name)));
    let told: String = ["successful", "failed", "skipped"].into_iter().filter_map(told).collect();
    format!("{status}{told}")
}

fn schema() -> jsonschema::Validator {
    let schema = tree::read("docs/execution-results.schema.json");
    jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap()
}

/// Does something with every shipped plan, several at once, and tells everything that went wrong.
fn with_each(each: impl Fn(&Shipped) -> Result<(), String> + Sync) {
    let plans = Mutex::new(shipped());
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(plan) = { plans.lock().unwrap().pop() } {
                    if let Err(why) = each(&plan) {
                        wrong.lock().unwrap().push(format!("{}: {why}", plan.name));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Features A22, A25, C8, C17, O1, O3 and O4: each plan runs to the end that its head promises, and
/// its results have the shape that is promised of all. What makes each the plan that it is stands in
/// `shipped_shapes.rs`.
#[test]
fn every_shipped_plan_ends_as_it_says() {
    let schema = schema();
    with_each(|plan| {
        let results = play(&scene(), plan);
        let errors: Vec<String> = schema.iter_errors(&results).map(|it| it.to_string()).collect();
        if !errors.is_empty() {
            return Err(format!("{errors:?} in {results}"));
        }
        let ends = counts(&results["execution_results"]);
        if ends == plan.ends { Ok(()) } else { Err(format!("ends `{ends}`: {results}")) }
    });
}

/// Fault 1, features L1 and K22: a plan brings the same whoever dies on the way.
#[test]
fn every_shipped_plan_brings_the_same_when_daemons_are_killed() {
    let seed = std::process::id();
    println!("seed {seed}");
    with_each(|plan| {
        let unharmed = essence(&play(&scene(), plan));
        let scene = scene();
        let stage: &Stage = &scene;
        let harmed = std::thread::scope(|scope| {
            let mut chance = u64::from(seed) ^ plan.name.bytes().map(u64::from).sum::<u64>();
            scope.spawn(move || {
                for _ in 0..KILLS {
                    chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let_pass(Duration::from_millis((chance >> 33) % CALM_MS));
                    kill_daemon(stage);
                }
            });
            essence(&play(&scene, plan))
        });
        let same = harmed == unharmed;
        if same { Ok(()) } else { Err(format!("seed {seed}: {harmed}\ninstead of {unharmed}")) }
    });
}

/// Kills the daemon, if one answers.
fn kill_daemon(stage: &Stage) {
    let said = stage.ask(&["ps", "--json"]);
    let ps: Value = serde_json::from_str(&said.out).unwrap_or_default();
    if let Some(pid) = pid_of(&ps["daemon"]["pid"]) {
        end(pid, Signal::SIGKILL);
    }
}

/// Features A22 and C17: a push starts a plan with what the event says, and is part of the run that
/// listens; a push without files starts none.
#[test]
fn the_plan_on_event_starts_another_one_per_push() {
    let scene = scene();
    let path = tree::root().join("config/plans/on-event.toml");
    let arguments = ["run", path.to_str().unwrap(), "--demo", "--yes", "--detach", "--json"];
    let mut command = scene.command(&arguments);
    command.env("MUXVISOR_DEMO_PACE", "0");
    let run = scene.begin_command(command).end().document()["run"].take();
    for data in [r#"{"branch": "b1", "files": 3}"#, r#"{"branch": "b2", "files": 0}"#] {
        assert_eq!(scene.call(&["emit", "code.pushed", "--data", data]).code, 0);
    }
    assert_eq!(scene.call(&["emit", "watch.stop"]).code, 0);
    assert_eq!(scene.call(&["wait", run.as_str().unwrap()]).code, 0);
    let mut runs = scene.read(&["runs", "--json"])["runs"].take();
    let runs = runs.as_array_mut().unwrap();
    assert_eq!(runs.len(), 2, "{runs:?}");
    let started = runs[0].take();
    assert_eq!((&started["name"], &started["parent"]), (&json!("fork-join"), &run));
    assert_eq!(scene.call(&["wait", started["run"].as_str().unwrap()]).code, 0);
    let prompts = scene.attempts_of("attack-surface");
    let prompt = fs::read_to_string(prompts[0].join("prompt.md")).unwrap();
    assert!(prompt.contains("the last push to b1"), "{prompt}");
}

/// Features C12–C14: without demo agents, programs really measure what is there.
#[test]
fn the_map_reduce_plan_measures_the_folder() {
    let scene = Scene::new();
    for lines in 1..=9 {
        scene.file(&format!("f{lines}.txt"), &"x\n".repeat(lines));
    }
    let path = tree::root().join("config/plans/map-reduce.toml");
    let text = fs::read_to_string(path).unwrap();
    let (code, results) = scene.run(&text, &[]);
    assert_eq!(code, 0, "{results}");
    let report = task(&results, "report")["output"].as_str().unwrap();
    // The plan itself lies there too, and is the longest.
    let own = text.lines().count();
    assert!(report.contains("of 10 files is `./plan.toml`"), "{report}");
    assert!(report.contains(&format!("with {own} lines")), "{report}");
    let parts = results["phases"][0]["tasks"].as_array().unwrap();
    let sizes: Vec<usize> = parts
        .iter()
        .filter(|part| part["task_id"] == "measure" && part["item_key"].is_string())
        .map(|part| part["output"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes.len(), 4);
    assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
}

#[test]
fn the_head_of_a_plan_is_read() {
    let text = "# x\n#\n#     muxvisor run config/plans/a.toml --input q=\"b c\"\n#     muxvisor emit \
                d.e --data '{\"n\": 1}'\n#\n# Ends: completed, 1 of 1 tasks.\nplan = 'a'\n";
    let plan = read("config/plans/a.toml", text);
    assert_eq!(plan.arguments, ["--input", "q=b c"]);
    assert_eq!(plan.steps, [["emit", "d.e", "--data", "{\"n\": 1}"].map(str::to_owned).to_vec()]);
    assert_eq!(plan.ends, "completed, 1 of 1 tasks");
}
