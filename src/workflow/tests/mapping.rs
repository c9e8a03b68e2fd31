//! Tasks that are done for each entry of a list: fan-out, fan-in, gaps, time limits, and what is
//! not done twice.

use super::*;
use crate::model::{RunOutcome, StartReason};
use crate::plan::{
    Edge, ForEach, InputUse, InputValue, MinSuccess, OnPartialFailure, Template, TemplatePart,
};

fn reference(to: Edge) -> Template {
    let written = format!("${{{to:?}}}");
    Template { parts: vec![TemplatePart::Reference { written, to, default: None }] }
}

fn output_of(task: &str) -> InputValue {
    InputValue::Text(reference(Edge::Output { task: TaskId::new(task), path: Vec::new() }))
}

fn rule(over: InputValue) -> ForEach {
    ForEach {
        over,
        key: None,
        partition: None,
        max_items: 1000,
        min_items: 0,
        min_success: None,
        gather_timeout_ms: None,
    }
}

/// `list` gives a list, `score` works on each of its items, `report` reads what they gave; `hold`
/// is there so that the run is not over.
pub(super) fn mapped(head: &str, change: impl Fn(&mut crate::plan::Task, &mut ForEach)) -> Plan {
    let list = [
        ("list", ""),
        ("score", "depends_on = [\"list\"]\nretries = 0\ninput_context = { file = \"F\" }"),
        ("report", "input_context = { scores = \"${score.output}\" }"),
        ("hold", ""),
    ];
    let (head, goes_on) = head.strip_prefix("continue").map_or((head, false), |head| (head, true));
    let mut plan = plan(&tasks(head, &list));
    plan.stop_after_failures = 0;
    plan.phases[0].on_partial_failure =
        if goes_on { OnPartialFailure::Continue } else { OnPartialFailure::Abort };
    let score = plan.tasks.iter_mut().find(|task| task.id.as_str() == "score").unwrap();
    score.needs[0].cause = crate::plan::DependsCause::Reference;
    let mut for_each = rule(output_of("list"));
    for_each.key = Some(reference(Edge::Item { path: Vec::new() }));
    let file = InputValue::Text(reference(Edge::Item { path: Vec::new() }));
    score.inputs = vec![
        InputUse { name: "file".to_owned(), value: file },
        InputUse { name: "place".to_owned(), value: InputValue::Text(reference(Edge::Index)) },
    ];
    change(score, &mut for_each);
    score.for_each = Some(Box::new(for_each));
    plan
}

fn retried_once(task: &mut crate::plan::Task, _: &mut ForEach) {
    if let crate::plan::Work::Agent { agents, .. } = &mut task.work {
        agents[0].retries = 1;
    }
}

fn bench(plan: &Plan) -> Bench {
    let mut bench = Bench::new(10_000);
    bench.hear(Event::Submitted(Box::new(submission(1, plan))));
    bench
}

impl Bench {
    /// What a person has the workflow do: flow's part, here by hand.
    fn reset(&mut self, tasks: &[&str]) {
        let mut out = Vec::new();
        for task in tasks {
            let fact = RunFact::TaskReset { task: TaskId::new(*task) };
            self.workflow.record(self.now, &run_id(1), fact, &mut out);
        }
        for action in out {
            if let Action::Record(fact) = action {
                self.facts.push(fact);
            }
        }
        self.hear(Event::DeadlineReached);
    }

    pub(super) fn value(&self, task: &str) -> Value {
        self.task(task).output.as_ref().map(|output| output.value.clone()).unwrap_or_default()
    }

    fn ids(&self) -> Vec<String> {
        self.run().plan.tasks.iter().map(|task| task.id.to_string()).collect()
    }
}

/// The same run, from its facts.
#[expect(clippy::wildcard_enum_match_arm, reason = "only facts of runs are replayed")]
fn rebuilt(bench: &Bench) -> Run {
    let fact = |fact: &Fact| match fact {
        Fact::Run { fact, .. } => Some((bench.now, fact.clone())),
        _ => None,
    };
    let facts: Vec<(Moment, RunFact)> = bench.facts.iter().filter_map(fact).collect();
    Workflow::replay(&run_id(1), &facts).unwrap()
}

