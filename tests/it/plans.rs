//! Plans as people write them: wrong ones with every finding, samples, and what a right one
//! becomes. `MUXVISOR_BLESS=1` rewrites the expected texts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use muxvisor::daemon::Templates;
use muxvisor::document::{Source, render, tally};
use muxvisor::model::{Outcome, Severity, TaskId};
use muxvisor::plan::{
    self, Approval, Checked, Edge, InputValue, OutputAs, Plan, RetryWait, Surroundings, Task,
    TemplateOutput, TemplatePart, TemplateParts,
};
use muxvisor::policy::{Agent, Config};
use serde_json::json;

/// An agent whose program exists unless its name says otherwise.
fn agent(name: &str) -> Agent {
    let mut agent = Agent::new(name);
    agent.command = vec![name.to_owned(), "{prompt}".to_owned()];
    let can: &[&str] = match name {
        "codex" => &["implement", "review"],
        "gemini" => &["review"],
        _ => &[],
    };
    if name != "codex" {
        agent.model_args = vec!["--model".to_owned(), "{model}".to_owned()];
    }
    if name == "mute" {
        agent.usage = muxvisor::model::UsageFormat::None;
        agent.traits.tools = vec!["Read".to_owned()];
    }
    agent.capabilities = can.iter().map(|word| (*word).to_owned()).collect();
    agent
}

fn agents() -> BTreeMap<String, Agent> {
    let names = ["claude", "claude-opus", "codex", "gemini", "haiku", "demo", "absent", "mute"];
    let marketplace =
        ["finance@cowork", "data-connector@cowork", "legal@cowork", "marketing@cowork"];
    names.iter().chain(&marketplace).map(|name| ((*name).to_owned(), agent(name))).collect()
}

/// Settings of one check.
#[derive(Default)]
struct Case {
    demo: bool,
    inputs: BTreeMap<String, String>,
    lenient: bool,
}

fn check_with(name: &str, text: &str, dir: &Path, case: &Case) -> Checked {
    check_among(&agents(), name, text, dir, case)
}

fn check_among(
    agents: &BTreeMap<String, Agent>,
    name: &str,
    text: &str,
    dir: &Path,
    case: &Case,
) -> Checked {
    let severity = if case.lenient { Severity::Warning } else { Severity::Error };
    let surroundings = Surroundings {
        agents,
        inputs: &case.inputs,
        read_file: &|path| fs::read_to_string(path).map_err(|_| "it is not there".to_owned()),
        has_program: &|agent| agent.command.first().is_some_and(|program| program != "absent"),
        missing_program: severity,
        missing_input: severity,
        demo: case.demo,
        max_parallel: None,
        base_dir: dir,
        template: &look,
    };
    plan::check(&Source::new(name, text), &surroundings)
}

/// A template of these tests, and those that are shipped.
fn look(name: &str, set: &BTreeMap<String, String>) -> Result<TemplateParts, String> {
    if name != "look" {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/muxvisor.toml");
        return Templates::beside(&shipped).parts(name, set);
    }
    let value = |key: &str| set.get(key).cloned().ok_or(format!("`{key}` is not set"));
    Ok(TemplateParts {
        role: Some("Onlooker".to_owned()),
        description: format!("Look at {} {} times.", value("what")?, value("n")?),
        constraints: vec!["Touch nothing".to_owned()],
        output: Some(TemplateOutput::Short(json!({ "ok": "boolean" }))),
    })
}

/// A plan in a file, with what lies beside it.
pub(crate) fn check_file(path: &Path) -> Checked {
    let text = fs::read_to_string(path).expect("a plan can be read");
    let name = path.file_name().expect("a plan has a name").to_string_lossy();
    let dir = path.parent().expect("a plan lies in a folder");
    check_with(&name, &text, dir, &Case::default())
}

pub(crate) fn check(text: &str) -> Checked {
    check_with("plan.toml", text, Path::new("."), &Case::default())
}

fn data(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans").join(folder)
}

pub(crate) fn plans_in(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(data(folder)).expect("the folder is part of the repository");
    let paths = entries.map(|entry| entry.expect("a folder can be listed").path());
    let mut plans: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|ext| ext == "toml")).collect();
    plans.sort();
    plans
}

