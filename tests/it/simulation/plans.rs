//! Random plans, written as a person would write them and read by the real checker, and what their
//! agents will do.

use std::collections::BTreeMap;
use std::fmt::Write;

use muxvisor::model::{Ending, ExecFailure, Exit, Extract, Order, Output, Owner};
use muxvisor::plan::Plan;
use muxvisor::policy::{Agent, AgentType, Group, Policy, Restart, Strategy};

use super::chance::Chance;
use super::compose::{self, Draft};
use super::moods::Mood;
use crate::props;

/// One random plan and what is true of it.
pub(super) struct Planned {
    /// As checked.
    pub(super) plan: Plan,
    /// As written.
    pub(super) draft: Draft,
    /// Whether how it goes depends on time for another reason: money that is used up, a lead that
    /// does not wait for its workers.
    pub(super) races: bool,
    /// Whether a phase says abort, so that who is stopped depends on time.
    pub(super) aborts: bool,
    /// Whether too many failures pause it, so that what is done again depends on time.
    pub(super) breaks: bool,
}

/// The agents of the simulated home: three that do tasks, and some services.
pub(super) fn agents(chance: &mut Chance) -> BTreeMap<String, Agent> {
    let mut text = String::new();
    for name in ["alpha", "beta", "gamma"] {
        writeln!(text, "[agent.{name}]\ncommand = [\"{name}\"]").expect("text");
        if chance.percent(30) {
            writeln!(text, "max_parallel = {}", chance.within(1, 3)).expect("text");
        }
    }
    for n in 0..chance.within(0, 4) {
        let restart = chance.pick(&["always", "on-failure", "on-abnormal", "no"]);
        let limit = chance.pick(&["fail", "delay"]);
        writeln!(
            text,
            "[agent.service-{n}]\ncommand = [\"serve\"]\ntype = \"service\"\nrestart = \"{restart}\"\n\
             on_start_limit = \"{limit}\"\nautostart = {}",
            chance.percent(80)
        )
        .expect("text");
        cared(chance, &mut text);
        let fails_over = chance.percent(50) && limited(chance, &mut text, n);
        probed(chance, &mut text, n, fails_over);
    }
    text += "[agent.spare]\ncommand = [\"spare\"]\n[agent.last]\ncommand = [\"last\"]\n";
    props::agents(&text)
}

/// A service that knows usage limits, and perhaps has somebody to take over.
fn limited(chance: &mut Chance, text: &mut String, n: u64) -> bool {
    write!(
        text,
        "[[agent.service-{n}.on]]\nwhen = {{ screen = \"limit\", exit = \"failure\" }}\n\
         outcome = \"rate-limited\"\nreset = \"in (.+)\"\n"
    )
    .expect("text");
    let fails_over = chance.percent(60);
    if fails_over {
        let failback = chance.pick(&["manual", "on-idle", "after:5m"]);
        write!(
            text,
            "[agent.service-{n}.failover]\ntargets = [\"spare\", \"last\"]\n\
             max_switches = {}\ninterval = \"10m\"\nfailback = \"{failback}\"\n",
            chance.within(1, 3)
        )
        .expect("text");
    }
    fails_over
}

/// Perhaps it says when it is ready, or is asked, and perhaps its heart must beat.
fn cared(chance: &mut Chance, text: &mut String) {
    let ready = *chance.pick(&["", "", "notify = true", "exec = [\"ready\"], period = \"5s\""]);
    if !ready.is_empty() {
        writeln!(text, "startup = {{ {ready}, timeout = \"30s\" }}").expect("text");
    }
    if chance.percent(25) {
        writeln!(text, "watchdog = \"20s\"").expect("text");
    }
}

/// Perhaps somebody looks how it does, and does something about it.
fn probed(chance: &mut Chance, text: &mut String, n: u64, fails_over: bool) {
    if chance.percent(50) {
        return;
    }
    let last = if fails_over { "failover" } else { "restart" };
    let ladders = [
        "\"restart\"".to_owned(),
        "\"alarm\"".to_owned(),
        format!("\"keys:Escape\", \"{last}\""),
        format!("\"{last}\""),
    ];
    write!(
        text,
        "[[agent.service-{n}.probe]]\nkind = \"exec\"\ncommand = [\"check\"]\nperiod = \"20s\"\n\
         failure_threshold = {}\non_failure = [{}]\n",
        chance.within(1, 3),
        chance.pick(&ladders)
    )
    .expect("text");
}

