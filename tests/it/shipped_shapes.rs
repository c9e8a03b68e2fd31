//! What every plan under `config/plans/` promises by its shape: what each task is given and gives,
//! what it waits for, and in which order the engine really starts and ends them. The whole of it
//! stands in `tests/plans/shipped/NAME.txt` (`MUXVISOR_BLESS=1` rewrites it); what a pattern or a
//! composition is known for stands here, so that no rewriting hides its loss.

mod play;
mod shape;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use muxvisor::plan::{Mode, Plan};
use serde_json::{Value, json};

use crate::plans::{check_shipped, expect_beside, task};
use play::{Played, play};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/plans")
}

/// A shipped plan, compiled.
fn shipped(name: &str) -> Plan {
    check_shipped(&folder().join(format!("{name}.toml")))
}

/// The steps of a plan: tasks that are started together, one step after the other.
fn steps(name: &str) -> Vec<String> {
    play(&shipped(name)).steps()
}

/// What agents and programs of a plan are told of what others gave, by task.
fn told(name: &str) -> BTreeMap<String, Vec<String>> {
    play(&shipped(name)).told
}

/// The JSON Schema of one field that a task gives.
#[track_caller]
fn gives(plan: &Plan, id: &str, field: &str) -> Value {
    let schema = task(plan, id).output.as_ref().unwrap_or_else(|| panic!("`{id}` gives no fields"));
    assert!(
        schema["required"].as_array().is_some_and(|all| all.contains(&json!(field))),
        "`{id}` must give `{field}`: {schema}"
    );
    schema["properties"][field].clone()
}

/// Green, yellow or red.
#[track_caller]
fn assert_risk(plan: &Plan, id: &str, field: &str) {
    assert_eq!(gives(plan, id, field)["enum"], json!(["G", "Y", "R"]), "{id}.{field}");
}

#[track_caller]
fn assert_told(name: &str, id: &str, what: &[&str]) {
    let told = told(name);
    let told = told.get(id).unwrap_or_else(|| panic!("`{id}` is not started: {told:?}"));
    assert_eq!(told, what, "{name}: {id}");
}

