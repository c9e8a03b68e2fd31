//! What runs, tasks and events owe each other: a run inside of a task and its task end together, an
//! event is taken once and has consequences then, a worker has a lead and no workers, a message has
//! one number, an edit takes no result away that it does not concern.

use std::collections::{BTreeMap, BTreeSet};

use muxvisor::model::{
    Fact, Message, Owner, Parent, RunFact, RunId, RunOutcome, Signal, Submission, TaskId,
};
use muxvisor::plan::{Origin, Plan, Task, Work};
use serde_json::Value;

/// How tasks ended.
pub(super) type Ends = BTreeMap<(RunId, TaskId), &'static str>;

/// What is known of runs by their facts.
#[derive(Default)]
pub(super) struct Bonds {
    /// The plans as they hold now, with workers.
    pub(super) plans: BTreeMap<RunId, Plan>,
    /// The events that are kept, and those whose keys are remembered.
    pub(super) signals: BTreeMap<u64, Signal>,
    pub(super) outcomes: BTreeMap<RunId, RunOutcome>,
    parents: BTreeMap<RunId, Parent>,
    /// The run that a task waits for.
    children: BTreeMap<(RunId, TaskId), RunId>,
    wishes: BTreeSet<(RunId, String)>,
    sent: BTreeMap<RunId, u64>,
    said: BTreeSet<(RunId, TaskId, String)>,
    /// The runs whose plans were edited.
    adjusted: BTreeSet<RunId>,
    /// The run whose plan was just edited, and what that may have done again.
    edited: Option<(RunId, BTreeSet<TaskId>)>,
    batch: Batch,
}

/// What one commit holds.
#[derive(Default)]
struct Batch {
    emitted: Vec<String>,
    /// By tasks of kind `emit`.
    by_tasks: Vec<String>,
    taken: Vec<String>,
    /// Tasks of kind `wait` that went on.
    released: Vec<String>,
    /// Who started which plan by an event.
    triggered: Vec<(RunId, String)>,
    noted: Vec<String>,
    over: Vec<RunId>,
}

impl Bonds {
    pub(super) fn task(&self, run: &RunId, task: &TaskId) -> Option<&Task> {
        self.plans.get(run)?.task(task)
    }

    pub(super) fn parent(&self, run: &RunId) -> Option<&Parent> {
        self.parents.get(run)
    }

    /// Whether a task is a worker of a run whose plan was edited.
    pub(super) fn is_rehired(&self, owner: &Owner) -> bool {
        let Owner::Task { run, task } = owner else { return false };
        let worker = self.task(run, task).is_some_and(|task| task.worker_of().is_some());
        worker && self.adjusted.contains(run)
    }

    /// All workers: of which run and lead, and which.
    pub(super) fn workers(&self) -> impl Iterator<Item = (&RunId, &TaskId, &TaskId)> {
        self.plans.iter().flat_map(|(run, plan)| {
            let workers = plan.tasks.iter();
            workers.filter_map(move |task| Some((run, task.worker_of()?, &task.id)))
        })
    }

    /// The leads of a run that have had a worker.
    pub(super) fn is_leading(&self, run: &RunId, task: &TaskId) -> bool {
        self.plans.get(run).is_some_and(|plan| workers(plan, task).next().is_some())
    }

    /// Whether a hook that blocks has failed.
    pub(super) fn was_turned_down(&self, run: &RunId, task: &TaskId, ends: &Ends) -> bool {
        let failed = |id: &TaskId| ends.get(&(run.clone(), id.clone())) == Some(&"failed");
        let hooks = |it: &&Task| matches!(&it.origin, Some(Origin::Hook { of, blocks: true, .. }) if of == task);
        self.plans
            .get(run)
            .is_some_and(|plan| plan.tasks.iter().filter(hooks).any(|it| failed(&it.id)))
    }

    pub(super) fn fact(&mut self, fact: &Fact) {
        if let Fact::Emitted(signal) = fact {
            self.batch.emitted.push(signal.name.clone());
            let other = self.signals.insert(signal.number, signal.clone());
            assert_eq!(other, None, "two events have one number");
        }
        if let Fact::SignalTaken { number } = fact {
            let signal = self.signals.remove(number).filter(|signal| !signal.taken);
            let signal = signal.unwrap_or_else(|| panic!("event {number} is taken twice"));
            self.batch.taken.push(signal.name.clone());
            if signal.dedup.is_some() {
                self.signals.insert(*number, Signal { taken: true, ..signal });
            }
        }
        if let Fact::Noted { text, .. } = fact
            && let Some(rest) = text.strip_prefix("the event `")
        {
            self.batch.noted.push(rest.split('`').next().unwrap_or_default().to_owned());
        }
    }

