//! The questions of a run as people see them, each with the command that answers it.

use crate::control::steer::{AskView, SteeringView};
use crate::model::{AskKind, Moment, RunId, ask, ms};
use crate::workflow::{Question, Run};

/// How a run is steered.
pub(super) fn steering(run: &Run, now: Moment) -> SteeringView {
    SteeringView {
        asks: run.open_questions().map(|question| ask_view(run, question, now)).collect(),
        waits_for_person: run.waits_for_person(),
        parent: run.submission.parent.clone(),
        limits: Vec::new(),
    }
}

/// A question as people see it.
pub(super) fn ask_view(run: &Run, question: &Question, now: Moment) -> AskView {
    let asked = question.ask.clone();
    AskView {
        how: how(&run.id, question),
        id: asked.id,
        kind: asked.kind,
        task: asked.task,
        question: run.asked_now(question),
        answers: asked.answers,
        expires_in_ms: asked.expires.map(|at| ms(at.since(now))),
        on_expire: asked.on_expire,
    }
}

/// The command that answers a question.
pub(super) fn how(run: &RunId, question: &Question) -> String {
    let asked = &question.ask;
    match asked.kind {
        AskKind::Approve | AskKind::Phase if asked.id == ask::PLAN => {
            format!("muxvisor approve {run} [--reject]")
        }
        AskKind::Approve | AskKind::Phase => {
            format!("muxvisor approve {run}/{} [--reject]", asked.id)
        }
        AskKind::Failures | AskKind::Budget => {
            format!("muxvisor decide {run} {}", asked.answers.join("|"))
        }
        AskKind::Tie | AskKind::Action => {
            format!("muxvisor decide {run}/{} {}", asked.id, asked.answers.join("|"))
        }
    }
}
