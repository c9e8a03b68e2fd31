//! Joins the two deciding rooms: routes events between `supervisor` and `workflow` until both are
//! at rest, and collects what they decided. Pure like them, so the simulation drives it too.

use std::collections::VecDeque;

use crate::health::{Ask, Ticket};
use crate::model::{AttemptId, CacheQuestion, Fact, Moment, Order, Owner, Submission};
use crate::supervisor::{self, Answer, News, Supervisor};
use crate::workflow::{self, Workflow};

/// What one event, with everything that followed from it, asks to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    /// To be committed, in order, before any effect.
    pub facts: Vec<Fact>,
    /// To be performed, in order.
    pub effects: Vec<Effect>,
    /// Runs to be given an id and handed in, in the same commit.
    pub submits: Vec<Submission>,
    /// The texts of the notes among the facts that tell of trouble; the others tell of what is
    /// normal.
    pub troubles: Vec<String>,
    /// What became of a person's request.
    pub answer: Option<Answer>,
    /// What became of a request about several instances, for each of them.
    pub answers: Vec<(String, Answer)>,
}

/// Something to perform.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Launch an attempt; launching one twice is harmless.
    Launch(Box<Order>),
    /// Have a shim stop its agent.
    Stop(AttemptId),
    /// Have a shim end its agent at once.
    Kill(AttemptId),
    /// Type a prompt into an agent's terminal.
    TypePrompt {
        /// Whose.
        attempt: AttemptId,
        /// The prompt.
        text: String,
    },
    /// Look at an attempt.
    Sample {
        /// Which.
        attempt: AttemptId,
        /// To be given back with what is seen.
        probe: Ticket,
        /// What to look at.
        ask: Ask,
    },
    /// Press keys in an agent's terminal.
    Press {
        /// Whose.
        attempt: AttemptId,
        /// Their names.
        keys: Vec<String>,
    },
    /// Find out how long an attempt has printed nothing.
    AskQuiet(AttemptId),
    /// Find out whether results of some work are kept.
    LookUp(Vec<CacheQuestion>),
    /// Close a window unless somebody is looking at it.
    CloseWindow {
        /// Which.
        window: String,
        /// Whether its attempt succeeded.
        success: bool,
    },
}

impl Effect {
    /// Whether it names a window, whose id means something in one tmux server only.
    pub fn is_about_a_window(&self) -> bool {
        match self {
            Effect::CloseWindow { .. } => true,
            Effect::Launch(_)
            | Effect::Stop(_)
            | Effect::Kill(_)
            | Effect::TypePrompt { .. }
            | Effect::Sample { .. }
            | Effect::Press { .. }
            | Effect::AskQuiet(_)
            | Effect::LookUp(_) => false,
        }
    }
}

/// An event for either room.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// About attempts and instances.
    Supervisor(supervisor::Event),
    /// About runs.
    Workflow(workflow::Event),
}

/// Everything that is decided anywhere.
#[derive(Clone, Debug)]
pub struct Core {
    /// Lives of attempts and instances.
    pub supervisor: Supervisor,
    /// Runs.
    pub workflow: Workflow,
}

impl Core {
    /// Takes one event and everything that follows from it.
    pub fn turn(&mut self, now: Moment, input: Input) -> Turn {
        let mut turn = Turn::default();
        let mut waiting = VecDeque::from([input]);
        while let Some(input) = waiting.pop_front() {
            match input {
                Input::Supervisor(event) => {
                    for action in self.supervisor.handle(now, event) {
                        supervisor_asks(action, &mut turn, &mut waiting);
                    }
                }
                Input::Workflow(event) => {
                    for action in self.workflow.handle(now, event) {
                        workflow_asks(action, &mut turn, &mut waiting);
                    }
                }
            }
        }
        turn
    }

    /// What to do when a deadline passed: both rooms look at theirs.
    pub fn deadline_reached(&mut self, now: Moment) -> Turn {
        let mut turn = self.turn(now, Input::Supervisor(supervisor::Event::DeadlineReached));
        let more = self.turn(now, Input::Workflow(workflow::Event::DeadlineReached));
        turn.facts.extend(more.facts);
        turn.troubles.extend(more.troubles);
        turn.effects.extend(more.effects);
        turn.submits.extend(more.submits);
        turn
    }

    /// The earliest deadline of both rooms.
    pub fn next_deadline(&self) -> Option<Moment> {
        [self.supervisor.next_deadline(), self.workflow.next_deadline()].into_iter().flatten().min()
    }
}

