//! Results that are taken instead of doing the same work again: when, whose, and when not.

use super::flow::{changed, set};
use super::*;
use crate::model::{
    CacheAnswer, CacheEntry, CacheFact, CacheFound, CacheSource, RunOutcome, WorkKey,
};
use crate::plan::{Edge, ForEach, InputValue, Origin, Template, TemplatePart};

const DAY_MS: u64 = 86_400_000;

/// What a ledger keeps of results.
#[derive(Default)]
struct Shelf {
    kept: BTreeMap<String, CacheEntry>,
    last: BTreeMap<String, (RunId, WorkKey)>,
    /// How many facts it has seen.
    seen: usize,
}

impl Shelf {
    /// Takes in what was recorded, and answers what was asked.
    fn serve(&mut self, bench: &mut Bench) {
        loop {
            for fact in &bench.facts[self.seen..] {
                let Fact::Run { run, fact: RunFact::TaskCache { task, fact } } = fact else {
                    continue;
                };
                self.take(bench, run, task, fact);
            }
            self.seen = bench.facts.len();
            let asked = std::mem::take(&mut bench.lookups);
            if asked.is_empty() {
                return;
            }
            let answers = asked.into_iter().map(|asked| CacheAnswer {
                entry: self.kept.get(&asked.work.key).cloned(),
                last: self.last.get(asked.task.as_str()).cloned(),
                ..CacheAnswer::nothing(asked, None)
            });
            bench.hear(Event::LookedUp(answers.collect()));
        }
    }

    fn take(&mut self, bench: &Bench, run: &RunId, task: &TaskId, fact: &CacheFact) {
        match fact {
            CacheFact::LookedUp { work, .. } => {
                self.last.insert(task.to_string(), (run.clone(), work.clone()));
            }
            CacheFact::Kept { key, source, sha, .. } => {
                let task = bench.workflow.run(run).unwrap().task(task).unwrap();
                let output = task.output.clone().unwrap();
                assert_eq!(output.sha, *sha);
                let entry = CacheEntry { source: source.clone(), at: bench.now, output };
                self.kept.insert(key.clone(), entry);
            }
            CacheFact::Dropped { key } => {
                self.kept.remove(key);
            }
        }
    }
}

fn cached(keys: &str) -> String {
    one_task(&format!("cache = \"7d\"\n{keys}"))
}

/// A first run of that plan, whose only task gave "A".
fn done_once(text: &str) -> (Bench, Shelf) {
    let (mut bench, mut shelf) = (Bench::of(text), Shelf::default());
    assert_eq!(bench.live(), "", "it asks first");
    shelf.serve(&mut bench);
    bench.succeed("a", json!("A"));
    shelf.serve(&mut bench);
    assert_eq!(bench.run().outcome, Some(RunOutcome::Completed));
    (bench, shelf)
}

fn of_run(bench: &Bench, n: u32, task: &str) -> Task {
    bench.workflow.run(&run_id(n)).unwrap().task(&TaskId::new(task)).unwrap().clone()
}

fn found(bench: &Bench, n: u32) -> CacheFound {
    of_run(bench, n, "a").looked.unwrap()
}

/// A second run of the same plan makes no attempt and has the same result; the document says
/// whose it is.
#[test]
fn the_same_work_is_not_done_twice() {
    let (mut bench, mut shelf) = done_once(&cached(""));
    assert_eq!(found(&bench, 1), CacheFound::Nothing);
    assert!(of_run(&bench, 1, "a").kept);
    bench.pass(3_000);
    bench.submit(2, &cached(""));
    shelf.serve(&mut bench);
    assert_eq!(bench.live(), "");
    let task = of_run(&bench, 2, "a");
    assert_eq!((task.state, task.n, task.started), (TaskState::Success, 0, None));
    assert_eq!(task.output.as_ref().unwrap().value, json!("A"));
    let attempt = of_run(&bench, 1, "a").attempt.unwrap();
    let source =
        CacheSource { run: run_id(1), attempt: attempt.clone(), agent: "claude".to_owned() };
    assert_eq!(found(&bench, 2), CacheFound::Good { source, age_ms: 3_000 });
    assert!(!task.kept, "what was taken is not kept once more");
    let run = bench.workflow.run(&run_id(2)).unwrap();
    assert_eq!(run.outcome, Some(RunOutcome::Completed));
    let document = &document(run, None, bench.now)["execution_results"];
    let told = &document["phases"][0]["tasks"][0];
    assert_eq!(told["cached"], json!({ "run": run_id(1), "attempt": attempt, "age_ms": 3_000 }));
    assert_eq!((&told["plugin_used"], &told["attempt_number"]), (&json!("claude"), &json!(0)));
    assert_eq!(document["summary"]["fell_back"], json!(0));
}

