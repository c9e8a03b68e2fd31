//! Looks at what an agent showed last, where a rule of it asks for that or its last words stand
//! there: its window keeps the screen for a while after its end. Without a window the end of its
//! log has to do.

use tokio::task::spawn_blocking;

use crate::failpoint;
use crate::model::{Ending, Order, Rule};
use crate::supervisor::Event;
use crate::tmux::Tmux;

use super::engine::Engine;
use super::{Incoming, Input, ending};

impl Engine {
    /// Decides about an end, with its last screen where that matters: a rule asks for it, or the
    /// agent drew on it, so that its last words stand there and not in its log.
    pub(super) fn over(&mut self, order: Order, mut ending: Box<Ending>) {
        let attempt = order.attempt.clone();
        let Some(tmux) = self.tmux.clone().filter(|_| order.windowed && order.terminal) else {
            return self.decide(Input::Supervisor(Event::Gone { attempt, ending }));
        };
        let (inbox, asked) = (self.inbox.clone(), self.asks_for_screen(&order));
        tokio::spawn(async move {
            let log = ending.log.clone();
            let drawn = spawn_blocking(move || ending::is_drawn(&log)).await.unwrap_or(false);
            if asked || drawn {
                look(&tmux, &order, &mut ending, drawn).await;
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

/// Adds what its window still shows, if there is one.
async fn look(tmux: &Tmux, order: &Order, ending: &mut Ending, drawn: bool) {
    let seen = failpoint::future("follow.see-screen", tmux.last_screen(&order.token)).await;
    let screen = match seen {
        Ok(Some(screen)) => screen,
        Ok(None) => return,
        Err(error) => {
            return tracing::warn!("the screen of {} cannot be seen: {error}", order.attempt);
        }
    };
    let rows = ending::last_rows(&screen, order.prompt.as_deref());
    // A program that left its full screen has left nothing on it.
    if drawn && !rows.is_empty() {
        ending.tail = rows;
    }
    ending.screen = screen;
}
