//! Budgets of runs and tasks (research 5.2, feature K7): looked at before anything is started. What
//! runs is not stopped for money; what is used up is told, or asked about, or ends the rest. Whoever
//! says that a run goes on allows it as much again, counted from what was used by then.

use crate::model::ask::{ACCEPT, CONTINUE};
use crate::model::pause::BUDGET;
use crate::model::{
    Ask, AskKind, Fact, Moment, Outcome, RunFact, RunId, RunState, SkipReason, Spent, TaskError,
    TaskId, TaskState,
};
use crate::plan::{Budget, OnExceed};

use super::{Action, Run, Task, Workflow};

/// A budget that is used up.
struct Exceeded {
    /// The task whose it is; the run's otherwise.
    task: Option<TaskId>,
    then: OnExceed,
    /// What was used, and of how much.
    told: String,
}

impl Workflow {
    /// Looks at the budgets of all runs that have something to start.
    pub(super) fn look_at_budgets(&mut self, now: Moment, out: &mut Vec<Action>) {
        let ids: Vec<RunId> = self.runs.keys().cloned().collect();
        for id in ids {
            if self.runs[&id].goes_on_after_budget() {
                let fact = RunFact::Moved { state: RunState::Running, why: None };
                self.record(now, &id, fact, out);
            }
            for exceeded in self.runs[&id].exceeded() {
                // One before it may have paused or ended the run.
                if self.runs[&id].takes_work() {
                    self.budget_is_used_up(now, &id, exceeded, out);
                }
            }
        }
    }

    fn budget_is_used_up(
        &mut self,
        now: Moment,
        id: &RunId,
        exceeded: Exceeded,
        out: &mut Vec<Action>,
    ) {
        let Exceeded { task, then, told } = exceeded;
        match then {
            OnExceed::Pause => self.ask_about_budget(now, id, task, told, out),
            OnExceed::Warn => {
                if self.warned.insert((id.clone(), task)) {
                    let text = format!("{told}; work goes on");
                    out.push(Action::Record(Fact::Noted { about: id.to_string(), text }));
                }
            }
            OnExceed::Stop => match task {
                Some(task) => {
                    let error = refused(&self.runs[id], &task, &told);
                    self.fail_before_start(now, id, task, error, out);
                }
                None => self.leave_out_the_rest(now, id, &told, out),
            },
        }
    }

    fn ask_about_budget(
        &mut self,
        now: Moment,
        id: &RunId,
        task: Option<TaskId>,
        told: String,
        out: &mut Vec<Action>,
    ) {
        let n = self.runs[id].budget_asks(task.as_ref()).count() + 1;
        let name = match &task {
            Some(task) => format!("budget:{task}-{n}"),
            None => format!("budget-{n}"),
        };
        let question = format!(
            "{told}. Go on with as much again (`{CONTINUE}`), or end with what there is \
             (`{ACCEPT}`)?"
        );
        let ask = Ask {
            id: name,
            kind: AskKind::Budget,
            task,
            question,
            answers: vec![CONTINUE.to_owned(), ACCEPT.to_owned()],
            expires: None,
            on_expire: None,
        };
        self.record(now, id, RunFact::Asked(ask), out);
        let why = Some(BUDGET.to_owned());
        self.record(now, id, RunFact::Moved { state: RunState::Paused, why }, out);
    }

    /// Answers what is asked about budgets as a person does who has the run go on.
    pub(super) fn lift_budgets(&mut self, now: Moment, id: &RunId, out: &mut Vec<Action>) {
        let open = self.runs[id].open_questions().filter(|it| it.ask.kind == AskKind::Budget);
        let open: Vec<String> = open.map(|it| it.ask.id.clone()).collect();
        for ask in open {
            let (answer, by) = (CONTINUE.to_owned(), "person".to_owned());
            self.record(now, id, RunFact::Answered { ask, answer, by }, out);
        }
    }

    /// What has not begun will not be done; what runs may end.
    fn leave_out_the_rest(&mut self, now: Moment, id: &RunId, told: &str, out: &mut Vec<Action>) {
        let text = format!("{told}; what has not begun is left out");
        out.push(Action::Record(Fact::Noted { about: id.to_string(), text }));
        let open = self.runs[id].tasks.iter().filter(|(_, task)| {
            matches!(task.state, TaskState::Blocked | TaskState::Queued | TaskState::RetryWait)
        });
        let open: Vec<TaskId> = open.map(|(task, _)| task.clone()).collect();
        for task in open {
            let reason = SkipReason::Stopped;
            self.record(now, id, RunFact::TaskSkipped { task, reason }, out);
        }
    }
}

