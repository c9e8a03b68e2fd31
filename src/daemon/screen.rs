//! Looks at what an agent showed last, where a rule of it asks for that: its window keeps the
//! screen for a while after its end. Without a window the end of its log has to do.

use crate::failpoint;
use crate::model::{Ending, Order, Rule};
use crate::supervisor::Event;

use super::engine::Engine;
use super::{Incoming, Input};

impl Engine {
    /// Decides about an end, with its last screen where that matters.
    pub(super) fn over(&mut self, order: Order, mut ending: Box<Ending>) {
        let attempt = order.attempt.clone();
        let shown = order.windowed && order.terminal && self.asks_for_screen(&order);
        let Some(tmux) = self.tmux.clone().filter(|_| shown) else {
            return self.decide(Input::Supervisor(Event::Gone { attempt, ending }));
        };
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            let seen = failpoint::future("follow.see-screen", tmux.last_screen(&order.token)).await;
            match seen {
                Ok(Some(screen)) => ending.screen = screen,
                Ok(None) => {}
                Err(error) => tracing::warn!("the screen of {attempt} cannot be seen: {error}"),
            }
            inbox.put(Incoming::Supervisor(Event::Gone { attempt, ending }));
        });
    }

    /// Rules come with the order of a task; an instance follows its agent's configuration.
    fn asks_for_screen(&self, order: &Order) -> bool {
        let looks = |rules: &[Rule]| rules.iter().any(|rule| rule.screen.is_some());
        let agent = self.settings.config.agents.get(&order.agent);
        looks(&order.care.rules) || agent.is_some_and(|agent| looks(&agent.policy.care.rules))
    }
}
