//! What every key of a plan becomes in the form that a run is made of.

use std::fs;
use std::path::Path;

use muxvisor::model::TaskId;
use muxvisor::plan::{
    Approval, Comparison, Condition, DependsCause, Edge, Expiry, InputValue, Lead, MinSuccess,
    OnExceed, OnTie, Origin, OutputAs, Partition, Plan, Rate, Reducer, Task, Template,
    TemplatePart, VoteRule, Work,
};
use serde_json::json;

use crate::plans::{check_file, task};

fn everything() -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans/good/everything.toml");
    let checked = check_file(&path);
    checked.plan.unwrap_or_else(|| panic!("{:?}", checked.findings))
}

fn need(task: &Task, on: &str) -> Option<(DependsCause, bool)> {
    let need = task.needs.iter().find(|need| need.task == TaskId::new(on));
    need.map(|need| (need.cause, need.hard))
}

fn edge(template: &Template) -> &Edge {
    let found = template.parts.iter().find_map(|part| match part {
        TemplatePart::Reference { to, .. } => Some(to),
        TemplatePart::Text(_) => None,
    });
    found.expect("it has a reference")
}

/// Features A10, J1, K7, K10: budgets, pools, the breaker, approval of each phase.
#[test]
fn a_plan_has_limits() {
    let plan = everything();
    assert_eq!((plan.approval, plan.stop_after_failures), (Approval::EachPhase, 0));
    let budget = plan.budget.expect("it has one");
    assert_eq!((budget.cost_usd, budget.tokens), (Some(12.0), Some(3_000_000)));
    assert_eq!(budget.on_exceed, OnExceed::Stop);
    assert_eq!((plan.limits["warehouse"].slots, plan.limits["warehouse"].rate), (Some(1), None));
    let rate = Rate { count: 30, per_ms: 60_000 };
    assert_eq!((plan.limits["crm"].slots, plan.limits["crm"].rate), (Some(2), Some(rate)));
    let short =
        check_text("plan = 'x'\n[[task]]\nid = 'a'\nagent = 'claude'\ndescription = 'A.'\n");
    assert_eq!((short.stop_after_failures, short.budget), (3, None));
    assert_eq!(short.tasks[0].tier, 2, "feature H14");
}

fn check_text(text: &str) -> Plan {
    let checked = crate::plans::check(text);
    checked.plan.unwrap_or_else(|| panic!("{:?}", checked.findings))
}

/// Features A12, C15, C18: phases with conditions, quorums and limits of their own.
#[test]
fn phases_have_conditions_and_limits() {
    let plan = everything();
    let gather = plan.phase("gather").expect("it is there");
    assert_eq!(gather.min_success, Some(MinSuccess::Share(0.5)));
    assert_eq!((gather.gather_timeout_ms, gather.max_parallel), (Some(600_000), Some(2)));
    let Some(Condition::All(parts)) = &plan.phase("judge").expect("it is there").when else {
        panic!("two conditions must hold");
    };
    let Condition::Compare { left: InputValue::Text(left), by, right } = &parts[0] else {
        panic!("{parts:?}");
    };
    assert_eq!(*edge(left), Edge::Status { task: TaskId::new("list") });
    assert_eq!((*by, right), (Comparison::Equal, &InputValue::Plain(json!("success"))));
    assert!(matches!(&parts[1], Condition::Any(either) if either.len() == 2));
    // What a phase's condition reads, all of its tasks wait for.
    assert_eq!(need(task(&plan, "all"), "list"), Some((DependsCause::Reference, true)));
    let score = task(&plan, "score");
    assert_eq!(score.uses, [("crm".to_owned(), 2), ("warehouse".to_owned(), 1)].into());
    assert_eq!(task(&plan, "list").uses, [("crm".to_owned(), 1)].into());
}

