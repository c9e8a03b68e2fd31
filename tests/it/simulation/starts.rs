//! What may start: nothing in a pause, nothing once the breaker or a budget asks, nothing before
//! what it needs is over and looked at by its hooks, and no hook more often than there are results.

use std::collections::{BTreeMap, BTreeSet};

use muxvisor::model::ask::CONTINUE;
use muxvisor::model::{AskKind, AttemptId, Order, Owner, RunFact, RunId, RunState, TaskId};
use muxvisor::plan::{OnExceed, Origin, Plan};

use super::bonds::{Bonds, Ends};

/// What is counted for it.
#[derive(Default)]
pub(super) struct Starts {
    /// What each attempt used, in millionths of a dollar.
    pub(super) spent: BTreeMap<AttemptId, (RunId, u64)>,
    /// What a run had used when a person let it go on.
    lifted: BTreeMap<RunId, u64>,
    kinds: BTreeMap<(RunId, String), AskKind>,
    /// Open questions about failures.
    breaker: BTreeMap<RunId, BTreeSet<String>>,
    /// How often each task succeeded.
    successes: BTreeMap<(RunId, TaskId), u32>,
    /// The runs that a person has paused.
    paused: BTreeSet<RunId>,
}

impl Starts {
    /// Before the fact counts.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the facts that start, or keep from it")]
    pub(super) fn run(&mut self, run: &RunId, fact: &RunFact, bonds: &Bonds, ends: &Ends) {
        match fact {
            RunFact::TaskStarting { task, .. } => self.starting(run, task, bonds, ends),
            RunFact::TaskSucceeded { task, .. } => self.succeeded(run, task, bonds),
            RunFact::TaskSpent { attempt, spent, .. } => {
                let cost = spent.cost_microusd.unwrap_or(0);
                let before = self.spent.insert(attempt.clone(), (run.clone(), cost));
                assert_eq!(before, None, "{attempt} is paid twice");
            }
            RunFact::Asked(ask) => {
                self.kinds.insert((run.clone(), ask.id.clone()), ask.kind);
                if ask.kind == AskKind::Failures {
                    self.breaker.entry(run.clone()).or_default().insert(ask.id.clone());
                }
            }
            RunFact::Moved { state, why } => {
                let by_person = why.as_deref().is_some_and(|why| why.starts_with("user"));
                if *state == RunState::Paused && by_person {
                    self.paused.insert(run.clone());
                } else {
                    self.paused.remove(run);
                }
            }
            RunFact::Answered { ask, answer, .. } => {
                let kind = self.kinds.get(&(run.clone(), ask.clone()));
                if kind == Some(&AskKind::Budget) && answer == CONTINUE {
                    self.lifted.insert(run.clone(), self.used(run));
                }
                if let Some(open) = self.breaker.get_mut(run) {
                    open.remove(ask);
                }
            }
            _ => {}
        }
    }

    fn used(&self, run: &RunId) -> u64 {
        self.spent.values().filter(|(of, _)| of == run).map(|(_, cost)| cost).sum()
    }

    fn starting(&self, run: &RunId, task: &TaskId, bonds: &Bonds, ends: &Ends) {
        let plan = &bonds.plans[run];
        let asks = self.breaker.get(run).is_some_and(|open| !open.is_empty());
        assert!(!asks, "{task} is started after too many failures");
        let parent = bonds.parent(run).filter(|parent| parent.task.is_some());
        let paused = parent.is_some_and(|parent| self.paused.contains(&parent.run));
        assert!(!paused, "{task} is started while its run's parent is paused");
        self.money_is_left(run, task, plan);
        let definition = plan.task(task).expect("it is in the plan");
        let end = |task: &TaskId| ends.get(&(run.clone(), task.clone())).copied();
        if let Some(Origin::Hook { of, .. }) = &definition.origin {
            assert_eq!(end(of), Some("success"), "{task} looks at what is not there");
        }
        for need in &definition.needs {
            let how = end(&need.task);
            assert!(how.is_some(), "{task} is started before {} is over", need.task);
            let good = !need.hard || how == Some("success");
            assert!(good, "{task} needs {}, which is {how:?}", need.task);
            for (hook, of, blocks) in hooks(plan) {
                let own = definition.origin.is_some() || *of != need.task;
                assert!(own || end(hook).is_some(), "{task} is started before {hook} has looked");
                let passed =
                    own || !blocks || how != Some("success") || end(hook) != Some("failed");
                assert!(passed, "{task} reads what {hook} turned down");
            }
        }
    }

    /// Money that is used up starts nothing more before a person says so.
    fn money_is_left(&self, run: &RunId, task: &TaskId, plan: &Plan) {
        let Some(budget) = &plan.budget else { return };
        let Some(most) = budget.cost_usd.filter(|_| budget.on_exceed != OnExceed::Warn) else {
            return;
        };
        #[expect(clippy::cast_precision_loss, reason = "small amounts")]
        let used = (self.used(run) - self.lifted.get(run).copied().unwrap_or(0)) as f64 / 1e6;
        assert!(used < most + 1e-9, "{task} is started, and {used} of {most} are used");
    }

    /// What a task that had no success gave is shown to nobody.
    pub(super) fn intended(&self, order: &Order, bonds: &Bonds, ends: &Ends) {
        let Owner::Task { run, task } = &order.owner else { return };
        let Some(definition) = bonds.task(run, task) else { return };
        for need in &definition.needs {
            let how = ends.get(&(run.clone(), need.task.clone())).copied();
            let shown = order.prompt.as_ref();
            let shown = shown.is_some_and(|it| it.contains(&format!("{} by attempt", need.task)));
            assert!(how == Some("success") || !shown, "{task} reads {}, {how:?}", need.task);
        }
    }

    fn succeeded(&mut self, run: &RunId, task: &TaskId, bonds: &Bonds) {
        let place = |task: &TaskId| (run.clone(), task.clone());
        *self.successes.entry(place(task)).or_default() += 1;
        let origin = bonds.task(run, task).and_then(|task| task.origin.as_ref());
        if let Some(Origin::Hook { of, .. }) = origin {
            let count = |task| self.successes.get(&place(task)).copied().unwrap_or(0);
            assert!(count(task) <= count(of), "{task} looked twice at one result");
        }
    }
}

/// The hooks of a plan, each with its task, and whether it blocks.
fn hooks(plan: &Plan) -> impl Iterator<Item = (&TaskId, &TaskId, bool)> {
    plan.tasks.iter().filter_map(|task| match &task.origin {
        Some(Origin::Hook { of, blocks, .. }) => Some((&task.id, of, *blocks)),
        _ => None,
    })
}
