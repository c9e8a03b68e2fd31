//! `hook`: the hooks that come with the program, as commands of hook tasks: a gate over what was
//! made (feature N10), what was learned (N11), how the agent does (N12). Each looks at the task
//! that it follows.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use serde_json::{Value, json};

use super::desk::Desk;
use super::failure::COMPLETED;
use super::inside;
use crate::control::inside::NotedReply;
use crate::control::items::{HookReply, ItemView, Skill};
use crate::control::{Failure, FailureKind, Inside};
use crate::model::{ReportKind, WorkReport};

/// A success ratio that falls by more than this is a drift.
const DRIFT: f64 = 0.2;
/// So many failures in a row are one too.
const FAILURES_MAX: u32 = 3;

/// Which hook.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Keep back work whose artifacts are missing, whose tests failed, or that is blocked
    SanityCheck,
    /// Keep what the task found for later runs of the plan
    Reflect,
    /// Say how the agent does, and open a repair ticket when it got worse
    SkillLifecycle,
}

/// Looks at the task, and says what came of it.
pub(crate) fn run(verb: Verb, desk: &Desk) -> Result<u8, Failure> {
    let seen: HookReply = inside::ask(desk, Inside::Hook)?;
    match verb {
        Verb::SanityCheck => sanity_check(desk, &seen),
        Verb::Reflect => reflect(desk, &seen),
        Verb::SkillLifecycle => skill_lifecycle(desk, &seen),
    }
}

fn found(desk: &Desk, text: String, data: Value) -> Result<(), Failure> {
    let report = WorkReport { kind: ReportKind::Finding, text, passed: None, data };
    let _: NotedReply = inside::ask(desk, Inside::Found { report })?;
    Ok(())
}

fn sanity_check(desk: &Desk, seen: &HookReply) -> Result<u8, Failure> {
    let issues = issues(&seen.item, seen.schema.as_ref());
    if issues.is_empty() {
        desk.voice.say(&format!("{}: nothing is wrong", seen.item.id));
        return Ok(COMPLETED);
    }
    for issue in &issues {
        desk.voice.say(&format!("- {issue}"));
    }
    let text = format!("sanity-check: {}", issues.join("; "));
    found(desk, text.clone(), json!({ "hook": "sanity-check", "issues": issues }))?;
    Err(Failure::new(FailureKind::Failed, format!("{}: {text}", seen.item.id)))
}

/// Everything that keeps work from being taken.
fn issues(item: &ItemView, schema: Option<&Value>) -> Vec<String> {
    let mut issues = Vec::new();
    for artifact in item.artifacts.iter().filter(|artifact| !artifact.text.contains("://")) {
        match fs::metadata(&artifact.text) {
            Ok(found) if found.is_file() && found.len() == 0 => {
                issues.push(format!("artifact {} is empty", artifact.text));
            }
            Ok(_) => {}
            Err(error) => issues.push(format!("artifact {} is missing: {error}", artifact.text)),
        }
    }
    // The last word about a test counts.
    for (at, test) in item.tests.iter().enumerate() {
        let later = item.tests[at + 1..].iter().any(|other| other.text == test.text);
        if test.passed != Some(true) && !later {
            issues.push(format!("test {} failed", test.text));
        }
    }
    let blockers = item.findings.iter().filter(|found| found.data["severity"] == "blocker");
    issues.extend(blockers.map(|found| format!("blocker: {}", found.text)));
    if let (Some(schema), Some(output)) = (schema, &item.output) {
        let fits = jsonschema::validator_for(schema).is_ok_and(|checks| checks.is_valid(output));
        if !fits {
            issues.push("the result does not fit its schema".to_owned());
        }
    }
    issues
}

fn reflect(desk: &Desk, seen: &HookReply) -> Result<u8, Failure> {
    let lessons = lessons(&seen.item);
    let failed = |error: io::Error| {
        let place = seen.lessons.display();
        Failure::new(FailureKind::Failed, format!("failed to write {place}: {error}"))
    };
    let mark = format!("{}/{}:", seen.item.run, seen.item.task);
    let kept = keep(&seen.lessons, &seen.item.workflow, &mark, &lessons).map_err(failed)?;
    if kept > 0 {
        let text = format!("reflect: {kept} lessons are kept in {}", seen.lessons.display());
        found(desk, text, json!({ "hook": "reflect", "lessons": kept }))?;
    }
    desk.voice.say(&format!("{kept} lessons"));
    Ok(COMPLETED)
}