/// Features C12, C13, C15: items, parts, and how many must succeed.
#[test]
fn items_are_made_of_lists() {
    let plan = everything();
    let score = task(&plan, "score");
    let items = score.for_each.as_ref().expect("it has items");
    assert_eq!((items.min_items, items.max_items), (1, 50));
    assert_eq!(items.min_success, Some(MinSuccess::Share(0.8)));
    assert_eq!((items.partition, items.gather_timeout_ms), (None, Some(300_000)));
    let key = items.key.as_ref().expect("items have keys");
    assert_eq!(*edge(key), Edge::Item { path: vec![json!("name")] });
    // Each item gives what the task says; readers see a list of it.
    assert_eq!(score.output.as_ref().expect("it has a schema")["type"], "object");
    assert_eq!(score.output_as, OutputAs::Json);
    let parts = task(&plan, "parts").for_each.as_ref().expect("it has items");
    assert_eq!((parts.partition, parts.max_items), (Some(Partition::Parts(5)), 1_000));
    let least = parts.min_success.expect("failed items are gaps");
    assert_eq!((least.of(0), least.of(1), least.of(5), least.of(1_000)), (0, 1, 1, 1));
    let judge = task(&plan, "one");
    let to: Vec<&Edge> = judge
        .description
        .parts
        .iter()
        .filter_map(|part| match part {
            TemplatePart::Reference { to, .. } => Some(to),
            TemplatePart::Text(_) => None,
        })
        .collect();
    assert_eq!(*to[1], Edge::Failed { task: TaskId::new("score") });
    assert_eq!(need(judge, "score"), Some((DependsCause::Reference, false)));
}

/// Features C10, C14, O5, ruling Z9: the reducers, and whose vote weighs what.
#[test]
fn reduces_say_how() {
    let plan = everything();
    let reducer = |id: &str| {
        let Work::Reduce(reduce) = &task(&plan, id).work else { panic!("{id} is no reduce") };
        reduce.by.clone()
    };
    assert_eq!(reducer("all"), Reducer::Concat { sort_by: Some("score".to_owned()) });
    let Reducer::Vote(vote) = reducer("vote") else { panic!("it is a vote") };
    assert_eq!((vote.field.as_str(), vote.rule), ("verdict", VoteRule::Quorum(0.66)));
    assert_eq!(vote.veto, Some(("risk".to_owned(), json!("R"))));
    assert_eq!(vote.on_tie, OnTie::Value(json!("no-go")));
    assert_eq!(vote.weights, [("one".to_owned(), 2.0)].into());
    let decision = &task(&plan, "vote").output.clone().expect("it has a shape")["properties"];
    assert_eq!(decision["decision"]["enum"], json!(["go", "no-go"]));
    assert!(matches!(reducer("page"), Reducer::Template { text } if text.contains("for name")));
    let columns = vec!["score".to_owned()];
    assert_eq!(reducer("table"), Reducer::Table { columns, sort_by: None });
    let vote = task(&plan, "vote");
    assert_eq!((vote.retries, vote.timeout_ms), (0, None), "the daemon needs no retries");
}

/// Features A15, C8, I2, Z11: who does it, who may help, who may be written to.
#[test]
fn agents_are_found_by_what_they_can_do() {
    let plan = everything();
    let one = task(&plan, "one");
    let names: Vec<(&str, u32)> =
        one.work.agents().iter().map(|agent| (agent.name.as_str(), agent.retries)).collect();
    assert_eq!(names, [("codex", 2), ("gemini", 2), ("claude", 0)]);
    assert_eq!(one.work.alternatives(), 2);
    let lead = Lead { max_workers: 3, agents: vec!["gemini".to_owned()] };
    assert_eq!(task(&plan, "lead").lead, Some(lead));
    let two = task(&plan, "two");
    assert_eq!(two.messages, [TaskId::new("one")]);
    assert_eq!((two.model.as_deref(), two.tier), (Some("small"), 1));
    assert_eq!((two.total_timeout_ms, two.cache_ms), (Some(3_600_000), Some(604_800_000)));
    assert_eq!(two.queue_timeout_ms, Some(3_600_000), "from the defaults");
    assert_eq!(two.budget.as_ref().and_then(|budget| budget.tokens), Some(1_000));
    assert!(two.constraints.iter().any(|it| it.written().contains("only writes its own file")));
}

