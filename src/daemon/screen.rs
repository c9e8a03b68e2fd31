//! Looks at what an agent showed last, if it drew that: then its last words stand on its screen,
//! which its window keeps for a while after its end, and not in its log.
//!
//! Whatever goes from top to bottom is read from the log alone, also for rules that ask for the
//! screen. tmux is shown it late, and throws away what it has not read when the shim ends: on a
//! busy machine that is the end of one text in five.

use tokio::task::spawn_blocking;

use crate::failpoint;
use crate::model::{Ending, Order};
use crate::supervisor::Event;
use crate::tmux::Tmux;

use super::engine::Engine;
use super::{Incoming, Input, ending};

impl Engine {
    /// Decides about an end, with its last screen if the agent drew on it.
    pub(super) fn over(&mut self, order: Order, mut ending: Box<Ending>) {
        let attempt = order.attempt.clone();
        let Some(tmux) = self.tmux.clone().filter(|_| order.windowed && order.terminal) else {
            return self.decide(Input::Supervisor(Event::Gone { attempt, ending }));
        };
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            let log = ending.log.clone();
            let drawn = spawn_blocking(move || ending::drawn(&log)).await.unwrap_or_default();
            if let Some(printed) = drawn {
                look(&tmux, &order, &mut ending, &printed).await;
            }
            inbox.put(Incoming::Supervisor(Event::Gone { attempt, ending }));
        });
    }
}

/// Adds what its window still shows, if there is one. What it `printed` after the last move of its
/// cursor was seen, whether or not tmux has read it.
async fn look(tmux: &Tmux, order: &Order, ending: &mut Ending, printed: &str) {
    let seen = failpoint::future("follow.see-screen", tmux.last_screen(&order.token)).await;
    let screen = match seen {
        Ok(Some(screen)) => screen,
        Ok(None) => return,
        Err(error) => {
            return tracing::warn!("the screen of {} cannot be seen: {error}", order.attempt);
        }
    };
    let screen = ending::completed(screen, printed);
    let rows = ending::last_rows(&screen, order.prompt.as_deref());
    // A program that left its full screen has left nothing on it.
    if !rows.is_empty() {
        ending.tail = rows;
    }
    ending.screen = screen;
}
