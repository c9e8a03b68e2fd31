//! `agents`: who can do what, how they stand, and taking over agents that others wrote down.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use serde_json::{Value, json};

use super::stage::Stage;

fn names(seen: &Value) -> Vec<&str> {
    let agents = seen["agents"].as_array().unwrap();
    agents.iter().map(|one| one["name"].as_str().unwrap()).collect()
}

/// Features I1, I13, I15, I16: agents are listed, shown and found, with contracts of one's own.
#[test]
fn agents_are_listed_shown_and_found() {
    let stage = Stage::new();
    stage.configure("[agent.mine]\ncommand = ['true']\nmax_parallel = 3\nrisk = 'high'\n");
    std::fs::create_dir(stage.at("skill_contracts")).unwrap();
    let contract = r#"{ "capabilities": ["ship it"], "extends": "mine", "outputs": ["url"] }"#;
    std::fs::write(stage.at("skill_contracts/shipper.json"), contract).unwrap();
    let all = stage.json(&["agents"]);
    assert_eq!(all, stage.json(&["agents", "list"]));
    for name in ["claude", "mine", "shipper", "test-writer"] {
        assert!(names(&all).contains(&name), "{name}");
    }
    let testing = stage.json(&["agents", "find", "--capability", "Testing"]);
    assert_eq!(names(&testing), ["test-strategist", "test-writer"]);
    assert_eq!(names(&stage.json(&["agents", "find", "--capability", "ship-it"])), ["shipper"]);
    let shipper = stage.json(&["agents", "show", "shipper"]);
    assert_eq!(shipper["command"], json!(["true"]));
    assert_eq!(
        (&shipper["state"], &shipper["running"], &shipper["success_ratio"]),
        (&json!("available"), &json!(0), &Value::Null)
    );
    assert_eq!(stage.json(&["agents", "show", "mine"])["risk"], "high");
    let said = stage.ask(&["agents", "show", "mine"]);
    assert!(said.out.starts_with("mine\n"), "nothing is announced that is not there: {said:?}");
    let said = stage.ask(&["agents", "show", "test-writer"]);
    assert!(said.out.starts_with("test-writer: "), "{said:?}");
    assert!(said.out.contains("routed:       testing (choice 2)"), "{said:?}");
    for wrong in [["show", "shiper", ""], ["find", "--capability", "shipit"]] {
        let words: Vec<&str> =
            ["agents"].into_iter().chain(wrong).filter(|it| !it.is_empty()).collect();
        let said = stage.ask(&words);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains("did you mean"), "{said:?}");
    }
}

/// Features Q3, Q4: agents of others are taken over, and nothing of one's own is overwritten.
#[test]
fn agents_are_imported_once() {
    let stage = Stage::new();
    stage.configure("[agent.mine]\ncommand = ['true']\n");
    let dir = stage.desk().join("agents");
    std::fs::create_dir(&dir).unwrap();
    let seed = "---\nname: coordinator\ndescription: Hands out work\ntools: Read, Task\nmodel: opus\n---\nYou coordinate.\n";
    std::fs::write(dir.join("coordinator.md"), seed).unwrap();
    std::fs::write(dir.join("mine.json"), r#"{ "description": "of somebody else" }"#).unwrap();
    let printed = stage.ask(&["agents", "import", "agents"]);
    assert!(printed.out.contains("[agent.coordinator]"), "{printed:?}");
    assert!(!printed.out.contains("agent.mine"), "{printed:?}");
    let written = stage.json(&["agents", "import", "agents", "--write"]);
    assert_eq!(written["imported"], json!(["coordinator"]));
    assert_eq!(written["already_there"], json!(["mine"]));
    assert_eq!(stage.json(&["agents", "import", "agents", "--write"])["imported"], json!([]));
    let check = stage.ask(&["check"]);
    assert_eq!(check.code, 0, "{check:?}");
    let seen = stage.json(&["agents", "show", "coordinator"]);
    assert_eq!((&seen["tools"], &seen["model"]), (&json!(["Read", "Task"]), &json!("opus")));
    std::fs::write(dir.join("bad.json"), "{ \"rsik\": 1 }").unwrap();
    let said = stage.ask(&["agents", "import", "agents", "--json"]);
    assert_eq!(said.code, 2);
    let error: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(error["error"]["findings"][0]["code"], "C15");
}
