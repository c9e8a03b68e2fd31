//! What agents do from inside, on the real program: leads with workers, reports, messages, actions,
//! and the work items that come of it. Agents are small scripts in real windows.

use std::fs;

use serde_json::{Value, json};

use crate::scene::{Scene, task};
use crate::wait::wait_for;

const HEAD: &str = r#"
plan = "led"
goal = "See what agents may do from inside"
approval = "none"
[defaults]
retries = 0
[agent.able]
command = ['sh', '-c', '''
text=$(cat)
case $text in
*"work on"*broken*) echo "I cannot" >&2; exit 1 ;;
*"dig deeper"*) "$MUXVISOR_PROGRAM" spawn --agent able "more" 2>&1 | tr '\n' ' ' >said
  echo "<result>$(cat said)</result>" ;;
*"wait for"*) until [ -e "$PWD/go" ]; do sleep 0.05; done; echo '<result>went</result>' ;;
*) echo "<result>did $MUXVISOR_TASK</result>" ;;
esac
''']
capabilities = ["digging"]
"#;

/// An agent that is a script, and a task for it of the same name.
fn scripted(name: &str, script: &str, keys: &str) -> String {
    format!(
        "[agent.{name}]\ncommand = ['sh', '-c', '''\nmv=$MUXVISOR_PROGRAM\n{script}\n''']\n\
         [[task]]\nid = '{name}'\nagent = '{name}'\ndescription = 'Do {name}.'\n{keys}\n"
    )
}

fn lead(script: &str, keys: &str) -> String {
    let lead = "lead = { max_workers = 4, agents = ['able'] }";
    format!("{HEAD}{}", scripted("boss", script, &format!("{lead}\n{keys}")))
}

/// Features C8, C9, H6, H16, L1, L2: a lead has three workers at once, takes their results, and
/// spawns one that failed again with what went wrong.
#[test]
fn a_lead_has_workers_and_decides_what_follows() {
    let script = r#"
$mv spawn --agent able --name one "work on one"
$mv spawn --capability digging --name two "work on two" --json >two.json
$mv spawn --agent able --name three "work on what is broken"
one=$($mv spawn --result one --wait)
two=$($mv spawn --result two --wait)
three=$($mv spawn --result three --wait 2>why) && exit 9
three=$($mv spawn --agent able --name three --wait "again, because: $(cat why)")
$mv spawn --list >list
$mv spawn --agent able "one more than four" 2>most && exit 8
echo "<result>$one, $two, $three</result>""#;
    let scene = Scene::new();
    let (code, results) = scene.run(&lead(script, ""), &[]);
    assert_eq!(code, 0, "{results}");
    let said = task(&results, "boss")["output"].as_str().unwrap();
    assert_eq!(said, "did boss/one, did boss/two, did boss/three-2");
    assert_eq!(task(&results, "boss/three")["error"]["outcome"], "exit-code");
    assert_eq!(results["status"], "completed");
    assert_eq!(results["summary"]["total_tasks"], 5);
    let read = |name: &str| fs::read_to_string(scene.desk().join(name)).unwrap();
    assert!(read("why").contains("worker three is failed: exit-code"), "{}", read("why"));
    assert!(read("most").contains("has had 4 workers"), "{}", read("most"));
    assert!(read("list").contains("three-2"), "{}", read("list"));
    let two: Value = serde_json::from_str(&read("two.json")).unwrap();
    assert_eq!((&two["task"], &two["agent"]), (&json!("boss/two"), &json!("able")));
    let spawned = "SELECT kind, count(*) FROM event WHERE kind = 'task-spawned' GROUP BY 1";
    assert_eq!(scene.counts(spawned), [("task-spawned".to_owned(), 4)]);
}

/// Feature H13: a worker has no workers, and an ordinary task has none.
#[test]
fn the_depth_of_one_is_enforced() {
    let script =
        r#"echo "<result>$($mv spawn --agent able --name w --wait 'dig deeper')</result>""#;
    let plan = lead(script, "")
        + &scripted(
            "plain",
            "$mv spawn --agent able x 2>no; echo \"<result>$(cat no)</result>\"",
            "",
        );
    let (code, results) = Scene::new().run(&plan, &[]);
    assert_eq!(code, 0, "{results}");
    let said = task(&results, "boss")["output"].as_str().unwrap();
    assert!(said.contains("a worker cannot have workers (depth one)"), "{said}");
    let said = task(&results, "plain")["output"].as_str().unwrap();
    assert!(said.contains("task `plain` is no lead") && said.contains("lead = {"), "{said}");
}

