//! Work that the daemon does itself, votes that a person decides, and hooks.

use super::*;
use crate::model::AskKind;
use crate::plan::{
    Condition, DependsCause, DependsOn, Edge, InputValue, OnTie, Origin, Reduce, Reducer, Template,
    TemplatePart, Vote, VoteRule, Work,
};

/// `a`, `b` and `c` give something, `sum` makes one value of it, `end` reads that.
fn panel(by: Reducer) -> Plan {
    let list = [
        ("a", ""),
        ("b", "retries = 0"),
        ("c", ""),
        ("sum", ""),
        ("end", "input_context = { sum = \"${sum.output}\" }"),
    ];
    let mut plan = plan(&tasks("", &list));
    let mut second = plan.phases[0].clone();
    second.id = "second".to_owned();
    second.tasks = plan.phases[0].tasks.split_off(3);
    let phase = plan.phases[0].id.clone();
    plan.phases.push(second);
    for task in &mut plan.tasks[3..] {
        "second".clone_into(&mut task.phase);
    }
    let to = Edge::PhaseOutputs { phase };
    let part = TemplatePart::Reference { written: "${p.*.output}".to_owned(), to, default: None };
    let from = InputValue::Text(Template { parts: vec![part] });
    plan.tasks[3].work = Work::Reduce(Box::new(Reduce { from, by }));
    let need =
        |id: &str| DependsOn { task: TaskId::new(id), cause: DependsCause::Reference, hard: false };
    plan.tasks[3].needs = ["a", "b", "c"].map(need).into();
    plan
}

fn vote(on_tie: OnTie) -> Reducer {
    let weights = BTreeMap::new();
    let rule = VoteRule::Majority;
    Reducer::Vote(Vote { field: "say".to_owned(), rule, veto: None, on_tie, weights })
}

fn begun(plan: &Plan) -> Bench {
    let mut bench = Bench::new(100);
    bench.hear(Event::Submitted(Box::new(submission(1, plan))));
    bench
}

fn value(bench: &Bench, task: &str) -> Value {
    bench.task(task).output.as_ref().map(|output| output.value.clone()).unwrap_or_default()
}

/// Features C1, C14, J4, K9, O8: the daemon does it, at once, from what there is.
#[test]
fn a_reducer_takes_no_attempt() {
    let mut bench = begun(&panel(Reducer::Concat { sort_by: None }));
    bench.succeed("c", json!("C"));
    bench.fail("b", Outcome::ExitCode);
    bench.succeed("a", json!(["A1", "A2"]));
    assert_eq!(value(&bench, "sum"), json!(["A1", "A2", "C"]));
    assert_eq!((bench.task("sum").n, bench.live().as_str()), (0, "end"));
    assert!(bench.orders["end"].prompt.as_deref().unwrap().contains("\"A1\""));
    // What does not fit fails the task, and names who gave it.
    let mut wrong = begun(&panel(Reducer::Merge));
    wrong.succeed("a", json!({ "x": 1 }));
    wrong.succeed("b", json!("text"));
    wrong.succeed("c", json!({ "y": 1 }));
    let error = wrong.task("sum").error.clone().unwrap();
    assert_eq!(error.message, "`merge` needs tables, and `b` gave something else");
    assert_eq!(wrong.task("end").skip, Some(SkipReason::Upstream));
}

