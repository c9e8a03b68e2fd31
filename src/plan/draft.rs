//! A plan as it was read: every value with its place, names not yet looked up.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value as Json;

use super::reference::{Piece, Written};
use super::settings::Settings;
use super::text::{InputText, Shape, Text};
use super::{Approval, Mode, OnPartialFailure};
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
    pub(crate) phases: Vec<DraftPhase>,
    pub(crate) tasks: Vec<DraftTask>,
    pub(crate) inputs: BTreeMap<String, InputDraft>,
    /// Where inputs are declared, or would be.
    pub(crate) inputs_span: Span,
    /// The agents of the configuration, and over them those that the plan brings along.
    pub(crate) agents: BTreeMap<String, Agent>,
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
    /// Positions of its tasks.
    pub(crate) tasks: Range<usize>,
}

/// What does a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Agent,
    Command,
    /// One that is known and not supported; its names are checked all the same.
    Unsupported,
}

/// A task as it was read, defaults already filled in.
#[derive(Debug)]
pub(crate) struct DraftTask {
    pub(crate) id: Spanned<String>,
    /// Position of its phase.
    pub(crate) phase: usize,
    pub(crate) kind: Kind,
    pub(crate) description: Text,
    pub(crate) expert: bool,
    pub(crate) entry_point: Option<(String, Text)>,
    pub(crate) output_key: Option<Spanned<String>>,
    pub(crate) shape: Shape,
    /// Where the task itself (not a default) says what its output is.
    pub(crate) output_span: Option<Span>,
    /// Program and arguments of a command.
    pub(crate) run: Vec<Text>,
    pub(crate) depends_on: Vec<Spanned<String>>,
    /// Texts of a kind that is not supported, looked at for references only.
    pub(crate) other: Vec<InputText>,
    pub(crate) uses_for_each: bool,
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
        self.pattern.as_ref().is_some_and(|pattern| pattern.value == Pattern::Pipeline)
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

    /// Calls `each` with every text that may hold references.
    pub(crate) fn for_each_text<'t>(&'t self, each: &mut dyn FnMut(&'t Text)) {
        each(&self.description);
        self.settings.constraints.iter().flatten().for_each(&mut *each);
        if let Some((_, value)) = &self.entry_point {
            each(value);
        }
        self.run.iter().for_each(&mut *each);
        self.settings.inputs().for_each(|(_, value)| value.for_each_text(each));
        self.other.iter().for_each(|value| value.for_each_text(each));
    }

    /// Every reference of it, with the text that it stands in.
    pub(crate) fn references(&self) -> Vec<(&Text, &Written)> {
        let mut found = Vec::new();
        self.for_each_text(&mut |text| {
            for piece in &text.pieces {
                match piece {
                    Piece::Reference(written) => found.push((text, written)),
                    Piece::Text(_) => {}
                }
            }
        });
        found
    }
}