/// Features C8, L1: a daemon that is killed in between changes nothing, neither for the worker nor
/// for the lead that waits for it; nothing is done twice.
#[test]
fn a_lead_gets_its_results_whatever_becomes_of_the_daemon() {
    let script = r#"
one=$($mv spawn --agent able --name one --wait "wait for the word")
echo "<result>$one</result>""#;
    let scene = Scene::new();
    let path = scene.file("plan.toml", &lead(script, ""));
    let arguments = ["run", path.to_str().unwrap(), "--json", "--max-parallel", "1"];
    let going = scene.begin(&arguments);
    let running = |scene: &Scene| {
        let live = scene.live();
        live.iter().any(|view| view["task"] == "boss/one" && view["state"] == "running")
    };
    wait_for("the worker", || running(&scene));
    scene.kill_daemon();
    scene.daemon_that_answers();
    scene.kill_daemon();
    scene.daemon_that_answers();
    assert!(running(&scene), "it lives on");
    fs::write(scene.desk().join("go"), "").unwrap();
    let answer = going.end();
    assert_eq!(answer.code, 0, "{answer:?}");
    let results = answer.document()["execution_results"].take();
    assert_eq!(task(&results, "boss")["output"], "went");
    let ended = "SELECT task || ' ' || outcome, count(*) FROM attempt GROUP BY 1 ORDER BY 1";
    let expected = ["boss success", "boss/one success"].map(|end| (end.to_owned(), 1));
    assert_eq!(scene.counts(ended), expected);
}

/// Feature C8: a worker whose lead is over is stopped, and the run is whole.
#[test]
fn a_worker_is_stopped_when_its_lead_is_over() {
    let script = r#"
$mv spawn --agent able --name slow "wait for the word"
until $mv spawn --list | grep -q running; do sleep 0.05; done
echo '<result>enough</result>'"#;
    let scene = Scene::new();
    let (code, results) = scene.run(&lead(script, ""), &[]);
    assert_eq!((code, &results["status"]), (0, &json!("completed")), "{results}");
    assert_eq!(task(&results, "boss/slow")["skip_reason"], "stopped");
    wait_for("the end of all agents", || scene.agents().is_empty());
}

/// Features N6-N9, N13, H9, H10, F6, P1: what an agent reports stands with its item.
#[test]
fn what_agents_report_stands_with_their_items() {
    let script = r#"
printf 'twelve bytes' >made.txt
$mv note --artifact made.txt && $mv note --artifact made.txt
$mv note --test unit --passed && $mv note --test e2e --failed
$mv note --finding "the gap is wide" --severity low --data '{"line": 7}'
$mv note --usage '{"model": "m", "input": 10, "output": 5}'
$mv note --test unclear 2>no
echo "<result>$(cat no)</result>""#;
    let scene = Scene::new();
    let (code, results) = scene.run(&format!("{HEAD}{}", scripted("a", script, "")), &[]);
    assert_eq!(code, 0, "{results}");
    assert!(task(&results, "a")["output"].as_str().unwrap().contains("--passed, or --failed"));
    let item = scene.read(&["items", "show", "wf-led-stage-1", "--json"]);
    assert_eq!((&item["status"], &item["task"]), (&json!("done"), &json!("a")));
    assert!(item["session_key"].is_string(), "{item}");
    let artifacts = item["artifacts"].as_array().unwrap();
    assert_eq!(artifacts.len(), 1, "said twice is said once: {item}");
    assert_eq!(artifacts[0]["text"], scene.desk().join("made.txt").to_str().unwrap());
    assert_eq!(artifacts[0]["data"]["size"], 12);
    assert_eq!(artifacts[0]["data"]["sha256"].as_str().unwrap().len(), 64);
    let passed: Vec<&Value> =
        item["tests"].as_array().unwrap().iter().map(|test| &test["passed"]).collect();
    assert_eq!(passed, [&json!(true), &json!(false)]);
    assert_eq!(item["findings"][0]["data"], json!({ "line": 7, "severity": "low" }));
    let listed = scene.read(&["items", "list", "--status", "done", "--json"]);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let none = scene.read(&["items", "list", "--status", "failed", "--json"]);
    assert_eq!(none["items"], json!([]));
    let tail = scene.read(&["items", "tail", "a", "--limit", "2", "--json"]);
    assert_eq!(tail["reports"].as_array().unwrap().len(), 2);
    let stats = scene.read(&["items", "stats", "--json"]);
    assert_eq!((&stats["items"]["done"], &stats["agents"][0]["agent"]), (&json!(1), &json!("a")));
    let spent = "SELECT kind, json_extract(data, '$.task-spent.spent.input') FROM event
                 WHERE kind = 'task-spent'";
    assert_eq!(scene.counts(spent), [("task-spent".to_owned(), 10)]);
    let run = item["run"].as_str().unwrap();
    let shown = scene.read(&["show", run, "--json"]);
    assert_eq!((&shown["plan_id"], &shown["current_phase"]), (&item["run"], &Value::Null));
    assert!(shown["task_outputs"]["a"].is_string() && shown["errors"] == json!({}), "{shown}");
    assert_eq!(shown["completed_phases"].as_array().unwrap().len(), 1);
    let graph = scene.call(&["items", "graph"]);
    assert!(graph.stdout.contains("wf-led-stage-1 [done] a"), "{graph:?}");
    let outside = scene.call(&["note", "--finding", "x"]);
    assert_eq!(outside.code, 2, "{outside:?}");
    assert!(outside.stderr.contains("not asked from inside of an agent"), "{outside:?}");
}