/// The key is of what would be done; `why` names what is another.
#[test]
fn other_work_is_done() {
    let cases = [
        ("constraints = [\"Be brief.\"]", "prompt"),
        ("model = \"big\"", "model"),
        ("output = { x = \"string\" }", "output"),
        ("cwd = \"sub\"", "directory"),
        ("tier = 3", "rights"),
        ("retries = 5\ntimeout = \"3m\"\npriority = 4\nfallback = [\"codex\"]", ""),
    ];
    for (keys, part) in cases {
        let (mut bench, mut shelf) = done_once(&cached(""));
        bench.submit(2, &cached(keys));
        shelf.serve(&mut bench);
        let found = found(&bench, 2);
        let parts = if let CacheFound::Changed { since, parts } = &found {
            assert_eq!(*since, run_id(1));
            parts.join(" ")
        } else {
            assert!(found.good().is_some(), "{found:?}");
            String::new()
        };
        assert_eq!(parts, part, "{keys}");
        assert_eq!(bench.live(), if part.is_empty() { "" } else { "a" }, "{keys}");
    }
    // Another agent, as its definition says.
    let (mut bench, mut shelf) = done_once(&cached(""));
    let mut other = plan(&cached(""));
    other.agents.get_mut("claude").unwrap().command.push("--hard".to_owned());
    bench.hear(Event::Submitted(Box::new(submission(2, &other))));
    shelf.serve(&mut bench);
    let parts = vec!["agent".to_owned()];
    assert_eq!(found(&bench, 2), CacheFound::Changed { since: run_id(1), parts });
    // Lessons are a part of the prompt that changes by itself.
    bench.workflow.teach("p", "- Look twice.");
    bench.succeed("a", json!("B"));
    shelf.serve(&mut bench);
    assert!(!of_run(&bench, 2, "a").kept, "nobody knows by which lessons it was done");
}

/// Two tasks with the same words are asked for two opinions.
#[test]
fn a_task_takes_only_its_own_result() {
    let (mut bench, mut shelf) = done_once(&cached(""));
    bench.submit(2, &cached("").replace("id = \"a\"", "id = \"b\""));
    shelf.serve(&mut bench);
    assert_eq!(bench.live(), "b");
}

/// How old a result may be is what the plan says that wants it.
#[test]
fn an_old_result_is_not_taken() {
    let (mut bench, mut shelf) = done_once(&cached(""));
    bench.pass(7 * DAY_MS - 1);
    bench.submit(2, &cached(""));
    shelf.serve(&mut bench);
    assert!(found(&bench, 2).good().is_some());
    bench.pass(1);
    bench.submit(3, &cached(""));
    shelf.serve(&mut bench);
    let good_ms = 7 * DAY_MS;
    let old = CacheFound::Old { run: run_id(1), age_ms: good_ms, good_ms };
    assert_eq!((found(&bench, 3), bench.live().as_str()), (old, "a"));
    bench.succeed("a", json!("fresh"));
    shelf.serve(&mut bench);
    bench.submit(4, &cached(""));
    shelf.serve(&mut bench);
    assert_eq!(of_run(&bench, 4, "a").output.unwrap().value, json!("fresh"));
    // Without `cache`, or with "off", nobody asks.
    bench.submit(5, &one_task("cache = \"off\""));
    assert_eq!((bench.lookups.len(), bench.live().as_str()), (0, "a"));
}

