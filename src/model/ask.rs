//! Questions to a person: an approval, a decision after failures, a tie, an action that an agent
//! may not take by itself. One answer counts; it may come from the command line or a time limit.

use serde::{Deserialize, Serialize};

use super::outcome::words;
use super::{Moment, TaskId};

/// The name of the question about a whole plan.
pub const PLAN: &str = "plan";
/// The answer yes.
pub const APPROVE: &str = "approve";
/// The answer no.
pub const REJECT: &str = "reject";
/// The answer: take what there is.
pub const ACCEPT: &str = "accept";
/// The answer: do what failed again.
pub const RETRY: &str = "retry";
/// The answer: the plan is edited.
pub const ADJUST: &str = "adjust";
/// The answer: go on, with as much again.
pub const CONTINUE: &str = "continue";
/// Who gave the answer of a time limit.
pub const TIME: &str = "time";

words! {
    /// What a question is about.
    AskKind {
        /// A task of kind `approve`.
        Approve = "approve",
        /// Whether a phase may start (`approval = "each-phase"`).
        Phase = "phase",
        /// What to do after too many failures (feature K12): `retry`, `adjust` or `accept`.
        Failures = "failures",
        /// What to do now that the budget is used up: `continue` or `accept`.
        Budget = "budget",
        /// Which choice it is, after a tie.
        Tie = "tie",
        /// Whether an agent may take an action above its tier (feature H14).
        Action = "action",
    }
}

/// A question that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// Its name within the run: the task's id for an approval, `phase:ID`, `failures-1`, …
    pub id: String,
    /// What it is about.
    pub kind: AskKind,
    /// The task that waits, if one does.
    pub task: Option<TaskId>,
    /// The question, one paragraph.
    pub question: String,
    /// The answers that are understood.
    pub answers: Vec<String>,
    /// Until when it waits; for ever when absent.
    pub expires: Option<Moment>,
    /// The answer that counts when nobody gave one until then.
    pub on_expire: Option<String>,
}
