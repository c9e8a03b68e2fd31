//! What attempts use, and what happens when a budget is used up.

use super::*;
use crate::model::{Ask, AskKind, Spent};
use crate::plan::{Budget, OnExceed};
use crate::policy::Price;

fn used(input: u64, output: u64) -> Spent {
    Spent { model: "m".to_owned(), input, output, ..Spent::default() }
}

impl Bench {
    fn spend(&mut self, task: &str, spent: Spent) {
        let prices = vec![Price {
            model: "m".to_owned(),
            input: 1.0,
            output: 10.0,
            cache_read: None,
            cache_write: None,
        }];
        let (run, attempt) = (run_id(1), self.orders[task].attempt.clone());
        self.hear(Event::AttemptSpent { run, attempt, spent: vec![spent], prices });
    }

    fn asks(&self) -> Vec<&Ask> {
        self.run().kept.asks.values().map(|question| &question.ask).collect()
    }

    /// As `decide` does.
    fn decide(&mut self, ask: &str, answer: &str) {
        self.hear(Event::Answered {
            run: run_id(1),
            ask: ask.to_owned(),
            answer: answer.to_owned(),
            by: "person".to_owned(),
        });
    }
}

fn with_budget(budget: Budget) -> Plan {
    let mut plan = plan(&tasks("max_parallel = 1", &[("a", ""), ("b", ""), ("c", "")]));
    plan.budget = Some(budget);
    plan
}

fn tokens(tokens: u64, on_exceed: OnExceed) -> Budget {
    Budget { cost_usd: None, tokens: Some(tokens), on_exceed }
}

fn bench(plan: &Plan) -> Bench {
    let mut bench = Bench::new(9);
    bench.hear(Event::Submitted(Box::new(submission(1, plan))));
    bench
}

/// Features P1, P2, P4: tokens and money of failed attempts count too; money comes from the price
/// table where the program does not tell it.
#[test]
fn what_attempts_use_adds_up() {
    let mut bench = Bench::of(&tasks("max_parallel = 1", &[("a", "")]));
    bench.spend("a", used(1_000, 100));
    bench.fail("a", Outcome::ExitCode);
    bench.pass(60_000);
    bench.spend("a", used(10, 1));
    bench.succeed("a", json!("x"));
    let run = bench.workflow.take_ended().remove(0);
    let total = run.kept.total();
    assert_eq!((total.tokens_in(), total.output, total.cost_microusd), (1_010, 101, Some(2_020)));
    let usage = &document(&run, None, bench.now)["execution_results"]["usage"];
    assert_eq!(
        (&usage["tokens_in"], &usage["tokens_out"], &usage["cost_usd"], &usage["agents"]),
        (&json!(1_010), &json!(101), &json!(0.00202), &json!(1))
    );
}

/// Feature P1: a session that is taken up again counts by what was added; an attempt that told
/// itself is not counted twice; what nobody waits for counts nothing.
#[test]
fn counters_that_go_on_count_once() {
    let mut bench = Bench::of(&tasks("max_parallel = 1", &[("a", "")]));
    let in_session = |spent: Spent| Spent { session: "s".to_owned(), ..spent };
    bench.spend("a", in_session(used(1_000, 100)));
    bench.spend("a", in_session(used(1_000, 100)));
    assert_eq!(bench.run().kept.total().tokens(), 1_100);
    bench.fail("a", Outcome::ExitCode);
    bench.pass(60_000);
    bench.spend("a", in_session(used(1_500, 120)));
    assert_eq!(bench.run().kept.total().tokens(), 1_620);
    let (run, attempt) = (run_id(1), AttemptId::new("other"));
    let spent = vec![used(5, 5)];
    bench.hear(Event::AttemptSpent { run, attempt, spent, prices: Vec::new() });
    assert_eq!(bench.run().kept.total().tokens(), 1_620);
}

