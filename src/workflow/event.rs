//! What the workflow is told (past tense) and what it asks for (imperative).

use std::path::PathBuf;

use serde_json::Value;

use crate::model::{
    AttemptEnd, AttemptId, CacheAnswer, CacheQuestion, Fact, Moment, Order, Parent, RunFact, RunId,
    Spent, StopCause, Submission, TaskId, Then,
};
use crate::policy::Price;

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A checked plan was handed in.
    Submitted(Box<Submission>),
    /// A person answered the question whether it may start.
    Approved {
        /// Which run.
        run: RunId,
        /// Yes or no.
        yes: bool,
    },
    /// A question was answered.
    Answered {
        /// Which run.
        run: RunId,
        /// The question.
        ask: String,
        /// One of its answers.
        answer: String,
        /// Whose it is: `person`, or an agent's.
        by: String,
    },
    /// A person wants nothing more started.
    PauseAsked {
        /// Which run.
        run: RunId,
        /// Whether what runs is stopped, to be made again later.
        stop: bool,
    },
    /// A person wants it to go on.
    ResumeAsked {
        /// Which run.
        run: RunId,
    },
    /// A person wants tasks done again; see [`super::what_again`].
    AgainAsked {
        /// Which run; one that was over is adopted first.
        run: RunId,
        /// Which tasks.
        tasks: Vec<TaskId>,
    },
    /// A person edited the plan.
    Adjusted {
        /// Which run; one that was over is adopted first.
        run: RunId,
        /// The plan's text.
        text: String,
        /// The plan, compared with the old one; see [`super::edit`].
        edit: Box<super::Edit>,
    },
    /// Somebody emitted an event.
    Emitted {
        /// Its name.
        name: String,
        /// Its data.
        data: Value,
        /// With the same key it is the same event.
        dedup: Option<String>,
        /// The run whose agent emitted it; none from outside.
        by: Option<RunId>,
    },
    /// A run that was asked for with [`Action::Submit`] could not be made.
    SubmitFailed {
        /// Who asked for it.
        parent: Parent,
        /// Why.
        why: String,
    },
    /// A person wants its end.
    CancelAsked {
        /// Which run.
        run: RunId,
    },
    /// The daemon ends and takes everything with it: the end of all runs is wanted, at once, so that
    /// none starts anything because another one makes room.
    Closing,
    /// An agent runs.
    AttemptRunning {
        /// Which run.
        run: RunId,
        /// Whose.
        attempt: AttemptId,
    },
    /// An attempt is over.
    AttemptEnded {
        /// Which run.
        run: RunId,
        /// Whose.
        attempt: AttemptId,
        /// How.
        end: AttemptEnd,
        /// What a rule of its agent asks for.
        then: Option<Then>,
        /// Its accepted result.
        value: Option<Value>,
        /// Its last lines.
        tail: String,
        /// Its log.
        log: PathBuf,
    },
    /// It was found in its output what an attempt used; said before its end.
    AttemptSpent {
        /// Which run.
        run: RunId,
        /// Whose.
        attempt: AttemptId,
        /// What it used. Counters of a session are those of the whole session.
        spent: Vec<Spent>,
        /// What tokens cost, where the program does not tell.
        prices: Vec<Price>,
    },
    /// An agent, or a person in its place, said something that was judged just now. What no longer
    /// fits is dropped.
    Said {
        /// Which run.
        run: RunId,
        /// What follows from it.
        facts: Vec<RunFact>,
    },
    /// An agent is not to be started before a usage limit has passed.
    AgentParked {
        /// Which.
        agent: String,
        /// Until when.
        until: Moment,
    },
    /// It may be started again.
    AgentUnparked {
        /// Which.
        agent: String,
    },
    /// What there is of results that were asked for with [`Action::LookUp`].
    LookedUp(Vec<CacheAnswer>),
    /// A deadline passed.
    DeadlineReached,
}

/// Something to do, in order; facts are committed before anything else is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write down.
    Record(Fact),
    /// Give a run an id, and hand it in as [`Event::Submitted`], in the same commit.
    Submit(Box<Submission>),
    /// Say whether results of some work are kept; the answer is [`Event::LookedUp`], also when
    /// nobody can know. Harmless to do twice.
    LookUp(Vec<CacheQuestion>),
    /// Hand an attempt to the supervisor.
    Order(Box<Order>),
    /// Have an attempt stopped.
    Stop {
        /// Which.
        attempt: AttemptId,
        /// Why.
        cause: StopCause,
    },
}
