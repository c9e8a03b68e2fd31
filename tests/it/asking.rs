//! Questions of a run at the terminal of the person who started it: asked one after the other,
//! answered there or elsewhere, or left open.

use std::fs;

use serde_json::{Value, json};

use crate::person::Person;
use crate::scene::Scene;
use crate::wait::wait_for;

const HEAD: &str = "plan = \"asking\"\ngoal = \"See who is asked\"\nmax_parallel = 8\n\
                    [defaults]\nretries = 0\n";
const YES_OR_NO: &str = "approve or reject? Enter leaves it open:";

fn gate(id: &str, keys: &str) -> String {
    format!("[[task]]\nid = '{id}'\nkind = 'approve'\nask = 'May {id} go on?'\n{keys}\n")
}

fn sh(id: &str, script: &str, keys: &str) -> String {
    format!("[[task]]\nid = '{id}'\nkind = 'command'\nrun = ['sh', '-c', '{script}']\n{keys}\n")
}

/// A person who has started a plan; the plan's text is all but its head.
fn started(scene: &Scene, approval: &str, tasks: &[String]) -> Person {
    let head = HEAD.replace("[defaults]", &format!("approval = \"{approval}\"\n[defaults]"));
    scene.file("plan.toml", &(head + &tasks.concat()));
    Person::starts(scene, &["run", "plan.toml"])
}

/// The run, once it is there.
fn run(scene: &Scene) -> String {
    let mut run = Value::Null;
    wait_for("the run", || {
        run = scene.read(&["runs", "--json"])["runs"][0]["run"].take();
        run.is_string()
    });
    run.as_str().expect("text").to_owned()
}

/// Feature A11: asked while the run goes on, above the question; only an answer answers it.
#[test]
fn a_person_answers_where_the_run_is_watched() {
    let scene = Scene::new();
    let wait = "until [ -e go ]; do sleep 0.02; done; echo so";
    let list =
        [gate("one", ""), sh("other", wait, ""), sh("ship", "echo ok", "depends_on = [\"one\"]")];
    let person = started(&scene, "plan", &list);
    person.is_asked("Run this plan? [y/N]");
    person.types("perhaps");
    person.reads("please answer y or n");
    person.is_asked("Run this plan? [y/N]");
    person.types("y");
    person.reads("? May one go on?");
    person.is_asked(YES_OR_NO);
    // What is begun when something else is printed is forgotten.
    person.presses("y");
    fs::write(scene.desk().join("go"), "").unwrap();
    person.reads("✔ other");
    person.is_asked(YES_OR_NO);
    person.types("no idea");
    person.reads("please answer approve or reject");
    person.is_asked(YES_OR_NO);
    person.types("Approve");
    let screen = person.sees_it_end(0);
    assert!(screen.contains("one: approve, by person") && screen.contains("✔ ship"), "{screen}");
    assert_eq!(screen.matches("? May one go on?").count(), 1, "{screen}");
}

/// Feature A11: whoever is first answers; the question is taken back, and the next one asked. What
/// is left open, by Enter or by Ctrl-C, is named with the command that answers it.
#[test]
fn a_question_that_is_answered_elsewhere_is_taken_back() {
    let scene = Scene::new();
    let list = [
        gate("one", ""),
        gate("two", "expires = \"3s\"\non_expire = \"approve\"\ndepends_on = [\"one\"]"),
        gate("three", "depends_on = [\"two\"]"),
        gate("four", "depends_on = [\"two\"]"),
    ];
    let person = started(&scene, "none", &list);
    person.is_asked(YES_OR_NO);
    let run = run(&scene);
    assert_eq!(scene.call(&["approve", &format!("{run}/one")]).code, 0);
    person.reads("one: approve, by person");
    person.reads("? May two go on? (in ");
    person.reads("two: approve, by time");
    person.reads("? May three go on?");
    person.is_asked(YES_OR_NO);
    person.types("");
    person.reads(&format!("three is left open; this answers it: muxvisor approve {run}/three"));
    person.reads("? May four go on?");
    person.is_asked(YES_OR_NO);
    person.presses("C-d");
    person.reads(&format!("four is left open; this answers it: muxvisor approve {run}/four"));
    person.presses("C-c");
    let screen = person.sees_it_end(130);
    assert_eq!(screen.matches("three is left open").count(), 2, "{screen}");
    assert!(screen.contains(&format!("{run} (plan.toml) goes on")), "{screen}");
    for left in ["three", "four"] {
        assert_eq!(scene.call(&["approve", &format!("{run}/{left}")]).code, 0);
    }
    assert_eq!(scene.call(&["wait", &run]).code, 0);
}