/// What a person wants done again is done, and what it gives takes the place of what was kept.
#[test]
fn doing_again_is_doing() {
    let (mut bench, mut shelf) = done_once(&tasks("", &[("a", "cache = \"7d\"")]));
    bench.again(Some("a"), false);
    assert_eq!((bench.lookups.len(), bench.live().as_str()), (0, "a"));
    assert_eq!(found(&bench, 1), CacheFound::Again);
    shelf.serve(&mut bench);
    assert!(shelf.kept.is_empty(), "what was wrong is not taken by anybody meanwhile");
    bench.succeed("a", json!("better"));
    shelf.serve(&mut bench);
    bench.submit(2, &tasks("", &[("a", "cache = \"7d\"")]));
    shelf.serve(&mut bench);
    assert_eq!(of_run(&bench, 2, "a").output.unwrap().value, json!("better"));
    // Of a run that took it, too.
    let tasks = what_again(bench.workflow.run(&run_id(2)).unwrap(), Some("a"), false).unwrap();
    bench.hear(Event::AgainAsked { run: run_id(2), tasks });
    assert_eq!(bench.live(), "a");
}

/// A task that was skipped was neither done nor tried: its result may still be taken.
#[test]
fn what_was_never_begun_is_not_done_again() {
    let text = tasks("", &[("b", "retries = 0"), ("a", "cache = \"7d\"\ndepends_on = [\"b\"]")]);
    let (mut bench, mut shelf) = (Bench::of(&text), Shelf::default());
    bench.succeed("b", json!("B"));
    shelf.serve(&mut bench);
    bench.succeed("a", json!("A"));
    shelf.serve(&mut bench);
    bench.submit(2, &text);
    bench.fail("b", Outcome::ExitCode);
    assert_eq!(of_run(&bench, 2, "a").state, TaskState::Skipped);
    let tasks = what_again(bench.workflow.run(&run_id(2)).unwrap(), None, false).unwrap();
    bench.hear(Event::AgainAsked { run: run_id(2), tasks });
    bench.succeed("b", json!("B"));
    shelf.serve(&mut bench);
    assert!(found(&bench, 2).good().is_some());
}

/// Only what an attempt gave is kept: no failure, and nothing that a person wrote.
#[test]
fn only_results_of_attempts_are_kept() {
    let (mut bench, mut shelf) = (Bench::of(&cached("retries = 1")), Shelf::default());
    shelf.serve(&mut bench);
    bench.fail("a", Outcome::ExitCode);
    shelf.serve(&mut bench);
    assert!(shelf.kept.is_empty() && bench.lookups.is_empty());
    let (task, output) = (TaskId::new("a"), Output::of(json!("by hand")));
    let facts = vec![RunFact::TaskSucceeded { task, attempt: None, output }];
    bench.hear(Event::Said { run: run_id(1), facts });
    assert_eq!(bench.task("a").state, TaskState::Success);
    shelf.serve(&mut bench);
    assert!(shelf.kept.is_empty());
    // A retry gives what the first attempt would have given; its prompt tells an error beside.
    bench.submit(2, &cached("retries = 1"));
    shelf.serve(&mut bench);
    bench.fail("a", Outcome::ExitCode);
    bench.pass(60_000);
    bench.succeed("a", json!("A"));
    shelf.serve(&mut bench);
    bench.submit(3, &cached("retries = 1"));
    shelf.serve(&mut bench);
    assert!(found(&bench, 3).good().is_some());
}

fn hooked() -> Plan {
    let mut plan = plan(&tasks("", &[("a", "cache = \"7d\""), ("hook", "retries = 0")]));
    plan.tasks[1].id = TaskId::new("a!check");
    plan.phases[0].tasks[1] = TaskId::new("a!check");
    let (of, skill) = (TaskId::new("a"), "check".to_owned());
    plan.tasks[1].origin = Some(Origin::Hook { of, skill, blocks: true });
    plan
}

