//! What does a task: an agent, a program, the daemon itself, a person, an event, or another plan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{InputUse, InputValue, Template};

/// What does a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Work {
    /// An agent, with fallbacks in order (feature A15).
    Agent {
        /// The first is the primary, never empty.
        agents: Vec<TaskAgent>,
        /// The capability that was asked for instead of an agent (feature I2). Then the first
        /// [`Work::alternatives`] agents have it, and the least loaded of them is taken.
        #[serde(default)]
        capability: Option<Capability>,
    },
    /// A program, without model or tokens.
    Command {
        /// Program and arguments; references fill whole or part of an argument, never a shell.
        run: Vec<Template>,
    },
    /// The daemon makes one value of several (features C12, C14, O5, ruling Z9).
    Reduce(Box<Reduce>),
    /// A person says yes or no. Takes no slot.
    Approve {
        /// The question.
        ask: Template,
        /// Until when it waits.
        #[serde(default)]
        expiry: Option<Expiry>,
    },
    /// An event comes (feature C17). Its output is the event's data. Takes no slot.
    Wait {
        /// The event's name.
        event: Template,
        /// Until when it waits.
        #[serde(default)]
        expiry: Option<Expiry>,
    },
    /// It makes an event.
    Emit {
        /// The event's name.
        event: Template,
        /// Its data.
        data: InputValue,
    },
    /// Another plan, as a run of its own whose result document is the output (feature A22).
    Plan(Box<SubPlan>),
}

impl Work {
    /// How many of the agents, from the first, do equally well.
    pub fn alternatives(&self) -> usize {
        match self {
            Work::Agent { capability: Some(capability), .. } => capability.able,
            Work::Agent { .. }
            | Work::Command { .. }
            | Work::Reduce(_)
            | Work::Approve { .. }
            | Work::Wait { .. }
            | Work::Emit { .. }
            | Work::Plan(_) => 1,
        }
    }

    /// The capability that was asked for instead of an agent, if one was.
    pub fn capability(&self) -> Option<&Capability> {
        match self {
            Work::Agent { capability, .. } => capability.as_ref(),
            Work::Command { .. }
            | Work::Reduce(_)
            | Work::Approve { .. }
            | Work::Wait { .. }
            | Work::Emit { .. }
            | Work::Plan(_) => None,
        }
    }

    /// Its agents, the primary first; none for work without agents.
    pub fn agents(&self) -> &[TaskAgent] {
        match self {
            Work::Agent { agents, .. } => agents,
            Work::Command { .. }
            | Work::Reduce(_)
            | Work::Approve { .. }
            | Work::Wait { .. }
            | Work::Emit { .. }
            | Work::Plan(_) => &[],
        }
    }

    /// Its word, as in `kind = "…"`.
    pub const fn word(&self) -> &'static str {
        match self {
            Work::Agent { .. } => "agent",
            Work::Command { .. } => "command",
            Work::Reduce(_) => "reduce",
            Work::Approve { .. } => "approve",
            Work::Wait { .. } => "wait",
            Work::Emit { .. } => "emit",
            Work::Plan(_) => "plan",
        }
    }

    /// Whether attempts are made for it: processes, with a slot each.
    pub const fn makes_attempts(&self) -> bool {
        match self {
            Work::Agent { .. } | Work::Command { .. } => true,
            Work::Reduce(_)
            | Work::Approve { .. }
            | Work::Wait { .. }
            | Work::Emit { .. }
            | Work::Plan(_) => false,
        }
    }
}

/// One agent of a task's list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskAgent {
    /// Its name among the agents of the plan.
    pub name: String,
    /// Extra attempts with it: the task's for the primary, 0 for a fallback (research 5.2).
    pub retries: u32,
}

/// A capability that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capability {
    /// Its name.
    pub name: String,
    /// How many of the task's agents, from the first, have it.
    pub able: usize,
}

/// Until when a person or an event is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expiry {
    /// How long, in milliseconds.
    pub after_ms: u64,
    /// What the answer is then: `approve` or `reject` for a question; `fail` or `skip` for an
    /// event.
    pub then: String,
}

/// How the daemon makes one value of several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reduce {
    /// What it is made of: a list, or a table of named values.
    pub from: InputValue,
    /// How.
    pub by: Reducer,
}

/// The built-in reducers (ruling Z9).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reducer")]
pub enum Reducer {
    /// One list of all entries: lists are joined, other values are entries.
    Concat {
        /// The field by which entries are sorted, if they are.
        sort_by: Option<String>,
    },
    /// One table of all tables; a field that is in several is joined if it holds lists or tables,
    /// otherwise the last one counts.
    Merge,
    /// A Markdown table, a row for each entry.
    Table {
        /// The columns; those of the first entry when none are named.
        columns: Vec<String>,
        /// The field by which rows are sorted, if they are.
        sort_by: Option<String>,
    },
    /// A decision (features C10, C11).
    Vote(Vote),
    /// Text made by a minijinja template that sees `from` and the task's inputs.
    Template {
        /// The template.
        text: String,
    },
}

