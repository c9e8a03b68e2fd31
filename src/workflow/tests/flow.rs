//! How a run is steered: conditions, questions, the breaker, pauses, doing again, limits of time.

use super::*;
use crate::model::ask::{ACCEPT, APPROVE, PLAN, REJECT, RETRY};
use crate::model::pause::{FAILURES, LIMIT};
use crate::model::{AskKind, RunOutcome};
use crate::plan::{
    self, Comparison, Condition, Edge, Expiry, InputValue, Origin, Template, TemplatePart, Work,
};

/// A run of a plan that the checker made and the test changed.
pub(super) fn changed(text: &str, change: impl FnOnce(&mut Plan)) -> Bench {
    let mut plan = plan(text);
    change(&mut plan);
    let mut bench = Bench::new(100);
    bench.hear(Event::Submitted(Box::new(submission(1, &plan))));
    bench
}

pub(super) fn set(plan: &mut Plan, id: &str, change: impl FnOnce(&mut plan::Task)) {
    let task = plan.tasks.iter_mut().find(|task| task.id.as_str() == id).expect("it is there");
    change(task);
}

fn output_of(task: &str, path: &[&str]) -> InputValue {
    let to = Edge::Output {
        task: TaskId::new(task),
        path: path.iter().map(|step| json!(step)).collect(),
    };
    let written = format!("${{{task}.output}}");
    let part = TemplatePart::Reference { written, to, default: None };
    InputValue::Text(Template { parts: vec![part] })
}

fn is(task: &str, field: &str, word: &str) -> Condition {
    Condition::Compare {
        left: output_of(task, &[field]),
        by: Comparison::Equal,
        right: InputValue::Plain(json!(word)),
    }
}

fn states(bench: &Bench) -> String {
    let tasks = bench.run().tasks().map(|(plan, task)| format!("{}:{}", plan.id, task.state));
    tasks.collect::<Vec<_>>().join(" ")
}

impl Bench {
    pub(super) fn answer(&mut self, ask: &str, answer: &str) {
        self.hear(Event::Answered {
            run: run_id(1),
            ask: ask.to_owned(),
            answer: answer.to_owned(),
            by: "person".to_owned(),
        });
    }

    pub(super) fn again(&mut self, task: Option<&str>, downstream: bool) {
        let tasks = what_again(self.run(), task, downstream).unwrap();
        self.hear(Event::AgainAsked { run: run_id(1), tasks });
    }

    fn open(&self) -> Vec<String> {
        self.run().open_questions().map(|question| question.ask.id.clone()).collect()
    }

    pub(super) fn pause(&mut self, stop: bool) {
        self.hear(Event::PauseAsked { run: run_id(1), stop });
    }

    pub(super) fn resume(&mut self) {
        self.hear(Event::ResumeAsked { run: run_id(1) });
    }
}

/// `when`: a false one skips the task and its readers, and is no gap; a value that is not there is
/// an error that names who should have given it (ruling Z7).
#[test]
fn a_condition_decides_whether_a_task_is_done() {
    let text = tasks(
        "",
        &[
            ("review", "output = { verdict = \"string\" }"),
            ("fix", "depends_on = [\"review\"]"),
            ("tell", "depends_on = [\"fix\"]"),
            ("log", "depends_on = [\"review\"]"),
        ],
    );
    let conditions = |verdict: &str| {
        let mut bench = changed(&text, |plan| {
            set(plan, "fix", |task| task.when = Some(is("review", "verdict", "reject")));
        });
        bench.succeed("review", json!({ "verdict": verdict }));
        bench
    };
    let mut bench = conditions("approve");
    assert_eq!(
        states(&bench),
        "review:success fix:skipped tell:skipped log:running".replace("running", "starting")
    );
    assert_eq!(bench.task("fix").skip, Some(SkipReason::WhenFalse));
    assert_eq!(bench.task("tell").skip, Some(SkipReason::Upstream));
    bench.succeed("log", json!("x"));
    assert_eq!(
        bench.run().outcome,
        Some(RunOutcome::Completed),
        "what the plan left out is no gap"
    );
    let document = document(bench.run(), None, bench.now);
    assert_eq!(document["execution_results"]["summary"]["gaps"], json!([]));
    assert_eq!(conditions("reject").live(), "fix log");
    let mut bench = changed(&text, |plan| {
        set(plan, "fix", |task| task.when = Some(is("review", "absent", "reject")));
    });
    bench.succeed("review", json!({ "verdict": "reject" }));
    let error = bench.task("fix").error.as_ref().unwrap();
    assert!(error.message.contains("task `review` gave no `output.absent`"), "{error:?}");
}

