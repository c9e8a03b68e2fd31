//! Takes the result of earlier work instead of doing the same again (`cache`). A task whose turn
//! has come asks once whether a result is kept, before it is queued and without a slot; the answer
//! comes as an event. Only results that an attempt gave and that no hook turned down are kept.

use std::collections::{BTreeMap, BTreeSet};

use super::asking::Gate;
use super::settle::is_ready;
use super::{Action, Workflow, work_key};
use crate::model::{
    CacheAnswer, CacheFact, CacheFound, CacheQuestion, CacheSource, Moment, RunFact, RunId, TaskId,
    TaskState, WorkKey, ms,
};
use crate::plan::{self, Origin, OutputAs};

/// What is under way. Lost with the daemon; the next one asks once more.
#[derive(Clone, Debug, Default)]
pub(super) struct Lookups {
    /// Asked, and not answered.
    asked: BTreeSet<(RunId, TaskId)>,
    /// To be asked at the end of the turn.
    wanted: Vec<CacheQuestion>,
    /// Answered just now; what nobody wants any more is dropped at the end of the turn.
    answers: BTreeMap<(RunId, TaskId), CacheAnswer>,
}

impl Lookups {
    pub(super) fn hear(&mut self, answers: Vec<CacheAnswer>) {
        for answer in answers {
            let at = (answer.run.clone(), answer.task.clone());
            self.asked.remove(&at);
            self.answers.insert(at, answer);
        }
    }

    /// What is to be asked, all at once.
    pub(super) fn ask(&mut self) -> Option<Action> {
        self.answers.clear();
        let wanted = std::mem::take(&mut self.wanted);
        (!wanted.is_empty()).then_some(Action::LookUp(wanted))
    }
}

impl Workflow {
    /// Whether a task that could be queued is not: a kept result is taken, or it is not known yet
    /// whether there is one.
    pub(super) fn need_not_do(
        &mut self,
        now: Moment,
        id: &RunId,
        task: &TaskId,
        out: &mut Vec<Action>,
    ) -> bool {
        let run = &self.runs[id];
        let Some((plan, state)) = run.definition(task).zip(run.task(task)) else { return false };
        let Some(good_ms) = plan.cache_ms.filter(|_| state.looked.is_none()) else { return false };
        let at = (id.clone(), task.clone());
        if self.lookups.asked.contains(&at) {
            return true;
        }
        // What cannot be given to it is told when it is started.
        let Ok(work) = work_key::of(run, plan) else { return false };
        if state.anew {
            self.drop_result(now, id, task, &work.key, out);
            self.looked_up(now, id, task, (work, good_ms, CacheFound::Again), out);
            return false;
        }
        // An answer about other work is none: what it is given has changed meanwhile.
        let answer = self.lookups.answers.remove(&at).filter(|answer| answer.key == work.key);
        let Some(answer) = answer else {
            let plan = run.plan.name.clone();
            let (run, task) = at.clone();
            self.lookups.wanted.push(CacheQuestion { run, plan, task, work });
            self.lookups.asked.insert(at);
            return true;
        };
        let found = judge(now, good_ms, &work, &answer);
        let good = found.good().is_some();
        self.looked_up(now, id, task, (work, good_ms, found), out);
        if let Some(entry) = answer.entry.filter(|_| good) {
            let (task, output) = (task.clone(), entry.output);
            self.record(now, id, RunFact::TaskSucceeded { task, attempt: None, output }, out);
        }
        good
    }

    fn looked_up(
        &mut self,
        now: Moment,
        id: &RunId,
        task: &TaskId,
        (work, good_ms, found): (WorkKey, u64, CacheFound),
        out: &mut Vec<Action>,
    ) {
        let fact = CacheFact::LookedUp { work, good_ms, found };
        self.record(now, id, RunFact::TaskCache { task: task.clone(), fact }, out);
    }

