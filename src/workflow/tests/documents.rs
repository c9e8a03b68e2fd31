//! The result document, against its schema, and what is handed to people.

use super::*;
use crate::model::RunOutcome;

const SCHEMA: &str = include_str!("../../../docs/execution-results.schema.json");

/// Features O1-O7, rulings Z17, Z19: the document fits its schema and its numbers add up.
fn checked(bench: &Bench) -> Value {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let document = document(bench.run(), Some("2026-11-21T10:00:00Z"), bench.now);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let misses: Vec<String> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
    assert!(misses.is_empty(), "{misses:?}\n{document:#}");
    let results = document["execution_results"].clone();
    let number = |key: &str| results["summary"][key].as_u64().unwrap();
    assert_eq!(number("total_tasks"), number("successful") + number("failed") + number("skipped"));
    assert!(number("timeout") <= number("failed"));
    results
}

fn three() -> Bench {
    let list = [("a", "retries = 0"), ("b", "depends_on = [\"a\"]"), ("c", "retries = 0")];
    Bench::of(&tasks("", &list))
}

#[test]
fn a_run_that_goes_on_is_partial() {
    let mut bench = Bench::new(100);
    let submission = Submission { needs_approval: true, ..submission(1, &plan(&one_task(""))) };
    bench.hear(Event::Submitted(Box::new(submission)));
    let results = checked(&bench);
    assert_eq!(
        (&results["status"], &results["state"]),
        (&json!("partial"), &json!("awaiting-approval"))
    );
    assert_eq!(results["phases"][0]["status"], json!("skipped"));
    bench.hear(Event::Approved { run: run_id(1), yes: true });
    assert_eq!(checked(&bench)["phases"][0]["status"], json!("partial"));
}

#[test]
fn a_complete_run_says_so() {
    let mut bench = three();
    bench.now = Moment(3_500);
    bench.succeed("a", json!("x"));
    bench.succeed("b", json!(["y"]));
    bench.succeed("c", json!("z"));
    let results = checked(&bench);
    assert_eq!(results["status"], json!("completed"));
    assert_eq!(results["duration_ms"], json!(2_500));
    let first = &results["phases"][0]["tasks"][0];
    assert_eq!(
        (&first["status"], &first["output"], &first["error"]),
        (&json!("success"), &json!("x"), &Value::Null)
    );
    assert_eq!(first["plugin_used"], json!("claude"));
}

/// Feature O2: each phase by its id, with its own tasks, and how it ended.
#[test]
fn phases_stand_in_the_document_with_their_tasks_and_ends() {
    let phase = |id: &str, tasks: &[&str]| {
        let task = |id: &&str| {
            format!(
                "[[phase.task]]\nid = \"{id}\"\nagent = \"claude\"\ndescription = \"x\"\nretries = 0\n"
            )
        };
        format!("[[phase]]\nid = \"{id}\"\n{}", tasks.iter().map(task).collect::<String>())
    };
    let text = "plan = \"p\"\ngoal = \"g\"\n".to_owned()
        + &phase("whole", &["a", "b"])
        + &phase("half", &["c", "d"])
        + &phase("none", &["e"])
        + "[[phase]]\nid = \"left\"\n[[phase.task]]\nid = \"f\"\nagent = \"claude\"\n\
           description = \"after ${none.e.output}\"\n";
    let mut bench = Bench::of(&text);
    ["a", "b", "c"].iter().for_each(|id| bench.succeed(id, json!("x")));
    ["d", "e"].iter().for_each(|id| bench.fail(id, Outcome::ExitCode));
    let results = checked(&bench);
    let of = |phase: &Value| {
        let tasks = phase["tasks"].as_array().unwrap().iter();
        let ids: Vec<&Value> = tasks.map(|task| &task["task_id"]).collect();
        json!([phase["phase_id"], phase["status"], ids])
    };
    let phases: Vec<Value> = results["phases"].as_array().unwrap().iter().map(of).collect();
    assert_eq!(
        phases,
        [
            json!(["whole", "completed", ["a", "b"]]),
            json!(["half", "partial", ["c", "d"]]),
            json!(["none", "failed", ["e"]]),
            json!(["left", "skipped", ["f"]]),
        ]
    );
}