/// The condition of a phase is that of all its tasks.
#[test]
fn a_phase_has_a_condition_too() {
    let text = "plan = \"p\"\ngoal = \"g\"\n[[phase]]\nid = \"one\"\n[[phase.task]]\nid = \"a\"\n\
        agent = \"claude\"\ndescription = \"d\"\noutput = { go = \"string\" }\n[[phase]]\nid = \"two\"\n\
        depends_on_phases = [\"one\"]\n[[phase.task]]\nid = \"b\"\nagent = \"claude\"\n\
        description = \"d\"\n[[phase.task]]\nid = \"c\"\nagent = \"claude\"\ndescription = \"d\"\n";
    let mut bench = changed(text, |plan| plan.phases[1].when = Some(is("a", "go", "yes")));
    bench.succeed("a", json!({ "go": "no" }));
    assert_eq!(states(&bench), "a:success b:skipped c:skipped");
    assert_eq!(bench.run().outcome, Some(RunOutcome::Completed));
}

fn approving(expiry: Option<Expiry>) -> Bench {
    let text =
        tasks("max_parallel = 1", &[("go", ""), ("work", "depends_on = [\"go\"]"), ("other", "")]);
    changed(&text, |plan| {
        set(plan, "go", |task| {
            task.work = Work::Approve { ask: Template::text("Ship it?"), expiry };
        });
    })
}

/// A task of kind `approve` waits without a slot; the first answer counts (ruling Z13, research
/// 5.6). A no is the failure `refused`, and its readers are skipped.
#[test]
fn an_approval_waits_for_a_person_and_takes_no_slot() {
    let mut bench = approving(None);
    assert_eq!((bench.live().as_str(), bench.task("go").state), ("other", TaskState::Waiting));
    assert_eq!(bench.open(), ["go"]);
    assert!(!bench.workflow.waits_for_person(&run_id(1)), "other runs");
    bench.succeed("other", json!("x"));
    assert!(bench.workflow.waits_for_person(&run_id(1)));
    bench.answer("go", "perhaps");
    assert_eq!(bench.open(), ["go"], "a word that is no answer changes nothing");
    bench.answer("go", APPROVE);
    bench.answer("go", REJECT);
    assert_eq!(bench.live(), "work");
    let question = bench.run().question("go").unwrap();
    assert_eq!(question.answer, Some((APPROVE.to_owned(), "person".to_owned())));

    let mut bench = approving(None);
    bench.answer("go", REJECT);
    assert_eq!(bench.task("go").error.as_ref().unwrap().outcome, Outcome::Refused);
    assert_eq!(bench.task("work").skip, Some(SkipReason::Upstream));
}

/// The end of a question is data: it holds over restarts, and answers by itself.
#[test]
fn a_question_that_nobody_answers_is_answered_by_time() {
    for (then, state) in [("reject", TaskState::Failed), ("approve", TaskState::Success)] {
        let expiry = Expiry { after_ms: 60_000, then: then.to_owned() };
        let mut bench = approving(Some(expiry));
        assert_eq!(bench.workflow.next_deadline(), Some(Moment(61_000)));
        bench.pass(59_999);
        assert_eq!(bench.task("go").state, TaskState::Waiting);
        bench.pass(1);
        assert_eq!(bench.task("go").state, state);
        bench.answer("go", APPROVE);
        let by = bench.run().question("go").unwrap().answer.clone().unwrap().1;
        assert_eq!(by, "time");
        assert_eq!(bench.workflow.next_deadline(), None);
    }
}