/// What a blocking hook turns down is not kept, and what was kept before it was turned down is no
/// longer taken.
#[test]
fn what_a_hook_turns_down_is_not_kept() {
    let (mut bench, mut shelf) = (Bench::new(9), Shelf::default());
    let submit = |bench: &mut Bench, n: u32| {
        bench.hear(Event::Submitted(Box::new(submission(n, &hooked()))));
    };
    submit(&mut bench, 1);
    shelf.serve(&mut bench);
    bench.succeed("a", json!("bad"));
    shelf.serve(&mut bench);
    assert!(shelf.kept.is_empty(), "it is looked at first");
    bench.fail("a!check", Outcome::ExitCode);
    shelf.serve(&mut bench);
    assert!(shelf.kept.is_empty());
    submit(&mut bench, 2);
    shelf.serve(&mut bench);
    assert_eq!(found(&bench, 2), CacheFound::Nothing, "the same work, and nothing is kept");
    bench.succeed("a", json!("good"));
    bench.succeed("a!check", json!("fine"));
    shelf.serve(&mut bench);
    assert_eq!(shelf.kept.len(), 1);
    // The hook looks at what is taken as at anything else.
    submit(&mut bench, 3);
    shelf.serve(&mut bench);
    assert_eq!(bench.live(), "a!check");
    bench.fail("a!check", Outcome::ExitCode);
    shelf.serve(&mut bench);
    assert_eq!(of_run(&bench, 3, "a").state, TaskState::Failed);
    assert_eq!(of_run(&bench, 3, "a").taken(), None);
    assert!(shelf.kept.is_empty());
}

/// A question is asked once; a daemon that died before the answer, and a pause, have it asked once
/// more; what cannot be read is done.
#[test]
fn an_answer_is_waited_for_and_never_for_ever() {
    let (mut bench, mut shelf) = done_once(&cached(""));
    bench.submit(2, &cached(""));
    bench.pass(1);
    bench.pass(1);
    assert_eq!(bench.lookups.len(), 1);
    let facts: Vec<(Moment, RunFact)> = bench
        .facts
        .iter()
        .filter_map(|fact| {
            let Fact::Run { run, fact } = fact else { return None };
            (*run == run_id(2)).then(|| (Moment(1), fact.clone()))
        })
        .collect();
    let mut next = Bench::new(9);
    next.now = bench.now;
    next.workflow.adopt(Workflow::replay(&run_id(2), &facts).unwrap());
    next.hear(Event::DeadlineReached);
    assert_eq!(next.lookups.len(), 1);
    // An answer that comes in a pause is asked for again.
    bench.hear(Event::PauseAsked { run: run_id(2), stop: false });
    shelf.serve(&mut bench);
    assert_eq!(of_run(&bench, 2, "a").state, TaskState::Blocked);
    bench.hear(Event::ResumeAsked { run: run_id(2) });
    shelf.serve(&mut bench);
    assert_eq!(of_run(&bench, 2, "a").state, TaskState::Success);
    let asked = next.lookups.remove(0);
    let answer = CacheAnswer::nothing(asked, Some("it burns".to_owned()));
    next.hear(Event::LookedUp(vec![answer]));
    assert_eq!(next.live(), "a");
    assert_eq!(found(&next, 2), CacheFound::Unread { why: "it burns".to_owned() });
}

/// A task that asks goes on by itself: nobody is called, and the run does not wait for a limit.
#[test]
fn a_task_that_asks_is_not_stuck() {
    let text = tasks("", &[("a", "cache = \"7d\""), ("b", "")])
        + "[[task]]\nid = \"c\"\nkind = \"approve\"\nask = \"Go on?\"\n";
    let mut bench = Bench::new(9);
    let (agent, until) = ("claude".to_owned(), Moment(90_000));
    bench.hear(Event::AgentParked { agent, until });
    bench.submit(
        1,
        &text.replace(
            "kind = \"approve\"\nask = \"Go on?\"",
            "agent = \"claude\"\ndescription = \"x\"",
        ),
    );
    assert_eq!((bench.run().state, bench.lookups.len()), (RunState::Running, 1));
    Shelf::default().serve(&mut bench);
    assert_eq!(bench.run().state, RunState::Paused, "all wait for the limit");

    let (mut bench, mut shelf) = (Bench::of(&text), Shelf::default());
    bench.succeed("b", json!("B"));
    assert!(!bench.workflow.waits_for_person(&run_id(1)));
    shelf.serve(&mut bench);
    bench.succeed("a", json!("A"));
    assert!(bench.workflow.waits_for_person(&run_id(1)));
}

