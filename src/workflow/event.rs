//! What the workflow is told (past tense) and what it asks for (imperative).

use std::path::PathBuf;

use serde_json::Value;

use crate::model::{
    AttemptEnd, AttemptId, Fact, Moment, Order, RunId, Spent, StopCause, Submission, Then,
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
    /// A person wants its end.
    CancelAsked {
        /// Which run.
        run: RunId,
    },
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
    /// A deadline passed.
    DeadlineReached,
}

/// Something to do, in order; facts are committed before anything else is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write down.
    Record(Fact),
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
