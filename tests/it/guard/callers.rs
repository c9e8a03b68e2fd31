//! An agent asks for what is not its business (fault 60).

use std::fs;

use serde_json::Value;

use crate::scene::{Scene, task};
use crate::wait::wait_for;

const PROGRAM: &str = env!("CARGO_BIN_EXE_muxvisor");

/// A standing agent that nobody but a person may stop.
const OTHER: &str = r#"
[agent.other]
type = "service"
autostart = true
prompt = "none"
result = "none"
command = ["sleep", "1000"]
"#;

/// Asks everything in every way, and notes each answer's code and words.
const NOSY: &str = r#"
ask() { name=$1; shift; "$@" > "$name.out" 2> "$name.err"; echo $? > "$name.new"; mv "$name.new" "$name.code"; }
ask stop PROGRAM stop other
ask run PROGRAM run inner.toml --yes
ask down PROGRAM down
ask hidden env -i setsid PROGRAM --home "$MUXVISOR_HOME" stop other
(setsid sh -c 'while [ "$(cut -d " " -f 4 /proc/$$/stat)" = '$$' ]; do sleep 0.01; done
    PROGRAM stop other 2> orphan.err; echo $? > orphan.new; mv orphan.new orphan.code' &)
while [ ! -e orphan.code ]; do sleep 0.02; done
ask logs PROGRAM logs other
ask ps PROGRAM ps --json
ask why PROGRAM why nosy --json
echo '{"seen": 1}' | PROGRAM submit
"#;

const PLAN: &str = r#"
plan = "nosy"
approval = "none"
[defaults]
retries = 0
[[task]]
id = "nosy"
kind = "command"
run = ["sh", "./nosy.sh"]
"#;

const INNER: &str =
    "plan = 'inner'\napproval = 'none'\n[[task]]\nid='t'\nkind='command'\nrun=['true']\n";

/// A home with the standing agent, in which the nosy task has been run.
fn scene(api: &str) -> Scene {
    let scene = Scene::new();
    scene.configure(&format!("[daemon]\nagent_api = \"{api}\"\n{OTHER}"));
    scene.file("nosy.sh", &NOSY.replace("PROGRAM", PROGRAM));
    scene.file("inner.toml", INNER);
    assert_eq!(scene.ask(&["up"]).code, 0);
    wait_for("the other agent", || scene.ps()["instances"][0]["state"] == "running");
    let (code, results) = scene.run(PLAN, &[]);
    assert_eq!((code, &task(&results, "nosy")["status"]), (0, &"success".into()), "{results}");
    scene
}

fn said(scene: &Scene, name: &str) -> (i32, String) {
    let read = |end: &str| fs::read_to_string(scene.desk().join(format!("{name}.{end}"))).unwrap();
    (read("code").trim().parse().unwrap(), read("err"))
}

fn document(scene: &Scene, name: &str) -> Value {
    serde_json::from_slice(&fs::read(scene.desk().join(format!("{name}.out"))).unwrap()).unwrap()
}

/// By default an agent may look at itself, and everything else is denied and written down.
#[test]
fn an_agent_may_only_ask_about_itself() {
    let scene = scene("self");
    for name in ["stop", "run", "down", "hidden", "orphan", "logs"] {
        let (code, err) = said(&scene, name);
        assert_eq!(code, 1, "{name}: {err}");
        assert!(err.contains("is denied") && err.contains("agent_api = \"full\""), "{name}: {err}");
    }
    assert!(said(&scene, "run").1.contains("kind `plan`"), "what to do is said");
    let ps = document(&scene, "ps");
    assert_eq!(ps["instances"], Value::Array(Vec::new()), "{ps}");
    assert_eq!(ps["attempts"].as_array().unwrap().len(), 1, "{ps}");
    assert_eq!(ps["attempts"][0]["task"], "nosy");
    assert_eq!(said(&scene, "why").0, 0);
    let other = &scene.ps()["instances"][0];
    assert_eq!((&other["state"], &other["restarts"]), (&"running".into(), &0.into()));
    assert_eq!(scene.json(&["runs"])["runs"].as_array().unwrap().len(), 1, "no inner run");
    let notes = "SELECT data, count(*) FROM event WHERE kind = 'noted'
        AND data LIKE '%was denied%stop%' GROUP BY 1";
    let notes = scene.counts(notes);
    assert_eq!(notes.len(), 1, "who tried is written down, and once: {notes:?}");
}

#[test]
fn agents_that_may_do_everything_do_it() {
    let scene = scene("full");
    assert_eq!(said(&scene, "stop").0, 0);
    assert_eq!(said(&scene, "run").0, 0);
    assert_eq!(scene.ps()["instances"][0]["state"], "stopped");
    assert_eq!(scene.json(&["runs"])["runs"].as_array().unwrap().len(), 2);
}

#[test]
fn agents_that_may_ask_nothing_still_submit() {
    let scene = scene("none");
    for name in ["stop", "ps", "why"] {
        let (code, err) = said(&scene, name);
        assert_ne!(code, 0, "{name}");
        let out = fs::read_to_string(scene.desk().join(format!("{name}.out"))).unwrap();
        assert!(err.contains("ask nothing") || out.contains("ask nothing"), "{name}: {err}{out}");
    }
}
