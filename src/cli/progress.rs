//! Shows a run while it goes (feature L9): a line for everything that is over, and on a terminal a
//! moving one for everything that runs.

use std::collections::BTreeMap;

use super::columns::span;
use super::moving::{Moving, about};
use super::prompt::{Prompt, heading};
use super::questions::Here;
use super::voice::{Colour, Voice};
use crate::control::WatchEvent;
use crate::control::steer::AskView;
use crate::control::view::{CachedView, RunView, TaskView};
use crate::model::ask::PLAN;
use crate::model::{RunId, RunState, SkipReason, StartReason, TaskError, TaskId, TaskState};

/// How much of what a failed agent said last is shown; `logs` shows all of it.
const TAIL_LINES: usize = 15;
const TAIL_COLUMNS: usize = 200;

/// What a person was told about a task last; a snapshot after a lost connection tells only the
/// rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Running(u32),
    Waiting(u32),
    Over,
}

/// The show.
#[derive(Debug)]
pub(crate) struct Progress {
    voice: Voice,
    told: BTreeMap<TaskId, Told>,
    expected: BTreeMap<TaskId, u64>,
    moving: Option<Moving>,
    here: Here,
    prompt: Option<Prompt>,
}

/// A task that started.
struct Start<'e> {
    task: &'e TaskId,
    agent: &'e str,
    n: u32,
    since_ms: u64,
}

impl Progress {
    /// A show; `on_terminal` when somebody sees standard error, `here` what that person is asked.
    pub(crate) fn new(voice: Voice, on_terminal: bool, here: Here) -> Self {
        let moving = on_terminal.then(Moving::default);
        let (told, expected) = (BTreeMap::new(), BTreeMap::new());
        Self { voice, told, expected, moving, here, prompt: None }
    }

    /// Shows what happened.
    pub(crate) fn show(&mut self, event: &WatchEvent) {
        match event {
            WatchEvent::Snapshot { run } => self.catch_up(run),
            WatchEvent::RunMoved { state, why } => self.moved(*state, why.as_deref()),
            WatchEvent::TaskQueued { task } => {
                self.told.entry(task.clone()).or_insert(Told::Nothing);
            }
            WatchEvent::TaskStarted { task, n, agent, .. } => {
                self.started(&Start { task, agent, n: *n, since_ms: 0 });
            }
            WatchEvent::TaskRetrying { task, error, reason, agent, in_ms } => {
                self.retrying(task, error, *reason, agent, *in_ms);
            }
            WatchEvent::TaskSucceeded { task, cached: Some(cached), .. } => {
                self.succeeded(task, &from_cache(cached));
            }
            WatchEvent::TaskSucceeded { task, agent, attempts, elapsed_ms, cached: None } => {
                self.succeeded(task, &work(agent, *attempts, *elapsed_ms));
            }
            WatchEvent::TaskFailed { task, agent, attempts, error, elapsed_ms, state: _ } => {
                self.failed(task, agent.as_deref(), *attempts, error, *elapsed_ms);
            }
            WatchEvent::TaskSkipped { task, state, reason } => self.skipped(task, *state, *reason),
            WatchEvent::Asked { ask } => self.asked(ask),
            WatchEvent::Answered { ask, answer, by } => {
                self.remark(&format!("{ask}: {answer}, by {by}"));
            }
            WatchEvent::TaskWaits { task, child, awaited } => {
                self.waits(task, child.as_ref(), awaited.as_deref());
            }
            WatchEvent::TaskLate { task, expected_ms, elapsed_ms } => {
                self.late(task, *expected_ms, *elapsed_ms);
            }
            WatchEvent::TaskAgain { task } => self.again(task),
            WatchEvent::TaskMapped { task, items } => {
                self.remark(&format!("{task} has {items} items"));
            }
            WatchEvent::TaskSpawned { lead, task } => {
                self.remark(&format!("{lead} asked for {task}"));
            }
            WatchEvent::Adjusted => self.remark("the plan was edited"),
            WatchEvent::Update { elapsed_ms, over, all, at_work } => {
                self.update(*elapsed_ms, *over, *all, at_work);
            }
            WatchEvent::PersonWanted => {}
            WatchEvent::Ended { .. } => self.clear(),
        }
    }

    /// Says something by the way.
    fn remark(&self, text: &str) {
        self.say(&format!("{} {text}", self.voice.paint(Colour::Dim, "·")));
    }

    fn late(&self, task: &TaskId, expected_ms: u64, elapsed_ms: u64) {
        let sign = self.voice.paint(Colour::Yellow, "◷");
        let (ran, expected) = (span(elapsed_ms), about(expected_ms));
        self.say(&format!(
            "{sign} {task} is slow: it runs for {ran}, {expected} were expected; it is alive, keep waiting"
        ));
    }

    fn again(&mut self, task: &TaskId) {
        self.end(task);
        self.told.insert(task.clone(), Told::Nothing);
        self.count();
        self.say(&format!("{} {task} is to be done again", self.voice.paint(Colour::Dim, "↺")));
    }

