//! Reads a plan, checks all of it, and gives every problem at once, or the plan in the form that
//! a run is made of.
//!
//! Pure: it is given texts, the agents, and a way to ask whether a program exists.
//!
//! ```text
//! Source --read, task, doing, settings--> Draft --ids, depend, compare, staff, advice--> findings
//!                                           \--assemble--> Plan --show, resolve--> ...
//! ```
//!
//! | code | says | found in |
//! | --- | --- | --- |
//! | E01 | syntax, unknown key, wrong type or value | `read`, `task`, `settings`, `values`, … |
//! | E02 | an id is malformed, reserved or given twice | `ids` |
//! | E03 | a name that is not there, a field that an output does not have | `names`, `target`, `compare`, `check`, `templates` |
//! | E04 | a dependency cycle, of tasks or of plans | `depend`, `check` |
//! | E05 | a reference to itself, to what comes later, to an item or an event from outside | `depend`, `outside` |
//! | E06 | an agent that is unknown, has no program, or is its own fallback; a capability of nobody | `staff` |
//! | E07 | the plan has not the shape of its `pattern` | `pattern` |
//! | E08 | a condition that cannot be read, or compares what is never equal | `condition`, `compare` |
//! | E09 | a reader of something optional gives no default | `depend`, `outside` |
//! | E10 | a pool that is not there or too small, more successes than tasks | `stock`, `task` |
//! | E11 | the shape of an output or the type of an entry point means nothing | `output`, `task`, `templates` |
//! | W01 | a prompt of more than 500 words | `advice` |
//! | W02 | a task of more than 15 min, or a timeout shorter than expected | `advice` |
//! | W03 | more than six at once | `read` |
//! | W04 | an output that nobody reads | `advice` |
//! | W05 | a large output that is passed on as a whole | `advice` |
//! | W06 | retries of a task with effects | `advice` |
//! | A01 | a plan for one short task | `counsel` |
//! | A02 | a pipeline of steps that do not need each other | `counsel` |
//! | A03 | one question to several agents, and no panel | `counsel` |
//! | A04 | more than 20,000 words in all prompts together | `counsel` |
//! | A05 | a map-reduce under another name | `counsel` |
//! | A06 | a fan-out in one line | `counsel` |
//! | A07 | a supervisor plan without lead | `counsel` |
//! | A08 | an event-driven plan without event | `counsel` |
//! | A09 | a scatter-gather that waits for all | `counsel` |

mod advice;
mod amounts;
mod around;
mod assemble;
mod check;
mod compare;
mod compiled;
mod condition;
mod counsel;
mod depend;
mod doing;
mod draft;
mod editor;
mod estimate;
mod furnish;
mod graph;
mod hook;
mod ids;
mod kind;
mod linked;
mod names;
mod nested;
mod output;
mod outside;
mod passed;
mod pattern;
mod read;
mod reader;
mod reference;
mod resolve;
mod roster;
mod schema;
mod settings;
mod shapes;
mod shapes_of;
mod show;
mod spoken;
mod staff;
mod stock;
mod surroundings;
mod target;
mod task;
mod tell;
mod template;
mod template_parts;
mod templates;
mod text;
mod values;
mod words;
mod work;

pub use crate::policy::Rate;
pub use check::{Checked, check};
pub use compiled::{
    Approval, Budget, DependsCause, DependsOn, EntryPoint, Lead, Mode, OnExceed, OnPartialFailure,
    OutputAs, Phase, Plan, Pool, RetryWait, Task, Trigger,
};
pub use editor::editor_schema;
pub use resolve::{Lookup, MissingField, as_text, resolve, resolve_input, resolve_text};
pub use schema::{example, schema_of};
pub use show::{show, show_json};
pub use surroundings::{Surroundings, TemplateSource, no_templates};
pub use template::{Comparison, Condition, Edge, InputUse, InputValue, Template, TemplatePart};
pub use template_parts::{TemplateOutput, TemplateParts};
pub use work::{
    Capability, Expiry, ForEach, MinSuccess, OnTie, Origin, Partition, Reduce, Reducer, SubPlan,
    TaskAgent, Vote, VoteRule, Work,
};