/// Feature I12, ruling Z11: messages go where the plan grants it, and nowhere else.
#[test]
fn agents_write_to_each_other_where_the_plan_grants_it() {
    let reader = r#"
$mv msg inbox --wait 60s >first
$mv msg inbox --since 1 --wait 60s --json >second
$mv msg send writer back 2>no
echo "<result>$(cat first) | $(cat no)</result>""#;
    let writer = r#"
$mv msg send reader "the door is open"
echo 'and the lamp is lit' | $mv msg send reader -
$mv msg send other x 2>no
echo "<result>$(cat no)</result>""#;
    let other = "$mv msg inbox 2>none; echo \"<result>$(cat none)</result>\"";
    let plan = format!(
        "{HEAD}{}{}{}",
        scripted("reader", reader, ""),
        scripted("writer", writer, "messages = ['reader']\ncwd = 'w'"),
        scripted("other", other, "")
    );
    let scene = Scene::new();
    fs::create_dir(scene.desk().join("w")).unwrap();
    let (code, results) = scene.run(&plan, &[]);
    assert_eq!(code, 0, "{results}");
    let said = |id: &str| task(&results, id)["output"].as_str().unwrap().to_owned();
    assert!(said("reader").starts_with("1 writer: the door is open"), "{results}");
    assert!(said("reader").contains("`reader` may not write to `writer`"), "{results}");
    assert!(said("writer").contains("it may write to reader"), "{results}");
    assert!(said("other").contains("`other` has no inbox"), "{results}");
    let second: Value =
        serde_json::from_str(&fs::read_to_string(scene.desk().join("second")).unwrap()).unwrap();
    assert!(
        second["messages"][0]["text"].as_str().unwrap().starts_with("and the lamp"),
        "{second}"
    );
    let item = scene.read(&["items", "show", "reader", "--json"]);
    assert_eq!(item["messages"].as_array().unwrap().len(), 2);
}

/// Feature H14: what a worker may not do goes back to its lead, and what that may not either to a
/// person; every decision is on record.
#[test]
fn guarded_actions_go_back_to_the_lead() {
    let boss = r#"
$mv spawn --agent asker --name w "ask"
id=$($mv msg inbox --wait 60s | sed -n 's/.*note --answer \(tier3-[0-9]*\) yes.*/\1/p')
$mv note --answer "$id" yes
echo "<result>$($mv spawn --result w --wait)</result>""#;
    let asker = r#"
low=$($mv note --action "ls" --tier 1)
mid=$($mv note --action "rm -rf build" --tier 3 --wait 60s 2>/dev/null)
high=$($mv note --action "send money" --tier 4)
echo "<result>$low $mid $high $?</result>""#;
    let plan = format!(
        "{HEAD}[agent.asker]\ncommand = ['sh', '-c', '''\nmv=$MUXVISOR_PROGRAM\n{asker}\n''']\n{}",
        scripted("boss", boss, "tier = 3\nlead = { max_workers = 1, agents = ['asker'] }")
    );
    let scene = Scene::new();
    let (code, results) = scene.run(&plan, &[]);
    assert_eq!(code, 0, "{results}");
    assert_eq!(task(&results, "boss")["output"], "yes yes waiting 5");
    let answers = "SELECT json_extract(data, '$.answered.ask') || ' ' ||
        json_extract(data, '$.answered.answer') || ' ' || json_extract(data, '$.answered.by'),
        count(*) FROM event WHERE kind = 'answered' GROUP BY 1 ORDER BY 1";
    let expected = ["tier1-1 yes tier", "tier3-1 yes boss"].map(|answer| (answer.to_owned(), 1));
    assert_eq!(scene.counts(answers), expected);
}

