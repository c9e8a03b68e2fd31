//! What earlier runs of a plan tell of the next one (features E15, P8): how long it and its tasks
//! take, and how often it completes. Asked only of a daemon that runs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::columns::span;
use super::desk::Desk;
use crate::control::Request;
use crate::control::cost_view::HistoryReply;
use crate::plan::Plan;

/// Whoever looks at a plan does not wait for a daemon that is busy.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What is known of earlier runs, and the tasks whose time comes from them.
pub(crate) struct History {
    known: HistoryReply,
    filled: Vec<String>,
}

impl History {
    /// Looks it up, and fills in how long tasks take of which the plan does not say it. None
    /// without earlier runs.
    pub(crate) fn fill_in(desk: &Desk, plan: &mut Plan) -> Option<Self> {
        let client = desk.client().ok()?.within(ANSWER_WITHIN);
        let request = Request::History { plan: plan.name.clone() };
        let known: HistoryReply = client.ask_for(&request).ok()?;
        if known.runs == 0 {
            return None;
        }
        let mut filled = Vec::new();
        for task in plan.tasks.iter_mut().filter(|task| task.expected_ms.is_none()) {
            let earlier = known.tasks.iter().find(|it| it.task == task.id);
            // One that is a plan itself takes as long as the runs of that.
            let inner = || {
                let request = Request::History { plan: task.inner_plan()?.to_owned() };
                client.ask_for::<HistoryReply>(&request).ok()?.avg_ms
            };
            if let Some(avg_ms) = earlier.map(|earlier| earlier.avg_ms).or_else(inner) {
                task.expected_ms = Some(avg_ms);
                filled.push(task.id.to_string());
            }
        }
        Some(Self { known, filled })
    }

    /// The lines below a plan.
    pub(crate) fn text(&self) -> String {
        let HistoryReply { runs, completion_rate, avg_ms, .. } = &self.known;
        let rate = completion_rate.unwrap_or(0.0) * 100.0;
        let took = avg_ms.map_or(String::new(), |ms| format!(", on average in {}", span(ms)));
        let word = if *runs == 1 { "run" } else { "runs" };
        let mut text = format!("\nHistory: {runs} earlier {word}, {rate:.0} % completed{took}\n");
        if !self.filled.is_empty() {
            let _ = writeln!(text, "~ from {runs} {word}: {}", self.filled.join(", "));
        }
        text
    }

    /// Adds the same to the document of a plan.
    pub(crate) fn add_to(&self, document: &mut Value) {
        document["runs"] = json!(self.known.runs);
        document["completion_rate"] = json!(self.known.completion_rate);
        #[expect(clippy::cast_precision_loss, reason = "minutes of a run")]
        let minutes = self.known.avg_ms.map(|ms| ms as f64 / 60_000.0);
        document["avg_session_minutes"] = json!(minutes);
        document["estimated_from_runs"] = json!(self.filled);
    }
}