/// What the agent found, in lines; what hooks found is no lesson.
fn lessons(item: &ItemView) -> Vec<String> {
    let own = item.findings.iter().filter(|found| found.data.get("hook").is_none());
    own.map(|found| found.text.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Appends lessons, unless those of this task are there; says how many are new.
fn keep(path: &Path, plan: &str, mark: &str, lessons: &[String]) -> io::Result<usize> {
    if lessons.is_empty() {
        return Ok(0);
    }
    let there = match fs::read_to_string(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => format!("# Lessons of {plan}\n\n"),
        Err(error) => return Err(error),
    };
    if there.lines().any(|line| line.strip_prefix("- ").is_some_and(|l| l.starts_with(mark))) {
        return Ok(0);
    }
    let new: String = lessons.iter().map(|lesson| format!("- {mark} {lesson}\n")).collect();
    let folder = path.parent().unwrap_or(path);
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let partial = path.with_extension(format!("md.{}", std::process::id()));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    file.write_all(format!("{there}{new}").as_bytes())?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    Ok(lessons.len())
}

fn skill_lifecycle(desk: &Desk, seen: &HookReply) -> Result<u8, Failure> {
    let Some(skill) = &seen.skill else {
        desk.voice.say("no agent did this");
        return Ok(COMPLETED);
    };
    let share = skill.success_ratio * 100.0;
    let text = format!(
        "health of {}: {share:.0} % of {} attempts succeeded, {} ms each, {} retries",
        skill.agent, skill.attempts, skill.mean_ms, skill.retries
    );
    desk.voice.say(&text);
    found(desk, text, json!({ "hook": "skill-lifecycle", "health": skill }))?;
    if let Some(why) = drift(skill) {
        let text = format!("repair {}: {why}", skill.agent);
        desk.voice.say(&text);
        let ticket = json!({ "agent": skill.agent, "why": why });
        found(desk, text, json!({ "hook": "skill-lifecycle", "health": skill, "ticket": ticket }))?;
    }
    Ok(COMPLETED)
}

/// Why an agent needs repair, if it does.
fn drift(skill: &Skill) -> Option<String> {
    if skill.failures_in_row >= FAILURES_MAX {
        return Some(format!("it failed {} times in a row", skill.failures_in_row));
    }
    let before = skill.before?;
    (before - skill.success_ratio > DRIFT).then(|| {
        format!(
            "{:.0} % of its attempts succeed, before it were {:.0} %",
            skill.success_ratio * 100.0,
            before * 100.0
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> ItemView {
        serde_json::from_value(json!({
            "id": "wf-p-stage-1", "run": "PLAN-2026-11-21-001", "task": "a", "workflow": "p",
            "description": "", "status": "done", "state": "success", "agent": "x", "attempts": 1,
            "session_key": null, "depends_on": [], "hook_of": null, "worker_of": null,
            "started_at_ms": null, "ended_at_ms": null, "artifacts": [], "tests": [],
            "findings": [], "output": "text", "error": null, "messages": []
        }))
        .expect("an item")
    }

    fn report(kind: ReportKind, text: &str, passed: Option<bool>, data: Value) -> WorkReport {
        WorkReport { kind, text: text.to_owned(), passed, data }
    }

    /// Feature N10: what is missing, empty, failed or blocked is named, and nothing else.
    #[test]
    fn the_gate_names_what_is_wrong() {
        let dir = tempfile::tempdir().expect("a folder");
        let (full, empty) = (dir.path().join("full"), dir.path().join("empty"));
        fs::write(&full, "x").expect("written");
        fs::write(&empty, "").expect("written");
        let artifact =
            |path: &Path| report(ReportKind::Artifact, &path.to_string_lossy(), None, Value::Null);
        let test = |name: &str, passed| report(ReportKind::Test, name, Some(passed), Value::Null);
        let mut item = item();
        item.artifacts = vec![artifact(&full), artifact(Path::new("https://x.example/a"))];
        item.tests = vec![test("unit", false), test("unit", true)];
        item.findings =
            vec![report(ReportKind::Finding, "odd", None, json!({ "severity": "low" }))];
        assert_eq!(issues(&item, None), Vec::<String>::new());
        item.artifacts.extend([artifact(&empty), artifact(&dir.path().join("gone"))]);
        item.tests.push(test("e2e", false));
        let blocker = json!({ "severity": "blocker" });
        item.findings.push(report(ReportKind::Finding, "no licence", None, blocker));
        let wrong = issues(&item, Some(&json!({ "type": "object" })));
        let starts =
            ["artifact", "artifact", "test e2e failed", "blocker: no licence", "the result"];
        assert_eq!(wrong.len(), starts.len(), "{wrong:?}");
        for (issue, start) in wrong.iter().zip(starts) {
            assert!(issue.starts_with(start), "{issue}");
        }
    }

    /// Feature N11: lessons are kept once for each task.
    #[test]
    fn lessons_are_kept_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("lessons/p.md");
        let lessons = vec!["mind the gap".to_owned()];
        assert_eq!(keep(&path, "p", "R/a:", &lessons).expect("kept"), 1);
        assert_eq!(keep(&path, "p", "R/a:", &lessons).expect("kept"), 0);
        assert_eq!(keep(&path, "p", "R/b:", &lessons).expect("kept"), 1);
        let text = fs::read_to_string(&path).expect("read");
        assert_eq!(text, "# Lessons of p\n\n- R/a: mind the gap\n- R/b: mind the gap\n");
    }

    /// Feature N12: a drift is a fall of more than a fifth, or three failures in a row.
    #[test]
    fn a_drift_opens_a_ticket() {
        let skill = |success_ratio, before, failures_in_row| Skill {
            agent: "x".to_owned(),
            attempts: 20,
            success_ratio,
            before,
            failures_in_row,
            ..Skill::default()
        };
        assert_eq!(drift(&skill(0.8, Some(0.95), 2)), None);
        assert_eq!(drift(&skill(0.2, None, 2)), None);
        assert!(drift(&skill(0.7, Some(0.95), 0)).expect("a drift").contains("70 %"));
        assert!(drift(&skill(0.9, Some(0.9), 3)).expect("a drift").contains("3 times in a row"));
    }
}