/// `approval = "each-phase"`: every phase that follows another one is asked about, once.
#[test]
fn every_phase_can_wait_for_a_yes() {
    let text = "plan = \"p\"\ngoal = \"g\"\n[[phase]]\nid = \"one\"\n[[phase.task]]\nid = \"a\"\n\
        agent = \"claude\"\ndescription = \"d\"\n[[phase]]\nid = \"two\"\ndepends_on_phases = [\"one\"]\n\
        [[phase.task]]\nid = \"b\"\nagent = \"claude\"\ndescription = \"d\"\n[[phase.task]]\nid = \"c\"\n\
        agent = \"claude\"\ndescription = \"d\"\n";
    let start = || {
        let mut plan = plan(text);
        plan.approval = Approval::EachPhase;
        let mut bench = Bench::new(9);
        let submission = Submission { needs_approval: true, ..submission(1, &plan) };
        bench.hear(Event::Submitted(Box::new(submission)));
        assert_eq!(bench.open(), ["plan"]);
        bench.answer(PLAN, APPROVE);
        assert_eq!(bench.live(), "a");
        bench.succeed("a", json!("x"));
        assert_eq!((bench.live().as_str(), bench.open()), ("", vec!["phase:two".to_owned()]));
        assert!(bench.workflow.waits_for_person(&run_id(1)));
        bench
    };
    let mut bench = start();
    bench.answer("phase:two", APPROVE);
    assert_eq!(bench.live(), "b c");
    let mut bench = start();
    bench.answer("phase:two", REJECT);
    assert_eq!(states(&bench), "a:success b:skipped c:skipped");
    assert_eq!(bench.run().outcome, Some(RunOutcome::Partial));
    // Taken up again, it is asked about again.
    bench.again(None, false);
    assert_eq!(bench.open(), ["phase:two"]);
    bench.answer("phase:two", APPROVE);
    assert_eq!(bench.live(), "b c");
}

/// `approval_expires`: nobody's answer in time is a no, to the plan and to each phase.
#[test]
fn approvals_of_plans_and_phases_expire() {
    let text = "plan = \"p\"\ngoal = \"g\"\napproval = \"each-phase\"\napproval_expires = \"24h\"\n\
        [[phase]]\nid = \"one\"\n[[phase.task]]\nid = \"a\"\nagent = \"claude\"\ndescription = \"d\"\n\
        [[phase]]\nid = \"two\"\ndepends_on_phases = [\"one\"]\n\
        [[phase.task]]\nid = \"b\"\nagent = \"claude\"\ndescription = \"d\"\n";
    let day = 24 * 60 * 60 * 1_000;
    let start = || {
        let mut bench = Bench::new(9);
        let submission = Submission { needs_approval: true, ..submission(1, &plan(text)) };
        bench.hear(Event::Submitted(Box::new(submission)));
        assert_eq!(bench.workflow.next_deadline(), Some(Moment(1_000 + day)));
        bench
    };
    let mut bench = start();
    bench.pass(day);
    assert_eq!(bench.run().outcome, Some(RunOutcome::Cancelled));
    let mut bench = start();
    bench.answer(PLAN, APPROVE);
    bench.succeed("a", json!("x"));
    assert_eq!(bench.open(), ["phase:two"]);
    bench.pass(day);
    assert_eq!(states(&bench), "a:success b:skipped");
}

fn five() -> Bench {
    let keys = "retries = 0";
    Bench::of(&tasks(
        "max_parallel = 4",
        &[
            ("a", keys),
            ("b", keys),
            ("c", keys),
            ("d", keys),
            ("e", keys),
            ("f", "depends_on = [\"a\"]"),
        ],
    ))
}

fn broken() -> Bench {
    let mut bench = five();
    bench.fail("a", Outcome::ExitCode);
    bench.succeed("b", json!("x"));
    bench.fail("c", Outcome::Timeout);
    assert_eq!(bench.run().state, RunState::Running);
    bench.fail("d", Outcome::ExitCode);
    bench
}