/// An answer that comes after its run was cancelled is nobody's.
#[test]
fn an_answer_to_nobody_is_dropped() {
    let (mut bench, mut shelf) = done_once(&cached(""));
    bench.submit(2, &cached(""));
    bench.hear(Event::CancelAsked { run: run_id(2) });
    shelf.serve(&mut bench);
    assert_eq!(of_run(&bench, 2, "a").state, TaskState::Cancelled);
    assert_eq!(of_run(&bench, 2, "a").looked, None);
}

/// What is replayed is what was decided.
#[test]
fn replay_says_the_same() {
    let (mut bench, mut shelf) = done_once(&cached(""));
    bench.again(Some("a"), false);
    bench.succeed("a", json!("B"));
    shelf.serve(&mut bench);
    assert_eq!(bench.replayed().tasks, bench.run().tasks);
}

/// The plan of a run was edited while its task waited: what it then gave is not kept under what it
/// was to do before.
#[test]
fn a_result_of_an_edited_task_is_not_kept() {
    let text = tasks("max_parallel = 1", &[("b", ""), ("a", "cache = \"7d\"")]);
    let (mut bench, mut shelf) = (Bench::of(&text), Shelf::default());
    shelf.serve(&mut bench);
    assert_eq!((bench.task("a").state, bench.live().as_str()), (TaskState::Queued, "b"));
    let edited = plan(&text.replacen("cache = \"7d\"", "cache = \"7d\"\nrole = \"Editor\"", 1));
    let edit = Box::new(edit(bench.run(), edited).unwrap());
    bench.hear(Event::Adjusted { run: run_id(1), text: String::new(), edit });
    bench.succeed("b", json!("B"));
    bench.succeed("a", json!("A"));
    shelf.serve(&mut bench);
    assert!(shelf.kept.is_empty());
}

/// Every item has an entry of its own: one more in the list reruns nothing else.
#[test]
fn items_are_kept_one_by_one() {
    let mapped = |plan: &mut Plan| {
        set(plan, "a", |task| {
            let reference = |to: Edge| Template {
                parts: vec![TemplatePart::Reference { written: "x".to_owned(), to, default: None }],
            };
            task.description = reference(Edge::Item { path: Vec::new() });
            task.for_each = Some(Box::new(ForEach {
                over: InputValue::Text(reference(Edge::Output {
                    task: TaskId::new("list"),
                    path: Vec::new(),
                })),
                key: Some(reference(Edge::Item { path: Vec::new() })),
                partition: None,
                max_items: 1000,
                min_items: 0,
                min_success: None,
                gather_timeout_ms: None,
            }));
        });
    };
    let text = tasks("", &[("list", ""), ("a", "cache = \"7d\"\ndepends_on = [\"list\"]")]);
    let (mut bench, mut shelf) = (changed(&text, mapped), Shelf::default());
    bench.succeed("list", json!(["x", "y"]));
    assert_eq!(bench.lookups.len(), 2, "in one question");
    shelf.serve(&mut bench);
    bench.succeed("a[x]", json!(1));
    bench.succeed("a[y]", json!(2));
    shelf.serve(&mut bench);
    let mut second = plan(&text);
    mapped(&mut second);
    bench.hear(Event::Submitted(Box::new(submission(2, &second))));
    bench.succeed("list", json!(["y", "z", "x"]));
    shelf.serve(&mut bench);
    assert_eq!(bench.live(), "a[z]");
    bench.succeed("a[z]", json!(3));
    shelf.serve(&mut bench);
    assert_eq!(of_run(&bench, 2, "a").output.unwrap().value, json!([2, 3, 1]));
}
