//! What this room decides, part by part. Plans come from the real checker.

mod caching;
mod conserving;
mod documents;
mod events;
mod flow;
mod mapping;
mod money;
mod moves;
mod prompts;
mod reducing;
mod retrying;
mod routing;
mod seats;
mod slots;
mod talk;
mod workers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::document::Source;
use crate::model::{
    AttemptEnd, CacheQuestion, Order, Outcome, Output, Owner, ResultSource, Severity, SkipReason,
    TaskError,
};
use crate::plan::{Plan, Surroundings, check};
use crate::policy::Agent;

fn agents() -> BTreeMap<String, Agent> {
    let agent = |name: &str| {
        let mut agent = Agent::new(name);
        agent.command = vec![name.to_owned()];
        (name.to_owned(), agent)
    };
    ["claude", "codex", "gemini"].map(agent).into()
}

/// The plan, as checked.
fn plan(text: &str) -> Plan {
    let surroundings = Surroundings {
        agents: &agents(),
        inputs: &BTreeMap::new(),
        read_file: &|_| Err("no files here".to_owned()),
        has_program: &|_| true,
        missing_program: Severity::Error,
        missing_input: Severity::Error,
        demo: false,
        max_parallel: None,
        base_dir: Path::new("."),
        template: &crate::plan::no_templates,
    };
    let checked = check(&Source::new("plan.toml", text), &surroundings);
    checked.plan.unwrap_or_else(|| panic!("{:#?}", checked.findings))
}

fn run_id(n: u32) -> RunId {
    RunId::of_day("2026-11-21", n)
}

fn submission(n: u32, plan: &Plan) -> Submission {
    Submission {
        run: run_id(n),
        name: plan.name.clone(),
        text: String::new(),
        path: PathBuf::from("/srv/plan.toml"),
        plan: serde_json::to_value(plan).unwrap(),
        cwd: PathBuf::from("/srv"),
        env: Vec::new(),
        needs_approval: false,
        demo: false,
        parent: None,
    }
}

/// A workflow, driven by hand.
struct Bench {
    workflow: Workflow,
    now: Moment,
    /// Orders that were given and not yet reported about, by task.
    orders: BTreeMap<String, Order>,
    facts: Vec<Fact>,
    stops: usize,
    /// Runs that were asked for.
    asked: Vec<Submission>,
    /// Kept results that were asked for.
    lookups: Vec<CacheQuestion>,
    /// Whether orders are kept by run and task, for runs with tasks of the same name.
    keyed_by_run: bool,
}

impl Bench {
    fn new(live_max: usize) -> Self {
        let workflow = Workflow::new(live_max, Mint::new([3; 32]));
        let (orders, facts) = (BTreeMap::new(), Vec::new());
        Self {
            workflow,
            now: Moment(1_000),
            orders,
            facts,
            stops: 0,
            asked: Vec::new(),
            lookups: Vec::new(),
            keyed_by_run: false,
        }
    }

    /// One run of this plan, submitted.
    fn of(text: &str) -> Self {
        let mut bench = Self::new(100);
        bench.submit(1, text);
        bench
    }

    fn submit(&mut self, n: u32, text: &str) {
        let event = Event::Submitted(Box::new(submission(n, &plan(text))));
        self.hear(event);
    }

    fn hear(&mut self, event: Event) {
        for action in self.workflow.handle(self.now, event) {
            match action {
                Action::Record(fact) => self.facts.push(fact),
                Action::Order(order) => {
                    let Owner::Task { run, task } = &order.owner else { panic!("{order:?}") };
                    let key = match self.keyed_by_run {
                        true => format!("{run}/{task}"),
                        false => task.to_string(),
                    };
                    self.orders.insert(key, *order);
                }
                Action::Stop { .. } => self.stops += 1,
                Action::Submit(submission) => self.asked.push(*submission),
                Action::LookUp(questions) => self.lookups.extend(questions),
            }
        }
    }

    /// Ends the live attempt of a task.
    fn end(&mut self, task: &str, outcome: Outcome, code: Option<i32>, value: Option<Value>) {
        let order = self.orders.remove(task).unwrap_or_else(|| panic!("no attempt of {task}"));
        let Owner::Task { run, .. } = order.owner else { panic!("not of a task") };
        let source = value.as_ref().map(|_| ResultSource::Tagged);
        let message = format!("ended as {outcome}");
        let end = AttemptEnd { outcome, message, code, signal: None, source, at: self.now };
        let (tail, log) = ("last line".to_owned(), PathBuf::from("/log"));
        self.hear(Event::AttemptEnded {
            run,
            attempt: order.attempt,
            end,
            then: None,
            value,
            tail,
            log,
        });
    }

    fn succeed(&mut self, task: &str, value: Value) {
        self.end(task, Outcome::Success, Some(0), Some(value));
    }

    fn fail(&mut self, task: &str, outcome: Outcome) {
        self.end(task, outcome, Some(1), None);
    }

    fn pass(&mut self, ms: u64) {
        self.now = Moment(self.now.0 + ms);
        self.hear(Event::DeadlineReached);
    }

    fn run(&self) -> &Run {
        self.workflow.run(&run_id(1)).unwrap()
    }

    fn task(&self, id: &str) -> &Task {
        self.run().task(&TaskId::new(id)).unwrap()
    }

    /// The tasks with a live attempt, in the order of their names.
    fn live(&self) -> String {
        self.orders.keys().cloned().collect::<Vec<_>>().join(" ")
    }
}

/// One task with these keys.
fn one_task(keys: &str) -> String {
    format!(
        "plan = \"p\"\ngoal = \"g\"\n[[task]]\nid = \"a\"\nagent = \"claude\"\ndescription = \"Do it.\"\n{keys}\n"
    )
}

/// Tasks with these keys, below these keys of the plan.
fn tasks(head: &str, tasks: &[(&str, &str)]) -> String {
    let mut text = format!("plan = \"p\"\ngoal = \"g\"\n{head}\n");
    for (id, keys) in tasks {
        text.push_str(&format!(
            "[[task]]\nid = \"{id}\"\nagent = \"claude\"\ndescription = \"Do it.\"\n{keys}\n"
        ));
    }
    text
}
