//! Promises about a whole run that no single part keeps: what is told before anything starts, what
//! is to be seen while it runs, what is left of it in the end. Agents are small scripts.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use muxvisor::control::{Client, Environment, Request, Submit};
use serde_json::{Value, json};

use crate::scene::{Scene, task};
use crate::wait::wait_for;

/// An agent that keeps what it was asked, waits while it is held, and says who it is.
const ABLE: &str = r#"
[agent.able]
command = ['sh', '-c', '''
cat >"$PWD/$MUXVISOR_TASK.prompt"
while [ -e "hold-$MUXVISOR_TASK" ]; do sleep 0.05; done
echo "<result>made by $MUXVISOR_TASK</result>"
''']
"#;

/// Two tasks side by side, and one that puts together what the first of them made.
fn plan(approval: &str) -> String {
    format!(
        r#"
plan = "promise"
goal = "See that it holds"
approval = "{approval}"
{ABLE}
[[phase]]
id = "phase-1-data-gathering"
[[phase.task]]
id = "task-1a"
agent = "able"
description = "Gather the first."
[[phase.task]]
id = "task-1b"
agent = "able"
description = "Gather the second."
[[phase]]
id = "phase-2-synthesis"
depends_on_phases = ["phase-1-data-gathering"]
[[phase.task]]
id = "task-2a"
agent = "able"
description = "Put together."
input_context = {{ first = "${{phase-1-data-gathering.task-1a.output}}" }}
"#
    )
}

/// Submits a plan without watching it, and gives its id.
#[track_caller]
fn submit(scene: &Scene, plan: &str) -> String {
    scene.file("plan.toml", plan);
    let document = scene.read(&["run", "plan.toml", "--detach", "--json"]);
    document["run"].as_str().unwrap_or_else(|| panic!("{document}")).to_owned()
}

/// Holds back the agent of a task, or lets it go.
fn hold(scene: &Scene, task: &str, held: bool) {
    let path = scene.desk().join(format!("hold-{task}"));
    if held { fs::write(path, "").unwrap() } else { fs::remove_file(path).unwrap() }
}

/// State by task.
fn states(scene: &Scene, run: &str) -> Vec<String> {
    let shown = scene.read(&["show", run, "--json"]);
    let tasks = shown["tasks"].as_array().unwrap();
    tasks.iter().map(|task| task["state"].as_str().unwrap().to_owned()).collect()
}

/// Kinds of events of a run with their moments, in order; a run's move is told by its state.
fn events(scene: &Scene) -> Vec<(String, i64)> {
    scene.counts(
        "SELECT coalesce(json_extract(data, '$.moved.state'), kind) || coalesce(
           ' ' || json_extract(data, '$.\"task-succeeded\".task'),
           ' ' || json_extract(data, '$.\"task-starting\".task'), ''), at
         FROM event WHERE run IS NOT NULL ORDER BY seq",
    )
}