/// Every shipped plan has the shape that is written down beside the tests, and is played so.
#[test]
fn shipped_plans_keep_their_shape() {
    let entries = fs::read_dir(folder()).expect("the folder is part of the repository");
    let names = entries.map(|entry| entry.expect("a folder can be listed").path());
    let mut names: Vec<PathBuf> =
        names.filter(|path| path.extension().is_some_and(|it| it == "toml")).collect();
    names.sort();
    assert!(names.len() >= 22, "{names:?}");
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans/shipped");
    let differences: Vec<String> = names
        .iter()
        .filter_map(|path| {
            let plan = check_shipped(path);
            let text = format!("{}\n{}", shape::of(&plan), play(&plan).text());
            let name = path.file_stem().expect("a plan has a name");
            expect_beside(&expected.join(name), "txt", &text)
        })
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Features C5, C7: one stage after the other, and each is told what it needs of the one before,
/// and nothing else that was made.
#[test]
fn a_pipeline_passes_on_what_the_next_stage_needs() {
    assert_eq!(
        steps("pipeline"),
        ["facts", "plan-of-text", "text figures", "corrected", "file"],
        "research, outline, draft, review, publish"
    );
    assert_told("pipeline", "facts", &[]);
    assert_told("pipeline", "plan-of-text", &["facts.claim", "facts.source"]);
    assert_told("pipeline", "text", &["plan-of-text.sections"]);
    assert_told("pipeline", "figures", &["plan-of-text.figures"]);
    assert_told("pipeline", "corrected", &["figures.caption", "figures.drawing", "text"]);
    assert_told("pipeline", "file", &["corrected"]);
}

/// Feature C6: a stage may be parallel inside; the stages still come one after the other.
#[test]
fn a_stage_of_a_pipeline_is_parallel_inside() {
    let plan = shipped("pipeline");
    assert_eq!(plan.pattern.as_deref(), Some("pipeline"));
    assert_eq!(plan.phase("draft").map(|phase| phase.mode), Some(Mode::Parallel));
    let lines = play(&plan).lines;
    let at = |line: &str| {
        lines.iter().position(|it| it == line).unwrap_or_else(|| panic!("no {line}: {lines:?}"))
    };
    assert!(at("start text") < at("end figures") && at("start figures") < at("end text"));
    assert!(at("end plan-of-text") < at("start text"));
    assert!(at("end text") < at("start corrected") && at("end figures") < at("start corrected"));
    // The same where stages have several tasks each.
    let play = play(&crate::plans::check(THREE_STAGES).plan.expect("it is right"));
    assert_eq!(play.steps(), ["a1 a2 a3", "b1 b2", "c1 c2"]);
}

const THREE_STAGES: &str = r#"
plan = "stages"
pattern = "pipeline"
approval = "none"
[defaults]
agent = "claude"
[[phase]]
id = "a"
task = [{ id = "a1", description = "A." }, { id = "a2", description = "A." }, { id = "a3", description = "A." }]
[[phase]]
id = "b"
depends_on_phases = ["a"]
execution_mode = "parallel"
task = [{ id = "b1", description = "B ${a.*.output}." }, { id = "b2", description = "B." }]
[[phase]]
id = "c"
depends_on_phases = ["b"]
task = [{ id = "c1", description = "C ${b.b1.output}." }, { id = "c2", description = "C." }]
"#;

/// Features C1, C2: specialists work at once, each alone, and one task is told what all of them
/// found.
#[test]
fn a_fan_out_is_merged_at_one_place() {
    assert_eq!(
        steps("fan-out"),
        ["pages[0] pages[1] pages[2] pages[3] pages[4]", "overview"],
        "five workers at once"
    );
    assert_told("fan-out", "pages[0]", &[]);
    assert_told(
        "fan-out",
        "overview",
        &[
            "pages[0].done",
            "pages[0].summary",
            "pages[1].done",
            "pages[1].summary",
            "pages[2].done",
            "pages[2].summary",
            "pages[3].done",
            "pages[3].summary",
            "pages[4].done",
            "pages[4].summary",
        ],
    );
}

/// Feature C16, C18: two branches of two steps go on side by side, neither waits for the other,
/// and what they made is joined.
#[test]
fn a_fork_joins_its_branches() {
    let played: Played = play(&shipped("fork-join"));
    assert_eq!(
        played.lines[..8],
        [
            "start attack-surface",
            "start hot-paths",
            "end attack-surface",
            "start security",
            "end hot-paths",
            "start performance",
            "end security",
            "end performance",
        ],
        "a branch goes on while the other one is still at its first step"
    );
    assert_eq!(played.told["security"], ["attack-surface.entry_points"]);
    assert_eq!(played.told["performance"], ["hot-paths.paths"]);
    assert_eq!(
        played.told["decision"],
        ["performance.performance.findings", "security.security.findings"]
    );
    assert_eq!(
        played.outputs["merged"],
        json!({
            "security": { "risk": "G", "findings": ["«security.security.findings»"] },
            "performance": { "risk": "G", "findings": ["«performance.performance.findings»"] },
        })
    );
}

/// Feature C20: tests are written when the code is there; security is reviewed and performance
/// checked side by side.
#[test]
fn code_comes_before_its_tests_and_reviews_side_by_side() {
    assert_eq!(steps("refresh-token"), ["spec", "build", "test", "review"]);
    assert_told("refresh-token", "test", &["build.branch"]);
    let lines = play(&shipped("fork-join")).lines;
    let at = |line: &str| lines.iter().position(|it| it == line).expect("it is played");
    assert!(at("start security") < at("end performance"));
    assert!(at("start performance") < at("end security"));
}

/// Feature D1: legal, sales and finance judge the deal at once; one brief has the risk of each.
#[test]
fn deal_review_is_one_brief_of_three_judgements() {
    let plan = shipped("deal-review");
    assert_eq!(play(&plan).steps(), ["legal sales finance", "brief"]);
    let domains = ["legal", "sales", "finance"];
    for id in domains {
        assert!(task(&plan, id).role.is_some(), "an expert");
        assert_risk(&plan, id, "risk");
        assert_risk(&plan, "brief", id);
        assert_eq!(shape::inputs(task(&plan, id)), ["deal = ${input.deal}"]);
    }
    assert_eq!(gives(&plan, "brief", "brief")["type"], "string");
    let mut given = shape::inputs(task(&plan, "brief"));
    given.sort();
    assert_eq!(
        given,
        [
            "deal = ${input.deal}",
            "finance = ${panel.finance.output}",
            "legal = ${panel.legal.output}",
            "sales = ${panel.sales.output}",
        ]
    );
    assert_told(
        "deal-review",
        "brief",
        &[
            "finance.must_change",
            "finance.reasons",
            "legal.must_change",
            "legal.reasons",
            "sales.must_change",
            "sales.reasons",
        ],
    );
}

/// Feature D2: specification, campaign, battlecard, knowledge base, tracker, each made of what the
/// ones before gave.
#[test]
fn product_launch_goes_from_the_specification_to_the_tracker() {
    let plan = "product-launch";
    assert_eq!(
        steps(plan),
        ["pm-spec", "marketing-campaign", "sales-battlecard", "support-kb", "launch-tracker"]
    );
    assert_told(plan, "marketing-campaign", &["pm-spec.audience", "pm-spec.promises"]);
    assert_told(plan, "sales-battlecard", &["marketing-campaign.message", "pm-spec.limits"]);
    assert_told(plan, "support-kb", &["pm-spec.limits", "sales-battlecard.objections"]);
    assert_told(
        plan,
        "launch-tracker",
        &["marketing-campaign.calendar", "pm-spec.measure", "support-kb.text", "support-kb.title"],
    );
}

/// Feature D3: the six steps of an incident in their order, and a lead who may ask for workers.
#[test]
fn incident_response_goes_from_assessment_to_project() {
    let name = "incident-response";
    let plan = shipped(name);
    assert_eq!(
        play(&plan).steps(),
        [
            "security-assessment",
            "containment",
            "trace-analysis",
            "legal-obligations",
            "customer-comms",
            "incident-project"
        ]
    );
    let lead = task(&plan, "trace-analysis").lead.as_ref().expect("it may ask for workers");
    assert!(lead.max_workers >= 1);
    assert_told(name, "containment", &["security-assessment.systems"]);
    assert_told(name, "trace-analysis", &["containment.steps", "security-assessment.systems"]);
    assert_told(name, "legal-obligations", &["trace-analysis.timeline"]);
    assert_told(
        name,
        "customer-comms",
        &[
            "legal-obligations.until",
            "legal-obligations.what",
            "legal-obligations.whom",
            "trace-analysis.cause",
        ],
    );
    assert_told(
        name,
        "incident-project",
        &[
            "containment.side_effects",
            "customer-comms",
            "legal-obligations.until",
            "legal-obligations.what",
            "legal-obligations.whom",
            "security-assessment.summary",
            "trace-analysis.cause",
            "trace-analysis.open",
        ],
    );
    assert_eq!(
        gives(&plan, "security-assessment", "severity")["enum"],
        json!(["high", "medium", "low"])
    );
    assert_eq!(gives(&plan, "incident-project", "packages")["type"], "array");
}

/// Features D4, C2: five departments report at once, and one package is made of all five.
#[test]
fn qbr_preparation_is_one_package_of_five_reports() {
    let name = "qbr-preparation";
    let plan = shipped(name);
    assert_eq!(play(&plan).steps(), ["finance sales product data marketing", "executive-package"]);
    let departments = ["data", "finance", "marketing", "product", "sales"];
    let all: Vec<String> = departments
        .iter()
        .flat_map(|id| ["headline", "name", "value"].map(|field| format!("{id}.{field}")))
        .collect();
    assert_told(name, "executive-package", &all.iter().map(String::as_str).collect::<Vec<_>>());
    for id in departments {
        assert_told(name, id, &[]);
        assert!(task(&plan, id).description.written().contains("${input.quarter}"), "{id}");
    }
    // A report that is missing does not keep the others from their package.
    let package = task(&plan, "executive-package");
    assert!(package.needs.iter().all(|need| !need.hard), "{:?}", package.needs);
}

/// Feature D5: memory, mail, tickets, each looking for what is still open; then points with how sure
/// each is, and a draft made of them.
#[test]
fn customer_research_is_a_cascade_with_confidence() {
    let name = "customer-research";
    let plan = shipped(name);
    assert_eq!(
        play(&plan).steps(),
        ["memory-recall", "email-search", "ticket-search", "synthesis", "draft-response"]
    );
    assert_told(name, "memory-recall", &[]);
    assert_eq!(shape::inputs(task(&plan, "memory-recall")), ["memory = ${input.memory}"]);
    assert_told(name, "email-search", &["memory-recall.open"]);
    assert_told(name, "ticket-search", &["email-search.open"]);
    assert_told(
        name,
        "synthesis",
        &["email-search.found", "memory-recall.found", "ticket-search.found"],
    );
    let point = gives(&plan, "synthesis", "points")["items"].clone();
    assert_eq!(point["properties"]["confidence"]["type"], "number", "{point}");
    assert!(point["required"].as_array().is_some_and(|all| all.contains(&json!("confidence"))));
    assert_told(
        name,
        "draft-response",
        &["synthesis.claim", "synthesis.source", "synthesis.unknown"],
    );
}

/// Feature D6: scout, acquire or create, scan, install, monitor; repair only where the monitor sees
/// an error.
#[test]
fn skill_factory_repairs_what_is_not_healthy() {
    let name = "skill-factory";
    let plan = shipped(name);
    let line = ["scout", "acquire-or-create", "security-scan", "install", "monitor"];
    assert_eq!(play(&plan).steps(), line, "it is healthy");
    let broken = play::play_with(&plan, &[("monitor", "healthy", json!(false))]);
    assert_eq!(broken.steps(), [&line[..], &["auto-repair"]].concat());
    assert_eq!(gives(&plan, "scout", "decision")["enum"], json!(["acquire", "create"]));
    assert_risk(&plan, "security-scan", "risk");
    assert_told(name, "acquire-or-create", &["scout.candidate"]);
    assert_told(name, "security-scan", &["acquire-or-create.folder"]);
    assert_told(name, "install", &["acquire-or-create.entry_point", "acquire-or-create.folder"]);
    assert!(
        shape::inputs(task(&plan, "install"))
            .contains(&"risk = ${security-scan.output.risk}".to_owned())
    );
    assert_told(name, "monitor", &["install.version"]);
    assert_eq!(broken.told["auto-repair"], ["acquire-or-create.folder", "monitor.errors"]);
}
