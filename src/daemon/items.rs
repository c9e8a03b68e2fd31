//! Work items: tasks as those see them who look after the work.

use crate::control::{Failure, FailureKind, ItemsAsk, Reply, Responder};

use super::engine::Engine;
use super::inside::Speaker;

impl Engine {
    pub(super) fn items(&mut self, _ask: ItemsAsk, responder: Responder) {
        responder.reply(Failure::new(FailureKind::Internal, "not built"));
    }

    pub(super) fn hook(&self, _speaker: &Speaker, _word: &str) -> Result<Reply, Failure> {
        Err(Failure::new(FailureKind::Internal, "not built"))
    }
}