/// Features N5, N10, N11, N12, H7: the hooks that come with the program look at the task they follow.
#[test]
fn hooks_check_keep_and_judge() {
    let script = r#"
printf x >made.txt; $mv note --artifact made.txt; $mv note --finding "mind the gap"
echo '<result>done</result>'"#;
    let hooks = "hook = [{ run = 'sanity-check', blocks = true }, { run = 'reflect' }, \
                 { run = 'skill-lifecycle' }]";
    let plan = format!("{HEAD}{}", scripted("a", script, hooks));
    let scene = Scene::new();
    let (code, results) = scene.run(&plan, &[]);
    assert_eq!(code, 0, "{results}");
    let hooks = scene.read(&["items", "hooks", "completed", "--since", "2026-01-01", "--json"]);
    assert_eq!(hooks["items"].as_array().unwrap().len(), 3, "{hooks}");
    assert_eq!(hooks["items"][0]["id"], "wf-led-stage-1!sanity-check");
    let item = scene.read(&["items", "show", "a", "--json"]);
    let health =
        item["findings"].as_array().unwrap().iter().find(|f| f["data"]["health"].is_object());
    assert_eq!(health.unwrap()["data"]["health"]["success_ratio"], 1.0);
    let lessons = fs::read_to_string(scene.at("lessons/led.md")).unwrap();
    assert!(lessons.contains("a: mind the gap"), "{lessons}");
    let (code, _) = scene.run(&plan, &[]);
    assert_eq!(code, 0);
    let prompt = fs::read_to_string(scene.attempts_of("a").pop().unwrap().join("prompt.md"));
    let first = fs::read_to_string(scene.attempts_of("a")[0].join("prompt.md"));
    let told = [prompt.unwrap(), first.unwrap()];
    let with =
        told.iter().filter(|text| text.contains("## Lessons") && text.contains("mind the gap"));
    assert!(with.count() >= 1, "a later run is told: {told:?}");
}