    /// Before the fact counts.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the facts that bind")]
    pub(super) fn run(&mut self, run: &RunId, fact: &RunFact, ends: &mut Ends) {
        if !matches!(fact, RunFact::TaskReset { .. } | RunFact::Asked(_)) {
            self.edited = None;
        }
        match fact {
            RunFact::Submitted(submission) => self.submitted(run, submission),
            RunFact::TaskSpawned { lead, definition } => self.spawned(run, lead, definition, ends),
            RunFact::TaskWaiting { task, run: Some(child) } => {
                let is_plan =
                    self.task(run, task).is_some_and(|it| matches!(it.work, Work::Plan(_)));
                assert!(is_plan, "{task} waits for {child} and is no plan");
                let before = self.children.insert((run.clone(), task.clone()), child.clone());
                let over = before.as_ref().is_none_or(|before| self.outcomes.contains_key(before));
                assert!(over, "{task} waits for {child} beside {before:?}");
                self.there_is_room(run);
            }
            RunFact::TaskSucceeded { task, attempt: None, .. } => self.done(run, task),
            RunFact::Messaged(message) => self.messaged(run, message),
            RunFact::Adjusted { plan, .. } => self.adjusted(run, plan, ends),
            RunFact::TaskReset { task } => {
                if let Some((of, may)) = &self.edited
                    && of == run
                {
                    assert!(may.contains(task), "{task} has nothing to do with the edit");
                }
            }
            RunFact::Reopened => drop(self.outcomes.remove(run)),
            RunFact::Ended { outcome, .. } => {
                for ((of, task), child) in &self.children {
                    let over = of != run || self.outcomes.contains_key(child);
                    assert!(over, "{run} is over, and {child} of its task {task} is not");
                }
                self.outcomes.insert(run.clone(), *outcome);
                self.batch.over.push(run.clone());
            }
            _ => {}
        }
    }

    /// No more inner runs live than the plan says; an edit may say less than there are.
    fn there_is_room(&self, run: &RunId) {
        let lives = |child: &RunId| !self.outcomes.contains_key(child);
        let live = self.children.iter().filter(|((of, _), child)| of == run && lives(child));
        let most = self.plans[run].max_parallel as usize;
        let fits = live.count() <= most || self.adjusted.contains(run);
        assert!(fits, "more than {most} inner runs of {run} live");
    }

    fn submitted(&mut self, run: &RunId, submission: &Submission) {
        let plan: Plan = serde_json::from_value(submission.plan.clone()).expect("a plan");
        self.plans.insert(run.clone(), plan);
        let Some(parent) = &submission.parent else { return };
        assert!(parent.depth <= 8, "{run} is the {}th of a chain", parent.depth);
        if parent.task.is_none() {
            // It may have ended in the same turn.
            let over = self.outcomes.contains_key(&parent.run);
            assert!(!over || self.batch.over.contains(&parent.run), "{} is over", parent.run);
            self.batch.triggered.push((parent.run.clone(), submission.name.clone()));
        }
        self.parents.insert(run.clone(), parent.clone());
    }

    fn spawned(&mut self, run: &RunId, lead: &TaskId, definition: &Value, ends: &Ends) {
        let worker: Task = serde_json::from_value(definition.clone()).expect("a task");
        let plan = self.plans.get_mut(run).expect("it was submitted");
        let leader = plan.task(lead).expect("a lead");
        assert_eq!(leader.worker_of(), None, "{lead} is a worker and has workers");
        assert_eq!(worker.worker_of(), Some(lead), "of another lead");
        assert!(worker.lead.is_none() && worker.messages.is_empty(), "{} may too much", worker.id);
        let most = leader.lead.as_ref().expect("it is a lead").max_workers as usize;
        let had = workers(plan, lead).count();
        assert!(had < most, "{lead} had {had} workers of {most}");
        assert_eq!(ends.get(&(run.clone(), lead.clone())), None, "{lead} is over");
        if let Some(key) = definition["wish"].as_str() {
            assert!(self.wishes.insert((run.clone(), key.to_owned())), "{key} is granted twice");
        }
        assert!(plan.task(&worker.id).is_none(), "there are two of {}", worker.id);
        plan.tasks.push(worker);
    }

