//! The built-in reducers (features C10–C14, J4, L7, O5, ruling Z9): one value of several, made by
//! the daemon itself, without an agent. What agents gave is data here: it is sorted, joined,
//! counted and escaped, and never read as anything else.

mod entries;
mod join;
mod table;
mod template;
mod vote;

use serde_json::{Map, Value};

use crate::plan::Reducer;

pub(super) use entries::Entry;
pub(super) use vote::Count;

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reduced {
    /// A value.
    Value(Value),
    /// Votes.
    Votes(Count),
}

/// Makes one value of the entries. `silent` are those who were asked for one and gave none, `from`
/// is what they are made of as the plan sees it, `inputs` is what the task is given beside it.
///
/// # Errors
/// One sentence that says which entry does not fit, or what is wrong with the template.
pub(super) fn reduce(
    by: &Reducer,
    entries: Vec<Entry>,
    silent: Vec<String>,
    from: Value,
    inputs: Map<String, Value>,
) -> Result<Reduced, String> {
    match by {
        Reducer::Concat { sort_by } => {
            Ok(Reduced::Value(Value::Array(join::concat(entries, sort_by.as_deref()))))
        }
        Reducer::Merge => join::merge(entries).map(Reduced::Value),
        Reducer::Table { columns, sort_by } => {
            let rows = join::concat(entries, sort_by.as_deref());
            Ok(Reduced::Value(Value::String(table::markdown(&rows, columns))))
        }
        Reducer::Vote(vote) => Ok(Reduced::Votes(vote::count(vote, entries, silent))),
        Reducer::Template { text } => {
            template::fill(text, from, &entries, inputs).map(Value::String).map(Reduced::Value)
        }
    }
}

#[cfg(test)]
mod tests;