impl Run {
    /// Whether it was paused for a budget, and nobody has to say any more whether it goes on.
    fn goes_on_after_budget(&self) -> bool {
        self.state == RunState::Paused
            && self.why.as_deref() == Some(BUDGET)
            && !self.open_questions().any(|it| it.ask.kind == AskKind::Budget)
    }

    /// What the budget said that ended the run before its time; none when it was not that.
    pub(super) fn ended_by_budget(&self) -> Option<String> {
        let budget = self.plan.budget.as_ref().filter(|it| it.on_exceed == OnExceed::Stop)?;
        let left_out = |task: &Task| task.skip == Some(SkipReason::Stopped);
        self.tasks().find(|(_, task)| left_out(task))?;
        let told = self.judge(budget, &self.kept.total(), None, self.used_up())?.told;
        Some(format!("{told}; what had not begun was left out"))
    }

    fn used_up(&self) -> String {
        format!("the run has used up its budget{}", self.allowance(None))
    }

    /// The budgets that are used up and hold up something that could start.
    fn exceeded(&self) -> Vec<Exceeded> {
        let mut found = Vec::new();
        if !self.takes_work() {
            return found;
        }
        let waits = || self.census.in_state(TaskState::Queued).next().is_some();
        if let Some(budget) = self.plan.budget.as_ref().filter(|_| waits()) {
            found.extend(self.judge(budget, &self.kept.total(), None, self.used_up()));
        }
        // What has not begun has used nothing.
        let own = self.census.with_budget().filter_map(|at| self.at(at));
        let waits = |task: &Task| task.state == TaskState::Queued && task.n > 0;
        for (plan, _) in own.filter(|(_, task)| waits(task)) {
            let Some(budget) = &plan.budget else { continue };
            let used = self.kept.of_task(&plan.id);
            let own = Some(&plan.id);
            let what = format!("task `{}` has used up its budget{}", plan.id, self.allowance(own));
            found.extend(self.judge(budget, &used, own, what));
        }
        found
    }

    fn judge(
        &self,
        budget: &Budget,
        used: &Spent,
        task: Option<&TaskId>,
        what: String,
    ) -> Option<Exceeded> {
        // Each time a person said that it goes on, it goes on for as much again from there.
        let before = self.kept.lifted.get(&task.cloned());
        let (tokens, cost) =
            before.map_or((0, 0), |spent| (spent.tokens(), spent.cost_microusd.unwrap_or(0)));
        let over_tokens = budget.tokens.map(|most| most.saturating_add(tokens));
        let over_tokens = over_tokens
            .filter(|most| used.tokens() >= *most)
            .map(|most| format!("{} of {most} tokens", used.tokens()));
        #[expect(clippy::cast_precision_loss, reason = "amounts of money that people have")]
        let over_cost = budget.cost_usd.zip(used.cost_microusd).and_then(|(most, used)| {
            let (used, most) = (used as f64 / 1e6, most + cost as f64 / 1e6);
            // Less than a dollar is told in smaller parts, or 0.0123 of 0.01 would look the same.
            let digits = if most < 1.0 { 4 } else { 2 };
            (used >= most).then(|| format!("{used:.digits$} of {most:.digits$} dollars"))
        });
        let over: Vec<String> = over_tokens.into_iter().chain(over_cost).collect();
        // Who had it go on without an answer has answered.
        let asked = self.budget_asks(task).any(|it| it.answer.is_none());
        let told = format!("{what}: {}", over.join(", "));
        (!over.is_empty() && !asked).then(|| Exceeded {
            task: task.cloned(),
            then: budget.on_exceed,
            told,
        })
    }

    fn allowance(&self, task: Option<&TaskId>) -> &'static str {
        let lifted = self.kept.lifted.contains_key(&task.cloned());
        if lifted { ", and what was allowed on top" } else { "" }
    }

    fn budget_asks(&self, task: Option<&TaskId>) -> impl Iterator<Item = &super::Question> {
        let asks = self.kept.asks.values().filter(|it| it.ask.kind == AskKind::Budget);
        asks.filter(move |it| it.ask.task.as_ref() == task)
    }
}

/// Why a task that may not cost more is given up: how it failed last, and that.
fn refused(run: &Run, task: &TaskId, told: &str) -> TaskError {
    let last = run.task(task).and_then(|task| task.error.clone());
    match last {
        Some(last) => TaskError { message: format!("{}; {told}", last.message), ..last },
        None => TaskError::new(Outcome::Refused, told.to_owned()),
    }
}