/// Features A18, A20, A21, A24, E6, G5, N2: a plan is registered, its order and what runs at once
/// are worked out, and it has its id before anything starts. What was read then holds, whatever
/// becomes of the file.
#[test]
fn a_plan_is_registered_and_worked_out_before_it_runs() {
    let scene = Scene::new();
    let run = submit(&scene, &plan("plan"));
    assert!(run.starts_with("PLAN-"), "{run}");
    fs::write(scene.desk().join("plan.toml"), "plan = 'another'").unwrap();
    let listed = scene.read(&["runs", "--json"])["runs"][0].take();
    assert_eq!(listed["run"], run);
    assert_eq!((&listed["state"], &listed["tasks"]), (&json!("awaiting-approval"), &json!(3)));
    let shown = scene.read(&["show", &run, "--json"]);
    assert_eq!((&shown["run"], &shown["goal"]), (&json!(run), &json!("See that it holds")));
    assert_eq!(shown["phases"], json!(["phase-1-data-gathering", "phase-2-synthesis"]));
    let tasks = shown["tasks"].as_array().unwrap();
    let order: Vec<Value> = tasks
        .iter()
        .map(|task| json!([task["task"], task["needs"], task["agent"], task["state"]]))
        .collect();
    assert_eq!(
        order,
        [
            json!(["task-1a", [], "able", "blocked"]),
            json!(["task-1b", [], "able", "blocked"]),
            json!(["task-2a", ["task-1a", "task-1b"], "able", "blocked"]),
        ]
    );
    assert_eq!(scene.call(&["approve", &run]).code, 0);
    assert_eq!(scene.call(&["wait", &run]).code, 0);
    let prompt = fs::read_to_string(scene.desk().join("task-2a.prompt")).unwrap();
    for words in ["Put together.", "### first", "made by task-1a", "<result>"] {
        assert!(prompt.contains(words), "{words}: {prompt}");
    }
    assert!(!prompt.contains("${"), "nothing is left to be looked up: {prompt}");
    let kinds: Vec<String> = events(&scene).into_iter().map(|(kind, _)| kind).collect();
    let at =
        |kind: &str| kinds.iter().position(|it| it == kind).unwrap_or_else(|| panic!("{kinds:?}"));
    assert!(at("submitted") < at("planning") && at("planning") < at("awaiting-approval"));
    assert!(at("awaiting-approval") < at("running") && at("running") < at("task-queued"));
    let results = scene.read(&["results", &run, "--json"]);
    assert_eq!(results["execution_results"]["summary"]["successful"], 3);
}

/// Features E3, E4, E5: whoever is needed and not installed is told before anything starts, and
/// nothing is made; once it is installed, the same plan runs.
#[test]
fn what_is_not_installed_is_told_before_anything_starts() {
    let scene = Scene::new();
    let text = format!(
        "plan = 'wants'\ngoal = 'g'\napproval = 'none'\n{ABLE}\n\
         [agent.absent]\ncommand = ['not-installed-here']\nprompt = 'stdin'\n\
         [[task]]\nid = 'a'\nagent = 'able'\ndescription = 'A.'\n\
         [[task]]\nid = 'b'\nagent = 'absent'\ndescription = 'B ${{a.output}}.'\n"
    );
    scene.file("plan.toml", &text);
    let answer = scene.call(&["run", "plan.toml", "--json"]);
    assert_eq!(answer.code, 2, "{answer:?}");
    let finding = answer.document()["error"]["findings"][0].take();
    assert_eq!((&finding["code"], &finding["severity"]), (&json!("E06"), &json!("error")));
    let message = finding["message"].as_str().unwrap();
    assert!(message.contains("`not-installed-here` of agent `absent` was not found"), "{message}");
    assert!(finding["help"].as_str().unwrap().contains("install it"), "{finding}");
    assert_eq!(fs::read_dir(scene.home()).unwrap().count(), 0, "nothing was started");
    let unable = text.replace("agent = 'absent'", "capability = 'telepathy'");
    scene.file("unable.toml", &unable);
    let answer = scene.call(&["run", "unable.toml", "--json"]);
    assert_eq!(answer.code, 2, "nobody can do it: {answer:?}");
    assert!(answer.stdout.contains("telepathy"), "{answer:?}");
    // The daemon looks for itself, whoever asks it.
    scene.start_daemon();
    let submit = Submit {
        text: text.clone(),
        path: scene.desk().join("plan.toml"),
        cwd: scene.desk(),
        env: Environment(vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
        inputs: BTreeMap::new(),
        yes: true,
        demo: false,
        max_parallel: None,
    };
    let socket = scene.at("run/daemon.sock");
    let refusal = Client::at(&socket).ask(&Request::Submit(Box::new(submit))).unwrap_err();
    assert!(format!("{refusal:?}").contains("not-installed-here"), "{refusal:?}");
    assert_eq!(scene.read(&["runs", "--json"])["runs"], json!([]));
    let bin = scene.desk().join("bin");
    fs::create_dir(&bin).unwrap();
    let program = bin.join("not-installed-here");
    fs::write(&program, "#!/bin/sh\ncat >/dev/null\necho '<result>here</result>'\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = scene.command(&["run", "plan.toml", "--json"]);
    command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()));
    let answer = scene.begin_command(command).end();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(task(&answer.document()["execution_results"], "b")["output"], "here");
}

