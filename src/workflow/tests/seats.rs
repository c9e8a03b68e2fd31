//! How many runs within a run live at once, and that nothing waits for ever for its turn.

use super::events::sub_plan;
use super::flow::{changed, set};
use super::mapping::mapped;
use super::*;
use crate::model::ask::{ACCEPT, RETRY};
use crate::model::{AskKind, RunOutcome};
use crate::plan::{MinSuccess, Origin, Template, Work};

/// One inner run for each entry of a list; the list is not there yet.
fn inner_runs(head: &str, change: impl FnOnce(&mut Plan)) -> Bench {
    let mut plan = mapped(head, |task, _| task.work = Work::Plan(Box::new(sub_plan())));
    change(&mut plan);
    let mut bench = Bench::new(10_000);
    bench.keyed_by_run = true;
    bench.hear(Event::Submitted(Box::new(submission(1, &plan))));
    bench
}

impl Bench {
    /// What the daemon does: makes the runs that were asked for.
    fn begin_asked(&mut self) {
        for asked in std::mem::take(&mut self.asked) {
            let submitted =
                |fact: &&Fact| matches!(fact, Fact::Run { fact: RunFact::Submitted(_), .. });
            let n = self.facts.iter().filter(submitted).count() + 1;
            let run = run_id(u32::try_from(n).unwrap());
            self.hear(Event::Submitted(Box::new(Submission { run, ..asked })));
        }
    }

    fn list(&mut self, items: &[&str]) {
        self.succeed(&format!("{}/list", run_id(1)), json!(items));
        self.begin_asked();
    }

    /// The items whose runs live.
    fn inner(&self) -> String {
        let mut found: Vec<String> = Vec::new();
        for (plan, task) in self.run().tasks() {
            if task.state == TaskState::Waiting && task.child.is_some() {
                found.push(plan.id.to_string());
            }
        }
        found.join(" ")
    }

    fn end_inner(&mut self, n: u32, outcome: Outcome) {
        let task = format!("{}/c", run_id(n));
        if outcome == Outcome::Success {
            self.succeed(&task, json!("done"));
        } else {
            self.fail(&task, outcome);
        }
    }
}

/// Features A22, C12, F9: as many inner runs live at once as attempts may, in the run and in the
/// phase; the next one begins when one is over. One that was asked for counts.
#[test]
fn inner_runs_live_within_the_limits() {
    let mut bench = inner_runs("max_parallel = 2", |_| {});
    bench.succeed(&format!("{}/list", run_id(1)), json!(["a", "b", "c", "d", "e"]));
    assert_eq!(bench.asked.len(), 2);
    bench.pass(1);
    assert_eq!(bench.asked.len(), 2, "they are on their way");
    bench.begin_asked();
    assert_eq!(bench.inner(), "score[a] score[b]");
    let begun = bench.task("score[c]").started;
    bench.pass(1_000);
    bench.end_inner(2, Outcome::Success);
    bench.begin_asked();
    assert_eq!(bench.inner(), "score[b] score[c]");
    assert_ne!(bench.task("score[c]").started, begun, "its time is that of its run");
    for n in 3..=6 {
        bench.end_inner(n, Outcome::Success);
        bench.begin_asked();
    }
    assert_eq!(bench.value("score").as_array().unwrap().len(), 5);

    let mut bench = inner_runs("max_parallel = 4", |plan| plan.phases[0].max_parallel = Some(1));
    bench.list(&["a", "b", "c"]);
    assert_eq!(bench.inner(), "score[a]");
    assert_eq!(bench.run().inner_runs("main"), Some((1, 1)));
    bench.end_inner(2, Outcome::Success);
    bench.begin_asked();
    assert_eq!(bench.inner(), "score[b]");
}

/// Features A22, C12: it is the same for tasks that are plans without a list.
#[test]
fn tasks_that_are_plans_have_their_turns_too() {
    let text = tasks("max_parallel = 1", &[("p", ""), ("q", "")]);
    let mut bench = changed(&text, |plan| {
        for id in ["p", "q"] {
            set(plan, id, |task| task.work = Work::Plan(Box::new(sub_plan())));
        }
    });
    bench.keyed_by_run = true;
    bench.begin_asked();
    assert_eq!(bench.inner(), "p");
    bench.hear(Event::CancelAsked { run: run_id(2) });
    bench.end_inner(2, Outcome::Cancelled);
    bench.begin_asked();
    assert_eq!(bench.inner(), "q", "a person may end one of them");
}

