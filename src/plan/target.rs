//! What a reference can mean, and the references that mean the same in every plan: `${item}`,
//! `${index}`, `${run.…}`, `${event}`.

use serde_json::Value as Json;

use super::Edge;
use super::draft::Draft;
use super::reference::Step;
use crate::document::did_you_mean;
use crate::model::TaskId;

/// What can be asked of the run itself.
const OF_RUN: &[&str] = &["id", "name", "goal", "status", "summary"];

/// What a reference means, with tasks and phases by position.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    Output { task: usize, path: Vec<Json> },
    PhaseOutputs { phase: usize },
    Status { task: usize },
    Error { task: usize },
    Input { name: String, path: Vec<Json> },
    Results { task: usize },
    Failed { task: usize },
    Item { path: Vec<Json> },
    Index,
    Run { field: String },
    Event { path: Vec<Json> },
}

/// A name that is not there, or means nothing here.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unknown {
    pub(crate) code: &'static str,
    /// Which step of the reference; `None` for the whole of it.
    pub(crate) step: Option<usize>,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Target {
    /// The same with ids.
    pub(crate) fn edge(&self, draft: &Draft) -> Edge {
        let id = |task: usize| TaskId::new(draft.tasks[task].id.value.clone());
        match self {
            Target::Output { task, path } => Edge::Output { task: id(*task), path: path.clone() },
            Target::PhaseOutputs { phase } => {
                Edge::PhaseOutputs { phase: draft.phases[*phase].id.value.clone() }
            }
            Target::Status { task } => Edge::Status { task: id(*task) },
            Target::Error { task } => Edge::Error { task: id(*task) },
            Target::Input { name, path } => Edge::Input { name: name.clone(), path: path.clone() },
            Target::Results { task } => Edge::Results { task: id(*task) },
            Target::Failed { task } => Edge::Failed { task: id(*task) },
            Target::Item { path } => Edge::Item { path: path.clone() },
            Target::Index => Edge::Index,
            Target::Run { field } => Edge::Run { field: field.clone() },
            Target::Event { path } => Edge::Event { path: path.clone() },
        }
    }
}

/// What a reference means that begins with a word of its own; `None` when it begins with none.
pub(crate) fn of_word(first: &str, steps: &[&Step]) -> Option<Result<Target, Unknown>> {
    Some(match (first, steps.get(1)) {
        ("item", _) => path(steps, 1).map(|path| Target::Item { path }),
        ("event", _) => path(steps, 1).map(|path| Target::Event { path }),
        ("index", None) => Ok(Target::Index),
        ("index", Some(_)) => Err(unknown(Some(1), "`${index}` is one number".to_owned())),
        ("run", Some(Step::Name(field))) => of_run(field, steps),
        ("run", _) => {
            let fields = OF_RUN.join(", ");
            Err(Unknown {
                help: Some(format!("there is: {fields}")),
                ..unknown(None, "say what of the run, such as `${run.id}`".to_owned())
            })
        }
        (_, _) => return None,
    })
}

fn of_run(field: &str, steps: &[&Step]) -> Result<Target, Unknown> {
    if !OF_RUN.contains(&field) {
        let near = did_you_mean(field, OF_RUN.iter().copied());
        let help = near.or_else(|| Some(format!("there is: {}", OF_RUN.join(", "))));
        return Err(Unknown { help, ..unknown(Some(1), format!("a run has no `{field}`")) });
    }
    if steps.len() > 2 {
        let message = format!("the {field} of a run is one text without parts");
        return Err(unknown(Some(2), message));
    }
    Ok(Target::Run { field: field.to_owned() })
}

/// The steps from there on as a way into a value.
pub(crate) fn path(steps: &[&Step], from: usize) -> Result<Vec<Json>, Unknown> {
    let step = |(at, step): (usize, &&Step)| match step {
        Step::Name(name) => Ok(Json::from(name.as_str())),
        Step::Index(index) => Ok(Json::from(*index)),
        Step::Star => Err(unknown(Some(at), "`*` stands for the tasks of a phase only".to_owned())),
    };
    steps.iter().enumerate().skip(from).map(step).collect()
}

pub(crate) fn unknown(step: Option<usize>, message: String) -> Unknown {
    Unknown { code: "E03", step, message, help: None }
}