/// Features E7, E8, F8, F11, F12, F13, H5, L10, L13, P3: a run in the background is seen as it is
/// at any time, by the next daemon too; results are there as they come, are passed on, and are
/// summed up with the time that it took. Nothing is left running.
#[test]
fn a_run_is_seen_as_it_is_from_its_start_to_its_end() {
    let scene = Scene::new();
    hold(&scene, "task-1b", true);
    hold(&scene, "task-2a", true);
    // The client is gone, and its agents work.
    let run = submit(&scene, &plan("none"));
    wait_for("one result", || states(&scene, &run) == ["success", "running", "blocked"]);
    let shown = scene.read(&["show", &run, "--json"]);
    assert_eq!((&shown["state"], &shown["outcome"]), (&json!("running"), &Value::Null));
    assert!(shown["task_outputs"]["task-1a"].is_string(), "taken while others run: {shown}");
    assert_eq!(shown["current_phase"], "phase-1-data-gathering");
    assert!(!scene.desk().join("task-2a.prompt").exists(), "it waits for both");
    scene.kill_daemon();
    assert_eq!(states(&scene, &run), ["success", "running", "blocked"]);
    hold(&scene, "task-1b", false);
    wait_for("the last task", || states(&scene, &run) == ["success", "success", "running"]);
    let prompt = || fs::read_to_string(scene.desk().join("task-2a.prompt")).unwrap_or_default();
    wait_for("what was made before", || prompt().contains("made by task-1a"));
    // What a command has done, the next one shows.
    for (verb, state) in [("pause", "paused"), ("resume", "running")] {
        assert_eq!(scene.call(&[verb, &run]).code, 0);
        assert_eq!(scene.read(&["show", &run, "--json"])["state"], state);
        assert_eq!(scene.read(&["runs", "--json"])["runs"][0]["state"], state);
    }
    hold(&scene, "task-2a", false);
    assert_eq!(scene.call(&["wait", &run]).code, 0);
    assert_eq!(states(&scene, &run), ["success"; 3]);
    let results = scene.read(&["results", &run, "--json"])["execution_results"].take();
    assert_eq!(results["status"], "completed");
    assert_eq!(results["summary"]["successful"], 3);
    assert_eq!(task(&results, "task-2a")["output"], "made by task-2a");
    let events = events(&scene);
    let at = |kind: &str| {
        events.iter().find(|(it, _)| it == kind).unwrap_or_else(|| panic!("{events:?}")).1
    };
    assert_eq!(results["duration_ms"], at("ended") - at("running"));
    assert!(events.iter().position(|(it, _)| it == "completing").is_some(), "{events:?}");
    wait_for("the end of all of it", || scene.agents().is_empty() && scene.panes().is_empty());
}

