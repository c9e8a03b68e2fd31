//! What a run brought in, for people: the merged result (feature O5), and what was done and what
//! was not (features O6, O7, K11, K20).

use serde::Deserialize;
use serde_json::Value;

use super::columns::span;
use super::voice::{Colour, Voice};
use crate::control::{Failure, FailureKind};
use crate::model::{RunOutcome, TaskId};

/// The parts of an `execution_results` document that people are shown.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Harvest {
    plan_id: String,
    status: RunOutcome,
    #[serde(default)]
    cancelled: bool,
    #[serde(default)]
    root_cause: Option<String>,
    duration_ms: u64,
    phases: Vec<Phase>,
    summary: Summary,
}

#[derive(Clone, Debug, Deserialize)]
struct Phase {
    tasks: Vec<Task>,
}

#[derive(Clone, Debug, Deserialize)]
struct Task {
    task_id: String,
    /// The key of an item, which has the `task_id` of its `for_each` task.
    #[serde(default)]
    item_key: Option<String>,
    status: String,
    #[serde(default)]
    skip_reason: Option<String>,
    plugin_used: Option<String>,
    attempt_number: u32,
    duration_ms: u64,
    output: Value,
    error: Option<TaskError>,
}

#[derive(Clone, Debug, Deserialize)]
struct TaskError {
    message: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Summary {
    total_tasks: u64,
    successful: u64,
    failed: u64,
    #[serde(default)]
    retried: Option<u64>,
    #[serde(default)]
    gaps: Vec<Gap>,
}

#[derive(Clone, Debug, Deserialize)]
struct Gap {
    task: String,
    reason: String,
}

#[derive(Deserialize)]
struct Document {
    execution_results: Harvest,
}

impl Harvest {
    /// Reads the document.
    pub(crate) fn of(document: &Value) -> Result<Self, Failure> {
        let read: Result<Document, _> = serde_json::from_value(document.clone());
        read.map(|document| document.execution_results).map_err(|error| {
            Failure::new(
                FailureKind::Internal,
                format!("the results of the run cannot be read: {error}"),
            )
        })
    }

    /// How the run ended.
    pub(crate) fn outcome(&self) -> RunOutcome {
        if self.cancelled { RunOutcome::Cancelled } else { self.status }
    }

    fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.phases.iter().flat_map(|phase| &phase.tasks)
    }

    /// The outputs that nobody in the plan read: each under its task's name, or alone. When all of
    /// those are missing, whatever else there is: partial results beat no results (feature K21).
    pub(crate) fn result(&self, finals: &[TaskId], voice: Voice) -> Option<String> {
        let named = |task: &&Task| finals.iter().any(|id| id.as_str() == task.task_id);
        // What its items gave is in the output of their task.
        let is_final = |task: &&Task| task.item_key.is_none() && named(task);
        let all: Vec<&Task> = self.tasks().filter(|task| !task.output.is_null()).collect();
        let mut brought: Vec<&Task> = all.iter().copied().filter(|task| is_final(task)).collect();
        if brought.is_empty() {
            brought = all;
        }
        match brought.as_slice() {
            [] => None,
            [one] if finals.len() == 1 && is_final(one) => Some(shown(&one.output)),
            several => {
                let part = |task: &&Task| {
                    let title = voice.paint(Colour::Bold, &format!("## {}", task.name()));
                    format!("{title}\n\n{}", shown(&task.output))
                };
                Some(several.iter().map(part).collect::<Vec<_>>().join("\n\n"))
            }
        }
    }

    /// Every task with how it went.
    pub(crate) fn tasks_text(&self, voice: Voice) -> String {
        self.tasks().map(|task| task.line(voice)).collect::<Vec<_>>().join("\n")
    }

    /// What was done, what was not, how long it took, and where to look.
    pub(crate) fn summary(&self, voice: Voice) -> String {
        let Summary { total_tasks, successful, failed, retried, .. } = &self.summary;
        let completed = self.outcome() == RunOutcome::Completed;
        let mut text = format!("{successful} of {total_tasks} tasks completed.");
        if *failed > 0 {
            text += &format!(" Failed tasks: [{}].", self.names(&["failed", "timeout"]));
        }
        let skipped = self.skipped(completed);
        if !skipped.is_empty() {
            text += &format!(" Skipped tasks: [{}].", skipped.join(", "));
        }
        let within = self.gaps_within();
        if !completed && *successful > 0 && (successful < total_tasks || !within.is_empty()) {
            text += " Partial results available.";
        }
        within.iter().for_each(|gap| text += &format!("\n- {}: {}", gap.task, gap.reason));
        let again = self.tasks().filter(|task| task.attempt_number > 1).count() as u64;
        let retried = retried.unwrap_or(again);
        let (word, colour) = match self.outcome() {
            RunOutcome::Completed => ("completed", Colour::Green),
            RunOutcome::Partial => ("partly completed", Colour::Yellow),
            RunOutcome::Failed => ("failed", Colour::Red),
            RunOutcome::Cancelled => ("was cancelled", Colour::Yellow),
        };
        let cause =
            self.root_cause.as_ref().map_or(String::new(), |c| format!("Root cause: {c}\n"));
        let word = voice.paint(colour, word);
        let took = span(self.duration_ms);
        format!(
            "{text}\n{cause}{}{} {word} in {took}; retried: {retried}. More: muxvisor show {}",
            self.choices(completed),
            self.plan_id,
            self.plan_id
        )
    }

