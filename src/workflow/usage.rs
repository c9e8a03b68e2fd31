//! What a run used: tokens and money by attempt, and the `usage` object of its document (features
//! P1 to P4, J7, J8).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::model::{AttemptId, Fact, Moment, RunFact, RunId, RunState, Spent, TaskId, TaskState};
use crate::policy::{Price, fill_in_cost};

use super::attempts::Report;
use super::gauge::Gauge;
use super::{Action, Run, Workflow};

impl Workflow {
    /// Writes down what was found that an attempt used. One that told itself is believed.
    pub(super) fn attempt_spent(
        &mut self,
        now: Moment,
        id: &RunId,
        attempt: &AttemptId,
        spent: &[Spent],
        prices: &[Price],
        out: &mut Vec<Action>,
    ) {
        let Some(task) = self.waiting_task(id, attempt) else { return };
        if self.runs[id].kept.spent.contains_key(attempt) {
            return;
        }
        for one in spent {
            let mut spent = one.clone();
            if !one.session.is_empty() {
                let key = (one.session.clone(), one.model.clone());
                let known = self.runs[id].kept.sessions.get(&key);
                spent = known.map_or(spent, |known| one.since(known));
            }
            fill_in_cost(prices, &mut spent);
            if !spent.is_nothing() {
                let (task, attempt) = (task.clone(), attempt.clone());
                self.record(now, id, RunFact::TaskSpent { task, attempt, spent }, out);
            }
        }
    }
}

impl Workflow {
    /// A budget that cannot be kept is told once for each agent: what it used is not known.
    pub(super) fn note_unknown_usage(
        &mut self,
        id: &RunId,
        task: &TaskId,
        report: &Report,
        out: &mut Vec<Action>,
    ) {
        let Some(run) = self.runs.get(id) else { return };
        let (Some(plan), Some(state)) = (run.definition(task), run.task(task)) else { return };
        let limited = run.plan.budget.is_some() || plan.budget.is_some();
        let by_itself = report.end.code.is_some() && !plan.work.agents().is_empty();
        let known = run.kept.spent.contains_key(&report.attempt);
        let Some(agent) = state.agent.clone().filter(|_| limited && by_itself && !known) else {
            return;
        };
        if self.mute.insert((id.clone(), agent.clone())) {
            let text = format!("nothing tells what `{agent}` used: the budget does not count it");
            out.push(Action::Record(Fact::Noted { about: id.to_string(), text }));
        }
    }
}

/// The `usage` object. A cost that nobody knows is null; the sum of those that are known otherwise.
pub(super) fn document(run: &Run, end: Moment) -> Value {
    let total = run.kept.total();
    let (overhead_ms, utilisation) = run.gauge_at(end).read();
    let agents: BTreeSet<&String> =
        run.tasks.values().filter_map(|task| task.agent.as_ref()).collect();
    json!({
        "tokens_in": total.tokens_in(),
        "tokens_out": total.output,
        "cost_usd": total.cost_microusd.map(usd),
        "agents": agents.len(),
        "overhead_ms": overhead_ms,
        "utilisation": utilisation,
    })
}

/// Dollars, of millionths.
#[expect(clippy::cast_precision_loss, reason = "nobody spends 2^53 millionths of a dollar")]
fn usd(micro: u64) -> f64 {
    micro as f64 / 1e6
}

impl Run {
    /// What the gauge says at that moment, if nothing changes until then.
    pub(super) fn gauge_at(&self, at: Moment) -> Gauge {
        let Gauge { last, busy, wanted, idle } = self.gauge;
        let span = at.0.saturating_sub(last.0);
        if span == 0 || self.state != RunState::Running {
            return Gauge { last: last.max(at), ..self.gauge };
        }
        let (mut running, mut waiting) = (0, 0);
        for task in self.tasks.values() {
            running += u64::from(task.state == TaskState::Running);
            waiting += u64::from(matches!(task.state, TaskState::Queued | TaskState::Starting));
        }
        let slots = (running + waiting).min(u64::from(self.plan.max_parallel).max(running));
        Gauge {
            last: at,
            busy: busy + running * span,
            wanted: wanted + slots * span,
            idle: idle + if slots > 0 && running == 0 { span } else { 0 },
        }
    }
}
