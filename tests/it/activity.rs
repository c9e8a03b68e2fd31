//! What agents say of themselves, as a person sees it in `ps`: by OSC 7501, by `muxvisor notify`
//! and by systemd's protocol.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::scene::Scene;
use crate::wait::wait_for;

/// The instance `a` of `ps`, once `holds`.
#[track_caller]
fn seen(scene: &Scene, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let mut found = Value::Null;
    wait_for(what, || {
        found = scene.ps()["instances"][0].take();
        holds(&found)
    });
    found
}

/// An instance `a` that runs a script.
fn perform(script: &str) -> Scene {
    let scene = Scene::new();
    let script = scene.file("a.sh", script);
    scene.configure(&format!(
        "[agent.a]\ntype = 'service'\nterminal = true\ncwd = '{}'\ncommand = ['sh', '{}']\n",
        scene.desk().display(),
        script.display(),
    ));
    let said = scene.call(&["start", "a"]);
    assert_eq!(said.code, 0, "{said:?}");
    scene
}

fn go_on(scene: &Scene, file: &str) {
    fs::write(scene.desk().join(file), "").expect("the desk can be written to");
}

const WAIT: &str = "wait_for() { while ! [ -e $1 ]; do sleep 0.02; done; }\n";

fn without_age(activity: &Value) -> Value {
    let mut activity = activity.clone();
    let age = activity["age_ms"].take().as_u64().expect("an age");
    assert!(age < 60_000, "{age}");
    activity
}

/// Feature H3: the words, their source and their age; the socket is believed before the output.
#[test]
fn ps_shows_what_an_agent_does_and_who_says_so() {
    let muxvisor = env!("CARGO_BIN_EXE_muxvisor");
    let scene = perform(&format!(
        r"{WAIT}
        wait_for 1; printf '\033]7501;state=blocked:kind=permission:msg=bWF5IEk=\033\\'
        wait_for 2; {muxvisor} notify READY=1 STATUS='3 of 7' --activity working
        wait_for never"
    ));
    let silent = seen(&scene, "the agent to run", |a| a["state"] == "running");
    assert_eq!((&silent["activity"]["word"], &silent["status"]), (&json!("unknown"), &Value::Null));
    assert!(silent["activity"].as_object().is_some_and(|activity| activity.len() == 5), "{silent}");
    go_on(&scene, "1");
    let blocked = seen(&scene, "a report", |a| a["activity"]["word"] == "blocked");
    let expected = json!({"word": "blocked", "kind": "permission", "source": "osc7501",
        "age_ms": null, "message": "may I"});
    assert_eq!(without_age(&blocked["activity"]), expected);
    let table = scene.call(&["ps"]).stdout;
    assert!(table.contains("blocked:permission (osc7501, 0.") && table.contains("says: may I"));
    let why = scene.call(&["why", blocked["name"].as_str().expect("a name")]).stdout;
    let line = why.lines().find(|line| line.starts_with("activity: ")).expect("its activity");
    assert!(line.starts_with("activity: blocked:permission for 0."), "{line}");
    assert!(line.ends_with("says osc7501: may I"), "{line}");
    go_on(&scene, "2");
    let working = seen(&scene, "a notice", |a| a["activity"]["word"] == "working");
    let expected = json!({"word": "working", "kind": null, "source": "notify", "age_ms": null,
        "message": null});
    assert_eq!(without_age(&working["activity"]), expected);
    assert_eq!((&working["status"], &working["ready"]), (&json!("3 of 7"), &json!(true)));
    let table = scene.call(&["ps"]).stdout;
    assert!(table.contains("working (notify, ") && table.contains("says: 3 of 7"), "{table}");
    for line in table.lines() {
        assert!(line.starts_with("daemon") || line.chars().count() < 100, "{line}");
    }
}

