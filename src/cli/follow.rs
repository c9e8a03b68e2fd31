//! Follows a run to its end, whatever becomes of the daemon meanwhile: when it is lost, it is
//! started again, and its snapshot tells what was missed.
//!
//! Whoever follows at a terminal is asked what the run asks, one question after the other, while it
//! goes on. The answer goes where those of `approve` and `decide` go, so that the first one counts,
//! from wherever it comes.

use std::os::fd::AsFd;

use serde_json::Value;

use super::deadline::Interrupt;
use super::desk::Desk;
use super::progress::Progress;
use super::prompt::{Typed, heading, line_of, typed};
use super::questions::{Here, Questions};
use crate::control::steer::AskView;
use crate::control::{Client, ClientError, Failure, FailureKind, Line, Request, Step, WatchEvent};
use crate::model::ask::PLAN;
use crate::model::{RunId, RunState};

/// How often a connection may be lost without an event between.
const LOSSES_MAX: u32 = 5;

/// How the following ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The run is over.
    Over {
        /// Its `execution_results`.
        results: Value,
    },
    /// A person has to approve it, and there is none at this terminal.
    Waiting,
    /// Ctrl-C.
    Interrupted,
}

/// Somebody who follows a run.
pub(crate) struct Follower<'d> {
    desk: &'d Desk,
    run: RunId,
    progress: Progress,
    interrupt: Interrupt,
    losses: u32,
    here: Here,
    questions: Questions,
    /// The question that the person here has seen last.
    seen: Option<String>,
}

impl<'d> Follower<'d> {
    /// Somebody who will follow it.
    pub(crate) fn new(desk: &'d Desk, run: RunId, interrupt: Interrupt) -> Self {
        let moving = desk.shell.stderr_is_terminal && desk.shell.wants_colour();
        let here = match desk.shell.stdin_is_terminal && desk.shell.stderr_is_terminal {
            false => Here::Nothing,
            true if desk.voice.json => Here::Plan,
            true => Here::Everything,
        };
        let progress = Progress::new(desk.voice, moving, here);
        let questions = Questions::default();
        Self { desk, run, progress, interrupt, losses: 0, here, questions, seen: None }
    }

    /// Follows it.
    pub(crate) fn follow(mut self, mut daemon: Client) -> Result<End, Failure> {
        let end = loop {
            let watched = daemon
                .watch(&Request::Watch { run: self.run.clone() })
                .map_err(Failure::from)
                .map(|line| self.listen(&daemon, line));
            match watched {
                Ok(Ok(Some(end))) => break Ok(end),
                Ok(Ok(None)) => {}
                Ok(Err(failure)) | Err(failure) => {
                    if failure.kind != FailureKind::Unreachable || self.losses >= LOSSES_MAX {
                        break Err(failure);
                    }
                }
            }
            self.losses += 1;
            self.progress.clear();
            daemon = match self.desk.daemon() {
                Ok(daemon) => daemon,
                Err(failure) => break Err(failure),
            };
        };
        self.progress.clear();
        end
    }

