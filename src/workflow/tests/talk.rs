//! What agents say to each other and ask for (features H14, H15, I12, N8, rulings Z11).

use super::*;
use crate::model::{ReportKind, Who, WorkReport, WorkerWish};
use crate::plan::Lead;
use crate::workflow::{Denial, Hired};

fn id(text: &str) -> TaskId {
    TaskId::new(text)
}

fn bench(change: impl FnOnce(&mut Plan)) -> Bench {
    let mut plan = plan(&tasks("", &[("a", ""), ("b", ""), ("c", "")]));
    plan.agents = agents();
    change(&mut plan);
    let mut bench = Bench::new(100);
    bench.hear(Event::Submitted(Box::new(submission(1, &plan))));
    bench
}

impl Bench {
    fn say(&mut self, facts: Vec<RunFact>) {
        self.hear(Event::Said { run: run_id(1), facts });
    }

    fn send(&mut self, from: &str, to: &str, text: &str) -> Result<(), Denial> {
        let message = self.run().message(&id(from), to, text, text)?;
        self.say(message.map(RunFact::Messaged).into_iter().collect());
        Ok(())
    }

    fn act(&mut self, task: &str, tier: u8) -> (String, Option<(String, String)>) {
        let (ask, facts) = self.run().action(&id(task), tier, "rm -rf build").unwrap();
        self.say(facts);
        (ask.clone(), self.run().kept.asks[&ask].answer.clone())
    }
}

#[test]
fn messages_go_where_the_plan_grants_it_and_nowhere_else() {
    let mut bench = bench(|plan| plan.tasks[0].messages = vec![id("b")]);
    bench.send("a", "b", "one").unwrap();
    bench.send("a", "b", "two").unwrap();
    bench.send("a", "b", "two").unwrap();
    let texts = |since| -> Vec<String> {
        let inbox = bench.run().inbox(&id("b"), since).unwrap();
        inbox.into_iter().map(|message| format!("{} {}", message.number, message.text)).collect()
    };
    assert_eq!(texts(0), ["1 one", "2 two"], "the same call, heard twice, is one message");
    assert_eq!(texts(1), ["2 two"]);
    let denied = bench.run().message(&id("b"), "a", "x", "k").unwrap_err();
    assert!(denied.to_string().contains("`b` may not write to `a`"), "{denied}");
    assert!(bench.run().message(&id("a"), "c", "x", "k").is_err());
    assert_eq!(bench.run().inbox(&id("c"), 0), Err(Denial::NoInbox { task: id("c") }));
    assert_eq!(bench.run().inbox(&id("a"), 0), Ok(Vec::new()));
    assert!(matches!(bench.run().message(&id("a"), "b", " ", "k"), Err(Denial::Length(1))));
}

/// Feature H15: an agent is given its own task, and nothing of the others.
#[test]
fn a_prompt_holds_nothing_of_other_tasks() {
    let text = tasks("", &[("a", ""), ("b", ""), ("c", "depends_on = [\"a\"]")]).replacen(
        "Do it.",
        "The word is tangerine.",
        1,
    );
    let mut bench = Bench::of(&text);
    let report = WorkReport {
        kind: ReportKind::Finding,
        text: "persimmon".to_owned(),
        passed: None,
        data: Value::Null,
    };
    let attempt = bench.orders["a"].attempt.clone();
    bench.say(vec![RunFact::TaskReported { task: id("a"), attempt, report }]);
    bench.succeed("a", json!("quince"));
    for task in ["b", "c"] {
        let order = &bench.orders[task];
        let seen = format!("{:?} {:?} {:?}", order.prompt, order.env, order.argv);
        for word in ["tangerine", "persimmon", "quince"] {
            assert!(!seen.contains(word), "{task} sees {word}: {seen}");
        }
    }
}

/// Feature H14: within its tier an agent acts, above it somebody is asked, and all is on record.
#[test]
fn actions_above_the_tier_need_a_yes() {
    let mut bench = bench(|_| {});
    let (ask, answer) = bench.act("a", 2);
    assert_eq!(answer, Some(("yes".to_owned(), "tier".to_owned())));
    assert_eq!(ask, "tier2-1");
    let (ask, answer) = bench.act("a", 3);
    assert_eq!((ask.as_str(), answer), ("tier3-1", None));
    assert_eq!(bench.act("a", 3).0, "tier3-1", "the same question is one");
    assert_eq!(bench.act("b", 3).0, "tier3-2", "of another task it is another");
    assert_eq!(bench.run().answers(&bench.run().kept.asks["tier3-1"].ask), None);
    assert!(bench.run().answer(&id("b"), "tier3-1", true).is_err(), "it is not its to answer");
    let by = "person".to_owned();
    bench.say(vec![RunFact::Answered { ask, answer: "no".to_owned(), by: by.clone() }]);
    assert_eq!(bench.act("a", 3).1, Some(("no".to_owned(), by)));
    assert!(matches!(bench.run().action(&id("a"), 10, "x"), Err(Denial::Tier(10))));
}

#[test]
fn a_worker_asks_its_lead_and_beyond_that_a_person() {
    let mut bench = bench(|plan| {
        plan.tasks[0].lead = Some(Lead { max_workers: 2, agents: Vec::new() });
        plan.tasks[0].tier = 4;
    });
    let wish = WorkerWish {
        name: Some("w".to_owned()),
        who: Who::Agent("codex".to_owned()),
        text: "x".to_owned(),
        inputs: Vec::new(),
        timeout_ms: None,
        schema: None,
        key: "k".to_owned(),
    };
    let Ok(Hired::New { fact, .. }) = bench.run().hire(&id("a"), &wish) else { panic!() };
    bench.say(vec![*fact]);
    assert_eq!(bench.run().plan.task(&id("a/w")).unwrap().tier, 2, "at most tier two");
    let prompt = bench.orders["a/w"].prompt.clone().unwrap();
    assert!(prompt.contains("Actions above tier 2 need a yes first"), "{prompt}");
    let (ask, answer) = bench.act("a/w", 4);
    assert_eq!(answer, None);
    let inbox = bench.run().inbox(&id("a"), 0).unwrap();
    assert!(inbox[0].text.contains("a/w wants to take an action of tier 4: rm -rf build"));
    assert!(inbox[0].text.contains("muxvisor note --answer tier4-1 yes"), "{inbox:?}");
    let fact = bench.run().answer(&id("a"), &ask, true).unwrap().unwrap();
    bench.say(vec![fact]);
    assert_eq!(bench.run().answer(&id("a"), &ask, false), Ok(None), "the first answer counts");
    assert_eq!(bench.act("a/w", 4).1, Some(("yes".to_owned(), "a".to_owned())));
    let (ask, _) = bench.act("a/w", 5);
    let denied = bench.run().answer(&id("a"), &ask, true).unwrap_err();
    assert!(denied.to_string().contains("a person has to decide"), "{denied}");
    assert_eq!(bench.run().inbox(&id("a"), 1).unwrap(), [], "its lead is not bothered");
}
