//! Plays a plan through the engine alone: whoever is started ends with what its schema asks for,
//! the oldest first, and every text in it says whose it is. So it is seen who was told what.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use muxvisor::model::{
    AttemptEnd, CacheAnswer, Fact, Mint, Moment, Order, Outcome, Owner, ResultSource, RunFact,
    RunId, TaskId,
};
use muxvisor::plan::{OutputAs, Plan, Work};
use muxvisor::workflow::{Action, Event, Workflow};
use serde_json::{Map, Value, json};

use crate::props;

/// More ends than any plan has.
const ENDS_MAX: usize = 200;

/// What happened.
#[derive(Default)]
pub(super) struct Played {
    /// `start TASK` and `end TASK`, in order.
    pub(super) lines: Vec<String>,
    /// What each was told of what others gave, sorted.
    pub(super) told: BTreeMap<String, Vec<String>>,
    /// What each gave.
    pub(super) outputs: BTreeMap<String, Value>,
    /// How tasks ended that were not started.
    skipped: Vec<String>,
    outcome: String,
}

impl Played {
    /// Tasks that were started without an end between them, step by step.
    pub(super) fn steps(&self) -> Vec<String> {
        let started = |line: &String| line.strip_prefix("start ").map(str::to_owned);
        let rows = self.lines.chunk_by(|a, b| a.starts_with("start ") == b.starts_with("start "));
        rows.map(|row| row.iter().filter_map(started).collect::<Vec<_>>().join(" "))
            .filter(|row| !row.is_empty())
            .collect()
    }

    pub(super) fn text(&self) -> String {
        let told = |line: &String| {
            let told = line.strip_prefix("start ").and_then(|task| self.told.get(task));
            let told = told.filter(|told| !told.is_empty()).map(|told| told.join(" "));
            told.map_or_else(|| line.clone(), |told| format!("{line} <- {told}"))
        };
        let mut lines: Vec<String> = self.lines.iter().map(told).collect();
        lines.extend(self.skipped.iter().map(|task| format!("skipped {task}")));
        format!("{}\n{}\n", lines.join("\n"), self.outcome)
    }
}

struct Player<'a> {
    workflow: Workflow,
    now: Moment,
    open: VecDeque<Order>,
    names: BTreeMap<String, String>,
    set: &'a [(&'a str, &'a str, Value)],
    played: Played,
}

/// Plays it to its end.
pub(super) fn play(plan: &Plan) -> Played {
    play_with(plan, &[])
}

/// The same, with some fields set: task, field, value.
pub(super) fn play_with(plan: &Plan, set: &[(&str, &str, Value)]) -> Played {
    let mut player = Player {
        workflow: Workflow::new(128, Mint::new([7; 32])),
        now: Moment(1_000),
        open: VecDeque::new(),
        names: BTreeMap::new(),
        set,
        played: Played::default(),
    };
    let run = RunId::of_day("2026-11-21", 1);
    player.hear(Event::Submitted(Box::new(props::submission(run.clone(), plan, false))));
    for _ in 0..ENDS_MAX {
        if !player.next(plan, &run) {
            break;
        }
    }
    player.finish(&run)
}

