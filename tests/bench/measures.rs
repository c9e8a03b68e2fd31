//! Every measure of our own program.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use muxvisor::control::{Request, Step, WatchEvent};
use muxvisor::model::RunId;

use crate::floor::{self, SPAWN, TMUX_MANY, TMUX_START, TMUX_STEP};
use crate::house::{House, agent_task, command_task, cost};
use crate::stamp::{self, gaps, ms, now, until, wait};
use crate::table::{Figure, Table};

type Measure = fn(&mut Table);

/// All measures with their names; some take long.
pub(crate) fn all(long: bool) -> Vec<(&'static str, Measure)> {
    let mut all: Vec<(&'static str, Measure)> = vec![
        ("floor-spawn", floor::spawn),
        ("floor-create", floor::create),
        ("floor-sync", floor::sync),
        ("floor-tmux", floor::tmux),
        ("command-steps", command_steps),
        ("agent-steps", agent_steps),
        ("submit", submit),
        ("submit-among-100", submit_among_many),
        ("many", many),
        ("death", death),
        ("idle", idle),
        ("adoption", adoption),
    ];
    if long {
        all.push(("overhead", overhead));
    }
    all
}

const fn figure(
    name: &'static str,
    unit: &'static str,
    bar: &'static str,
    floor: Option<&'static str>,
) -> Figure {
    Figure { name, unit, bar, floor }
}

fn chain(count: usize, task: impl Fn(usize, Option<usize>) -> String) -> String {
    (0..count).map(|n| task(n, n.checked_sub(1))).collect()
}

/// From one step's end to the next one's beginning, every step durable, no windows.
fn command_steps(table: &mut Table) {
    let house = House::new();
    let step = house.step();
    let plan = house.plan(&chain(100, |n, after| command_task(n, &step, after)));
    house.run(&["run", &plan]);
    let figure = figure("command step gap", "ms", "≤ 2 ms", Some(SPAWN));
    table.note(figure, gaps(&house.path("stamps")));
}

fn stamper(house: &House) -> String {
    let step = house.step();
    format!("[agent.stamper]\ncommand = {step}\nprompt = \"none\"\nresult = \"none\"\n")
}

/// The same with a window for each.
fn agent_steps(table: &mut Table) {
    let house = House::new();
    let tasks = chain(60, |n, after| agent_task(n, "stamper", after));
    let plan = house.plan(&format!("{}{tasks}", stamper(&house)));
    house.run(&["run", &plan]);
    let figure = figure("agent step gap, in windows", "ms", "≤ 2.5 × floor", Some(TMUX_STEP));
    table.note(figure, gaps(&house.path("stamps")));
}

/// From just before the client starts to the agent's first instruction.
fn submit(table: &mut Table) {
    let house = House::new();
    submits(&house, table, figure("submit → running", "ms", "≤ 10 ms", Some(TMUX_START)));
}

fn submit_among_many(table: &mut Table) {
    let house = House::new();
    house.sleepers(100);
    let name = "submit → running, 100 live agents";
    submits(&house, table, figure(name, "ms", "p99 < 50 ms", Some(TMUX_START)));
}

fn submits(house: &House, table: &mut Table, figure: Figure) {
    let file = house.path("stamps");
    let plan = house.plan(&format!("{}{}", stamper(house), agent_task(0, "stamper", None)));
    let starts = (1..=30).map(|n| {
        let asked = now();
        house.run(&["run", &plan, "--detach"]);
        wait(&file, n);
        ms(stamp::read(&file)[n - 1].began - asked)
    });
    table.note(figure, starts.collect::<Vec<_>>());
}

