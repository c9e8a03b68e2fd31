//! Who does a task, and how often anything may start.

use super::*;
use crate::plan::{Capability, Pool, Rate, TaskAgent, Work};
use crate::policy::Level;

/// Tasks that ask for a capability, which these agents have; `then` are fallbacks.
fn asking(ids: &[&str], able: &[&str], then: &[&str]) -> Plan {
    let list: Vec<(&str, &str)> = ids.iter().map(|id| (*id, "retries = 0")).collect();
    let mut plan = plan(&tasks("max_parallel = 9", &list));
    let agent = |name: &&str| TaskAgent { name: (*name).to_owned(), retries: 1 };
    for task in &mut plan.tasks {
        task.work = Work::Agent {
            agents: able.iter().chain(then).map(agent).collect(),
            capability: Some(Capability { name: "testing".to_owned(), able: able.len() }),
        };
    }
    plan.agents = agents();
    plan
}

impl Bench {
    fn with(plan: &Plan) -> Self {
        let mut bench = Self::new(100);
        bench.hand_in(1, plan);
        bench
    }

    fn hand_in(&mut self, n: u32, plan: &Plan) {
        self.hear(Event::Submitted(Box::new(submission(n, plan))));
    }

    fn agent(&self, task: &str) -> &str {
        &self.orders[task].agent
    }

    fn told(&self) -> Vec<&str> {
        let mut told = Vec::new();
        for fact in &self.facts {
            if let Fact::Noted { text, .. } = fact {
                told.push(text.as_str());
            }
        }
        told
    }
}

/// Features I2, I11: the least loaded of those who can do it is taken, then the cheapest, then the
/// first; and why is on record.
#[test]
fn the_least_loaded_is_taken_then_the_cheapest_then_the_first() {
    let mut bench = Bench::with(&asking(&["a", "b", "c", "d"], &["codex", "gemini"], &[]));
    let takers: Vec<&str> = ["a", "b", "c", "d"].map(|task| bench.agent(task)).into();
    assert_eq!(takers, ["codex", "gemini", "codex", "gemini"]);
    assert_eq!(
        bench.told()[1],
        "`gemini` was taken for `testing`: 0 at work, cost medium, choice 2; others: codex (1 at \
         work, cost medium)"
    );
    bench.succeed("b", json!("x"));
    bench.succeed("d", json!("x"));
    bench.hand_in(2, &asking(&["e"], &["codex", "gemini"], &[]));
    assert_eq!(bench.agent("e"), "gemini", "loads of all runs count");
    let mut plan = asking(&["a"], &["codex", "gemini"], &[]);
    plan.agents.get_mut("gemini").unwrap().traits.cost = Level::Low;
    assert_eq!(Bench::with(&plan).agent("a"), "gemini");
}

/// Feature I11: who has no slot is passed over for who has one; when nobody has, the task waits.
#[test]
fn who_has_no_slot_is_passed_over() {
    let mut plan = asking(&["a", "b", "c", "d"], &["codex", "gemini"], &["claude"]);
    for name in ["codex", "gemini"] {
        plan.agents.get_mut(name).unwrap().max_parallel = Some(1);
    }
    let mut bench = Bench::with(&plan);
    assert_eq!(bench.live(), "a b", "a fallback is not for those who only wait");
    bench.succeed("b", json!("x"));
    assert_eq!((bench.live().as_str(), bench.agent("c")), ("a c", "gemini"));
}

/// Rulings Z8, Z20: retries stay with whoever was taken; then the others who can do it have their
/// turn, then the fallbacks of the plan.
#[test]
fn the_others_who_can_do_it_come_before_the_fallbacks() {
    let mut bench = Bench::with(&asking(&["a"], &["codex", "gemini"], &["claude"]));
    let mut takers = Vec::new();
    while let Some(order) = bench.orders.get("a") {
        takers.push(order.agent.clone());
        bench.fail("a", Outcome::ExitCode);
        bench.pass(60_000);
    }
    assert_eq!(takers, ["codex", "codex", "gemini", "gemini", "claude", "claude"]);
    assert_eq!(bench.task("a").state, TaskState::Failed);
}

/// Feature I14: who is parked is passed over; when all are, the fallbacks of the plan do it.
#[test]
fn who_is_parked_is_passed_over() {
    let park = |bench: &mut Bench, name: &str| {
        bench.hear(Event::AgentParked { agent: name.to_owned(), until: Moment(900_000) });
    };
    let mut bench = Bench::new(100);
    park(&mut bench, "codex");
    bench.hand_in(1, &asking(&["a", "b"], &["codex", "gemini"], &["claude"]));
    assert_eq!((bench.agent("a"), bench.agent("b")), ("gemini", "gemini"));
    assert!(bench.told()[0].ends_with("others: codex (parked)"), "{:?}", bench.told());
    let mut bench = Bench::new(100);
    park(&mut bench, "codex");
    park(&mut bench, "gemini");
    bench.hand_in(1, &asking(&["a"], &["codex", "gemini"], &["claude"]));
    assert_eq!(bench.agent("a"), "claude");
}