/// Feature K7: a budget that is used up pauses the run and asks; what runs goes on. A person may
/// have it go on for as much again.
#[test]
fn a_budget_that_is_used_up_asks() {
    let mut bench = bench(&with_budget(tokens(1_000, OnExceed::Pause)));
    bench.spend("a", used(900, 100));
    assert_eq!(bench.live(), "a", "what runs goes on");
    bench.succeed("a", json!("x"));
    assert_eq!((bench.live().as_str(), bench.run().state), ("", RunState::Paused));
    assert_eq!(bench.run().why.as_deref(), Some("budget"));
    let ask = bench.asks()[0].clone();
    assert_eq!(
        (ask.kind, ask.answers),
        (AskKind::Budget, vec!["continue".into(), "accept".into()])
    );
    assert!(ask.question.contains("1000 of 1000 tokens"), "{}", ask.question);
    bench.pass(60_000);
    assert_eq!(bench.live(), "");
    bench.decide("budget-1", "continue");
    assert_eq!((bench.live().as_str(), bench.run().state), ("b", RunState::Running));
    bench.spend("b", used(900, 100));
    bench.succeed("b", json!("x"));
    assert_eq!(bench.run().state, RunState::Paused, "as much again, and no more");
    assert_eq!(bench.asks().len(), 2);
}

/// Less than a dollar is told so that what was used and what was allowed differ.
#[test]
fn a_small_budget_is_told_in_small_parts() {
    let cost = Budget { cost_usd: Some(0.002), tokens: None, on_exceed: OnExceed::Pause };
    let mut bench = bench(&with_budget(cost));
    bench.spend("a", used(1_000, 102));
    bench.succeed("a", json!("x"));
    let question = &bench.asks()[0].question;
    assert!(question.contains("0.0020 of 0.0020 dollars"), "{question}");
}

/// Features K7, K12: each `continue` allows as much again from what was used by then, however much
/// that was; so does going on. `accept` ends the run with what there is, also when it is taken up
/// again.
#[test]
fn a_person_says_what_follows_a_budget() {
    let paused = || {
        let mut bench = bench(&with_budget(tokens(1_000, OnExceed::Pause)));
        bench.spend("a", used(6_900, 100));
        bench.succeed("a", json!("x"));
        bench
    };
    let mut bench = paused();
    bench.decide("budget-1", "continue");
    assert_eq!((bench.live().as_str(), bench.run().state), ("b", RunState::Running));
    bench.spend("b", used(900, 99));
    bench.succeed("b", json!("x"));
    assert_eq!(bench.live(), "c", "one token is left");
    assert_eq!(format!("{:?}", bench.replayed().kept), format!("{:?}", bench.run().kept));

    let mut bench = paused();
    bench.hear(Event::ResumeAsked { run: run_id(1) });
    assert_eq!((bench.live().as_str(), bench.run().open_questions().count()), ("b", 0));
    bench.spend("b", used(900, 100));
    bench.succeed("b", json!("x"));
    assert_eq!(bench.run().state, RunState::Paused);

    let mut bench = paused();
    bench.decide("budget-1", "accept");
    let run = bench.workflow.take_ended().remove(0);
    assert_eq!(run.outcome, Some(crate::model::RunOutcome::Partial));
    assert_eq!(run.task(&TaskId::new("b")).unwrap().skip, Some(SkipReason::Stopped));
    let tasks = what_again(&run, None, false).unwrap();
    bench.workflow.adopt(run);
    bench.hear(Event::AgainAsked { run: run_id(1), tasks });
    assert_eq!((bench.live().as_str(), bench.run().state), ("", RunState::Paused), "asked again");
    bench.decide("budget-2", "continue");
    assert_eq!(bench.live(), "b");
}

/// A budget may end the rest, or only be told.
#[test]
fn a_budget_may_end_the_rest_or_only_be_told() {
    let money = Budget { cost_usd: Some(0.002), tokens: None, on_exceed: OnExceed::Stop };
    let mut bench = bench(&with_budget(money));
    bench.spend("a", used(1_000, 100));
    bench.succeed("a", json!("x"));
    let run = bench.workflow.take_ended().remove(0);
    assert_eq!(run.outcome, Some(crate::model::RunOutcome::Partial));
    assert_eq!(run.task(&TaskId::new("b")).unwrap().skip, Some(SkipReason::Stopped));
    let cause = "the run has used up its budget: 0.0020 of 0.0020 dollars; \
                 what had not begun was left out";
    assert_eq!(run.root_cause.as_deref(), Some(cause));
    let mut bench = super::money::bench(&with_budget(tokens(10, OnExceed::Warn)));
    bench.spend("a", used(900, 100));
    bench.succeed("a", json!("x"));
    bench.succeed("b", json!("x"));
    assert_eq!(bench.live(), "c");
    let told =
        |fact: &&Fact| matches!(fact, Fact::Noted { text, .. } if text.contains("work goes on"));
    assert_eq!(bench.facts.iter().filter(told).count(), 1, "once");
}

