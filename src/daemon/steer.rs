//! Steers runs as people ask: pause, resume, answers, doing again, events.

use serde_json::Value;

use crate::control::steer::{AnswerReply, EmitReply, RetryReply, StaleView, SteeringView};
use crate::control::{Failure, FailureKind, Peer, Reply, Responder, Submit};
use crate::model::{AskKind, RunId, RunState, Submission, TaskId};
use crate::plan::{Plan, as_text};
use crate::supervisor::{self, InstanceRequest};
use crate::workflow::{self, Event, Question, Run, edit, left_behind, what_again};

use super::asks::{all_asks, how, steering};
use super::engine::Engine;
use super::submit::read_from;
use super::{Input, archive, views};

/// What a person wants done again.
pub(super) struct Again {
    pub(super) run: RunId,
    pub(super) task: Option<String>,
    pub(super) with_downstream: bool,
    pub(super) plan: Option<Box<Submit>>,
}

impl Engine {
    /// Gives runs that are part of others their ids, and hands them in with what asked for them.
    pub(super) fn hand_in(&mut self, submissions: Vec<Submission>) {
        for submission in submissions {
            let parent = submission.parent.clone();
            let event = match (self.next_run_id(), parent) {
                (Ok(run), _) => {
                    let submission = self.informed(submission);
                    Event::Submitted(Box::new(Submission { run, ..submission }))
                }
                (Err(failure), Some(parent)) => {
                    Event::SubmitFailed { parent, why: failure.message }
                }
                (Err(_), None) => continue,
            };
            self.decide(Input::Workflow(event));
        }
    }

    pub(super) fn pause(&mut self, run: RunId, stop: bool, responder: Responder) {
        let Some(found) = self.core.workflow.run(&run) else {
            return self.not_live(run, responder);
        };
        if !found.can_pause(stop) {
            let why = found.why.as_deref();
            let why = why.map_or(String::new(), |why| format!(" ({why})"));
            let message = format!("{run} is {}{why}: there is nothing to pause", found.state);
            return responder.reply(Failure::new(FailureKind::Usage, message));
        }
        self.decide(Input::Workflow(Event::PauseAsked { run: run.clone(), stop }));
        self.reply_run(run, responder);
    }

    /// Goes on with a run. One that is paused for a usage limit tries at once: whoever says so
    /// knows better than the limit.
    pub(super) fn resume_run(&mut self, run: RunId, responder: Responder) {
        let Some(found) = self.core.workflow.run(&run) else {
            return self.not_live(run, responder);
        };
        if let Some(question) = found.open_questions().find(|it| it.ask.kind == AskKind::Failures) {
            let message = format!("{run} waits for a decision: {}", found.asked_now(question));
            let hint = how(&run, question);
            return responder.reply(Failure::new(FailureKind::Waiting, message).hint(hint));
        }
        if found.state != RunState::Paused {
            let message = format!("{run} is {}, not paused", found.state);
            return responder.reply(Failure::new(FailureKind::Usage, message));
        }
        let limits = self.core.workflow.limits_of(self.clock.now(), &run);
        for name in limits {
            let request = InstanceRequest::ResetFailed;
            self.decide(Input::Supervisor(supervisor::Event::Asked { name, request }));
        }
        self.decide(Input::Workflow(Event::ResumeAsked { run: run.clone() }));
        self.reply_run(run, responder);
    }

    /// Takes a person's answer to a question, which is named by run, by `RUN/NAME` or by `NAME`.
    pub(super) fn answer(&mut self, target: &str, answer: &str, responder: Responder) {
        match self.question(target, answer) {
            Ok((run, ask)) => {
                let (word, by) = (answer.to_owned(), "person".to_owned());
                self.decide(Input::Workflow(Event::Answered {
                    run: run.clone(),
                    ask: ask.clone(),
                    answer: word.clone(),
                    by,
                }));
                let state = self.state_of(&run);
                let reply = AnswerReply { run, state, ask, answer: word };
                self.reply(responder, Reply::ok(&reply));
            }
            Err(None) => {
                let run = RunId::new(target.split('/').next().unwrap_or(target));
                self.not_live(run, responder);
            }
            Err(Some(failure)) => responder.reply(failure),
        }
    }

