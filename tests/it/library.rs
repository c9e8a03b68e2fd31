//! The plans that are there by name: listed, made into new ones, run by name, and drafted.

use std::fs;

use serde_json::Value;

use crate::scene::Scene;
use crate::stage::Stage;

const SHIPPED: &[(&str, &str, u64)] = &[
    ("deal-review", "expert-panel", 4),
    ("product-launch", "pipeline", 5),
    ("incident-response", "supervisor", 6),
    ("qbr-preparation", "fan-out", 6),
    ("customer-research", "cascade", 5),
    ("skill-factory", "pipeline", 6),
];

/// Features D1–D6, A25, E13, E15, A3: compositions are there by name, with pattern, tasks and
/// estimate; a person's own plans lie beside them.
#[test]
fn plans_are_listed_by_name() {
    let stage = Stage::new();
    fs::create_dir(stage.at("plans")).expect("made");
    let own = "plan = 'mine'\ngoal = 'My own'\n[[task]]\nid = 'a'\nagent = 'demo'\n\
               description = 'Do it.'\nexpected = '2m'\n";
    fs::write(stage.at("plans/mine.toml"), own).expect("written");
    fs::write(stage.at("plans/broken.toml"), "plan = ").expect("written");
    let listed = stage.json(&["plan", "list"]);
    let one = |name: &str| -> Value {
        let all = listed["plans"].as_array().expect("a list");
        all.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("no {name}")).clone()
    };
    for (name, pattern, tasks) in SHIPPED {
        let plan = one(name);
        assert_eq!(
            (plan["pattern"].as_str(), plan["tasks"].as_u64()),
            (Some(*pattern), Some(*tasks))
        );
        assert!(plan["estimated_ms"].as_u64() > Some(0), "{plan}");
        assert_eq!(plan["from"], "shipped");
    }
    assert_eq!(one("mine")["estimated_ms"], 120_000);
    assert_eq!(one("mine")["goal"], "My own");
    assert_eq!(one("broken")["problems"], 1);
    assert!(stage.ask(&["plan", "list"]).out.contains("product-launch       pipeline"));
}

/// Features A25 and E13: every shipped plan can be made into one of one's own, which is whole.
#[test]
fn a_new_plan_is_made_of_any_that_is_there() {
    let stage = Stage::new();
    let listed = stage.json(&["plan", "list"]);
    let names = listed["plans"].as_array().expect("a list").iter();
    let names: Vec<&str> = names.map(|it| it["name"].as_str().expect("a name")).collect();
    assert!(names.len() >= 19, "{names:?}");
    for name in &names {
        let file = format!("{name}-of-mine.toml");
        let said = stage.ask(&["plan", "new", "my plan", "--from", name, "--out", &file]);
        assert_eq!(said.code, 0, "{said:?}");
        let text = fs::read_to_string(stage.desk().join(&file)).expect("written");
        assert!(text.starts_with("#:schema ") && text.contains("= \"my plan\"\n"), "{text}");
        assert!(!text.contains("config/plans/"), "{text}");
    }
    let files: Vec<String> = names.iter().map(|name| format!("{name}-of-mine.toml")).collect();
    let mut check = vec!["plan", "check", "--demo"];
    check.extend(files.iter().map(String::as_str));
    let said = stage.ask(&check);
    assert_eq!(said.code, 0, "{said:?}");
    let said = stage.ask(&["plan", "new", "x", "--from", "piplin"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("did you mean `pipeline`?"), "{said:?}");
    assert!(said.err.contains("skill-factory"), "all are named: {said:?}");
    let again = ["plan", "new", "x", "--out", "pipeline-of-mine.toml"];
    assert_eq!(stage.ask(&again).code, 2, "nothing is written over");
    let piped = stage.ask(&["plan", "new", "x", "--out", "-"]);
    assert!(piped.out.contains("plan         = \"x\""), "{piped:?}");
}

/// Features E13 and E14, ruling Z2: a plan is started by its name, its own limit holds, and at
/// most ten run at once.
#[test]
fn a_plan_is_run_by_its_name() {
    let scene = Scene::new();
    let mut command = scene.command(&["run", "deal-review", "--demo", "--yes", "--json"]);
    command.env("MUXVISOR_DEMO_PACE", "0");
    let answer = scene.begin_command(command).end();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(answer.document()["execution_results"]["summary"]["successful"], 4);
    let said = scene.ask(&["run", "deal-review", "--demo", "--max-parallel", "11"]);
    assert!(said.code == 2 && said.err.contains("at most 10"), "{said:?}");
    let said = scene.ask(&["run", "deal-revew", "--demo"]);
    assert!(said.code == 2 && said.err.contains("did you mean `deal-review`?"), "{said:?}");
}

/// Agents that cost money do not take over from demo agents because a word was forgotten.
#[test]
fn a_demo_stays_one_when_its_plan_is_edited() {
    let scene = Scene::new();
    let plan = |text: &str| {
        let text = format!(
            "plan = \"p\"\ngoal = \"g\"\napproval = \"none\"\n[agent.real]\ncommand = [\"false\"]\n\
             [[task]]\nid = \"a\"\nagent = \"real\"\nretries = 0\ndescription = \"{text}\"\n"
        );
        scene.file("plan.toml", &text).to_str().expect("text").to_owned()
    };
    let file = plan("Do it.");
    let mut command = scene.command(&["run", &file, "--demo", "--json"]);
    command.env("MUXVISOR_DEMO_PACE", "0");
    assert_eq!(scene.begin_command(command).end().code, 0);
    let run = scene.read(&["runs", "--json"])["runs"][0]["run"].as_str().expect("one").to_owned();
    let file = plan("Do it well.");
    let retry = ["retry", run.as_str(), "--plan", file.as_str()];
    let said = scene.ask(&retry);
    assert!(said.code == 2 && said.err.contains("say `--demo` again"), "{said:?}");
    assert_eq!(scene.ask(&[retry.as_slice(), &["--demo"]].concat()).code, 0);
    assert_eq!(scene.call(&["wait", &run]).code, 0);
}

/// Features A1–A5 and A10: an agent drafts a plan, which is checked, kept and shown, and not run.
#[test]
fn a_plan_is_drafted_and_not_run() {
    let scene = Scene::new();
    let mut command = scene.command(&["plan", "draft", "Review it", "--agent", "demo", "--json"]);
    command.env("MUXVISOR_DEMO_PACE", "0");
    let document = scene.begin_command(command).end().document();
    assert_eq!(document["ok"], true, "{document}");
    let subtasks = document["plan"]["subtasks"].as_array().expect("tasks");
    assert_eq!(subtasks.len(), 3);
    let parallel = document["plan"]["execution_order"][0]["tasks"].as_array().map(Vec::len);
    assert_eq!(parallel, Some(2), "{document}");
    let file = document["file"].as_str().expect("a file");
    let text = fs::read_to_string(scene.desk().join(file)).expect("written");
    assert!(text.contains("expected    = \"8m\"") && text.contains("agent       = \"demo\""));
    assert_eq!(scene.ask(&["plan", "check", file]).code, 0);
    let runs = scene.read(&["runs", "--json"]);
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(1), "only the draft ran: {runs}");
    let prompt = fs::read_to_string(scene.attempts_of("draft")[0].join("prompt.md")).expect("one");
    for expected in
        ["Review it", "`pattern = \"map-reduce\"`", "- `claude`: ", "can: plan, implement"]
    {
        assert!(prompt.contains(expected), "{prompt}");
    }
}