/// Features I13, I14: an agent that cannot be started is passed over for a minute; then one attempt
/// is a trial, and when that runs the agent is back.
#[test]
fn an_agent_that_cannot_be_started_rests() {
    let text = tasks("", &[("a", "retries = 5"), ("b", "fallback = [\"codex\"]")]);
    let mut bench = Bench::new(1);
    bench.workflow.remember(&[failed_start(500), failed_start(600)]);
    bench.submit(1, &text);
    assert_eq!(bench.agent("a"), "claude");
    bench.fail("a", Outcome::StartTimeout);
    assert_eq!(bench.agent("b"), "codex", "its queued tasks go to their fallbacks");
    bench.succeed("b", json!("x"));
    bench.pass(30_000);
    assert_eq!(bench.live(), "", "who has no fallback waits");
    bench.pass(30_000);
    assert_eq!(bench.live(), "a");
    assert_eq!(bench.workflow.standing("claude").failed_starts(), 3);
}

fn failed_start(ms: u64) -> PastAttempt {
    PastAttempt {
        agent: "claude".to_owned(),
        started: Moment(ms),
        ended: Some((Moment(ms), Outcome::ExecFailed)),
        pools: Vec::new(),
    }
}

/// Feature I13: who rests is tried again when the rest is over, without anybody asking.
#[test]
fn the_end_of_a_rest_is_a_deadline() {
    let mut bench = Bench::new(9);
    bench.workflow.remember(&[500, 600, 700].map(failed_start));
    bench.submit(1, &tasks("max_parallel = 9", &[("a", ""), ("b", "")]));
    assert_eq!(bench.live(), "", "what the ledger tells of earlier attempts counts");
    assert_eq!(bench.workflow.next_deadline(), Some(Moment(60_700)));
    bench.now = Moment(60_700);
    bench.pass(0);
    assert_eq!(bench.live(), "a", "one trial");
    let (run, attempt) = (run_id(1), bench.orders["a"].attempt.clone());
    bench.hear(Event::AttemptRunning { run, attempt });
    assert_eq!(bench.live(), "a", "its process may still fail to execute");
    assert_eq!(bench.workflow.next_deadline(), Some(Moment(65_700)));
    bench.pass(5_000);
    assert_eq!(bench.live(), "a b");
}

/// Pools are shared by all runs, and a task that waits for a full one holds up nobody.
#[test]
fn a_full_pool_holds_up_only_who_takes_from_it() {
    let mut plan = plan(&tasks(
        "max_parallel = 9",
        &[("a", "priority = 3"), ("b", "priority = 2"), ("c", "")],
    ));
    plan.limits = [("db".to_owned(), Pool { slots: Some(2), rate: None })].into();
    plan.tasks[0].uses = [("db".to_owned(), 2)].into();
    plan.tasks[1].uses = [("db".to_owned(), 1)].into();
    let mut bench = Bench::with(&plan);
    assert_eq!(bench.live(), "a c");
    for task in &mut plan.tasks {
        *task = crate::plan::Task { id: TaskId::new(format!("x{}", task.id)), ..task.clone() };
    }
    plan.phases[0].tasks = plan.tasks.iter().map(|task| task.id.clone()).collect();
    bench.hand_in(2, &plan);
    assert_eq!(bench.live(), "a c xc", "the pool is the daemon's");
    bench.succeed("a", json!("x"));
    assert_eq!(bench.live(), "c xa xc", "one of the two would be there for b");
    bench.succeed("xa", json!("x"));
    assert_eq!(bench.live(), "b c xb xc");
}

/// Rates of agents and pools count starts in a span that slides, also those before a restart.
#[test]
fn rates_are_kept() {
    let mut plan = plan(&tasks("max_parallel = 9", &[("a", ""), ("b", ""), ("c", "")]));
    let two = Some(Rate { count: 2, per_ms: 60_000 });
    plan.limits = [("crm".to_owned(), Pool { slots: None, rate: two })].into();
    for task in &mut plan.tasks {
        task.uses = [("crm".to_owned(), 1)].into();
    }
    let mut bench = Bench::with(&plan);
    assert_eq!(bench.live(), "a b");
    assert_eq!(bench.workflow.next_deadline(), Some(Moment(61_000)));
    bench.succeed("a", json!("x"));
    assert_eq!(bench.live(), "b", "a slot is free, the rate is not");
    bench.pass(60_000);
    assert_eq!(bench.live(), "b c");
    let mut plan = super::plan(&tasks("max_parallel = 9", &[("a", "")]));
    plan.agents.get_mut("claude").unwrap().rate = Some(Rate { count: 1, per_ms: 60_000 });
    let mut bench = Bench::new(9);
    let (agent, started) = ("claude".to_owned(), Moment(900));
    bench.workflow.remember(&[PastAttempt { agent, started, ended: None, pools: Vec::new() }]);
    bench.hand_in(1, &plan);
    assert_eq!(bench.live(), "");
    bench.pass(59_900);
    assert_eq!(bench.live(), "a");
}

/// Features F9, J3: all that can start is decided in one turn, and so recorded in one commit.
#[test]
fn a_batch_starts_in_one_turn() {
    let ids: Vec<String> = (0..40).map(|n| format!("t{n}")).collect();
    let list: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "")).collect();
    let text = tasks("max_parallel = 32", &list);
    let mut workflow = Workflow::new(100, Mint::new([3; 32]));
    let event = Event::Submitted(Box::new(submission(1, &plan(&text))));
    let actions = workflow.handle(Moment(1_000), event);
    let starts = |action: &&Action| {
        matches!(action, Action::Record(Fact::Run { fact: RunFact::TaskStarting { .. }, .. }))
    };
    assert_eq!(actions.iter().filter(starts).count(), 32);
}