/// Features C1, C2, C12: every entry is a task of its own, at once; what they give is gathered in
/// the order of the list.
#[test]
fn each_entry_is_a_task_and_the_results_come_in_order() {
    let mut bench = bench(&mapped("", |_, _| {}));
    assert_eq!(bench.live(), "hold list");
    bench.succeed("list", json!(["b", "a", "c"]));
    assert_eq!(bench.task("score").state, TaskState::Waiting);
    assert_eq!(
        bench.ids(),
        ["list", "score", "score[b]", "score[a]", "score[c]", "report", "hold"]
    );
    assert_eq!(bench.live(), "hold score[a] score[b] score[c]");
    let prompt = bench.orders["score[a]"].prompt.clone().unwrap();
    assert!(prompt.contains("### file\n\n```\na\n```"), "{prompt}");
    assert!(prompt.contains("### place\n\n```json\n1\n```"), "{prompt}");
    for item in ["c", "b", "a"] {
        assert!(bench.orders.keys().all(|task| task != "report"), "not before all are over");
        bench.succeed(&format!("score[{item}]"), json!({ "of": item }));
    }
    assert_eq!(bench.value("score"), json!([{ "of": "b" }, { "of": "a" }, { "of": "c" }]));
    assert_eq!(bench.live(), "hold report");
    assert_eq!(rebuilt(&bench).tasks, bench.run().tasks, "replaying gives the same");
    assert_eq!(rebuilt(&bench).plan, bench.run().plan);
}

#[test]
fn an_empty_list_is_done_and_a_list_that_is_none_fails() {
    let mut empty = bench(&mapped("", |_, _| {}));
    empty.succeed("list", json!([]));
    assert_eq!((empty.task("score").state, empty.value("score")), (TaskState::Success, json!([])));
    assert_eq!(empty.live(), "hold report");
    let mut few = bench(&mapped("", |_, rule| rule.min_items = 1));
    few.succeed("list", json!([]));
    assert_eq!(few.task("score").state, TaskState::Failed);
    let mut wrong = bench(&mapped("", |_, _| {}));
    wrong.succeed("list", json!(7));
    let message = wrong.task("score").error.clone().unwrap().message;
    assert!(message.contains("was given a number"), "{message}");
}

/// Features K8, K9, K21: what failed is named, what succeeded is kept, and how much is enough is
/// the plan's word.
#[test]
fn how_many_must_succeed_is_said_by_the_plan() {
    let run = |head: &str, least: Option<MinSuccess>, failing: &[&str]| {
        let mut bench = bench(&mapped(head, |_, rule| rule.min_success = least));
        bench.succeed("list", json!(["a", "b", "c", "d"]));
        for item in ["a", "b", "c", "d"] {
            let task = format!("score[{item}]");
            if failing.contains(&item) {
                bench.fail(&task, Outcome::ExitCode);
            } else {
                bench.succeed(&task, json!(item));
            }
        }
        bench
    };
    let goes_on = "continue";
    assert_eq!(run(goes_on, None, &["b", "d"]).value("score"), json!(["a", "c"]));
    assert_eq!(run(goes_on, None, &["a", "b", "c", "d"]).task("score").state, TaskState::Failed);
    let share = Some(MinSuccess::Share(0.75));
    assert_eq!(run("", share, &["b"]).value("score"), json!(["a", "c", "d"]));
    let short = run("", share, &["b", "d"]);
    let error = short.facts.iter().find_map(|fact| {
        let Fact::Run { fact: RunFact::TaskFailed { task, error, .. }, .. } = fact else {
            return None;
        };
        (task.as_str() == "score").then(|| error.message.clone())
    });
    assert_eq!(
        error.unwrap(),
        "2 of 4 items failed, and at least 3 must succeed (`min_success`): score[b]: ended as \
         exit-code; score[d]: ended as exit-code"
    );
    assert_eq!(run("", Some(MinSuccess::Count(1)), &["a", "b", "c"]).value("score"), json!(["d"]));
}