/// What a person would see.
fn told(checked: &Checked) -> String {
    let mut text: String =
        checked.findings.iter().map(|finding| render(finding) + "\n\n").collect();
    text.push_str(&match tally(&checked.findings) {
        none if none.is_empty() => "nothing found".to_owned(),
        some => some,
    });
    text.push_str(if checked.plan.is_some() { "; it can run\n" } else { "; it cannot run\n" });
    text
}

/// Compares with a file beside the plan, or rewrites it.
fn expect_beside(plan: &Path, extension: &str, actual: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one variable that rewrites expectations")]
    let bless = std::env::var_os("MUXVISOR_BLESS").is_some();
    let path = plan.with_extension(extension);
    if bless {
        fs::write(&path, actual).expect("the expectation can be written");
        return None;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    (expected != actual).then(|| format!("{}:\n{actual}", path.display()))
}

fn folder_tells(folder: &str, case: &Case) -> Vec<Checked> {
    let (mut differences, mut all) = (Vec::new(), Vec::new());
    for path in plans_in(folder) {
        let text = fs::read_to_string(&path).expect("a plan can be read");
        let name = path.file_name().expect("a plan has a name").to_string_lossy();
        let checked = check_with(&name, &text, &data(folder), case);
        differences.extend(expect_beside(&path, "txt", &told(&checked)));
        all.push(checked);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    all
}

/// Every code of the checker, with place, excerpt, caret and suggestion; among them those of long
/// prompts, of long tasks, and of words times workers (features G10, G11, G9).
#[test]
fn wrong_plans_are_told_everything_at_once() {
    let all = folder_tells("wrong", &Case::default());
    assert!(all.len() >= 60, "only {} wrong plans", all.len());
    let told: BTreeSet<&str> =
        all.iter().flat_map(|checked| &checked.findings).map(|f| f.code.as_str()).collect();
    for code in known_codes() {
        assert!(told.contains(code.as_str()), "no wrong plan shows {code}");
    }
}

/// The codes that the checker gives, by its sources.
fn known_codes() -> BTreeSet<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan");
    let mut codes = BTreeSet::new();
    for entry in fs::read_dir(dir).expect("the sources are there") {
        let path = entry.expect("a folder can be listed").path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        for (at, _) in text.match_indices('"') {
            let word: String = text[at + 1..].chars().take_while(|c| *c != '"').collect();
            let number = word.get(1..).unwrap_or_default();
            let is_number = number.len() == 2 && number.chars().all(|c| c.is_ascii_digit());
            if is_number && word.starts_with(['E', 'W', 'A']) {
                codes.insert(word);
            }
        }
    }
    codes
}

/// `docs/checker.md` has a row for every code, and an example of it that is true.
#[test]
fn every_code_is_in_the_page_about_the_checker() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/checker.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    let rows: BTreeSet<String> = rows
        .filter_map(|row| row.split(' ').next())
        .filter(|word| word.len() == 3 && word.starts_with(['E', 'W', 'A']))
        .map(str::to_owned)
        .collect();
    assert_eq!(rows, known_codes());
    let told: String = plans_in("wrong")
        .iter()
        .map(|path| fs::read_to_string(path.with_extension("txt")).unwrap_or_default())
        .collect();
    for line in
        page.lines().filter(|line| line.starts_with("error[") || line.starts_with("warning["))
    {
        assert!(told.contains(line), "no wrong plan is told: {line}");
    }
}

/// The four sample plans of the design: they can run.
#[test]
fn samples_can_run() {
    let all = folder_tells("sample", &Case { lenient: true, ..Case::default() });
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|checked| checked.plan.is_some()));
}