/// Features K10, K11, K12, ruling Z6: after three final failures nothing more is started, and a
/// person is asked, word for word.
#[test]
fn after_three_failures_a_person_is_asked() {
    let mut bench = broken();
    assert_eq!((bench.run().state, bench.run().why.as_deref()), (RunState::Paused, Some(FAILURES)));
    let question = bench.run().open_questions().next().unwrap().clone();
    assert_eq!(question.ask.kind, AskKind::Failures);
    assert_eq!(
        question.ask.question,
        "1 of 6 tasks completed. Failed tasks: [a, c, d]. Partial results available."
    );
    assert_eq!(question.ask.answers, ["retry", "adjust", "accept"]);
    assert_eq!(bench.live(), "e", "what runs goes on");
    bench.resume();
    assert_eq!(bench.run().state, RunState::Paused, "a decision is wanted");
    bench.succeed("e", json!("x"));
    assert_eq!(bench.run().state, RunState::Paused, "it is not over before somebody decided");
    assert!(bench.workflow.waits_for_person(&run_id(1)));
    assert!(bench.run().asked_now(&question).starts_with("2 of 6 tasks"), "it tells what holds");
    bench.answer("failures-1", RETRY);
    assert_eq!(bench.live(), "a c d");
    assert_eq!(bench.task("b").state, TaskState::Success);
    bench.succeed("a", json!("x"));
    for task in ["c", "d"] {
        bench.succeed(task, json!("x"));
    }
    assert_eq!(bench.live(), "f", "what was skipped because of a failure is done again");
    bench.succeed("f", json!("x"));
    assert_eq!(bench.run().outcome, Some(RunOutcome::Completed));
}

/// Feature K12: what would be skipped again is not said to be done; what hinders it is named.
#[test]
fn what_lacks_something_is_not_done_again_alone() {
    let needs = |of: &str| format!("depends_on = [\"{of}\"]");
    let (b, c) = (needs("a"), needs("b"));
    let mut bench = Bench::of(&tasks("", &[("a", "retries = 0"), ("b", &b), ("c", &c)]));
    bench.fail("a", Outcome::ExitCode);
    let run = bench.workflow.take_ended().remove(0);
    let error = what_again(&run, Some("c"), false).unwrap_err();
    let (task, by) = (TaskId::new("c"), TaskId::new("a"));
    let state = TaskState::Failed;
    assert_eq!(error, NotAgain::Hindered { run: run_id(1), task, by, state });
    let command = format!("`muxvisor retry {} --task a --with-downstream`", run_id(1));
    assert!(error.to_string().contains(&command), "{error}");
    let all = what_again(&run, Some("a"), true).unwrap();
    assert_eq!(all, ["a", "b", "c"].map(TaskId::new));
}

/// What is being ended is not begun again before it is over.
#[test]
fn a_run_that_ends_is_not_begun_again() {
    let mut bench = broken();
    bench.answer("failures-1", ACCEPT);
    let ends = NotAgain::Ends(run_id(1));
    assert_eq!(what_again(bench.run(), None, false), Err(ends.clone()));
    bench.fail("e", Outcome::Cancelled);
    assert!(bench.run().state.is_end());
    bench.again(None, false);
    assert_eq!(bench.live(), "a c d e");
}

/// Features K9, K19, K21: partial results are taken when a person says so, gaps named.
#[test]
fn a_person_can_take_partial_results() {
    let mut bench = broken();
    bench.answer("failures-1", ACCEPT);
    assert_eq!(bench.stops, 1, "what runs is stopped");
    bench.fail("e", Outcome::ExitCode);
    assert_eq!(bench.run().outcome, Some(RunOutcome::Partial));
    let document = document(bench.run(), None, bench.now);
    let gaps = document["execution_results"]["summary"]["gaps"].as_array().unwrap().clone();
    assert_eq!(gaps.len(), 5, "{gaps:?}");
}

/// Feature K6: when nothing at all succeeded nobody is asked; the first error is the cause.
#[test]
fn when_everything_failed_the_run_has_failed() {
    let keys = "retries = 0";
    let mut bench = Bench::of(&tasks("", &[("a", keys), ("b", keys), ("c", keys)]));
    for task in ["c", "b", "a"] {
        bench.fail(task, Outcome::ExitCode);
    }
    assert_eq!(bench.run().outcome, Some(RunOutcome::Failed));
    assert_eq!(bench.run().root_cause.as_deref(), Some("a: ended as exit-code"));
    let after = ("e", "depends_on = [\"d\"]");
    let list = [("a", keys), ("b", keys), ("c", keys), ("d", keys), after];
    let mut bench = Bench::of(&tasks("", &list));
    for task in ["c", "b", "a"] {
        bench.fail(task, Outcome::ExitCode);
    }
    assert_eq!(bench.run().state, RunState::Paused);
    bench.fail("d", Outcome::ExitCode);
    assert_eq!(bench.run().outcome, Some(RunOutcome::Failed));
}