/// Features O1-O6, Z17: items are entries of the document, gaps name them, the sums hold.
#[test]
fn the_document_names_items_and_gaps() {
    let mut bench = bench(&mapped("continue", |_, _| {}));
    bench.succeed("list", json!(["a", "b"]));
    bench.fail("score[b]", Outcome::Timeout);
    bench.succeed("score[a]", json!(1));
    bench.succeed("report", json!("r"));
    let view = |bench: &Bench| {
        let document = document(bench.run(), None, bench.now);
        document["execution_results"].clone()
    };
    let results = view(&bench);
    let entries = results["phases"][0]["tasks"].as_array().unwrap();
    let names: Vec<(&Value, &Value)> =
        entries.iter().map(|entry| (&entry["task_id"], &entry["item_key"])).collect();
    let (score, none) = (json!("score"), Value::Null);
    assert_eq!(names[1..4], [(&score, &none), (&score, &json!("a")), (&score, &json!("b"))]);
    assert_eq!(results["summary"]["total_tasks"], json!(6));
    assert_eq!(results["summary"]["timeout"], json!(1));
    assert_eq!(results["summary"]["gaps"][0]["task"], json!("score[b]"));
    let failed = gather::failed(bench.run(), &TaskId::new("score")).unwrap();
    assert_eq!(failed, [json!({ "key": "b", "error": "ended as timeout" })]);
    let all = gather::results(bench.run(), &TaskId::new("score")).unwrap();
    assert_eq!(all[0], json!({ "key": "a", "status": "success", "output": 1, "error": null }));
    assert_eq!(finals(&bench.run().plan), [TaskId::new("report"), TaskId::new("hold")]);
    bench.succeed("hold", json!("h"));
    assert_eq!(view(&bench)["status"], json!("partial"));
}

/// Features C13, K9, must: adding an entry has nothing else done again; a retry of the whole does
/// again what failed; what is gone from the list is gone.
#[test]
fn what_is_done_stays_done() {
    let mut bench = bench(&mapped("continue", |_, _| {}));
    bench.succeed("list", json!(["a", "b", "c"]));
    bench.succeed("score[a]", json!("A"));
    bench.fail("score[b]", Outcome::ExitCode);
    bench.succeed("score[c]", json!("C"));
    bench.succeed("report", json!("r"));
    // The whole again: only what failed has another attempt.
    bench.reset(&["score", "report"]);
    assert_eq!(bench.live(), "hold score[b]");
    assert_eq!(bench.orders["score[b]"].n, 2, "attempts are counted on");
    bench.fail("score[b]", Outcome::ExitCode);
    assert_eq!(bench.value("score"), json!(["A", "C"]));
    bench.succeed("report", json!("r2"));
    // One item again: its task gathers again.
    bench.reset(&["score[b]", "report"]);
    assert_eq!(bench.live(), "hold score[b]");
    bench.succeed("score[b]", json!("B"));
    assert_eq!(bench.value("score"), json!(["A", "B", "C"]));
    bench.succeed("report", json!("r3"));
    // Another list: one is new, one is gone, and the order is another.
    bench.reset(&["list", "score", "report"]);
    bench.succeed("list", json!(["d", "c", "a"]));
    assert_eq!(bench.live(), "hold score[d]");
    assert!(bench.run().task(&TaskId::new("score[b]")).is_none(), "it is gone");
    bench.succeed("score[d]", json!("D"));
    assert_eq!(bench.value("score"), json!(["D", "C", "A"]));
    assert_eq!(bench.live(), "hold report");
    assert_eq!(rebuilt(&bench).tasks, bench.run().tasks);
}

