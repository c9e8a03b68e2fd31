//! A person who steers the run: answers what it asks, pauses it, goes on with it, emits what it
//! waits for, and has work done again when it is over (features E10-E12, K10-K12, C17).

use muxvisor::daemon::Input;
use muxvisor::model::ask::{ACCEPT, APPROVE, CONTINUE, PLAN, REJECT, RETRY};
use muxvisor::model::{AskKind, RunState};
use muxvisor::plan::Origin;
use muxvisor::workflow::{Event, Run, Workflow, edit, what_again};
use serde_json::json;

use super::chance::Chance;
use super::world::{Happening, World, run_id};

impl World {
    /// Looks at the run and does something about it, then comes again.
    pub(super) fn person_looks(&mut self) {
        let written = self.ledger.runs.contains_key(&run_id());
        let over = written && self.ledger.live_runs().next().is_none();
        // What was decided a moment ago may not be written yet.
        let over = over && (self.core.is_none() || self.is_settled());
        if over && (self.meddles.retries == 0 || self.closes || self.cancels) {
            return;
        }
        let after = self.chance.within(500, 12_000);
        self.at(after, Happening::PersonLooks);
        if self.core.is_none() || self.stuck || self.closing || !written {
            return;
        }
        let event = match self.core().workflow.run(&run_id()).cloned() {
            Some(run) if !run.state.is_end() => self.steered(&run),
            Some(_) => None,
            None if over => self.taken_up(),
            None => None,
        };
        if let Some(event) = event {
            self.decide(Input::Workflow(event));
            self.settle();
        }
    }

    /// What a person does about a run that goes on.
    fn steered(&mut self, run: &Run) -> Option<Event> {
        let id = run_id();
        let asked = run.open_questions().find(|question| question.ask.id != PLAN);
        if let Some(question) = asked {
            let (ask, kind) = (question.ask.id.clone(), question.ask.kind);
            if kind == AskKind::Failures
                && let Some(edited) = self.edited(run)
            {
                return Some(edited);
            }
            let yes = Chance::of(self.seed, ask.as_str()).percent(80);
            let answer = match kind {
                AskKind::Failures if self.meddles.decisions > 0 => {
                    self.meddles.decisions -= 1;
                    RETRY
                }
                AskKind::Failures => ACCEPT,
                // Always the same in one seed, so that crashes change nothing.
                AskKind::Budget => {
                    if yes {
                        CONTINUE
                    } else {
                        ACCEPT
                    }
                }
                AskKind::Approve | AskKind::Phase | AskKind::Tie | AskKind::Action => {
                    if yes {
                        APPROVE
                    } else {
                        REJECT
                    }
                }
            };
            let (answer, by) = (answer.to_owned(), "person".to_owned());
            return Some(Event::Answered { run: id, ask, answer, by });
        }
        if run.state == RunState::Paused {
            return self.edited(run).or(Some(Event::ResumeAsked { run: id }));
        }
        let awaited = run.plan.tasks.iter().find_map(|plan| run.awaited_event(&plan.id));
        if let Some(name) = awaited {
            // The same data as everybody's, so that it does not matter whose came first.
            let data = json!({ "n": 1 });
            return Some(Event::Emitted { name, data, dedup: None, by: None });
        }
        if self.meddles.emits > 0 && self.chance.percent(30) {
            self.meddles.emits -= 1;
            let data = json!({ "n": self.chance.within(0, 1) });
            let (key, name) = (self.chance.within(0, 1), "e0".to_owned());
            let dedup = self.chance.percent(50).then(|| format!("key-{key}"));
            return Some(Event::Emitted { name, data, dedup, by: None });
        }
        if run.state == RunState::Running && self.meddles.pauses > 0 && self.chance.percent(60) {
            self.meddles.pauses -= 1;
            let stop = self.chance.percent(50);
            return Some(Event::PauseAsked { run: id, stop });
        }
        None
    }

    /// What a person edits in a run that is paused or over.
    fn edited(&mut self, run: &Run) -> Option<Event> {
        if self.meddles.edits == 0 || self.chance.percent(40) {
            return None;
        }
        self.meddles.edits -= 1;
        self.planned.draft.edit(&mut self.chance);
        let plan = self.planned.draft.plan(&self.written);
        let edit = edit(run, plan).ok()?;
        let text = self.planned.draft.text();
        Some(Event::Adjusted { run: run_id(), text, edit: Box::new(edit) })
    }

    /// What a person has done again in a run that is over.
    fn taken_up(&mut self) -> Option<Event> {
        self.meddles.retries -= 1;
        let facts = &self.ledger.runs[&run_id()];
        let run = Workflow::replay(&run_id(), facts).expect("its facts fit");
        if let Some(event) = self.edited(&run) {
            self.core().workflow.adopt(run);
            return Some(event);
        }
        let downstream = self.chance.percent(30);
        // A hook that a person names looks once more.
        let named =
            run.plan.tasks.iter().filter(|task| !matches!(task.origin, Some(Origin::Hook { .. })));
        let any = *self.chance.pick(&named.collect::<Vec<_>>());
        let named = self.chance.percent(40).then(|| any.id.to_string());
        let tasks = what_again(&run, named.as_deref(), downstream).ok()?;
        self.core().workflow.adopt(run);
        Some(Event::AgainAsked { run: run_id(), tasks })
    }
}