/// Features C10, C11: a tie is a question; the answer is the decision, also after a restart.
#[test]
fn a_tie_is_decided_by_a_person() {
    let mut bench = begun(&panel(vote(OnTie::Ask)));
    bench.succeed("a", json!({ "say": "go" }));
    bench.fail("b", Outcome::ExitCode);
    bench.succeed("c", json!({ "say": "wait" }));
    assert_eq!(bench.task("sum").state, TaskState::Waiting);
    let ask = bench.run().kept.open().next().unwrap().ask.clone();
    assert_eq!((ask.kind, ask.id.as_str()), (AskKind::Tie, "tie:sum"));
    assert_eq!(ask.answers, ["go", "wait"]);
    assert_eq!(ask.question, "the vote `sum` has no decision: go 1, wait 1. Which is it?");
    let (mut out, id) = (Vec::new(), run_id(1));
    let (ask, answer, by) = (ask.id, "wait".to_owned(), "person".to_owned());
    bench.workflow.record(bench.now, &id, RunFact::Answered { ask, answer, by }, &mut out);
    bench.hear(Event::DeadlineReached);
    let output = value(&bench, "sum");
    assert_eq!((&output["decision"], &output["decided_by"]), (&json!("wait"), &json!("person")));
    assert_eq!(output["dissent"], json!([{ "voter": "a", "vote": "go" }]));
    assert_eq!(bench.live(), "end");
}

#[test]
fn a_tie_may_fail_or_have_a_value() {
    let tied = |on_tie| {
        let mut bench = begun(&panel(vote(on_tie)));
        bench.succeed("a", json!({ "say": "go" }));
        bench.succeed("b", json!({ "say": "wait" }));
        bench.succeed("c", json!({ "say": ["other"] }));
        bench
    };
    let failed = tied(OnTie::Fail);
    assert_eq!(failed.task("sum").state, TaskState::Failed);
    let decided = tied(OnTie::Value(json!("wait")));
    assert_eq!(value(&decided, "sum")["decision"], json!("wait"));
    assert_eq!(value(&decided, "sum")["decided_by"], json!("plan"));
}

/// Features C10, C11: who was asked and gave nothing, optional or not, has abstained, and counts for
/// a quorum; who was not asked does not.
#[test]
fn a_voter_that_fails_has_abstained() {
    let quorum = |share| {
        let Reducer::Vote(vote) = vote(OnTie::Value(json!("later"))) else { panic!() };
        Reducer::Vote(Vote { rule: VoteRule::Quorum(share), ..vote })
    };
    let voted = |share, change: &dyn Fn(&mut crate::plan::Task)| {
        let mut plan = panel(quorum(share));
        change(&mut plan.tasks[1]);
        let mut bench = begun(&plan);
        bench.succeed("a", json!({ "say": "go" }));
        if bench.live().contains('b') {
            bench.fail("b", Outcome::ExitCode);
        }
        bench.succeed("c", json!({ "say": "go" }));
        value(&bench, "sum")
    };
    let optional = voted(0.6, &|task| task.optional = true);
    assert_eq!((&optional["abstained"], &optional["decision"]), (&json!(["b"]), &json!("go")));
    let failed = voted(0.7, &|_| {});
    assert_eq!((&failed["abstained"], &failed["decided_by"]), (&json!(["b"]), &json!("plan")));
    let unasked =
        voted(1.0, &|task| task.when = Some(Condition::Truthy(InputValue::Plain(json!(false)))));
    assert_eq!((&unasked["abstained"], &unasked["decision"]), (&json!([]), &json!("go")));
}

/// A task with hooks, and one that reads it.
fn hooked(blocks: bool) -> Bench {
    let list =
        [("a", ""), ("hook", "retries = 0"), ("end", "input_context = { x = \"${a.output}\" }")];
    let mut plan = plan(&tasks("", &list));
    plan.tasks[1].id = TaskId::new("a!check");
    plan.phases[0].tasks[1] = TaskId::new("a!check");
    let (of, skill) = (TaskId::new("a"), "check".to_owned());
    plan.tasks[1].origin = Some(Origin::Hook { of, skill, blocks });
    // As the compiler does it: whoever reads the task waits for its hooks.
    let need = plan.tasks[2].needs[0].clone();
    plan.tasks[2].needs.push(DependsOn { task: TaskId::new("a!check"), hard: blocks, ..need });
    begun(&plan)
}

