//! What a run keeps beside the states of its tasks: questions and answers, what agents reported,
//! told each other and used.

use std::collections::BTreeMap;

use crate::model::ask::CONTINUE;
use crate::model::{Ask, AskKind, AttemptId, Message, Moment, RunFact, Spent, TaskId, WorkReport};

/// What was told about a run and asked.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// All questions by id, each with its answer and who gave it.
    pub asks: BTreeMap<String, Question>,
    /// What agents reported, by task, in order.
    pub reports: BTreeMap<TaskId, Vec<(AttemptId, WorkReport)>>,
    /// What agents told each other, in order.
    pub messages: Vec<Message>,
    /// What each attempt used, added up.
    pub spent: BTreeMap<AttemptId, (TaskId, Spent)>,
    /// The same by session of the program and model, for counters that go on over attempts.
    pub sessions: BTreeMap<(String, String), Spent>,
    /// What was used when a person last said that it goes on after a budget was used up: by the
    /// run, or by the task whose budget it was.
    pub lifted: BTreeMap<Option<TaskId>, Spent>,
    /// The workers that were asked for, by the key of the wish.
    pub wishes: BTreeMap<String, TaskId>,
    /// The attempts that were told to be late.
    pub stalled: BTreeMap<AttemptId, Moment>,
}

/// A question and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The question.
    pub ask: Ask,
    /// When it was asked.
    pub at: Moment,
    /// The answer, and who gave it.
    pub answer: Option<(String, String)>,
    /// When it was answered.
    pub answered: Option<Moment>,
}

impl Kept {
    /// The questions that nobody has answered, by id.
    pub fn open(&self) -> impl Iterator<Item = &Question> {
        self.asks.values().filter(|question| question.answer.is_none())
    }

    /// What the whole run used.
    pub fn total(&self) -> Spent {
        let mut total = Spent::default();
        self.spent.values().for_each(|(_, spent)| total.add(spent));
        total
    }

    /// What a task used, all attempts together.
    pub fn of_task(&self, task: &TaskId) -> Spent {
        let mut total = Spent::default();
        let own = self.spent.values().filter(|(of, _)| of == task);
        own.for_each(|(_, spent)| total.add(spent));
        total
    }

    /// A budget that a person lifts is counted from here on.
    fn lift(&mut self, (kind, task): (AskKind, Option<TaskId>), answer: &str) {
        if kind != AskKind::Budget || answer != CONTINUE {
            return;
        }
        let used = task.as_ref().map_or_else(|| self.total(), |task| self.of_task(task));
        self.lifted.insert(task, used);
    }

    /// Takes in a fact that moves no task.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the facts that move something")]
    pub(super) fn take(&mut self, at: Moment, fact: &RunFact) {
        match fact {
            RunFact::Asked(ask) => {
                let question = Question { ask: ask.clone(), at, answer: None, answered: None };
                self.asks.insert(ask.id.clone(), question);
            }
            RunFact::Answered { ask, answer, by } => {
                if let Some(question) = self.asks.get_mut(ask).filter(|it| it.answer.is_none()) {
                    question.answer = Some((answer.clone(), by.clone()));
                    question.answered = Some(at);
                    let about = (question.ask.kind, question.ask.task.clone());
                    self.lift(about, answer);
                }
            }
            RunFact::TaskReported { task, attempt, report } => {
                let reports = self.reports.entry(task.clone()).or_default();
                reports.push((attempt.clone(), report.clone()));
            }
            RunFact::Messaged(message) => self.messages.push(message.clone()),
            RunFact::TaskSpent { task, attempt, spent } => {
                let fresh = || (task.clone(), Spent::default());
                self.spent.entry(attempt.clone()).or_insert_with(fresh).1.add(spent);
                let session = (spent.session.clone(), spent.model.clone());
                let known = self.sessions.entry(session).or_default();
                known.add(spent);
                known.cost_reported |= spent.cost_reported;
            }
            RunFact::TaskStalled { attempt, .. } => {
                self.stalled.insert(attempt.clone(), at);
            }
            _ => {}
        }
    }
}