fn supervisor_asks(action: supervisor::Action, turn: &mut Turn, waiting: &mut VecDeque<Input>) {
    match action {
        supervisor::Action::Record(fact) => {
            // What the supervisor notes of attempts is trouble; runs note what they decide.
            if let Fact::Noted { text, .. } = &fact {
                turn.troubles.push(text.clone());
            }
            turn.facts.push(fact);
        }
        supervisor::Action::Launch(order) => turn.effects.push(Effect::Launch(order)),
        supervisor::Action::Stop { attempt } => turn.effects.push(Effect::Stop(attempt)),
        supervisor::Action::Kill { attempt } => turn.effects.push(Effect::Kill(attempt)),
        supervisor::Action::TypePrompt { attempt, text } => {
            turn.effects.push(Effect::TypePrompt { attempt, text });
        }
        supervisor::Action::Sample { attempt, probe, ask } => {
            turn.effects.push(Effect::Sample { attempt, probe, ask });
        }
        supervisor::Action::Press { attempt, keys } => {
            turn.effects.push(Effect::Press { attempt, keys });
        }
        supervisor::Action::AskQuiet { attempt } => turn.effects.push(Effect::AskQuiet(attempt)),
        supervisor::Action::CloseWindow { window, success } => {
            turn.effects.push(Effect::CloseWindow { window, success });
        }
        supervisor::Action::Tell(news) => waiting.extend(heard(news)),
        supervisor::Action::Reply(answer) => turn.answer = Some(answer),
        supervisor::Action::Answer { name, answer } => turn.answers.push((name, answer)),
    }
}

fn workflow_asks(action: workflow::Action, turn: &mut Turn, waiting: &mut VecDeque<Input>) {
    let event = match action {
        workflow::Action::Record(fact) => return turn.facts.push(fact),
        workflow::Action::Submit(submission) => return turn.submits.push(*submission),
        workflow::Action::LookUp(asked) => return turn.effects.push(Effect::LookUp(asked)),
        workflow::Action::Order(order) => supervisor::Event::Ordered(order),
        workflow::Action::Stop { attempt, cause } => {
            supervisor::Event::StopAsked { attempt, cause }
        }
    };
    waiting.push_back(Input::Supervisor(event));
}

/// News of a task's attempt, as the workflow takes it; instances are no business of its.
fn heard(news: News) -> Option<Input> {
    let event = match news {
        News::Running { attempt, owner: Owner::Task { run, .. } } => {
            workflow::Event::AttemptRunning { run, attempt }
        }
        News::Ended { attempt, owner: Owner::Task { run, .. }, end, then, value, tail, log } => {
            workflow::Event::AttemptEnded { run, attempt, end, then, value, tail, log }
        }
        News::Parked { agent, until } => workflow::Event::AgentParked { agent, until },
        News::Unparked { agent } => workflow::Event::AgentUnparked { agent },
        News::Running { owner: Owner::Instance { .. }, .. }
        | News::Ended { owner: Owner::Instance { .. }, .. } => return None,
    };
    Some(Input::Workflow(event))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttemptEnd, AttemptId, Mint, Outcome, RunId};

    /// What runs note of themselves is normal; what is noted of attempts is trouble.
    #[test]
    fn only_trouble_is_called_trouble() {
        let settings = supervisor::Settings { keep_success: None, keep_failure: None };
        let nothing = supervisor::Remembered::default();
        let mint = Mint::new([1; 32]);
        let supervisor = Supervisor::recover(Moment(0), settings, nothing, mint).unwrap();
        let workflow = Workflow::new(1, Mint::new([2; 32]));
        let mut core = Core { supervisor, workflow };
        let attempt = AttemptId::new("nobody");
        let ending = crate::model::Ending {
            exit: None,
            extract: crate::model::Extract::Missing,
            tail: String::new(),
            log: "log".into(),
            screen: String::new(),
            read_at: crate::model::WallTime { ms: 0, offset_s: 0 },
        };
        let gone = supervisor::Event::Gone { attempt: attempt.clone(), ending: Box::new(ending) };
        let turn = core.turn(Moment(1), Input::Supervisor(gone));
        assert_eq!((turn.facts.len(), turn.troubles.len()), (1, 1));
        let (run, at) = (RunId::of_day("2026-11-21", 1), Moment(1));
        let outcome = Outcome::Lost;
        let end = AttemptEnd {
            outcome,
            message: String::new(),
            code: None,
            signal: None,
            source: None,
            at,
        };
        let (then, value, tail, log) = (None, None, String::new(), "log".into());
        let ended = workflow::Event::AttemptEnded { run, attempt, end, then, value, tail, log };
        let turn = core.turn(Moment(1), Input::Workflow(ended));
        assert_eq!((turn.facts.len(), turn.troubles.len()), (1, 0));
    }
}
