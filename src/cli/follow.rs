//! Follows a run to its end, whatever becomes of the daemon meanwhile: when it is lost, it is
//! started again, and its snapshot tells what was missed.

use std::io::{BufRead, Write};
use std::os::fd::AsFd;

use serde_json::Value;

use super::deadline::Interrupt;
use super::desk::Desk;
use super::progress::Progress;
use crate::control::{Client, ClientError, Failure, FailureKind, Line, Request, Step, WatchEvent};
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
}

impl<'d> Follower<'d> {
    /// Somebody who will follow it.
    pub(crate) fn new(desk: &'d Desk, run: RunId, interrupt: Interrupt) -> Self {
        let moving = desk.shell.stderr_is_terminal && desk.shell.wants_colour();
        let progress = Progress::new(desk.voice, moving);
        Self { desk, run, progress, interrupt, losses: 0 }
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
            match line.next_step(Some(self.interrupt.as_fd())) {
                Ok(Step::Interrupted) => return Ok(Some(End::Interrupted)),
                Ok(Step::Done(_)) => return Ok(None),
                Ok(Step::Event(event)) => {
                    self.losses = 0;
                    if let Some(end) = self.take(daemon, *event)? {
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

    fn take(&mut self, daemon: &Client, event: WatchEvent) -> Result<Option<End>, Failure> {
        self.progress.show(&event);
        match event {
            WatchEvent::Ended { results, outcome: _ } => Ok(Some(End::Over { results })),
            WatchEvent::Snapshot { run } if run.state == RunState::AwaitingApproval => {
                self.approve(daemon)
            }
            WatchEvent::RunMoved { state: RunState::AwaitingApproval, .. } => self.approve(daemon),
            WatchEvent::Snapshot { run } if run.steering.waits_for_person => {
                Ok(self.wants_person())
            }
            WatchEvent::PersonWanted => Ok(self.wants_person()),
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
            | WatchEvent::TaskSkipped { .. } => Ok(None),
        }
    }

    /// Where nobody sits at a terminal the watching ends here; a person can answer from another
    /// one, and is told how.
    fn wants_person(&self) -> Option<End> {
        let shell = &self.desk.shell;
        (!shell.stdin_is_terminal || !shell.stderr_is_terminal).then_some(End::Waiting)
    }

    /// Asks the person at this terminal and hands the answer on (features A10, A11).
    fn approve(&mut self, daemon: &Client) -> Result<Option<End>, Failure> {
        let shell = &self.desk.shell;
        if !shell.stdin_is_terminal || !shell.stderr_is_terminal {
            return Ok(Some(End::Waiting));
        }
        self.progress.clear();
        let Some(yes) = ask("Run this plan?", &self.interrupt) else {
            return Ok(Some(End::Interrupted));
        };
        let request = Request::Approve { run: self.run.clone(), reject: !yes };
        match daemon.ask(&request) {
            // Somebody else was faster; the events tell what came of it.
            Ok(_) | Err(ClientError::Refused(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Asks a question until the answer is yes or no; an empty one is no, Ctrl-C is none.
pub(crate) fn ask(question: &str, interrupt: &Interrupt) -> Option<bool> {
    let mut screen = std::io::stderr();
    let stdin = std::io::stdin();
    loop {
        let _ = write!(screen, "{question} [y/N] ").and_then(|()| screen.flush());
        if !interrupt.readable_before(stdin.as_fd()) {
            let _ = writeln!(screen);
            return None;
        }
        let mut line = String::new();
        // At the end of the input nobody can be asked again.
        let ended = stdin.lock().read_line(&mut line).map_or(true, |count| count == 0);
        match answer(&line) {
            Some(yes) => return Some(yes),
            None if ended => return Some(false),
            None => {
                let _ = writeln!(screen, "  please answer y or n; Ctrl-C leaves it waiting");
            }
        }
    }
}

/// What a line says; nothing, when it is neither yes nor no.
fn answer(line: &str) -> Option<bool> {
    match line.trim().to_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "" | "n" | "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slip of the hand must not cancel a run (features A10, A11).
    #[test]
    fn only_yes_and_no_are_answers() {
        let seen = ["y\n", " YES\n", "\n", "No\n", "perhaps\n", "yep\n"].map(answer);
        assert_eq!(seen, [Some(true), Some(true), Some(false), Some(false), None, None]);
    }
}
