//! What scenarios and the simulation stand on: agents and plans read by the real rooms, and the
//! records that a shim would leave.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use muxvisor::document::{Source, render};
use muxvisor::model::{
    Ending, Exit, Extract, Finding, ProcessMark, ResultSource, RunId, Severity, Submission, Usage,
    WallTime,
};
use muxvisor::plan::{Plan, Surroundings, check};
use muxvisor::policy::{Agent, Config};

fn told(findings: &[Finding]) -> String {
    findings.iter().map(render).collect::<Vec<_>>().join("\n")
}

/// The agents of a configuration, `[agent.NAME]`.
pub(crate) fn agents(text: &str) -> BTreeMap<String, Agent> {
    if text.trim().is_empty() {
        return BTreeMap::new();
    }
    let nothing = Config::nothing();
    let (config, findings) =
        Config::read(&Source::new("muxvisor.toml", text), Path::new("/etc"), &nothing);
    config.unwrap_or_else(|| panic!("{}", told(&findings))).agents
}

/// A plan, checked against these agents.
pub(crate) fn plan(text: &str, agents: &BTreeMap<String, Agent>) -> Plan {
    plan_among(text, agents, &BTreeMap::new())
}

/// A plan beside these files, by their names.
pub(crate) fn plan_among(
    text: &str,
    agents: &BTreeMap<String, Agent>,
    files: &BTreeMap<String, String>,
) -> Plan {
    let read_file = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        files.get(name).cloned().ok_or_else(|| "there is no such file here".to_owned())
    };
    let surroundings = Surroundings {
        agents,
        inputs: &BTreeMap::new(),
        read_file: &read_file,
        has_program: &|_| true,
        missing_program: Severity::Error,
        missing_input: Severity::Error,
        demo: false,
        max_parallel: None,
        base_dir: Path::new("."),
        template: &muxvisor::plan::no_templates,
    };
    let checked = check(&Source::new("plan.toml", text), &surroundings);
    checked.plan.unwrap_or_else(|| panic!("{}", told(&checked.findings)))
}

/// The plan, handed in.
pub(crate) fn submission(run: RunId, plan: &Plan, needs_approval: bool) -> Submission {
    Submission {
        run,
        name: plan.name.clone(),
        text: String::new(),
        path: PathBuf::from("/srv/plan.toml"),
        plan: serde_json::to_value(plan).expect("a plan is JSON"),
        cwd: PathBuf::from("/srv"),
        env: Vec::new(),
        needs_approval,
        demo: false,
        parent: None,
    }
}

/// The record of an agent that exited with that code.
pub(crate) fn exited(code: i32) -> Exit {
    Exit {
        attempt: String::new(),
        token: String::new(),
        code: Some(code),
        signal: None,
        core: false,
        oom: false,
        exec_failure: None,
        stop: Vec::new(),
        unkillable: Vec::new(),
        left: Vec::new(),
        window_closed: false,
        usage: Usage::default(),
        started_ms: 0,
        ended_ms: 0,
        ran_ms: 0,
        log_bytes: 0,
        log_gap: false,
    }
}

/// The record of an agent that a signal ended.
pub(crate) fn killed(signal: i32) -> Exit {
    Exit { code: None, signal: Some(signal), ..exited(0) }
}

/// What is found when a shim is gone.
pub(crate) fn ending(exit: Option<Exit>, result: Option<&str>) -> Ending {
    let extract = match result {
        Some(text) => Extract::Complete { source: ResultSource::Tagged, text: text.to_owned() },
        None => Extract::Missing,
    };
    let tail = "the last line".to_owned();
    let (screen, log) = (tail.clone(), PathBuf::from("output.log"));
    Ending { exit, extract, tail, log, screen, read_at: read_at() }
}

/// The wall time of every end: 07:30 on 2026-11-21, in UTC.
pub(crate) fn read_at() -> WallTime {
    WallTime { ms: 1_795_246_200_000, offset_s: 0 }
}

/// A process.
pub(crate) fn mark(pid: i32) -> ProcessMark {
    ProcessMark { pid, start_ticks: 1, boot_id: "boot".to_owned() }
}
