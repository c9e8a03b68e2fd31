//! How `run` speaks and ends: the document, the exit codes, and what a plan's rules do, each shown
//! by a run of the real binary (design §6, §9, §11).

use std::fs;

use serde_json::{Value, json};

use crate::scene::{Scene, gone_within, task};
use crate::schema::check;
use crate::wait::wait_for;

const HEAD: &str = r#"
plan = "manners"
goal = "See how it speaks"
approval = "none"
stop_after_failures = 0
max_parallel = 24
[agent.good]
command = ["sh", "-c", "cat >/dev/null; echo '<result>good</result>'"]
[agent.bad]
command = ["sh", "-c", "echo cannot; exit 7"]
[agent.slow]
command = ["sleep", "1000"]
[defaults]
agent = "good"
retries = 0
retry_wait = "1ms"
description = "x"
"#;

fn head() -> String {
    HEAD.replace("description = \"x\"\n", "")
}

fn one(id: &str, keys: &str) -> String {
    format!("[[task]]\nid = '{id}'\ndescription = 'Do {id}.'\n{keys}\n")
}

fn told(results: &Value, id: &str) -> Value {
    let task = task(results, id);
    let error = &task["error"];
    json!([task["status"], error["outcome"], error["kind"], task["skip_reason"]])
}