/// An item whose content changed is done again, under its key.
#[test]
fn a_changed_item_is_done_again() {
    let key = Edge::Item { path: vec![json!("id")] };
    let mut bench = bench(&mapped("", |_, rule| rule.key = Some(reference(key.clone()))));
    bench.succeed("list", json!([{ "id": "a", "v": 1 }, { "id": "b", "v": 1 }]));
    bench.succeed("score[a]", json!("A"));
    bench.succeed("score[b]", json!("B"));
    bench.succeed("report", json!("r"));
    bench.reset(&["list", "score", "report"]);
    bench.succeed("list", json!([{ "id": "a", "v": 2 }, { "id": "b", "v": 1 }]));
    assert_eq!(bench.live(), "hold score[a]");
}

/// Features C15, C16: when the time is up, the rest is stopped and what there is is taken.
#[test]
fn what_is_late_is_stopped() {
    let mut bench = bench(&mapped("max_parallel = 3", |_, rule| {
        rule.gather_timeout_ms = Some(60_000);
    }));
    bench.succeed("list", json!(["a", "b", "c", "d"]));
    assert_eq!(bench.live(), "hold score[a] score[b]");
    assert_eq!(bench.workflow.next_deadline(), Some(Moment(61_000)));
    bench.succeed("score[a]", json!("A"));
    bench.pass(60_000);
    assert_eq!(bench.stops, 2, "b and c run and are told; d has not begun");
    assert_eq!(bench.task("score[d]").state, TaskState::Cancelled);
    assert_eq!(bench.workflow.next_deadline(), None, "it is not late twice");
    bench.pass(1_000);
    assert_eq!(bench.stops, 2);
    // One ends as told, the other fails on its own: no attempt follows either.
    bench.fail("score[b]", Outcome::Cancelled);
    bench.succeed("score[c]", json!("C"));
    assert_eq!(bench.value("score"), json!(["A", "C"]));
    let failed = gather::failed(bench.run(), &TaskId::new("score")).unwrap();
    assert_eq!(failed[0], json!({ "key": "b", "error": "skipped: stopped" }));
}

/// Feature C12: a thousand items cost a thousand times what one costs, not a million times.
#[test]
fn the_work_grows_with_the_items_and_no_faster() {
    let work = |count: usize| {
        let mut bench = bench(&mapped("max_parallel = 20", retried_once));
        let list: Vec<String> = (0..count).map(|n| format!("i{n:04}")).collect();
        bench.succeed("list", json!(list));
        let before = looks::looks();
        let mut done = 0;
        while let Some(task) = bench.orders.keys().find(|task| task.starts_with("score[")).cloned()
        {
            let Order { attempt, n, .. } = bench.orders[&task].clone();
            bench.hear(Event::AttemptRunning { run: run_id(1), attempt });
            done += 1;
            if n == 1 && done % 10 == 0 {
                bench.fail(&task, Outcome::ExitCode);
                bench.pass(10_000);
            } else {
                bench.succeed(&task, json!("done"));
            }
        }
        assert_eq!(bench.value("score").as_array().unwrap().len(), count);
        looks::looks() - before
    };
    let (hundred, thousand) = (work(100), work(1000));
    assert!(thousand < hundred * 13, "100 items: {hundred} looks, 1000 items: {thousand}");
    assert!(thousand < 200_000, "{thousand} looks for 1000 items");
}

