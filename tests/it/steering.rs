//! Steering runs through the real program: questions, the breaker, pauses, events, plans inside of
//! plans, doing again, cleaning up.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::scene::{Scene, task};
use crate::wait::wait_for;

const HEAD: &str = "plan = \"steered\"\ngoal = \"See who steers\"\napproval = \"none\"\nmax_parallel = 4\n\
                    [defaults]\nretries = 0\n";

/// A command task.
fn sh(id: &str, script: &str, keys: &str) -> String {
    format!("[[task]]\nid = '{id}'\nkind = 'command'\nrun = ['sh', '-c', '{script}']\n{keys}\n")
}

/// Submits a plan without watching it; its run.
#[track_caller]
fn submit(scene: &Scene, plan: &str) -> String {
    let path = scene.file("plan.toml", plan);
    let path = path.to_str().expect("text");
    let said = scene.read(&["run", path, "--detach", "--json"]);
    said["run"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned()
}

fn show(scene: &Scene, run: &str) -> Value {
    scene.read(&["show", run, "--json"])
}

fn state_of<'a>(view: &'a Value, id: &str) -> &'a str {
    let tasks = view["tasks"].as_array().expect("tasks");
    let found = tasks.iter().find(|task| task["task"] == id);
    found.and_then(|task| task["state"].as_str()).unwrap_or("absent")
}

#[track_caller]
fn until(scene: &Scene, run: &str, what: &str, seen: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, || seen(&show(scene, run)));
    show(scene, run)
}

/// Waits for the end; the results without their envelope.
#[track_caller]
fn results(scene: &Scene, run: &str) -> Value {
    scene.call(&["wait", run, "--timeout", "30s"]);
    scene.read(&["results", run, "--json"])["execution_results"].take()
}

fn path(file: &Path) -> &str {
    file.to_str().expect("text")
}