/// Features A6-A9: the plan that a person approves, in text.
#[test]
fn right_plans_are_shown_as_session_plans() {
    let mut differences = Vec::new();
    for path in plans_in("good") {
        let checked = check_file(&path);
        assert_eq!(told(&checked), "nothing found; it can run\n", "{}", path.display());
        let plan = checked.plan.expect("it can run");
        let shown = plan::show(&plan) + "\n" + &dependencies(&plan);
        differences.extend(expect_beside(&path, "txt", &shown));
        // A run keeps the plan, and a later daemon reads it back.
        let kept = serde_json::to_string(&plan).expect("a plan can be kept");
        assert_eq!(serde_json::from_str::<Plan>(&kept).expect("a plan is read back"), plan);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// One line per dependency (features A2, A12, A13, K16).
fn dependencies(plan: &Plan) -> String {
    let mut text = String::new();
    for task in &plan.tasks {
        for need in &task.needs {
            let how = if need.hard { "needs" } else { "follows" };
            text.push_str(&format!("{} {how} {} ({:?})\n", task.id, need.task, need.cause));
        }
    }
    text
}

/// Features A2, A12, A13, F10, K16: what makes one task wait for another, and how firmly.
#[test]
fn dependencies_are_as_firm_as_their_cause() {
    let two = "[[phase.task]]\nid = \"a\"\ndescription = \"A.\"\n\
               [[phase.task]]\nid = \"b\"\ndescription = \"B.\"\n";
    let after = "[[phase]]\nid = \"q\"\ndepends_on_phases = [\"p\"]\n\
                 [[phase.task]]\nid = \"c\"\ndescription = ";
    let loose = "[[task]]\nid = \"a\"\ndescription = \"A.\"\n[[task]]\nid = \"b\"\n";
    let p = "[[phase]]\nid = \"p\"\n";
    let cases = [
        (format!("{p}{two}"), ""),
        (format!("{p}execution_mode = \"sequential\"\n{two}"), "b follows a (Sequential)\n"),
        (
            format!("{p}execution_mode = \"sequential\"\non_partial_failure = \"abort\"\n{two}"),
            "b needs a (Sequential)\n",
        ),
        (format!("{p}{two}{after}\"C.\""), "c follows a (Phase)\nc follows b (Phase)\n"),
        (
            format!("{p}{two}{after}\"${{a.output}}${{b.error}}\""),
            "c needs a (Reference)\nc follows b (Reference)\n",
        ),
        (
            format!("{p}{two}{after}\"${{a.output ?? ''}}\"\ndepends_on = [\"p.a\"]"),
            "c needs a (Explicit)\nc follows b (Phase)\n",
        ),
        (format!("{loose}description = \"B.\""), ""),
        (format!("{loose}description = \"B: ${{a.output}}\""), "b needs a (Reference)\n"),
        (
            format!("pattern = \"pipeline\"\n{loose}description = \"B.\""),
            "b needs a (Sequential)\n",
        ),
        (
            format!("pattern = \"pipeline\"\n{p}{two}{after}\"C.\""),
            "c needs a (Phase)\nc needs b (Phase)\n",
        ),
    ];
    for (text, expected) in cases {
        let (top, rest) = text.split_at(text.find("[[").unwrap_or(0));
        let text = format!("plan = \"x\"\n{top}[defaults]\nagent = \"claude\"\n{rest}\n");
        let checked = check(&text);
        let plan = checked.plan.unwrap_or_else(|| panic!("{text}{:?}", checked.findings));
        assert_eq!(dependencies(&plan), expected, "{text}");
    }
}

fn good(name: &str) -> Plan {
    let path = data("good").join(name);
    let checked = check(&fs::read_to_string(path).expect("a plan can be read"));
    checked.plan.unwrap_or_else(|| panic!("{name} is a right plan: {:?}", checked.findings))
}

pub(crate) fn task<'p>(plan: &'p Plan, id: &str) -> &'p Task {
    plan.task(&TaskId::new(id)).unwrap_or_else(|| panic!("there is a task {id}"))
}

fn agents_of(task: &Task) -> Vec<(&str, u32)> {
    task.work.agents().iter().map(|a| (a.name.as_str(), a.retries)).collect()
}