    /// Takes the moving lines away, and the line at which a person types.
    pub(crate) fn clear(&mut self) {
        self.withdraw();
        if let Some(moving) = &mut self.moving {
            moving.clear();
        }
    }

    /// Says a line that stays, above the moving ones.
    pub(crate) fn say(&self, line: &str) {
        match (&self.prompt, &self.moving) {
            (Some(prompt), _) => {
                prompt.hide();
                self.voice.say(line);
                prompt.show();
            }
            (None, Some(moving)) => moving.suspend(|| self.voice.say(line)),
            (None, None) => self.voice.say(line),
        }
    }

    /// Says something to the person at this terminal, where standard output may be something else.
    pub(crate) fn note(&self, line: &str) {
        match &self.moving {
            Some(moving) => moving.suspend(|| self.voice.note(line)),
            None => self.voice.note(line),
        }
    }

    /// Says what that person is asked.
    pub(crate) fn asks(&self, heading: &str) {
        self.note(&format!("{} {heading}", self.voice.paint(Colour::Yellow, "?")));
    }

    /// Shows the line at which a person types, unless it is there. Nothing moves meanwhile.
    pub(crate) fn prompt(&mut self, text: String) {
        if self.prompt.is_none() {
            self.moving.iter().for_each(Moving::rest);
            let prompt = Prompt::new(text, self.moving.is_some());
            prompt.show();
            self.prompt = Some(prompt);
        }
    }

    /// Takes that line away.
    pub(crate) fn withdraw(&mut self) {
        if let Some(prompt) = self.prompt.take() {
            prompt.hide();
            self.moving.iter().for_each(Moving::go_on);
        }
    }

    fn catch_up(&mut self, run: &RunView) {
        self.clear();
        for task in &run.tasks {
            self.expected.extend(task.expected_ms.map(|ms| (task.task.clone(), ms)));
            self.catch_up_with(task);
        }
        if run.state == RunState::Paused {
            self.moved(run.state, run.why.as_deref());
        }
        run.steering.asks.iter().for_each(|ask| self.asked(ask));
    }

    /// How a long run goes (feature L11).
    fn update(&self, elapsed_ms: u64, over: usize, all: usize, at_work: &[TaskId]) {
        let names: Vec<&str> = at_work.iter().map(TaskId::as_str).collect();
        let work = match names.as_slice() {
            [] => String::new(),
            names => format!(", at work: {}", names.join(", ")),
        };
        let after = span(elapsed_ms);
        self.say(&format!("  after {after}: {over} of {all} tasks are over{work}"));
    }

    /// What a person is asked, and how to answer; unless the asking happens right here.
    fn asked(&self, ask: &AskView) {
        if ask.id != PLAN && self.here != Here::Everything {
            self.say(&format!("{} {}", self.voice.paint(Colour::Yellow, "?"), heading(ask)));
        }
    }

    fn waits(&mut self, task: &TaskId, child: Option<&RunId>, event: Option<&str>) {
        let what = match (child, event) {
            (Some(child), _) => format!("{child}"),
            (None, Some(event)) => format!("the event `{event}`"),
            // The question says it.
            (None, None) => return,
        };
        self.say(&format!("{} {task} waits for {what}", self.voice.paint(Colour::Dim, "◌")));
    }

    fn catch_up_with(&mut self, view: &TaskView) {
        let (task, n) = (&view.task, view.attempts);
        let agent = view.agent.as_deref().unwrap_or("command");
        let elapsed = view.elapsed_ms.unwrap_or(0);
        match view.state {
            TaskState::Running => {
                self.started(&Start { task, agent, n, since_ms: elapsed });
            }
            TaskState::Success => match &view.cached {
                Some(cached) => self.succeeded(task, &from_cache(cached)),
                None => self.succeeded(task, &work(agent, n, elapsed)),
            },
            TaskState::Failed | TaskState::Timeout => {
                if let Some(error) = &view.error {
                    self.failed(task, view.agent.as_deref(), n, error, elapsed);
                }
            }
            TaskState::Skipped | TaskState::Cancelled => {
                let reason = view.skip_reason.unwrap_or(SkipReason::Cancelled);
                self.skipped(task, view.state, reason);
            }
            TaskState::RetryWait => {
                if let Some(error) = &view.error {
                    let wait = view.retry_in_ms.unwrap_or(0);
                    self.retrying(task, error, StartReason::Retry, agent, wait);
                }
            }
            TaskState::Blocked
            | TaskState::Ready
            | TaskState::Queued
            | TaskState::Starting
            | TaskState::Waiting => {
                self.told.entry(task.clone()).or_insert(Told::Nothing);
            }
        }
        self.count();
    }