/// Features N1, N3, N4, N9, N14, L3, Z4: a person does what no attempt is at.
#[test]
fn a_person_may_do_the_work_inline() {
    let plan = format!(
        "{HEAD}[[task]]\nid = 'slow'\nagent = 'able'\ndescription = 'wait for the word'\n\
         [[task]]\nid = 'hand'\nagent = 'able'\ndescription = 'x'\n{}",
        scripted("after", "echo '<result>went on</result>'", "depends_on = ['hand', 'slow']")
    );
    let scene = Scene::new();
    let path = scene.file("plan.toml", &plan);
    let arguments = ["run", path.to_str().unwrap(), "--json", "--max-parallel", "1"];
    let going = scene.begin(&arguments);
    wait_for("the slow one", || scene.live().iter().any(|view| view["state"] == "running"));
    let queued = scene.read(&["items", "show", "hand", "--json"]);
    assert_eq!((&queued["status"], &queued["state"]), (&json!("pending"), &json!("queued")));
    let live = scene.call(&["items", "fail", "slow", "--error", "x"]);
    assert!(live.code == 2 && live.stderr.contains("an attempt works on it"), "{live:?}");
    let done = scene.read(&["items", "complete", "hand", "--result", "by hand", "--json"]);
    assert_eq!((&done["status"], &done["output"]), (&json!("done"), &json!("by hand")));
    let twice = scene.call(&["items", "complete", "wf-led-stage-2", "--result", "again"]);
    assert!(twice.code == 2 && twice.stderr.contains("is success already"), "{twice:?}");
    let listed = scene.read(&["items", "list", "--status", "in_progress", "--json"]);
    assert_eq!(listed["items"][0]["task"], "slow");
    fs::write(scene.desk().join("go"), "").unwrap();
    let answer = going.end();
    assert_eq!(answer.code, 0, "{answer:?}");
    let results = answer.document()["execution_results"].take();
    assert_eq!(task(&results, "hand")["output"], "by hand");
    assert_eq!(task(&results, "after")["output"], "went on");
    let after = scene.read(&["items", "show", "after", "--json"]);
    let mut needs: Vec<&str> =
        after["depends_on"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    needs.sort_unstable();
    assert_eq!(needs, ["wf-led-stage-1", "wf-led-stage-2"]);
}

/// Features K10, K12, C8: after three workers that failed a lead gets no more, and is told that a
/// person has been asked; the run waits for the answer, also when the lead has ended.
#[test]
fn after_three_failed_workers_nobody_is_hired() {
    let script = r#"
for name in one two three; do
  $mv spawn --agent able --name $name --wait "work on what is broken" >/dev/null 2>&1
done
$mv spawn --agent able "one more" 2>no && exit 9
echo "<result>$(cat no)</result>""#;
    let scene = Scene::new();
    let path = scene.file("plan.toml", &lead(script, ""));
    let said = scene.call(&["run", path.to_str().unwrap()]);
    assert_eq!(said.code, 5, "{said:?}");
    assert!(said.stderr.contains("Failed tasks: [boss/one, boss/two, boss/three]"), "{said:?}");
    let runs = scene.read(&["runs", "--json"])["runs"].take();
    let run = runs[0]["run"].as_str().unwrap().to_owned();
    let ended = || scene.read(&["show", &run, "--json"])["tasks"][0]["state"] == "success";
    wait_for("the end of the lead", ended);
    assert_eq!(scene.call(&["decide", &run, "accept"]).code, 0);
    scene.call(&["wait", &run]);
    let results = scene.read(&["results", &run, "--json"])["execution_results"].take();
    let told = task(&results, "boss")["output"].as_str().unwrap();
    assert!(told.contains("3 tasks failed (boss/one, boss/two, boss/three)"), "{told}");
    assert!(told.contains(&format!("muxvisor decide {run} retry|adjust|accept")), "{told}");
}

/// Feature N10: what was claimed and never was keeps work back, until it is there.
#[test]
fn a_claim_without_a_file_is_kept_back() {
    let hooks = "retries = 0\nhook = [{ run = 'sanity-check', blocks = true }]";
    let script = r#"
$mv note --artifact nope.txt 2>why && exit 9
[ "$MUXVISOR_TASK" = good ] && echo x >nope.txt
echo "<result>$(cat why)</result>""#;
    let plan = format!("{HEAD}{}", scripted("bad", script, hooks));
    let (_, results) = Scene::new().run(&plan, &[]);
    let bad = task(&results, "bad");
    assert_eq!(bad["status"], "failed", "{results}");
    let (code, results) =
        Scene::new().run(&format!("{HEAD}{}", scripted("good", script, hooks)), &[]);
    assert_eq!(code, 0, "{results}");
    let said = task(&results, "good")["output"].as_str().unwrap();
    assert!(said.contains("nope.txt") && said.contains("on record"), "{said}");
}

/// Features C8, A5: a lead that names no agents may have those that come with the plan.
#[test]
fn a_lead_may_have_the_agents_of_its_plan() {
    let script = r#"echo "<result>$($mv spawn --agent able --name w --wait 'dig')</result>""#;
    let boss = scripted("boss", script, "lead = { max_workers = 2 }");
    let (code, results) = Scene::new().run(&format!("{HEAD}{boss}"), &[]);
    assert_eq!(code, 0, "{results}");
    assert_eq!(task(&results, "boss")["output"], "did boss/w", "{results}");
}

/// Features C14, K18: another plan for each entry of a list, and one list of what they gave.
#[test]
fn a_plan_is_run_for_each_item() {
    let scene = Scene::new();
    scene.file(
        "inner.toml",
        "plan = 'inner'\ngoal = 'g'\napproval = 'none'\n[inputs]\nwho = { type = 'string', required = true }\n\
         [[task]]\nid = 'hi'\nkind = 'command'\nrun = ['echo', 'hi ${input.who}']\n\
         output = 'markdown'\n",
    );
    let plan = "plan = 'outer'\ngoal = 'g'\napproval = 'none'\n[[task]]\nid = 'each'\n\
                kind = 'plan'\nfile = 'inner.toml'\nfor_each = ['ann', 'bob']\n\
                inputs = { who = '${item}' }\n";
    let (code, results) = scene.run(plan, &[]);
    assert_eq!(code, 0, "{results}");
    let all = results["execution_results"]["phases"][0]["tasks"].as_array().unwrap();
    assert_eq!(all.len(), 3, "{results}");
    assert_eq!(all[0]["output"][1]["outputs"]["hi"], "hi bob", "{results}");
}