/// A draft with problems is sent back once, with them.
#[test]
fn a_draft_with_problems_is_sent_back_once() {
    let scene = Scene::new();
    // Its first draft names an agent that is not there; told so, it names itself.
    let script = r#"prompt=$(cat); case $prompt in
        *'unknown agent `nobody`'*) who=planner ;; *) who=nobody ;; esac
        printf '<result>\n```toml\nplan = "p"\ngoal = "g"\n[[task]]\nid = "a"\nagent = "%s"\ndescription = "Do it."\n```\n</result>\n' "$who""#;
    scene.configure(&format!(
        "[agent.planner]\ncommand = ['sh', '-c', '''{script}''']\nprompt = 'stdin'\n\
         [agent.stubborn]\ncommand = ['sh', '-c', 'echo \"<result>plan = 1</result>\"']\nprompt = 'stdin'\n"
    ));
    let good = scene.read(&["plan", "draft", "x", "--agent", "planner", "--json"]);
    assert_eq!(
        (good["ok"].as_bool(), good["file"].as_str()),
        (Some(true), Some("p.toml")),
        "{good}"
    );
    assert_eq!(scene.attempts_of("draft").len(), 2);
    let answer = scene.call(&["plan", "draft", "x", "--agent", "stubborn", "--json"]);
    assert_eq!((answer.code, &answer.document()["ok"]), (2, &Value::from(false)), "{answer:?}");
    assert_eq!(scene.attempts_of("draft").len(), 4, "it is asked twice at most");
    let said = scene.ask(&["plan", "draft", "x", "--agent", "plannr"]);
    assert!(said.code == 2 && said.err.contains("did you mean `planner`?"), "{said:?}");
}

/// Features A10, A11, ruling Z13: a shipped plan that has agents work waits for a person's yes; the
/// quickstart has scripts only.
#[test]
fn shipped_plans_with_agents_ask_first() {
    let scene = Scene::new();
    let said = scene.ask(&["run", "incident-response", "--demo", "--detach", "--json"]);
    let run = said.document()["run"].as_str().expect("a run").to_owned();
    let seen = scene.read(&["show", &run, "--json"]);
    assert_eq!(seen["state"], "awaiting-approval", "{seen}");
    let mut asking = 0;
    for (path, text) in crate::architecture::tree::texts() {
        let Some(file) = path.strip_prefix("config/plans/").filter(|f| f.ends_with(".toml")) else {
            continue;
        };
        let plan: toml::Table = text.parse().expect("a plan");
        let free = ["quickstart.toml", "map-reduce.toml"].contains(&file);
        let approval = plan["approval"].as_str();
        assert_eq!(approval, Some(if free { "none" } else { "plan" }), "{file}");
        asking += usize::from(!free);
    }
    assert!(asking >= 20, "only {asking}");
}
