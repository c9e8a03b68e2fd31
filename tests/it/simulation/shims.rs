//! The fake shims and their agents. They know nothing of the daemon and outlive it; what they leave
//! behind is the truth about an attempt.

use std::collections::BTreeMap;

use muxvisor::model::{AttemptId, Ending, Exit, Moment, Order, Report, StopStep};

use super::plans::Deed;
use crate::props;

/// One shim with its agent.
pub(super) struct Shim {
    pub(super) order: Order,
    pub(super) deed: Deed,
    /// When the agent's start was written down.
    pub(super) started: Option<Moment>,
    /// Whether the agent lives, which it may do without its shim.
    pub(super) agent_lives: bool,
    /// Whether somebody told it to stop its agent.
    pub(super) told: bool,
    /// What is left of it; without a record when it was killed.
    pub(super) over: Option<Ending>,
    /// What its agent said about itself.
    pub(super) said: Report,
}

impl Shim {
    /// Whether it was killed and so left no record.
    pub(super) fn was_killed(&self) -> bool {
        self.over.as_ref().is_some_and(|ending| ending.exit.is_none())
    }

    /// Whether its agent ended by itself with a result that counts.
    pub(super) fn succeeded(&self) -> bool {
        let exit = self.over.as_ref().and_then(|ending| ending.exit.as_ref());
        let natural = self.deed.ending.exit.as_ref();
        let by_itself = exit.is_some_and(|exit| exit.stop.is_empty()) && natural == exit;
        by_itself && exit.is_some_and(|exit| exit.code == Some(0) && exit.exec_failure.is_none())
    }
}

#[derive(Default)]
pub(super) struct Shims {
    all: BTreeMap<AttemptId, Shim>,
}

impl Shims {
    pub(super) fn get(&self, id: &AttemptId) -> Option<&Shim> {
        self.all.get(id)
    }

    /// A shim that lives.
    pub(super) fn living(&mut self, id: &AttemptId) -> Option<&mut Shim> {
        self.all.get_mut(id).filter(|shim| shim.over.is_none())
    }

    /// Starts a shim in the directory of an attempt. False when it finds another one there, or
    /// finds that the agent was started before: then it touches nothing and ends.
    pub(super) fn launch(&mut self, order: &Order, deed: Deed) -> bool {
        let taken =
            |shim: &Shim| shim.over.is_none() || shim.started.is_some() || !shim.was_killed();
        if self.all.get(&order.attempt).is_some_and(taken) {
            return false;
        }
        let (order, id) = (order.clone(), order.attempt.clone());
        let said = Report {
            attempt: id.to_string(),
            token: order.token.as_str().to_owned(),
            ..Report::default()
        };
        let shim =
            Shim { order, deed, started: None, agent_lives: false, told: false, over: None, said };
        self.all.insert(id, shim);
        true
    }

    /// Its agent runs. Never twice, and never beside another one of the same owner.
    pub(super) fn agent_starts(&mut self, id: &AttemptId, now: Moment) {
        let shim = self.all.get_mut(id).expect("it was launched");
        assert!(shim.started.is_none(), "the agent of {id} was started twice");
        (shim.started, shim.agent_lives) = (Some(now), true);
        let owner = shim.order.owner.clone();
        let beside = self.agents(|order| order.owner == owner);
        assert_eq!(beside, 1, "{owner:?} has {beside} living agents");
    }

    /// It ends: as it would by itself, or as it was told to.
    pub(super) fn ends(&mut self, id: &AttemptId, heeds: bool) {
        let Some(shim) = self.living(id) else { return };
        shim.agent_lives = false;
        let mut ending = shim.deed.ending.clone();
        if shim.told {
            let step = StopStep { step: "requested".to_owned(), at_ms: 0, alive: 1 };
            let natural = ending.exit.clone().filter(|_| !heeds);
            let exit = natural.unwrap_or_else(|| props::killed(15));
            ending.exit = Some(Exit { stop: vec![step], ..exit });
        }
        shim.over = Some(ending);
    }

    /// It is killed; its agent, if there is one, lives on without anybody holding it.
    pub(super) fn is_killed(&mut self, id: &AttemptId) -> bool {
        let Some(shim) = self.living(id) else { return false };
        shim.over = Some(props::ending(None, Some("half a result")));
        true
    }

    /// What is left of an agent without shim is ended.
    pub(super) fn fenced(&mut self, id: &AttemptId) {
        self.all.get_mut(id).expect("it was launched").agent_lives = false;
    }

    /// How many agents live whose orders are like that.
    pub(super) fn agents(&self, like: impl Fn(&Order) -> bool) -> usize {
        self.all.values().filter(|shim| shim.agent_lives && like(&shim.order)).count()
    }
}
