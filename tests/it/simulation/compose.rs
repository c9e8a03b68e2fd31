//! What plans are made of beside tasks of agents: plans inside of plans, events and what they
//! start, hooks, leads, messages, pools and budgets; and how a person edits one.

use std::collections::BTreeMap;
use std::fmt::Write;

use muxvisor::plan::Plan;
use muxvisor::policy::Agent;

use super::chance::Chance;
use crate::props;

/// A plan as it is written, task by task.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) head: String,
    /// The tasks, each perhaps below the phase that begins with it.
    pub(super) blocks: Vec<String>,
    /// The plans that it starts, by the names of their files.
    pub(super) files: BTreeMap<String, String>,
    pub(super) phased: bool,
    /// Counts edits.
    pub(super) edits: u32,
}

impl Draft {
    /// As checked.
    pub(super) fn plan(&self, agents: &BTreeMap<String, Agent>) -> Plan {
        props::plan_among(&self.text(), agents, &self.files)
    }

    pub(super) fn text(&self) -> String {
        format!("{}{}", self.head, self.blocks.concat())
    }

    /// A person changes something: what a task is to do, or which tasks there are.
    pub(super) fn edit(&mut self, chance: &mut Chance) {
        self.edits += 1;
        let n = self.edits;
        for block in &mut self.blocks {
            if chance.percent(25) {
                *block = block.replacen("\"Do it", &format!("\"Do it (edit {n})"), 1);
            }
        }
        let last = self.blocks.last().is_some_and(|block| !block.contains("[[phase]]"));
        if self.blocks.len() > 1 && last && chance.percent(15) {
            self.blocks.pop();
        }
        if chance.percent(30) {
            let table = if self.phased { "phase.task" } else { "task" };
            let mut text = format!("[[{table}]]\nid = \"x{n}\"\ndescription = \"Do it.\"\n");
            hooks(chance, &mut text, table);
            self.blocks.push(text);
        }
    }
}

/// What stands above the tasks, and whether that makes the course of a run depend on time.
pub(super) fn head(chance: &mut Chance, breaks: bool) -> (String, bool) {
    let mut text = format!("plan = \"p\"\ngoal = \"g\"\nmax_parallel = {}\n", chance.within(1, 5));
    if !breaks {
        text += "stop_after_failures = 0\n";
    }
    let races = chance.percent(15);
    if races {
        let on_exceed = chance.pick(&["pause", "stop", "warn"]);
        let cents = chance.within(1, 99);
        writeln!(text, "budget = {{ cost_usd = 0.{cents:02}, on_exceed = \"{on_exceed}\" }}")
            .expect("text");
    }
    text += "[limits]\npool = { slots = 2 }\n[defaults]\nagent = \"alpha\"\ntimeout = \"60s\"\n";
    for event in ["e0", "e1"] {
        if chance.percent(25) {
            writeln!(text, "[[on]]\nevent = \"{event}\"\nstart = \"on.toml\"").expect("text");
            if chance.percent(50) {
                text += "when = '${event.n} > 0'\n";
            }
        }
    }
    (text, races)
}

/// The plans that others start: `sub.toml` inside of one, `on.toml` by an event, which may emit
/// another one.
pub(super) fn files(chance: &mut Chance) -> BTreeMap<String, String> {
    let one = |chance: &mut Chance, prefix: &str| {
        let mut text = format!(
            "plan = \"{prefix}\"\ngoal = \"g\"\nmax_parallel = {}\nstop_after_failures = 0\n\
             [limits]\npool = {{ slots = 2 }}\n[defaults]\nagent = \"beta\"\ntimeout = \"60s\"\n",
            chance.within(1, 3)
        );
        for n in 0..chance.within(1, 3) {
            write!(text, "[[task]]\nid = \"{prefix}{n}\"\n").expect("text");
            if chance.percent(20) {
                text += "kind = \"command\"\nrun = [\"make\"]\n";
            } else {
                text += "description = \"Do it.\"\n";
            }
            writeln!(text, "retries = {}", chance.within(0, 2)).expect("text");
            pool(chance, &mut text);
            if n > 0 && chance.percent(60) {
                let on = chance.within(0, n - 1);
                writeln!(text, "input_context = {{ i = \"${{{prefix}{on}.output ?? 'no'}}\" }}")
                    .expect("text");
            }
            hooks(chance, &mut text, "task");
        }
        if chance.percent(30) {
            let (event, on) = (chance.pick(&["e0", "e1"]), chance.within(0, 0));
            write!(
                text,
                "[[task]]\nid = \"{prefix}emit\"\nkind = \"emit\"\nevent = \"{event}\"\n\
                 data = {{ n = 1 }}\ndepends_on = [\"{prefix}{on}\"]\n"
            )
            .expect("text");
        }
        text
    };
    let (sub, on) = (one(chance, "sub"), one(chance, "on"));
    BTreeMap::from([("sub.toml".to_owned(), sub), ("on.toml".to_owned(), on)])
}

/// Perhaps a task that no agent does: a plan, an event, a wait for one.
pub(super) fn of_the_daemon(chance: &mut Chance, text: &mut String, kind: u64) -> bool {
    let event = chance.pick(&["e0", "e1"]);
    match kind {
        12..20 => {
            let hurries = chance.percent(25);
            let hurry = if hurries { "\ntotal_timeout = \"40s\"" } else { "" };
            writeln!(text, "kind = \"plan\"\nfile = \"sub.toml\"{hurry}")
        }
        20..27 => {
            let n = u64::from(chance.percent(80));
            writeln!(text, "kind = \"emit\"\nevent = \"{event}\"\ndata = {{ n = {n} }}")
        }
        27..31 => writeln!(text, "kind = \"wait\"\nevent = \"{event}\""),
        _ => return false,
    }
    .expect("text");
    true
}

/// Perhaps it may write to others, and takes of what is scarce.
pub(super) fn talks(chance: &mut Chance, text: &mut String, n: u64, command: bool) {
    pool(chance, text);
    if n > 0 && !command && chance.percent(15) {
        writeln!(text, "messages = [\"t{}\"]", chance.within(0, n - 1)).expect("text");
    }
}

fn pool(chance: &mut Chance, text: &mut String) {
    if chance.percent(25) {
        writeln!(text, "uses = {{ pool = {} }}", chance.within(1, 2)).expect("text");
    }
}

/// Perhaps something follows its success.
pub(super) fn hooks(chance: &mut Chance, text: &mut String, table: &str) {
    for name in ["check", "tell"] {
        if chance.percent(12) {
            let blocks = chance.percent(60);
            writeln!(text, "[[{table}.hook]]\nrun = [\"{name}\"]\nblocks = {blocks}")
                .expect("text");
        }
    }
}