/// Features A16, C10, K9: two of three are enough where the phase says so, and one is not.
#[test]
fn a_phase_may_say_how_many_must_succeed() {
    let panel = |fail: &[&str]| {
        let list = [("a", "retries = 0"), ("b", "retries = 0"), ("c", "retries = 0"), ("d", "")];
        let mut plan = plan(&tasks("", &list));
        let mut second = plan.phases[0].clone();
        second.id = "second".to_owned();
        second.depends_on = vec![plan.phases[0].id.clone()];
        second.tasks = vec![plan.phases[0].tasks.pop().unwrap()];
        plan.phases[0].min_success = Some(MinSuccess::Count(2));
        plan.phases[0].on_partial_failure = OnPartialFailure::Abort;
        plan.phases.push(second);
        plan.tasks[3].phase = "second".to_owned();
        let after = |id: &str| crate::plan::DependsOn {
            task: TaskId::new(id),
            cause: crate::plan::DependsCause::Phase,
            hard: false,
        };
        plan.tasks[3].needs = ["a", "b", "c"].map(after).into();
        let mut bench = bench(&plan);
        for task in ["a", "b", "c"] {
            if !bench.orders.contains_key(task) {
                continue;
            }
            if fail.contains(&task) {
                bench.fail(task, Outcome::ExitCode);
            } else {
                bench.succeed(task, json!(task));
            }
        }
        bench
    };
    let mut enough = panel(&["a"]);
    assert_eq!((enough.live().as_str(), enough.stops), ("d", 0));
    enough.succeed("d", json!("d"));
    assert_eq!(enough.run().outcome, Some(RunOutcome::Partial));
    let too_few = panel(&["a", "b"]);
    assert_eq!(too_few.stops, 1, "what cannot be enough any more is stopped");
}

/// Features C16, A13: a phase has a limit of its own, and a time of its own.
#[test]
fn a_phase_may_limit_its_own_attempts_and_time() {
    let list = [("a", ""), ("b", ""), ("c", "")];
    let mut plan = plan(&tasks("", &list));
    plan.phases[0].max_parallel = Some(2);
    plan.phases[0].gather_timeout_ms = Some(5_000);
    let mut bench = bench(&plan);
    assert_eq!(bench.live(), "a b");
    bench.succeed("a", json!("A"));
    assert_eq!(bench.live(), "b c");
    bench.pass(5_000);
    assert_eq!(bench.stops, 2);
    bench.fail("b", Outcome::Cancelled);
    bench.fail("c", Outcome::Cancelled);
    assert_eq!(bench.run().outcome, Some(RunOutcome::Partial));
    assert_eq!(bench.task("c").skip, Some(SkipReason::Stopped));
}

/// Features C15, E10: the time in which enough is to be gathered does not run while a person has
/// paused the run, and runs on where it waits for a usage limit.
#[test]
fn the_time_of_a_phase_stands_still_in_a_pause() {
    let paused = |by_limit: bool| {
        let mut plan = plan(&tasks("", &[("a", ""), ("b", "")]));
        plan.phases[0].gather_timeout_ms = Some(5_000);
        let mut bench = bench(&plan);
        bench.pass(2_000);
        if by_limit {
            let (agent, until) = ("claude".to_owned(), Moment(900_000));
            bench.hear(Event::AgentParked { agent, until });
            for task in ["a", "b"] {
                bench.fail(task, Outcome::RateLimited);
            }
        } else {
            bench.hear(Event::PauseAsked { run: run_id(1), stop: false });
        }
        assert_eq!(bench.run().state, RunState::Paused);
        bench
    };
    let mut wanted = paused(false);
    assert_eq!(wanted.workflow.next_deadline(), None);
    wanted.pass(60_000);
    assert_eq!(wanted.stops, 0);
    wanted.hear(Event::ResumeAsked { run: run_id(1) });
    assert_eq!(wanted.workflow.next_deadline(), Some(Moment(wanted.now.0 + 3_000)));
    wanted.pass(2_999);
    assert_eq!(wanted.stops, 0);
    wanted.pass(1);
    assert_eq!(wanted.stops, 2);

    let mut limited = paused(true);
    assert_eq!(limited.workflow.next_deadline(), Some(Moment(6_000)));
    limited.pass(3_000);
    assert_eq!(limited.task("a").state, TaskState::Cancelled);
    assert!(limited.run().state.is_end());
}

/// Feature F2: an item is retried like any task, with the error in its prompt.
#[test]
fn items_are_retried_like_tasks() {
    let mut bench = bench(&mapped("", retried_once));
    bench.succeed("list", json!(["a"]));
    bench.fail("score[a]", Outcome::ExitCode);
    assert_eq!(bench.task("score[a]").state, TaskState::RetryWait);
    bench.pass(10_000);
    let order = &bench.orders["score[a]"];
    assert_eq!((order.n, order.reason), (2, StartReason::Retry));
    assert!(order.prompt.as_deref().unwrap().contains("Previous attempt"));
}

