//! The kinds of task, and which keys mean something in which.

/// What does a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Agent,
    Command,
    Reduce,
    Approve,
    Wait,
    Emit,
    Plan,
    /// One that is none; its names are checked all the same.
    Unknown,
}

use Kind::{Agent, Approve, Command, Emit, Plan, Reduce, Wait};

/// Kinds for which processes are started.
const ATTEMPTS: &[Kind] = &[Agent, Command];

/// Kinds that are done for each entry of a list.
const ITEMS: &[Kind] = &[Agent, Command, Plan];

/// The keys that mean something in some kinds only. All others mean something in all.
const KEYS: &[(&str, &[Kind])] = &[
    ("agent", &[Agent]),
    ("assigned_plugin", &[Agent]),
    ("capability", &[Agent]),
    ("fallback", &[Agent]),
    ("fallback_plugin", &[Agent]),
    ("role", &[Agent]),
    ("expert_role", &[Agent]),
    ("constraints", &[Agent]),
    ("entry_point", &[Agent]),
    ("template", &[Agent]),
    ("set", &[Agent]),
    ("model", &[Agent]),
    ("tier", &[Agent]),
    ("lead", &[Agent]),
    ("messages", &[Agent]),
    ("budget", &[Agent]),
    ("run", &[Command]),
    ("reducer", &[Reduce]),
    ("from", &[Reduce]),
    ("sort_by", &[Reduce]),
    ("columns", &[Reduce]),
    ("field", &[Reduce]),
    ("rule", &[Reduce]),
    ("quorum", &[Reduce]),
    ("veto", &[Reduce]),
    ("on_tie", &[Reduce]),
    ("text", &[Reduce]),
    ("ask", &[Approve]),
    ("event", &[Wait, Emit]),
    ("expires", &[Approve, Wait]),
    ("on_expire", &[Approve, Wait]),
    ("data", &[Emit]),
    ("file", &[Plan]),
    ("inputs", &[Plan]),
    ("output", &[Agent, Command, Wait]),
    ("input_context", &[Agent, Command, Reduce]),
    ("hook", &[Agent, Command, Reduce, Plan]),
    ("weight", &[Agent, Command, Plan]),
    ("for_each", ITEMS),
    ("key", ITEMS),
    ("partition", ITEMS),
    ("min_items", ITEMS),
    ("max_items", ITEMS),
    ("min_success", ITEMS),
    ("gather_timeout", ITEMS),
    ("on_partial_failure", ITEMS),
    ("retries", ATTEMPTS),
    ("retries_remaining", ATTEMPTS),
    ("retries_on_timeout", ATTEMPTS),
    ("retry_on", ATTEMPTS),
    ("no_retry_exit", ATTEMPTS),
    ("retry_wait", ATTEMPTS),
    ("timeout", ATTEMPTS),
    ("idle_timeout", ATTEMPTS),
    ("queue_timeout", ATTEMPTS),
    ("total_timeout", &[Agent, Command, Plan]),
    ("cwd", ATTEMPTS),
    ("uses", ATTEMPTS),
    ("cache", ATTEMPTS),
    ("effects", ATTEMPTS),
    ("idempotency", ATTEMPTS),
];

impl Kind {
    /// The kinds, by the words that people write.
    pub(crate) const ALL: &[Kind] = &[Agent, Command, Reduce, Approve, Wait, Emit, Plan];

    /// As it is written.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Kind::Agent => "agent",
            Kind::Command => "command",
            Kind::Reduce => "reduce",
            Kind::Approve => "approve",
            Kind::Wait => "wait",
            Kind::Emit => "emit",
            Kind::Plan => "plan",
            Kind::Unknown => "unknown",
        }
    }

    /// With its article, as messages name it.
    pub(crate) const fn with_article(self) -> &'static str {
        match self {
            Kind::Agent => "an agent",
            Kind::Command => "a command",
            Kind::Reduce => "a reduce",
            Kind::Approve => "an approve",
            Kind::Wait => "a wait",
            Kind::Emit => "an emit",
            Kind::Plan => "a plan",
            Kind::Unknown => "an unknown",
        }
    }

    /// Whether processes are started for it.
    pub(crate) fn makes_attempts(self) -> bool {
        ATTEMPTS.contains(&self)
    }

    /// Whether a key means something in it; for one that is no kind everything does.
    pub(crate) fn takes(self, key: &str) -> bool {
        let kinds = KEYS.iter().find(|(name, _)| *name == key).map(|(_, kinds)| *kinds);
        self == Kind::Unknown || kinds.is_none_or(|kinds| kinds.contains(&self))
    }
}

/// The keys of some kinds, with the kinds.
pub(crate) fn special_keys() -> impl Iterator<Item = (&'static str, &'static [Kind])> {
    KEYS.iter().copied()
}