/// What a reload may change of a policy.
pub(super) fn alter(chance: &mut Chance, policy: &mut Policy) {
    policy.restart = *chance.pick(Restart::ALL);
    policy.start_limit_burst = u32::try_from(chance.within(1, 6)).expect("small");
    if chance.percent(50) {
        policy.care.probes.clear();
    }
    if chance.percent(30) {
        policy.care.startup = None;
    }
    if chance.percent(30) {
        policy.care.watchdog_ms = None;
    }
}

/// Some of the services, in any order, stand in a group.
pub(super) fn groups(chance: &mut Chance, agents: &BTreeMap<String, Agent>) -> Vec<Group> {
    let services = agents.values().filter(|agent| agent.kind == AgentType::Service);
    let mut left: Vec<String> = services.map(|agent| agent.name.clone()).collect();
    let mut members = Vec::new();
    while !left.is_empty() {
        let which = chance.within(0, left.len() as u64 - 1);
        let member = left.remove(usize::try_from(which).expect("few"));
        if chance.percent(85) {
            members.push(member);
        }
    }
    let group = Group {
        name: "crew".to_owned(),
        strategy: *chance.pick(Strategy::ALL),
        members,
        start_limit_burst: u32::try_from(chance.within(2, 6)).expect("small"),
        start_limit_interval_ms: 600_000,
    };
    if group.members.is_empty() || chance.percent(25) { Vec::new() } else { vec![group] }
}

/// A plan of 1 to 12 tasks.
pub(super) fn plan(chance: &mut Chance, agents: &BTreeMap<String, Agent>) -> Planned {
    let breaks = chance.percent(40);
    let (head, races) = compose::head(chance, breaks);
    let mut blocks = Vec::new();
    let count = chance.within(1, 12);
    let phased = chance.percent(50);
    let (mut phases, mut aborts) = (0, false);
    let mut optional: Vec<bool> = Vec::new();
    for n in 0..count {
        let mut text = String::new();
        if phased && (n == 0 || chance.percent(30)) {
            let abort = chance.percent(25);
            aborts |= abort;
            let mode = if chance.percent(30) { "sequential" } else { "parallel" };
            let on = if abort { "abort" } else { "continue" };
            write!(text, "[[phase]]\nid = \"p{phases}\"\nexecution_mode = \"{mode}\"\non_partial_failure = \"{on}\"\n").expect("text");
            if chance.percent(20) {
                writeln!(text, "max_parallel = {}", chance.within(1, 3)).expect("text");
            }
            if phases > 0 && chance.percent(70) {
                let on = chance.within(0, phases - 1);
                writeln!(text, "depends_on_phases = [\"p{on}\"]").expect("text");
            }
            phases += 1;
        }
        task(chance, &mut text, n, if phased { "phase.task" } else { "task" }, &mut optional);
        blocks.push(text);
    }
    let draft = Draft { head, blocks, files: compose::files(chance), phased, edits: 0 };
    Planned { plan: draft.plan(agents), draft, races, aborts, breaks }
}