    /// What is kept of some work is no longer taken.
    fn drop_result(
        &mut self,
        now: Moment,
        id: &RunId,
        task: &TaskId,
        key: &str,
        out: &mut Vec<Action>,
    ) {
        let fact = CacheFact::Dropped { key: key.to_owned() };
        self.record(now, id, RunFact::TaskCache { task: task.clone(), fact }, out);
    }

    /// Drops what is kept of the work of a task whose result a hook turned down.
    pub(super) fn drop_turned_down(
        &mut self,
        now: Moment,
        id: &RunId,
        task: &TaskId,
        out: &mut Vec<Action>,
    ) {
        let key = self.runs.get(id).and_then(|run| run.task(task)?.key.clone());
        if let Some(key) = key {
            self.drop_result(now, id, task, &key, out);
        }
    }

    /// Keeps the result of a task, once an attempt gave it and every hook that could turn it down
    /// has let it pass.
    pub(super) fn keep_result(
        &mut self,
        now: Moment,
        id: &RunId,
        task: &TaskId,
        out: &mut Vec<Action>,
    ) {
        if let Some(fact) = self.to_keep(id, task) {
            self.record(now, id, RunFact::TaskCache { task: task.clone(), fact }, out);
        }
    }

    fn to_keep(&self, id: &RunId, task: &TaskId) -> Option<CacheFact> {
        let run = self.runs.get(id)?;
        let (plan, state) = run.definition(task).zip(run.task(task))?;
        let (good_ms, key) = plan.cache_ms.zip(state.key.as_ref())?;
        let is_new = state.state == TaskState::Success && state.made && !state.kept;
        if !is_new || !run.has_passed(task) {
            return None;
        }
        // An edited plan may have had it do something else than what was looked for.
        let same = work_key::of(run, plan).is_ok_and(|work| work.key == *key);
        let source = CacheSource {
            run: id.clone(),
            attempt: state.attempt.clone()?,
            agent: state.agent.clone()?,
        };
        let (key, sha) = (key.clone(), state.output.as_ref()?.sha.clone());
        // A report names the log of its attempt.
        let bound = plan.output_as == OutputAs::Report;
        same.then_some(CacheFact::Kept { key, good_ms, source, sha, bound })
    }
}

impl super::Run {
    /// Whether a task that could be queued asks first whether a result is kept. It will go on by
    /// itself.
    pub(super) fn asks_for_kept(&self, plan: &plan::Task, task: &super::Task) -> bool {
        let may = plan.cache_ms.is_some() && plan.for_each.is_none() && task.looked.is_none();
        may && task.state == TaskState::Blocked
            && is_ready(self, plan)
            && matches!(self.gate(plan), Gate::Open)
    }

    /// Whether all hooks that could turn down the result of a task have let it pass.
    fn has_passed(&self, task: &TaskId) -> bool {
        let hooks = self.census.hooks_of(task).filter_map(|at| self.at(at));
        hooks.filter(|(plan, _)| blocks(plan)).all(|(_, hook)| hook.state == TaskState::Success)
    }
}

fn blocks(plan: &plan::Task) -> bool {
    matches!(plan.origin, Some(Origin::Hook { blocks: true, .. }))
}

/// What an answer means for work whose result is good for so long.
fn judge(now: Moment, good_ms: u64, work: &WorkKey, answer: &CacheAnswer) -> CacheFound {
    if let Some(why) = &answer.unread {
        return CacheFound::Unread { why: why.clone() };
    }
    if let Some(entry) = &answer.entry {
        let age_ms = ms(now.since(entry.at));
        let source = entry.source.clone();
        return match age_ms < good_ms {
            true => CacheFound::Good { source, age_ms },
            false => CacheFound::Old { run: source.run, age_ms, good_ms },
        };
    }
    match &answer.last {
        Some((since, before)) if before.key != work.key => {
            CacheFound::Changed { since: since.clone(), parts: work.changed_from(before) }
        }
        Some(_) | None => CacheFound::Nothing,
    }
}
