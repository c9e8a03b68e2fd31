//! What an agent is told about the verbs that it may use, and about the workers that it had before:
//! only what holds for its task, in few words (features C8, H14, I12).

use std::fmt::Write;

use crate::model::TaskState;
use crate::plan::{self, Origin, as_text};
use crate::transcript::fence_for;

use super::{Run, Task};

/// How much of a worker's result is told again, in characters.
const RESULT_MAX: usize = 4000;
/// The tier that is usual, of which nothing is said.
const USUAL_TIER: u8 = 2;

/// What an agent is told beside its task.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Its workers so far, for a lead that starts over.
    pub(super) workers: Option<String>,
    /// What earlier runs of the plan learned.
    pub(super) lessons: Option<String>,
    /// What it may ask for, one paragraph for each kind.
    pub(super) verbs: Vec<String>,
}

/// What the agent of a task is told.
pub(super) fn told(run: &Run, plan: &plan::Task) -> Told {
    Told { workers: workers(run, plan), lessons: run.lessons.clone(), verbs: verbs(run, plan) }
}

fn verbs(run: &Run, plan: &plan::Task) -> Vec<String> {
    let verbs = [spawn(run, plan), messages(run, plan), notes(run, plan), actions(plan)];
    let mut verbs: Vec<String> = verbs.into_iter().flatten().collect();
    // Some programs run commands in a login shell, which has a `PATH` of its own.
    if !verbs.is_empty() {
        verbs.push("Where `muxvisor` is not found, call `$MUXVISOR_PROGRAM`.".to_owned());
    }
    verbs
}

fn spawn(run: &Run, plan: &plan::Task) -> Option<String> {
    let lead = plan.lead.as_ref()?;
    let all = || run.plan.agents.keys().cloned().collect();
    let agents: Vec<String> = if lead.agents.is_empty() { all() } else { lead.agents.clone() };
    Some(format!(
        "You may have up to {} workers, which see nothing but the text that you give them. \
         `muxvisor spawn --agent AGENT --name NAME --wait \"TEXT\"` prints the result of one; \
         without `--wait` it works beside you, and `muxvisor spawn --result NAME --wait` prints \
         its result. When one failed, say what went wrong and spawn it again. Agents: {}.",
        lead.max_workers,
        agents.join(", ")
    ))
}

fn messages(run: &Run, plan: &plan::Task) -> Option<String> {
    let inbox = "`muxvisor msg inbox` shows what was written to you";
    let to: Vec<&str> = plan.messages.iter().map(|id| id.as_str()).collect();
    if !to.is_empty() {
        let to = to.join(", ");
        return Some(format!("`muxvisor msg send TO TEXT` writes to {to}; {inbox}."));
    }
    run.may_be_written_to(&plan.id).then(|| format!("{inbox}."))
}

/// What is reported is judged by hooks, so whoever has hooks is told how to report.
fn notes(run: &Run, plan: &plan::Task) -> Option<String> {
    let follows =
        |task: &plan::Task| matches!(&task.origin, Some(Origin::Hook { of, .. }) if *of == plan.id);
    run.plan.tasks.iter().any(follows).then(|| {
        "Report what you made and found: `muxvisor note --artifact PATH`, \
         `note --test NAME --passed` or `--failed`, `note --finding TEXT`."
            .to_owned()
    })
}

fn actions(plan: &plan::Task) -> Option<String> {
    let guarded = plan.worker_of().is_some() || plan.tier != USUAL_TIER;
    guarded.then(|| {
        let tier = plan.tier;
        format!(
            "Actions above tier {tier} need a yes first: \
             `muxvisor note --action WHAT --tier {} --wait` prints it.",
            tier.saturating_add(1)
        )
    })
}

/// The workers that a lead has had, for its next attempt: nothing is to be done twice.
fn workers(run: &Run, plan: &plan::Task) -> Option<String> {
    let told: Vec<String> = run.workers(&plan.id).map(|(plan, task)| worker(plan, task)).collect();
    (!told.is_empty()).then(|| told.join("\n\n"))
}

fn worker(plan: &plan::Task, task: &Task) -> String {
    let agent = task.agent.as_deref().or_else(|| Some(plan.work.agents().first()?.name.as_str()));
    let mut text = format!("### {} ({}): {}", plan.id, agent.unwrap_or("command"), task.state);
    match (task.state, &task.output, &task.error) {
        (TaskState::Success, Some(output), _) => {
            let result = as_text(&output.value);
            let cut: String = result.chars().take(RESULT_MAX).collect();
            let fence = fence_for(&cut);
            let _ = write!(text, "\n\n{fence}\n{}\n{fence}", cut.trim_end_matches('\n'));
            if cut.len() < result.len() {
                let _ = write!(text, "\n\n`muxvisor spawn --result {}` prints all of it.", plan.id);
            }
        }
        (_, _, Some(error)) => {
            let _ = write!(text, "\n\n{}: {}", error.outcome, error.message);
        }
        (_, _, None) => {}
    }
    text
}
