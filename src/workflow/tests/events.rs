//! Events, and plans inside of plans.

use super::flow::{changed, set};
use super::*;
use crate::model::{Parent, RunOutcome};
use crate::plan::{Condition, Expiry, InputUse, InputValue, SubPlan, Template, Trigger, Work};

fn waits(expiry: Option<Expiry>) -> Work {
    Work::Wait { event: Template::text("deployed"), expiry }
}

impl Bench {
    fn emit(&mut self, name: &str, data: Value, key: Option<&str>) {
        let (name, dedup) = (name.to_owned(), key.map(str::to_owned));
        self.hear(Event::Emitted { name, data, dedup, by: None });
    }
}

/// Feature C17: an event releases all who wait for it; one that comes early is kept for the first
/// who comes to wait; the same key is the same event.
#[test]
fn an_event_is_kept_until_somebody_takes_it() {
    let text = tasks("", &[("x", ""), ("y", ""), ("z", "depends_on = [\"x\"]")]);
    let start = || {
        changed(&text, |plan| {
            for id in ["x", "y", "z"] {
                set(plan, id, |task| task.work = waits(None));
            }
        })
    };
    let mut bench = start();
    assert_eq!(bench.task("x").state, TaskState::Waiting);
    bench.emit("other", json!(0), None);
    bench.emit("deployed", json!({ "n": 1 }), Some("k"));
    let state = |bench: &Bench, id: &str| bench.task(id).state;
    assert_eq!(state(&bench, "x"), TaskState::Success);
    assert_eq!(state(&bench, "y"), TaskState::Success);
    assert_eq!(state(&bench, "z"), TaskState::Waiting, "it came to wait too late");
    assert_eq!(bench.task("x").output, Some(Output::of(json!({ "n": 1 }))));
    bench.emit("deployed", json!({ "n": 1 }), Some("k"));
    assert_eq!(state(&bench, "z"), TaskState::Waiting, "the same key is the same event");
    bench.emit("deployed", json!(2), None);
    assert_eq!(bench.run().outcome, Some(RunOutcome::Completed));

    let mut bench = Bench::new(9);
    bench.emit("deployed", json!("early"), None);
    let mut plan = plan(&text);
    for id in ["x", "y", "z"] {
        set(&mut plan, id, |task| task.work = waits(None));
    }
    bench.hear(Event::Submitted(Box::new(submission(1, &plan))));
    assert_eq!(bench.task("x").output, Some(Output::of(json!("early"))));
    assert_eq!(bench.workflow.kept_events().count(), 0);
}

/// A wait ends by itself, as a failure or a skip.
#[test]
fn a_wait_for_an_event_can_expire() {
    for (then, state) in [("fail", TaskState::Timeout), ("skip", TaskState::Skipped)] {
        let expiry = Expiry { after_ms: 5_000, then: then.to_owned() };
        let mut bench =
            changed(&one_task(""), |plan| set(plan, "a", |t| t.work = waits(Some(expiry))));
        assert_eq!(bench.workflow.next_deadline(), Some(Moment(6_000)));
        bench.pass(5_000);
        assert_eq!(bench.task("a").state, state);
        let why = (then == "skip").then_some(SkipReason::Expired);
        assert_eq!(bench.task("a").skip, why, "nothing above it is missing");
    }
}

/// A task of kind `emit` makes an event, and its data are its output.
#[test]
fn a_task_can_emit() {
    let list = [("a", ""), ("b", "depends_on = [\"w\"]"), ("w", "")];
    let bench = changed(&tasks("", &list), |plan| {
        set(plan, "w", |task| task.work = waits(None));
        set(plan, "a", |task| {
            let event = Template::text("deployed");
            task.work = Work::Emit { event, data: InputValue::Plain(json!({ "v": 2 })) };
        });
    });
    assert_eq!(bench.task("w").output, Some(Output::of(json!({ "v": 2 }))));
    assert_eq!(bench.live(), "b");
}

pub(super) fn sub_plan() -> SubPlan {
    let text = "plan = \"child\"\ngoal = \"g\"\n[inputs]\nwhat = { type = \"string\" }\n[[task]]\nid = \"c\"\n\
        agent = \"claude\"\ndescription = \"Do ${input.what ?? 'it'}.\"\nretries = 0\n";
    let inner = plan(text);
    let what = InputValue::Plain(json!("this"));
    SubPlan {
        path: "child.toml".to_owned(),
        text: text.to_owned(),
        plan: serde_json::to_value(inner).unwrap(),
        inputs: vec![InputUse { name: "what".to_owned(), value: what }],
    }
}