/// Features K12, K17: an edited plan keeps the results of what it leaves as it was.
#[test]
fn an_edited_plan_keeps_what_it_does_not_change() {
    let keys = "retries = 0";
    let text = |a: &str| {
        tasks("", &[("a", a), ("b", keys), ("c", "depends_on = [\"a\", \"b\"]"), ("d", keys)])
    };
    let mut bench = Bench::of(&text(keys));
    bench.succeed("b", json!("b1"));
    bench.succeed("d", json!("d1"));
    bench.fail("a", Outcome::ExitCode);
    assert_eq!(bench.run().outcome, Some(RunOutcome::Partial));
    let new = plan(&text("retries = 1\npriority = 3"));
    let edit = edit(bench.run(), new).unwrap();
    assert_eq!(edit.again, [TaskId::new("a"), TaskId::new("c")]);
    bench.hear(Event::Adjusted { run: run_id(1), text: "new".to_owned(), edit: Box::new(edit) });
    assert_eq!(bench.live(), "a");
    assert_eq!(bench.task("b").output, Some(Output::of(json!("b1"))));
    // A task that was taken out is gone, one that is new is done, with what reads it.
    let new =
        tasks("", &[("b", keys), ("x", ""), ("c", "depends_on = [\"x\", \"b\"]"), ("d", keys)]);
    let edit_of_live = super::edit(bench.run(), plan(&new));
    assert_eq!(edit_of_live.unwrap_err(), NotAgain::Lives(TaskId::new("a")));
    bench.succeed("a", json!("a1"));
    bench.succeed("c", json!("c1"));
    let edit = super::edit(bench.run(), plan(&new)).unwrap();
    assert_eq!(edit.again, [TaskId::new("c")]);
    bench.hear(Event::Adjusted { run: run_id(1), text: "new".to_owned(), edit: Box::new(edit) });
    assert_eq!(bench.live(), "x");
    assert!(bench.run().task(&TaskId::new("a")).is_none());
    bench.succeed("x", json!("x1"));
    bench.succeed("c", json!("c2"));
    assert_eq!(bench.run().outcome, Some(RunOutcome::Completed));
}

/// Features E10, E11: paused, nothing is started and what runs goes on; the pause may last a
/// night, and costs no deadline.
#[test]
fn a_pause_starts_nothing_and_a_resume_goes_on() {
    let list = [("a", "retries = 1"), ("b", "depends_on = [\"a\"]")];
    let mut bench = Bench::of(&tasks("", &list));
    bench.pause(false);
    bench.fail("a", Outcome::ExitCode);
    assert_eq!(bench.task("a").state, TaskState::RetryWait);
    assert_eq!(bench.workflow.next_deadline(), None, "a pause waits for nobody but a person");
    bench.pass(12 * 3_600_000);
    assert_eq!(bench.live(), "");
    bench.resume();
    assert_eq!(bench.live(), "a");
    bench.pause(false);
    bench.succeed("a", json!("x"));
    assert_eq!((bench.live().as_str(), bench.run().state), ("", RunState::Paused));
    bench.resume();
    assert_eq!(bench.live(), "b");
}

/// A pause can stop what runs; it is made again, and no retry is used.
#[test]
fn a_pause_that_stops_uses_no_retry() {
    let mut bench = Bench::of(&one_task("retries = 0"));
    bench.pause(true);
    assert_eq!(bench.stops, 1);
    bench.resume();
    assert_eq!(bench.live(), "a", "nothing new is started before the old one is gone");
    bench.fail("a", Outcome::Cancelled);
    assert_eq!((bench.live().as_str(), bench.task("a").n, bench.task("a").used), ("a", 2, 0));
    assert_eq!(bench.task("a").counted(), 1, "the one that was stopped is not counted");
    bench.pause(false);
    bench.pause(true);
    assert_eq!(bench.stops, 2, "a pause can be made stricter");
    bench.fail("a", Outcome::Cancelled);
    assert_eq!(bench.task("a").state, TaskState::Blocked);
    bench.resume();
    bench.succeed("a", json!("x"));
    assert_eq!(bench.run().outcome, Some(RunOutcome::Completed));
}

