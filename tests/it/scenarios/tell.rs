//! Says in one line each what was decided: `+` a fact, `>` an effect, `=` an answer.

use std::collections::BTreeMap;

use muxvisor::daemon::{Effect, Turn};
use muxvisor::model::{
    AttemptFact, AttemptId, CacheFact, CacheFound, Fact, GroupRow, InstanceRow, Order, Owner,
    Parking, RunFact, TaskError,
};
use muxvisor::supervisor::Answer;

/// Knows what attempts are called.
#[derive(Default)]
pub(super) struct Teller {
    names: BTreeMap<AttemptId, String>,
}

impl Teller {
    pub(super) fn turn(&mut self, turn: &Turn) -> Vec<String> {
        turn.facts.iter().for_each(|fact| self.learn(fact));
        let mut said: Vec<String> = turn
            .facts
            .iter()
            .filter_map(|fact| self.fact(fact))
            .map(|s| "+ ".to_owned() + &s)
            .collect();
        said.extend(turn.effects.iter().map(|effect| "> ".to_owned() + &self.effect(effect)));
        let word = |answer: &Answer| match answer {
            Answer::Accepted => "accepted".to_owned(),
            Answer::AlreadySo => "already so".to_owned(),
            Answer::Denied(why) => format!("denied: {why}"),
        };
        said.extend(turn.answer.iter().map(|answer| format!("= {}", word(answer))));
        said.extend(turn.answers.iter().map(|(name, is)| format!("= {name}: {}", word(is))));
        said
    }

    fn learn(&mut self, fact: &Fact) {
        if let Fact::Attempt { attempt, fact: AttemptFact::Intended(order) } = fact {
            let owner = match &order.owner {
                Owner::Task { task, .. } => task.as_str(),
                Owner::Instance { name } => name,
            };
            self.names.insert(attempt.clone(), format!("{owner}#{}", order.n));
        }
    }

    fn name<'a>(&'a self, attempt: &'a AttemptId) -> &'a str {
        self.names.get(attempt).map_or(attempt.as_str(), String::as_str)
    }

    /// A fact; none for those that only repeat what others say.
    fn fact(&self, fact: &Fact) -> Option<String> {
        Some(match fact {
            Fact::Run { fact, .. } => return run_fact(fact),
            Fact::Attempt { attempt, fact } => {
                let name = self.name(attempt);
                match fact {
                    AttemptFact::Intended(order) => intended(name, order),
                    AttemptFact::Launched { .. } => format!("{name} launched"),
                    AttemptFact::Started { .. } => format!("{name} started"),
                    AttemptFact::Ready => format!("{name} ready"),
                    AttemptFact::Stopping { cause } => format!("{name} stopping ({cause})"),
                    AttemptFact::Ended(end) => {
                        format!("{name} ended: {} ({})", end.outcome, end.message)
                    }
                }
            }
            Fact::Instance(row) => instance(row),
            Fact::InstanceRemoved { name } => format!("{name} forgotten"),
            Fact::Group(row) => group(row),
            Fact::GroupRemoved { name } => format!("group {name} forgotten"),
            Fact::Parked(parking) => {
                let Parking { agent, until, why, .. } = parking;
                format!("{agent} parked until @{} ({why})", until.0)
            }
            Fact::Unparked { agent } => format!("{agent} no longer parked"),
            Fact::Emitted(signal) => format!("event {} emitted", signal.name),
            Fact::SignalTaken { number } => format!("event {number} taken"),
            Fact::Noted { about, text } => {
                format!("noted about {}: {text}", self.name(&AttemptId::new(about.as_str())))
            }
        })
    }

    fn effect(&self, effect: &Effect) -> String {
        match effect {
            Effect::Launch(order) => format!("launch {}", self.name(&order.attempt)),
            Effect::Stop(attempt) => format!("stop {}", self.name(attempt)),
            Effect::Kill(attempt) => format!("kill {}", self.name(attempt)),
            Effect::TypePrompt { attempt, .. } => {
                format!("type the prompt of {}", self.name(attempt))
            }
            Effect::Sample { attempt, ask, .. } => {
                format!("look at {} for probe `{}`", self.name(attempt), ask.probe)
            }
            Effect::Press { attempt, keys } => {
                format!("press {} for {}", keys.join(" "), self.name(attempt))
            }
            Effect::AskQuiet(attempt) => format!("ask how quiet {} is", self.name(attempt)),
            Effect::LookUp(asked) => {
                let tasks: Vec<&str> = asked.iter().map(|asked| asked.task.as_str()).collect();
                format!("look for kept results of {}", tasks.join(", "))
            }
            Effect::CloseWindow { window, .. } => format!("close the window {window}"),
        }
    }
}