/// Features A10, A22, C17: people, events, and plans in plans.
#[test]
fn people_events_and_plans_are_kinds_of_work() {
    let plan = everything();
    let Work::Approve { ask, expiry } = &task(&plan, "ask").work else { panic!("it asks") };
    assert!(ask.written().starts_with("Go? The vote was"));
    let day = Expiry { after_ms: 86_400_000, then: "approve".to_owned() };
    assert_eq!(*expiry, Some(day));
    let Work::Wait { event, expiry } = &task(&plan, "signed").work else { panic!("it waits") };
    assert_eq!(event.written(), "${input.topic}.signed");
    assert_eq!(expiry.as_ref().map(|expiry| expiry.then.as_str()), Some("skip"));
    let Work::Emit { data: InputValue::Table(data), .. } = &task(&plan, "tell").work else {
        panic!("it emits a table");
    };
    assert_eq!(data["ready"], InputValue::Plain(json!(true)));
    let Work::Plan(inner) = &task(&plan, "lines").work else { panic!("it is a plan") };
    assert!(inner.path.ends_with("good/inner/lines.toml"));
    assert!(inner.text.starts_with("plan = \"lines\""));
    let kept: Plan = serde_json::from_value(inner.plan.clone()).expect("a plan is kept");
    assert_eq!((kept.name.as_str(), kept.tasks.len()), ("lines", 1));
    assert_eq!(inner.inputs[0].name, "topic");
    let trigger = &plan.on[0];
    assert_eq!(trigger.event, "mail.came");
    assert!(matches!(&trigger.when, Some(Condition::All(parts)) if parts.len() == 2));
    let InputValue::Text(topic) = &trigger.start.inputs[0].value else { panic!("it is a text") };
    assert_eq!(*edge(topic), Edge::Event { path: vec![json!("subject")] });
}

/// Features N10-N12: hooks are tasks of their own, between a task and its readers.
#[test]
fn hooks_and_the_end_are_hidden_tasks() {
    let plan = everything();
    let gate = task(&plan, "two!sanity-check");
    let of = TaskId::new("two");
    let skill = "sanity-check".to_owned();
    assert_eq!(gate.origin, Some(Origin::Hook { of: of.clone(), skill, blocks: true }));
    assert_eq!(need(gate, "two"), Some((DependsCause::Reference, true)));
    let Work::Command { run } = &gate.work else { panic!("it is built in") };
    let run: Vec<String> = run.iter().map(Template::written).collect();
    assert_eq!(run, ["muxvisor-builtin", "hook", "sanity-check"]);
    let second = task(&plan, "two!codex");
    assert_eq!(second.work.agents()[0].name, "codex");
    assert_eq!(need(second, "two!sanity-check").map(|(_, hard)| hard), Some(false));
    // Who needs the task needs what blocks it; the rest only comes first.
    let vote = task(&plan, "vote");
    assert_eq!(need(vote, "two!sanity-check"), Some((DependsCause::Reference, true)));
    assert_eq!(need(vote, "two!codex"), Some((DependsCause::Reference, false)));
    assert!(plan.phase("judge").expect("it is there").tasks.contains(&gate.id));
    assert!(plan.task(&TaskId::new("list!notify-send")).is_some(), "the phase's hook");
    assert_eq!(need(task(&plan, "score"), "list!notify-send").map(|(_, hard)| hard), Some(false));
    let finish = task(&plan, "on_finish");
    assert_eq!(finish.origin, Some(Origin::Finish));
    assert_eq!(finish.needs.len(), plan.tasks.len() - 1);
    assert!(finish.needs.iter().all(|need| !need.hard));
    assert!(plan.phases.iter().all(|phase| !phase.tasks.contains(&finish.id)));
    assert!(plan.agents.contains_key("gemini") && plan.agents.contains_key("codex"));
}

