//! Leads and their workers (features C8, C9, H13, H16, L1, Z10): who gets one, what it becomes, what
//! becomes of it.

use super::*;
use crate::model::{Who, WorkerWish};
use crate::plan::{self, Lead};
use crate::workflow::{Hired, Refusal};

fn id(text: &str) -> TaskId {
    TaskId::new(text)
}

/// A plan in which these tasks are leads of up to three workers.
fn led(text: &str, leads: &[&str]) -> Plan {
    let mut plan = plan(text);
    for task in plan.tasks.iter_mut().filter(|task| leads.contains(&task.id.as_str())) {
        task.lead = Some(Lead { max_workers: 3, agents: Vec::new() });
    }
    plan.agents = agents();
    plan
}

fn bench(plan: &Plan) -> Bench {
    let mut bench = Bench::new(100);
    bench.hear(Event::Submitted(Box::new(submission(1, plan))));
    bench
}

fn wish(name: &str, text: &str) -> WorkerWish {
    let name = Some(name.to_owned()).filter(|name| !name.is_empty());
    WorkerWish {
        key: format!("{name:?} {text}"),
        name,
        who: Who::Agent("codex".to_owned()),
        text: text.to_owned(),
        inputs: Vec::new(),
        timeout_ms: None,
        schema: None,
    }
}

impl Bench {
    fn hire(&mut self, lead: &str, wish: &WorkerWish) -> Result<TaskId, Refusal> {
        match self.run().hire(&id(lead), wish)? {
            Hired::Known(task) => Ok(task),
            Hired::New { task, fact } => {
                self.hear(Event::Said { run: run_id(1), facts: vec![*fact] });
                Ok(task)
            }
        }
    }