/// Features K8, K9, K19-K21: gaps are named, what succeeded is kept.
#[test]
fn a_partial_run_names_its_gaps() {
    let mut bench = three();
    bench.end("a", Outcome::Timeout, None, None);
    bench.succeed("c", json!("z"));
    let results = checked(&bench);
    assert_eq!(results["status"], json!("partial"));
    let summary = &results["summary"];
    assert_eq!(
        (&summary["failed"], &summary["timeout"], &summary["skipped"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(summary["gaps"][1], json!({ "task": "b", "reason": "skipped: upstream" }));
    let error = &results["phases"][0]["tasks"][0]["error"];
    assert_eq!((&error["kind"], &error["outcome"]), (&json!("timeout"), &json!("timeout")));
}

/// Feature K6.
#[test]
fn a_failed_run_names_its_root_cause() {
    let mut bench = three();
    bench.fail("c", Outcome::Signal);
    bench.fail("a", Outcome::ExitCode);
    let results = checked(&bench);
    assert_eq!(results["status"], json!("failed"));
    assert_eq!(results["root_cause"], json!("a: ended as exit-code"));
    assert_eq!(bench.run().outcome, Some(RunOutcome::Failed));
}

/// The first error is the one that nothing before it explains, wherever it stands in the file.
#[test]
fn the_root_cause_comes_first_in_the_order_of_dependencies() {
    let list = [
        ("reader", "input_context = { text = \"${a.output ?? 'none'}\" }\nretries = 0"),
        ("a", "retries = 0"),
    ];
    let mut bench = Bench::of(&tasks("", &list));
    bench.fail("a", Outcome::Signal);
    bench.fail("reader", Outcome::ExitCode);
    assert_eq!(bench.run().root_cause.as_deref(), Some("a: ended as signal"));
}

/// A cancelled run is `failed` with `cancelled`, its tasks count as skipped (Z17).
#[test]
fn a_cancelled_run_says_so() {
    let mut bench = three();
    bench.hear(Event::CancelAsked { run: run_id(1) });
    assert_eq!(bench.stops, 2);
    bench.end("a", Outcome::Cancelled, None, None);
    bench.end("c", Outcome::Cancelled, None, None);
    let results = checked(&bench);
    assert_eq!((&results["status"], &results["cancelled"]), (&json!("failed"), &json!(true)));
    assert_eq!(results["summary"]["skipped"], json!(3));
    assert_eq!(results["phases"][0]["tasks"][0]["skip_reason"], json!("cancelled"));
}

/// A fallback that never started did nothing.
#[test]
fn only_a_fallback_that_worked_is_counted() {
    let mut bench = Bench::of(&tasks(
        "max_parallel = 1",
        &[("a", "retries = 0\nfallback = [\"codex\"]"), ("b", "priority = -100")],
    ));
    bench.now = Moment(bench.now.0 + 120 * 60_000);
    bench.fail("a", Outcome::ExitCode);
    assert_eq!(bench.live(), "b");
    bench.hear(Event::CancelAsked { run: run_id(1) });
    assert_eq!(checked(&bench)["summary"]["fell_back"], json!(0));
    let mut bench = Bench::of(&one_task("retries = 0\nfallback = [\"codex\"]"));
    bench.fail("a", Outcome::ExitCode);
    bench.succeed("a", json!("x"));
    let summary = checked(&bench)["summary"].clone();
    assert_eq!((&summary["fell_back"], &summary["retried"]), (&json!(1), &json!(1)));
}

/// Features O5, O7: what another task reads is no deliverable.
#[test]
fn the_finals_are_what_no_task_reads() {
    let list = [("a", ""), ("b", "input_context = { text = \"${a.output}\" }"), ("c", "")];
    let bench = Bench::of(&tasks("", &list));
    assert_eq!(finals(&bench.run().plan), [TaskId::new("b"), TaskId::new("c")]);
}

/// Feature K6: that everything was optional does not make a run complete in which nothing worked.
#[test]
fn a_run_whose_optional_tasks_all_failed_has_failed() {
    let mut bench = Bench::of(&one_task("retries = 0\noptional = true"));
    bench.fail("a", Outcome::ExitCode);
    let results = checked(&bench);
    assert_eq!(results["status"], json!("failed"));
    assert_eq!(results["root_cause"], json!("a: ended as exit-code"));
}
