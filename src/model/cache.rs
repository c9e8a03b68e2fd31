//! Results that are taken instead of doing the same work again: what a piece of work is, by
//! digests only, where its result was kept, and what was found when that was looked for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{AttemptId, Moment, Output, RunId, TaskId};

/// What a task is to do, as SHA-256 in hex. Nothing of the texts is kept, which may hold secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkKey {
    /// Of all parts together. With the same key it is the same work.
    pub key: String,
    /// Of each part, by the word that people know it by: `prompt`, `agent`, `model`, ….
    pub parts: BTreeMap<String, String>,
}

impl WorkKey {
    /// The key of these parts, each a word and its value.
    pub fn of<'a>(parts: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let digested = |(word, value): (&str, String)| (word.to_owned(), digest(&value));
        let parts: BTreeMap<String, String> = parts.into_iter().map(digested).collect();
        let lines = parts.iter().map(|(word, digest)| format!("{word} {digest}\n"));
        Self { key: digest(&lines.collect::<String>()), parts }
    }

    /// The words of the parts that are not the same.
    pub fn changed_from(&self, before: &Self) -> Vec<String> {
        let words = self.parts.keys().chain(before.parts.keys());
        let mut changed: Vec<String> = words
            .filter(|word| self.parts.get(*word) != before.parts.get(*word))
            .cloned()
            .collect();
        changed.sort();
        changed.dedup();
        changed
    }
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Which attempt a kept result is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheSource {
    /// Its run.
    pub run: RunId,
    /// Itself.
    pub attempt: AttemptId,
    /// Its agent, or `command`.
    pub agent: String,
}

/// A result that is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheEntry {
    /// Which attempt gave it.
    pub source: CacheSource,
    /// When it was kept.
    pub at: Moment,
    /// The result.
    pub output: Output,
}

/// The question whether the result of some work is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheQuestion {
    /// The run.
    pub run: RunId,
    /// The name of its plan.
    pub plan: String,
    /// The task that is to do it.
    pub task: TaskId,
    /// The work.
    pub work: WorkKey,
}

/// What there is.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheAnswer {
    /// The run that asked.
    pub run: RunId,
    /// The task that asked.
    pub task: TaskId,
    /// The key that was asked for.
    pub key: String,
    /// The result, if one is kept.
    pub entry: Option<CacheEntry>,
    /// What that task of the plan was to do the last time, and in which run.
    pub last: Option<(RunId, WorkKey)>,
    /// Why nobody knows, if that is so.
    pub unread: Option<String>,
}

impl CacheAnswer {
    /// That nothing is known.
    pub fn nothing(question: CacheQuestion, unread: Option<String>) -> Self {
        let CacheQuestion { run, plan: _, task, work } = question;
        Self { run, task, key: work.key, entry: None, last: None, unread }
    }
}

/// What was found when the result of some work was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheFound {
    /// One that is still good, and taken.
    Good {
        /// Which attempt gave it.
        source: CacheSource,
        /// How old it was then, in milliseconds.
        age_ms: u64,
    },
    /// One that is too old.
    Old {
        /// The run that it is of.
        run: RunId,
        /// How old it was then, in milliseconds.
        age_ms: u64,
        /// How old it may be.
        good_ms: u64,
    },
    /// None; the last time that task was to do something else.
    Changed {
        /// The run of the last time.
        since: RunId,
        /// The words of the parts that are others now.
        parts: Vec<String>,
    },
    /// None.
    Nothing,
    /// Nobody looked: a person wants it done again.
    Again,
    /// Nobody knows.
    Unread {
        /// Why.
        why: String,
    },
}

impl CacheFound {
    /// The attempt whose result is taken, and how old that was.
    pub const fn good(&self) -> Option<(&CacheSource, u64)> {
        match self {
            CacheFound::Good { source, age_ms } => Some((source, *age_ms)),
            CacheFound::Old { .. }
            | CacheFound::Changed { .. }
            | CacheFound::Nothing
            | CacheFound::Again
            | CacheFound::Unread { .. } => None,
        }
    }
}

/// Something about the kept result of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheFact {
    /// It was looked for before the first attempt.
    LookedUp {
        /// What is to be done.
        work: WorkKey,
        /// How long a result of it is good, in milliseconds.
        good_ms: u64,
        /// What was found.
        found: CacheFound,
    },
    /// The result of this attempt is kept from now on.
    Kept {
        /// The key of the work.
        key: String,
        /// How long it is good, in milliseconds.
        good_ms: u64,
        /// Which attempt gave it.
        source: CacheSource,
        /// SHA-256 of the result, which the ledger has.
        sha: String,
        /// Whether it names a file of that attempt, so that it goes with the run.
        bound: bool,
    },
    /// What is kept of that work is no longer to be taken.
    Dropped {
        /// The key of the work.
        key: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(parts: &[(&'static str, &str)]) -> WorkKey {
        WorkKey::of(parts.iter().map(|(word, value)| (*word, (*value).to_owned())))
    }

    /// The key is of words and values; their order is none, and no text of them is in it.
    #[test]
    fn the_same_parts_have_the_same_key() {
        let first = work(&[("prompt", "secret"), ("model", "m")]);
        assert_eq!(first, work(&[("model", "m"), ("prompt", "secret")]));
        assert_ne!(first.key, work(&[("model", "secret"), ("prompt", "m")]).key);
        assert_ne!(first.key, work(&[("model", "m")]).key);
        assert_eq!(first.key.len(), 64);
        assert!(!serde_json::to_string(&first).unwrap().contains("secret"));
    }

    #[test]
    fn what_changed_is_named() {
        let first = work(&[("prompt", "a"), ("model", "m"), ("agent", "x")]);
        let then = |parts: &[(&'static str, &str)]| work(parts).changed_from(&first).join(" ");
        assert_eq!(then(&[("prompt", "a"), ("model", "m"), ("agent", "x")]), "");
        assert_eq!(then(&[("prompt", "b"), ("model", "m"), ("agent", "x")]), "prompt");
        assert_eq!(
            then(&[("prompt", "b"), ("model", "m"), ("lessons", "l")]),
            "agent lessons prompt"
        );
    }
}
