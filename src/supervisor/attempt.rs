//! One attempt's life, and the only function that moves it.
//!
//! ```text
//!  intended ──Launched──> starting ──Started──> running
//!      │                     │  │                  │
//!      │                     │  └────Stopping──┐   ├──Stopping──> stopping
//!      └────────Ended────────┴───────Ended─────┴───┴────Ended───────┴──> ended
//! ```
//!
//! * `Launched`: the shim exists. `Started`: its agent runs. Both may be heard twice, because a
//!   later daemon finds again what an earlier one already knew.
//! * `Stopping` is also legal before `Started`: a stop beats a slow start.
//! * `Ended` comes once, and only when the whole descendant set is gone.

use crate::model::{AttemptFact, AttemptRow, AttemptState, Moment, StopCause};

/// A fact that does not fit the state it meets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("attempt {attempt} is {state} and cannot take the fact `{fact}`")]
pub struct IllegalFact {
    /// Which attempt.
    pub attempt: String,
    /// Where it stands.
    pub state: AttemptState,
    /// What was to be applied.
    pub fact: &'static str,
}

/// Moves `row` by `fact`, live as on recovery.
///
/// # Errors
/// When the state does not allow it; `row` is unchanged then.
pub(super) fn apply(
    row: &mut AttemptRow,
    at: Moment,
    fact: &AttemptFact,
) -> Result<(), IllegalFact> {
    use AttemptState as S;
    let illegal = |row: &AttemptRow| IllegalFact {
        attempt: row.order.attempt.to_string(),
        state: row.state,
        fact: name(fact),
    };
    match (row.state, fact) {
        (S::Intended, AttemptFact::Launched { shim, pane, window }) => {
            row.state = S::Starting;
            row.launched.get_or_insert(at);
            row.shim = Some(shim.clone());
            row.pane.clone_from(pane);
            row.window.clone_from(window);
        }
        (S::Starting | S::Running | S::Stopping, AttemptFact::Launched { shim, pane, window }) => {
            row.launched.get_or_insert(at);
            row.shim = Some(shim.clone());
            row.pane.clone_from(pane);
            row.window.clone_from(window);
        }
        (S::Intended | S::Starting | S::Running, AttemptFact::Started { process }) => {
            row.state = S::Running;
            row.started.get_or_insert(at);
            row.process = Some(process.clone());
        }
        (S::Stopping, AttemptFact::Started { process }) => {
            row.started.get_or_insert(at);
            row.process = Some(process.clone());
        }
        (S::Running | S::Stopping, AttemptFact::Ready) => {
            row.ready.get_or_insert(at);
        }
        (S::Intended | S::Starting | S::Running, AttemptFact::Stopping { cause }) => {
            row.state = S::Stopping;
            row.stopping = Some(*cause);
        }
        // An operator's stop outranks a time limit that struck first.
        (S::Stopping, AttemptFact::Stopping { cause: StopCause::Cancelled }) => {
            row.stopping = Some(StopCause::Cancelled);
        }
        (S::Intended | S::Starting | S::Running | S::Stopping, AttemptFact::Ended(end)) => {
            row.state = S::Ended;
            row.end = Some(end.clone());
        }
        (S::Intended | S::Starting | S::Running | S::Stopping, AttemptFact::Intended(_))
        | (S::Intended | S::Starting, AttemptFact::Ready)
        | (S::Stopping, AttemptFact::Stopping { .. })
        | (S::Ended, _) => return Err(illegal(row)),
    }
    Ok(())
}

/// Whether a fact says only what is known: a later daemon finds again what an earlier one saw.
pub(super) fn known(row: &AttemptRow, fact: &AttemptFact) -> bool {
    match fact {
        AttemptFact::Launched { shim, pane, window } => {
            row.launched.is_some()
                && row.shim.as_ref() == Some(shim)
                && (&row.pane, &row.window) == (pane, window)
        }
        AttemptFact::Started { process } => row.process.as_ref() == Some(process),
        AttemptFact::Ready => row.ready.is_some(),
        AttemptFact::Intended(_) | AttemptFact::Stopping { .. } | AttemptFact::Ended(_) => false,
    }
}

fn name(fact: &AttemptFact) -> &'static str {
    match fact {
        AttemptFact::Intended(_) => "intended",
        AttemptFact::Launched { .. } => "launched",
        AttemptFact::Started { .. } => "started",
        AttemptFact::Ready => "ready",
        AttemptFact::Stopping { .. } => "stopping",
        AttemptFact::Ended(_) => "ended",
    }
}
