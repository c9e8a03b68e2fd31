//! A plan as it was read: every value with its place, names not yet looked up.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value as Json;

use super::condition::When;
use super::hook::HookRun;
use super::kind::Kind;
use super::reference::Written;
use super::settings::Settings;
use super::text::{InputText, Shape, Text};
use super::{
    Approval, Budget, Expiry, MinSuccess, Mode, OnPartialFailure, Partition, Pool, VoteRule,
};
use crate::document::{Span, Spanned};
use crate::policy::Agent;

/// A whole plan.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) name: String,
    pub(crate) goal: String,
    pub(crate) pattern: Option<Spanned<Pattern>>,
    pub(crate) max_parallel: Option<u32>,
    pub(crate) approval: Approval,
    /// How long those questions wait, in milliseconds.
    pub(crate) approval_expires_ms: Option<u64>,
    pub(crate) phases: Vec<DraftPhase>,
    pub(crate) tasks: Vec<DraftTask>,
    pub(crate) inputs: BTreeMap<String, InputDraft>,
    /// Where inputs are declared, or would be.
    pub(crate) inputs_span: Span,
    /// The agents of the configuration, and over them those that the plan brings along.
    pub(crate) agents: BTreeMap<String, Agent>,
    pub(crate) stop_after_failures: u32,
    pub(crate) budget: Option<Spanned<Budget>>,
    /// `[limits]`, by name.
    pub(crate) limits: BTreeMap<String, Pool>,
    /// `[[on]]`.
    pub(crate) triggers: Vec<DraftTrigger>,
    /// The command of `[on_finish]`.
    pub(crate) finish: Option<Vec<Text>>,
    /// Whether its tasks are `stages`.
    pub(crate) staged: bool,
}

/// An entry of `[[on]]`.
#[derive(Debug)]
pub(crate) struct DraftTrigger {
    pub(crate) event: String,
    pub(crate) when: Option<When>,
    pub(crate) start: DraftSubPlan,
}

/// Another plan that is started, and with what.
#[derive(Debug)]
pub(crate) struct DraftSubPlan {
    pub(crate) file: Spanned<String>,
    pub(crate) inputs: Vec<(Spanned<String>, InputText)>,
}

/// The shapes that a plan may say it has (ruling Z21).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    FanOut,
    Pipeline,
    Supervisor,
    ExpertPanel,
    MapReduce,
    ScatterGather,
    ForkJoin,
    EventDriven,
    Cascade,
}

/// A phase as it was read.
#[derive(Debug)]
pub(crate) struct DraftPhase {
    pub(crate) id: Spanned<String>,
    /// As written, if it is.
    pub(crate) mode: Option<Spanned<Mode>>,
    /// `depends_on_phases`, if it is written.
    pub(crate) after: Option<Vec<Spanned<String>>>,
    pub(crate) on_partial_failure: OnPartialFailure,
    pub(crate) when: Option<When>,
    pub(crate) min_success: Option<Spanned<MinSuccess>>,
    pub(crate) gather_timeout_ms: Option<u64>,
    pub(crate) max_parallel: Option<u32>,
    /// What each of its tasks takes of the pools.
    pub(crate) uses: Vec<(Spanned<String>, u32)>,
    /// Positions of its tasks.
    pub(crate) tasks: Range<usize>,
}

/// What does a task, as far as more than its agents must be said.
#[derive(Debug)]
pub(crate) enum Doing {
    /// The agents are among the settings.
    Agent,
    /// Program and arguments.
    Command(Vec<Text>),
    Reduce(Box<DraftReduce>),
    Approve {
        ask: Text,
        expiry: Option<Expiry>,
    },
    Wait {
        event: Text,
        expiry: Option<Expiry>,
    },
    Emit {
        event: Text,
        data: InputText,
    },
    Plan(DraftSubPlan),
    /// A kind that is none, or a key without which it cannot be told; both are reported.
    Unknown,
}