/// Exit code 0: the document alone on standard output, words for people on standard error.
#[test]
fn a_completed_run_is_a_document_and_zero() {
    let scene = Scene::new();
    let path = scene.file("plan.toml", &(head() + &one("a", "") + &one("b", "")));
    let path = path.to_str().unwrap();
    let answer = scene.call(&["run", path, "--json"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let results = answer.document()["execution_results"].take();
    check(&results);
    assert_eq!(results["status"], "completed");
    assert_eq!(results["schema_version"], 1);
    assert_eq!(results["summary"]["successful"], 2);
    assert_eq!(told(&results, "a"), json!(["success", null, null, null]));
    assert_eq!(task(&results, "a")["plugin_used"], "good");
    assert!(answer.stderr.contains("2 of 2 tasks completed"), "{answer:?}");
    assert!(!answer.stderr.contains('\x1b'), "no colours beside a terminal");
    let run = results["plan_id"].as_str().unwrap();
    let again = scene.call(&["results", run, "--json"]);
    assert_eq!((again.code, &again.document()["execution_results"]), (0, &results));
    // For people everything is on standard output.
    let seen = scene.call(&["run", path]);
    assert_eq!(seen.code, 0);
    assert!(seen.stdout.contains("## a\n\ngood\n\n## b\n\ngood"), "{}", seen.stdout);
}

/// Exit codes 1 and 3, the root cause, retries with the error told, fallbacks, what is skipped.
#[test]
fn failures_are_retried_replaced_and_told() {
    let mut plan = head();
    plan += r#"
[agent.learns]
command = ["sh", "-c", "cat > learned.$MUXVISOR_ATTEMPT; [ $MUXVISOR_ATTEMPT = 3 ] && echo '<result>third</result>' || { echo I forgot my hat; exit 9; }"]
"#;
    plan += &one("fails", "agent = 'bad'");
    plan += &one("learns", "agent = 'learns'\nretries = 2");
    plan += &one("replaced", "agent = 'bad'\nretries = 1\nfallback = ['good']");
    plan += &one("needs", "input_context = { x = '${fails.output}' }");
    plan += &one("copes", "input_context = { x = \"${fails.output ?? 'a gap'}\" }");
    plan += &one("after", "depends_on = ['replaced']");
    plan += &one("spare", "agent = 'bad'\noptional = true");
    plan += &one("stops-at-once", "agent = 'bad'\nretries = 3\nno_retry_exit = [7]");
    plan += &one("not-worth-it", "agent = 'bad'\nretries = 3\nretry_on = ['timeout']");
    let scene = Scene::new();
    let (code, results) = scene.run(&plan, &[]);
    assert_eq!(code, 3, "{results:#}");
    check(&results);
    assert_eq!(results["status"], "partial");
    let failed = json!(["failed", "exit-code", "exit", null]);
    let good = json!(["success", null, null, null]);
    assert_eq!(told(&results, "fails"), failed);
    assert_eq!(told(&results, "learns"), good);
    assert_eq!(task(&results, "learns")["attempt_number"], 3);
    assert_eq!(told(&results, "replaced"), good);
    assert_eq!(task(&results, "replaced")["plugin_used"], "good");
    assert_eq!(task(&results, "replaced")["attempt_number"], 3);
    assert_eq!(told(&results, "needs"), json!(["skipped", null, null, "upstream"]));
    assert_eq!(told(&results, "copes"), good);
    assert_eq!(told(&results, "after"), good);
    assert_eq!(told(&results, "spare")[0], "skipped");
    assert_eq!(told(&results, "spare")[3], "optional");
    for id in ["stops-at-once", "not-worth-it"] {
        assert_eq!(told(&results, id), failed, "{id}");
        assert_eq!(task(&results, id)["attempt_number"], 1, "{id}");
    }
    let read = |name: &str| fs::read_to_string(scene.desk().join(name)).unwrap();
    assert!(!read("learned.1").contains("Previous attempt"));
    for n in [2, 3] {
        let prompt = read(&format!("learned.{n}"));
        let before = format!("Attempt {} failed", n - 1);
        for words in [before.as_str(), "code 9", "I forgot my hat"] {
            assert!(prompt.contains(words), "{words}: {prompt}");
        }
    }
    let coped = fs::read_to_string(scene.attempts_of("copes")[0].join("prompt.md")).unwrap();
    assert!(coped.contains("a gap"), "{coped}");
    let (code, results) = scene.run(&(head() + &one("only", "agent = 'bad'")), &[]);
    assert_eq!(code, 1);
    check(&results);
    assert_eq!(results["status"], "failed");
    assert_eq!(results["root_cause"], "only: exited with code 7");
}

/// Time limits: too long, too quiet; what goes on printing is not quiet.
#[test]
fn time_limits_are_told_apart() {
    let mut plan = head();
    plan += r#"
[agent.chats]
command = ["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.1; done; echo '<result>said</result>'"]
[agent.falls_silent]
command = ["sh", "-c", "echo begins; exec sleep 1000"]
"#;
    plan += &one("long", "agent = 'slow'\ntimeout = '300ms'\nretries = 2\nretries_on_timeout = 1");
    plan += &one("quiet", "agent = 'falls_silent'\nidle_timeout = '300ms'");
    plan += &one("never-spoke", "agent = 'slow'\nidle_timeout = '300ms'");
    plan += &one("chats", "agent = 'chats'\nidle_timeout = '500ms'");
    plan += "[[task]]\nid='command'\nkind='command'\nrun=['sleep','1000']\ntimeout='300ms'\n";
    let (code, results) = Scene::new().run(&plan, &[]);
    assert_eq!(code, 3, "{results:#}");
    check(&results);
    assert_eq!(told(&results, "long"), json!(["timeout", "timeout", "timeout", null]));
    assert_eq!(task(&results, "long")["attempt_number"], 2);
    for id in ["quiet", "never-spoke"] {
        assert_eq!(told(&results, id), json!(["failed", "idle-timeout", "idle", null]), "{id}");
    }
    assert_eq!(told(&results, "chats"), json!(["success", null, null, null]));
    assert_eq!(told(&results, "command"), json!(["timeout", "timeout", "timeout", null]));
    assert_eq!(results["summary"]["timeout"], 2);
}

/// The order of things: `depends_on`, sequential phases, phases after phases, one at a time.
#[test]
fn tasks_run_in_the_order_of_the_plan() {
    let agent = r#"
[agent.notes]
command = ["sh", "-c", "read a; read b; read what; echo \"+$what\" >> order; sleep 0.05; echo \"-$what\" >> order"]
"#;
    let mut plan = head() + agent;
    for (phase, mode, keys) in
        [("first", "sequential", ""), ("second", "parallel", "depends_on_phases = ['first']")]
    {
        plan += &format!("[[phase]]\nid='{phase}'\nexecution_mode='{mode}'\n{keys}\n");
        for id in ["a", "b", "c"] {
            let after = if phase == "second" && id == "a" { "depends_on=['second-c']" } else { "" };
            let id = format!("{phase}-{id}");
            plan +=
                &format!("[[phase.task]]\nid='{id}'\nagent='notes'\ndescription='{id}'\n{after}\n");
        }
    }
    let scene = Scene::new();
    let (code, results) = scene.run(&plan, &[]);
    assert_eq!(code, 0, "{results:#}");
    check(&results);
    let order = fs::read_to_string(scene.desk().join("order")).unwrap();
    let lines: Vec<&str> = order.lines().collect();
    assert_eq!(
        lines[..6],
        ["+first-a", "-first-a", "+first-b", "-first-b", "+first-c", "-first-c"]
    );
    let at = |line: &str| lines.iter().position(|seen| *seen == line).unwrap();
    assert!(at("-second-c") < at("+second-a"), "{order}");
    fs::remove_file(scene.desk().join("order")).unwrap();
    let mut plan = head() + agent;
    for id in ["p", "q", "r", "s"] {
        plan += &format!("[[task]]\nid='{id}'\nagent='notes'\ndescription='{id}'\n");
    }
    let (code, _) = scene.run(&plan, &["--max-parallel", "1"]);
    assert_eq!(code, 0);
    let order = fs::read_to_string(scene.desk().join("order")).unwrap();
    let lines: Vec<&str> = order.lines().collect();
    for pair in lines.chunks(2) {
        assert_eq!(pair[0].replace('+', "-"), pair[1], "one at a time: {order}");
    }
}

/// A phase that says abort ends the run; one that says continue leaves a gap.
#[test]
fn a_phase_aborts_or_goes_on() {
    let phases = |rule: &str| {
        let mut plan = head();
        plan += &format!("[[phase]]\nid='p'\non_partial_failure='{rule}'\n");
        plan += "[[phase.task]]\nid='bad'\nagent='bad'\ndescription='Fail.'\n";
        for n in 0..12 {
            plan += &format!("[[phase.task]]\nid='slow{n}'\nagent='slow'\ndescription='Wait.'\n");
            plan += "timeout='700ms'\nretries_on_timeout = 0\n";
        }
        plan += "[[phase]]\nid='q'\ndepends_on_phases=['p']\n";
        plan + "[[phase.task]]\nid='later'\ndescription='Come later.'\n"
    };
    let scene = Scene::new();
    let (code, results) = scene.run(&phases("abort"), &[]);
    check(&results);
    assert_eq!((code, &results["status"]), (1, &json!("failed")), "{results:#}");
    assert_eq!(told(&results, "bad"), json!(["failed", "exit-code", "exit", null]));
    // Some of them were only being started, and their ends are no less exact.
    for n in 0..12 {
        let seen = told(&results, &format!("slow{n}"));
        assert_eq!((&seen[0], &seen[3]), (&json!("skipped"), &json!("stopped")), "{results:#}");
    }
    assert_eq!(told(&results, "later"), json!(["skipped", null, null, "stopped"]));
    let (code, results) = scene.run(&phases("continue"), &[]);
    check(&results);
    assert_eq!((code, &results["status"]), (3, &json!("partial")), "{results:#}");
    assert_eq!(told(&results, "slow0")[0], "timeout");
    assert_eq!(told(&results, "later")[0], "success");
}

/// Exit code 5 without a terminal; then a person says yes, or no.
#[test]
fn a_run_that_waits_for_a_person_says_so() {
    let scene = Scene::new();
    let plan = head().replace("approval = \"none\"", "approval = \"plan\"") + &one("a", "");
    let path = scene.file("plan.toml", &plan);
    let path = path.to_str().unwrap();
    let runs = || scene.read(&["runs", "--json"])["runs"].take();
    let answer = scene.call(&["run", path, "--json"]);
    assert_eq!(answer.code, 5, "{answer:?}");
    let error = answer.document()["error"].take();
    assert_eq!(error["kind"], "waiting");
    let run = runs()[0]["run"].as_str().unwrap().to_owned();
    assert!(error["hint"].as_str().unwrap().contains(&format!("muxvisor approve {run}")));
    assert_eq!(runs()[0]["state"], "awaiting-approval");
    assert!(scene.read(&["ps", "--json"])["attempts"].as_array().unwrap().is_empty());
    let early = scene.call(&["results", &run, "--json"]);
    assert_eq!((early.code, &early.document()["error"]["kind"]), (5, &json!("waiting")));
    assert_eq!(scene.call(&["approve", &run]).code, 0);
    assert_eq!(scene.call(&["wait", &run, "--timeout", "20s"]).code, 0);
    let results = scene.read(&["results", &run, "--json"])["execution_results"].take();
    check(&results);
    assert_eq!(results["status"], "completed");
    // No.
    let detached = scene.read(&["run", path, "--detach", "--json"]);
    let run = detached["run"].as_str().unwrap();
    assert_eq!(detached, json!({ "run": run }));
    assert_eq!(scene.call(&["approve", run, "--reject"]).code, 0);
    assert_eq!(scene.call(&["wait", run, "--timeout", "20s"]).code, 4);
    assert_eq!(scene.read(&["results", run, "--json"])["execution_results"]["cancelled"], true);
    let too_late = scene.call(&["approve", run, "--json"]);
    assert_eq!((too_late.code, &too_late.document()["error"]["kind"]), (2, &json!("usage")));
    // Beforehand.
    let (code, _) = scene.run(&plan, &["--yes"]);
    assert_eq!(code, 0);
}

/// A stop that comes while shims are being started is as exact as any other.
#[test]
fn agents_that_are_only_being_started_are_cancelled_too() {
    let mut plan = head().replace("max_parallel = 24", "max_parallel = 60");
    for n in 0..20 {
        plan += &one(&format!("t{n}"), "agent = 'slow'");
        plan += &format!("[[task]]\nid = 'c{n}'\nkind = 'command'\nrun = ['sleep', '1000']\n");
    }
    let scene = Scene::new();
    let path = scene.file("plan.toml", &plan);
    let run = scene.read(&["run", path.to_str().unwrap(), "--detach", "--json"]);
    let run = run["run"].as_str().unwrap();
    assert_eq!(scene.call(&["cancel", run]).code, 0);
    assert_eq!(scene.call(&["wait", run, "--timeout", "30s"]).code, 4);
    let results = scene.read(&["results", run, "--json"])["execution_results"].take();
    check(&results);
    for n in 0..20 {
        for id in [format!("t{n}"), format!("c{n}")] {
            assert_eq!(told(&results, &id), json!(["skipped", null, null, "cancelled"]), "{id}");
        }
    }
}

/// Exit code 4: every agent is gone before anybody hears that the run is over.
#[test]
fn a_cancelled_run_leaves_nobody() {
    let mut plan = head();
    for n in 0..5 {
        plan += &one(&format!("t{n}"), "agent = 'slow'");
    }
    plan += "[[task]]\nid = 'command'\nkind = 'command'\nrun = ['sleep', '1000']\n";
    plan += &one("reader", "input_context = { x = '${t0.output}' }");
    let scene = Scene::new();
    let path = scene.file("plan.toml", &plan);
    let going = scene.begin(&["run", path.to_str().unwrap(), "--json"]);
    let mut pids: Vec<i32> = Vec::new();
    wait_for("six agents", || {
        let attempts = Value::from(scene.live());
        let attempts = attempts.as_array().unwrap();
        let pid = |a: &Value| a["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
        pids = attempts.iter().filter_map(pid).collect();
        pids.len() == 6
    });
    let run = scene.read(&["runs", "--json"])["runs"][0]["run"].as_str().unwrap().to_owned();
    assert_eq!(scene.call(&["cancel", &run]).code, 0);
    let answer = going.end();
    assert_eq!(answer.code, 4, "{answer:?}");
    for pid in pids {
        assert!(gone_within(pid, 0), "{pid} lives on");
    }
    let results = answer.document()["execution_results"].take();
    check(&results);
    assert_eq!((&results["status"], &results["cancelled"]), (&json!("failed"), &json!(true)));
    for id in ["t0", "command", "reader"] {
        assert_eq!(told(&results, id)[0], "skipped", "{id}");
        assert_eq!(told(&results, id)[3], "cancelled", "{id}");
    }
}

/// Inputs reach prompts and commands; wrong ones are told before anything starts.
#[test]
fn inputs_are_taken_and_checked() {
    let plan = head().replace("[agent.good]", "[inputs]\nwho = { default = 'nobody' }\nmany = { type = 'number', required = true }\n[agent.good]")
        + &one("greets", "").replace("Do greets.", "Greet ${input.who}, ${input.many} times.")
        + "[[task]]\nid='c'\nkind='command'\nrun=['sh','-c','printf %s \"$1\" > got','sh','${input.who}/${input.many}']\n";
    let scene = Scene::new();
    let (code, results) = scene.run(&plan, &["--input", "many=3", "--input", "who=$(id) = \"me\""]);
    assert_eq!(code, 0, "{results:#}");
    let got = || fs::read_to_string(scene.desk().join("got")).unwrap();
    assert_eq!(got(), "$(id) = \"me\"/3");
    let prompt = fs::read_to_string(scene.attempts_of("greets")[0].join("prompt.md")).unwrap();
    assert!(prompt.contains("Greet $(id) = \"me\", 3 times."), "{prompt}");
    let (code, _) = scene.run(&plan, &["--input", "many=2"]);
    assert_eq!((code, got().as_str()), (0, "nobody/2"));
    let path = scene.desk().join("plan.toml");
    let path = path.to_str().unwrap();
    let wrong: &[(&[&str], &str)] = &[
        (&[], "many"),
        (&["--input", "many=lots"], "many"),
        (&["--input", "many=1", "--input", "whom=x"], "whom"),
        (&["--input", "many=1", "--input", "many=2"], "twice"),
        (&["--input", "many"], "name=value"),
    ];
    for (arguments, word) in wrong {
        let answer = scene.call(&[&["run", path, "--json"], *arguments].concat());
        assert_eq!(answer.code, 2, "{arguments:?}: {answer:?}");
        assert!(answer.document()["error"].to_string().contains(word), "{answer:?}");
    }
    assert_eq!(scene.read(&["runs", "--json"])["runs"].as_array().unwrap().len(), 2);
}

/// `--demo`: agents and programs that are not there, and outputs of every shape, need nothing, and
/// commands change nothing.
#[test]
fn a_demo_needs_no_program() {
    let scene = Scene::new();
    let plan = r#"
plan = "demo"
goal = "Show it"
approval = "none"
max_parallel = 6
[agent.nowhere]
command = ["no-such-program-anywhere"]
[[task]]
id = "text"
agent = "nowhere"
role = "A speaker"
description = "Say <result>something</result>."
[[task]]
id = "shape"
agent = "nowhere"
description = "Give numbers."
output = { quarters = [{ name = "string", revenue = "number" }], mood = "good|bad", sure = "boolean?" }
[[task]]
id = "file"
agent = "nowhere"
description = "Give what the file says."
output = { schema = "shape.json" }
[[task]]
id = "reads"
agent = "nowhere"
description = "Read it."
input_context = { q = "${shape.output.quarters[0].name}", t = "${text.output}", c = "${count.output.n}" }
[[task]]
id = "deploy"
kind = "command"
run = ["sh", "-c", "touch deployed", "${reads.output}"]
[[task]]
id = "count"
kind = "command"
run = ["no-such-program-anywhere"]
output = { n = "integer", words = ["string"] }
"#;
    scene.file(
        "shape.json",
        r#"{"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 5, "examples": [6]}}}"#,
    );
    let without = scene.file("plan.toml", plan);
    let answer = scene.call(&["run", without.to_str().unwrap(), "--json"]);
    assert_eq!((answer.code, &answer.document()["error"]["kind"]), (2, &json!("invalid")));
    assert!(!scene.home().join("run/daemon.sock").exists(), "no daemon for a plan with errors");
    let (code, results) = scene.run(plan, &["--demo"]);
    assert_eq!(code, 0, "{results:#}");
    check(&results);
    assert_eq!(task(&results, "shape")["output"]["mood"], "good");
    assert_eq!(task(&results, "file")["output"], json!({ "n": 6 }));
    assert_eq!(
        task(&results, "count")["output"],
        json!({ "n": 1, "words": ["an example", "another one", "a third one"] })
    );
    let tail = task(&results, "deploy")["output"]["tail"].as_str().unwrap();
    assert!(tail.contains("a demo does not run: sh -c touch deployed"), "{tail}");
    assert!(!scene.desk().join("deployed").exists(), "a demo changes nothing");
    let said = task(&results, "text")["output"].as_str().unwrap();
    assert_eq!(said, "This is a demo answer to: Say resultsomething/result.");
}