/// How votes become a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vote {
    /// The field that holds the vote.
    pub field: String,
    /// When a decision stands.
    pub rule: VoteRule,
    /// A field and value with which any one voter stops the decision.
    pub veto: Option<(String, Value)>,
    /// What a tie means.
    pub on_tie: OnTie,
    /// The weight of each voter, by task id; 1 for who is not named.
    pub weights: BTreeMap<String, f64>,
}

/// When a decision stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VoteRule {
    /// More votes than any other choice, and more than half of all.
    Majority,
    /// All votes.
    Unanimous,
    /// At least this share of all voters that were asked, 0 to 1.
    Quorum(f64),
    /// As majority, by weights.
    Weighted,
}

/// What a tie means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnTie {
    /// A person decides.
    Ask,
    /// The task fails.
    Fail,
    /// This value is the decision.
    Value(Value),
}

/// Another plan, run as part of this one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubPlan {
    /// The file it was read from.
    pub path: String,
    /// Its text.
    pub text: String,
    /// The plan as checked, in the form in which a submission keeps it; its inputs are filled in
    /// when it starts.
    pub plan: Value,
    /// Values of its inputs.
    pub inputs: Vec<InputUse>,
}

/// What a task does for each entry of a list (features C12, C13).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForEach {
    /// A list, a table (its keys are the items' keys) or text (its lines).
    pub over: InputValue,
    /// What identifies an item; a hash of its content when absent.
    pub key: Option<Template>,
    /// Whether several entries make one item.
    pub partition: Option<Partition>,
    /// More items than this are an error.
    pub max_items: u32,
    /// Fewer items than this are an error.
    pub min_items: u32,
    /// How many must succeed; all when absent.
    pub min_success: Option<MinSuccess>,
    /// After that long the items that are not over are stopped, and what there is is taken
    /// (scatter-gather, feature C15).
    pub gather_timeout_ms: Option<u64>,
}

/// Entries in even parts, whose sizes differ by one at most (feature C13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Partition {
    /// So many parts.
    Parts(u32),
    /// Parts of at most that many.
    Size(u32),
}

/// How many must succeed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MinSuccess {
    /// At least so many.
    Count(u32),
    /// At least this share, 0 to 1.
    Share(f64),
}

impl MinSuccess {
    /// How many of `all` that is, at least.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a count of items"
    )]
    pub fn of(self, all: usize) -> usize {
        match self {
            MinSuccess::Count(count) => count as usize,
            MinSuccess::Share(share) => (share * all as f64 - 1e-9).ceil().max(0.0) as usize,
        }
    }
}

/// Who a task belongs to that a run made for itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "as")]
pub enum Origin {
    /// One item of a `for_each` task.
    Item {
        /// The task.
        of: crate::model::TaskId,
        /// The item's key.
        key: String,
        /// Its position in the list, from 0.
        index: usize,
        /// The item.
        value: Value,
    },
    /// A hook that follows a task (features N10–N12). It is no task of the result document.
    Hook {
        /// The task.
        of: crate::model::TaskId,
        /// The hook's word: `sanity-check`, `reflect`, …
        skill: String,
        /// Whether its failure is the task's.
        blocks: bool,
    },
    /// A worker that a lead agent asked for (feature C8).
    Worker {
        /// The lead's task.
        of: crate::model::TaskId,
    },
    /// The command of `[on_finish]`, after everything else. It is no task of the result document.
    Finish,
}

impl Origin {
    /// The lead's task, for a worker.
    pub const fn lead(&self) -> Option<&crate::model::TaskId> {
        match self {
            Origin::Worker { of } => Some(of),
            Origin::Item { .. } | Origin::Hook { .. } | Origin::Finish => None,
        }
    }

    /// The task that a hook follows, and whether the hook's failure is the task's.
    pub const fn hook_of(&self) -> Option<(&crate::model::TaskId, bool)> {
        match self {
            Origin::Hook { of, blocks, .. } => Some((of, *blocks)),
            Origin::Item { .. } | Origin::Worker { .. } | Origin::Finish => None,
        }
    }

    /// Whether it is a task of the result document: hooks and the like are not.
    pub const fn counts(&self) -> bool {
        match self {
            Origin::Worker { .. } => true,
            // An item is shown with its `for_each` task, which counts.
            Origin::Item { .. } => true,
            Origin::Hook { .. } | Origin::Finish => false,
        }
    }
}
