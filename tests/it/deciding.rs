//! What a person decides with `decide` while agents are at work: budgets, and guarded actions.

use std::fs;

use serde_json::{Value, json};

use crate::scene::{Scene, task};
use crate::wait::wait_for;

const HEAD: &str = "plan = \"decided\"\ngoal = \"See who decides\"\napproval = \"none\"\n\
                    max_parallel = 1\n[defaults]\nretries = 0\n";

/// An agent that is a script, and a task for it of the same name.
fn scripted(name: &str, script: &str, keys: &str) -> String {
    format!(
        "[agent.{name}]\ncommand = ['sh', '-c', '''\nmv=$MUXVISOR_PROGRAM\n{script}\n''']\n\
         [[task]]\nid = '{name}'\nagent = '{name}'\ndescription = 'Do {name}.'\n{keys}\n"
    )
}

/// Submits a plan without watching it; its run.
#[track_caller]
fn submit(scene: &Scene, plan: &str) -> String {
    let path = scene.file("plan.toml", plan);
    let said = scene.read(&["run", path.to_str().expect("text"), "--detach", "--json"]);
    said["run"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[track_caller]
fn asked(scene: &Scene, run: &str, ask: &str) -> Value {
    let open = || scene.read(&["show", run, "--json"])["asks"].clone();
    wait_for("the question", || open()[0]["id"] == ask);
    open()[0].clone()
}

/// Waits for the end; the results without their envelope.
#[track_caller]
fn results(scene: &Scene, run: &str) -> Value {
    scene.call(&["wait", run, "--timeout", "30s"]);
    scene.read(&["results", run, "--json"])["execution_results"].take()
}

/// Features K7, K12, P1: agents tell what they used; when the budget is used up nothing more is
/// started, also by the next daemon, until a person says `continue`, which allows as much again, or
/// `accept`, which ends the run with what there is.
#[test]
fn a_person_decides_when_a_budget_is_used_up() {
    let script = "$mv note --usage '{\"model\": \"m\", \"input\": 1500, \"output\": 700}'\n\
                  echo '<result>spent</result>'";
    let list = ["a", "b", "c"].map(|id| scripted(id, script, "")).concat();
    let plan = HEAD.replace("[defaults]", "budget = { tokens = 1000 }\n[defaults]") + &list;
    let scene = Scene::new();
    let run = submit(&scene, &plan);
    let ask = asked(&scene, &run, "budget-1");
    assert_eq!((&ask["kind"], &ask["answers"]), (&json!("budget"), &json!(["continue", "accept"])));
    assert!(ask["question"].as_str().unwrap().contains("2200 of 1000 tokens"), "{ask}");
    let seen = scene.read(&["show", &run, "--json"]);
    assert_eq!((&seen["state"], &seen["why"]), (&json!("paused"), &json!("budget")));
    scene.kill_daemon();
    let wrong = scene.call(&["decide", &run, "perhaps"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert_eq!(scene.attempts_of("b").len(), 0);
    assert_eq!(scene.call(&["decide", &run, "continue"]).code, 0);
    let ask = asked(&scene, &run, "budget-2");
    assert!(ask["question"].as_str().unwrap().contains("4400 of 3200 tokens"), "{ask}");
    assert_eq!(scene.call(&["decide", &run, "accept"]).code, 0);
    let results = results(&scene, &run);
    assert_eq!(results["status"], "partial", "{results}");
    assert_eq!(task(&results, "b")["status"], "success");
    assert_eq!(task(&results, "c")["skip_reason"], "stopped");
    assert_eq!(scene.call(&["wait", &run]).code, 3);
}

/// Feature H14: an action above its tier waits for a person, who is asked by `RUN/tierN-K`; the
/// agent hears the answer while it lives, and the question outlives the daemon.
#[test]
fn a_person_decides_about_guarded_actions() {
    let script = r#"
one=$($mv note --action "rm -rf build" --tier 3 --wait 60s)
two=$($mv note --action "send money" --tier 4 --wait 60s)
echo "<result>$one $two</result>""#;
    let scene = Scene::new();
    let run = submit(&scene, &format!("{HEAD}{}", scripted("a", script, "tier = 1")));
    let ask = asked(&scene, &run, "tier3-1");
    assert_eq!((&ask["kind"], &ask["task"]), (&json!("action"), &json!("a")));
    assert!(ask["question"].as_str().unwrap().contains("rm -rf build"), "{ask}");
    let how = ask["how"].as_str().unwrap();
    assert!(how.contains(&format!("muxvisor decide {run}/tier3-1 yes|no")), "{how}");
    scene.kill_daemon();
    scene.start_daemon();
    assert_eq!(asked(&scene, &run, "tier3-1")["question"], ask["question"]);
    let first = scene.call(&["decide", &format!("{run}/tier3-1"), "yes"]);
    assert_eq!(first.code, 0, "{first:?}");
    asked(&scene, &run, "tier4-1");
    let late = scene.call(&["decide", &format!("{run}/tier3-1"), "no"]);
    assert_eq!(late.code, 2, "{late:?}");
    assert!(late.stderr.contains("was answered already: yes, by person"), "{late:?}");
    assert_eq!(scene.call(&["decide", &format!("{run}/tier4-1"), "no"]).code, 0);
    let results = results(&scene, &run);
    assert_eq!(task(&results, "a")["output"], "yes no", "{results}");
    let answers = "SELECT json_extract(data, '$.answered.ask') || ' ' ||
        json_extract(data, '$.answered.answer') || ' ' || json_extract(data, '$.answered.by'),
        count(*) FROM event WHERE kind = 'answered' GROUP BY 1 ORDER BY 1";
    let expected = ["tier3-1 yes person", "tier4-1 no person"];
    assert_eq!(scene.counts(answers), expected.map(|answer| (answer.to_owned(), 1)));
}

/// Features K12, M1: an edited plan may use the same templates as a new one.
#[test]
fn an_edited_plan_may_use_templates() {
    let scene = Scene::new();
    fs::create_dir(scene.at("templates")).expect("made");
    let text = "+++\ndescription = 'Mine'\n+++\n## Task\n\nMend what is broken.\n";
    fs::write(scene.at("templates/mend.md"), text).expect("written");
    let agent = |script: &str| format!("[agent.a]\ncommand = ['sh', '-c', '''{script}''']\n");
    let head = HEAD.replace("[defaults]", "stop_after_failures = 1\n[defaults]");
    let good = "[[task]]\nid = 'good'\nkind = 'command'\nrun = ['true']\n\
                [[task]]\nid = 'after'\nkind = 'command'\nrun = ['true']\ndepends_on = ['a']\n";
    let bad = format!(
        "{head}{good}{}[[task]]\nid = 'a'\nagent = 'a'\ndescription = 'x'\n",
        agent("exit 1")
    );
    let run = submit(&scene, &bad);
    asked(&scene, &run, "failures-1");
    let edited = format!(
        "{head}{good}{}[[task]]\nid = 'a'\nagent = 'a'\ntemplate = 'mend'\n",
        agent("grep -q \"Mend what is broken\" && echo \"<result>mended</result>\"")
    );
    let edited = scene.file("edited.toml", &edited);
    let plan = edited.to_str().expect("text");
    let said = scene.call(&["decide", &run, "adjust", "--plan", plan]);
    assert_eq!(said.code, 0, "{said:?}");
    let results = results(&scene, &run);
    assert_eq!(task(&results, "a")["output"], "mended", "{results}");
}