    /// Listens until the end, or until the daemon is lost (`None`).
    fn listen(&mut self, daemon: &Client, mut line: Line) -> Result<Option<End>, Failure> {
        loop {
            match self.next_step(&mut line) {
                Ok(Step::Interrupted) => {
                    if let Some(end) = self.attend(daemon)? {
                        return Ok(Some(end));
                    }
                }
                Ok(Step::Done(_)) => return Ok(None),
                Ok(Step::Event(event)) => {
                    self.losses = 0;
                    if let Some(end) = self.take(*event) {
                        return Ok(Some(end));
                    }
                }
                Err(ClientError::Lost(_)) => {
                    self.progress
                        .say("  lost the daemon; agents live on. Finding it again, or starting it");
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for what happens, for Ctrl-C, and for an answer while something is asked.
    fn next_step(&self, line: &mut Line) -> Result<Step, ClientError> {
        let keyboard = std::io::stdin();
        let mut others = vec![self.interrupt.as_fd()];
        others.extend(self.current().map(|_| keyboard.as_fd()));
        line.next_step_or(&others)
    }

    fn take(&mut self, event: WatchEvent) -> Option<End> {
        self.progress.show(&event);
        self.questions.hear(&event);
        let end = self.end_of(event);
        if end.is_none() {
            self.ask();
        }
        end
    }

    /// Whether the watching ends with it.
    fn end_of(&self, event: WatchEvent) -> Option<End> {
        match event {
            WatchEvent::Ended { results, outcome: _ } => Some(End::Over { results }),
            WatchEvent::RunMoved { state: RunState::AwaitingApproval, .. }
            | WatchEvent::PersonWanted => self.wants_person(),
            WatchEvent::Snapshot { run }
                if run.state == RunState::AwaitingApproval || run.steering.waits_for_person =>
            {
                self.wants_person()
            }
            WatchEvent::Snapshot { .. }
            | WatchEvent::Asked { .. }
            | WatchEvent::Answered { .. }
            | WatchEvent::TaskWaits { .. }
            | WatchEvent::TaskLate { .. }
            | WatchEvent::TaskAgain { .. }
            | WatchEvent::TaskMapped { .. }
            | WatchEvent::TaskSpawned { .. }
            | WatchEvent::Adjusted
            | WatchEvent::Update { .. }
            | WatchEvent::RunMoved { .. }
            | WatchEvent::TaskQueued { .. }
            | WatchEvent::TaskStarted { .. }
            | WatchEvent::TaskRetrying { .. }
            | WatchEvent::TaskSucceeded { .. }
            | WatchEvent::TaskFailed { .. }
            | WatchEvent::TaskSkipped { .. } => None,
        }
    }

    /// Where nobody sits at a terminal the watching ends here; a person can answer from another
    /// one, and is told how.
    fn wants_person(&self) -> Option<End> {
        (self.here == Here::Nothing).then_some(End::Waiting)
    }

    /// The question that the person here is asked.
    fn current(&self) -> Option<&AskView> {
        self.questions.current().filter(|ask| match self.here {
            Here::Nothing => false,
            Here::Plan => ask.id == PLAN,
            Here::Everything => true,
        })
    }

    /// Asks what is to be asked next, and takes back what is not asked any more.
    fn ask(&mut self) {
        let current = self.current().cloned();
        let id = current.as_ref().map(|ask| &ask.id);
        if id != self.seen.as_ref() {
            self.progress.withdraw();
            self.seen = id.cloned();
            let told = current.iter().find(|ask| ask.id != PLAN);
            told.into_iter().for_each(|ask| self.progress.asks(&heading(ask)));
        }
        current.iter().for_each(|ask| self.progress.prompt(line_of(ask)));
    }

    /// Ctrl-C, or something that the person here typed (features A10, A11, K12).
    fn attend(&mut self, daemon: &Client) -> Result<Option<End>, Failure> {
        if self.interrupt.is_caught() {
            self.progress.withdraw();
            let told = self.questions.open().filter(|_| self.here == Here::Everything);
            told.for_each(|ask| self.left_open(ask));
            return Ok(Some(End::Interrupted));
        }
        let Some(ask) = self.current().cloned() else { return Ok(None) };
        let typed = typed(&ask);
        self.progress.withdraw();
        match typed {
            Typed::Answer(answer) => self.answer(daemon, &ask, answer)?,
            Typed::Later => {
                self.questions.leave(&ask.id);
                self.left_open(&ask);
            }
            Typed::Unclear(what) => self.progress.note(&what),
        }
        self.ask();
        Ok(None)
    }

    /// Hands an answer on; what came of it, the events tell.
    fn answer(&mut self, daemon: &Client, ask: &AskView, answer: String) -> Result<(), Failure> {
        // One of a run that is a part of this one has that run in its name.
        let below = ask.id.split_once('/').is_some_and(|(run, _)| RunId::parse(run).is_ok());
        let target = if below { ask.id.clone() } else { format!("{}/{}", self.run, ask.id) };
        match daemon.ask(&Request::Answer { target, answer }) {
            Ok(_) => {}
            // Somebody else was faster.
            Err(ClientError::Refused(failure)) => {
                self.progress.note(&format!("  {}", failure.message));
            }
            Err(error) => return Err(error.into()),
        }
        self.questions.remove(&ask.id);
        Ok(())
    }

    fn left_open(&self, ask: &AskView) {
        let what = if ask.id == PLAN { "the plan" } else { &ask.id };
        self.progress.note(&format!("  {what} is left open; this answers it: {}", ask.how));
    }
}
