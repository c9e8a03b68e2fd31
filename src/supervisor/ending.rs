//! An attempt is over: its end is judged, written down, and told to whoever it worked for.

use std::path::PathBuf;

use crate::model::{AttemptFact, AttemptId, Ending, Fact, Moment, Order, Outcome, Owner};

use super::rules::Ruling;
use super::{Action, News, Supervisor, Verdict, judge};

impl Supervisor {
    pub(super) fn gone(
        &mut self,
        now: Moment,
        id: &AttemptId,
        ending: &Ending,
        out: &mut Vec<Action>,
    ) {
        let Some(attempt) = self.attempts.get(id) else {
            let text = "a report about an attempt that is already over was dropped".to_owned();
            return out.push(Action::Record(Fact::Noted { about: id.to_string(), text }));
        };
        let order = attempt.row.order.clone();
        let mut verdict = judge(now, &order, attempt.row.stopping, ending);
        // Only if it was really ended for that, and not by a person or by itself before.
        if let Some((cause, why)) = &attempt.condemned
            && attempt.row.stopping == Some(*cause)
            && verdict.end.outcome.word() == cause.word()
        {
            verdict.end.message.clone_from(why);
        }
        let ruling = self.ruling(&order, verdict.end.outcome, ending);
        if let Some(ruling) = ruling {
            verdict = verdict.ruled(now, &order, ending, ruling);
        }
        self.limits_seen(now, &order, &verdict, ending.read_at, out);
        self.ended(now, &order, verdict, ending.tail.clone(), ending.log.clone(), out);
    }

    /// What the rules say: those of a task are frozen with it, an instance follows its agent.
    pub(super) fn ruling(
        &mut self,
        order: &Order,
        outcome: Outcome,
        ending: &Ending,
    ) -> Option<Ruling> {
        let current = match &order.owner {
            Owner::Instance { .. } => self.agents.get(&order.agent),
            Owner::Task { .. } => None,
        };
        let rules = current.map_or(&order.care.rules, |agent| &agent.policy.care.rules);
        self.rules.judge(rules, outcome, ending)
    }

    pub(super) fn ended(
        &mut self,
        now: Moment,
        order: &Order,
        verdict: Verdict,
        tail: String,
        log: PathBuf,
        out: &mut Vec<Action>,
    ) {
        let id = &order.attempt;
        self.record(now, id, AttemptFact::Ended(verdict.end.clone()), out);
        let Some(attempt) = self.attempts.remove(id) else { return };
        let success = verdict.end.outcome == Outcome::Success;
        if let Some(window) = attempt.row.window.clone() {
            self.keep_window(now, window, success);
        }
        let owner = order.owner.clone();
        let then = verdict.ruling.as_ref().and_then(|ruling| ruling.then);
        if let Owner::Instance { name } = &owner {
            self.keep_handover(name, order, &verdict.end, &tail, &log);
            self.instance_ended(now, name, &attempt.row, &verdict.end, then, out);
        }
        let Verdict { end, value, ruling: _ } = verdict;
        let attempt = id.clone();
        out.push(Action::Tell(News::Ended { attempt, owner, end, then, value, tail, log }));
    }
}