/// Features A11, A22, K12: what the runs within ask is asked here too, one after the other, with
/// the name of the run; the answers go there. Each has its turn.
#[test]
fn a_person_answers_what_the_runs_within_ask() {
    let scene = Scene::new();
    let inner = format!("{HEAD}{}", gate("ok", "").replace("May ok", "May ${input.who}"));
    let who = "[inputs]\nwho = { type = \"string\", required = true }\n";
    scene.file("inner.toml", &inner.replace("[defaults]", &format!("{who}[defaults]")));
    let each = "[[task]]\nid = 's'\nkind = 'plan'\nfile = 'inner.toml'\nfor_each = ['x', 'y']\n\
                key = '${item}'\ninputs = { who = '${item}' }\n";
    let outer = HEAD.replace("max_parallel = 8", "max_parallel = 1\napproval = \"none\"");
    scene.file("plan.toml", &format!("{outer}{each}"));
    let person = Person::starts(&scene, &["run", "plan.toml"]);
    for (who, n) in [("x", 2), ("y", 3)] {
        let screen = person.reads(&format!("? May {who} go on? (PLAN-"));
        assert!(screen.contains(&format!("-00{n} asks, for s[{who}])")), "{screen}");
        assert_eq!(screen.contains("May y"), who == "y", "its turn is to come: {screen}");
        person.is_asked(YES_OR_NO);
        person.types("y");
        person.reads(&format!("-00{n}/ok: approve, by person"));
    }
    person.sees_it_end(0);
}

/// Features K12, A10: what to do after failures; an edited plan goes with a command. A plan that
/// nobody answers waits for whoever does.
#[test]
fn a_person_decides_where_the_run_is_watched() {
    let scene = Scene::new();
    let list = [
        sh("fine", "true", ""),
        sh("a", "exit 1", "depends_on = [\"fine\"]"),
        sh("b", "exit 1", "depends_on = [\"fine\"]"),
        sh("c", "exit 1", "depends_on = [\"fine\"]"),
        sh("last", "true", "depends_on = [\"a\"]"),
    ];
    let person = started(&scene, "plan", &list);
    person.is_asked("Run this plan? [y/N]");
    person.presses("C-d");
    person.reads("the plan is left open; this answers it: muxvisor approve");
    let run = run(&scene);
    assert_eq!(scene.call(&["approve", &run]).code, 0);
    person.is_asked("retry or accept? Enter leaves it open:");
    person.types("adjust");
    person.reads(&format!("muxvisor decide {run} adjust --plan FILE"));
    person.types("accept");
    let screen = person.sees_it_end(3);
    assert!(screen.contains("failures-1: accept, by person"), "{screen}");
}

/// Feature A10: a draft is shown and run only when the person says so.
#[test]
fn a_draft_is_run_when_the_person_says_yes() {
    let runs = |scene: &Scene| scene.read(&["runs", "--json"])["runs"].as_array().map(Vec::len);
    let draft = ["plan", "draft", "Review it", "--agent", "demo"];
    for (typed, expected) in [("", 1), ("n", 1), ("y", 2)] {
        let scene = Scene::new();
        let person = Person::starts(&scene, &draft);
        person.is_asked("Run it now? [y/N]");
        let screen = person.screen();
        assert!(
            screen.contains("3. [demo]") && screen.contains("holds it; `muxvisor run"),
            "{screen}"
        );
        assert_eq!(runs(&scene), Some(1), "{screen}");
        person.types("what?");
        person.reads("please answer y or n");
        person.types(typed);
        let screen = person.sees_it_end(0);
        assert_eq!(runs(&scene), Some(expected), "{screen}");
        assert_eq!(screen.contains("completed in"), typed == "y", "{screen}");
        let done = scene.read(&["runs", "--json"])["runs"][0]["state"].take();
        assert_eq!(done, json!("completed"), "{screen}");
    }
}

/// A table is as wide as the terminal of whoever looks, and is not cut for anybody else.
#[test]
fn a_table_is_cut_for_a_terminal_only() {
    let scene = Scene::new();
    let long = "a".repeat(150);
    scene.file("plan.toml", &format!("{HEAD}{}", sh(&long, "true", "")).replace("8", "1"));
    assert_eq!(scene.call(&["run", "plan.toml", "--yes"]).code, 0);
    let piped = scene.call(&["items", "list"]).stdout;
    let line = piped.lines().nth(1).expect("an item");
    assert!(line.contains(&long) && line.contains(" done ") && !line.contains('…'), "{piped}");
    let person = Person::starts(&scene, &["items", "list"]);
    let screen = person.sees_it_end(0);
    let cut = screen.lines().find(|line| line.ends_with('…')).expect("a line is cut");
    assert_eq!(cut.chars().count(), 110, "{screen}");
}
