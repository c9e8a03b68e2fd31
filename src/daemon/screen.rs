//! Looks at what an agent showed last, if it drew that: then its last words stand on its screen,
//! which its window keeps for a while after its end, and not in its log.
//!
//! Whatever goes from top to bottom is read from the log alone, also for rules that ask for the
//! screen. tmux is shown it late, and throws away what it has not read when the shim ends: on a
//! busy machine that is the end of one text in five.

use std::path::Path;

use tokio::task::spawn_blocking;

use crate::failpoint;
use crate::model::{Ending, Order};
use crate::supervisor::Event;
use crate::tmux::Tmux;
use crate::transcript;

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
            let drawn = spawn_blocking(move || drawn(&log)).await.unwrap_or_default();
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
    let screen = completed(screen, printed);
    let rows = last_rows(&screen, order.prompt.as_deref());
    // A program that left its full screen has left nothing on it.
    if !rows.is_empty() {
        ending.tail = rows;
    }
    ending.screen = screen;
}

/// What the screen of one that drew on it showed in the end.
fn last_rows(screen: &str, prompt: Option<&str>) -> String {
    transcript::rows(screen, prompt, ending::TAIL_LINES)
}

/// What it printed after the last move of its cursor, if it drew on its terminal.
fn drawn(log: &Path) -> Option<String> {
    let end = ending::end_of(log).ok()?;
    transcript::is_drawn(&end).then(|| {
        transcript::tail(transcript::since_moved(ending::since_cleared(&end)), ending::TAIL_LINES)
    })
}

/// What tmux shows, and below it what was printed last, if tmux did not read that any more.
fn completed(screen: String, printed: &str) -> String {
    if transcript::shows(&screen, printed) {
        return screen;
    }
    format!("{}\n{printed}", screen.trim_end())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::files;

    /// Fault 71: what tmux had not read when the window's process ended was seen all the same; what
    /// it had read is not shown twice, however it wraps it.
    #[test]
    fn what_tmux_did_not_read_stands_below_its_screen() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join(files::LOG);
        fs::write(&log, "\x1b[3;1Hbusy\x1b[5;1HYou've hit your\r\nlimit \u{b7} resets 3pm\r\n")
            .unwrap();
        let printed = drawn(&log).unwrap();
        assert_eq!(printed, "You've hit your\nlimit \u{b7} resets 3pm");
        let shown = format!("busy\n\n{printed}");
        for screen in [shown.clone(), "busy\n You've hit your limit \u{b7} resets 3pm  ".to_owned()]
        {
            assert_eq!(completed(screen.clone(), &printed), screen);
        }
        for screen in ["busy\n\n", "busy\n\nYou've hit"] {
            let whole = completed(screen.to_owned(), &printed);
            assert!(
                whole.starts_with("busy") && whole.ends_with(&format!("\n{printed}")),
                "{whole}"
            );
        }
        fs::write(&log, "plain\r\n").unwrap();
        assert_eq!(drawn(&log), None);
    }
}
