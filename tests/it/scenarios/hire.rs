//! How a lead of a script asks for a worker: `hire LEAD NAME AGENT WHAT TO DO`.

use muxvisor::model::{RunFact, TaskId, Who, WorkerWish};
use muxvisor::workflow::{Hired, Run};

/// The fact that follows, or why none does.
pub(super) fn hire(run: &Run, words: &[&str]) -> Result<RunFact, String> {
    let [lead, name, agent, text @ ..] = words else { panic!("{words:?} hires nobody") };
    let wish = WorkerWish {
        key: words.join(" "),
        name: Some((*name).to_owned()),
        who: Who::Agent((*agent).to_owned()),
        text: text.join(" "),
        inputs: Vec::new(),
        timeout_ms: None,
        schema: None,
    };
    match run.hire(&TaskId::new(*lead), &wish).map_err(|refusal| refusal.to_string())? {
        Hired::Known(task) => Err(format!("{task} is known")),
        Hired::New { fact, .. } => Ok(*fact),
    }
}