/// Features A14, A15: names of the source documents, defaults, and who tries how often.
#[test]
fn defaults_reach_tasks_and_tasks_override_them() {
    let plan = good("phases.toml");
    let first = task(&plan, "task-1a");
    assert_eq!(agents_of(first), [("finance@cowork", 1), ("data-connector@cowork", 0)]);
    let entry = first.entry_point.as_ref().expect("it has an entry point");
    assert_eq!(
        (entry.kind.as_str(), entry.value.written().as_str()),
        ("command", "/finance:extract")
    );
    assert_eq!(first.output_as, OutputAs::Json);
    assert_eq!((first.retries, first.retries_on_timeout), (1, 1));
    assert_eq!(first.timeout_ms, Some(900_000), "ruling Z14");
    let second = task(&plan, "task-1b");
    assert_eq!(agents_of(second), [("codex", 1), ("gemini", 0)], "not its own fallback");
    assert_eq!(second.role.as_deref(), Some("Patent lawyer"));
    assert_eq!((second.output_as, second.optional), (OutputAs::Text, true));
    let command = task(&plan, "task-1c");
    assert_eq!((command.output_as, command.timeout_ms), (OutputAs::Report, Some(10_000)));
    assert_eq!(command.inputs.len(), 1, "context of defaults reaches agents only");
    let third = task(&plan, "task-2a");
    assert_eq!((third.timeout_ms, third.priority), (None, 10));
    let wait = RetryWait { first_ms: 1000, factor: 1.0, max_ms: 1000, jitter: false };
    assert_eq!(third.retry_wait, wait);
    assert!(third.retry_on.contains(&Outcome::Malformed));
    assert!(!third.retry_on.contains(&Outcome::Auth));
    assert_eq!((plan.max_parallel, plan.approval), (6, Approval::Plan));
    let used: Vec<&str> = plan.agents.keys().map(String::as_str).collect();
    assert_eq!(used, ["claude", "codex", "data-connector@cowork", "finance@cowork", "gemini"]);
}

/// Feature G1, ruling Z16: a reference holds full ids, however it was written.
#[test]
fn references_are_kept_in_their_full_form() {
    let plan = good("phases.toml");
    let third = task(&plan, "task-2a");
    let reference = &third.description.parts[1];
    let TemplatePart::Reference { written, to, default } = reference else {
        panic!("{reference:?} is text");
    };
    assert_eq!(written, "${phase-1.task-1a.financials.quarters[0].name}");
    let path = vec![json!("quarters"), json!(0), json!("name")];
    assert_eq!(*to, Edge::Output { task: TaskId::new("task-1a"), path });
    assert_eq!(*default, None);
    let last = task(&plan, "task-2b");
    assert_eq!(last.description.written(), "Draft the board brief; cost ${AMOUNT}.");
    let everything = last.inputs.iter().find(|input| input.name == "everything");
    let Some(InputValue::Text(template)) = everything.map(|input| &input.value) else {
        panic!("{everything:?} is no template");
    };
    let TemplatePart::Reference { to, .. } = &template.parts[0] else { panic!("it is text") };
    assert_eq!(*to, Edge::PhaseOutputs { phase: "phase-1-data-gathering".to_owned() });
}

/// A plan may bring agents of its own, which are frozen with it (design, section 10).
#[test]
fn agents_of_a_plan_are_frozen_with_it() {
    let plan = good("pipeline.toml");
    assert_eq!(plan.agents["reviewer"].command, ["review-tool", "{prompt}"]);
}

/// `run --demo`: one agent stands in for all, under their names, known or not.
#[test]
fn a_demonstration_needs_no_agent_but_one() {
    let text = "plan = \"x\"\n[[task]]\nid = \"a\"\nagent = \"nobody@here\"\nfallback = [\"absent\"]\n\
                description = \"A.\"\n[[task]]\nid = \"b\"\ndescription = \"B.\"\n";
    let case = Case { demo: true, ..Case::default() };
    let checked = check_with("x.toml", text, Path::new("."), &case);
    let plan = checked.plan.unwrap_or_else(|| panic!("{:?}", checked.findings));
    let stand_in = &plan.agents["nobody@here"];
    assert_eq!((stand_in.name.as_str(), stand_in.command[0].as_str()), ("nobody@here", "demo"));
    assert_eq!(agents_of(task(&plan, "b")), [("demo", 2)]);
    assert!(check(text).plan.is_none());
}

