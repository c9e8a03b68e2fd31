//! Finds out whether results of some work are kept, away from the loop. An answer always comes:
//! where nobody can know, the work is done.

use std::sync::Arc;

use crate::failpoint;
use crate::ledger::Reader;
use crate::model::{CacheAnswer, CacheQuestion};

use super::Incoming;
use super::engine::Engine;

impl Engine {
    pub(super) fn look_up(&self, questions: Vec<CacheQuestion>) {
        let (reader, inbox) = (Arc::clone(&self.reader), self.inbox.clone());
        tokio::spawn(async move {
            let asked = questions.clone();
            let looked = tokio::task::spawn_blocking(move || {
                failpoint::step("turn.look-up", || look_up(&reader, asked))
            });
            let answers = looked.await.unwrap_or_else(|panic| {
                let why = || Some(panic.to_string());
                questions.into_iter().map(|asked| CacheAnswer::nothing(asked, why())).collect()
            });
            inbox.put(Incoming::LookedUp(answers));
        });
    }
}

fn look_up(reader: &Reader, questions: Vec<CacheQuestion>) -> Vec<CacheAnswer> {
    let answer = |asked: CacheQuestion| {
        let found = reader.look_up(asked.clone());
        found.unwrap_or_else(|error| CacheAnswer::nothing(asked, Some(error.to_string())))
    };
    questions.into_iter().map(answer).collect()
}