    /// What a person can do about a run of which something is missing (feature K12); to take what
    /// there is nothing has to be done.
    fn choices(&self, completed: bool) -> String {
        let run = &self.plan_id;
        if completed {
            return String::new();
        }
        format!(
            "To go on: muxvisor retry {run} (again what did not succeed), or muxvisor retry {run} \
             --plan FILE (with an edited plan)\n"
        )
    }

    /// What was not done, as far as it is missing: not what a condition of the plan left out.
    fn skipped(&self, completed: bool) -> Vec<String> {
        let missing = |task: &&Task| match task.skip_reason.as_deref() {
            Some("when_false") => false,
            Some("upstream") => !completed,
            Some(_) | None => true,
        };
        let skipped = self.tasks().filter(|task| task.status == "skipped").filter(missing);
        skipped.map(Task::name).collect()
    }

    /// The gaps that are not seen from the tasks: those of a run within, and what is stale.
    fn gaps_within(&self) -> Vec<&Gap> {
        let lacking =
            |gap: &Gap| self.tasks().any(|t| t.status != "success" && t.name() == gap.task);
        self.summary.gaps.iter().filter(|gap| !lacking(gap)).collect()
    }

    fn names(&self, statuses: &[&str]) -> String {
        let all: Vec<&Task> =
            self.tasks().filter(|task| statuses.contains(&task.status.as_str())).collect();
        let whole = |id: &str| all.iter().any(|task| task.item_key.is_none() && task.task_id == id);
        let items = |id: &str| {
            all.iter().filter(|task| task.item_key.is_some() && task.task_id == id).count()
        };
        // Items whose task is named stand behind it as a number.
        let named = all.iter().filter(|task| task.item_key.is_none() || !whole(&task.task_id));
        let name = |task: &&&Task| match (&task.item_key, items(&task.task_id)) {
            (None, count @ 1..) => format!("{} ({count} of its items)", task.name()),
            (None, 0) | (Some(_), _) => task.name(),
        };
        named.map(|task| name(&task)).collect::<Vec<_>>().join(", ")
    }
}

impl Task {
    /// Its id, `score`, or that of an item, `score[KEY]`.
    fn name(&self) -> String {
        match &self.item_key {
            Some(key) => format!("{}[{key}]", self.task_id),
            None => self.task_id.clone(),
        }
    }

    fn line(&self, voice: Voice) -> String {
        // What has no attempts is done by the daemon, a person or an event.
        let by = match (&self.plugin_used, self.attempt_number) {
            (Some(agent), _) => format!("{agent}, "),
            (None, 1..) => "command, ".to_owned(),
            (None, 0) => String::new(),
        };
        let tries = match self.attempt_number {
            0 | 1 => String::new(),
            n => format!(", {n} attempts"),
        };
        let work = format!("({by}{}{tries})", span(self.duration_ms));
        let why = self.error.as_ref().map_or("", |error| error.message.as_str());
        match self.status.as_str() {
            "success" => format!("{} {} {work}", voice.paint(Colour::Green, "✔"), self.name()),
            "skipped" => {
                let reason = self.skip_reason.as_deref().unwrap_or("skipped");
                format!("{} {} skipped: {reason}", voice.paint(Colour::Dim, "–"), self.name())
            }
            _ => format!("{} {} {work}: {why}", voice.paint(Colour::Red, "✘"), self.name()),
        }
    }
}