/// How several values become one.
#[derive(Debug)]
pub(crate) struct DraftReduce {
    pub(crate) from: InputText,
    pub(crate) by: DraftReducer,
}

/// The reducers, as they were read.
#[derive(Debug)]
pub(crate) enum DraftReducer {
    Concat {
        sort_by: Option<String>,
    },
    Merge,
    Table {
        columns: Vec<String>,
        sort_by: Option<String>,
    },
    Vote(DraftVote),
    Template(String),
    /// One that is none, which is reported.
    Unknown,
}

/// A vote, as it was read.
#[derive(Debug)]
pub(crate) struct DraftVote {
    pub(crate) field: Spanned<String>,
    pub(crate) rule: VoteRule,
    pub(crate) veto: Option<(Spanned<String>, Spanned<Json>)>,
    /// A word or a value.
    pub(crate) on_tie: Option<Spanned<Json>>,
}

/// What a task does for each entry of something.
#[derive(Debug)]
pub(crate) struct DraftForEach {
    pub(crate) over: InputText,
    pub(crate) key: Option<Text>,
    pub(crate) partition: Option<Partition>,
    pub(crate) min_items: u32,
    pub(crate) max_items: u32,
    pub(crate) min_success: Option<Spanned<MinSuccess>>,
    pub(crate) gather_timeout_ms: Option<u64>,
}

/// That a task's agent may ask for workers.
#[derive(Debug)]
pub(crate) struct DraftLead {
    pub(crate) max_workers: u32,
    pub(crate) agents: Vec<Spanned<String>>,
}

/// Where in a task a text stands, which decides what it may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// In what is done, for each item if there are items.
    Body,
    /// In what decides about the task as a whole: `when`, `for_each`.
    Whole,
    /// In a hook of it.
    Hook,
}

/// A task as it was read, defaults already filled in.
#[derive(Debug)]
pub(crate) struct DraftTask {
    pub(crate) id: Spanned<String>,
    /// Position of its phase.
    pub(crate) phase: usize,
    pub(crate) kind: Kind,
    pub(crate) doing: Doing,
    pub(crate) when: Option<When>,
    pub(crate) for_each: Option<DraftForEach>,
    pub(crate) lead: Option<DraftLead>,
    pub(crate) messages: Vec<Spanned<String>>,
    pub(crate) weight: Option<f64>,
    pub(crate) description: Text,
    pub(crate) expert: bool,
    pub(crate) entry_point: Option<(String, Text)>,
    pub(crate) output_key: Option<Spanned<String>>,
    /// What it looks like to a reader.
    pub(crate) shape: Shape,
    /// What one attempt gives; differs if there are items.
    pub(crate) own_shape: Shape,
    /// Where the task itself (not a default) says what its output is.
    pub(crate) output_span: Option<Span>,
    pub(crate) depends_on: Vec<Spanned<String>>,
    pub(crate) settings: Settings,
}

/// An entry of `[inputs]`.
#[derive(Debug)]
pub(crate) struct InputDraft {
    pub(crate) name: Spanned<String>,
    pub(crate) kind: InputKind,
    pub(crate) required: bool,
    pub(crate) default: Option<Spanned<Json>>,
}

/// The type of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputKind {
    String,
    Number,
    Boolean,
    /// Given as a path; its value is the text of the file.
    File,
    List,
}

impl Pattern {
    pub(crate) const ALL: &[Pattern] = &[
        Pattern::FanOut,
        Pattern::Pipeline,
        Pattern::Supervisor,
        Pattern::ExpertPanel,
        Pattern::MapReduce,
        Pattern::ScatterGather,
        Pattern::ForkJoin,
        Pattern::EventDriven,
        Pattern::Cascade,
    ];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Pattern::FanOut => "fan-out",
            Pattern::Pipeline => "pipeline",
            Pattern::Supervisor => "supervisor",
            Pattern::ExpertPanel => "expert-panel",
            Pattern::MapReduce => "map-reduce",
            Pattern::ScatterGather => "scatter-gather",
            Pattern::ForkJoin => "fork-join",
            Pattern::EventDriven => "event-driven",
            Pattern::Cascade => "cascade",
        }
    }
}