/// A live run with a trigger starts a plan by an event, with values of the event.
#[test]
fn an_event_starts_a_plan() {
    let mut bench = changed(&one_task(""), |plan| {
        let start = sub_plan();
        plan.on.push(Trigger { event: "deployed".to_owned(), when: None, start });
    });
    bench.emit("deployed", json!(1), None);
    assert_eq!(bench.asked.len(), 1);
    let asked = bench.asked[0].clone();
    assert_eq!(asked.parent, Some(Parent { run: run_id(1), task: None, depth: 1 }));
    assert_eq!(asked.plan["inputs"]["what"], "this");
    assert_eq!(bench.workflow.kept_events().count(), 0, "the trigger took it");
}

/// Feature C17: an event that a trigger looked at and does not want is settled, and the run says
/// so; it is kept while a task is still to wait for it, and where nobody has looked.
#[test]
fn an_event_that_no_trigger_wants_is_settled() {
    let bench = |wait: bool| {
        changed(&tasks("", &[("a", ""), ("w", "depends_on = [\"a\"]")]), |plan| {
            let when = Some(Condition::Truthy(InputValue::Plain(json!(false))));
            plan.on.push(Trigger { event: "deployed".to_owned(), when, start: sub_plan() });
            if wait {
                set(plan, "w", |task| task.work = waits(None));
            }
        })
    };
    let told = |bench: &Bench| {
        let tells = |fact: &&Fact| {
            matches!(fact, Fact::Noted { about, text }
                if *about == run_id(1).to_string() && text.contains("`when` of its trigger"))
        };
        let taken = |fact: &&Fact| matches!(fact, Fact::SignalTaken { .. });
        let facts = || bench.facts.iter();
        (facts().filter(tells).count(), facts().filter(taken).count())
    };
    let mut seen = bench(false);
    seen.emit("deployed", json!(1), None);
    assert_eq!((seen.workflow.kept_events().count(), told(&seen)), (0, (1, 1)));
    assert!(seen.asked.is_empty());
    seen.emit("other", json!(1), None);
    assert_eq!(seen.workflow.kept_events().count(), 1, "nobody has looked at it");

    let mut wanted = bench(true);
    wanted.emit("deployed", json!(1), None);
    assert_eq!((wanted.workflow.kept_events().count(), told(&wanted)), (1, (0, 0)));
    wanted.succeed("a", json!("A"));
    assert_eq!(wanted.task("w").output, Some(Output::of(json!(1))));

    let mut paused = bench(false);
    paused.hear(Event::PauseAsked { run: run_id(1), stop: false });
    paused.emit("deployed", json!(1), None);
    assert_eq!(paused.workflow.kept_events().count(), 1, "it has not looked");
    paused.hear(Event::ResumeAsked { run: run_id(1) });
    assert_eq!((paused.workflow.kept_events().count(), told(&paused)), (0, (1, 1)));
}

/// Plans that start each other by events come to an end, and the run says why.
#[test]
fn a_circle_of_triggers_ends() {
    let mut bench = changed(&one_task(""), |plan| {
        let start = sub_plan();
        plan.on.push(Trigger { event: "deployed".to_owned(), when: None, start });
    });
    let mut child = plan(&one_task(""));
    set(&mut child, "a", |task| {
        let event = Template::text("deployed");
        task.work = Work::Emit { event, data: InputValue::Plain(json!(1)) };
    });
    bench.emit("deployed", json!(1), None);
    let mut started = 0;
    while let Some(asked) = bench.asked.pop() {
        started += 1;
        assert_eq!(asked.parent.as_ref().unwrap().depth, started);
        let plan = serde_json::to_value(&child).unwrap();
        let child = Submission { run: run_id(started + 1), plan, ..asked };
        bench.hear(Event::Submitted(Box::new(child)));
    }
    assert_eq!(started, 8);
    let tells = |fact: &&Fact| {
        matches!(fact, Fact::Noted { about, text }
            if *about == run_id(1).to_string() && text.contains("plans start each other"))
    };
    assert_eq!(bench.facts.iter().filter(tells).count(), 1);
    bench.emit("deployed", json!(1), None);
    let asked = bench.asked.pop().unwrap();
    assert_eq!(asked.parent.as_ref().unwrap().depth, 1, "one from outside begins anew");
    let id = run_id(99);
    bench.hear(Event::Submitted(Box::new(Submission { run: id.clone(), ..asked })));
    let (name, data) = ("deployed".to_owned(), json!(1));
    bench.hear(Event::Emitted { name, data, dedup: None, by: Some(id) });
    assert_eq!(bench.asked[0].parent.as_ref().unwrap().depth, 2, "an agent's is its run's");
}