impl Player<'_> {
    fn hear(&mut self, event: Event) {
        self.now = Moment(self.now.0 + 10);
        let actions = self.workflow.handle(self.now, event);
        let (mut inner, mut looked_up) = (Vec::new(), Vec::new());
        for action in actions {
            match action {
                Action::Record(fact) => self.note(fact),
                Action::Order(order) => self.start(*order),
                Action::Stop { .. } => {}
                Action::LookUp(asked) => looked_up.extend(asked),
                Action::Submit(mut submission) => {
                    submission.run = RunId::of_day("2026-11-21", 2);
                    inner.push(submission);
                }
            }
        }
        // Nothing is kept of earlier runs.
        let nothing = |asked| CacheAnswer::nothing(asked, None);
        if !looked_up.is_empty() {
            self.hear(Event::LookedUp(looked_up.into_iter().map(nothing).collect()));
        }
        for submission in inner {
            self.hear(Event::Submitted(submission));
        }
    }

    fn note(&mut self, fact: Fact) {
        let Fact::Run { fact: RunFact::TaskSkipped { task, .. }, .. } = fact else { return };
        self.played.skipped.push(task.to_string());
    }

    /// Its name: items are counted, so that their keys do not matter.
    fn name(&mut self, task: &TaskId) -> String {
        let Some((map, _)) = task.as_str().split_once('[') else { return task.to_string() };
        let before = self.names.values().filter(|it| it.starts_with(&format!("{map}["))).count();
        self.names.entry(task.to_string()).or_insert_with(|| format!("{map}[{before}]")).clone()
    }

    fn start(&mut self, order: Order) {
        let Owner::Task { task, .. } = &order.owner else { panic!("not of a task: {order:?}") };
        let name = self.name(&task.clone());
        let mut text = order.prompt.clone().unwrap_or_default();
        text.extend(order.argv.iter().map(String::as_str));
        text.extend(order.env.values().map(String::as_str));
        let told: BTreeSet<String> = text
            .split('«')
            .skip(1)
            .filter_map(|rest| rest.split_once('»').map(|(mark, _)| mark.to_owned()))
            .collect();
        self.played.told.insert(name.clone(), told.into_iter().collect());
        self.played.lines.push(format!("start {name}"));
        self.open.push_back(order);
    }

    /// Ends the oldest attempt, or does what a person or somebody outside does.
    fn next(&mut self, plan: &Plan, run: &RunId) -> bool {
        if let Some(order) = self.open.pop_front() {
            self.end(order);
            return true;
        }
        let Some(live) = self.workflow.run(run).filter(|live| live.outcome.is_none()) else {
            return false;
        };
        let ask = live.open_questions().next().map(|question| question.ask.id.clone());
        if let Some(ask) = ask {
            self.played.lines.push("a person says yes".to_owned());
            let (run, answer, by) = (run.clone(), "approve".to_owned(), "person".to_owned());
            self.hear(Event::Answered { run, ask, answer, by });
            return true;
        }
        let waits = plan.tasks.iter().find_map(|task| match &task.work {
            Work::Wait { event, .. } => Some((event.written(), task.output.as_ref())),
            Work::Agent { .. }
            | Work::Command { .. }
            | Work::Reduce(_)
            | Work::Approve { .. }
            | Work::Emit { .. }
            | Work::Plan(_) => None,
        });
        let Some((name, schema)) = waits else { return false };
        self.played.lines.push(format!("{name} happens"));
        let data = schema.map_or(Value::Null, |schema| sample(schema, &name, &name));
        self.hear(Event::Emitted { name, data, dedup: None, by: None });
        true
    }

    fn end(&mut self, order: Order) {
        let Owner::Task { run, task } = order.owner else { return };
        let name = self.name(&task);
        let live = self.workflow.run(&run).expect("it goes on");
        let defined = live.definition(&task).expect("it is a task");
        let value = match (defined.output_as, &order.schema) {
            (OutputAs::Report, _) => None,
            (OutputAs::Json, Some(schema)) => Some(self.filled(schema, &name)),
            (OutputAs::Json | OutputAs::Text, _) => Some(json!(format!("«{name}»"))),
        };
        self.played.lines.push(format!("end {name}"));
        let source = value.as_ref().map(|_| ResultSource::Tagged);
        let (code, signal, at) = (Some(0), None, self.now);
        let message = "succeeded".to_owned();
        let end = AttemptEnd { outcome: Outcome::Success, message, code, signal, source, at };
        let (tail, log) = (format!("«{name}.tail»"), PathBuf::from("/log"));
        let attempt = order.attempt;
        self.hear(Event::AttemptEnded { run, attempt, end, then: None, value, tail, log });
    }

    /// What its schema asks for, but for the fields that are set.
    fn filled(&self, schema: &Value, name: &str) -> Value {
        let mut value = sample(schema, name, name);
        for (task, field, set) in self.set {
            if *task == name {
                value[*field] = set.clone();
            }
        }
        value
    }

    fn finish(mut self, run: &RunId) -> Played {
        let live = self.workflow.run(run).expect("it was submitted");
        for (defined, task) in live.tasks() {
            if let Some(output) = &task.output {
                self.played.outputs.insert(defined.id.to_string(), output.value.clone());
            }
        }
        self.played.outcome = format!("{:?}", live.outcome);
        self.played
    }
}

/// A value that fits; its texts name the task and the field that they stand in.
fn sample(schema: &Value, path: &str, task: &str) -> Value {
    if let Some(words) = schema["enum"].as_array() {
        return words[0].clone();
    }
    if let Some(fields) = schema["properties"].as_object() {
        let each = fields.iter().map(|(name, of)| {
            // What is in a list is known by its own field; what is in a table by the way to it.
            let inner = if path.ends_with("[]") {
                format!("{task}.{name}")
            } else {
                format!("{path}.{name}")
            };
            (name.clone(), sample(of, &inner, task))
        });
        return Value::Object(each.collect::<Map<_, _>>());
    }
    match schema["type"].as_str() {
        Some("array") if schema["items"]["properties"].is_object() => {
            json!([sample(&schema["items"], "[]", task)])
        }
        Some("array") => json!([sample(&schema["items"], path, task)]),
        Some("number" | "integer") => json!(3),
        Some("boolean") => json!(true),
        Some(_) | None => json!(format!("«{path}»")),
    }
}