/// An output as people read it: text as it is, anything else as JSON.
fn shown(output: &Value) -> String {
    match output {
        Value::String(text) => text.trim_end().to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            serde_json::to_string_pretty(output).unwrap_or_else(|_| output.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::shell::Shell;

    fn harvest() -> Harvest {
        let task = |id: &str, status: &str, output: Value, error: Value| {
            json!({"task_id": id, "status": status, "plugin_used": "reader", "attempt_number": 2,
                   "duration_ms": 1250, "output": output, "error": error})
        };
        let tasks = json!([
            task("a", "success", json!("text of a\n"), Value::Null),
            task("b", "timeout", Value::Null, json!({"kind": "timeout", "message": "too slow"})),
            task("c", "success", json!({"n": 1}), Value::Null),
        ]);
        let document = json!({"execution_results": {
            "plan_id": "PLAN-2026-11-21-001", "status": "partial", "duration_ms": 61_000,
            "phases": [{"phase_id": "p", "status": "partial", "tasks": tasks}],
            "summary": {"total_tasks": 3, "successful": 2, "failed": 1, "skipped": 0},
        }});
        Harvest::of(&document).unwrap()
    }

    fn voice() -> Voice {
        Voice::new(false, &Shell::default())
    }

    /// Features O5 and O7: one final output stands alone, several under their names.
    #[test]
    fn the_result_is_what_nobody_read() {
        let ids = |names: &[&str]| names.iter().map(|n| TaskId::new(*n)).collect::<Vec<_>>();
        let result = |names: &[&str]| harvest().result(&ids(names), voice());
        assert_eq!(result(&["a"]).unwrap(), "text of a");
        assert_eq!(result(&["a", "c"]).unwrap(), "## a\n\ntext of a\n\n## c\n\n{\n  \"n\": 1\n}");
        // Feature K21: what there is, when nothing of that came.
        assert_eq!(result(&["b"]), result(&["a", "c"]));
        assert!(result(&["a", "b"]).unwrap().starts_with("## a"), "one of two is named");
    }

    /// Features K20, O7: a map that failed is told once, with how many of its items did; what had no
    /// attempt was no command.
    #[test]
    fn a_failed_map_is_named_once() {
        let task = |key: Value, n: u32| {
            json!({"task_id": "work", "item_key": key, "status": "failed", "plugin_used": null,
                   "attempt_number": n, "duration_ms": 1250, "output": null,
                   "error": {"kind": "exit", "message": "no"}})
        };
        let tasks = [task(Value::Null, 0), task(json!("a"), 1), task(json!("b"), 1)];
        let document = json!({"execution_results": {
            "plan_id": "PLAN-2026-11-21-001", "status": "failed", "duration_ms": 1,
            "phases": [{"phase_id": "p", "status": "failed", "tasks": tasks}],
            "summary": {"total_tasks": 3, "successful": 0, "failed": 3, "skipped": 0},
        }});
        let harvest = Harvest::of(&document).unwrap();
        let seen = harvest.summary(voice());
        assert!(seen.contains("Failed tasks: [work (2 of its items)]."), "{seen}");
        let tasks = harvest.tasks_text(voice());
        assert!(tasks.contains("✘ work (1.2s): no"), "{tasks}");
        assert!(tasks.contains("✘ work[a] (command, 1.2s): no"), "{tasks}");
    }

    /// Features O6, K11 and K20.
    #[test]
    fn the_summary_says_what_was_done_and_what_was_not() {
        let seen = harvest().summary(voice());
        assert!(
            seen.starts_with(
                "2 of 3 tasks completed. Failed tasks: [b]. Partial results available.\n"
            ),
            "{seen}"
        );
        assert!(seen.contains("partly completed in 1m 1s; retried: 3"), "{seen}");
        assert!(seen.ends_with("muxvisor show PLAN-2026-11-21-001"), "{seen}");
        let tasks = harvest().tasks_text(voice());
        assert!(tasks.contains("✔ a (reader, 1.2s, 2 attempts)"), "{tasks}");
        assert!(tasks.contains("✘ b (reader, 1.2s, 2 attempts): too slow"), "{tasks}");
    }

    /// Features K12, O6: a run of which something is missing says what can be done about it, and
    /// names gaps that no task of it shows; what a condition left out of a whole one is not told.
    #[test]
    fn the_summary_offers_what_can_be_done() {
        let mut harvest = harvest();
        harvest.summary.gaps = ["b", "s/f"]
            .map(|task| Gap { task: task.to_owned(), reason: "exit-code: no".to_owned() })
            .into();
        let seen = harvest.summary(voice());
        assert!(seen.contains("available.\n- s/f: exit-code: no\n"), "{seen}");
        let run = "PLAN-2026-11-21-001";
        assert!(seen.contains(&format!("muxvisor retry {run} (")), "{seen}");
        assert!(seen.contains(&format!("muxvisor retry {run} --plan FILE")), "{seen}");
        let task = &mut harvest.phases[0].tasks[1];
        (task.status, task.skip_reason) = ("skipped".to_owned(), Some("when_false".to_owned()));
        harvest.status = RunOutcome::Completed;
        harvest.summary.failed = 0;
        harvest.summary.gaps.clear();
        let seen = harvest.summary(voice());
        assert!(seen.starts_with("2 of 3 tasks completed.\nPLAN"), "{seen}");
    }
}