/// Features A22, E10, E12: in a pause nothing more begins; what waits for its turn goes on after it,
/// and a cancel ends it.
#[test]
fn a_pause_and_a_cancel_reach_those_whose_turn_is_to_come() {
    let mut bench = inner_runs("max_parallel = 1", |_| {});
    bench.list(&["a", "b", "c"]);
    bench.hear(Event::PauseAsked { run: run_id(1), stop: false });
    bench.end_inner(2, Outcome::Success);
    assert!(bench.asked.is_empty());
    bench.hear(Event::ResumeAsked { run: run_id(1) });
    bench.begin_asked();
    assert_eq!(bench.inner(), "score[b]");
    bench.hear(Event::CancelAsked { run: run_id(1) });
    assert_eq!(bench.task("score[c]").state, TaskState::Cancelled);
    bench.end_inner(3, Outcome::Cancelled);
    for task in ["report", "hold"] {
        let key = format!("{}/{task}", run_id(1));
        if bench.orders.contains_key(&key) {
            bench.fail(&key, Outcome::Cancelled);
        }
    }
    assert_eq!((bench.run().state, bench.asked.len()), (RunState::Cancelled, 0));
}

/// Features A22, E11: the next daemon finds whose turn is to come, and who has had it.
#[test]
fn a_restart_forgets_no_turn() {
    let mut bench = inner_runs("max_parallel = 2", |_| {});
    bench.list(&["a", "b", "c", "d"]);
    bench.end_inner(2, Outcome::Success);
    assert_eq!(bench.asked.len(), 1, "it is lost with the daemon");
    let mut next = Workflow::new(100, Mint::new([4; 32]));
    for n in 1..=3 {
        let facts = bench.facts.iter().filter_map(|fact| {
            let Fact::Run { run, fact } = fact else { return None };
            (*run == run_id(n)).then(|| (bench.now, fact.clone()))
        });
        next.adopt(Workflow::replay(&run_id(n), &facts.collect::<Vec<_>>()).unwrap());
    }
    bench.workflow = next;
    bench.asked.clear();
    bench.pass(1);
    assert_eq!(bench.asked.len(), 1);
    bench.begin_asked();
    assert_eq!(bench.inner(), "score[b] score[c]");
}

/// Features A22, K10, K12: after too many failures no further run begins before a person has
/// decided; `accept` leaves the rest out.
#[test]
fn the_breaker_holds_those_whose_turn_is_to_come() {
    let failed = || {
        let mut bench = inner_runs("continue\nmax_parallel = 1", |plan| {
            plan.stop_after_failures = 1;
        });
        bench.list(&["a", "b", "c"]);
        bench.end_inner(2, Outcome::ExitCode);
        let asks = |question: &Question| question.ask.kind == AskKind::Failures;
        assert!(bench.run().open_questions().any(asks));
        assert!(bench.asked.is_empty());
        bench
    };
    let mut bench = failed();
    bench.answer("failures-1", RETRY);
    bench.begin_asked();
    assert_eq!(bench.inner(), "score[a]", "it is done again, in its place");
    let mut bench = failed();
    bench.answer("failures-1", ACCEPT);
    assert_eq!(bench.task("score[c]").state, TaskState::Skipped);
    assert!(bench.asked.is_empty());
}

/// Features A22, K21: what is to be done again waits for its turn like any other.
#[test]
fn an_item_that_is_done_again_waits_for_its_turn() {
    let mut bench = inner_runs("continue\nmax_parallel = 1", |_| {});
    bench.list(&["a", "b"]);
    bench.end_inner(2, Outcome::ExitCode);
    bench.begin_asked();
    let tasks = vec![TaskId::new("score[a]")];
    bench.hear(Event::AgainAsked { run: run_id(1), tasks });
    assert_eq!((bench.inner().as_str(), bench.asked.len()), ("score[b]", 0));
    bench.end_inner(3, Outcome::Success);
    bench.begin_asked();
    assert_eq!(bench.inner(), "score[a]");
    bench.end_inner(4, Outcome::Success);
    assert_eq!(bench.task("score").state, TaskState::Success);
}

/// Features A22, C15: when time is up, runs that live are ended and those to come do not begin.
#[test]
fn time_that_is_up_ends_inner_runs() {
    let mut plan = mapped("continue\nmax_parallel = 2", |task, for_each| {
        task.work = Work::Plan(Box::new(sub_plan()));
        for_each.gather_timeout_ms = Some(60_000);
        for_each.min_success = Some(MinSuccess::Count(1));
    });
    plan.stop_after_failures = 0;
    let mut bench = Bench::new(10_000);
    bench.keyed_by_run = true;
    bench.hear(Event::Submitted(Box::new(submission(1, &plan))));
    bench.list(&["a", "b", "c", "d"]);
    bench.end_inner(2, Outcome::Success);
    bench.begin_asked();
    assert_eq!(bench.inner(), "score[b] score[c]");
    bench.pass(60_000);
    assert_eq!((bench.stops, bench.task("score[d]").state), (2, TaskState::Cancelled));
    assert_eq!(bench.inner(), "score[b] score[c]", "they are over when their runs are");
    bench.pass(1);
    assert_eq!(bench.stops, 2, "they are told once");
    bench.end_inner(3, Outcome::Cancelled);
    bench.end_inner(4, Outcome::Cancelled);
    assert_eq!(bench.task("score[b]").skip, Some(SkipReason::Stopped));
    assert_eq!(bench.task("score").state, TaskState::Success);
}