/// Features I17, I18, N1: stages are a pipeline, each given what the one before gave.
#[test]
fn stages_become_a_pipeline() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans/good/stages.toml");
    let plan = check_text(&fs::read_to_string(path).expect("a plan can be read"));
    assert_eq!(plan.pattern.as_deref(), Some("pipeline"));
    let ids: Vec<&str> = plan.tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids, ["stage-0", "stage-1", "stage-2"]);
    assert_eq!(plan.tasks[0].inputs.len(), 0);
    let previous = &plan.tasks[1].inputs[0];
    let InputValue::Text(text) = &previous.value else { panic!("it is a reference") };
    assert_eq!(previous.name, "previous");
    assert_eq!(*edge(text), Edge::Output { task: TaskId::new("stage-0"), path: vec![] });
    assert_eq!(need(&plan.tasks[2], "stage-1"), Some((DependsCause::Reference, true)));
    let shown = muxvisor::plan::show(&plan);
    assert!(shown.contains("  ⏳ 0. [implement] Write the code → codex\n"), "{shown}");
    assert!(shown.contains("  ⏳ 1. [review] Look for mistakes → codex or gemini\n"), "{shown}");
    let json = muxvisor::plan::show_json(&plan);
    assert_eq!(json["stages"][0]["capability"], "implement");
}

/// A template stands for what a task would say, references included.
#[test]
fn a_template_fills_in_a_task() {
    let text = "plan = 'x'\n[defaults]\nagent = 'claude'\n[[task]]\nid = 'a'\ndescription = 'A.'\n\
                [[task]]\nid = 'b'\ntemplate = 'look'\nset = { what = '${a.output}', n = 3 }\n\
                constraints = ['Be kind']\n[[task]]\nid = 'c'\ndescription = 'C ${b.output.ok}.'\n";
    let plan = check_text(text);
    let b = task(&plan, "b");
    assert_eq!(b.description.written(), "Look at ${a.output} 3 times.");
    assert_eq!(need(b, "a"), Some((DependsCause::Reference, true)));
    assert_eq!(b.role.as_deref(), Some("Onlooker"));
    let constraints: Vec<String> = b.constraints.iter().map(Template::written).collect();
    assert_eq!(constraints, ["Touch nothing", "Be kind"]);
    assert_eq!(b.output_as, OutputAs::Json);
}

/// Features A7, I18: of several agents that can do a task, the one is shown that is taken.
#[test]
fn the_shown_agent_is_the_one_that_is_taken() {
    let text = "plan = 'p'\ngoal = 'g'\n\
        [agent.dear]\ncommand = ['x']\ncapabilities = ['look']\ncost = 'high'\n\
        [agent.cheap]\ncommand = ['x']\ncapabilities = ['look']\ncost = 'low'\n\
        [[task]]\nid = 'a'\ncapability = 'look'\ndescription = 'Look.'\n";
    let checked = crate::plans::check(text);
    let mut plan = checked.plan.unwrap_or_else(|| panic!("{:?}", checked.findings));
    if let Work::Agent { agents, .. } = &mut plan.tasks[0].work {
        agents.sort_by_key(|agent| agent.name != "dear");
    }
    let shown = muxvisor::plan::show(&plan);
    assert!(shown.contains("1. [cheap] - Look."), "{shown}");
    assert_eq!(muxvisor::plan::show_json(&plan)["subtasks"][0]["agent"], "cheap");
}

/// Features A15, H9, ruling Z14: the source's own word for retries is known; a limit above a
/// quarter of an hour is told, whatever the hope.
#[test]
fn words_and_limits_of_the_sources_are_known() {
    let text = "plan = 'p'\ngoal = 'g'\n[[task]]\nid = 'a'\nagent = 'claude'\n\
                description = 'Do.'\nretries_remaining = 1\nexpected = '10m'\ntimeout = '40m'\n";
    let checked = crate::plans::check(text);
    let codes: Vec<&str> = checked.findings.iter().map(|f| f.code.as_str()).collect();
    assert_eq!(codes, ["W02"], "{:?}", checked.findings);
    assert_eq!(task(&checked.plan.unwrap(), "a").retries, 1);
    let twice = crate::plans::check(&text.replace("expected", "retries = 2\nexpected"));
    assert!(twice.plan.is_none(), "two names for one thing");
}