fn nested() -> Bench {
    let mut bench = changed(&tasks("", &[("p", ""), ("after", "depends_on = [\"p\"]")]), |plan| {
        set(plan, "p", |task| task.work = Work::Plan(Box::new(sub_plan())));
    });
    let asked = bench.asked.pop().expect("a run is asked for");
    assert_eq!(bench.task("p").state, TaskState::Waiting);
    bench.hear(Event::Submitted(Box::new(Submission { run: run_id(2), ..asked })));
    assert_eq!(bench.task("p").child, Some(run_id(2)));
    assert_eq!(bench.live(), "c");
    bench
}

/// Feature A22: a plan inside of a plan is a run of its own whose result is the task's output.
#[test]
fn a_plan_can_be_part_of_a_plan() {
    let mut bench = nested();
    bench.succeed("c", json!("done"));
    let output = bench.task("p").output.as_ref().unwrap().value.clone();
    assert_eq!((&output["status"], &output["outputs"]["c"]), (&json!("completed"), &json!("done")));
    assert_eq!(bench.live(), "after");

    let mut bench = nested();
    bench.fail("c", Outcome::ExitCode);
    let error = bench.task("p").error.as_ref().unwrap();
    assert_eq!(error.message, "its run PLAN-2026-11-21-002 failed: c: ended as exit-code");
}

/// An edit takes no task away whose run is at work: nobody would pause or end that run any more
/// (found by the simulation).
#[test]
fn an_edit_leaves_no_run_without_its_task() {
    let bench = nested();
    let mut edited = bench.run().plan.clone();
    edited.tasks.retain(|task| task.id.as_str() != "p");
    let refused = edit(bench.run(), edited);
    assert_eq!(refused, Err(NotAgain::Lives(TaskId::new("p"))));
}

/// A run that begins while its parent is paused, for whatever reason, goes on with it (found by the
/// simulation: an answer about failures left it paused for ever).
#[test]
fn a_run_inside_goes_on_when_its_parent_does() {
    let list = [("p", ""), ("a", "retries = 0"), ("b", "depends_on = [\"p\"]")];
    let mut bench = changed(&tasks("stop_after_failures = 1", &list), |plan| {
        set(plan, "p", |task| task.work = Work::Plan(Box::new(sub_plan())));
    });
    let asked = bench.asked.pop().expect("a run is asked for");
    bench.fail("a", Outcome::ExitCode);
    assert_eq!(bench.run().state, RunState::Paused);
    bench.hear(Event::Submitted(Box::new(Submission { run: run_id(2), ..asked })));
    let state = |bench: &Bench, n| bench.workflow.run(&run_id(n)).unwrap().state;
    assert_eq!(state(&bench, 2), RunState::Paused);
    bench.answer("failures-1", crate::model::ask::RETRY);
    assert_eq!((state(&bench, 1), state(&bench, 2)), (RunState::Running, RunState::Running));
}

/// Pausing, going on and cancelling reach the runs inside; the parent is over after them.
#[test]
fn what_is_said_of_a_run_holds_for_the_runs_inside() {
    let mut bench = nested();
    let state = |bench: &Bench, n| bench.workflow.run(&run_id(n)).unwrap().state;
    bench.hear(Event::PauseAsked { run: run_id(1), stop: false });
    assert_eq!((state(&bench, 1), state(&bench, 2)), (RunState::Paused, RunState::Paused));
    bench.hear(Event::ResumeAsked { run: run_id(1) });
    assert_eq!((state(&bench, 1), state(&bench, 2)), (RunState::Running, RunState::Running));
    bench.hear(Event::CancelAsked { run: run_id(1) });
    assert_eq!(bench.stops, 1);
    assert!(!state(&bench, 1).is_end(), "its inner run is not over");
    bench.fail("c", Outcome::Cancelled);
    assert_eq!((state(&bench, 1), state(&bench, 2)), (RunState::Cancelled, RunState::Cancelled));
}

/// The sub-plan of [`sub_plan`] with a second task.
fn nested_in_two() -> Bench {
    let mut bench = changed(&tasks("", &[("p", ""), ("after", "depends_on = [\"p\"]")]), |plan| {
        let mut inner = sub_plan();
        let second = inner.text.clone()
            + &one_task("").split_once("[[task]]").map_or_else(String::new, |(_, task)| {
                format!("[[task]]{}", task.replace("\"a\"", "\"d\""))
            });
        inner.plan = serde_json::to_value(super::plan(&second)).unwrap();
        set(plan, "p", |task| task.work = Work::Plan(Box::new(inner)));
    });
    let asked = bench.asked.pop().expect("a run is asked for");
    bench.hear(Event::Submitted(Box::new(Submission { run: run_id(2), ..asked })));
    bench
}