/// A missing program stops a run, and is only told by a check.
#[test]
fn a_missing_program_is_an_error_only_when_it_is_to_run() {
    let text = "plan = \"x\"\n[[task]]\nid = \"a\"\nagent = \"absent\"\ndescription = \"A.\"\n";
    assert!(check(text).plan.is_none());
    let case = Case { lenient: true, ..Case::default() };
    let checked = check_with("x.toml", text, Path::new("."), &case);
    assert!(checked.plan.is_some());
    assert_eq!(checked.findings[0].severity, Severity::Warning);
}

/// Feature G8: the text of a file is put in, not its path; values have the type they declare.
#[test]
fn inputs_have_the_type_that_they_declare() {
    let text = "plan = \"x\"\n[inputs]\ndesign = { type = \"file\", required = true }\n\
                n = { type = \"number\", default = 2 }\nyes = { type = \"boolean\" }\n\
                list = { type = \"list\" }\nnote = { description = \"free text\" }\n\
                [[task]]\nid = \"a\"\nagent = \"claude\"\ndescription = \"${input.design}\"\n";
    let value = |inputs: &[(&str, &str)]| {
        let inputs = inputs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        check_with("x.toml", text, Path::new("."), &Case { inputs, ..Case::default() })
    };
    let path = data("good/session.toml");
    let design = path.to_string_lossy();
    let plan = value(&[("design", &design), ("yes", "true"), ("list", "a, b"), ("n", "3.5")]).plan;
    let inputs = plan.expect("all is given").inputs;
    assert!(inputs["design"].as_str().is_some_and(|text| text.starts_with("plan = \"Deal")));
    assert_eq!(inputs["yes"], json!(true));
    assert_eq!(inputs["list"], json!(["a", "b"]));
    assert_eq!(inputs["n"], json!(3.5));
    let told = |inputs: &[(&str, &str)]| -> Vec<String> {
        value(inputs).findings.into_iter().map(|finding| finding.message).collect()
    };
    assert_eq!(told(&[]), ["input `design` is required and was not given"]);
    assert_eq!(
        told(&[
            ("desing", "x"),
            ("design", "no/such"),
            ("n", "three"),
            ("yes", "1"),
            ("list", "[1")
        ]),
        [
            "the plan has no input `desing`",
            "input `design`: `no/such` cannot be read: it is not there",
            "input `n`: `three` is no number",
            "input `yes`: `1` is neither true nor false",
            "input `list`: `[1` is no JSON list",
        ]
    );
}

/// What the command line prints with `--json`.
#[test]
fn a_session_plan_is_shown_as_json_too() {
    let shown = plan::show_json(&good("session.toml"));
    assert_eq!(shown["estimated_ms"], json!(540_000));
    assert_eq!(shown["subtasks"][1]["parallel_with"], json!([1]));
    assert_eq!(shown["subtasks"][2]["dependencies"], json!([1]));
    let second = json!({ "phase": 2, "parallel": false, "after": [1], "tasks": [3] });
    assert_eq!(shown["execution_order"][1], second);
}

/// What a plan says reaches the terminal as text, whatever it is.
#[test]
fn a_plan_cannot_speak_to_the_terminal() {
    let text = "plan = \"x\"\ngoal = \"\\u001b[2J\"\n[[task]]\nid = \"a\"\nagent = \"claude\"\n\
                description = \"\\u001b]0;title\\u0007\"\n";
    let shown = plan::show(&check(text).plan.expect("it is a right plan"));
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
}

/// Every plan that is shipped is right, alone and as a demonstration.
#[test]
fn shipped_plans_are_right() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/plans");
    let agents = Config::built_in().agents;
    for entry in fs::read_dir(&dir).expect("the folder is part of the repository") {
        let path = entry.expect("a folder can be listed").path();
        let text = fs::read_to_string(&path).expect("a plan can be read");
        for demo in [false, true] {
            let case = Case { demo, lenient: true, ..Case::default() };
            let checked = check_among(&agents, &path.to_string_lossy(), &text, &dir, &case);
            assert!(checked.plan.is_some(), "{}: {}", path.display(), told(&checked));
        }
    }
}
