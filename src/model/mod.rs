//! The words of the house: ids, moments, outcomes, states, and the records that cross rooms.
//!
//! Nothing here decides or touches the outside. A word that two rooms need lives here, so that
//! rooms never look sideways at each other.

pub mod ask;
mod attempt;
mod cache;
mod care;
mod change;
mod env_filter;
mod fact;
mod finding;
mod id;
mod instance;
mod key;
mod moment;
mod outcome;
pub mod pause;
mod process_stat;
mod record;
mod report;
mod run;
mod spent;
mod standing;
mod work_item;

pub use ask::{Ask, AskKind};
pub use attempt::{
    AttemptEnd, AttemptRow, AttemptState, Ending, Extract, Limits, Order, Owner, PromptBy,
    ResultRule, ResultSource, StartReason, StopCause, WallTime,
};
pub use cache::{
    CacheAnswer, CacheEntry, CacheFact, CacheFound, CacheQuestion, CacheSource, WorkKey,
};
pub use care::{
    Care, ExitMatch, KillMode, Probe, ProbeKind, ReadySign, Remedy, Resources, Rule, Startup, Then,
};
pub use change::{Change, Holds, Subject};
pub use env_filter::EnvFilter;
pub use fact::{AttemptFact, ClockMark, Entry, Fact, RunFact};
pub use finding::{Finding, Severity};
pub use id::{AttemptId, IdError, Mint, RunId, TaskId, Token, window_label};
pub use instance::{Activity, Desired, Handed, InstanceRow, InstanceState, Removal};
pub use key::{KEYS, is_key};
pub use moment::{Moment, minutes, ms};
pub(crate) use outcome::words;
pub use outcome::{ErrorKind, Outcome, signal_name, signal_number};
pub use process_stat::ProcessStat;
pub use record::{
    Confinement, ExecFailure, Exit, ProcessMark, ServerMark, Spec, Started, StdinFrom, StopSpec,
    StopStep, TerminalSpec, Usage, files,
};
pub use report::{ActivitySource, BlockKind, Doing, Report};
pub use run::{Output, Parent, RunOutcome, RunState, SkipReason, Submission, TaskError, TaskState};
pub use spent::{BadUsage, Spent, UsageFormat, microusd};
pub use standing::{GroupRow, Parking};
pub use work_item::{Item, Message, ReportKind, Signal, Who, WorkReport, WorkerWish};
