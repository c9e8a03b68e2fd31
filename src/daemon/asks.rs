//! The questions of a run as people see them, each with the command that answers it.

use crate::control::WatchEvent;
use crate::control::steer::{AskView, SteeringView};
use crate::model::{AskKind, Moment, RunId, ask, ms};
use crate::workflow::{Question, Run, Workflow};

/// How a run is steered, as far as it knows by itself.
pub(super) fn steering(run: &Run, now: Moment) -> SteeringView {
    SteeringView {
        asks: run.open_questions().map(|question| ask_view(run, question, now)).collect(),
        waits_for_person: false,
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

/// The questions of a run, then those of the runs that its tasks wait for. They are asked of
/// whoever looks at this one, under the names by which they can be answered, `RUN/NAME`.
pub(super) fn all_asks(workflow: &Workflow, run: &Run, now: Moment) -> Vec<AskView> {
    let mut asks: Vec<AskView> =
        run.open_questions().map(|question| ask_view(run, question, now)).collect();
    for child in run.children().iter().filter_map(|child| workflow.run(child)) {
        asks.extend(all_asks(workflow, child, now).into_iter().map(|ask| from_child(child, ask)));
    }
    asks
}

/// The questions of all runs, each under the name by which it can be answered.
pub(super) fn of_all(workflow: &Workflow, now: Moment) -> Vec<AskView> {
    let asks = workflow.runs().flat_map(|run| {
        run.open_questions().map(move |question| {
            let ask = ask_view(run, question, now);
            AskView { id: name_above(&run.id, &ask.id), ..ask }
        })
    });
    asks.collect()
}

/// A question of a run as whoever looks at the run above sees it.
fn from_child(child: &Run, ask: AskView) -> AskView {
    let task = child.submission.parent.as_ref().and_then(|parent| parent.task.clone());
    AskView { id: name_above(&child.id, &ask.id), task, ..ask }
}

/// What a run tells of a question, as those hear it who watch the run above.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is heard there")]
pub(super) fn heard_above(child: &Run, event: WatchEvent) -> WatchEvent {
    match event {
        WatchEvent::Asked { ask } => WatchEvent::Asked { ask: Box::new(from_child(child, *ask)) },
        WatchEvent::Answered { ask, answer, by } => {
            WatchEvent::Answered { ask: name_above(&child.id, &ask), answer, by }
        }
        other => other,
    }
}

/// The name of a question of a run in the runs above it; one from below has it already.
fn name_above(child: &RunId, ask: &str) -> String {
    let below = ask.split_once('/').is_some_and(|(run, _)| RunId::parse(run).is_ok());
    if below { ask.to_owned() } else { format!("{child}/{ask}") }
}

/// The runs of which a run is a part, from the nearest on.
pub(super) fn above<'a>(workflow: &'a Workflow, run: &RunId) -> impl Iterator<Item = &'a Run> {
    let up = |run: &'a Run| {
        let parent = run.submission.parent.as_ref().filter(|parent| parent.task.is_some());
        parent.and_then(|parent| workflow.run(&parent.run))
    };
    let first = workflow.run(run);
    std::iter::successors(first, move |run| up(run)).skip(1)
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