/// Features E12, F4: a cancel ends a paused run too, and one that asks.
#[test]
fn a_cancel_ends_whatever_waits() {
    for mut bench in [broken(), approving(None)] {
        bench.hear(Event::CancelAsked { run: run_id(1) });
        for task in bench.orders.keys().cloned().collect::<Vec<_>>() {
            bench.fail(&task, Outcome::Cancelled);
        }
        assert_eq!(bench.run().outcome, Some(RunOutcome::Cancelled));
        assert_eq!(bench.open(), Vec::<String>::new());
    }
}

/// Feature K7, ruling Z20: when everything waits for a usage limit the run is paused, and goes on
/// when the limit is over.
#[test]
fn a_run_that_only_waits_for_a_limit_is_paused() {
    let mut bench = Bench::of(&tasks("", &[("a", ""), ("b", "depends_on = [\"a\"]")]));
    let until = Moment(900_000);
    bench.hear(Event::AgentParked { agent: "claude".to_owned(), until });
    assert_eq!(bench.run().state, RunState::Running, "a lives");
    bench.fail("a", Outcome::RateLimited);
    assert_eq!((bench.run().state, bench.run().why.as_deref()), (RunState::Paused, Some(LIMIT)));
    assert_eq!(bench.workflow.limits_of(bench.now, &run_id(1)), ["claude"]);
    let told = bench
        .facts
        .iter()
        .any(|fact| matches!(fact, Fact::Noted { text, .. } if text.contains("usage limit")));
    assert!(told);
    bench.now = until;
    bench.hear(Event::AgentUnparked { agent: "claude".to_owned() });
    assert_eq!((bench.run().state, bench.live().as_str()), (RunState::Running, "a"));
    assert_eq!(bench.task("a").used, 0);
}

/// Features K2, K17: in place, what failed and what was skipped because of it, in a run that is
/// over; attempts are counted on. A success is done again only when it is named.
#[test]
fn what_failed_is_done_again_in_place() {
    let keys = "retries = 0";
    let mut bench =
        Bench::of(&tasks("", &[("a", keys), ("b", keys), ("c", "depends_on = [\"a\"]")]));
    bench.succeed("b", json!("b1"));
    bench.fail("a", Outcome::ExitCode);
    assert_eq!(bench.run().outcome, Some(RunOutcome::Partial));
    bench.again(None, false);
    assert_eq!((bench.run().state, bench.live().as_str()), (RunState::Running, "a"));
    assert_eq!((bench.task("a").n, bench.run().outcome), (2, None));
    bench.succeed("a", json!("a1"));
    bench.succeed("c", json!("c1"));
    assert_eq!(bench.run().outcome, Some(RunOutcome::Completed));
    assert_eq!(what_again(bench.run(), None, false), Err(NotAgain::Nothing));
    bench.again(Some("a"), false);
    bench.succeed("a", json!("a2"));
    assert_eq!(bench.task("c").n, 1, "its readers keep what they made of the old result");
    assert_eq!(bench.run().outcome, Some(RunOutcome::Completed));
    bench.again(Some("a"), true);
    bench.succeed("a", json!("a3"));
    bench.succeed("c", json!("c2"));
    assert_eq!(bench.task("c").n, 2);
    let unknown = what_again(bench.run(), Some("zz"), false).unwrap_err();
    assert_eq!(unknown.to_string(), "PLAN-2026-11-21-001 has no task `zz`");
}

/// A cancelled run can be taken up again.
#[test]
fn a_cancelled_run_goes_on_where_it_was_stopped() {
    let mut bench = Bench::of(&tasks("max_parallel = 1", &[("a", ""), ("b", "")]));
    bench.succeed("a", json!("x"));
    bench.hear(Event::CancelAsked { run: run_id(1) });
    bench.fail("b", Outcome::Cancelled);
    assert_eq!(bench.run().outcome, Some(RunOutcome::Cancelled));
    bench.again(None, false);
    assert_eq!(bench.live(), "b");
    bench.succeed("b", json!("x"));
    assert_eq!(bench.run().outcome, Some(RunOutcome::Completed));
}