    /// The question that an answer is for. No failure is told when the run does not live.
    fn question(&self, target: &str, answer: &str) -> Result<(RunId, String), Option<Failure>> {
        let (run, name) = match target.split_once('/') {
            Some((run, name)) => (Some(RunId::new(run)), Some(name)),
            None if RunId::parse(target).is_ok() => (Some(RunId::new(target)), None),
            None => (None, Some(target)),
        };
        let runs: Vec<&Run> = match &run {
            Some(run) => vec![self.core.workflow.run(run).ok_or(None)?],
            None => self.core.workflow.runs().collect(),
        };
        let is_meant = |question: &Question| {
            let id = question.ask.id.as_str();
            name.is_none_or(|name| id == name || id.strip_prefix("phase:") == Some(name))
        };
        let open: Vec<(&Run, &Question)> = runs
            .iter()
            .flat_map(|run| run.open_questions().map(move |question| (*run, question)))
            .filter(|(_, question)| is_meant(question))
            .collect();
        let fits: Vec<&(&Run, &Question)> = open
            .iter()
            .filter(|(_, question)| question.ask.answers.iter().any(|known| known == answer))
            .collect();
        let usage = |message: String| Failure::new(FailureKind::Usage, message);
        match (fits.as_slice(), open.as_slice()) {
            ([(run, question)], _) => Ok((run.id.clone(), question.ask.id.clone())),
            ([], []) => Err(Some(not_asked(&runs, target, name, &is_meant))),
            ([], [(run, question), ..]) => {
                let known = question.ask.answers.join(", ");
                let message = format!(
                    "`{answer}` answers nothing that {target} asks; `{}` understands {known}",
                    question.ask.id
                );
                Err(Some(usage(message).hint(how(&run.id, question))))
            }
            (several, _) => {
                let names: Vec<String> = several
                    .iter()
                    .map(|(run, question)| format!("{}/{}", run.id, question.ask.id))
                    .collect();
                let message = format!("{} questions are open: {}", several.len(), names.join(", "));
                Err(Some(usage(message).hint("name one of them")))
            }
        }
    }

    /// Does work again, in place; a run that is over is taken up again from the ledger.
    pub(super) fn again(&mut self, again: Again, responder: Responder) {
        let prepared = self.prepare_again(again);
        match prepared {
            Ok((run, tasks, event)) => {
                let before = self.core.workflow.run(&run);
                let stale = before.map(|run| left_behind(run, &tasks)).unwrap_or_default();
                let view = |it: workflow::Stale| StaleView { task: it.task, read: it.read };
                let stale = stale.into_iter().map(view).collect();
                self.decide(Input::Workflow(event));
                let state = self.state_of(&run);
                self.reply(responder, Reply::ok(&RetryReply { run, state, again: tasks, stale }));
            }
            Err(failure) => responder.reply(failure),
        }
    }

    fn prepare_again(&mut self, again: Again) -> Result<(RunId, Vec<TaskId>, Event), Failure> {
        let usage = |error: workflow::NotAgain| Failure::new(FailureKind::Usage, error.to_string());
        let Again { run: id, task, with_downstream, plan } = again;
        let (run, is_live) = match self.core.workflow.run(&id) {
            Some(live) => (live.clone(), true),
            None => (archive::replay(&self.reader, &id)?, false),
        };
        if !is_live && !run.state.is_end() {
            let message = format!("{id} was not taken up, because the last starts crashed");
            return Err(Failure::new(FailureKind::Internal, message)
                .hint("daemon.log says why; the next start of the daemon tries again"));
        }
        let (tasks, event) = match plan {
            None => {
                let tasks = what_again(&run, task.as_deref(), with_downstream).map_err(usage)?;
                (tasks.clone(), Event::AgainAsked { run: id.clone(), tasks })
            }
            Some(submit) => {
                if matches!(run.state, RunState::Running | RunState::AwaitingApproval) {
                    let message = format!("{id} is {}: its plan cannot be changed", run.state);
                    let hint =
                        format!("`muxvisor pause {id}` first, or cancel it and run the new plan");
                    return Err(Failure::new(FailureKind::Usage, message).hint(hint));
                }
                self.stays_a_demo(&run, &submit)?;
                let text = submit.text.clone();
                let plan = self.edited(&run, *submit)?;
                is_the_same(&run, &plan)?;
                let edit = edit(&run, plan).map_err(usage)?;
                let event = Event::Adjusted { run: id.clone(), text, edit: Box::new(edit.clone()) };
                (edit.again, event)
            }
        };
        if !is_live {
            self.core.workflow.adopt(run);
        }
        Ok((id, tasks, event))
    }

    /// Agents that cost money do not take over from demo agents because somebody forgot a word.
    fn stays_a_demo(&self, run: &Run, submit: &Submit) -> Result<(), Failure> {
        if submit.demo || !run.submission.demo {
            return Ok(());
        }
        let message = format!("{} was run with demo agents; nothing was changed", run.id);
        let file = submit.path.display();
        Err(Failure::new(FailureKind::Usage, message)
            .hint(format!("say `--demo` again, or run the plan itself: muxvisor run {file}")))
    }