/// Features L4, L6, L12, N2: runs are listed, those that live alone too; a script asks how one is by
/// document and exit code, and for its items in the words of the ledger.
#[test]
fn a_script_asks_how_runs_are() {
    let scene = Scene::new();
    let failing = plan("none").replace(
        "agent = \"able\"\ndescription = \"Put",
        "agent = \"unable\"\nretries = 0\ndescription = \"Put",
    );
    let failing = format!("{failing}[agent.unable]\ncommand = ['false']\n");
    let over = submit(&scene, &failing);
    assert_eq!(scene.call(&["wait", &over]).code, 3, "a part of it failed");
    hold(&scene, "task-1b", true);
    let lives = submit(&scene, &plan("none"));
    let names = |arguments: &[&str]| {
        let document = scene.read(&[arguments, &["--json"]].concat());
        let runs = document["runs"].as_array().unwrap().clone();
        runs.iter().map(|run| run["run"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["runs"]), [lives.clone(), over.clone()]);
    assert_eq!(names(&["runs", "--active"]), std::slice::from_ref(&lives));
    wait_for("one result", || states(&scene, &lives) == ["success", "running", "blocked"]);
    assert_eq!(scene.call(&["wait", &lives, "--timeout", "1ms"]).code, 1);
    assert_eq!(scene.call(&["results", &lives]).code, 5);
    let summary = scene.read(&["results", &over, "--json"])["execution_results"]["summary"].take();
    assert_eq!((&summary["successful"], &summary["failed"]), (&json!(2), &json!(1)));
    assert_eq!(scene.read(&["items", "stats", "--json"])["items"]["failed"], 1);
    let items = |status: &str| {
        let document = scene.read(&["items", "list", "--status", status, "--json"]);
        let items = document["items"].as_array().unwrap().clone();
        items
            .iter()
            .map(|it| format!("{} {}", it["run"].as_str().unwrap(), it["task"].as_str().unwrap()))
            .collect::<BTreeSet<_>>()
    };
    let of = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(run, task)| format!("{run} {task}")).collect::<BTreeSet<_>>()
    };
    assert_eq!(items("in_progress"), of(&[(&lives, "task-1b")]));
    assert_eq!(
        items("completed"),
        of(&[(&over, "task-1a"), (&over, "task-1b"), (&lives, "task-1a")])
    );
    assert_eq!(items("failed"), of(&[(&over, "task-2a")]));
    hold(&scene, "task-1b", false);
    assert_eq!(scene.call(&["wait", &lives]).code, 0);
    assert_eq!(names(&["runs", "--active"]), Vec::<String>::new());
}

