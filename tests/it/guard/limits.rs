//! Limits through the whole program: held where they can be, told where they cannot.

use crate::scene::{Scene, task};

const PLAN: &str = r#"
plan = "limits"
approval = "none"
[defaults]
retries = 0
[agent.small]
command = ["sh", "-c", "cat > /dev/null; echo '<result>ran</result>'"]
memory_max = "512MiB"
LIMITS
[[task]]
id = "work"
agent = "small"
description = "work"
"#;

fn run(scene: &Scene, limits: &str) -> (i32, serde_json::Value) {
    let path = scene.file("plan.toml", &PLAN.replace("LIMITS", limits));
    let mut command = scene.command(&["run", path.to_str().unwrap(), "--json"]);
    // No group is given to this daemon, whatever the machine has.
    command.env("MUXVISOR_CGROUP", "none");
    let answer = scene.begin_command(command).end();
    (answer.code, answer.document()["execution_results"].take())
}

/// A limit that cannot be enforced refuses the start, and says what, where and what to do.
#[test]
fn an_agent_is_not_started_without_its_limit() {
    let (code, results) = run(&Scene::new(), "");
    assert_eq!(code, 1, "{results}");
    let error = &task(&results, "work")["error"];
    assert_eq!(error["outcome"], "exec-failed");
    let message = error["message"].as_str().unwrap();
    for part in ["memory_max cannot be enforced", "MUXVISOR_CGROUP", "best-effort"] {
        assert!(message.contains(part), "{message}");
    }
}

/// An agent may run without its limit; `why` tells that it does.
#[test]
fn trying_may_be_enough() {
    let scene = Scene::new();
    let (code, results) = run(&scene, "limits = \"best-effort\"");
    assert_eq!(code, 0, "{results}");
    assert_eq!(task(&results, "work")["output"], "ran");
    let why = scene.call(&["why", "work"]);
    assert!(
        why.stdout.contains("runs without memory_max, which cannot be enforced here"),
        "{why:?}"
    );
}

/// `doctor` says which way is in use, of the daemon that runs too.
#[test]
fn doctor_tells_how_limits_are_enforced() {
    let scene = Scene::new();
    let limits = |document: &serde_json::Value| {
        let checks = document["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == "limits").unwrap().clone()
    };
    let mut command = scene.command(&["runs"]);
    command.env("MUXVISOR_CGROUP", "none");
    assert_eq!(scene.begin_command(command).end().code, 0);
    let seen = limits(&scene.json(&["doctor"]));
    assert_eq!(seen["verdict"], "warning");
    assert_eq!(seen["message"], "none: MUXVISOR_CGROUP says so");
    assert!(seen["hint"].as_str().unwrap().contains("best-effort"));
}
