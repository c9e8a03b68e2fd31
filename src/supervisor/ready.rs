//! What waits for an attempt to be ready. It is so as soon as it runs, unless something is to tell;
//! `watching` finds that out.

use crate::model::{AttemptFact, AttemptId, AttemptState, Moment, PromptBy};

use super::{Action, Supervisor};

impl Supervisor {
    /// An attempt is ready; said again, it changes nothing. What waits for it goes on.
    pub(super) fn ready(&mut self, now: Moment, id: &AttemptId, out: &mut Vec<Action>) {
        if self.record(now, id, AttemptFact::Ready, out) {
            self.type_prompt(id, out);
        }
    }

    /// Has the prompt typed, if that is how it is handed over. Its shim takes it once, so a daemon
    /// that does not know what the one before it came to simply asks again.
    fn type_prompt(&self, id: &AttemptId, out: &mut Vec<Action>) {
        let Some(attempt) = self.attempts.get(id) else { return };
        let order = &attempt.row.order;
        if let (AttemptState::Running, PromptBy::Type, Some(text)) =
            (attempt.row.state, order.prompt_by, order.prompt.clone())
        {
            out.push(Action::TypePrompt { attempt: id.clone(), text });
        }
    }
}