/// Features K13, K14: late means twice as long as expected; it is told once per attempt, and
/// nothing is done about it. The clock stands still in a pause.
#[test]
fn a_task_that_is_late_is_told_once() {
    let mut bench = Bench::of(&one_task("expected = \"1m\""));
    let attempt = bench.orders["a"].attempt.clone();
    bench.hear(Event::AttemptRunning { run: run_id(1), attempt });
    bench.pass(100_000);
    bench.pause(false);
    bench.pass(900_000);
    bench.resume();
    bench.pass(19_999);
    let late = |bench: &Bench| {
        bench
            .facts
            .iter()
            .filter(|fact| matches!(fact, Fact::Run { fact: RunFact::TaskStalled { .. }, .. }))
            .count()
    };
    assert_eq!(late(&bench), 0);
    bench.pass(1);
    bench.pass(600_000);
    assert_eq!((late(&bench), bench.live().as_str(), bench.stops), (1, "a", 0));
}

/// The limits beside that of one attempt: waiting for a slot, and all attempts together. A pause
/// counts for neither.
#[test]
fn a_task_has_limits_beside_that_of_one_attempt() {
    let list = [("a", ""), ("b", "")];
    let mut bench = changed(&tasks("max_parallel = 1", &list), |plan| {
        set(plan, "b", |task| task.queue_timeout_ms = Some(60_000));
        set(plan, "a", |task| task.total_timeout_ms = Some(600_000));
    });
    bench.pass(59_000);
    bench.pause(false);
    bench.pass(3_600_000);
    bench.resume();
    bench.pass(999);
    assert_eq!(bench.task("b").state, TaskState::Queued);
    bench.pass(1);
    assert_eq!(bench.task("b").state, TaskState::Timeout);
    assert_eq!(bench.task("b").error.as_ref().unwrap().message, "no slot was free for it in 60 s");
    bench.pass(539_999);
    assert_eq!(bench.stops, 0);
    bench.pass(1);
    bench.pass(1);
    assert_eq!(bench.stops, 1, "told once");
    bench.fail("a", Outcome::Timeout);
    assert_eq!(bench.task("a").state, TaskState::Timeout, "no retry is left in no time");
}

/// The last command starts when everything else is over, whatever came of it, also after a cancel;
/// its failure changes nothing.
#[test]
fn the_last_command_runs_whatever_happened() {
    let start = || {
        changed(&tasks("", &[("a", "retries = 0"), ("last", "retries = 0")]), |plan| {
            set(plan, "last", |task| task.origin = Some(Origin::Finish));
        })
    };
    for (end, outcome) in [
        ("succeed", RunOutcome::Completed),
        ("fail", RunOutcome::Failed),
        ("cancel", RunOutcome::Cancelled),
    ] {
        let mut bench = start();
        assert_eq!(bench.live(), "a");
        match end {
            "succeed" => bench.succeed("a", json!("x")),
            "fail" => bench.fail("a", Outcome::ExitCode),
            _ => {
                bench.hear(Event::CancelAsked { run: run_id(1) });
                assert_eq!(bench.live(), "a", "what is stopped is not gone yet");
                bench.fail("a", Outcome::Cancelled);
            }
        }
        assert_eq!(bench.live(), "last", "{end}");
        assert_eq!(outcome::told_status(bench.run()), outcome.to_string());
        bench.fail("last", Outcome::ExitCode);
        assert_eq!(bench.run().outcome, Some(outcome));
    }
    let mut bench = start();
    bench.hear(Event::CancelAsked { run: run_id(1) });
    bench.fail("a", Outcome::Cancelled);
    bench.hear(Event::CancelAsked { run: run_id(1) });
    assert_eq!(bench.stops, 2, "a second wish ends the last command too");
}

/// Live decisions and replay are one function, whatever happened.
#[test]
fn a_steered_run_is_what_its_facts_say() {
    let mut bench = broken();
    bench.answer("failures-1", RETRY);
    bench.pause(true);
    for task in bench.orders.keys().cloned().collect::<Vec<_>>() {
        bench.fail(&task, Outcome::Cancelled);
    }
    let facts = bench.facts.iter().filter_map(|fact| {
        let Fact::Run { fact, .. } = fact else { return None };
        Some((bench.now, fact.clone()))
    });
    let replayed = Workflow::replay(&run_id(1), &facts.collect::<Vec<_>>()).unwrap();
    assert_eq!((replayed.state, &replayed.why), (bench.run().state, &bench.run().why));
    for (plan, task) in bench.run().tasks() {
        let other = replayed.task(&plan.id).unwrap();
        assert_eq!(
            (task.state, task.n, task.used),
            (other.state, other.n, other.used),
            "{}",
            plan.id
        );
    }
}