    fn done(&mut self, run: &RunId, task: &TaskId) {
        let Some(plan) = self.task(run, task) else { return };
        match &plan.work {
            Work::Plan(_) => {
                let child = self.children.get(&(run.clone(), task.clone()));
                let outcome = child.and_then(|child| self.outcomes.get(child));
                let good = matches!(outcome, Some(RunOutcome::Completed | RunOutcome::Partial));
                assert!(good, "{task} succeeded, and its run {child:?} is {outcome:?}");
            }
            Work::Emit { event, .. } => self.batch.by_tasks.push(event.written()),
            Work::Wait { event, .. } => self.batch.released.push(event.written()),
            Work::Agent { .. } | Work::Command { .. } | Work::Reduce(_) | Work::Approve { .. } => {}
        }
    }

    fn messaged(&mut self, run: &RunId, message: &Message) {
        let last = self.sent.entry(run.clone()).or_default();
        assert_eq!(message.number, *last + 1, "messages are numbered");
        *last = message.number;
        let key = (run.clone(), message.from.clone(), message.key.clone());
        assert!(self.said.insert(key), "{message:?} is said twice");
        let granted =
            self.task(run, &message.from).is_some_and(|it| it.messages.contains(&message.to));
        assert!(granted, "{message:?} was not granted");
    }

    /// What an edit concerns: what it changes or adds, what did not succeed, what needs any of
    /// that, and hooks of all that.
    fn adjusted(&mut self, run: &RunId, plan: &Value, ends: &mut Ends) {
        let plan: Plan = serde_json::from_value(plan.clone()).expect("a plan");
        let old = &self.plans[run];
        let done = |task: &TaskId| ends.get(&(run.clone(), task.clone())) == Some(&"success");
        let touched = |task: &&Task| old.task(&task.id) != Some(*task) || !done(&task.id);
        let mut may: BTreeSet<TaskId> =
            plan.tasks.iter().filter(touched).map(|task| task.id.clone()).collect();
        loop {
            let reads = |task: &Task| match &task.origin {
                Some(Origin::Hook { of, .. }) => may.contains(of),
                _ => task.needs.iter().any(|need| may.contains(&need.task)),
            };
            let more = plan.tasks.iter().find(|task| !may.contains(&task.id) && reads(task));
            let Some(more) = more.map(|task| task.id.clone()) else { break };
            may.insert(more);
        }
        ends.retain(|(of, task), _| of != run || plan.task(task).is_some());
        self.edited = Some((run.clone(), may));
        self.adjusted.insert(run.clone());
        self.plans.insert(run.clone(), plan);
    }

    /// A commit is whole.
    pub(super) fn committed(&mut self, ends: &Ends) {
        let batch = std::mem::take(&mut self.batch);
        self.edited = None;
        let count = |list: &[String], name: &String| list.iter().filter(|it| *it == name).count();
        for name in &batch.taken {
            let starts = batch.triggered.iter().any(|(run, plan)| self.starts(run, name, plan) > 0);
            let has = starts || batch.released.contains(name) || batch.noted.contains(name);
            assert!(has, "the event {name} is gone and nothing follows");
        }
        for name in &batch.released {
            assert!(batch.taken.contains(name), "nobody emitted {name}");
        }
        for (run, plan) in &batch.triggered {
            let started = batch.triggered.iter().filter(|it| **it == (run.clone(), plan.clone()));
            let most: usize = batch.taken.iter().map(|name| self.starts(run, name, plan)).sum();
            assert!(started.count() <= most, "{plan} is started more often than {run} says");
        }
        for name in &batch.by_tasks {
            let (done, emitted) = (count(&batch.by_tasks, name), count(&batch.emitted, name));
            assert!(done <= emitted, "{done} tasks emitted {name}, and {emitted} came");
        }
        for child in &batch.over {
            let Some(Parent { run, task: Some(task), .. }) = self.parents.get(child) else {
                continue;
            };
            let place = (run.clone(), task.clone());
            let waits = self.children.get(&place) == Some(child) && self.task(run, task).is_some();
            let over = ends.contains_key(&place) || !self.outcomes.contains_key(child);
            assert!(!waits || over, "{child} is over, and {task} of {run} is not");
        }
    }

    /// How many triggers of a run start that plan by that event.
    fn starts(&self, run: &RunId, event: &str, plan: &str) -> usize {
        let Some(of) = self.plans.get(run) else { return 0 };
        let fits =
            |on: &&muxvisor::plan::Trigger| on.event == event && on.start.plan["name"] == plan;
        of.on.iter().filter(fits).count()
    }
}

fn workers<'a>(plan: &'a Plan, lead: &'a TaskId) -> impl Iterator<Item = &'a Task> {
    plan.tasks.iter().filter(move |task| task.worker_of() == Some(lead))
}