/// The budget of a task is looked at before each further attempt of it.
#[test]
fn a_task_has_a_budget_of_its_own() {
    let mut plan = plan(&tasks("max_parallel = 1", &[("a", "retries = 5"), ("b", "")]));
    plan.tasks[0].budget = Some(tokens(1_000, OnExceed::Stop));
    let mut bench = bench(&plan);
    bench.spend("a", used(400, 100));
    bench.fail("a", Outcome::ExitCode);
    bench.succeed("b", json!("x"));
    bench.pass(60_000);
    assert_eq!(bench.live(), "a", "half of it is left");
    bench.spend("a", used(400, 100));
    bench.fail("a", Outcome::ExitCode);
    bench.pass(60_000);
    let run = bench.workflow.take_ended().remove(0);
    let error = run.task(&TaskId::new("a")).unwrap().error.clone().unwrap();
    assert_eq!(error.outcome, Outcome::ExitCode);
    assert!(error.message.contains("1000 of 1000 tokens"), "{}", error.message);
}

/// Features J7, J8: the share of the wanted slots that was at work, and the time in which nobody
/// was, though there was work.
#[test]
fn the_use_of_time_is_measured() {
    let mut bench = Bench::of(&tasks("max_parallel = 2", &[("a", ""), ("b", ""), ("c", "")]));
    let runs = |bench: &mut Bench, task: &str| {
        let (run, attempt) = (run_id(1), bench.orders[task].attempt.clone());
        bench.hear(Event::AttemptRunning { run, attempt });
    };
    bench.now = Moment(bench.now.0 + 100);
    runs(&mut bench, "a");
    runs(&mut bench, "b");
    bench.now = Moment(bench.now.0 + 900);
    bench.succeed("a", json!("x"));
    bench.succeed("b", json!("x"));
    runs(&mut bench, "c");
    bench.now = Moment(bench.now.0 + 1_000);
    bench.succeed("c", json!("x"));
    let run = bench.workflow.take_ended().remove(0);
    let usage = &document(&run, None, bench.now)["execution_results"]["usage"];
    assert_eq!(usage["overhead_ms"], json!(100));
    // 2 × 900 + 1000 of 2 × 1000 + 1000.
    assert_eq!(usage["utilisation"], json!(0.9333));
}

/// Feature K7: a budget that nothing is known of is told, once for each agent.
#[test]
fn an_attempt_without_usage_under_a_budget_is_told() {
    let noted = |plan: &Plan, spend: bool| {
        let mut bench = bench(plan);
        for task in ["a", "b", "c"] {
            if spend {
                bench.spend(task, used(1, 1));
            }
            bench.succeed(task, json!("x"));
        }
        let tells = |fact: &&Fact| matches!(fact, Fact::Noted { text, .. } if text.contains("tells what `claude` used"));
        bench.facts.iter().filter(tells).count()
    };
    let limited = with_budget(tokens(1_000, OnExceed::Pause));
    assert_eq!((noted(&limited, false), noted(&limited, true)), (1, 0));
    let free = plan(&tasks("max_parallel = 1", &[("a", ""), ("b", ""), ("c", "")]));
    assert_eq!(noted(&free, false), 0);
}

/// Feature P6: the model of a task is one of its agent's program; whoever stands in on another
/// program keeps its own.
#[test]
fn a_fallback_on_another_program_keeps_its_model() {
    let mut plan =
        plan(&tasks("", &[("a", "model = \"large\"\nfallback = [\"codex\"]\nretries = 0")]));
    for (name, agent) in &mut plan.agents {
        agent.command = vec![name.clone()];
        agent.model_args = vec!["{model}".to_owned()];
        agent.model = Some(format!("{name}-1"));
    }
    let mut bench = bench(&plan);
    assert_eq!(bench.orders["a"].argv, ["claude", "large"]);
    bench.fail("a", Outcome::ExitCode);
    bench.pass(60_000);
    assert_eq!(bench.orders["a"].argv, ["codex", "codex-1"]);
}
