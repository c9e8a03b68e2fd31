//! What the work of a task is, so that the same work is known again: what its first attempt would
//! be given, in parts that people have words for. What differs from attempt to attempt and from
//! run to run is left out: errors before it, tokens, labels, ids.

use serde_json::{Value, json};

use super::order::{self, inputs, owes_result, text, working_directory};
use super::values::Values;
use super::{Run, prompt, tools};
use crate::model::{ResultRule, TaskError, WorkKey};
use crate::plan::{self, Lookup, Work};
use crate::policy::Agent;

/// The key of a task's work. Who is to do it counts by what the plan asks for, not by who will: a
/// fallback does the same work.
///
/// # Errors
/// When something that it is given is not there.
pub(super) fn of(run: &Run, plan: &plan::Task) -> Result<WorkKey, TaskError> {
    let values = Values::of(run, plan);
    let cwd = working_directory(&run.submission.cwd, plan.cwd.as_deref());
    let mut parts = vec![
        // Two tasks with the same words are two opinions, not one.
        ("task", json!([run.plan.name, plan.id]).to_string()),
        ("directory", json!(cwd).to_string()),
        ("output", json!([plan.output_as, plan.output, owes_result(run, plan)]).to_string()),
    ];
    match &plan.work {
        Work::Agent { .. } => {
            let agents = able(run, plan);
            let models = agents.iter().map(|agent| plan.model.as_ref().or(agent.model.as_ref()));
            parts.push(("model", json!(models.collect::<Vec<_>>()).to_string()));
            parts.push((
                "agent",
                json!(agents.iter().map(described).collect::<Vec<_>>()).to_string(),
            ));
            let first = agents.first().ok_or_else(|| order::no_attempts(plan))?;
            parts.push(("prompt", prompt_of(plan, first, &values)?));
            parts.push(("rights", json!([plan.tier, plan.lead, plan.messages]).to_string()));
            parts.extend(run.lessons.clone().map(|lessons| ("lessons", lessons)));
        }
        Work::Command { run: argv } => {
            let argv: Result<Vec<String>, _> =
                argv.iter().map(|word| text(word, &values)).collect();
            parts.push(("command", json!(argv?).to_string()));
            parts.push(("inputs", json!(inputs(&plan.inputs, &values)?).to_string()));
        }
        Work::Reduce(_)
        | Work::Approve { .. }
        | Work::Wait { .. }
        | Work::Emit { .. }
        | Work::Plan(_) => return Err(order::no_attempts(plan)),
    }
    Ok(WorkKey::of(parts))
}

/// The agents that the plan would have do it equally well.
fn able<'a>(run: &'a Run, plan: &plan::Task) -> Vec<&'a Agent> {
    let names = plan.work.agents().iter().take(plan.work.alternatives());
    names.filter_map(|agent| run.plan.agents.get(&agent.name)).collect()
}

/// What is started, and how it is spoken to; the policies of its life make no other result.
fn described(agent: &&Agent) -> Value {
    json!([
        agent.name,
        agent.command,
        agent.env,
        agent.cwd,
        agent.prompt,
        agent.terminal,
        agent.result,
        agent.require_result,
    ])
}

/// The prompt as far as it says what to do; how the answer is to look and to be handed in counts
/// by itself.
fn prompt_of(plan: &plan::Task, agent: &Agent, values: &dyn Lookup) -> Result<String, TaskError> {
    let said = order::Said::of(plan, values)?;
    let task = plan::Task { output: None, ..plan.clone() };
    let told = tools::Told::default();
    Ok(prompt::render(&prompt::Parts {
        task: &task,
        agent: &agent.traits,
        entry: said.entry,
        description: &said.description,
        constraints: &said.constraints,
        inputs: &said.inputs,
        handover: None,
        previous: None,
        told: &told,
        result: ResultRule::None,
        terminal: false,
        tag: None,
    }))
}