    pub(super) fn replayed(&self) -> Run {
        let facts: Vec<(Moment, RunFact)> = self.facts.iter().filter_map(of_run).collect();
        Workflow::replay(&run_id(1), &facts).unwrap()
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only facts of runs are replayed")]
fn of_run(fact: &Fact) -> Option<(Moment, RunFact)> {
    match fact {
        Fact::Run { fact, .. } => Some((Moment(1_000), fact.clone())),
        _ => None,
    }
}

#[test]
fn a_worker_is_a_task_of_its_own_in_the_phase_of_its_lead() {
    let mut bench = bench(&led(&one_task("retries = 1\ntimeout = \"5m\""), &["a"]));
    let asked = WorkerWish { inputs: vec![("x".to_owned(), json!(7))], ..wish("fetch", "Go ${x}") };
    assert_eq!(bench.hire("a", &asked), Ok(id("a/fetch")));
    let run = bench.run();
    let (plan, lead) = (run.plan.task(&id("a/fetch")).unwrap(), run.plan.task(&id("a")).unwrap());
    assert_eq!((&plan.phase, plan.timeout_ms, plan.retries), (&lead.phase, lead.timeout_ms, 1));
    assert!(run.plan.phase(&lead.phase).unwrap().tasks.contains(&id("a/fetch")));
    assert_eq!((plan.lead.clone(), plan.tier, plan.needs.len()), (None, 2, 0));
    assert_eq!(bench.live(), "a a/fetch");
    let order = &bench.orders["a/fetch"];
    assert_eq!((order.agent.as_str(), order.result_required), ("codex", true));
    assert!(order.label.starts_with("wf_PLAN-2026-11-21-001_a-fetch_codex"), "{}", order.label);
    let prompt = order.prompt.clone().unwrap();
    assert!(prompt.contains("Go ${x}"), "its text is not expanded: {prompt}");
    assert!(!prompt.contains("spawn"), "a worker is told of no workers: {prompt}");
    bench.succeed("a/fetch", json!("got it"));
    bench.succeed("a", json!("all"));
    let run = bench.run();
    assert_eq!(run.outcome, Some(crate::model::RunOutcome::Completed));
    assert_eq!(finals(&run.plan), [id("a")], "what workers give goes to their lead");
    let replayed = bench.replayed();
    assert_eq!(format!("{:?}", replayed.plan), format!("{:?}", run.plan));
    assert_eq!(replayed.task(&id("a/fetch")), run.task(&id("a/fetch")));
}

#[test]
fn who_may_have_workers_and_which() {
    let plan = led(&tasks("", &[("a", ""), ("b", "")]), &["a"]);
    let mut bench = bench(&plan);
    bench.hire("a", &wish("one", "x")).unwrap();
    let deep = bench.hire("a/one", &wish("", "x")).unwrap_err();
    assert_eq!(deep, Refusal::Depth { task: id("a/one"), lead: id("a") });
    assert!(deep.to_string().contains("depth one"), "{deep}");
    assert_eq!(bench.hire("b", &wish("", "x")), Err(Refusal::NoLead { task: id("b") }));
    assert_eq!(bench.hire("zz", &wish("", "x")), Err(Refusal::NoLead { task: id("zz") }));
    assert_eq!(bench.hire("a", &wish("two", " ")), Err(Refusal::Empty));
    for bad in ["1", "a b", "../x", "x/y", &"n".repeat(41)] {
        let refusal = bench.hire("a", &wish(bad, "x"));
        assert!(matches!(refusal, Err(Refusal::Name { .. })), "{bad}: {refusal:?}");
    }
    let unknown = WorkerWish { who: Who::Agent("codx".to_owned()), ..wish("two", "x") };
    let refusal = bench.hire("a", &unknown).unwrap_err();
    assert!(refusal.to_string().contains("no agent `codx`"), "{refusal}");
    assert!(matches!(refusal, Refusal::Unknown { known, .. } if known.len() == 3));
    bench.hire("a", &wish("two", "x")).unwrap();
    bench.hire("a", &wish("three", "x")).unwrap();
    let most = bench.hire("a", &wish("four", "x"));
    assert_eq!(most, Err(Refusal::TooMany { task: id("a"), most: 3 }));
    bench.hear(Event::CancelAsked { run: run_id(1) });
    assert_eq!(bench.hire("a", &wish("five", "x")), Err(Refusal::Ending));
}

#[test]
fn a_capability_is_looked_for_among_the_agents_that_the_lead_may_ask() {
    let mut plan = led(&one_task(""), &["a"]);
    for name in ["claude", "gemini"] {
        plan.agents.get_mut(name).unwrap().capabilities = vec!["review".to_owned()];
    }
    let able = |agents: &[&str]| {
        let mut plan = plan.clone();
        let agents = agents.iter().map(|name| (*name).to_owned()).collect();
        plan.tasks[0].lead = Some(Lead { max_workers: 1, agents });
        let mut bench = bench(&plan);
        let wish = WorkerWish { who: Who::Capability("review".to_owned()), ..wish("r", "x") };
        let task = bench.hire("a", &wish)?;
        let work = bench.run().plan.task(&task).unwrap().work.clone();
        let names: Vec<String> = work.agents().iter().map(|agent| agent.name.clone()).collect();
        assert_eq!(work.alternatives(), names.len());
        Ok::<_, Refusal>(names.join(" "))
    };
    assert_eq!(able(&[]).unwrap(), "claude gemini");
    assert_eq!(able(&["gemini", "codex"]).unwrap(), "gemini");
    assert!(able(&["codex"]).unwrap_err().to_string().contains("nobody with capability `review`"));
}

/// The lead decides what follows a failure: it spawns again, and the run is whole all the same.
#[test]
fn a_failed_worker_is_its_leads_to_replace() {
    let mut bench = bench(&led(&one_task("retries = 0"), &["a"]));
    bench.hire("a", &wish("fetch", "x")).unwrap();
    bench.fail("a/fetch", Outcome::ExitCode);
    assert_eq!(bench.run().state, RunState::Running);
    let again = wish("fetch", "x, and mind the gap");
    assert_eq!(bench.hire("a", &again), Ok(id("a/fetch-2")));
    bench.succeed("a/fetch-2", json!("x"));
    bench.succeed("a", json!("all"));
    let document = document(bench.run(), None, bench.now);
    let results = &document["execution_results"];
    assert_eq!(
        (&results["status"], &results["summary"]["failed"]),
        (&json!("completed"), &json!(1))
    );
    assert_eq!(results["phases"][0]["status"], "completed");
    let summary = &results["summary"];
    let count = |name: &str| summary[name].as_u64().unwrap();
    assert_eq!(count("total_tasks"), count("successful") + count("failed") + count("skipped"));
}

/// Three workers of `a` failed, one after the other.
fn three_failed() -> Bench {
    let mut plan = led(&one_task("retries = 0"), &["a"]);
    plan.tasks[0].lead = Some(Lead { max_workers: 7, agents: Vec::new() });
    let mut bench = bench(&plan);
    for name in ["one", "two", "three"] {
        assert_eq!(bench.run().state, RunState::Running);
        bench.hire("a", &wish(name, "Do it")).unwrap();
        bench.fail(&format!("a/{name}"), Outcome::ExitCode);
    }
    bench
}

fn decide(bench: &mut Bench, answer: &str) {
    bench.hear(Event::Answered {
        run: run_id(1),
        ask: "failures-1".to_owned(),
        answer: answer.to_owned(),
        by: "person".to_owned(),
    });
}

/// Features C8, K10, K12: after three workers that failed for good a lead gets no more of them
/// before a person has decided; `retry` does the failed ones again, and the lead may go on hiring.
#[test]
fn failed_workers_stop_the_hiring() {
    let mut bench = three_failed();
    assert_eq!((bench.live().as_str(), bench.run().state), ("a", RunState::Paused));
    let question = bench.run().open_questions().next().unwrap().ask.question.clone();
    assert!(question.contains("Failed tasks: [a/one, a/two, a/three]"), "{question}");
    let refusal = bench.hire("a", &wish("four", "x")).unwrap_err();
    let told = refusal.to_string();
    assert!(told.starts_with("3 tasks failed (a/one, a/two, a/three); nothing new"), "{told}");
    decide(&mut bench, crate::model::ask::RETRY);
    assert_eq!(bench.live(), "a a/one a/three a/two");
    bench.hire("a", &wish("four", "x")).unwrap();
    for name in ["one", "two", "three", "four"] {
        bench.succeed(&format!("a/{name}"), json!("x"));
    }
    bench.succeed("a", json!("x"));
    assert_eq!(bench.run().outcome, Some(crate::model::RunOutcome::Completed));
}

/// Features K10, K12: a lead that ends while a person is asked leaves the decision open; what its
/// workers give would be of no use without it, so that it is done again with them.
#[test]
fn a_lead_that_ended_is_done_again_with_its_workers() {
    let mut bench = three_failed();
    bench.succeed("a", json!("x"));
    assert_eq!((bench.live().as_str(), bench.run().state), ("", RunState::Paused));
    decide(&mut bench, crate::model::ask::RETRY);
    assert_eq!(bench.live(), "a a/one a/three a/two");
    let mut bench = three_failed();
    bench.succeed("a", json!("x"));
    decide(&mut bench, crate::model::ask::ACCEPT);
    assert_eq!(bench.run().outcome, Some(crate::model::RunOutcome::Completed));
    let over = bench.workflow.take_ended().remove(0);
    assert_eq!(what_again(&over, None, false), Err(NotAgain::Nothing), "its lead did without them");
    let named = what_again(&over, Some("a/one"), false).unwrap();
    assert_eq!(named, [id("a"), id("a/one")]);
}

/// Nothing is done twice: by a client that asks again, by a lead that starts over.
#[test]
fn the_same_wish_is_one_worker() {
    let mut bench = bench(&led(&one_task("retries = 1\nretry_wait = \"1s\""), &["a"]));
    let unnamed = wish("", "x");
    assert_eq!(bench.hire("a", &unnamed), Ok(id("a/worker-1")));
    assert_eq!(bench.hire("a", &unnamed), Ok(id("a/worker-1")), "the same call, heard twice");
    assert_eq!(bench.replayed().kept.wishes, bench.run().kept.wishes);
    bench.hire("a", &wish("fetch", "y")).unwrap();
    bench.succeed("a/fetch", json!("found"));
    bench.fail("a", Outcome::ExitCode);
    bench.pass(60_000);
    assert_eq!(bench.live(), "a a/worker-1", "a worker outlives an attempt of its lead");
    let prompt = bench.orders["a"].prompt.clone().unwrap();
    assert!(prompt.contains("## Workers so far"), "{prompt}");
    assert!(prompt.contains("### a/fetch (codex): success\n\n```\nfound\n```"), "{prompt}");
    let by_name = WorkerWish { key: "another call".to_owned(), ..wish("fetch", "y") };
    assert_eq!(bench.hire("a", &by_name), Ok(id("a/fetch")), "the same work under its name");
    let taken = bench.hire("a", &wish("fetch", "something else"));
    assert_eq!(taken, Err(Refusal::Taken { task: id("a/fetch"), state: TaskState::Success }));
}

/// Nobody is left to take the result of a worker whose lead is over.
#[test]
fn workers_end_with_their_lead() {
    let mut bench = bench(&led(&tasks("max_parallel = 1", &[("a", "")]), &["a"]));
    bench.hire("a", &wish("one", "x")).unwrap();
    bench.hire("a", &wish("two", "x")).unwrap();
    assert_eq!(bench.live(), "a a/one", "a lead that waits gives its slot to one worker");
    bench.succeed("a", json!("enough"));
    assert_eq!(bench.task("a/two").state, TaskState::Cancelled);
    assert_eq!((bench.stops, bench.run().state), (1, RunState::Running));
    bench.pass(10);
    assert_eq!(bench.stops, 1, "told once");
    bench.end("a/one", Outcome::Cancelled, None, None);
    assert_eq!(bench.task("a/one").state, TaskState::Cancelled);
    assert_eq!(bench.run().outcome, Some(crate::model::RunOutcome::Completed));
    let told = |fact: &Fact| matches!(fact, Fact::Noted { text, .. } if text.contains("a/one"));
    assert!(bench.facts.iter().any(told));
}

/// What a lead that waits gives up goes to workers only, at every limit (runs, agents, daemon).
#[test]
fn the_slot_of_a_waiting_lead_is_for_its_workers() {
    let mut plan = led(&tasks("max_parallel = 1", &[("a", ""), ("b", "priority = 9")]), &["a"]);
    plan.tasks[1].priority = -1;
    let mut bench = bench(&plan);
    assert_eq!(bench.live(), "a");
    let mine = WorkerWish { who: Who::Agent("claude".to_owned()), ..wish("one", "x") };
    bench.hire("a", &mine).unwrap();
    assert_eq!(bench.live(), "a a/one", "`b` waits, and is asked for first");
    bench.succeed("a/one", json!(1));
    assert_eq!(bench.live(), "a");
    bench.succeed("a", json!(1));
    assert_eq!(bench.live(), "b");
}

#[test]
fn a_worker_that_does_not_fit_is_refused_on_replay_too() {
    let mut run = bench(&led(&one_task(""), &["a"])).run().clone();
    let fact = |lead: &str, definition: Value| RunFact::TaskSpawned { lead: id(lead), definition };
    let mut stranger: plan::Task = run.plan.tasks[0].clone();
    stranger.id = id("x");
    let stranger = serde_json::to_value(stranger).unwrap();
    for wrong in [fact("a", json!({})), fact("a", stranger.clone()), fact("b", stranger)] {
        assert!(run.apply(Moment(9), &wrong).is_err(), "{wrong:?}");
    }
    assert_eq!(run.plan.tasks.len(), 1);
}