    /// Checks an edited plan like at submit. Inputs that are not given keep their values.
    fn edited(&self, run: &Run, submit: Submit) -> Result<Plan, Failure> {
        let mut inputs = submit.inputs.clone();
        for (name, value) in &run.plan.inputs {
            let used = submit.text.contains(name.as_str());
            if used && !value.is_null() && !inputs.contains_key(name) {
                inputs.insert(name.clone(), as_text(value));
            }
        }
        let known = &run.plan.inputs;
        // The value of a file that was read before is its text.
        let read_file = |path: &str| {
            let old = known.values().filter_map(Value::as_str).find(|text| *text == path);
            old.map_or_else(|| read_from(&submit.cwd, path), |text| Ok(text.to_owned()))
        };
        self.checked(&submit, &inputs, &run.submission.env, &read_file).map_err(|findings| {
            let message = format!("{} has problems; nothing was changed", submit.path.display());
            Failure::new(FailureKind::Invalid, message).findings(findings)
        })
    }

    /// Emits an event.
    pub(super) fn emit(
        &mut self,
        peer: Peer,
        event: String,
        data: Value,
        key: Option<String>,
        responder: Responder,
    ) {
        let workflow = &self.core.workflow;
        let repeated = key.as_deref().is_some_and(|key| workflow.was_emitted(&event, key));
        let number = workflow.next_event();
        let by = self.run_that_asks(peer);
        let (name, dedup) = (event.clone(), key);
        self.decide(Input::Workflow(Event::Emitted { name, data, dedup, by }));
        let kept = !repeated && self.core.workflow.keeps_event(number);
        self.reply(responder, Reply::ok(&EmitReply { event, repeated, kept }));
    }

    fn state_of(&self, run: &RunId) -> RunState {
        self.core.workflow.run(run).map_or(RunState::Completing, |run| run.state)
    }

    fn not_live(&self, run: RunId, responder: Responder) {
        self.ask_ledger(responder, move |reader, _| archive::not_live(reader, &run));
    }

    /// How a live run is steered, with what only the supervisor knows.
    pub(super) fn steering_view(&self, run: &Run) -> SteeringView {
        let now = self.clock.now();
        let agents = self.core.workflow.limits_of(now, &run.id);
        let parked = self.core.supervisor.parked();
        let limits = parked.filter(|parking| agents.contains(&parking.agent));
        SteeringView {
            asks: all_asks(&self.core.workflow, run, now),
            waits_for_person: self.core.workflow.waits_for_person(&run.id),
            limits: limits.map(views::parked_view).collect(),
            ..steering(run, now)
        }
    }
}

/// Another plan in place of a run's would drop all that the run has.
fn is_the_same(run: &Run, plan: &Plan) -> Result<(), Failure> {
    if plan.name == run.plan.name {
        return Ok(());
    }
    let (old, new) = (&run.plan.name, &plan.name);
    let message = format!("{} runs the plan `{old}`, not `{new}`; nothing was changed", run.id);
    Err(Failure::new(FailureKind::Usage, message)
        .hint(format!("an edited plan keeps its name: plan = \"{old}\"")))
}

/// What is said when nothing open is meant: that it was answered already, or that nobody asks.
fn not_asked(
    runs: &[&Run],
    target: &str,
    name: Option<&str>,
    is_meant: &dyn Fn(&Question) -> bool,
) -> Failure {
    let all = runs.iter().flat_map(|run| run.kept.asks.values());
    let answered =
        all.filter(|question| name.is_some() && is_meant(question)).find_map(|question| {
            let (answer, by) = question.answer.as_ref()?;
            Some(format!("`{}` was answered already: {answer}, by {by}", question.ask.id))
        });
    let message = match (answered, runs) {
        (Some(message), _) => message,
        (None, [run]) => {
            let last = run
                .kept
                .asks
                .values()
                .filter(|it| it.answer.is_some())
                .max_by_key(|it| it.answered);
            let last = last.and_then(|it| Some((it, it.answer.as_ref()?)));
            let told = last.map_or(String::new(), |(question, (answer, by))| {
                format!("; `{}` was answered already: {answer}, by {by}", question.ask.id)
            });
            let open: Vec<String> =
                run.open_questions().map(|it| format!("`{}`", it.ask.id)).collect();
            match name.filter(|_| !open.is_empty()) {
                Some(name) => format!("{} asks no `{name}`, but {}", run.id, open.join(", ")),
                None => {
                    format!("{} is {}, it does not wait for an answer{told}", run.id, run.state)
                }
            }
        }
        (None, _) => format!("no run asks anything called `{target}`"),
    };
    Failure::new(FailureKind::Usage, message).hint("`muxvisor show RUN` lists what it asks")
}