/// Many agents that do nothing, each in a window.
fn many(table: &mut Table) {
    let house = House::new();
    let agent =
        "[agent.nothing]\ncommand = [\"/bin/true\"]\nprompt = \"none\"\nresult = \"none\"\n";
    let tasks: String = (0..300).map(|n| agent_task(n, "nothing", None)).collect();
    let plan = house.plan(&format!("max_parallel = 100\n{agent}{tasks}"));
    let began = now();
    house.run(&["run", &plan]);
    let each = ms(now() - began) / 300.0;
    let bar = figure("no-op agents in windows, each", "ms", "≤ 1.5 × floor", Some(TMUX_MANY));
    table.note(bar, [each]);
}

/// From an agent's death to its outcome at a watcher, which is after the commit.
fn death(table: &mut Table) {
    let house = House::new();
    let run = house.sleepers(30);
    let mut line = house.client().watch(&Request::Watch { run: RunId::new(run) }).unwrap();
    let mut times = Vec::new();
    for pid in house.running() {
        let killed = now();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        loop {
            match line.next_step(None).unwrap() {
                Step::Event(event) if matches!(*event, WatchEvent::TaskFailed { .. }) => break,
                Step::Event(_) => {}
                Step::Done(_) | Step::Interrupted => break,
            }
        }
        times.push(ms(now() - killed));
    }
    table.note(figure("death → outcome recorded", "ms", "≤ 10 ms", None), times);
}

/// What a hundred agents cost that do nothing.
fn idle(table: &mut Table) {
    let house = House::new();
    house.sleepers(100);
    // What a start leaves to be done (windows drawn, the ledger's log folded) is over by then.
    std::thread::sleep(Duration::from_secs(12));
    let (daemon, shims) = (house.daemon(), house.shims());
    let look = || (cost(daemon), shims.iter().map(|pid| cost(*pid)).collect::<Vec<_>>());
    let before = look();
    std::thread::sleep(Duration::from_secs(10));
    let after = look();
    // A tick is a hundredth of a second, ten seconds were looked at.
    let ticks = after.0.ticks - before.0.ticks;
    table.note(figure("100 idle agents: daemon", "% CPU", "≤ 0.05", None), [ticks / 10.0]);
    let wakeups = after.0.woken_since(&before.0) / 10.0;
    table.note(figure("… its wakeups", "/s", "≤ 1", None), [wakeups]);
    table.note(figure("… its memory, resident", "MiB", "", None), [after.0.resident]);
    table.note(figure("… its memory, private", "MiB", "≤ 15", None), [after.0.private]);
    let memory = after.1.iter().map(|shim| shim.private);
    table.note(figure("… a shim's memory, private", "MiB", "≤ 1", None), memory);
    let pairs = after.1.iter().zip(&before.1);
    let woken: f64 = pairs.map(|(after, before)| after.woken_since(before)).sum();
    table.note(figure("… all shims' wakeups", "/s", "", None), [woken / 10.0]);
}

/// From `kill -9` of the daemon to an answer of the next one that knows all agents.
fn adoption(table: &mut Table) {
    let house = House::new();
    house.sleepers(100);
    let before = house.running();
    let daemon = house.daemon();
    let began = now();
    kill_process(Pid::from_raw(daemon).unwrap(), Signal::KILL).unwrap();
    house.run(&["up"]);
    until("the next daemon", || house.running() == before);
    let took = ms(now() - began);
    table.note(figure("100 agents adopted after kill -9", "ms", "≤ 200 ms", None), [took]);
}

/// A hundred tasks of a second, ten at a time: ten seconds of work.
fn overhead(table: &mut Table) {
    let house = House::new();
    let step = house.step().replace(']', ", \"1000\"]");
    let agent = format!("[agent.second]\ncommand = {step}\nprompt = \"none\"\nresult = \"none\"\n");
    let tasks: String = (0..100).map(|n| agent_task(n, "second", None)).collect();
    let plan = house.plan(&format!("max_parallel = 10\n{agent}{tasks}"));
    let began = now();
    house.run(&["run", &plan]);
    let took = ms(now() - began) / 1000.0;
    table.note(figure("100 tasks of 1 s, 10 wide", "s", "≤ 10.2 s", None), [took]);
}