/// What was said before a daemon died, and while none ran, is known to the next one (fault 1).
#[test]
fn the_next_daemon_knows_what_was_said() {
    let scene = perform(&format!(
        r"{WAIT}
        printf '\033]7501;state=working\007'
        wait_for 1; printf '\033]7501;state=blocked:kind=question\007'; touch said
        wait_for never"
    ));
    let before = seen(&scene, "a report", |a| a["activity"]["word"] == "working");
    scene.kill_daemon();
    go_on(&scene, "1");
    wait_for("the agent to speak", || scene.desk().join("said").exists());
    let status = scene.at("attempts").join(before["attempt"].as_str().unwrap()).join("status.json");
    wait_for("the record", || fs::read_to_string(&status).is_ok_and(|s| s.contains("question")));
    scene.start_daemon();
    let after = seen(&scene, "what was said", |a| a["activity"]["word"] == "blocked");
    assert_eq!((&after["pid"], &after["restarts"]), (&before["pid"], &json!(0)));
    assert_eq!(after["activity"]["kind"], "question");
    assert!(after["activity"]["age_ms"].as_u64().is_some());
}

/// A life is not told with the words of the one before, and an attempt of a task has words too.
#[test]
fn words_belong_to_one_attempt() {
    let scene = perform(&format!(
        r"{WAIT}
        [ -e 1 ] && {{ touch again; wait_for never; }}
        printf '\033]7501;state=working\007'; wait_for 1; exit 0"
    ));
    let first = seen(&scene, "a report", |a| a["activity"]["word"] == "working");
    go_on(&scene, "1");
    assert_eq!(scene.call(&["restart", "a"]).code, 0);
    wait_for("the next life", || scene.desk().join("again").exists());
    let next = seen(&scene, "the next life", |a| {
        a["state"] == "running" && a["attempt"] != first["attempt"]
    });
    assert_eq!(next["activity"]["word"], "unknown");
    let plan = r#"plan = "p"
goal = "g"
approval = "none"
[[task]]
id = "t"
kind = "command"
run = ["sh", "-c", "printf '\\033]7501;state=working\\007'; while :; do sleep 0.1; done"]
"#;
    let path = scene.file("plan.toml", plan);
    let run = scene.read(&["run", path.to_str().unwrap(), "--yes", "--detach", "--json"]);
    assert!(run["run"].is_string(), "{run}");
    wait_for("the words of a task", || {
        scene.live().first().is_some_and(|one| one["activity"]["word"] == "working")
    });
    assert_eq!(scene.live()[0]["ready"], true);
    assert_eq!(scene.call(&["cancel", run["run"].as_str().unwrap()]).code, 0);
}

/// Outside an agent the error says what is missing; a dead socket is another one.
#[test]
fn notify_outside_an_agent_says_so() {
    let scene = Scene::new();
    let said = scene.call(&["notify", "READY=1"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stderr.contains("NOTIFY_SOCKET is not set"), "{said:?}");
    assert_eq!(scene.call(&["notify"]).code, 2);
    assert_eq!(scene.call(&["notify", "--activity", "asleep"]).code, 2);
    let mut command = scene.command(&["notify", "WATCHDOG=1"]);
    command.env("NOTIFY_SOCKET", scene.at("gone.notify"));
    let said = scene.begin_command(command).end();
    assert_eq!(said.code, 10, "{said:?}");
    assert!(said.stderr.contains("gone.notify"), "{said:?}");
    assert_eq!(scene.daemon(), None, "notify needs no daemon and starts none");
}

/// systemd's own client, with the barrier that it waits for (only where it is installed).
#[test]
fn the_client_of_systemd_is_understood() {
    let client = ["/usr/bin/systemd-notify", "/bin/systemd-notify"];
    let Some(client) = client.into_iter().find(|path| Path::new(path).exists()) else {
        return eprintln!("skipped: systemd-notify is not installed");
    };
    let scene = perform(&format!(
        r"{WAIT}
        {client} --ready --status='from systemd' && touch done
        wait_for never"
    ));
    seen(&scene, "its status", |a| a["status"] == "from systemd");
    // It waits five seconds for its barrier, and fails without one.
    wait_for("its good end", || scene.desk().join("done").exists());
}