fn task(chance: &mut Chance, text: &mut String, n: u64, table: &str, optional: &mut Vec<bool>) {
    write!(text, "[[{table}]]\nid = \"t{n}\"\n").expect("text");
    let kind = chance.within(0, 99);
    if kind < 8 {
        writeln!(text, "kind = \"approve\"\nask = \"Go on?\"").expect("text");
        return waits(chance, text, n, optional);
    }
    if kind < 12 {
        writeln!(text, "kind = \"wait\"\nevent = \"deployed\"").expect("text");
        return waits(chance, text, n, optional);
    }
    if compose::of_the_daemon(chance, text, kind) {
        return waits(chance, text, n, optional);
    }
    let command = chance.percent(20);
    if command {
        writeln!(text, "kind = \"command\"\nrun = [\"make\"]").expect("text");
    } else {
        writeln!(text, "description = \"Do it.\"\nagent = \"{}\"", chance.pick(&["alpha", "beta"]))
            .expect("text");
        if chance.percent(30) {
            writeln!(text, "fallback = [\"gamma\"]").expect("text");
        }
    }
    writeln!(text, "retries = {}", chance.within(0, 3)).expect("text");
    let leads = !command && chance.percent(12);
    if leads {
        let most = chance.pick(&[1, 3, 40, 40]);
        writeln!(text, "lead = {{ max_workers = {most} }}\ntimeout = \"30m\"").expect("text");
    }
    compose::talks(chance, text, n, command);
    if !leads && chance.percent(20) {
        writeln!(text, "idle_timeout = \"20s\"").expect("text");
    }
    if chance.percent(20) {
        writeln!(text, "priority = {}", chance.within(0, 9)).expect("text");
    }
    let is_optional = chance.percent(15);
    if is_optional {
        writeln!(text, "optional = true").expect("text");
    }
    optional.push(is_optional);
    let mut inputs = Vec::new();
    for earlier in 0..n {
        if !chance.percent(40 / n.min(4)) {
            continue;
        }
        let soft = optional[usize::try_from(earlier).expect("few")] || chance.percent(30);
        let default = if soft { " ?? 'nothing'" } else { "" };
        inputs.push(format!("i{earlier} = \"${{t{earlier}.output{default}}}\""));
    }
    if chance.percent(15) {
        writeln!(text, "cache = \"7d\"").expect("text");
    }
    conditional(chance, text, n);
    if !inputs.is_empty() {
        writeln!(text, "input_context = {{ {} }}", inputs.join(", ")).expect("text");
    }
    compose::hooks(chance, text, table);
}

/// Who waits for a person or an event waits for other tasks before.
fn waits(chance: &mut Chance, text: &mut String, n: u64, optional: &mut Vec<bool>) {
    optional.push(false);
    if n > 0 && chance.percent(50) {
        let on = chance.within(0, n - 1);
        writeln!(text, "depends_on = [\"t{on}\"]").expect("text");
    }
}

/// Perhaps it is done only if an earlier one went well, or did not.
fn conditional(chance: &mut Chance, text: &mut String, n: u64) {
    if n > 0 && chance.percent(12) {
        let (on, by) = (chance.within(0, n - 1), *chance.pick(&["==", "!="]));
        writeln!(text, "when = '${{t{on}.status}} {by} \"success\"'").expect("text");
    }
}

/// What an earlier run left of a task.
pub(super) fn kept_output() -> Output {
    Output::of("kept".into())
}

/// What an agent does once it runs.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    /// How long it runs by itself; for ever, silently, when absent.
    pub(super) runs_ms: Option<u64>,
    /// How it ends then.
    pub(super) ending: Ending,
    /// How it does until then.
    pub(super) mood: Mood,
}

/// What the agent of this attempt does: always the same in one seed.
pub(super) fn deed(seed: u64, order: &Order) -> Deed {
    let of = match &order.owner {
        Owner::Task { task, .. } => task.as_str(),
        Owner::Instance { name } => name,
    };
    let mut chance = Chance::of(seed, (of, order.n));
    let service = matches!(order.owner, Owner::Instance { .. });
    let runs_ms = match service {
        true => *chance.pick(&[1, 50, 1_000, 30_000, 100_000, 700_000]),
        // The last one ends just before its time limit.
        false => *chance.pick(&[0, 1, 1, 10, 10, 300, 300, 5_000, 5_000, 59_990]),
    };
    let result = format!("{of} by attempt {}", order.n);
    let (fails, hangs) = (chance.within(0, 99), chance.percent(4) && !service);
    let malformed = Extract::Malformed { reason: "unclosed".to_owned() };
    let exec = ExecFailure { step: "exec".to_owned(), errno: 2, message: "gone".to_owned() };
    let ending = match fails {
        0..60 => props::ending(Some(props::exited(0)), Some(&result)),
        60..75 => props::ending(Some(props::exited(1)), None),
        75..82 => props::ending(Some(props::killed(11)), Some(&result)),
        82..90 => props::ending(Some(props::exited(0)), None),
        90..96 => Ending { extract: malformed, ..props::ending(Some(props::exited(0)), None) },
        _ => {
            let exit = Exit { exec_failure: Some(exec), ..props::exited(127) };
            props::ending(Some(exit), None)
        }
    };
    let mut ending = ending;
    if service && chance.percent(30) {
        ending = props::ending(Some(props::exited(1)), None);
        ending.screen =
            (*chance.pick(&["limit", "limit, in 5 s", "limit, in 20 minutes"])).to_owned();
    }
    Deed { runs_ms: (!hangs).then_some(runs_ms), ending, mood: Mood::of(seed, order) }
}