/// Features K10, K11, K12, K20, ruling Z6: three failures pause the run, and a person is asked word
/// for word; without a terminal the command ends with 5 and says how to answer.
#[test]
fn after_three_failures_the_run_asks() {
    let scene = Scene::new();
    let gate = scene.at("fixed");
    let test = format!("test -e {}", path(&gate));
    let list = ["a", "b", "c"].map(|id| sh(id, &test, "")).concat();
    let plan = format!(
        "{HEAD}{list}{}{}",
        sh("good", "true", ""),
        sh("after", "true", "depends_on = ['a']")
    );
    let file = scene.file("plan.toml", &plan);
    let answer = scene.call(&["run", path(&file)]);
    assert_eq!(answer.code, 5, "{answer:?}");
    let question = "1 of 5 tasks completed. Failed tasks: [a, b, c]. Partial results available.";
    assert!(answer.stderr.contains(question), "{answer:?}");
    let run = scene.read(&["runs", "--json"])["runs"][0].clone();
    assert_eq!(
        (&run["state"], &run["why"], &run["asks"]),
        (&json!("paused"), &json!("failures"), &json!(1))
    );
    let id = run["run"].as_str().expect("a run");
    assert!(
        answer.stderr.contains(&format!("muxvisor decide {id} retry|adjust|accept")),
        "{answer:?}"
    );
    let ask = show(&scene, id)["asks"][0].clone();
    assert_eq!(
        (&ask["question"], &ask["answers"]),
        (&json!(question), &json!(["retry", "adjust", "accept"]))
    );
    let resumed = scene.call(&["resume", id]);
    assert_eq!(resumed.code, 5, "{resumed:?}");
    let wrong = scene.call(&["decide", id, "perhaps"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    // The question outlives the daemon.
    scene.kill_daemon();
    fs::write(&gate, "").expect("written");
    assert_eq!(scene.call(&["decide", id, "retry"]).code, 0);
    let results = results(&scene, id);
    assert_eq!(
        (&results["status"], &results["summary"]["successful"]),
        (&json!("completed"), &json!(5))
    );
    assert_eq!(task(&results, "a")["attempt_number"], 2);
    assert_eq!(task(&results, "good")["attempt_number"], 1, "a success is not done again");
}

/// Features K9, K12, K19, K21: partial results are taken, with their gaps.
#[test]
fn partial_results_can_be_accepted() {
    let scene = Scene::new();
    let list = ["a", "b", "c"].map(|id| sh(id, "false", "")).concat();
    let plan = format!(
        "{HEAD}{list}{}{}",
        sh("good", "true", ""),
        sh("after", "true", "depends_on = ['a']")
    );
    let run = submit(&scene, &plan);
    until(&scene, &run, "the question", |view| {
        view["asks"][0]["kind"] == "failures" && view["waits_for_person"] == true
    });
    assert_eq!(scene.call(&["decide", &run, "accept"]).code, 0);
    let again = scene.call(&["decide", &run, "accept"]);
    assert_eq!(again.code, 2, "{again:?}");
    let results = results(&scene, &run);
    assert_eq!(results["status"], "partial");
    let gaps: Vec<&Value> = results["summary"]["gaps"]
        .as_array()
        .expect("gaps")
        .iter()
        .map(|gap| &gap["task"])
        .collect();
    assert_eq!(gaps, ["a", "b", "c", "after"]);
    assert_eq!(scene.call(&["wait", &run]).code, 3);
}

/// Features K12, K17: an edited plan keeps what it does not change; `adjust` without one is told
/// what to do.
#[test]
fn a_plan_can_be_adjusted() {
    let scene = Scene::new();
    let with = |script: &str| {
        let list = ["a", "b", "c"].map(|id| sh(id, script, "")).concat();
        let after = sh("after", "true", "depends_on = ['a']");
        format!("{HEAD}{list}{}{after}", sh("good", "true", ""))
    };
    let run = submit(&scene, &with("false"));
    until(&scene, &run, "the question", |view| view["waits_for_person"] == true);
    let without = scene.call(&["decide", &run, "adjust"]);
    assert_eq!(without.code, 2, "{without:?}");
    let wrong = scene.file("wrong.toml", "plan = 3");
    let wrong = scene.call(&["decide", &run, "adjust", "--plan", path(&wrong)]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    let other = scene.file("other.toml", &with("true").replacen("plan = ", "plan = 'other' #", 1));
    let other = scene.call(&["decide", &run, "adjust", "--plan", path(&other)]);
    assert!(other.code == 2 && other.stderr.contains("not `other`"), "{other:?}");
    let edited = scene.file("edited.toml", &with("true"));
    let said = scene.read(&["decide", &run, "adjust", "--plan", path(&edited), "--json"]);
    assert_eq!(said["again"], json!(["a", "b", "c", "after"]), "{said}");
    let results = results(&scene, &run);
    assert_eq!(results["status"], "completed");
    assert_eq!(task(&results, "good")["attempt_number"], 1);
}

/// Research 5.6: a task of kind `approve` is answered by run and task, or by its name; the first
/// answer counts, and who comes later is told of it. A no is a failure, its readers are skipped.
#[test]
fn tasks_are_approved_by_name() {
    let scene = Scene::new();
    let ask = |id: &str| format!("[[task]]\nid = '{id}'\nkind = 'approve'\nask = 'Ship it?'\n");
    let plan = format!(
        "{HEAD}{}{}{}{}",
        ask("first"),
        ask("second"),
        sh("ship", "true", "depends_on = ['first']"),
        sh("tell", "true", "depends_on = ['second']")
    );
    let run = submit(&scene, &plan);
    until(&scene, &run, "both questions", |view| {
        view["asks"].as_array().is_some_and(|asks| asks.len() == 2)
    });
    let several = scene.call(&["approve", &run]);
    assert_eq!(several.code, 2, "{several:?}");
    assert!(several.stderr.contains("2 questions are open"), "{several:?}");
    let wrong = scene.call(&["approve", &format!("{run}/frist")]);
    assert!(wrong.stderr.contains("asks no `frist`, but `first`, `second`"), "{wrong:?}");
    assert_eq!(show(&scene, &run)["tasks"][0]["agent"], "approve", "its kind, as nobody does it");
    let why = scene.call(&["why", &format!("{run}/first")]);
    assert!(
        why.stdout.contains("waits for a person: Ship it?")
            || why.stderr.contains("waits for a person: Ship it?"),
        "{why:?}"
    );
    assert_eq!(scene.call(&["approve", &format!("{run}/first")]).code, 0);
    let late = scene.call(&["approve", &format!("{run}/first"), "--reject"]);
    assert_eq!(late.code, 2, "{late:?}");
    assert!(late.stderr.contains("was answered already: approve, by person"), "{late:?}");
    scene.kill_daemon();
    assert_eq!(scene.call(&["approve", "second", "--reject"]).code, 0);
    let results = results(&scene, &run);
    assert_eq!(task(&results, "ship")["status"], "success");
    assert_eq!(task(&results, "second")["error"]["outcome"], "refused");
    assert_eq!(task(&results, "tell")["skip_reason"], "upstream");
}

/// Features E10, E11: paused, nothing is started, also by the next daemons; what `--stop` stopped
/// is made again and uses no retry.
#[test]
fn a_paused_run_waits_for_its_resume() {
    let scene = Scene::new();
    let gate = scene.at("go");
    let first = format!(
        "echo x >> {}; while ! test -e {}; do sleep 0.05; done",
        path(&scene.at("starts")),
        path(&gate)
    );
    let plan =
        format!("{HEAD}{}{}", sh("slow", &first, ""), sh("next", "true", "depends_on = ['slow']"));
    let run = submit(&scene, &plan);
    let starts = || fs::read_to_string(scene.at("starts")).unwrap_or_default().lines().count();
    wait_for("the first start", || starts() == 1);
    assert_eq!(scene.call(&["pause", &run, "--stop"]).code, 0);
    until(&scene, &run, "the stop", |view| state_of(view, "slow") == "blocked");
    let again = scene.call(&["pause", &run]);
    assert_eq!(again.code, 2, "{again:?}");
    scene.kill_daemon();
    scene.start_daemon();
    let view = show(&scene, &run);
    assert_eq!((&view["state"], state_of(&view, "slow")), (&json!("paused"), "blocked"));
    assert_eq!(starts(), 1);
    fs::write(&gate, "").expect("written");
    assert_eq!(scene.call(&["resume", &run]).code, 0);
    let results = results(&scene, &run);
    assert_eq!(results["status"], "completed");
    assert_eq!((starts(), &task(&results, "slow")["attempt_number"]), (2, &json!(2)));
}

/// Features K2, K17: a run that is over is taken up again in place, also by another daemon; what
/// succeeded stays. With `--with-downstream` a success is done again.
#[test]
fn a_run_that_is_over_can_be_retried() {
    let scene = Scene::new();
    let gate = scene.at("fixed");
    let test = format!("test -e {}", path(&gate));
    let plan = format!(
        "{HEAD}{}{}{}",
        sh("good", "true", ""),
        sh("bad", &test, ""),
        sh("after", "true", "depends_on = ['bad']")
    );
    let file = scene.file("plan.toml", &plan);
    let answer = scene.call(&["run", path(&file), "--json"]);
    assert_eq!(answer.code, 3, "{answer:?}");
    let run = answer.document()["execution_results"]["plan_id"].as_str().expect("an id").to_owned();
    scene.kill_daemon();
    fs::write(&gate, "").expect("written");
    let said = scene.read(&["retry", &run, "--json"]);
    assert_eq!(said["again"], json!(["bad", "after"]));
    let found = results(&scene, &run);
    assert_eq!(
        (&found["status"], &task(&found, "bad")["attempt_number"]),
        (&json!("completed"), &json!(2))
    );
    assert_eq!(task(&found, "good")["attempt_number"], 1);
    let nothing = scene.call(&["retry", &run]);
    assert_eq!(nothing.code, 2, "{nothing:?}");
    let said = scene.read(&["retry", &run, "--task", "bad", "--with-downstream", "--json"]);
    assert_eq!(said["again"], json!(["bad", "after"]));
    let found = results(&scene, &run);
    assert_eq!(task(&found, "after")["attempt_number"], 2);
    let rows = scene.counts("SELECT state, count(*) FROM task GROUP BY state");
    assert_eq!(rows, [("success".to_owned(), 3)]);
    let unknown = scene.call(&["retry", &run, "--task", "zz"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
}

/// Feature C17: an event may come before anybody waits for it, and over the end of a daemon; one
/// that comes again with its key is none.
#[test]
fn events_are_kept_for_those_who_wait() {
    let scene = Scene::new();
    let emit = |keys: &[&str]| scene.read(&[&["emit", "deployed", "--json"], keys].concat());
    let first = emit(&["--data", "{\"version\": 3}", "--key", "k"]);
    assert_eq!((&first["kept"], &first["repeated"]), (&json!(true), &json!(false)));
    assert_eq!(emit(&["--key", "k"])["repeated"], true);
    scene.kill_daemon();
    let wait = "[[task]]\nid = 'wait'\nkind = 'wait'\nevent = 'deployed'\n";
    let later =
        "[[task]]\nid = 'later'\nkind = 'wait'\nevent = 'deployed'\ndepends_on = ['wait']\n";
    let run = submit(&scene, &format!("{HEAD}{wait}{later}"));
    let view = until(&scene, &run, "the second wait", |view| state_of(view, "later") == "waiting");
    assert_eq!(state_of(&view, "wait"), "success");
    assert_eq!(emit(&["--key", "k"])["repeated"], true, "its key is remembered");
    assert_eq!(emit(&["--data", "now"])["kept"], false);
    let results = results(&scene, &run);
    assert_eq!(task(&results, "wait")["output"], json!({ "version": 3 }));
    assert_eq!(task(&results, "later")["output"], "now");
}

/// Feature A22: a plan inside of a plan is a run of its own, and `runs` says of which it is a part.
/// A cancel reaches it (feature E12).
#[test]
fn a_plan_runs_inside_of_a_plan() {
    let scene = Scene::new();
    scene.file("inner.toml", &format!("{HEAD}{}", sh("work", "true", "")));
    let inner = "[[task]]\nid = 'inner'\nkind = 'plan'\nfile = 'inner.toml'\n";
    let outer = format!("{HEAD}{inner}{}", sh("after", "true", "depends_on = ['inner']"));
    let run = submit(&scene, &outer);
    let found = results(&scene, &run);
    assert_eq!(found["status"], "completed", "{found}");
    let output = &task(&found, "inner")["output"];
    assert_eq!(
        (&output["status"], &output["outputs"]["work"]["exit_code"]),
        (&json!("completed"), &json!(0))
    );
    let runs = scene.read(&["runs", "--json"])["runs"].as_array().expect("runs").clone();
    let part = runs.iter().find(|it| it["parent"] == json!(run)).expect("a part");
    assert_eq!(part["state"], "completed");
    scene.file("inner.toml", &format!("{HEAD}{}", sh("work", "sleep 1000", "")));
    let run = submit(&scene, &outer);
    let view = until(&scene, &run, "the inner run", |view| view["tasks"][0]["child"].is_string());
    let child = view["tasks"][0]["child"].as_str().expect("a run").to_owned();
    until(&scene, &child, "its work", |view| state_of(view, "work") == "running");
    scene.kill_daemon();
    assert_eq!(scene.call(&["cancel", &run]).code, 0);
    assert_eq!(scene.call(&["wait", &run, "--timeout", "30s"]).code, 4);
    assert_eq!(show(&scene, &child)["state"], "cancelled");
}

/// Features A22, C12, F9: as many inner runs live at once as the run may have attempts; the others
/// say what they wait for, also after a crash.
#[test]
fn inner_runs_have_their_turns() {
    let scene = Scene::new();
    let work = "until [ -e go ]; do sleep 0.02; done";
    scene.file("inner.toml", &format!("{HEAD}{}", sh("work", work, "")));
    let each = "[[task]]\nid = 's'\nkind = 'plan'\nfile = 'inner.toml'\n\
                for_each = ['x', 'y', 'z']\nkey = '${item}'\n";
    let outer = HEAD.replace("max_parallel = 4", "max_parallel = 1");
    let run = submit(&scene, &format!("{outer}{each}"));
    let children = |view: &Value| {
        let tasks = view["tasks"].as_array().expect("tasks").iter();
        tasks.filter(|task| task["child"].is_string()).count()
    };
    until(&scene, &run, "an inner run", |view| children(view) > 0);
    scene.kill_daemon();
    let why = scene.call(&["why", &format!("{run}/s[y]")]).stdout;
    assert!(why.contains("waits for its turn: 1 inner runs live, and 1 may at once"), "{why}");
    assert_eq!(children(&show(&scene, &run)), 1);
    assert_eq!(scene.read(&["runs", "--json"])["runs"].as_array().expect("runs").len(), 2);
    fs::write(scene.desk().join("go"), "").expect("a file");
    assert_eq!(results(&scene, &run)["status"], "completed");
    assert_eq!(scene.read(&["runs", "--json"])["runs"].as_array().expect("runs").len(), 4);
}

/// The last command runs whatever happened, also after a cancel, and changes nothing.
#[test]
fn the_last_command_runs_after_a_cancel() {
    let scene = Scene::new();
    let told = scene.at("told");
    let last = format!(
        "[on_finish]\nrun = ['sh', '-c', 'echo \"$0\" >> {}; exit 3', '${{run.status}}']\n",
        path(&told)
    );
    let run = submit(&scene, &format!("{HEAD}{last}{}", sh("work", "sleep 1000", "")));
    until(&scene, &run, "the work", |view| state_of(view, "work") == "running");
    assert_eq!(scene.call(&["cancel", &run]).code, 0);
    assert_eq!(scene.call(&["wait", &run, "--timeout", "30s"]).code, 4);
    assert_eq!(fs::read_to_string(&told).expect("told"), "cancelled\n");
    let why = scene.call(&["why", &format!("{run}/work")]).stdout;
    assert!(why.contains("told to stop: "), "{why}");
}

/// Features L5, E9: what ended is kept, and can be deleted with its files; what lives is not.
#[test]
fn ended_runs_are_kept_until_they_are_cleaned_up() {
    let scene = Scene::new();
    let over = submit(&scene, &format!("{HEAD}{}", sh("a", "true", "")));
    assert_eq!(results(&scene, &over)["status"], "completed");
    let live = submit(&scene, &format!("{HEAD}{}", sh("b", "sleep 1000", "")));
    until(&scene, &live, "the work", |view| state_of(view, "b") == "running");
    assert_eq!(scene.read(&["cleanup", "--json"])["runs"], json!([]), "it ended just now");
    let said = scene.read(&["cleanup", "--days", "0", "--json"]);
    assert_eq!((&said["runs"], &said["attempts"]), (&json!([over]), &json!(1)));
    assert_eq!(scene.attempts_of("a").len(), 0);
    assert_eq!(scene.attempts_of("b").len(), 1);
    let gone = scene.call(&["show", &over]);
    assert_eq!(gone.code, 2, "{gone:?}");
    assert_eq!(show(&scene, &live)["state"], "running");
    scene.call(&["cancel", &live]);
    scene.call(&["wait", &live, "--timeout", "30s"]);
}

/// Feature N13: the graph of a run, in three ways.
#[test]
fn a_run_is_drawn() {
    let scene = Scene::new();
    let plan = format!("{HEAD}{}{}", sh("a", "true", ""), sh("b", "true", "depends_on = ['a']"));
    let run = submit(&scene, &plan);
    results(&scene, &run);
    let draw = |format: &str| {
        let answer = scene.call(&["graph", &run, "--format", format]);
        assert_eq!(answer.code, 0, "{answer:?}");
        answer.stdout + &answer.stderr
    };
    assert!(draw("text").contains("b (success)  <- a"), "{}", draw("text"));
    assert!(draw("dot").contains("\"a\" -> \"b\";"), "{}", draw("dot"));
    assert!(draw("mermaid").contains("t0 --> t1"), "{}", draw("mermaid"));
}

/// Features A22, K19, O6: what failed within an inner run is named as a gap of the outer one, which
/// is partial, and stays so until it is done.
#[test]
fn an_inner_run_hides_no_failure() {
    let scene = Scene::new();
    let inner = format!("{HEAD}{}{}", sh("f", "false", ""), sh("g", "true", ""));
    scene.file("inner.toml", &inner);
    let outer = format!("{HEAD}[[task]]\nid = 's'\nkind = 'plan'\nfile = 'inner.toml'\n");
    let outer = scene.file("plan.toml", &outer);
    let said = scene.call(&["run", path(&outer)]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.stdout.contains("- s/f: exit-code: exited with code 1"), "{said:?}");
    let runs = scene.read(&["runs", "--json"])["runs"].as_array().expect("runs").clone();
    let run = runs.iter().find(|run| run["parent"].is_null()).expect("the outer run");
    let found = results(&scene, run["run"].as_str().expect("an id"));
    assert_eq!(found["summary"]["gaps"][0]["task"], "s/f");
    assert_eq!(task(&found, "s")["output"]["status"], "partial");
    let show = scene.read(&["show", run["run"].as_str().expect("an id"), "--json"]);
    assert_eq!(show["completed_phases"], json!([]), "a partial phase is not completed (F6)");
}

/// Features A22, K12: a question of an inner run is told wherever the outer one is looked at, with
/// the command that answers it, and `run` without a terminal ends with 5.
#[test]
fn a_question_of_an_inner_run_is_told() {
    let scene = Scene::new();
    let ask = "[[task]]\nid = 'ok'\nkind = 'approve'\nask = 'Is it good?'\n";
    scene.file("inner.toml", &format!("{HEAD}{ask}"));
    let outer = format!("{HEAD}[[task]]\nid = 's'\nkind = 'plan'\nfile = 'inner.toml'\n");
    let outer = scene.file("plan.toml", &outer);
    let said = scene.call(&["run", path(&outer)]);
    assert_eq!(said.code, 5, "{said:?}");
    let runs = scene.read(&["runs", "--json"])["runs"].as_array().expect("runs").clone();
    let id_of = |outer: bool| {
        let found = runs.iter().find(|run| run["parent"].is_null() == outer).expect("a run");
        found["run"].as_str().expect("an id").to_owned()
    };
    let (run, child) = (id_of(true), id_of(false));
    let how = format!("muxvisor approve {child}/ok");
    let why_task = format!("{run}/s");
    let looks = [vec!["show", &run], vec!["why", &run], vec!["why", &why_task], vec!["ps"]];
    for look in looks {
        let seen = scene.call(&look);
        let told = format!("{}{}", seen.stdout, seen.stderr);
        assert!(told.contains(&how) && told.contains("Is it good?"), "{look:?}: {told}");
    }
    assert!(said.stderr.contains(&how), "{said:?}");
    let view = show(&scene, &run);
    assert_eq!(view["asks"][0]["id"], json!(format!("{child}/ok")));
    assert_eq!(scene.call(&["approve", &format!("{child}/ok")]).code, 0);
    assert_eq!(results(&scene, &run)["status"], "completed");
}

/// Features O5, K12: `retry` names the readers that stay as they were made, without what is done
/// again; `--with-downstream` does them too.
#[test]
fn retry_names_what_stays_stale() {
    let scene = Scene::new();
    let mark = scene.at("mark");
    let reads = "[[task]]\nid = 'b'\nkind = 'command'\nrun = ['echo', \"got ${a.output.tail ?? 'NOTHING'}\"]\n";
    let a = sh("a", &format!("test -e {} && echo x", path(&mark)), "");
    let run = submit(&scene, &format!("{HEAD}{a}{reads}"));
    assert_eq!(results(&scene, &run)["status"], "partial");
    fs::write(&mark, "").expect("written");
    let said = scene.call(&["retry", &run]);
    assert!(said.stdout.contains("not done again: b"), "{said:?}");
    let found = results(&scene, &run);
    assert_eq!(found["status"], "partial", "{found}");
    assert_eq!(found["summary"]["gaps"][0]["task"], "b");
    assert_eq!(scene.call(&["retry", &run]).code, 0);
    let found = results(&scene, &run);
    assert_eq!(found["status"], "completed", "{found}");
    assert!(task(&found, "b")["output"]["tail"].as_str().expect("text").contains("got x"));
}