/// Features A22, K19, K21, O6: what failed within a plan that is a part of another is a gap of that
/// too; its output is usable all the same, and `retry` does it again.
#[test]
fn gaps_within_a_plan_are_gaps_of_the_whole() {
    let mut bench = nested_in_two();
    bench.fail("c", Outcome::ExitCode);
    bench.succeed("d", json!("done"));
    assert_eq!(bench.task("p").state, TaskState::Success);
    bench.succeed("after", json!("x"));
    let run = bench.run();
    assert_eq!(run.outcome, Some(RunOutcome::Partial));
    let document = document(run, None, bench.now);
    let results = &document["execution_results"];
    let gaps = json!([{ "task": "p/c", "reason": "exit-code: ended as exit-code" }]);
    assert_eq!((&results["status"], &results["summary"]["gaps"]), (&json!("partial"), &gaps));
    assert_eq!(results["phases"][0]["status"], "partial");
    assert_eq!(what_again(run, None, false).unwrap(), [TaskId::new("p")]);
}

/// Features A22, K12: a question of a run within keeps the whole waiting, unless something else
/// goes on.
#[test]
fn a_question_within_is_waited_for() {
    let text = tasks("", &[("p", ""), ("side", "")]);
    let mut bench = changed(&text, |plan| {
        let mut inner = sub_plan();
        let mut asks = serde_json::from_value::<Plan>(inner.plan.take()).unwrap();
        asks.tasks[0].work = Work::Approve { ask: Template::text("Sure?"), expiry: None };
        inner.plan = serde_json::to_value(asks).unwrap();
        set(plan, "p", |task| task.work = Work::Plan(Box::new(inner)));
    });
    let asked = bench.asked.pop().expect("a run is asked for");
    bench.hear(Event::Submitted(Box::new(Submission { run: run_id(2), ..asked })));
    assert!(bench.workflow.waits_for_person(&run_id(2)));
    assert!(!bench.workflow.waits_for_person(&run_id(1)), "`side` goes on");
    bench.succeed("side", json!("x"));
    assert!(bench.workflow.waits_for_person(&run_id(1)));
    bench.hear(Event::Answered {
        run: run_id(2),
        ask: "c".to_owned(),
        answer: crate::model::ask::APPROVE.to_owned(),
        by: "person".to_owned(),
    });
    assert_eq!(bench.run().outcome, Some(RunOutcome::Completed));
}

/// Feature C17: an event that somebody took is not kept, whatever it led to.
#[test]
fn an_event_that_was_taken_is_not_kept() {
    let list = [("w", ""), ("e", "depends_on = [\"w\"]"), ("hold", "")];
    let mut bench = changed(&tasks("", &list), |plan| {
        set(plan, "w", |task| task.work = waits(None));
        set(plan, "e", |task| {
            let event = Template::text("other");
            task.work = Work::Emit { event, data: InputValue::Plain(json!(1)) };
        });
    });
    let number = bench.workflow.next_event();
    bench.emit("deployed", json!(1), None);
    assert!(!bench.workflow.keeps_event(number));
    assert_eq!(bench.workflow.kept_events().count(), 1, "that of `e` is");
    let number = bench.workflow.next_event();
    bench.emit("deployed", json!(2), None);
    assert!(bench.workflow.keeps_event(number));
}

/// Features K10, A22: while a person is asked about failures nothing is started in the runs within
/// either; they go on with the answer.
#[test]
fn the_breaker_holds_the_runs_within() {
    let keys = "retries = 0";
    let list = [("p", ""), ("a", keys), ("b", keys), ("d", keys)];
    let mut bench = changed(&tasks("", &list), |plan| {
        set(plan, "p", |task| task.work = Work::Plan(Box::new(sub_plan())));
    });
    let asked = bench.asked.pop().expect("a run is asked for");
    bench.hear(Event::Submitted(Box::new(Submission { run: run_id(2), ..asked })));
    for task in ["a", "b", "d"] {
        bench.fail(task, Outcome::ExitCode);
    }
    let states =
        |bench: &Bench| [1, 2].map(|n| bench.workflow.run(&run_id(n)).map(|run| run.state));
    assert_eq!(states(&bench), [Some(RunState::Paused); 2]);
    bench.hear(Event::Answered {
        run: run_id(1),
        ask: "failures-1".to_owned(),
        answer: crate::model::ask::RETRY.to_owned(),
        by: "person".to_owned(),
    });
    assert_eq!(states(&bench), [Some(RunState::Running); 2]);
    assert_eq!(bench.live(), "a b c d");
}