fn intended(name: &str, order: &Order) -> String {
    format!("{name} intended: {} ({})", order.agent, order.reason)
}

fn run_fact(fact: &RunFact) -> Option<String> {
    let error = |error: &TaskError| format!("{} ({})", error.outcome, error.message);
    Some(match fact {
        RunFact::Submitted(submission) => format!("run {} submitted", submission.run),
        RunFact::Moved { state, .. } => format!("run {state}"),
        RunFact::CancelRequested => "run to be cancelled".to_owned(),
        RunFact::Ended { outcome, root_cause: None } => format!("run ended: {outcome}"),
        RunFact::Ended { outcome, root_cause: Some(cause) } => {
            format!("run ended: {outcome} because {cause}")
        }
        RunFact::TaskWaiting { task, .. } => format!("{task} waiting"),
        RunFact::TaskRequeued { task, .. } => format!("{task} requeued"),
        RunFact::TaskReset { task } => format!("{task} to be done again"),
        RunFact::TaskMapped { task, items } => format!("{task} has {} items", items.len()),
        RunFact::TaskSpawned { lead, definition } => {
            format!("{lead} asked for {}", definition["id"].as_str().unwrap_or("?"))
        }
        RunFact::TaskStalled { task, .. } => format!("{task} is late"),
        RunFact::TaskReported { task, report, .. } => {
            format!("{task} reported a {}: {}", report.kind, report.text)
        }
        RunFact::TaskSpent { task, spent, .. } => {
            format!("{task} used {} tokens", spent.tokens())
        }
        RunFact::TaskCache { task, fact } => match fact {
            CacheFact::LookedUp { found, .. } => format!("{task} cache: {}", found_in(found)),
            CacheFact::Kept { good_ms, .. } => format!("{task} kept for {good_ms}"),
            CacheFact::Dropped { .. } => format!("{task} cache: dropped"),
        },
        RunFact::Messaged(message) => format!("{} told {}", message.from, message.to),
        RunFact::Asked(ask) => format!("asked {}: {}", ask.id, ask.question),
        RunFact::Answered { ask, answer, by } => format!("{ask} answered {answer} by {by}"),
        RunFact::Adjusted { .. } => "plan adjusted".to_owned(),
        RunFact::Reopened => "run reopened".to_owned(),
        RunFact::TaskQueued { task } => format!("{task} queued"),
        // The attempt says the same.
        RunFact::TaskStarting { .. } | RunFact::TaskRunning { .. } => return None,
        RunFact::TaskSucceeded { task, output, .. } => format!("{task} success: {}", output.value),
        RunFact::TaskRetrying { task, error: why, not_before, reason, .. } => {
            format!("{task} again ({reason}) from @{} after {}", not_before.0, error(why))
        }
        RunFact::TaskFailed { task, error: why, .. } => format!("{task} failed: {}", error(why)),
        RunFact::TaskSkipped { task, reason } => format!("{task} skipped ({reason})"),
        RunFact::TaskCancelled { task, reason } => format!("{task} cancelled ({reason})"),
    })
}

fn found_in(found: &CacheFound) -> String {
    match found {
        CacheFound::Good { source, age_ms } => format!("{} of {}", age_ms, source.run),
        CacheFound::Old { age_ms, good_ms, .. } => format!("{age_ms} old, good for {good_ms}"),
        CacheFound::Changed { parts, .. } => format!("nothing, changed: {}", parts.join(", ")),
        CacheFound::Nothing => "nothing".to_owned(),
        CacheFound::Again => "not asked".to_owned(),
        CacheFound::Unread { why } => format!("unread ({why})"),
    }
}

fn group(row: &GroupRow) -> String {
    let failed = if row.failed { " failed" } else { "" };
    let next = match row.to_start.as_slice() {
        [] => String::new(),
        names => format!(" starts {}", names.join(", ")),
    };
    format!("group {}{failed}{next} [{}]: {}", row.name, row.starts.len(), row.why)
}

fn instance(row: &InstanceRow) -> String {
    let until = row.not_before.map(|at| format!(" until @{}", at.0)).unwrap_or_default();
    format!("{} {}{until}, wanted {}: {}", row.name, row.state, row.desired, row.why)
}