/// Features N10-N12, H7: a hook follows its task, before anybody reads it, and counts nowhere.
#[test]
fn a_hook_runs_after_its_task_and_before_its_readers() {
    let mut bench = hooked(true);
    assert_eq!(bench.live(), "a");
    bench.succeed("a", json!("A"));
    assert_eq!(bench.live(), "a!check");
    let label = &bench.orders["a!check"].label;
    assert!(label.starts_with("hook_check_"), "{label}");
    bench.succeed("a!check", json!("fine"));
    assert_eq!(bench.live(), "end");
    let document = document(bench.run(), None, bench.now);
    let results = &document["execution_results"];
    assert_eq!(results["summary"]["total_tasks"], json!(2));
    assert_eq!(results["phases"][0]["tasks"].as_array().unwrap().len(), 2);
}

/// Feature N10: what a blocking hook turns down has failed, and nobody reads it; another hook's
/// failure is its own.
#[test]
fn a_blocking_hook_fails_its_task() {
    let mut bench = hooked(true);
    bench.succeed("a", json!("A"));
    bench.fail("a!check", Outcome::ExitCode);
    let error = bench.task("a").error.clone().unwrap();
    assert_eq!((bench.task("a").state, error.outcome), (TaskState::Failed, Outcome::Hook));
    assert_eq!(error.message, "the hook `check` turned it down: ended as exit-code: last line");
    assert_eq!(bench.task("a").output, None);
    assert_eq!(bench.task("end").skip, Some(SkipReason::Upstream));
    let facts = bench.facts.iter().filter_map(|fact| {
        let Fact::Run { fact, .. } = fact else { return None };
        Some((bench.now, fact.clone()))
    });
    let again = Workflow::replay(&run_id(1), &facts.collect::<Vec<_>>()).unwrap();
    assert_eq!(again.tasks, bench.run().tasks);
    let mut lenient = hooked(false);
    lenient.succeed("a", json!("A"));
    lenient.fail("a!check", Outcome::ExitCode);
    assert_eq!((lenient.task("a").state, lenient.live().as_str()), (TaskState::Success, "end"));
    lenient.succeed("end", json!("E"));
    assert_eq!(lenient.run().outcome, Some(crate::model::RunOutcome::Completed));
}

/// Feature N5: a hook looks once at each result: not at attempts that failed, and again when the task is done
/// again.
#[test]
fn a_hook_is_done_once_per_result() {
    let mut bench = hooked(true);
    bench.fail("a", Outcome::ExitCode);
    bench.pass(60_000);
    bench.succeed("a", json!("A"));
    bench.succeed("a!check", json!("fine"));
    let (mut out, id) = (Vec::new(), run_id(1));
    bench.workflow.record(bench.now, &id, RunFact::TaskReset { task: TaskId::new("a") }, &mut out);
    bench.hear(Event::DeadlineReached);
    assert_eq!(bench.task("a!check").state, TaskState::Blocked);
    bench.succeed("a", json!("A2"));
    assert_eq!(bench.orders["a!check"].n, 2);
}

/// Feature N5: what a hook has looked at it does not look at twice, because one before it is done
/// again.
#[test]
fn a_hook_is_not_done_again_for_another_one() {
    let hooks = "[[task.hook]]\nrun = [\"./check\"]\n[[task.hook]]\nrun = [\"./tell\"]\n";
    let plan = plan(&tasks("", &[("a", hooks), ("b", "")]));
    let mut bench = begun(&plan);
    bench.succeed("a", json!("A"));
    let [check, tell]: [String; 2] = {
        let hooks = plan.tasks.iter().filter(|task| task.origin.is_some());
        hooks.map(|task| task.id.to_string()).collect::<Vec<_>>().try_into().unwrap()
    };
    bench.fail(&check, Outcome::ExitCode);
    bench.succeed(&tell, json!("told"));
    let again = edit(bench.run(), plan).unwrap().again;
    assert_eq!(again, [TaskId::new(check.as_str())]);
    assert_eq!(what_again(bench.run(), Some(&check), true).unwrap(), again);
    let all = what_again(bench.run(), Some("a"), false).unwrap();
    assert_eq!(all.len(), 3, "with their task both are: {all:?}");
}