/// Features A22, K12: runs that ask a person keep their places, so a person is waited for.
#[test]
fn whoever_waits_behind_a_question_waits_for_a_person() {
    let text = tasks("max_parallel = 1", &[("p", ""), ("q", "")]);
    let mut bench = changed(&text, |plan| {
        let mut inner = sub_plan();
        let mut asks = serde_json::from_value::<Plan>(inner.plan.take()).unwrap();
        asks.tasks[0].work = Work::Approve { ask: Template::text("Sure?"), expiry: None };
        inner.plan = serde_json::to_value(asks).unwrap();
        for id in ["p", "q"] {
            set(plan, id, |task| task.work = Work::Plan(Box::new(inner.clone())));
        }
    });
    bench.begin_asked();
    assert!(bench.workflow.waits_for_person(&run_id(1)));
    let (ask, answer, by) = ("c".to_owned(), "approve".to_owned(), "person".to_owned());
    bench.hear(Event::Answered { run: run_id(2), ask, answer, by });
    assert!(!bench.workflow.waits_for_person(&run_id(1)), "the next one is on its way");
    bench.begin_asked();
    assert!(bench.workflow.waits_for_person(&run_id(1)));
    let (ask, answer, by) = ("c".to_owned(), "approve".to_owned(), "person".to_owned());
    bench.hear(Event::Answered { run: run_id(3), ask, answer, by });
    assert_eq!(bench.run().outcome, Some(RunOutcome::Completed));
}

/// Feature C12: a thousand inner runs cost a thousand times what one costs, not a million times.
#[test]
fn the_work_grows_with_the_inner_runs_and_no_faster() {
    let work = |count: usize| {
        let mut bench = inner_runs("max_parallel = 20", |_| {});
        let list: Vec<String> = (0..count).map(|n| format!("i{n:04}")).collect();
        let before = looks::looks();
        bench.list(&list.iter().map(String::as_str).collect::<Vec<_>>());
        while let Some(task) = bench.orders.keys().find(|task| task.ends_with("/c")).cloned() {
            bench.succeed(&task, json!("done"));
            bench.begin_asked();
            bench.workflow.take_ended();
        }
        assert_eq!(bench.value("score").as_array().unwrap().len(), count);
        looks::looks() - before
    };
    let (hundred, thousand) = (work(100), work(1000));
    assert!(thousand < hundred * 13, "100 runs: {hundred} looks, 1000 runs: {thousand}");
}

/// When the daemon ends, the last command of an inner run is let be at the first wish, as that of
/// any run, although its outer run ends too.
#[test]
fn a_daemon_that_ends_asks_an_inner_run_once() {
    let mut inner = sub_plan();
    let mut with_last = plan(&tasks("", &[("c", "retries = 0"), ("last", "retries = 0")]));
    set(&mut with_last, "last", |task| task.origin = Some(Origin::Finish));
    inner.plan = serde_json::to_value(with_last).unwrap();
    let mut bench = changed(&one_task(""), |plan| {
        set(plan, "a", |task| task.work = Work::Plan(Box::new(inner)));
    });
    bench.keyed_by_run = true;
    bench.begin_asked();
    bench.end_inner(2, Outcome::Success);
    let last = format!("{}/last", run_id(2));
    assert_eq!(bench.live(), last);
    bench.hear(Event::Closing);
    assert_eq!((bench.live(), bench.stops), (last.clone(), 0));
    bench.hear(Event::Closing);
    assert_eq!(bench.stops, 1, "a second wish ends it");
    bench.fail(&last, Outcome::Cancelled);
    assert_eq!(bench.workflow.take_ended().len(), 2);
}

/// A plan inside of a plan that takes too long is ended first, and its task fails when it is over.
#[test]
fn an_inner_run_that_takes_too_long_ends_before_its_task() {
    let keys = "total_timeout = \"10m\"\nretries = 0";
    let mut bench = changed(&one_task(keys), |plan| {
        set(plan, "a", |task| task.work = Work::Plan(Box::new(sub_plan())));
    });
    bench.keyed_by_run = true;
    bench.begin_asked();
    bench.pass(599_999);
    assert_eq!(bench.stops, 0);
    for _ in 0..3 {
        bench.pass(1);
    }
    assert_eq!((bench.stops, bench.task("a").state), (1, TaskState::Waiting), "told once");
    let idle = bench.workflow.next_deadline();
    assert!(idle.is_none_or(|at| at > bench.now), "nothing is due before it is over: {idle:?}");
    bench.end_inner(2, Outcome::Cancelled);
    let task = bench.task("a");
    let message = &task.error.as_ref().unwrap().message;
    assert_eq!(task.state, TaskState::Timeout);
    assert_eq!(message, "all its attempts took more than 600 s");
}