/// Feature L9: what the daemon does itself is told without an agent.
#[test]
fn work_without_an_agent_is_told_too() {
    let scene = Scene::new();
    let plan = "plan = 'sum'\ngoal = 'g'\napproval = 'none'\n\
        [[task]]\nid = 'one'\nkind = 'command'\nrun = ['echo', '[1]']\noutput = ['number']\n\
        [[task]]\nid = 'all'\nkind = 'reduce'\nreducer = 'concat'\nfrom = '${one.output}'\n";
    scene.file("plan.toml", plan);
    let answer = scene.call(&["run", "plan.toml"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(answer.stdout.contains("✔ all (") && !answer.stdout.contains("(, "), "{answer:?}");
}

/// Feature L9: what fails, what is tried again and what is left out is told when it happens.
#[test]
fn what_goes_wrong_is_told_as_it_happens() {
    let scene = Scene::new();
    let task = |id: &str, more: &str| {
        format!("[[task]]\nid = '{id}'\nkind = 'command'\nrun = ['sh', '-c', 'exit 7']\n{more}\n")
    };
    let plan = "plan = 'bad'\ngoal = 'g'\napproval = 'none'\n".to_owned()
        + &task("broken", "retries = 1\nretry_wait = '1ms'")
        + &task("after", "depends_on = ['broken']");
    scene.file("plan.toml", &plan);
    let answer = scene.call(&["run", "plan.toml"]);
    assert_eq!(answer.code, 1, "{answer:?}");
    let told = answer.stdout + &answer.stderr;
    let (seen, summary) = told.split_once("of 2 tasks completed").expect("a summary");
    assert!(!summary.contains('✘'), "{summary}");
    for line in ["↻ broken: exit-code", "✘ broken (", "– after skipped: upstream"] {
        assert_eq!(seen.matches(line).count(), 1, "`{line}` is told once: {seen}");
    }
}

/// Feature J9: a hundred of one plan run at once. Each ends only after all have begun.
#[test]
fn a_hundred_run_at_once() {
    const MANY: usize = 100;
    let mut plan = "plan = 'many'\ngoal = 'g'\napproval = 'none'\n".to_owned();
    for n in 0..MANY {
        writeln!(
            plan,
            "[[task]]\nid = 't{n}'\nkind = 'command'\n\
             run = ['sh', '-c', 'touch began-{n}; until [ -e go ]; do sleep 0.5; done']"
        )
        .unwrap();
    }
    let scene = Scene::new();
    scene.file("plan.toml", &plan);
    let going = scene.begin(&["run", "plan.toml", "--json", "--max-parallel", "100"]);
    let began = || {
        let entries = fs::read_dir(scene.desk()).unwrap().flatten();
        entries.filter(|it| it.file_name().to_string_lossy().starts_with("began-")).count()
    };
    wait_for("a hundred at work", || began() == MANY);
    let pids = || {
        let live = scene.live();
        live.iter().filter_map(|attempt| attempt["pid"].as_i64()).collect::<BTreeSet<_>>().len()
    };
    wait_for("a hundred processes", || pids() == MANY);
    fs::write(scene.desk().join("go"), "").unwrap();
    let answer = going.end();
    assert_eq!(answer.code, 0, "{answer:?}");
    let results = answer.document()["execution_results"].take();
    assert_eq!(results["summary"]["successful"], MANY);
}

/// Features J5, J6: nothing waits for a clock. What a task waited for and its own start are one
/// decision, at one moment, and its window is ordered with it; how long that takes is measured by
/// `scripts/bench`.
#[test]
fn the_next_step_starts_in_the_moment_that_the_last_one_ends() {
    const STEPS: usize = 8;
    let mut plan =
        format!("plan = 'chain'\ngoal = 'g'\napproval = 'none'\npattern = 'pipeline'\n{ABLE}");
    for n in 0..STEPS {
        writeln!(plan, "[[task]]\nid = 's{n}'\nagent = 'able'\ndescription = 'Go on.'").unwrap();
        if n > 0 {
            writeln!(plan, "input_context = {{ before = '${{s{}.output}}' }}", n - 1).unwrap();
        }
    }
    let scene = Scene::new();
    let (code, results) = scene.run(&plan, &[]);
    assert_eq!(code, 0, "{results}");
    let events = events(&scene);
    let at = |kind: &str| {
        events.iter().find(|(it, _)| it == kind).unwrap_or_else(|| panic!("{events:?}")).1
    };
    for n in 1..STEPS {
        let (ended, starts) =
            (at(&format!("task-succeeded s{}", n - 1)), at(&format!("task-starting s{n}")));
        assert_eq!(ended, starts, "s{n}");
    }
}

/// Feature P7: the words of a prompt times its workers are told, three times for three of them, ten
/// times for ten.
#[test]
fn the_words_of_prompts_grow_with_the_workers() {
    let scene = Scene::new();
    let words = "word ".repeat(7_000);
    let told = |workers: usize| {
        let plan = format!(
            "plan = 'w'\ngoal = 'g'\n{ABLE}[defaults]\nagent = 'able'\n\
             [[task]]\nid = 'find'\ndescription = 'Find.'\noutput = ['string']\n\
             [[task]]\nid = 'work'\ndescription = '{words}'\nfor_each = '${{find.output}}'\n\
             partition = {{ parts = {workers} }}\noutput_key = 'all'\n\
             [[task]]\nid = 'end'\ndescription = 'End.'\ninput_context = {{ n = '${{work.output}}' }}\n"
        );
        scene.file("words.toml", &plan);
        let checked = scene.read(&["plan", "check", "words.toml", "--json"]);
        let findings = checked["findings"].as_array().unwrap().clone();
        let found = findings.into_iter().find(|it| it["code"] == "A04");
        found.unwrap_or_else(|| panic!("{checked}"))
    };
    let (three, ten) = (told(3), told(10));
    assert_eq!(three["notes"][0], "`work`: about 7000 words × 3");
    assert_eq!(ten["notes"][0], "`work`: about 7000 words × 10");
    let all = |told: &Value| {
        let message = told["message"].as_str().unwrap().to_owned();
        let words = message.split("about ").nth(1).and_then(|it| it.split(' ').next());
        words.and_then(|it| it.parse::<usize>().ok()).unwrap_or_else(|| panic!("{message}"))
    };
    assert_eq!(all(&ten) - all(&three), 7 * 7_000);
}