    fn moved(&self, state: RunState, why: Option<&str>) {
        let told = match state {
            RunState::Paused => "paused",
            RunState::AwaitingApproval => "waits for approval",
            RunState::Initializing
            | RunState::Planning
            | RunState::Running
            | RunState::Completing
            | RunState::Completed
            | RunState::Failed
            | RunState::Cancelled => return,
        };
        let why = why.map_or(String::new(), |why| format!(": {why}"));
        self.say(&format!("{} the run {told}{why}", self.voice.paint(Colour::Yellow, "‖")));
    }

    /// Notes what a person is told from here on; false when that was told already.
    fn tell(&mut self, task: &TaskId, told: Told) -> bool {
        let before = self.told.insert(task.clone(), told);
        self.count();
        before != Some(told) && before != Some(Told::Over)
    }

    fn started(&mut self, start: &Start<'_>) {
        let fresh = self.tell(start.task, Told::Running(start.n));
        let tries = if start.n > 1 { format!(", attempt {}", start.n) } else { String::new() };
        let text = format!("{} ({}{tries})", start.task, start.agent);
        match &mut self.moving {
            Some(moving) => {
                let expected = self.expected.get(start.task).copied();
                moving.add(start.task, &text, start.since_ms, expected);
            }
            None if fresh => self.say(&format!("{} {text}", self.voice.paint(Colour::Dim, "▸"))),
            None => {}
        }
    }

    fn retrying(
        &mut self,
        task: &TaskId,
        error: &TaskError,
        reason: StartReason,
        agent: &str,
        in_ms: u64,
    ) {
        let attempt = match self.told.get(task) {
            Some(Told::Running(n) | Told::Waiting(n)) => *n,
            Some(Told::Nothing | Told::Over) | None => 1,
        };
        self.end(task);
        if self.tell(task, Told::Waiting(attempt)) {
            let next = match reason {
                StartReason::Fallback => format!("falling back to {agent}"),
                StartReason::Failover => format!("going on with {agent}"),
                StartReason::Lost => "starting it again".to_owned(),
                StartReason::First
                | StartReason::Retry
                | StartReason::Restart
                | StartReason::Group
                | StartReason::Manual => "trying again".to_owned(),
            };
            let sign = self.voice.paint(Colour::Yellow, "↻");
            let when = if in_ms == 0 { "now".to_owned() } else { format!("in {}", span(in_ms)) };
            self.say(&format!(
                "{sign} {task}: {}: {}; {next} {when}",
                error.outcome, error.message
            ));
        }
    }

    fn succeeded(&mut self, task: &TaskId, how: &str) {
        self.end(task);
        if self.tell(task, Told::Over) {
            let sign = self.voice.paint(Colour::Green, "✔");
            self.say(&format!("{sign} {task} ({how})"));
        }
    }

    fn failed(
        &mut self,
        task: &TaskId,
        agent: Option<&str>,
        attempts: u32,
        error: &TaskError,
        elapsed_ms: u64,
    ) {
        self.end(task);
        if self.tell(task, Told::Over) {
            let sign = self.voice.paint(Colour::Red, "✘");
            let work = work(agent.unwrap_or("command"), attempts, elapsed_ms);
            self.say(&format!("{sign} {task} ({work}): {}: {}", error.outcome, error.message));
            let lines: Vec<&str> = error.tail.lines().collect();
            for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
                let line: String = line.chars().take(TAIL_COLUMNS).collect();
                self.say(&self.voice.paint(Colour::Dim, &format!("  | {line}")));
            }
        }
    }

    fn skipped(&mut self, task: &TaskId, state: TaskState, reason: SkipReason) {
        self.end(task);
        let unseen = matches!(self.told.get(task), None | Some(Told::Nothing));
        if !self.tell(task, Told::Over) {
            return;
        }
        let sign = self.voice.paint(Colour::Dim, "–");
        match (state, reason) {
            // The summary names them; a line for each of what never began says nothing more.
            (TaskState::Cancelled, SkipReason::Cancelled) if unseen => {}
            (TaskState::Cancelled, SkipReason::Cancelled) => {
                self.say(&format!("{sign} {task} {state}"));
            }
            (_, reason) => self.say(&format!("{sign} {task} {state}: {reason}")),
        }
    }

    fn end(&mut self, task: &TaskId) {
        if let Some(moving) = &mut self.moving {
            moving.remove(task);
        }
    }

    fn count(&mut self) {
        if let Some(moving) = &mut self.moving {
            let over = self.told.values().filter(|told| **told == Told::Over).count();
            moving.count(over, self.told.len());
        }
    }
}

/// It was not done: there was a result of the same work.
fn from_cache(cached: &CachedView) -> String {
    format!("from the cache: {}, {} ago", cached.run, span(cached.age_ms))
}

fn work(agent: &str, attempts: u32, elapsed_ms: u64) -> String {
    let tries = if attempts > 1 { format!(", {attempts} attempts") } else { String::new() };
    // What the daemon does itself has no agent.
    format!("{agent}, {}{tries}", span(elapsed_ms)).trim_start_matches(", ").to_owned()
}