impl Draft {
    /// Whether it says it is a pipeline, where later steps need the earlier ones (feature K16).
    pub(crate) fn is_pipeline(&self) -> bool {
        self.staged
            || self.pattern.as_ref().is_some_and(|pattern| pattern.value == Pattern::Pipeline)
    }

    /// How the tasks of a phase run; the single phase of a pipeline is sequential.
    pub(crate) fn mode(&self, phase: usize) -> Mode {
        let by_default = if self.is_pipeline() && self.phases.len() == 1 {
            Mode::Sequential
        } else {
            Mode::Parallel
        };
        self.phases[phase].mode.as_ref().map_or(by_default, |mode| mode.value)
    }
}

impl DraftTask {
    /// How messages call it.
    pub(crate) fn called(&self) -> String {
        match self.id.value.as_str() {
            "" => "a task without id".to_owned(),
            id => format!("`{id}`"),
        }
    }

    /// Calls `each` with every text that may hold references, and where it stands.
    pub(crate) fn for_each_text<'t>(&'t self, each: &mut dyn FnMut(&'t Text, Site)) {
        let mut body = |text: &'t Text| each(text, Site::Body);
        body(&self.description);
        self.settings.constraints.iter().flatten().for_each(&mut body);
        if let Some((_, value)) = &self.entry_point {
            body(value);
        }
        self.settings.inputs().for_each(|(_, value)| value.for_each_text(&mut body));
        self.doing.for_each_text(&mut body);
        if let Some(key) = self.for_each.as_ref().and_then(|it| it.key.as_ref()) {
            body(key);
        }
        if let Some(items) = &self.for_each {
            items.over.for_each_text(&mut |text| each(text, Site::Whole));
        }
        if let Some(when) = &self.when {
            each(&when.text, Site::Whole);
        }
        for hook in &self.settings.hooks {
            match &hook.run {
                HookRun::Command(words) => words.iter().for_each(|text| each(text, Site::Hook)),
                HookRun::Word(_) => {}
            }
        }
    }

    /// Every reference of it, with the text that it stands in, and where that stands.
    pub(crate) fn references(&self) -> Vec<(&Text, &Written, Site)> {
        let mut found = Vec::new();
        self.for_each_text(&mut |text, site| {
            found.extend(text.references().map(|written| (text, written, site)));
        });
        found
    }
}

impl Doing {
    /// How several values become one, if it does that.
    pub(crate) fn reduce(&self) -> Option<&DraftReduce> {
        match self {
            Doing::Reduce(reduce) => Some(reduce),
            Doing::Agent
            | Doing::Command(_)
            | Doing::Approve { .. }
            | Doing::Wait { .. }
            | Doing::Emit { .. }
            | Doing::Plan(_)
            | Doing::Unknown => None,
        }
    }

    /// The plan that it starts, if it starts one.
    pub(crate) fn sub_plan(&self) -> Option<&DraftSubPlan> {
        match self {
            Doing::Plan(plan) => Some(plan),
            Doing::Agent
            | Doing::Command(_)
            | Doing::Reduce(_)
            | Doing::Approve { .. }
            | Doing::Wait { .. }
            | Doing::Emit { .. }
            | Doing::Unknown => None,
        }
    }

    fn for_each_text<'t>(&'t self, each: &mut dyn FnMut(&'t Text)) {
        match self {
            Doing::Command(run) => run.iter().for_each(each),
            Doing::Reduce(reduce) => reduce.from.for_each_text(each),
            Doing::Approve { ask: text, .. } | Doing::Wait { event: text, .. } => each(text),
            Doing::Emit { event, data } => {
                each(event);
                data.for_each_text(each);
            }
            Doing::Plan(plan) => plan.inputs.iter().for_each(|(_, it)| it.for_each_text(each)),
            Doing::Agent | Doing::Unknown => {}
        }
    }
}
