//! The verb `templates`: which there are, and what one makes of values and files.

use std::fs;

use crate::stage::Stage;

/// Feature M1: all are listed, with what they ask for; a person's own lie beside the
/// configuration, and over shipped ones of the same name.
#[test]
fn templates_are_listed_with_what_they_ask_for() {
    let stage = Stage::new();
    fs::create_dir(stage.at("templates")).expect("made");
    let own = "+++\ndescription = 'Mine'\n+++\n## Task\n\nDo it.\n";
    fs::write(stage.at("templates/fix.md"), own).expect("written");
    let listed = stage.json(&["templates", "list"]);
    let listed = listed["templates"].as_array().expect("a list");
    let one = |name: &str| listed.iter().find(|it| it["name"] == name).expect("it is there");
    assert_eq!(one("code_review")["from"], "shipped");
    assert_eq!(one("consensus-check")["aliases"][0], "ConsensusCheckTemplate");
    assert_eq!(one("research")["variables"][0]["required"], true);
    assert_eq!(one("fix")["description"], "Mine");
    let said = stage.ask(&["templates", "list"]);
    assert!(said.out.contains("question: The question, in one sentence (required)"), "{said:?}");
}

/// Features M1, M2, G4, G6 and G8: the example of the documentation; the text of the file is in
/// the prompt.
#[test]
fn a_preview_holds_the_text_of_files() {
    let stage = Stage::new();
    fs::create_dir(stage.desk().join("src")).expect("made");
    stage.file("src/auth.py", "def login(user):\n    return True\n");
    let preview = ["templates", "preview", "code_review", "--files", "src/auth.py"];
    let said = stage.ask(&preview);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("### src/auth.py\n\n```\ndef login(user):\n"), "{said:?}");
    let headings = ["Role", "Task", "Constraints", "Input", "Output Format", "Output Interface"];
    let found: Vec<&str> = said.out.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(found, headings);
    assert!(said.out.contains("\"severity\"") && said.out.contains("<result>"), "{said:?}");
    let document = stage.json(&preview);
    assert_eq!(document["prompt"].as_str(), Some(said.out.as_str()));
    assert_eq!(document["schema"]["properties"]["verdict"]["enum"][0], "approve");
}

/// Features M3 and C11: the template of a panel is found under its name, and takes the role.
#[test]
fn the_consensus_check_takes_the_role_of_an_expert() {
    let stage = Stage::new();
    let set = ["--set", "expert_role=notary", "--set", "question=Sell?"];
    let said = stage.ask(&[&["templates", "preview", "ConsensusCheckTemplate"], &set[..]].concat());
    assert!(said.out.contains("panel's notary") && said.out.contains("Sell?"), "{said:?}");
}

#[test]
fn what_does_not_fit_is_told_with_what_to_do() {
    let stage = Stage::new();
    for (arguments, expected) in [
        (&["code_revew"][..], "did you mean `code_review`?"),
        (&["research"], "needs `question`: The question, in one sentence"),
        (&["fix", "--set", "symptom=x", "--set", "scop=y"], "did you mean `scope`?"),
        (&["fix", "--set", "symptom=x", "--set", "symptom=y"], "is set twice"),
        (&["document", "--set", "subject=x", "--files", "nowhere.md"], "nowhere.md"),
    ] {
        let said = stage.ask(&[&["templates", "preview"], arguments].concat());
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains(expected), "{said:?}");
    }
    fs::create_dir(stage.at("templates")).expect("made");
    fs::write(stage.at("templates/bad.md"), "+++\ndescription = 'x'\n+++\n").expect("written");
    let said = stage.ask(&["templates", "list"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("T02") && said.err.contains("no section `Task`"), "{said:?}");
    assert!(stage.daemon().is_none(), "nothing here needs a daemon");
}