/// Features K10, K12, Z6: items that wait for a slot are work like any other, so nothing of them is
/// started after the third failure, and a person is asked.
#[test]
fn the_breaker_stops_items_that_wait() {
    let first = "retries = 0\npriority = 5";
    let list = [("a", first), ("b", first), ("c", first), ("d", "priority = 6"), ("score", "")];
    let mut plan = plan(&tasks("max_parallel = 1", &list));
    let score = plan.tasks.iter_mut().find(|task| task.id.as_str() == "score").unwrap();
    let items = (0..8).map(Value::from).collect();
    score.for_each = Some(Box::new(rule(InputValue::Plain(items))));
    let mut bench = bench(&plan);
    bench.succeed("d", json!("x"));
    for task in ["a", "b", "c"] {
        bench.fail(task, Outcome::ExitCode);
    }
    assert_eq!((bench.live().as_str(), bench.run().state), ("", RunState::Paused));
    assert!(bench.run().asks_about_failures());
    bench.hear(Event::Answered {
        run: run_id(1),
        ask: "failures-1".to_owned(),
        answer: crate::model::ask::ACCEPT.to_owned(),
        by: "person".to_owned(),
    });
    assert_eq!(bench.run().outcome, Some(RunOutcome::Partial));
}

/// A run of little but `score` for thirty entries, so many of which must succeed.
fn thirty(least: Option<MinSuccess>) -> Bench {
    let list = [("hold", ""), ("score", "retries = 0")];
    let mut plan = plan(&tasks("max_parallel = 3", &list));
    let items = (0..30).map(Value::from).collect();
    let mut for_each = rule(InputValue::Plain(items));
    for_each.key = Some(reference(Edge::Item { path: Vec::new() }));
    for_each.min_success = least;
    plan.tasks[1].for_each = Some(Box::new(for_each));
    let mut bench = bench(&plan);
    bench.succeed("hold", json!("x"));
    bench
}

/// Features K10, K12: an item is a task like any other, so that of a map that fails throughout not
/// every item is tried before a person is asked; `retry` does again what failed.
#[test]
fn items_that_fail_count_for_the_breaker() {
    let mut bench = thirty(None);
    for item in ["score[0]", "score[1]", "score[2]"] {
        assert_eq!(bench.run().state, RunState::Running);
        bench.fail(item, Outcome::ExitCode);
    }
    assert_eq!((bench.live().as_str(), bench.run().state), ("score[3] score[4]", RunState::Paused));
    bench.succeed("score[3]", json!(3));
    bench.succeed("score[4]", json!(4));
    assert_eq!(bench.live(), "");
    bench.hear(Event::Answered {
        run: run_id(1),
        ask: "failures-1".to_owned(),
        answer: crate::model::ask::RETRY.to_owned(),
        by: "person".to_owned(),
    });
    while let Some(item) = bench.orders.keys().next().cloned() {
        bench.succeed(&item, json!(item));
    }
    assert_eq!(bench.run().outcome, Some(RunOutcome::Completed));
    assert_eq!((bench.task("score[0]").n, bench.task("score[3]").n), (2, 1));
}

/// A map that says how many must succeed bears the failures of the others; it counts once, itself.
#[test]
fn a_map_that_bears_failures_is_not_asked_about() {
    let mut bench = thirty(Some(MinSuccess::Share(0.1)));
    for at in 0..27 {
        bench.fail(&format!("score[{at}]"), Outcome::ExitCode);
    }
    assert_eq!(
        (bench.live().as_str(), bench.run().state),
        ("score[27] score[28] score[29]", RunState::Running)
    );
    for at in 27..30 {
        bench.succeed(&format!("score[{at}]"), json!(at));
    }
    assert_eq!(bench.run().outcome, Some(RunOutcome::Partial));
}
